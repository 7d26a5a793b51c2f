//! An attempt, from arming to the end of the link: steps 2 to 8. Every way out leads to [`undo`].

use std::collections::BTreeSet;

use super::super::Millis;
use super::super::action::{Action, Alarm};
use super::super::event::{Event, Fact, Look, Request, Standing};
use super::super::journal::Record;
use super::super::plan::{Attempt, LinkStep};
use super::super::reason::Reason;
use super::super::state::{
    Arming, CatchUp, Detach, Drain, Felt, Fence, Held, LinkTouched, Need, State,
};
use super::undo::{Undo, undo};
use super::{Next, refuse_in, stay};

const BUSY: &str = "wait for the end of the attempt that is under way, or `abort`";

/// Step 2: everything that can be done before anything is held.
pub(super) fn begin(attempt: Attempt, now: Millis) -> Next {
    let Attempt { number, from, .. } = attempt;
    let actions = vec![
        Action::Clear(Alarm::DetachInDoubt),
        Action::ArmSessions(number),
        Action::FlushJournal(Record::Attempt { number, from }),
        Action::ObserveLink { from },
    ];
    let give_up_at = now.plus(attempt.plan.arm_timeout);
    let needs = BTreeSet::from([Need::AttemptFlushed, Need::SessionsPrepared]);
    (
        State::Arming(Arming {
            attempt,
            give_up_at,
            needs,
        }),
        actions,
    )
}

/// Nothing is held yet: what goes wrong here is a refusal.
pub(super) fn arming(arming: Arming, event: Event, now: Millis) -> Next {
    if now >= arming.give_up_at && !matches!(event, Event::Asked(_)) {
        let awaited = awaited(&arming);
        return disarm(&arming, Felt::Nothing, vec![Reason::ArmTimeout(awaited)]);
    }
    let number = arming.attempt.number;
    match event {
        Event::Asked(Request::Abort) => disarm(&arming, Felt::Something, vec![Reason::Operator]),
        Event::Asked(
            request @ (Request::Migrate { .. }
            | Request::Cutover { .. }
            | Request::Rollback { .. }
            | Request::Finalize),
        ) => refuse_in(State::Arming(arming), request, BUSY),
        Event::LinkReported { from, look } if from == arming.attempt.from => {
            looked(arming, &look, now)
        }
        Event::JournalFlushed(Record::Attempt {
            number: flushed, ..
        }) if flushed == number => met(arming, Need::AttemptFlushed),
        Event::JournalFailed {
            record: Record::Attempt { number: failed, .. },
            text,
        } if failed == number => disarm(&arming, Felt::Nothing, vec![Reason::Journal(text)]),
        Event::Happened(_, Fact::SessionsPrepared(missing)) if missing.is_empty() => {
            met(arming, Need::SessionsPrepared)
        }
        Event::Happened(_, Fact::SessionsPrepared(missing)) => {
            let reasons = missing.into_iter().map(Reason::NotPrepared).collect();
            disarm(&arming, Felt::Nothing, reasons)
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
        | Event::Happened(
            _,
            Fact::GateClosed
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
            | Fact::ReverseConfirmed
            | Fact::ReverseFailed(_)
            | Fact::SessionsMoved,
        )
        | Event::TimeReached => stay(State::Arming(arming)),
    }
}

/// Where an attempt is between the hold and the end of the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    /// Step 3.
    Closing,
    /// Step 4.
    Draining(Drain),
    /// Steps 5 and 6.
    CatchingUp(CatchUp),
    /// Step 8.
    Ending,
}

impl At {
    fn state(self, held: Held) -> State {
        match self {
            At::Closing => State::Holding(held),
            At::Draining(drain) => State::Draining(held, drain),
            At::CatchingUp(stage) => State::CatchingUp(held, stage),
            At::Ending => State::Detaching(held, Detach::Ending),
        }
    }
}

