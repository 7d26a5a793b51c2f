//! Requests: what must be found out before the state machine decides on them, and who is told how they ended.

use super::super::handle::{Answer, Command, CutoverRequest};
use super::super::link_hands::{Checked, Order, Scope, Target};
use super::super::status::{Outcome, Refusal};
use super::{Auto, Desk};
use crate::cutover::action::{Action, Ending};
use crate::cutover::event::{Event, Request};
use crate::cutover::plan::Plan;
use crate::cutover::readiness::{incompatibilities, standing_objections};
use crate::cutover::reason::Reason;
use crate::cutover::state::State;
use crate::cutover::step::step;
use crate::cutover::{Bounds, Millis};
use crate::link::preflight::{Finding, Level};
use crate::terms::Side;

/// Who waits for the end of what is under way; `abort` is asked by several at most.
const WAITING_MAX: usize = 16;

/// Who waits for the end of something.
#[derive(Debug)]
pub(super) enum Asker {
    Migrate(Answer<()>),
    Attempt(Answer<Outcome>),
    Abort(Answer<Outcome>),
    Finalize(Answer<Outcome>),
}

/// What waits for a check of the databases.
#[derive(Debug)]
pub(super) enum Check {
    Preflight(Answer<Vec<Finding>>),
    Migrate {
        confirm_flush: Option<String>,
        answer: Answer<()>,
    },
    Cutover {
        request: CutoverRequest,
        answer: Answer<Outcome>,
    },
    /// `auto = true`.
    CutoverByItself,
}

impl Asker {
    pub(super) fn refuse(self, reasons: &[Reason]) {
        self.tell(Err(Refusal::new(reasons)));
    }

    pub(super) fn conclude(self, ending: Ending, outcome: &Outcome, reasons: &[Reason]) {
        let refused = ending == Ending::Refused;
        let ended = match &self {
            // What ends before it was accepted has not begun.
            Asker::Migrate(_) => Err(Refusal::new(reasons)),
            Asker::Attempt(_) | Asker::Finalize(_) if refused => Err(Refusal::new(reasons)),
            Asker::Attempt(_) | Asker::Finalize(_) | Asker::Abort(_) => Ok(outcome.clone()),
        };
        self.tell(ended);
    }

    /// Who asked may have gone, which changes nothing.
    fn tell(self, ended: Result<Outcome, Refusal>) {
        match self {
            Asker::Migrate(answer) => drop(answer.send(ended.map(drop))),
            Asker::Attempt(answer) | Asker::Abort(answer) | Asker::Finalize(answer) => {
                drop(answer.send(ended));
            }
        }
    }
}

impl Check {
    fn refuse(self) {
        match self {
            Check::Preflight(answer) => drop(answer.send(Err(Refusal::new(&[BUSY])))),
            Check::Migrate { answer, .. } => Asker::Migrate(answer).refuse(&[BUSY]),
            Check::Cutover { answer, .. } => Asker::Attempt(answer).refuse(&[BUSY]),
            Check::CutoverByItself => {}
        }
    }
}

impl Desk {
    pub(super) fn command(&mut self, command: Command) {
        match command {
            Command::Migrate {
                confirm_flush,
                answer,
            } => match self.state {
                State::Idle(_) | State::RolledBack(_) => {
                    self.check(
                        Scope::Migration,
                        Check::Migrate {
                            confirm_flush,
                            answer,
                        },
                    );
                }
                State::Preparing(_)
                | State::Syncing
                | State::InSync(_)
                | State::Arming(_)
                | State::Holding(_)
                | State::Draining(..)
                | State::CatchingUp(..)
                | State::Detaching(..)
                | State::Committed(_)
                | State::Finalized
                | State::Aborting(_)
                | State::RollingBack(_) => {
                    self.request(
                        Request::Migrate { objections: vec![] },
                        Some(Asker::Migrate(answer)),
                    );
                }
            },
            Command::Cutover { request, answer } => self.cutover(request, answer),
            Command::Rollback { answer } => {
                self.request(self.rollback_request(), Some(Asker::Attempt(answer)));
            }
            Command::Abort { answer } => self.request(Request::Abort, Some(Asker::Abort(answer))),
            Command::Finalize { answer } => {
                self.request(Request::Finalize, Some(Asker::Finalize(answer)));
            }
            Command::Preflight { answer } => match self.state.step() {
                None => self.check(Scope::Preflight, Check::Preflight(answer)),
                Some(_) => drop(answer.send(Err(Refusal::new(&[BUSY])))),
            },
        }
    }

