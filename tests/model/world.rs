//! One sidecar, its disk, its gate, and everything around it, as one value. The state in its middle is production's, and
//! so are the function that changes it and the one that reads the journal.

use std::collections::VecDeque;
use std::mem;

use handover::cutover::Millis;
use handover::cutover::action::Action;
use handover::cutover::event::{Event, Fact, Look, Remaining, Standing};
use handover::cutover::journal::{Record, Resumed};
use handover::cutover::plan::CopyNumber;
use handover::cutover::state::{Aborting, Committed, Detach, Idle, Reversal, RollingBack, State};
use handover::cutover::step::{start, step};
use handover::link::Reverse;
use handover::terms::Side;

use super::database::{Database, Role, Stream, Write};
use super::rules::{Beginning, MAX_PAUSE, Rules};

/// Everything there is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) state: State,
    pub(crate) now: Millis,
    pub(crate) gate: Gate,
    /// What the journal's flushed records come to.
    pub(crate) on_disk: Resumed,
    /// Records that are ordered, in order; the first is being written.
    pub(crate) records: Vec<Record>,
    /// Orders to the link, in order; the first is being carried out.
    pub(crate) orders: Vec<Action>,
    /// What came of orders, on its way to the state machine.
    pub(crate) answers: Vec<Answer>,
    /// Events that have come once and will come again.
    pub(crate) late: Vec<Event>,
    /// Orders that nobody waits for any more, on their way to a database.
    pub(crate) strays: Vec<Action>,
    /// The position that the present attempt waits for, as the number of writes before it.
    pub(crate) sampled: Option<usize>,
    /// What the reports have said, by the copied side.
    pub(crate) histories: [History; 2],
    pub(crate) last_number: u64,
    pub(crate) databases: [Database; 2],
    /// Full copies that have begun, of both databases.
    pub(crate) copies: u8,
    /// Writes that were admitted and have no reply, with the side they were admitted to.
    pub(crate) in_flight: Vec<(Write, Side)>,
    pub(crate) spent: Spent,
    pub(crate) known: Known,
}

/// The gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Gate {
    pub(crate) active: Side,
    pub(crate) grip: Grip,
    /// The fact that is told when it is so.
    pub(crate) awaiting: Option<(u64, Awaiting)>,
}

/// The runner's hold on the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Grip {
    None,
    Armed,
    Closed { since: Millis },
    Committing { since: Millis },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Awaiting {
    Prepared,
    Drained,
    Released,
    Aligned,
    Moved,
}

/// An answer of the link.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Answer {
    Event(Event),
    Report(Report),
}

/// One look at the link, as it was when it was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Report {
    pub(crate) from: Side,
    pub(crate) link: Standing,
    pub(crate) lag: Remaining,
    pub(crate) copy: Option<u8>,
}

/// Tells full copies apart, as `readiness` does in production.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct History {
    newest: Option<u8>,
    copy: CopyNumber,
}

/// What has been used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Spent {
    pub(crate) writes: u8,
    pub(crate) bypass: u8,
    pub(crate) migrations: u8,
    pub(crate) attempts: u8,
    pub(crate) troubles: u8,
}

/// What an onlooker knows, who sees everything and changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Known {
    /// Acknowledged writes of clients, in the order of their replies.
    pub(crate) acknowledged: Vec<Write>,
    /// Acknowledged writes that bypassed the proxy, and are promised to be carried over.
    pub(crate) promised: Vec<Write>,
    /// An operator has confirmed a flush that was not ordered yet.
    pub(crate) flush_confirmed: bool,
    /// The lifting of a fence failed: it ends by itself.
    pub(crate) fence_excused: bool,
    /// Something came twice, so that what is told about it may be wrong.
    pub(crate) confused: bool,
    /// The first thing that must never be ordered, told or done.
    pub(crate) breach: Option<Breach>,
}

/// What must never be ordered or done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Breach {
    /// A reply to a client from the side that is not active.
    RepliedByPassiveSide,
    /// Detach or commit were ordered when the pause had lasted as long as it may.
    WentOnTooLate,
    /// A full copy without the operator's word.
    FlushedUnasked,
    /// The side that the application runs on was replaced.
    ActiveSideReplaced,
    /// The gate was told something that it could not do.
    GateMisused,
}

impl History {
    fn record(&mut self, report: Report) -> Look {
        if report.copy.is_some() && self.newest != report.copy {
            self.copy.0 += u32::from(self.newest.is_some());
            self.newest = report.copy;
        }
        Look {
            link: report.link,
            lag: report.lag,
            copy: self.copy,
        }
    }
}