/// Writes are held and nothing is committed. Step 7, the second look at the clock, is the first line: no event, that
/// which would order the detach included, leads on when the pause has lasted as long as it may.
pub(super) fn held(held: Held, at: At, event: Event, now: Millis) -> Next {
    if now >= held.deadline && !matches!(event, Event::Asked(_)) {
        let touched = match event {
            Event::Happened(_, Fact::Detached) => LinkTouched::Ended,
            Event::Happened(..)
            | Event::Asked(_)
            | Event::LinkReported { .. }
            | Event::LinkPrepared
            | Event::LinkPrepareFailed(_)
            | Event::LinkEnded
            | Event::LinkEndFailed(_)
            | Event::Unfenced
            | Event::UnfenceFailed(_)
            | Event::JournalFlushed(_)
            | Event::JournalFailed { .. }
            | Event::TimeReached => touched(at),
        };
        let step = at.state(held.clone()).step().unwrap_or_default();
        return abort(&held, at, touched, Reason::PauseExceeded { step });
    }
    match event {
        Event::Asked(Request::Abort) => abort(&held, at, touched(at), Reason::Operator),
        Event::Asked(
            request @ (Request::Migrate { .. }
            | Request::Cutover { .. }
            | Request::Rollback { .. }
            | Request::Finalize),
        ) => refuse_in(at.state(held), request, BUSY),
        Event::LinkReported { from, look }
            if from == held.attempt.from && fell_back(&held.attempt, at, &look) =>
        {
            abort(&held, at, touched(at), Reason::Resynced)
        }
        Event::Happened(_, fact) => advance(held, at, fact, now),
        Event::LinkReported { .. }
        | Event::LinkPrepared
        | Event::LinkPrepareFailed(_)
        | Event::LinkEnded
        | Event::LinkEndFailed(_)
        | Event::Unfenced
        | Event::UnfenceFailed(_)
        | Event::JournalFlushed(_)
        | Event::JournalFailed { .. }
        | Event::TimeReached => stay(at.state(held)),
    }
}

/// The table of the steps: which fact leads on from where.
fn advance(held: Held, at: At, fact: Fact, now: Millis) -> Next {
    let Attempt { number, from, .. } = held.attempt;
    match (at, fact) {
        (At::Closing, Fact::GateClosed) => (
            State::Draining(held, Drain::Writes),
            vec![Action::AwaitDrain(number)],
        ),
        (At::Draining(Drain::Writes), Fact::WritesDrained) => (
            State::Draining(held, Drain::Blocked),
            vec![Action::ReleaseBlocked(number)],
        ),
        (At::Draining(Drain::Blocked), Fact::BlockedReleased) => {
            let first = held.attempt.plan.first_step();
            at_link_or_align(held, first, now)
        }
        (At::CatchingUp(CatchUp::AtLink(step @ LinkStep::WriteMarker)), Fact::MarkerWritten)
        | (At::CatchingUp(CatchUp::AtLink(step @ LinkStep::Fence)), Fact::Fenced)
        | (
            At::CatchingUp(CatchUp::AtLink(step @ LinkStep::SamplePosition)),
            Fact::PositionSampled,
        )
        | (At::CatchingUp(CatchUp::AtLink(step @ LinkStep::AwaitPosition)), Fact::CaughtUp)
        | (At::CatchingUp(CatchUp::AtLink(step @ LinkStep::AwaitMarker)), Fact::MarkerSeen) => {
            let after = held.attempt.plan.step_after(step);
            at_link_or_align(held, after, now)
        }
        (At::CatchingUp(CatchUp::Aligning), Fact::Aligned) => (
            State::Detaching(held, Detach::Ending),
            vec![Action::Detach { number, from }],
        ),
        (At::Ending, Fact::Detached) => {
            let reverse = held.attempt.plan.reverse;
            let record = Record::Committed {
                number,
                active: from.other(),
                reverse,
            };
            (
                State::Detaching(held, Detach::Flushing),
                vec![Action::FlushJournal(record)],
            )
        }
        (At::Ending, Fact::DetachFailed(text)) => abort(
            &held,
            at,
            LinkTouched::InDoubt,
            Reason::LinkStep {
                step: "detach",
                text,
            },
        ),
        (At::CatchingUp(CatchUp::AtLink(_)), Fact::LinkStepFailed(text)) => {
            let step = at.state(held.clone()).step().unwrap_or_default();
            abort(&held, at, LinkTouched::No, Reason::LinkStep { step, text })
        }
        (
            At::Closing | At::Draining(_) | At::CatchingUp(_) | At::Ending,
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
            | Fact::ReverseConfirmed
            | Fact::ReverseFailed(_)
            | Fact::SessionsMoved,
        ) => stay(at.state(held)),
    }
}

