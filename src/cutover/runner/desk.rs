//! Where events come in and orders go out. Requests are in [`asking`], what people hear of it in [`telling`].

mod asking;
mod telling;
mod watching;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{broadcast, mpsc, watch};
use tracing::error;

use self::asking::{Asker, Check};
use self::watching::Watch;
use super::failpoint;
use super::gate_hands::{Awaiting, GateHands};
use super::handle::Command;
use super::journal_hands::JournalHands;
use super::link_hands::{Answer, Order};
use super::status::{LinkStatus, Notice, Outcome, Status};
use super::timeline::Timeline;
use crate::cutover::action::{Action, Alarm};
use crate::cutover::event::{Event, Fact, Request};
use crate::cutover::journal::{Journal, Record, Resumed};
use crate::cutover::readiness::History;
use crate::cutover::reason::Reason;
use crate::cutover::state::{Aborting, Arming, Committed, State};
use crate::cutover::step::{start, step};
use crate::cutover::{Bounds, Millis};
use crate::gate::Gate;
use crate::link::{Abilities, Direction, Report, preflight};
use crate::shutdown;
use crate::terms::Side;
use crate::traffic::Traffic;

/// How often the link is looked at while a migration runs.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// The same while sessions prepare: the look that finds little remaining begins the hold.
const LOOK_EVERY_ARMING: Duration = Duration::from_millis(50);

/// What a desk is made of.
pub(super) struct Duties {
    pub(super) gate: Arc<Gate>,
    pub(super) journal: Journal,
    pub(super) resumed: Resumed,
    pub(super) bounds: watch::Receiver<Bounds>,
    pub(super) target_name: String,
    pub(super) clients: Box<dyn Fn() -> preflight::Clients + Send>,
    pub(super) traffic: Arc<Traffic>,
    pub(super) driver: &'static str,
    /// What the link can do in each direction, by the copied side.
    pub(super) abilities: [Abilities; 2],
    pub(super) orders: mpsc::Sender<Order>,
    pub(super) answers: mpsc::Receiver<Answer>,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) notices: broadcast::Sender<Notice>,
}

/// The state, and everything that is done about it.
pub(super) struct Desk {
    state: State,
    /// The zero of [`Millis`].
    started: Instant,
    bounds: watch::Receiver<Bounds>,
    target_name: String,
    clients: Box<dyn Fn() -> preflight::Clients + Send>,
    /// What the application was seen to send.
    traffic: Arc<Traffic>,
    driver: &'static str,
    /// What the link can do in each direction, by the copied side.
    abilities: [Abilities; 2],
    gate: GateHands,
    journal: JournalHands,
    orders: mpsc::Sender<Order>,
    answers: mpsc::Receiver<Answer>,
    commands: mpsc::Receiver<Command>,
    status: watch::Sender<Status>,
    notices: broadcast::Sender<Notice>,
    /// What the reports of each direction say, by the copied side.
    histories: [History; 2],
    /// The newest report of each direction, by the copied side.
    reports: [Option<Report>; 2],
    /// Looks that are ordered and not answered.
    looks: u32,
    /// When to look at the link again.
    next_look: Instant,
    /// Events that an order brought about at once.
    at_once: VecDeque<Event>,
    /// The measures of the attempt that is under way.
    timeline: Option<Timeline>,
    last_cutover: Option<Outcome>,
    /// When the newest attempt ended.
    last_attempt: Option<Millis>,
    /// The number of the newest attempt.
    last_number: u64,
    /// What a person must look at, with what was seen.
    alarms: BTreeMap<Alarm, String>,
    /// What else people should know of the attempt that is under way.
    remarks: Vec<Reason>,
    /// What the two sides show after the commit.
    watch: Watch,
    /// Whether `auto` still holds: an operator who stops or takes back a cutover does not want the next one by itself.
    auto: Auto,
    /// Who made the request that is being decided.
    asking: Option<Asker>,
    /// Who waits for what is under way.
    waiting: Vec<Asker>,
    /// What waits for a check of the databases, in the order in which they were ordered.
    checks: VecDeque<Check>,
}

/// Whether a cutover may begin by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Auto {
    /// Not before this moment.
    From(Millis),
    /// An operator decides.
    Off,
}

