//! What an order to the link does at the databases, after the driver for servers that follow each other
//! (`link::replicaof`).

use handover::cutover::Millis;
use handover::cutover::action::Action;
use handover::cutover::event::{Event, Fact, Remaining, Standing};
use handover::cutover::plan::LinkStep;
use handover::terms::Side;

use super::database::{Copied, Database, FreedBy, Partial, Role, Stream, Write, follow};
use super::rules::{FENCE_MARGIN, Rules, Strays};
use super::world::{Answer, Breach, Report, World};

/// Whether a step changes anything at a database.
pub(crate) fn acts(step: LinkStep) -> bool {
    match step {
        LinkStep::WriteMarker | LinkStep::Fence => true,
        LinkStep::SamplePosition | LinkStep::AwaitPosition | LinkStep::AwaitMarker => false,
    }
}

/// The databases that must answer before `order` is carried out.
fn asked(order: &Action) -> &'static [Side] {
    let one = |side: Side| match side {
        Side::Source => &[Side::Source][..],
        Side::Target => &[Side::Target][..],
    };
    match order {
        Action::EndLink { from } | Action::Detach { from, .. } => one(from.other()),
        Action::Unfence { from } => one(*from),
        Action::Link { from, step, .. } => match step {
            LinkStep::WriteMarker | LinkStep::Fence | LinkStep::SamplePosition => one(*from),
            LinkStep::AwaitPosition | LinkStep::AwaitMarker => one(from.other()),
        },
        _ => &Side::BOTH,
    }
}

/// The database that `order` changes.
fn changed(order: &Action) -> Side {
    match order {
        Action::EndLink { from } | Action::Detach { from, .. } => from.other(),
        Action::Unfence { from } | Action::Link { from, .. } | Action::ReverseLink { from, .. } => {
            *from
        }
        _ => Side::Target,
    }
}

/// What is told of an order that was not carried out, or whose reply was lost.
pub(crate) fn failure(order: &Action) -> Answer {
    let no = String::new;
    Answer::Event(match order {
        Action::ObserveLink { from } => {
            return Answer::Report(Report {
                from: *from,
                link: Standing::Unknown,
                lag: Remaining::Unknown,
                copy: None,
            });
        }
        Action::PrepareLink => Event::LinkPrepareFailed(no()),
        Action::EndLink { .. } => Event::LinkEndFailed(no()),
        Action::Unfence { .. } => Event::UnfenceFailed(no()),
        Action::Detach { number, .. } => Event::Happened(*number, Fact::DetachFailed(no())),
        Action::ReverseLink { number, .. } => Event::Happened(*number, Fact::ReverseFailed(no())),
        Action::Link { number, .. } => Event::Happened(*number, Fact::LinkStepFailed(no())),
        other => panic!("not an order to the link: {other:?}"),
    })
}

impl World {
    /// Carries out `order`: what is told of it; none while it waits.
    pub(crate) fn carry_out(&mut self, order: &Action, rules: &Rules) -> Option<Answer> {
        let event = self.outcome(order, rules)?;
        if rules.strays == Strays::Ordered {
            // Who has answered this has read what was sent before it, or will never read it.
            let answered = asked(order);
            self.strays
                .retain(|stray| !answered.contains(&changed(stray)));
        }
        Some(event)
    }

    /// What `order` does, and what it is answered.
    pub(crate) fn outcome(&mut self, order: &Action, rules: &Rules) -> Option<Answer> {
        let looks_again = rules.removed.looks_again_at_the_detach();
        let answer = match order {
            Action::ObserveLink { from } => return Some(Answer::Report(self.look(*from))),
            Action::PrepareLink => self.prepare().then_some(Event::LinkPrepared),
            Action::EndLink { from } => {
                self.database(from.other()).free(FreedBy::Others);
                Some(Event::LinkEnded)
            }
            Action::Unfence { from } => {
                self.database(*from).fenced_until = None;
                Some(Event::Unfenced)
            }
            Action::Detach { number, from } => {
                let whole = self.stands_on_what_was_sampled(from.other());
                self.database(from.other()).free(FreedBy::Attempt);
                (whole || !looks_again).then_some(Event::Happened(*number, Fact::Detached))
            }
            Action::ReverseLink { number, from } => self
                .reverse(*from)
                .then_some(Event::Happened(*number, Fact::ReverseConfirmed)),
            Action::Link {
                number,
                from,
                step,
                left,
            } => match self.take(*number, *from, *step, *left) {
                Taken::Yes(fact) => Some(Event::Happened(*number, fact)),
                Taken::Never => None,
                Taken::NotYet => return None,
            },
            _ => None,
        };
        Some(answer.map_or_else(|| failure(order), Answer::Event))
    }

