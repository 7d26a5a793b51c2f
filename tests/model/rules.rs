//! What a run of the model explores: how much of everything there is, and which protection, if any, is missing.
//!
//! A protection is taken away *around* the production function, never inside it: the event that it waits for is fed at
//! once, or it is told another time than it is.

use std::env;

use handover::cutover::Millis;
use handover::cutover::action::Action;
use handover::cutover::event::{Event, Fact};
use handover::cutover::journal::Record;
use handover::cutover::plan::{LinkStep, Plan, Proof};
use handover::cutover::state::State;

/// The pause's bound. The model's clock jumps from bound to bound, so that no other moment matters.
pub(crate) const MAX_PAUSE: Millis = Millis(1_000);
/// How much longer than what is left of the pause a fence lasts.
pub(crate) const FENCE_MARGIN: Millis = Millis(500);

/// Troubles in one history; how many a run explores is the exponent of its cost.
const TROUBLES_VARIABLE: &str = "HANDOVER_MODEL_TROUBLES";

/// How much of everything there is.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    /// Where histories begin.
    pub(crate) beginning: Beginning,
    pub(crate) plan: Plan,
    /// Writes of clients.
    pub(crate) writes: u8,
    /// Writes that bypass the proxy.
    pub(crate) bypass: u8,
    /// Migrations that begin, besides one that has been made before the beginning.
    pub(crate) migrations: u8,
    /// Cutovers and rollbacks that begin.
    pub(crate) attempts: u8,
    /// Crashes, lost replies, failures, operators who stop something, cut connections, late events: together.
    pub(crate) troubles: u8,
    /// How long a request that nobody waits for any more may be on its way.
    pub(crate) strays: Strays,
    pub(crate) removed: Removed,
}

/// Where histories begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// Nothing was ever asked for.
    Fresh,
    /// The target is filled and the link streams.
    InSync,
}

/// How long a request that was given up, or died with its process, can be on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strays {
    /// Until its server has answered a later one.
    Ordered,
    /// For ever.
    Timeless,
}

/// The protection that is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Removed {
    Nothing,
    /// Nobody waits for the writes in flight.
    Drain,
    /// Nobody waits until the target has applied what the source has acknowledged, nor looks at the detach.
    PositionWait,
    /// The detach does not look whether the position that was waited for is still there.
    DetachLook,
    /// What comes in after the bound leads on as if it had come before.
    SecondClock,
    /// The hold does not wait for the attempt's record.
    AttemptFlush,
    /// The commit does not wait for its record.
    CommitFlush,
    /// Writers that bypass the proxy are not kept out.
    Fence,
}

impl Rules {
    /// From a link that streams, with a link that can do everything.
    pub(crate) fn new() -> Rules {
        Rules {
            beginning: Beginning::InSync,
            plan: Plan {
                max_pause: MAX_PAUSE,
                arm_timeout: Millis(10_000),
                hold_below_bytes: 1,
                hold_below: Millis(0),
                proof: Proof::Position,
                fence: true,
                reverse: true,
            },
            writes: 2,
            bypass: 1,
            migrations: 0,
            attempts: 1,
            troubles: 1,
            strays: Strays::Ordered,
            removed: Removed::Nothing,
        }
    }

    /// Without a protection, and with no more around it than is needed to miss it.
    pub(crate) fn without(removed: Removed) -> Rules {
        let (writes, bypass, troubles) = match removed {
            Removed::Nothing => (2, 1, 1),
            Removed::Drain => (2, 0, 0),
            Removed::PositionWait => (1, 0, 0),
            Removed::SecondClock | Removed::Fence => (0, 1, 0),
            Removed::DetachLook | Removed::AttemptFlush | Removed::CommitFlush => (1, 0, 1),
        };
        Rules {
            writes,
            bypass,
            troubles,
            removed,
            ..Rules::new()
        }
    }

    /// As many more troubles as the environment asks for.
    pub(crate) fn on_demand(mut self) -> Rules {
        if let Ok(more) = env::var(TROUBLES_VARIABLE) {
            let more: u8 = more.parse().expect("HANDOVER_MODEL_TROUBLES is a number");
            self.troubles += more;
        }
        self
    }
}

impl Removed {
    /// What is fed at once where `action` is ordered.
    pub(crate) fn fed_at_once(self, action: &Action) -> Option<Event> {
        match (self, action) {
            (Removed::Drain, Action::AwaitDrain(number)) => {
                Some(Event::Happened(*number, Fact::WritesDrained))
            }
            (
                Removed::PositionWait,
                Action::Link {
                    number,
                    step: LinkStep::AwaitPosition,
                    ..
                },
            ) => Some(Event::Happened(*number, Fact::CaughtUp)),
            (
                Removed::Fence,
                Action::Link {
                    number,
                    step: LinkStep::Fence,
                    ..
                },
            ) => Some(Event::Happened(*number, Fact::Fenced)),
            (Removed::AttemptFlush, Action::FlushJournal(record @ Record::Attempt { .. }))
            | (Removed::CommitFlush, Action::FlushJournal(record @ Record::Committed { .. })) => {
                Some(Event::JournalFlushed(record.clone()))
            }
            _ => None,
        }
    }

    /// Whether the detach looks whether the target still has what was waited for.
    pub(crate) fn looks_again_at_the_detach(self) -> bool {
        !matches!(self, Removed::PositionWait | Removed::DetachLook)
    }

    /// Whether `action` is carried out all the same, and its outcome comes too.
    pub(crate) fn is_carried_out(self, action: &Action) -> bool {
        matches!(action, Action::FlushJournal(_)) || self.fed_at_once(action).is_none()
    }

    /// The time that the state machine is told.
    pub(crate) fn clock(self, state: &State, event: &Event, now: Millis) -> Millis {
        match (self, event, state.deadline()) {
            (Removed::SecondClock, Event::Happened(..), Some(deadline)) if now >= deadline => {
                Millis(deadline.0 - 1)
            }
            _ => now,
        }
    }
}