impl Desk {
    pub(super) fn new(duties: Duties) -> Desk {
        let now = Instant::now();
        let auto = if duties.resumed.rolled_back {
            Auto::Off
        } else {
            Auto::From(Millis(0))
        };
        let (state, actions) = start(
            &duties.resumed,
            duties.abilities[Side::Source.index()].reverse,
        );
        let status = Status {
            phase: state.phase(),
            step: None,
            active_side: state.active(),
            epoch: duties.gate.policy().epoch,
            can_cut_over: false,
            reasons: vec![],
            can_roll_back: false,
            link: LinkStatus::new(duties.driver, None),
            last_cutover: None,
            alarms: vec![],
            raised: vec![],
        };
        let mut desk = Desk {
            state,
            started: now,
            bounds: duties.bounds,
            target_name: duties.target_name,
            clients: duties.clients,
            traffic: duties.traffic,
            driver: duties.driver,
            abilities: duties.abilities,
            gate: GateHands::new(duties.gate),
            journal: JournalHands::new(duties.journal),
            orders: duties.orders,
            answers: duties.answers,
            commands: duties.commands,
            status: watch::Sender::new(status),
            notices: duties.notices,
            histories: [History::default(), History::default()],
            reports: [None, None],
            looks: 0,
            next_look: now,
            at_once: VecDeque::new(),
            timeline: None,
            last_cutover: None,
            last_attempt: None,
            last_number: duties.resumed.last_number,
            alarms: BTreeMap::new(),
            remarks: vec![],
            watch: Watch::default(),
            auto,
            asking: None,
            waiting: vec![],
            checks: VecDeque::new(),
        };
        for action in actions {
            desk.perform(action);
        }
        desk.publish();
        desk
    }

    pub(super) fn watch(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Works until `shutdown`, and then until nothing is half done.
    pub(super) async fn work(mut self, mut shutdown: shutdown::Signal) {
        let mut ending = false;
        while !(ending && self.nothing_half_done()) {
            let wake = self.wake();
            let Desk {
                answers,
                gate,
                journal,
                commands,
                ..
            } = &mut self;
            tokio::select! {
                biased;
                Some(answer) = answers.recv() => self.answered(answer),
                (number, fact) = gate.next() => self.process(Event::Happened(number, fact)),
                event = journal.next() => self.process(event),
                Some(command) = commands.recv(), if !ending => self.command(command),
                () = sleep_until(wake) => self.woken(),
                () = shutdown.wait(), if !ending => {
                    ending = true;
                    if self.is_to_be_called_off() {
                        self.request(Request::Abort, None);
                    }
                }
            }
        }
    }

    fn now(&self) -> Millis {
        self.started.elapsed().into()
    }

    /// One event, and everything that follows from it at once.
    fn process(&mut self, event: Event) {
        self.at_once.push_back(event);
        while let Some(event) = self.at_once.pop_front() {
            failpoint::place("at", &event);
            self.watch_the_journal(&event);
            let phase_before = self.state.phase();
            // What stands there meanwhile is seen by nobody.
            let state = std::mem::replace(&mut self.state, State::Finalized);
            let (state, actions) = step(state, event, self.now());
            self.state = state;
            for action in actions {
                failpoint::place("before", &action);
                self.perform(action);
            }
            self.follow(phase_before);
        }
        self.publish();
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::ObserveLink { from } => self.look(from),
            Action::PrepareLink => {
                self.forget_reports();
                self.order(Order::Prepare);
            }
            Action::EndLink { from } => {
                self.forget_reports();
                self.order(Order::End(Direction { from }));
            }
            Action::ArmSessions(number) => {
                self.last_number = number;
                self.remarks.clear();
                self.timeline = Some(Timeline::new());
                self.gate.arm(number);
            }
            Action::CloseGate(number) => self.close(number),
            Action::AwaitDrain(number) => self.gate.expect(number, Awaiting::Drained),
            Action::ReleaseBlocked(number) => self.gate.expect(number, Awaiting::Released),
            Action::Link {
                number,
                from,
                step,
                left,
            } => {
                let direction = Direction { from };
                self.order(Order::Step {
                    number,
                    direction,
                    step,
                    left: left.duration(),
                });
            }
            Action::AlignSubscriptions(number) => self.gate.expect(number, Awaiting::Aligned),
            Action::Detach { number, from } => self.order(Order::Detach {
                number,
                direction: Direction { from },
            }),
            Action::FlushJournal(record) => {
                if record == Record::Finalized {
                    // Nothing is to follow anything any more, whether or not a link had to be ended for it.
                    self.order(Order::HandBack);
                }
                self.journal.append(record);
            }
            Action::CommitGate(number) => {
                if !self.gate.commit() {
                    error!(number, "the gate was not closed at the commit");
                }
                self.forget_reports();
            }
            Action::ReverseLink { number, from } => {
                self.order(Order::Reverse {
                    number,
                    direction: Direction { from },
                });
            }
            Action::MoveSessions(number) => self.gate.expect(number, Awaiting::Moved),
            Action::ReleaseGate | Action::ReopenGate => {
                self.gate.let_go();
                if let Some(timeline) = &mut self.timeline {
                    timeline.opened(Instant::now());
                }
            }
            Action::GiveUpLinkWork => self.give_up_link_work(),
            Action::Unfence { from } => self.order(Order::Unfence(Direction { from })),
            Action::Refuse(reasons) => {
                if let Some(asker) = self.asking.take() {
                    asker.refuse(&reasons);
                }
            }
            Action::Accept => self.accept(),
            Action::Conclude(conclusion) => self.conclude(conclusion),
            Action::Raise(alarm) => self.raise(alarm, self.watch.detail_of(alarm)),
            Action::Clear(alarm) => self.clear(alarm),
        }
    }

