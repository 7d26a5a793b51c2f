//! After the release of a cutover: the target is active. The way back is kept, watched, and given up.

use super::super::Millis;
use super::super::action::{Action, Alarm, Ending};
use super::super::event::{Event, Fact, Look, Request, Standing};
use super::super::journal::Record;
use super::super::plan::Attempt;
use super::super::reason::Reason;
use super::super::state::{Committed, State, WayBack};
use super::{Next, attempt, conclude, refuse_in, stay};
use crate::terms::Side;

/// Between two tries to turn the link: long enough for a server to come back, short enough to be there when wanted.
pub const TRY_AGAIN_AFTER: Millis = Millis(5_000);

/// Everything runs on the target.
pub(super) fn settled(way_back: WayBack, event: Event, now: Millis) -> Next {
    match event {
        Event::Asked(request) => asked(way_back, request, now),
        Event::LinkReported {
            from: Side::Target,
            look,
        } => watched(way_back, &look),
        Event::LinkReported {
            from: Side::Source,
            look,
        } => {
            let alarm = match look.link {
                Standing::Streaming | Standing::Copying | Standing::Broken => {
                    vec![Action::Raise(Alarm::TargetFollowsSource)]
                }
                Standing::Detached => vec![Action::Clear(Alarm::TargetFollowsSource)],
                Standing::Unknown => vec![],
            };
            (state(way_back), alarm)
        }
        Event::Happened(number, Fact::ReverseConfirmed) => confirmed(number, WayBack::Behind),
        Event::Happened(number, Fact::ReverseFailed(_)) => {
            let again_at = Some(now.plus(TRY_AGAIN_AFTER));
            let way_back = WayBack::Trying { number, again_at };
            (
                state(way_back),
                vec![Action::Raise(Alarm::WayBackUnconfirmed)],
            )
        }
        Event::TimeReached => match way_back {
            WayBack::Trying {
                number,
                again_at: Some(again_at),
            } if now >= again_at => {
                let order = Action::ReverseLink {
                    number,
                    from: Side::Source,
                };
                (
                    state(WayBack::Trying {
                        number,
                        again_at: None,
                    }),
                    vec![order],
                )
            }
            WayBack::Trying { .. }
            | WayBack::None
            | WayBack::Streaming(_)
            | WayBack::Behind
            | WayBack::Lost => stay(state(way_back)),
        },
        Event::LinkPrepared
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
        ) => stay(state(way_back)),
    }
}

/// The reverse link is being ended. It does not matter whether that works: if it stands on, it fills a database that
/// nobody uses.
pub(super) fn ending_link(event: Event) -> Next {
    match event {
        Event::LinkEnded => finalize(vec![]),
        Event::LinkEndFailed(text) => finalize(vec![Reason::LinkNotEnded(text)]),
        Event::Asked(request) => {
            refuse_in(State::Committed(Committed::EndingLink), request, FINALIZING)
        }
        Event::LinkReported { .. }
        | Event::LinkPrepared
        | Event::LinkPrepareFailed(_)
        | Event::Unfenced
        | Event::UnfenceFailed(_)
        | Event::JournalFlushed(_)
        | Event::JournalFailed { .. }
        | Event::Happened(..)
        | Event::TimeReached => stay(State::Committed(Committed::EndingLink)),
    }
}

/// The end is on its way to the disk.
pub(super) fn finalizing(notes: Vec<Reason>, event: Event) -> Next {
    match event {
        Event::JournalFlushed(Record::Finalized) => {
            let actions = vec![
                Action::Clear(Alarm::WayBackBroken),
                Action::Clear(Alarm::WayBackLost),
                Action::Clear(Alarm::WayBackUnconfirmed),
                conclude(Ending::Finalized, notes),
            ];
            (State::Finalized, actions)
        }
        Event::JournalFailed {
            record: Record::Finalized,
            text,
        } => {
            let actions = vec![conclude(Ending::Refused, vec![Reason::Journal(text)])];
            (state(WayBack::Lost), actions)
        }
        Event::Asked(request) => refuse_in(
            State::Committed(Committed::Finalizing(notes)),
            request,
            FINALIZING,
        ),
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
        | Event::TimeReached => stay(State::Committed(Committed::Finalizing(notes))),
    }
}

/// The end: nothing is sent to the databases any more, and nothing can be asked for.
pub(super) fn finalized(event: Event) -> Next {
    match event {
        Event::Asked(request) => refuse_in(
            State::Finalized,
            request,
            "it is over; another migration needs a configuration and a state.dir of its own",
        ),
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
        | Event::TimeReached => stay(State::Finalized),
    }
}

