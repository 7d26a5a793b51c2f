//! Rows 9 to 12: forward only, until a rollback commits.

use super::*;
use crate::cutover::action::Alarm;
use crate::cutover::state::Preparing;

#[test]
fn after_the_commit_the_bound_releases_whatever_is_outstanding() {
    for from in Side::BOTH {
        let state = at(from, "move").0;
        assert_eq!(state.deadline(), Some(MAX_PAUSE));
        let (state, actions) = step(state, Event::TimeReached, MAX_PAUSE);
        assert_eq!(actions[0], Action::ReleaseGate);
        assert_eq!(state.active(), from.other());
        assert_eq!(state.step(), None);
    }
}

#[test]
fn after_the_commit_nothing_leads_back_to_the_source_but_a_rollback() {
    let (state, actions) = step(
        at(Side::Source, "move").0,
        Event::Asked(Request::Abort),
        Millis(1),
    );
    assert!(matches!(actions[..], [Action::Refuse(_)]));
    assert_eq!(state.active(), Side::Target);
    let settled = at_rest(Side::Target);
    let (same, actions) = step(settled.clone(), Event::Asked(Request::Abort), Millis(1));
    assert_eq!(same, settled);
    assert!(matches!(actions[..], [Action::Refuse(_)]));
}

#[test]
fn a_reversal_that_failed_is_tried_on_with_an_alarm() {
    let failed = happened(Fact::ReverseFailed("no".to_owned()));
    let (state, _) = step(at(Side::Source, "move").0, failed.clone(), Millis(1));
    let (state, actions) = step(state, happened(Fact::SessionsMoved), Millis(1));
    assert!(actions.contains(&Action::ReleaseGate));
    assert!(actions.contains(&Action::Raise(Alarm::WayBackUnconfirmed)));
    let again_at = Millis(1).plus(TRY_AGAIN_AFTER);
    assert_eq!(state.deadline(), Some(again_at));
    let (state, actions) = step(state, Event::TimeReached, again_at);
    assert_eq!(
        actions,
        [Action::ReverseLink {
            number: 1,
            from: Side::Source
        }]
    );
    let (state, _) = step(state, failed, again_at);
    assert_eq!(state.deadline(), Some(again_at.plus(TRY_AGAIN_AFTER)));
    let (state, actions) = step(state, seen(Side::Target, Standing::Streaming), again_at);
    assert_eq!(state, at_rest(Side::Target));
    assert!(actions.contains(&Action::Clear(Alarm::WayBackUnconfirmed)));
    assert!(actions.contains(&Action::FlushJournal(Record::Reversed { number: 1 })));
}

#[test]
fn a_rollback_ends_in_sync_where_the_link_was_turned() {
    let events = [
        happened(Fact::ReverseConfirmed),
        happened(Fact::SessionsMoved),
    ];
    let (mut state, mut all) = (at(Side::Target, "move").0, vec![]);
    for event in events {
        let (next, actions) = step(state, event, Millis(1));
        state = next;
        all.extend(actions);
    }
    assert!(matches!(all.last(), Some(Action::Conclude(end)) if end.ending == Ending::RolledBack));
    let (state, _) = step(state, seen(Side::Source, Standing::Streaming), Millis(2));
    assert_eq!(state, at_rest(Side::Source));
}

#[test]
fn a_rollback_without_a_turned_link_needs_a_new_migration() {
    let (state, _) = step(at(Side::Target, "move").0, Event::TimeReached, MAX_PAUSE);
    assert_eq!(state.phase(), "rolling_back");
    let (state, actions) = step(
        state,
        happened(Fact::ReverseFailed("no".to_owned())),
        Millis(2_000),
    );
    assert_eq!(state.phase(), "rolled_back");
    assert!(actions.contains(&Action::FlushJournal(Record::RolledBack)));
    let migrate = Event::Asked(Request::Migrate { objections: vec![] });
    assert_eq!(
        step(state, migrate, Millis(3_000)).0,
        State::Preparing(Preparing::Flushing)
    );
}

#[test]
fn an_aborted_rollback_that_ended_the_reverse_link_makes_it_again() {
    let (state, actions, _) = after_abort(Side::Target, "detach", no_answer(), Standing::Detached);
    assert_eq!(state.active(), Side::Target);
    assert!(actions.contains(&Action::ReverseLink {
        number: 1,
        from: Side::Source
    }));
}

#[test]
fn the_watch_after_the_commit_raises_alarms() {
    let check = |from, found, alarm: Option<Alarm>| {
        let (_, actions) = step(at_rest(Side::Target), seen(from, found), Millis(0));
        let raised: Vec<_> = actions
            .iter()
            .filter_map(|action| match action {
                Action::Raise(alarm) => Some(*alarm),
                _ => None,
            })
            .collect();
        assert_eq!(
            raised,
            alarm.into_iter().collect::<Vec<_>>(),
            "{from} {found:?}"
        );
    };
    check(Side::Target, Standing::Streaming, None);
    check(Side::Target, Standing::Unknown, None);
    check(Side::Target, Standing::Broken, Some(Alarm::WayBackBroken));
    check(Side::Target, Standing::Detached, Some(Alarm::WayBackLost));
    check(Side::Source, Standing::Detached, None);
    check(
        Side::Source,
        Standing::Copying,
        Some(Alarm::TargetFollowsSource),
    );
    check(
        Side::Source,
        Standing::Streaming,
        Some(Alarm::TargetFollowsSource),
    );
}

#[test]
fn finalize_ends_the_reverse_link_and_then_everything_is_refused() {
    let (state, actions) = step(
        at_rest(Side::Target),
        Event::Asked(Request::Finalize),
        Millis(0),
    );
    assert_eq!(
        actions,
        [
            Action::GiveUpLinkWork,
            Action::EndLink { from: Side::Target }
        ]
    );
    let (state, actions) = step(state, Event::LinkEnded, Millis(0));
    assert_eq!(actions, [Action::FlushJournal(Record::Finalized)]);
    let (state, actions) = step(state, Event::JournalFlushed(Record::Finalized), Millis(0));
    assert_eq!(state, State::Finalized);
    assert!(
        matches!(actions.last(), Some(Action::Conclude(end)) if end.ending == Ending::Finalized)
    );
    assert!(state.observed().is_empty());
    for request in [
        Request::Abort,
        Request::Finalize,
        Request::Migrate { objections: vec![] },
    ] {
        let (same, actions) = step(state.clone(), Event::Asked(request), Millis(0));
        assert_eq!(same, State::Finalized);
        assert!(matches!(actions[..], [Action::Refuse(_)]));
    }
}

#[test]
fn a_start_after_the_commit_goes_on_with_the_reversal() {
    let resumed = |reversal| {
        let stage = Stage::Committed {
            number: 1,
            reversal,
        };
        start(
            &Resumed {
                stage,
                last_number: 1,
                rolled_back: false,
            },
            Reverse::AsReplica,
        )
    };
    let (state, actions) = resumed(ReversalSeen::Unconfirmed);
    assert_eq!(
        actions,
        [Action::ReverseLink {
            number: 1,
            from: Side::Source
        }]
    );
    assert_eq!(state.phase(), "committed");
    let (state, actions) = resumed(ReversalSeen::Confirmed);
    assert_eq!(actions, [Action::ObserveLink { from: Side::Target }]);
    assert_eq!(
        step(state, seen(Side::Target, Standing::Streaming), Millis(0)).0,
        at_rest(Side::Target)
    );
}