    /// Lets the state machine decide; `asker` is told at once, or waits.
    pub(super) fn request(&mut self, request: Request, asker: Option<Asker>) {
        if self.waiting.len() >= WAITING_MAX {
            if let Some(asker) = asker {
                asker.refuse(&[BUSY]);
            }
            return;
        }
        self.asking = asker;
        self.process(Event::Asked(request));
        self.waiting.extend(self.asking.take());
    }

    /// The migration that somebody waits for has begun.
    pub(super) fn accept(&mut self) {
        for asker in std::mem::take(&mut self.waiting) {
            match asker {
                Asker::Migrate(answer) => drop(answer.send(Ok(()))),
                asker @ (Asker::Attempt(_) | Asker::Abort(_) | Asker::Finalize(_)) => {
                    self.waiting.push(asker);
                }
            }
        }
    }

    /// What is against the next step: cutover or rollback, depending on the active side.
    pub(super) fn readiness(&self) -> Vec<Reason> {
        self.probe(match self.state.active() {
            Side::Source => self.cutover_request(&CutoverRequest::default(), vec![]),
            Side::Target => self.rollback_request(),
        })
    }

    /// The databases have been looked at for whoever asked first.
    pub(super) fn checked(&mut self, Checked { findings, target }: Checked) {
        match self.checks.pop_front() {
            Some(Check::Preflight(answer)) => drop(answer.send(Ok(findings))),
            Some(Check::Migrate {
                confirm_flush,
                answer,
            }) => {
                let mut objections = against(&findings);
                match target {
                    Some(Ok(target)) => {
                        objections.extend(self.against_flushing(target, confirm_flush));
                    }
                    Some(Err(error)) => objections.push(Reason::Unreachable(error.to_string())),
                    None => {}
                }
                self.request(
                    Request::Migrate { objections },
                    Some(Asker::Migrate(answer)),
                );
            }
            Some(Check::Cutover { request, answer }) => {
                self.decide(&request, against(&findings), answer);
            }
            Some(Check::CutoverByItself) => {
                let request = self.cutover_request(&CutoverRequest::default(), against(&findings));
                self.request(request, None);
            }
            None => {}
        }
    }

    /// Nobody will look at the databases for those who wait.
    pub(super) fn drop_checks(&mut self) {
        for check in std::mem::take(&mut self.checks) {
            check.refuse();
        }
    }

    /// With `auto`, at the next moment that is ready.
    pub(super) fn cut_over_by_itself(&mut self, bounds: &Bounds) {
        let now = self.now();
        let due = match self.auto {
            Auto::From(moment) => bounds.auto && now >= moment,
            Auto::Off => false,
        };
        if due
            && self.checks.is_empty()
            && self.state.active() == Side::Source
            && self.readiness().is_empty()
        {
            self.auto = Auto::From(now.plus(bounds.min_interval.into()));
            self.check(Scope::Preflight, Check::CutoverByItself);
        }
    }

    fn cutover(&mut self, request: CutoverRequest, answer: Answer<Outcome>) {
        if request
            .max_pause
            .is_some_and(|pause| Millis::from(pause) == Millis(0))
        {
            return Asker::Attempt(answer).refuse(&[Reason::PauseZero]);
        }
        if matches!(self.state, State::InSync(_)) {
            self.check(Scope::Preflight, Check::Cutover { request, answer });
        } else {
            self.decide(&request, vec![], answer);
        }
    }