const FINALIZING: &str = "the way back is being given up; wait a moment";

fn asked(way_back: WayBack, request: Request, now: Millis) -> Next {
    match (request, way_back) {
        (
            Request::Rollback {
                number,
                plan,
                objections,
            },
            WayBack::Streaming(copy),
        ) if objections.is_empty() => attempt::begin(
            Attempt {
                number,
                from: Side::Target,
                copy,
                plan,
            },
            now,
        ),
        (Request::Rollback { mut objections, .. }, way_back) => {
            if let Some(why) = no_way_back(&way_back) {
                objections.insert(0, Reason::NoWayBack(why));
            }
            (state(way_back), vec![Action::Refuse(objections)])
        }
        (Request::Finalize, WayBack::None | WayBack::Lost) => finalize(vec![]),
        (Request::Finalize, WayBack::Trying { .. } | WayBack::Streaming(_) | WayBack::Behind) => {
            let actions = vec![
                Action::GiveUpLinkWork,
                Action::EndLink { from: Side::Target },
            ];
            (State::Committed(Committed::EndingLink), actions)
        }
        (
            request @ (Request::Migrate { .. } | Request::Cutover { .. } | Request::Abort),
            way_back,
        ) => refuse_in(
            state(way_back),
            request,
            "the target is active; `rollback` leads back, `finalize` gives the way back up",
        ),
    }
}

/// Why a rollback cannot be, as far as the link's own state says.
fn no_way_back(way_back: &WayBack) -> Option<&'static str> {
    match way_back {
        WayBack::None => Some("no reverse link was made ([cutover] reverse, or the link's driver)"),
        WayBack::Trying { .. } => Some("the reverse link is not confirmed yet; it is tried on"),
        WayBack::Behind => {
            Some("the reverse link does not stream; wait, or look at the old source")
        }
        WayBack::Lost => {
            Some("the reverse link is gone; migrate back with a configuration of its own")
        }
        WayBack::Streaming(_) => None,
    }
}

/// What a look at the reverse link says.
fn watched(way_back: WayBack, look: &Look) -> Next {
    match (way_back, look.link) {
        (WayBack::None, _) => stay(state(WayBack::None)),
        (WayBack::Trying { number, .. }, Standing::Streaming) => {
            confirmed(number, WayBack::Streaming(look.copy))
        }
        (WayBack::Trying { number, .. }, Standing::Copying) => confirmed(number, WayBack::Behind),
        (
            WayBack::Trying { number, again_at },
            Standing::Broken | Standing::Detached | Standing::Unknown,
        ) => stay(state(WayBack::Trying { number, again_at })),
        (WayBack::Streaming(_) | WayBack::Behind | WayBack::Lost, Standing::Streaming) => {
            let actions = vec![
                Action::Clear(Alarm::WayBackBroken),
                Action::Clear(Alarm::WayBackLost),
            ];
            (state(WayBack::Streaming(look.copy)), actions)
        }
        (WayBack::Streaming(_), Standing::Copying)
        | (WayBack::Streaming(_) | WayBack::Behind, Standing::Broken) => (
            state(WayBack::Behind),
            vec![Action::Raise(Alarm::WayBackBroken)],
        ),
        (WayBack::Streaming(_) | WayBack::Behind, Standing::Detached) => (
            state(WayBack::Lost),
            vec![Action::Raise(Alarm::WayBackLost)],
        ),
        (WayBack::Streaming(copy), Standing::Unknown) => stay(state(WayBack::Streaming(copy))),
        // It has just been made, and connects.
        (WayBack::Behind, Standing::Copying | Standing::Unknown) => stay(state(WayBack::Behind)),
        (
            WayBack::Lost,
            Standing::Copying | Standing::Broken | Standing::Detached | Standing::Unknown,
        ) => stay(state(WayBack::Lost)),
    }
}

fn confirmed(number: u64, way_back: WayBack) -> Next {
    let actions = vec![
        Action::FlushJournal(Record::Reversed { number }),
        Action::Clear(Alarm::WayBackUnconfirmed),
        Action::ObserveLink { from: Side::Target },
    ];
    (state(way_back), actions)
}

fn finalize(notes: Vec<Reason>) -> Next {
    let actions = vec![Action::FlushJournal(Record::Finalized)];
    (State::Committed(Committed::Finalizing(notes)), actions)
}

fn state(way_back: WayBack) -> State {
    State::Committed(Committed::Settled(way_back))
}