impl World {
    pub(crate) fn new(rules: &Rules) -> World {
        let mut world = World {
            state: start(&Resumed::FRESH, Reverse::AsReplica).0,
            now: Millis(0),
            gate: Gate::open(Side::Source),
            on_disk: Resumed::FRESH,
            records: vec![],
            orders: vec![],
            answers: vec![],
            late: vec![],
            strays: vec![],
            sampled: None,
            histories: [History::default(); 2],
            last_number: 0,
            databases: [Database::master(), Database::master()],
            copies: 0,
            in_flight: vec![],
            spent: Spent::default(),
            known: Known::default(),
        };
        if rules.beginning == Beginning::InSync {
            world.state = State::InSync(CopyNumber(0));
            world.on_disk = world.on_disk.and_then(&Record::Migrating);
            let target = &mut world.databases[Side::Target.index()];
            target.role = Role::Replica(Stream::Flowing);
        }
        world
    }

    /// One event and everything that follows from it at once, as in `runner::desk`.
    pub(crate) fn feed(&mut self, event: Event, rules: &Rules) {
        let mut at_once = VecDeque::from([event]);
        while let Some(event) = at_once.pop_front() {
            let now = rules.removed.clock(&self.state, &event, self.now);
            let state = mem::replace(&mut self.state, State::Finalized);
            let (state, actions) = step(state, event.clone(), now);
            self.state = state;
            for action in actions {
                at_once.extend(rules.removed.fed_at_once(&action));
                if rules.removed.is_carried_out(&action) {
                    at_once.extend(self.obey(action, &event));
                }
            }
        }
        self.forget_words();
        self.forget_time();
    }

    /// The link's answer, as `runner::desk` takes it.
    pub(crate) fn answered(&mut self, answer: Answer, rules: &Rules) {
        let event = self.event_of(answer);
        self.feed(event, rules);
    }

    pub(crate) fn event_of(&mut self, answer: Answer) -> Event {
        match answer {
            Answer::Event(event) => event,
            Answer::Report(report) => Event::LinkReported {
                from: report.from,
                look: self.histories[report.from.index()].record(report),
            },
        }
    }

    /// The process dies, and the next one starts. `written`: the record that was being written is there.
    pub(crate) fn crash(&mut self, written: bool, rules: &Rules) {
        if let Some(record) = self.records.first().filter(|_| written) {
            self.on_disk = self.on_disk.clone().and_then(record);
        }
        self.records.clear();
        self.give_up_link_work();
        self.late.clear();
        self.sampled = None;
        // Their sessions are gone, and they were never acknowledged.
        self.in_flight.clear();
        self.histories = [History::default(); 2];
        self.last_number = self.on_disk.last_number;
        self.gate = Gate::open(self.on_disk.active());
        self.known.flush_confirmed = false;
        let (state, actions) = start(&self.on_disk, Reverse::AsReplica);
        self.state = state;
        for action in actions {
            if rules.removed.is_carried_out(&action) {
                self.obey(action, &Event::TimeReached);
            }
        }
        self.forget_words();
        self.forget_time();
    }

    /// Carries out an order as `runner::desk` does. What follows at once is returned.
    fn obey(&mut self, action: Action, cause: &Event) -> Option<Event> {
        self.watch(&action, cause);
        match action {
            Action::ObserveLink { .. }
            | Action::Link { .. }
            | Action::Detach { .. }
            | Action::ReverseLink { .. }
            | Action::Unfence { .. } => self.orders.push(action),
            Action::PrepareLink | Action::EndLink { .. } => {
                self.histories = [History::default(); 2];
                self.orders.push(action);
            }
            Action::ArmSessions(number) => {
                self.last_number = number;
                self.gate.expect(number, Awaiting::Prepared);
                self.grip(Grip::None, Grip::Armed);
            }
            Action::CloseGate(number) => {
                self.gate.awaiting = None;
                self.grip(Grip::Armed, Grip::Closed { since: self.now });
                return Some(Event::Happened(number, Fact::GateClosed));
            }
            Action::AwaitDrain(number) => self.gate.expect(number, Awaiting::Drained),
            Action::ReleaseBlocked(number) => self.gate.expect(number, Awaiting::Released),
            Action::AlignSubscriptions(number) => self.gate.expect(number, Awaiting::Aligned),
            Action::MoveSessions(number) => self.gate.expect(number, Awaiting::Moved),
            Action::CommitGate(_) => {
                self.gate.awaiting = None;
                self.histories = [History::default(); 2];
                let since = self.gate.held_since().unwrap_or(self.now);
                self.grip(Grip::Closed { since }, Grip::Committing { since });
                self.gate.active = self.gate.active.other();
            }
            Action::ReleaseGate | Action::ReopenGate => {
                self.gate.awaiting = None;
                self.gate.grip = Grip::None;
            }
            Action::GiveUpLinkWork => self.give_up_link_work(),
            Action::FlushJournal(record) => self.records.push(without_words(record)),
            Action::Refuse(_)
            | Action::Accept
            | Action::Conclude(_)
            | Action::Raise(_)
            | Action::Clear(_) => {}
        }
        None
    }