    fn decide(&mut self, asked: &CutoverRequest, found: Vec<Reason>, answer: Answer<Outcome>) {
        let request = self.cutover_request(asked, found);
        if !asked.dry_run {
            return self.request(request, Some(Asker::Attempt(answer)));
        }
        let against = self.probe(request);
        let outcome = if against.is_empty() {
            Ok(Outcome::unfelt("dry_run", vec![]))
        } else {
            Err(Refusal::new(&against))
        };
        let _ = answer.send(outcome);
    }

    /// What the state machine would refuse `request` for, were it made now.
    fn probe(&self, request: Request) -> Vec<Reason> {
        let (_, actions) = step(self.state.clone(), Event::Asked(request), self.now());
        let refused = actions.into_iter().find_map(|action| match action {
            Action::Refuse(reasons) => Some(reasons),
            _ => None,
        });
        refused.unwrap_or_default()
    }

    fn cutover_request(&self, asked: &CutoverRequest, found: Vec<Reason>) -> Request {
        let (bounds, now) = (self.bounds.borrow().clone(), self.now());
        let mut objections = found;
        let abilities = self.abilities[Side::Source.index()];
        objections.extend(standing_objections(
            &bounds,
            abilities,
            self.last_attempt,
            now,
        ));
        objections.extend(self.histories[Side::Source.index()].objections(now, &bounds));
        let accepted = bounds.accept_findings.and(&asked.accept);
        objections.extend(incompatibilities(&self.traffic.seen(), &accepted));
        Request::Cutover {
            number: self.last_number + 1,
            plan: Plan::new(&bounds, abilities, asked.max_pause),
            objections,
        }
    }

    /// The way out of a bad cutover is not kept waiting by `min_interval`.
    fn rollback_request(&self) -> Request {
        let (bounds, now) = (self.bounds.borrow().clone(), self.now());
        let abilities = self.abilities[Side::Target.index()];
        let mut objections = standing_objections(&bounds, abilities, None, now);
        objections.extend(self.histories[Side::Target.index()].objections(now, &bounds));
        Request::Rollback {
            number: self.last_number + 1,
            plan: Plan::new(&bounds, abilities, None),
            objections,
        }
    }

    fn check(&mut self, scope: Scope, check: Check) {
        if self.checks.len() >= WAITING_MAX {
            return check.refuse();
        }
        self.checks.push_back(check);
        self.order(Order::Check {
            clients: (self.clients)(),
            scope,
        });
    }

    fn against_flushing(&self, target: Target, confirmed: Option<String>) -> Option<Reason> {
        let name = || self.target_name.clone();
        match (target, confirmed) {
            (Target::IsSource, _) => Some(Reason::SameServer),
            (Target::ReceivesWrites(by), _) => Some(Reason::TargetWritten { name: name(), by }),
            (Target::HoldsData, None) => Some(Reason::FlushUnconfirmed { name: name() }),
            (Target::Empty | Target::HoldsData, Some(typed)) if typed != self.target_name => {
                Some(Reason::FlushConfirmedForAnother {
                    name: name(),
                    typed,
                })
            }
            (Target::Empty, None | Some(_)) | (Target::HoldsData, Some(_)) => None,
        }
    }
}

const BUSY: Reason = Reason::WrongPhase {
    phase: "busy with a request",
    what_to_do: "wait for its end",
};

/// The findings that are errors.
fn against(findings: &[Finding]) -> Vec<Reason> {
    let errors = findings
        .iter()
        .filter(|finding| finding.level == Level::Error);
    errors
        .map(|finding| match finding.check {
            "copied_side_reachable" | "filled_side_reachable" => {
                Reason::Unreachable(finding.message.clone())
            }
            check => Reason::Preflight {
                check: check.to_owned(),
                message: finding.message.clone(),
                what_to_do: finding.what_to_do.clone().unwrap_or_default(),
            },
        })
        .collect()
}
