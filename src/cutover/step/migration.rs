//! Everything before an attempt: at rest, preparing, syncing, in sync.

use super::super::Millis;
use super::super::action::{Action, Ending};
use super::super::event::{Event, Look, Request, Standing};
use super::super::journal::Record;
use super::super::plan::{Attempt, CopyNumber};
use super::super::reason::Reason;
use super::super::state::{Aborting, Idle, Preparing, State};
use super::{Next, attempt, conclude, refuse_in, stay};
use crate::terms::Side;

const FORWARD: Side = Side::Source;

/// Nothing is under way and the source is active: only a migration can begin.
pub(super) fn at_rest(state: State, event: Event) -> Next {
    match event {
        Event::Asked(Request::Migrate { objections }) if objections.is_empty() => (
            State::Preparing(Preparing::Flushing),
            vec![Action::FlushJournal(Record::Migrating)],
        ),
        Event::Asked(Request::Migrate { objections }) => (state, vec![Action::Refuse(objections)]),
        Event::Asked(
            Request::Cutover { .. } | Request::Rollback { .. } | Request::Abort | Request::Finalize,
        ) => {
            let reasons = why_at_rest(&state);
            (state, vec![Action::Refuse(reasons)])
        }
        Event::LinkReported { .. }
        | Event::LinkPrepared
        | Event::LinkPrepareFailed(_)
        | Event::LinkEnded
        | Event::LinkEndFailed(_)
        | Event::Unfenced
        | Event::UnfenceFailed(_)
        | Event::JournalFlushed(_)
        | Event::JournalFailed { .. }
        | Event::Happened(..)
        | Event::TimeReached => stay(state),
    }
}

/// The link is being established.
pub(super) fn preparing(stage: Preparing, event: Event) -> Next {
    let state = State::Preparing(stage);
    match (stage, event) {
        (Preparing::Flushing, Event::JournalFlushed(Record::Migrating)) => (
            State::Preparing(Preparing::Linking),
            vec![Action::Accept, Action::PrepareLink],
        ),
        (
            Preparing::Flushing,
            Event::JournalFailed {
                record: Record::Migrating,
                text,
            },
        ) => (
            State::Idle(Idle::NotPrepared(text.clone())),
            vec![conclude(Ending::Refused, vec![Reason::Journal(text)])],
        ),
        (Preparing::Linking, Event::LinkPrepared) => {
            (State::Syncing, vec![Action::ObserveLink { from: FORWARD }])
        }
        (Preparing::Linking, Event::LinkPrepareFailed(text)) => (
            State::Idle(Idle::NotPrepared(text)),
            vec![Action::FlushJournal(Record::Stopped)],
        ),
        (Preparing::Flushing | Preparing::Linking, Event::Asked(Request::Abort)) => call_off(),
        (
            Preparing::Flushing | Preparing::Linking,
            Event::Asked(
                request @ (Request::Migrate { .. }
                | Request::Cutover { .. }
                | Request::Rollback { .. }
                | Request::Finalize),
            ),
        ) => refuse_in(state, request, UNDER_WAY),
        (
            Preparing::Flushing | Preparing::Linking,
            Event::LinkReported { .. }
            | Event::LinkPrepared
            | Event::LinkPrepareFailed(_)
            | Event::LinkEnded
            | Event::LinkEndFailed(_)
            | Event::Unfenced
            | Event::UnfenceFailed(_)
            | Event::JournalFlushed(_)
            | Event::JournalFailed { .. }
            | Event::Happened(..)
            | Event::TimeReached,
        ) => stay(state),
    }
}

/// There is a link that does not stream.
pub(super) fn syncing(event: Event) -> Next {
    match event {
        Event::LinkReported {
            from: FORWARD,
            look,
        } => after_look(State::Syncing, &look),
        Event::Asked(Request::Abort) => call_off(),
        Event::Asked(
            request @ (Request::Migrate { .. }
            | Request::Cutover { .. }
            | Request::Rollback { .. }
            | Request::Finalize),
        ) => refuse_in(State::Syncing, request, UNDER_WAY),
        Event::LinkReported {
            from: Side::Target, ..
        }
        | Event::LinkPrepared
        | Event::LinkPrepareFailed(_)
        | Event::LinkEnded
        | Event::LinkEndFailed(_)
        | Event::Unfenced
        | Event::UnfenceFailed(_)
        | Event::JournalFlushed(_)
        | Event::JournalFailed { .. }
        | Event::Happened(..)
        | Event::TimeReached => stay(State::Syncing),
    }
}

/// The link streams: an attempt can begin.
pub(super) fn in_sync(copy: CopyNumber, event: Event, now: Millis) -> Next {
    let state = State::InSync(copy);
    match event {
        Event::Asked(Request::Cutover {
            number,
            plan,
            objections,
        }) if objections.is_empty() => attempt::begin(
            Attempt {
                number,
                from: FORWARD,
                copy,
                plan,
            },
            now,
        ),
        Event::Asked(Request::Cutover { objections, .. }) => {
            (state, vec![Action::Refuse(objections)])
        }
        // Nothing is undone: the request may have crossed the end of an attempt, and a link is dear.
        Event::Asked(Request::Abort) => (
            state,
            vec![conclude(Ending::Aborted, vec![Reason::NothingUnderWay])],
        ),
        Event::Asked(
            request @ (Request::Migrate { .. } | Request::Rollback { .. } | Request::Finalize),
        ) => refuse_in(state, request, "the target is filled; `cutover` is next"),
        Event::LinkReported {
            from: FORWARD,
            look,
        } => after_look(state, &look),
        Event::LinkReported {
            from: Side::Target, ..
        }
        | Event::LinkPrepared
        | Event::LinkPrepareFailed(_)
        | Event::LinkEnded
        | Event::LinkEndFailed(_)
        | Event::Unfenced
        | Event::UnfenceFailed(_)
        | Event::JournalFlushed(_)
        | Event::JournalFailed { .. }
        | Event::Happened(..)
        | Event::TimeReached => stay(state),
    }
}

/// What the databases have to say is of no interest where nothing has begun.
fn why_at_rest(state: &State) -> Vec<Reason> {
    let what_to_do = "nothing is under way; `migrate` begins a migration";
    let mut reasons = vec![Reason::WrongPhase {
        phase: state.phase(),
        what_to_do,
    }];
    match state {
        State::Idle(why) => reasons.push(Reason::Idle(why.clone())),
        State::RolledBack(text) => reasons.push(Reason::NotTurned(text.clone())),
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
        | State::RollingBack(_) => {}
    }
    reasons
}

const UNDER_WAY: &str = "wait until it is in_sync (`status --watch`), or `abort`";

/// Stops a migration that is not in sync.
fn call_off() -> Next {
    let actions = vec![Action::GiveUpLinkWork, Action::EndLink { from: FORWARD }];
    (State::Aborting(Aborting::Migration), actions)
}

/// Where a look at the link leads; `unknown` where it tells nothing.
fn after_look(unknown: State, look: &Look) -> Next {
    match look.link {
        Standing::Streaming => stay(State::InSync(look.copy)),
        Standing::Copying | Standing::Broken => stay(State::Syncing),
        Standing::Detached => (
            State::Idle(Idle::LinkGone),
            vec![Action::FlushJournal(Record::Stopped)],
        ),
        Standing::Unknown => stay(unknown),
    }
}