    /// Notes what must not be ordered.
    fn watch(&mut self, action: &Action, cause: &Event) {
        match action {
            Action::Detach { .. } | Action::FlushJournal(Record::Committed { .. }) => {
                let in_time = self
                    .gate
                    .held_since()
                    .is_some_and(|since| self.now < since.plus(MAX_PAUSE));
                if !in_time {
                    self.breach(Breach::WentOnTooLate);
                }
            }
            Action::PrepareLink => {
                let confirmed = mem::take(&mut self.known.flush_confirmed);
                if !confirmed || *cause != Event::JournalFlushed(Record::Migrating) {
                    self.breach(Breach::FlushedUnasked);
                }
            }
            _ => {}
        }
    }

    pub(crate) fn breach(&mut self, breach: Breach) {
        self.known.breach.get_or_insert(breach);
    }

    fn grip(&mut self, expected: Grip, next: Grip) {
        if self.gate.grip != expected {
            self.breach(Breach::GateMisused);
        }
        self.gate.grip = next;
    }

    /// What was being carried out may have reached its database, or still reach it.
    fn give_up_link_work(&mut self) {
        if !self.orders.is_empty() {
            let order = self.orders.remove(0);
            self.stray(order);
        }
        self.orders.clear();
        self.answers.clear();
    }

    /// From now on nobody waits for `order`.
    pub(crate) fn stray(&mut self, order: Action) {
        let acts = match order {
            Action::PrepareLink
            | Action::EndLink { .. }
            | Action::Detach { .. }
            | Action::ReverseLink { .. }
            | Action::Unfence { .. } => true,
            Action::Link { step, .. } => super::link::acts(step),
            _ => false,
        };
        if acts && !self.strays.contains(&order) {
            self.strays.push(order);
        }
    }

    /// Texts are for people: two worlds that differ in them alone are one.
    fn forget_words(&mut self) {
        match &mut self.state {
            State::Aborting(Aborting::Attempt { reasons, .. }) => reasons.clear(),
            State::Idle(Idle::NotPrepared(text)) | State::RolledBack(text) => text.clear(),
            State::Committed(Committed::Finalizing(notes)) => notes.clear(),
            State::Committed(Committed::Crossing(crossing))
            | State::RollingBack(RollingBack::Crossing(crossing)) => {
                if let Reversal::Failed(text) = &mut crossing.reversal {
                    text.clear();
                }
            }
            _ => {}
        }
    }

    /// The clock is only ever compared with bounds: where there are none, every moment is the same.
    fn forget_time(&mut self) {
        let bounds = self.state.deadline().is_some()
            || self.state.step().is_some()
            || self.databases.iter().any(|one| one.fenced_until.is_some());
        if !bounds {
            self.now = Millis(0);
        }
    }

    /// Whether the commit's record is being written, the one hold without a bound.
    pub(crate) fn is_committing_to_disk(&self) -> bool {
        matches!(self.state, State::Detaching(_, Detach::Flushing))
    }
}

impl Gate {
    fn open(active: Side) -> Gate {
        Gate {
            active,
            grip: Grip::None,
            awaiting: None,
        }
    }

    fn expect(&mut self, number: u64, awaiting: Awaiting) {
        self.awaiting = Some((number, awaiting));
    }

    /// The side that writes are admitted to now.
    pub(crate) fn admits(&self) -> Option<Side> {
        match self.grip {
            Grip::None | Grip::Armed => Some(self.active),
            Grip::Closed { .. } | Grip::Committing { .. } => None,
        }
    }

    pub(crate) fn held_since(&self) -> Option<Millis> {
        match self.grip {
            Grip::None | Grip::Armed => None,
            Grip::Closed { since } | Grip::Committing { since } => Some(since),
        }
    }
}

fn without_words(record: Record) -> Record {
    match record {
        Record::Aborted { number, .. } => Record::Aborted {
            number,
            reasons: vec![],
        },
        record => record,
    }
}
