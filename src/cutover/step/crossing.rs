//! From the commit's flush to the release: steps 9 to 11, forward only, and nothing waits longer than the pause may
//! last.

use super::super::Millis;
use super::super::action::{Action, Alarm, Ending};
use super::super::event::{Event, Fact, Request, Standing};
use super::super::journal::Record;
use super::super::plan::Attempt;
use super::super::reason::Reason;
use super::super::state::{
    Committed, Crossing, Detach, Held, Reversal, RollingBack, State, WayBack,
};
use super::settled::TRY_AGAIN_AFTER;
use super::{Next, attempt, conclude, refuse_in, stay};
use crate::terms::Side;

/// The commit is on its way to the disk. Only the outcome leads on, not the clock: while nobody knows whether the
/// record is there, neither side may be written to.
pub(super) fn flushing(held: Held, event: Event) -> Next {
    let number = held.attempt.number;
    match event {
        Event::JournalFlushed(Record::Committed {
            number: flushed, ..
        }) if flushed == number => begin(held),
        Event::JournalFailed {
            record: Record::Committed { number: failed, .. },
            text,
        } if failed == number => attempt::not_committed(&held, Reason::Journal(text)),
        Event::Asked(request) => {
            let state = State::Detaching(held, Detach::Flushing);
            refuse_in(
                state,
                request,
                "the commit is being written; `rollback` is possible after it",
            )
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
        | Event::TimeReached => stay(State::Detaching(held, Detach::Flushing)),
    }
}

/// The commit is on the disk: the gate turns, then the link and the sessions, both at once.
fn begin(held: Held) -> Next {
    let Attempt { number, from, .. } = held.attempt;
    let mut actions = vec![Action::CommitGate(number)];
    actions.extend(forget_the_way_back());
    let reversal = if held.attempt.plan.reverse {
        actions.push(Action::ReverseLink { number, from });
        Reversal::Outstanding
    } else {
        Reversal::NotPlanned
    };
    actions.push(Action::MoveSessions(number));
    (
        state(Crossing {
            held,
            moved: false,
            reversal,
        }),
        actions,
    )
}

/// Writes are held, the commit is made.
pub(super) fn crossing(mut crossing: Crossing, event: Event, now: Millis) -> Next {
    let mut actions = vec![];
    match event {
        Event::Asked(request) => {
            return refuse_in(
                state(crossing),
                request,
                "it has just committed; ask again in a moment",
            );
        }
        Event::Happened(_, Fact::SessionsMoved) => crossing.moved = true,
        Event::Happened(number, Fact::ReverseConfirmed) => {
            crossing.reversal = Reversal::Confirmed;
            actions.push(Action::FlushJournal(Record::Reversed { number }));
        }
        Event::Happened(_, Fact::ReverseFailed(text)) => crossing.reversal = Reversal::Failed(text),
        Event::LinkReported { .. }
        | Event::LinkPrepared
        | Event::LinkPrepareFailed(_)
        | Event::LinkEnded
        | Event::LinkEndFailed(_)
        | Event::Unfenced
        | Event::UnfenceFailed(_)
        | Event::JournalFlushed(_)
        | Event::JournalFailed { .. }
        | Event::Happened(
            _,
            Fact::SessionsPrepared(_)
            | Fact::GateClosed
            | Fact::WritesDrained
            | Fact::BlockedReleased
            | Fact::MarkerWritten
            | Fact::Fenced
            | Fact::PositionSampled
            | Fact::CaughtUp
            | Fact::MarkerSeen
            | Fact::Aligned
            | Fact::Detached
            | Fact::DetachFailed(_)
            | Fact::LinkStepFailed(_),
        )
        | Event::TimeReached => {}
    }
    let done = crossing.moved && crossing.reversal != Reversal::Outstanding;
    if !done && now < crossing.held.deadline {
        return (state(crossing), actions);
    }
    actions.push(Action::ReleaseGate);
    let (state, after) = match crossing.held.attempt.from {
        Side::Source => cut_over(crossing, now),
        Side::Target => rolled_back(crossing),
    };
    actions.extend(after);
    (state, actions)
}

/// After the release of a rollback: whether the link was turned is outstanding. Either answer ends it, and so does a
/// look that shows the link.
pub(super) fn settling(number: u64, event: Event) -> Next {
    let state = State::RollingBack(RollingBack::Settling { number });
    match event {
        Event::Happened(_, Fact::ReverseConfirmed) => linked_again(number),
        Event::Happened(_, Fact::ReverseFailed(text)) => without_link(text),
        Event::LinkReported {
            from: Side::Source,
            look,
        } => match look.link {
            Standing::Streaming | Standing::Copying => linked_again(number),
            Standing::Broken | Standing::Detached | Standing::Unknown => stay(state),
        },
        Event::Asked(
            request @ (Request::Migrate { .. }
            | Request::Cutover { .. }
            | Request::Rollback { .. }
            | Request::Abort
            | Request::Finalize),
        ) => refuse_in(
            state,
            request,
            "the source is active again; wait until the link is settled",
        ),
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
        | Event::Happened(
            _,
            Fact::SessionsPrepared(_)
            | Fact::GateClosed
            | Fact::WritesDrained
            | Fact::BlockedReleased
            | Fact::MarkerWritten
            | Fact::Fenced
            | Fact::PositionSampled
            | Fact::CaughtUp
            | Fact::MarkerSeen
            | Fact::Aligned
            | Fact::Detached
            | Fact::DetachFailed(_)
            | Fact::LinkStepFailed(_)
            | Fact::SessionsMoved,
        )
        | Event::TimeReached => stay(state),
    }
}

fn state(crossing: Crossing) -> State {
    match crossing.held.attempt.from {
        Side::Source => State::Committed(Committed::Crossing(crossing)),
        Side::Target => State::RollingBack(RollingBack::Crossing(crossing)),
    }
}

fn cut_over(crossing: Crossing, now: Millis) -> Next {
    let number = crossing.held.attempt.number;
    let mut reasons = vec![];
    let (way_back, mut actions) = match crossing.reversal {
        Reversal::NotPlanned => (WayBack::None, vec![]),
        Reversal::Confirmed => (
            WayBack::Behind,
            vec![Action::ObserveLink { from: Side::Target }],
        ),
        Reversal::Outstanding => {
            reasons.push(Reason::ReversalUnconfirmed(
                "no answer within the pause".to_owned(),
            ));
            let way_back = WayBack::Trying {
                number,
                again_at: None,
            };
            (way_back, vec![Action::Raise(Alarm::WayBackUnconfirmed)])
        }
        Reversal::Failed(text) => {
            reasons.push(Reason::ReversalUnconfirmed(text));
            let way_back = WayBack::Trying {
                number,
                again_at: Some(now.plus(TRY_AGAIN_AFTER)),
            };
            (way_back, vec![Action::Raise(Alarm::WayBackUnconfirmed)])
        }
    };
    actions.push(conclude(Ending::Committed, reasons));
    (State::Committed(Committed::Settled(way_back)), actions)
}

fn rolled_back(crossing: Crossing) -> Next {
    let number = crossing.held.attempt.number;
    match crossing.reversal {
        // On the disk since the confirmation.
        Reversal::Confirmed => in_sync_soon(),
        Reversal::Outstanding => stay(State::RollingBack(RollingBack::Settling { number })),
        Reversal::Failed(text) => without_link(text),
        Reversal::NotPlanned => {
            without_link("this link does not go on the other way round".to_owned())
        }
    }
}

fn linked_again(number: u64) -> Next {
    let (state, mut actions) = in_sync_soon();
    actions.insert(0, Action::FlushJournal(Record::Reversed { number }));
    (state, actions)
}

/// What a person had to look at while the target was active.
fn forget_the_way_back() -> impl Iterator<Item = Action> {
    [
        Alarm::WayBackUnconfirmed,
        Alarm::WayBackBroken,
        Alarm::WayBackLost,
        Alarm::TargetFollowsSource,
    ]
    .into_iter()
    .map(Action::Clear)
}

/// The target follows the source again: the next look that sees it stream says "in sync".
fn in_sync_soon() -> Next {
    let look = Action::ObserveLink { from: Side::Source };
    (
        State::Syncing,
        vec![look, conclude(Ending::RolledBack, vec![])],
    )
}

fn without_link(text: String) -> Next {
    let actions = vec![
        Action::FlushJournal(Record::RolledBack),
        conclude(Ending::RolledBack, vec![Reason::NotTurned(text.clone())]),
    ];
    (State::RolledBack(text), actions)
}
