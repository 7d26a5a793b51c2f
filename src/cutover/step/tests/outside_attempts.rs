//! Before the first attempt, between two, and at a start.

use super::*;

#[test]
fn only_a_confirmed_migrate_prepares_the_link() {
    let idle = State::Idle(Idle::NeverMigrated);
    let objections = vec![Reason::FlushUnconfirmed {
        name: "b".to_owned(),
    }];
    let refused = step(
        idle.clone(),
        Event::Asked(Request::Migrate {
            objections: objections.clone(),
        }),
        Millis(0),
    );
    assert_eq!(refused, (idle.clone(), vec![Action::Refuse(objections)]));
    let (state, actions) = step(
        idle,
        Event::Asked(Request::Migrate { objections: vec![] }),
        Millis(0),
    );
    assert_eq!(actions, [Action::FlushJournal(Record::Migrating)]);
    let (_, actions) = step(state, Event::JournalFlushed(Record::Migrating), Millis(0));
    assert_eq!(actions, [Action::Accept, Action::PrepareLink]);
}

#[test]
fn an_attempt_with_objections_is_refused_with_every_one() {
    let objections = vec![Reason::LagUnknown, Reason::TooSoon(Millis(1))];
    for from in Side::BOTH {
        let Event::Asked(mut request) = ask(from) else {
            panic!("a request")
        };
        match &mut request {
            Request::Cutover {
                objections: against,
                ..
            }
            | Request::Rollback {
                objections: against,
                ..
            } => {
                against.clone_from(&objections);
            }
            Request::Migrate { .. } | Request::Abort | Request::Finalize => {}
        }
        let next = step(at_rest(from), Event::Asked(request), Millis(0));
        assert_eq!(
            next,
            (at_rest(from), vec![Action::Refuse(objections.clone())])
        );
    }
}

#[test]
fn a_look_moves_between_syncing_in_sync_and_idle() {
    let syncing = State::Syncing;
    let in_sync = at_rest(Side::Source);
    let gone = State::Idle(Idle::LinkGone);
    let check = |from: &State, found, to: &State| {
        assert_eq!(
            &step(from.clone(), seen(Side::Source, found), Millis(0)).0,
            to,
            "{from:?} {found:?}"
        );
    };
    check(&syncing, Standing::Streaming, &in_sync);
    check(&syncing, Standing::Copying, &syncing);
    check(&syncing, Standing::Broken, &syncing);
    check(&syncing, Standing::Unknown, &syncing);
    check(&syncing, Standing::Detached, &gone);
    check(&in_sync, Standing::Streaming, &in_sync);
    check(&in_sync, Standing::Copying, &syncing);
    check(&in_sync, Standing::Broken, &syncing);
    check(&in_sync, Standing::Unknown, &in_sync);
    check(&in_sync, Standing::Detached, &gone);
}

#[test]
fn abort_ends_a_link_that_is_not_in_sync_and_keeps_one_that_is() {
    let (state, actions) = step(State::Syncing, Event::Asked(Request::Abort), Millis(0));
    assert_eq!(
        actions,
        [
            Action::GiveUpLinkWork,
            Action::EndLink { from: Side::Source }
        ]
    );
    assert_eq!(
        step(state, Event::LinkEnded, Millis(0)).0,
        State::Idle(Idle::CalledOff)
    );
    let (state, actions) = step(
        at_rest(Side::Source),
        Event::Asked(Request::Abort),
        Millis(0),
    );
    assert_eq!(state, at_rest(Side::Source));
    assert!(matches!(&actions[..], [Action::Conclude(end)] if end.ending == Ending::Aborted));
}

#[test]
fn a_start_lifts_the_fence_of_an_interrupted_attempt_and_then_looks() {
    for from in Side::BOTH {
        let stage = Stage::Interrupted { number: 1, from };
        let (state, actions) = start(
            &Resumed {
                stage,
                last_number: 1,
                rolled_back: false,
            },
            Reverse::AsReplica,
        );
        assert_eq!(actions, [Action::Unfence { from }]);
        assert_eq!(state.active(), from);
        let (state, actions) = step(state, Event::UnfenceFailed("down".to_owned()), Millis(0));
        assert_eq!(actions, [Action::ObserveLink { from }]);
        let (state, actions) = step(state, seen(from, Standing::Streaming), Millis(0));
        assert_eq!(state, at_rest(from));
        assert!(
            matches!(
                &actions[..],
                [Action::FlushJournal(Record::Aborted { number: 1, .. }), ..]
            ),
            "{actions:?}"
        );
    }
    let stage = Stage::Interrupted {
        number: 1,
        from: Side::Source,
    };
    let (state, _) = start(
        &Resumed {
            stage,
            last_number: 1,
            rolled_back: false,
        },
        Reverse::AsReplica,
    );
    let (state, _) = step(state, Event::Unfenced, Millis(0));
    let (state, _) = step(state, seen(Side::Source, Standing::Detached), Millis(0));
    assert_eq!(state, State::Idle(Idle::DetachedByAttempt));
}

#[test]
fn a_start_without_a_migration_asks_the_databases_nothing() {
    let (state, actions) = start(&Resumed::FRESH, Reverse::AsReplica);
    assert_eq!(actions, []);
    assert!(state.observed().is_empty());
}
