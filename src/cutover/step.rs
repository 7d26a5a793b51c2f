//! The state machine: one pure function from a state, an event and the time to the next state and the orders that
//! follow. No clock, no sockets, no chance: what runs in production is what the tests explore.
//!
//! Two rules hold everywhere. Unknown is never "go": only a positive report lets the next step begin, and everything
//! else waits for the bound. And what an attempt has changed is undone by [`undo`] alone, until the commit is on the
//! disk; from then on nothing is.
//!
//! Read next: [`attempt`] (arm to the end of the link), [`crossing`] (commit to release), [`migration`] (everything
//! before), [`settled`] (everything after), [`undo`].

mod attempt;
mod crossing;
mod migration;
mod settled;
mod undo;

use super::Millis;
use super::action::{Action, Conclusion, Ending};
use super::event::{Event, Request};
use super::journal::{Resumed, ReversalSeen, Stage};
use super::reason::Reason;
use super::state::{
    Aborting, Committed, Detach, Felt, Fence, Idle, LinkTouched, RollingBack, State, WayBack,
};
use crate::link::Reverse;
use crate::terms::Side;

use attempt::At;

pub use settled::TRY_AGAIN_AFTER;

/// A state, and what is ordered on the way into it.
pub type Next = (State, Vec<Action>);

/// What follows from `event` at `now`. Facts of another attempt than the state's change nothing.
#[must_use]
pub fn step(state: State, event: Event, now: Millis) -> Next {
    if let Event::Happened(number, _) = event
        && state.attempt_number() != Some(number)
    {
        return stay(state);
    }
    match state {
        State::Idle(_) | State::RolledBack(_) => migration::at_rest(state, event),
        State::Preparing(stage) => migration::preparing(stage, event),
        State::Syncing => migration::syncing(event),
        State::InSync(copy) => migration::in_sync(copy, event, now),
        State::Arming(arming) => attempt::arming(arming, event, now),
        State::Holding(held) => attempt::held(held, At::Closing, event, now),
        State::Draining(held, drain) => attempt::held(held, At::Draining(drain), event, now),
        State::CatchingUp(held, stage) => attempt::held(held, At::CatchingUp(stage), event, now),
        State::Detaching(held, Detach::Ending) => attempt::held(held, At::Ending, event, now),
        State::Detaching(held, Detach::Flushing) => crossing::flushing(held, event),
        State::Committed(Committed::Crossing(crossing))
        | State::RollingBack(RollingBack::Crossing(crossing)) => {
            crossing::crossing(crossing, event, now)
        }
        State::Committed(Committed::Settled(way_back)) => settled::settled(way_back, event, now),
        State::Committed(Committed::EndingLink) => settled::ending_link(event),
        State::Committed(Committed::Finalizing(notes)) => settled::finalizing(notes, event),
        State::Finalized => settled::finalized(event),
        State::Aborting(Aborting::Attempt {
            number,
            from,
            reasons,
            felt,
            link,
            fence,
        }) => undo::attempt(
            undo::Undo {
                number,
                from,
                reasons,
                felt,
                link,
                fence,
            },
            event,
        ),
        State::Aborting(Aborting::Migration) => undo::migration(event),
        State::RollingBack(RollingBack::Settling { number }) => crossing::settling(number, event),
    }
}

/// Where a process begins that finds this journal, with a link that goes back as `reverse` says.
#[must_use]
pub fn start(resumed: &Resumed, reverse: Reverse) -> Next {
    match resumed.stage {
        Stage::Idle => stay(State::Idle(Idle::NeverMigrated)),
        Stage::Migrating => (
            State::Syncing,
            vec![Action::ObserveLink { from: Side::Source }],
        ),
        Stage::Interrupted { number, from } => {
            let aborting = Aborting::Attempt {
                number,
                from,
                reasons: vec![Reason::Interrupted],
                felt: Felt::Something,
                link: LinkTouched::InDoubt,
                fence: Fence::Lifting,
            };
            (State::Aborting(aborting), vec![Action::Unfence { from }])
        }
        Stage::Committed { number, reversal } => {
            let (way_back, actions) = match reversal {
                ReversalSeen::NotPlanned => (WayBack::None, vec![]),
                ReversalSeen::Confirmed if reverse == Reverse::ByKeys => try_again(number),
                ReversalSeen::Unconfirmed => try_again(number),
                ReversalSeen::Confirmed => (
                    WayBack::Behind,
                    vec![Action::ObserveLink { from: Side::Target }],
                ),
            };
            (State::Committed(Committed::Settled(way_back)), actions)
        }
        Stage::RolledBack => stay(State::RolledBack("the link was not turned".to_owned())),
        Stage::Finalized => stay(State::Finalized),
    }
}

/// The way back is to be made, or made again: a copy of changed keys has ended with the process that made it.
fn try_again(number: u64) -> (WayBack, Vec<Action>) {
    let order = Action::ReverseLink {
        number,
        from: Side::Source,
    };
    let way_back = WayBack::Trying {
        number,
        again_at: None,
    };
    (way_back, vec![order])
}

fn stay(state: State) -> Next {
    (state, vec![])
}

/// Refuses `request`, which the state has no use for.
fn refuse_in(state: State, request: Request, what_to_do: &'static str) -> Next {
    let wrong_phase = Reason::WrongPhase {
        phase: state.phase(),
        what_to_do,
    };
    let mut reasons = match request {
        Request::Migrate { objections }
        | Request::Cutover { objections, .. }
        | Request::Rollback { objections, .. } => objections,
        Request::Abort | Request::Finalize => vec![],
    };
    reasons.insert(0, wrong_phase);
    (state, vec![Action::Refuse(reasons)])
}

fn conclude(ending: Ending, reasons: Vec<Reason>) -> Action {
    Action::Conclude(Conclusion { ending, reasons })
}

#[cfg(test)]
mod tests;
