//! The table of the steps with its failure column, row by row; `world` explores what no row foresees.

mod after_the_commit;
mod before_the_commit;
mod outside_attempts;
mod world;

use super::*;
use crate::cutover::event::{Fact, Look, Remaining, Standing};
use crate::cutover::journal::Record;
use crate::cutover::plan::{CopyNumber, LinkStep, Plan, Proof};

const MAX_PAUSE: Millis = Millis(1_000);
const ARM_TIMEOUT: Millis = Millis(10_000);

fn plan() -> Plan {
    Plan {
        max_pause: MAX_PAUSE,
        arm_timeout: ARM_TIMEOUT,
        hold_below_bytes: 100,
        hold_below: Millis(100),
        proof: Proof::PositionAndMarker,
        fence: true,
        reverse: true,
    }
}

fn look(link: Standing, lag: Remaining) -> Look {
    Look {
        link,
        lag,
        copy: CopyNumber(0),
    }
}

fn seen(from: Side, link: Standing) -> Event {
    Event::LinkReported {
        from,
        look: look(link, Remaining::Bytes(0)),
    }
}

fn happened(fact: Fact) -> Event {
    Event::Happened(1, fact)
}

fn ask(from: Side) -> Event {
    let (number, plan, objections) = (1, plan(), vec![]);
    Event::Asked(match from {
        Side::Source => Request::Cutover {
            number,
            plan,
            objections,
        },
        Side::Target => Request::Rollback {
            number,
            plan,
            objections,
        },
    })
}

fn at_rest(from: Side) -> State {
    match from {
        Side::Source => State::InSync(CopyNumber(0)),
        Side::Target => State::Committed(Committed::Settled(WayBack::Streaming(CopyNumber(0)))),
    }
}

fn commit_record(from: Side) -> Record {
    Record::Committed {
        number: 1,
        active: from.other(),
        reverse: true,
    }
}

/// The events of an attempt in which everything goes well, each with the name of the step it leads to.
fn script(from: Side) -> Vec<(Event, Option<&'static str>)> {
    vec![
        (ask(from), Some("arm")),
        (
            Event::JournalFlushed(Record::Attempt { number: 1, from }),
            Some("arm"),
        ),
        (happened(Fact::SessionsPrepared(vec![])), Some("arm")),
        (seen(from, Standing::Streaming), Some("hold")),
        (happened(Fact::GateClosed), Some("drain")),
        (happened(Fact::WritesDrained), Some("release_blocked")),
        (happened(Fact::BlockedReleased), Some("mark")),
        (happened(Fact::MarkerWritten), Some("fence")),
        (happened(Fact::Fenced), Some("sample")),
        (happened(Fact::PositionSampled), Some("catch_up")),
        (happened(Fact::CaughtUp), Some("await_marker")),
        (happened(Fact::MarkerSeen), Some("align")),
        (happened(Fact::Aligned), Some("detach")),
        (happened(Fact::Detached), Some("commit")),
        (Event::JournalFlushed(commit_record(from)), Some("move")),
        (happened(Fact::SessionsMoved), Some("reverse")),
        (happened(Fact::ReverseConfirmed), None),
    ]
}

/// The state at `step`, reached at time zero, and the orders on the way into it.
fn at(from: Side, step_name: &str) -> Next {
    let mut next = (at_rest(from), vec![]);
    for (event, name) in script(from) {
        next = step(next.0, event, Millis(0));
        if name == Some(step_name) && !matches!(next.0, State::Arming(_)) {
            return next;
        }
    }
    panic!("no step {step_name}");
}

const HELD: [&str; 10] = [
    "hold",
    "drain",
    "release_blocked",
    "mark",
    "fence",
    "sample",
    "catch_up",
    "await_marker",
    "align",
    "detach",
];

fn fenced(step_name: &str) -> bool {
    !["hold", "drain", "release_blocked", "mark"].contains(&step_name)
}

/// The claim of every row before the commit: the gate opens first, the fence is lifted where there may be one.
fn assert_undone(from: Side, step_name: &str, (state, actions): &Next) {
    assert_eq!(
        actions[..2],
        [Action::ReopenGate, Action::GiveUpLinkWork],
        "{step_name}"
    );
    let next = if fenced(step_name) {
        Action::Unfence { from }
    } else {
        Action::ObserveLink { from }
    };
    assert_eq!(actions[2], next, "{step_name}");
    assert_eq!(state.phase(), "aborting", "{step_name}");
    assert_eq!(state.active(), from, "{step_name}");
    assert!(
        !actions
            .iter()
            .any(|action| matches!(action, Action::CommitGate(_))),
        "{step_name}"
    );
}

/// Aborts at `name`, lifts the fence, and looks: where that ends, with its conclusion.
fn after_abort(
    from: Side,
    name: &str,
    cause: Event,
    found: Standing,
) -> (State, Vec<Action>, Vec<Reason>) {
    let (mut state, _) = step(at(from, name).0, cause, Millis(1));
    if fenced(name) {
        // A look from before the lifting decides nothing.
        let (same, actions) = step(state.clone(), seen(from, Standing::Streaming), Millis(1));
        assert_eq!((same, actions), (state.clone(), vec![]));
        state = step(state, Event::Unfenced, Millis(1)).0;
    }
    let (state, actions) = step(state, seen(from, found), Millis(1));
    let conclusions: Vec<_> = actions
        .iter()
        .filter_map(|action| match action {
            Action::Conclude(end) => Some(end.clone()),
            _ => None,
        })
        .collect();
    let [end] = &conclusions[..] else {
        panic!("one conclusion: {actions:?}")
    };
    assert_eq!(end.ending, Ending::Aborted);
    let reasons = end.reasons.clone();
    (state, actions, reasons)
}

fn no_answer() -> Event {
    happened(Fact::DetachFailed("no answer".to_owned()))
}
