//! The way back from an attempt that did not commit, and from a migration that is called off. The gate is reopened
//! first of all; what follows is felt by nobody.

use super::super::action::{Action, Alarm, Ending};
use super::super::event::{Event, Look, Request, Standing};
use super::super::journal::Record;
use super::super::reason::Reason;
use super::super::state::{Aborting, Committed, Felt, Fence, Idle, LinkTouched, State, WayBack};
use super::{Next, conclude, refuse_in, stay};
use crate::terms::Side;

/// What is to be undone: the contents of [`Aborting::Attempt`].
pub(super) struct Undo {
    pub(super) number: u64,
    pub(super) from: Side,
    pub(super) reasons: Vec<Reason>,
    pub(super) felt: Felt,
    pub(super) link: LinkTouched,
    pub(super) fence: Fence,
}

impl Undo {
    fn state(self) -> State {
        let Undo {
            number,
            from,
            reasons,
            felt,
            link,
            fence,
        } = self;
        State::Aborting(Aborting::Attempt {
            number,
            from,
            reasons,
            felt,
            link,
            fence,
        })
    }
}

/// Begins the undoing.
pub(super) fn undo(undo: Undo) -> Next {
    let mut actions = vec![Action::ReopenGate, Action::GiveUpLinkWork];
    actions.push(match undo.fence {
        Fence::Lifting => Action::Unfence { from: undo.from },
        Fence::None => Action::ObserveLink { from: undo.from },
    });
    match undo.link {
        LinkTouched::InDoubt => actions.push(Action::Raise(Alarm::DetachInDoubt)),
        LinkTouched::No | LinkTouched::Ended => {}
    }
    (undo.state(), actions)
}

/// The fence is lifted first; then a look at the link decides where things stand.
pub(super) fn attempt(mut undo: Undo, event: Event) -> Next {
    match event {
        Event::Unfenced => fence_lifted(undo),
        Event::UnfenceFailed(text) => {
            undo.reasons.push(Reason::FenceLeft(text));
            fence_lifted(undo)
        }
        Event::LinkReported { from, look } if from == undo.from => match undo.fence {
            Fence::None => ended(undo, &look),
            Fence::Lifting => stay(undo.state()),
        },
        Event::Asked(
            request @ (Request::Migrate { .. }
            | Request::Cutover { .. }
            | Request::Rollback { .. }
            | Request::Finalize),
        ) => refuse_in(undo.state(), request, BUSY),
        // Who asks for an abort waits for the end that is under way.
        Event::Asked(Request::Abort)
        | Event::LinkReported { .. }
        | Event::LinkPrepared
        | Event::LinkPrepareFailed(_)
        | Event::LinkEnded
        | Event::LinkEndFailed(_)
        | Event::JournalFlushed(_)
        | Event::JournalFailed { .. }
        | Event::Happened(..)
        | Event::TimeReached => stay(undo.state()),
    }
}

/// The link of a migration that is called off is being ended.
pub(super) fn migration(event: Event) -> Next {
    let state = State::Aborting(Aborting::Migration);
    match event {
        Event::LinkEnded => called_off(vec![Reason::CalledOff]),
        Event::LinkEndFailed(text) => called_off(vec![Reason::LinkNotEnded(text)]),
        Event::Asked(
            request @ (Request::Migrate { .. }
            | Request::Cutover { .. }
            | Request::Rollback { .. }
            | Request::Finalize),
        ) => refuse_in(state, request, BUSY),
        // Who asks for an abort waits for the end that is under way.
        Event::Asked(Request::Abort)
        | Event::LinkReported { .. }
        | Event::LinkPrepared
        | Event::LinkPrepareFailed(_)
        | Event::Unfenced
        | Event::UnfenceFailed(_)
        | Event::JournalFlushed(_)
        | Event::JournalFailed { .. }
        | Event::Happened(..)
        | Event::TimeReached => stay(state),
    }
}

const BUSY: &str = "something is being undone; wait a moment";

fn called_off(reasons: Vec<Reason>) -> Next {
    let actions = vec![
        Action::FlushJournal(Record::Stopped),
        conclude(Ending::Aborted, reasons),
    ];
    (State::Idle(Idle::CalledOff), actions)
}

fn fence_lifted(mut undo: Undo) -> Next {
    undo.fence = Fence::None;
    let look = Action::ObserveLink { from: undo.from };
    (undo.state(), vec![look])
}

fn ended(undo: Undo, look: &Look) -> Next {
    let Undo {
        number,
        from,
        mut reasons,
        felt,
        link,
        ..
    } = undo;
    let (state, after) = match from {
        Side::Source => source_stays(link, look),
        Side::Target => target_stays(number, link, look),
    };
    let mut actions = vec![];
    match link {
        LinkTouched::No => {}
        LinkTouched::Ended => reasons.push(Reason::LinkEnded),
        LinkTouched::InDoubt if look.link == Standing::Detached => {
            reasons.push(Reason::LinkEnded);
            actions.push(Action::Clear(Alarm::DetachInDoubt));
        }
        LinkTouched::InDoubt => {
            reasons.push(Reason::LinkInDoubt);
            // A start has raised nothing yet, and a later look will not know whose work it sees.
            if look.link == Standing::Unknown {
                actions.push(Action::Raise(Alarm::DetachInDoubt));
            }
        }
    }
    // Only now: who starts in the middle of the undoing lifts the fence, and knows whose work a detached link is.
    actions.push(Action::FlushJournal(Record::Aborted {
        number,
        reasons: reasons.iter().map(ToString::to_string).collect(),
    }));
    actions.extend(after);
    let ending = match felt {
        Felt::Nothing => Ending::Refused,
        Felt::Something => Ending::Aborted,
    };
    actions.push(conclude(ending, reasons));
    (state, actions)
}

fn source_stays(link: LinkTouched, look: &Look) -> Next {
    let idle = |why| {
        let actions = vec![Action::FlushJournal(Record::Stopped)];
        (State::Idle(why), actions)
    };
    match (look.link, link) {
        (Standing::Streaming, _) => stay(State::InSync(look.copy)),
        // The detach was confirmed, so a look that fails takes nothing back.
        (Standing::Unknown, LinkTouched::Ended)
        | (Standing::Detached, LinkTouched::InDoubt | LinkTouched::Ended) => {
            idle(Idle::DetachedByAttempt)
        }
        (Standing::Detached, LinkTouched::No) => idle(Idle::LinkGone),
        (Standing::Copying | Standing::Broken, _)
        | (Standing::Unknown, LinkTouched::No | LinkTouched::InDoubt) => stay(State::Syncing),
    }
}

/// A rollback was undone. Had it ended the reverse link, the link is made again: what it fills is the old source, which
/// nobody has written to.
fn target_stays(number: u64, link: LinkTouched, look: &Look) -> Next {
    let settled = |way_back| State::Committed(Committed::Settled(way_back));
    match (look.link, link) {
        (Standing::Streaming, _) => stay(settled(WayBack::Streaming(look.copy))),
        (Standing::Copying | Standing::Broken, _) | (Standing::Unknown, LinkTouched::No) => {
            stay(settled(WayBack::Behind))
        }
        (Standing::Detached, LinkTouched::No) => (
            settled(WayBack::Lost),
            vec![Action::Raise(Alarm::WayBackLost)],
        ),
        // A link that stands after all is not made anew by being told to.
        (Standing::Detached | Standing::Unknown, LinkTouched::InDoubt | LinkTouched::Ended) => (
            settled(WayBack::Trying {
                number,
                again_at: None,
            }),
            vec![Action::ReverseLink {
                number,
                from: Side::Source,
            }],
        ),
    }
}