/// A look while arming: only it begins the hold, so that what it saw is as fresh as can be.
fn looked(arming: Arming, look: &Look, now: Millis) -> Next {
    let gone = match look.link {
        Standing::Streaming => look.copy != arming.attempt.copy,
        Standing::Copying | Standing::Broken | Standing::Detached => true,
        Standing::Unknown => false,
    };
    if gone {
        return disarm(&arming, Felt::Nothing, vec![Reason::Resynced]);
    }
    if !arming.needs.is_empty() || !look.may_hold(&arming.attempt.plan) {
        return stay(State::Arming(arming));
    }
    let Arming { attempt, .. } = arming;
    let actions = vec![Action::CloseGate(attempt.number)];
    let deadline = now.plus(attempt.plan.max_pause);
    (State::Holding(Held { attempt, deadline }), actions)
}

fn met(mut arming: Arming, need: Need) -> Next {
    arming.needs.remove(&need);
    let actions = if arming.needs.is_empty() {
        vec![Action::ObserveLink {
            from: arming.attempt.from,
        }]
    } else {
        vec![]
    };
    (State::Arming(arming), actions)
}

fn awaited(arming: &Arming) -> &'static str {
    match arming.needs.first() {
        Some(Need::AttemptFlushed) => "the journal",
        Some(Need::SessionsPrepared) => "the sessions to prepare for the other side",
        None => "the link to come within hold_below_bytes",
    }
}

fn at_link_or_align(held: Held, step: Option<LinkStep>, now: Millis) -> Next {
    let Attempt { number, from, .. } = held.attempt;
    match step {
        Some(step) => {
            let left = held.deadline.since(now);
            let order = Action::Link {
                number,
                from,
                step,
                left,
            };
            (State::CatchingUp(held, CatchUp::AtLink(step)), vec![order])
        }
        None => (
            State::CatchingUp(held, CatchUp::Aligning),
            vec![Action::AlignSubscriptions(number)],
        ),
    }
}

/// Whether a look shows that what was established is not so any more. Once the link is told to end, its end is no news.
fn fell_back(attempt: &Attempt, at: At, look: &Look) -> bool {
    match look.link {
        Standing::Streaming => look.copy != attempt.copy,
        Standing::Copying | Standing::Broken => true,
        Standing::Detached => at != At::Ending,
        Standing::Unknown => false,
    }
}

fn touched(at: At) -> LinkTouched {
    match at {
        At::Closing | At::Draining(_) | At::CatchingUp(_) => LinkTouched::No,
        At::Ending => LinkTouched::InDoubt,
    }
}

fn disarm(arming: &Arming, felt: Felt, reasons: Vec<Reason>) -> Next {
    let Attempt { number, from, .. } = arming.attempt;
    undo(Undo {
        number,
        from,
        reasons,
        felt,
        link: LinkTouched::No,
        fence: Fence::None,
    })
}

fn abort(held: &Held, at: At, link: LinkTouched, reason: Reason) -> Next {
    let fenced = match at {
        At::Closing | At::Draining(_) | At::CatchingUp(CatchUp::AtLink(LinkStep::WriteMarker)) => {
            false
        }
        At::CatchingUp(_) | At::Ending => held.attempt.plan.fence,
    };
    let fence = if fenced { Fence::Lifting } else { Fence::None };
    let Attempt { number, from, .. } = held.attempt;
    undo(Undo {
        number,
        from,
        reasons: vec![reason],
        felt: Felt::Something,
        link,
        fence,
    })
}

/// After the flush of the commit failed: the link has ended, and nothing is committed.
pub(super) fn not_committed(held: &Held, reason: Reason) -> Next {
    abort(held, At::Ending, LinkTouched::Ended, reason)
}
