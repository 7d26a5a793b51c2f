//! What follows from a state, written out for each.

use super::{
    Aborting, Arming, CatchUp, Committed, Crossing, Detach, Drain, RollingBack, State, WayBack,
};
use crate::cutover::Millis;
use crate::cutover::plan::LinkStep;
use crate::terms::Side;

impl State {
    /// The side that owns writes.
    #[must_use]
    pub fn active(&self) -> Side {
        match self {
            State::Idle(_)
            | State::Preparing(_)
            | State::Syncing
            | State::InSync(_)
            | State::Aborting(Aborting::Migration)
            | State::RollingBack(_)
            | State::RolledBack(_) => Side::Source,
            State::Committed(_) | State::Finalized => Side::Target,
            State::Aborting(Aborting::Attempt { from, .. }) => *from,
            State::Arming(Arming { attempt, .. }) => attempt.from,
            State::Holding(held)
            | State::Draining(held, _)
            | State::CatchingUp(held, _)
            | State::Detaching(held, _) => held.attempt.from,
        }
    }

    /// The name of the state as operators read it. A rollback is one state to them, whatever step it is at.
    #[must_use]
    pub fn phase(&self) -> &'static str {
        match self {
            State::Idle(_) => "idle",
            State::Preparing(_) => "preparing",
            State::Syncing => "syncing",
            State::InSync(_) => "in_sync",
            State::Aborting(_) => "aborting",
            State::Arming(_)
            | State::Holding(_)
            | State::Draining(..)
            | State::CatchingUp(..)
            | State::Detaching(..)
                if self.active() == Side::Target =>
            {
                "rolling_back"
            }
            State::Arming(_) => "arming",
            State::Holding(_) => "holding",
            State::Draining(..) => "draining",
            State::CatchingUp(..) => "catching_up",
            State::Detaching(..) => "detaching",
            State::Committed(_) => "committed",
            State::Finalized => "finalized",
            State::RollingBack(_) => "rolling_back",
            State::RolledBack(_) => "rolled_back",
        }
    }

    /// The step of an attempt, finer than the phase; none where no attempt is under way.
    #[must_use]
    pub fn step(&self) -> Option<&'static str> {
        Some(match self {
            State::Arming(_) => "arm",
            State::Holding(_) => "hold",
            State::Draining(_, Drain::Writes) => "drain",
            State::Draining(_, Drain::Blocked) => "release_blocked",
            State::CatchingUp(_, CatchUp::AtLink(LinkStep::WriteMarker)) => "mark",
            State::CatchingUp(_, CatchUp::AtLink(LinkStep::Fence)) => "fence",
            State::CatchingUp(_, CatchUp::AtLink(LinkStep::SamplePosition)) => "sample",
            State::CatchingUp(_, CatchUp::AtLink(LinkStep::AwaitPosition)) => "catch_up",
            State::CatchingUp(_, CatchUp::AtLink(LinkStep::AwaitMarker)) => "await_marker",
            State::CatchingUp(_, CatchUp::Aligning) => "align",
            State::Detaching(_, Detach::Ending) => "detach",
            State::Detaching(_, Detach::Flushing) => "commit",
            State::Committed(Committed::Crossing(crossing))
            | State::RollingBack(RollingBack::Crossing(crossing)) => {
                if crossing.moved {
                    "reverse"
                } else {
                    "move"
                }
            }
            State::Idle(_)
            | State::Preparing(_)
            | State::Syncing
            | State::InSync(_)
            | State::Aborting(_)
            | State::Committed(
                Committed::Settled(_) | Committed::EndingLink | Committed::Finalizing(_),
            )
            | State::Finalized
            | State::RollingBack(RollingBack::Settling { .. })
            | State::RolledBack(_) => return None,
        })
    }

    /// The attempt whose facts this state waits for.
    #[must_use]
    pub fn attempt_number(&self) -> Option<u64> {
        match self {
            State::Arming(Arming { attempt, .. }) => Some(attempt.number),
            State::Holding(held)
            | State::Draining(held, _)
            | State::CatchingUp(held, _)
            | State::Detaching(held, _)
            | State::Committed(Committed::Crossing(Crossing { held, .. }))
            | State::RollingBack(RollingBack::Crossing(Crossing { held, .. })) => {
                Some(held.attempt.number)
            }
            State::Committed(Committed::Settled(WayBack::Trying { number, .. }))
            | State::RollingBack(RollingBack::Settling { number, .. }) => Some(*number),
            State::Idle(_)
            | State::Preparing(_)
            | State::Syncing
            | State::InSync(_)
            | State::Aborting(_)
            | State::Committed(
                Committed::Settled(
                    WayBack::None | WayBack::Streaming(_) | WayBack::Behind | WayBack::Lost,
                )
                | Committed::EndingLink
                | Committed::Finalizing(_),
            )
            | State::Finalized
            | State::RolledBack(_) => None,
        }
    }

    /// When the state wants to hear that time has passed, if at all.
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        match self {
            State::Arming(arming) => Some(arming.give_up_at),
            State::Holding(held)
            | State::Draining(held, _)
            | State::CatchingUp(held, _)
            | State::Detaching(held, Detach::Ending)
            | State::Committed(Committed::Crossing(Crossing { held, .. }))
            | State::RollingBack(RollingBack::Crossing(Crossing { held, .. })) => {
                Some(held.deadline)
            }
            State::Committed(Committed::Settled(WayBack::Trying { again_at, .. })) => *again_at,
            // The answer decides on which side writes may run, so there is nothing to do but to wait for it.
            State::Detaching(_, Detach::Flushing)
            | State::Idle(_)
            | State::Preparing(_)
            | State::Syncing
            | State::InSync(_)
            | State::Aborting(_)
            | State::Committed(
                Committed::Settled(
                    WayBack::None | WayBack::Streaming(_) | WayBack::Behind | WayBack::Lost,
                )
                | Committed::EndingLink
                | Committed::Finalizing(_),
            )
            | State::Finalized
            | State::RollingBack(RollingBack::Settling { .. })
            | State::RolledBack(_) => None,
        }
    }

    /// Which directions of the link, named by the copied side, are to be looked at from time to time. Empty where
    /// nothing is under way, and inside the pause, where a look would stand in the way of the steps.
    #[must_use]
    pub fn observed(&self) -> &'static [Side] {
        match self {
            State::Syncing
            | State::InSync(_)
            | State::RollingBack(RollingBack::Settling { .. }) => &[Side::Source],
            State::Arming(arming) => match arming.attempt.from {
                Side::Source => &[Side::Source],
                Side::Target => &[Side::Target],
            },
            // The other direction too: should the target ever follow the source again, it would be flushed.
            State::Committed(Committed::Settled(_)) => &[Side::Target, Side::Source],
            State::Idle(_)
            | State::Preparing(_)
            | State::Holding(_)
            | State::Draining(..)
            | State::CatchingUp(..)
            | State::Detaching(..)
            | State::Committed(
                Committed::Crossing(_) | Committed::EndingLink | Committed::Finalizing(_),
            )
            | State::Finalized
            | State::Aborting(_)
            | State::RollingBack(RollingBack::Crossing(_))
            | State::RolledBack(_) => &[],
        }
    }
}