    pub(crate) fn database(&mut self, side: Side) -> &mut Database {
        &mut self.databases[side.index()]
    }

    fn look(&self, from: Side) -> Report {
        let [copied, filled] = [from, from.other()].map(|side| &self.databases[side.index()]);
        let (link, lag, copy) = match filled.role {
            Role::Master => (Standing::Detached, Remaining::Unknown, None),
            Role::Replica(Stream::Down) => (Standing::Copying, Remaining::Unknown, None),
            Role::Replica(Stream::Copying) => {
                (Standing::Copying, Remaining::Unknown, Some(filled.copy))
            }
            Role::Replica(Stream::Flowing) => {
                let behind = copied.data.len().saturating_sub(filled.data.len());
                (
                    Standing::Streaming,
                    Remaining::Bytes(behind as u64),
                    Some(filled.copy),
                )
            }
        };
        Report {
            from,
            link,
            lag,
            copy,
        }
    }

    fn prepare(&mut self) -> bool {
        self.databases[Side::Source.index()].role == Role::Master && {
            self.follows(Side::Target, Partial::Never);
            true
        }
    }

    fn reverse(&mut self, from: Side) -> bool {
        self.databases[from.other().index()].role == Role::Master && {
            self.follows(from, Partial::Allowed);
            self.database(from).fenced_until = None;
            true
        }
    }

    fn follows(&mut self, follower: Side, partial: Partial) {
        let copy = self.copies + 1;
        match follow(&mut self.databases, follower, partial, copy) {
            Copied::Everything if self.gate.active == follower => {
                self.breach(Breach::ActiveSideReplaced);
            }
            Copied::Everything | Copied::Nothing => {}
        }
        if self.databases[follower.index()].copy == copy {
            self.copies = copy;
        }
    }

    fn take(&mut self, number: u64, from: Side, step: LinkStep, left: Millis) -> Taken {
        let copied = &mut self.databases[from.index()];
        match step {
            LinkStep::WriteMarker if !copied.takes_writes() => Taken::Never,
            LinkStep::WriteMarker => {
                copied.data.push(Write::Marker(number));
                Taken::Yes(Fact::MarkerWritten)
            }
            LinkStep::Fence => {
                copied.fenced_until = Some(self.now.plus(left).plus(FENCE_MARGIN));
                Taken::Yes(Fact::Fenced)
            }
            LinkStep::SamplePosition if copied.role != Role::Master => Taken::Never,
            LinkStep::SamplePosition => {
                self.sampled = Some(copied.data.len());
                Taken::Yes(Fact::PositionSampled)
            }
            LinkStep::AwaitPosition => self.reached(from.other()),
            LinkStep::AwaitMarker => {
                let filled = &self.databases[from.other().index()];
                if filled.data.contains(&Write::Marker(number)) {
                    Taken::Yes(Fact::MarkerSeen)
                } else {
                    Taken::NotYet
                }
            }
        }
    }

    /// A cut connection takes nothing away; a full copy does.
    fn stands_on_what_was_sampled(&self, filled: Side) -> bool {
        let filled = &self.databases[filled.index()];
        let whole = self
            .sampled
            .is_some_and(|sampled| filled.data.len() >= sampled);
        match filled.role {
            Role::Replica(Stream::Flowing | Stream::Down) => whole,
            Role::Replica(Stream::Copying) | Role::Master => false,
        }
    }

    fn reached(&self, filled: Side) -> Taken {
        let filled = &self.databases[filled.index()];
        let Some(sampled) = self.sampled else {
            return Taken::Never;
        };
        match filled.role {
            Role::Master | Role::Replica(Stream::Copying) => Taken::Never,
            Role::Replica(Stream::Flowing) if filled.data.len() >= sampled => {
                Taken::Yes(Fact::CaughtUp)
            }
            Role::Replica(Stream::Flowing | Stream::Down) => Taken::NotYet,
        }
    }
}

/// What came of a step.
enum Taken {
    Yes(Fact),
    NotYet,
    Never,
}