    fn close(&mut self, number: u64) {
        if !self.gate.close() {
            error!(number, "the gate was not armed at the hold");
            return;
        }
        if let Some(timeline) = &mut self.timeline {
            timeline.closed(Instant::now());
        }
        self.at_once
            .push_back(Event::Happened(number, Fact::GateClosed));
    }

    fn answered(&mut self, answer: Answer) {
        match answer {
            Answer::Event(event) => self.process(event),
            Answer::Checked(checked) => self.checked(checked),
            Answer::Report { direction, report } => self.reported(direction, report),
            Answer::Watched { direction, watched } => self.watched(direction, watched),
            Answer::Remark(remark) => self.remark(remark),
        }
    }

    fn reported(&mut self, Direction { from }: Direction, report: Report) {
        self.looks = self.looks.saturating_sub(1);
        let at = Millis::from(report.at.saturating_duration_since(self.started));
        let bounds = self.bounds.borrow().clone();
        let abilities = self.abilities[from.index()];
        let look = self.histories[from.index()].record(&report, at, &bounds, abilities);
        self.reports[from.index()] = Some(report);
        self.process(Event::LinkReported { from, look });
        self.cut_over_by_itself(&bounds);
    }

    /// When there is something to do though nothing happens.
    fn wake(&self) -> Option<Instant> {
        let deadline = self.state.deadline().map(|at| self.started + at.duration());
        let looks = !self.state.observed().is_empty() && self.looks == 0;
        [deadline, looks.then_some(self.next_look)]
            .into_iter()
            .flatten()
            .min()
    }

    fn woken(&mut self) {
        if self.state.deadline().is_some_and(|at| self.now() >= at) {
            self.process(Event::TimeReached);
        }
        if self.looks == 0 && Instant::now() >= self.next_look {
            for from in self.state.observed() {
                self.look(*from);
            }
        }
    }

    fn look(&mut self, from: Side) {
        let arming = matches!(self.state, State::Arming(Arming { .. }));
        self.next_look = Instant::now()
            + if arming {
                LOOK_EVERY_ARMING
            } else {
                LOOK_EVERY
            };
        self.looks += 1;
        let direction = Direction { from };
        let ended = matches!(self.state, State::Committed(Committed::Settled(_)));
        self.order(if ended && from == Side::Source {
            Order::Watch(direction)
        } else {
            Order::Observe(direction)
        });
    }

    fn order(&self, order: Order) {
        if let Err(refused) = self.orders.try_send(order) {
            // The bound of the pause, or the next look, deals with what is missing.
            error!("an order to the link was lost: {refused}");
        }
    }

    /// What was under way at the link is of no interest any more: neither its outcome nor that of what waits behind it.
    fn give_up_link_work(&mut self) {
        self.order(Order::GiveUp);
        while self.answers.try_recv().is_ok() {}
        self.looks = 0;
        self.drop_checks();
    }

    /// The link runs another way from now on, or anew.
    fn forget_reports(&mut self) {
        self.histories = [History::default(), History::default()];
        self.reports = [None, None];
    }

    /// Whether the end of the process stops what is under way. A link that copies or follows needs nobody for that, and the
    /// next start finds it there: a restart must not cost a copy that takes hours.
    fn is_to_be_called_off(&self) -> bool {
        !matches!(self.state, State::Syncing | State::InSync(_))
    }

    /// Whether the process may end: an attempt that is not committed would be undone by a start, one that is would be
    /// finished by it, but neither needs to be left to it.
    fn nothing_half_done(&self) -> bool {
        let undoing = match &self.state {
            State::Aborting(Aborting::Attempt { .. } | Aborting::Migration) => true,
            State::Idle(_)
            | State::Preparing(_)
            | State::Syncing
            | State::InSync(_)
            | State::Arming(_)
            | State::Holding(_)
            | State::Draining(..)
            | State::CatchingUp(..)
            | State::Detaching(..)
            | State::Committed(_)
            | State::Finalized
            | State::RollingBack(_)
            | State::RolledBack(_) => false,
        };
        !undoing && self.state.step().is_none() && self.journal.is_at_rest()
    }
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake.into()).await,
        None => std::future::pending().await,
    }
}
