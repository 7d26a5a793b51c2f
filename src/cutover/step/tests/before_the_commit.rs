//! Rows 1 to 9: whatever goes wrong, the side that is active stays so.

use super::*;

#[test]
fn an_attempt_takes_its_steps_in_order() {
    for from in Side::BOTH {
        let mut state = at_rest(from);
        let mut orders = vec![];
        for (event, name) in script(from) {
            let (next, actions) = step(state, event, Millis(0));
            assert_eq!(next.step(), name);
            state = next;
            orders.extend(actions);
        }
        let step_of = |order: &Action| match order {
            Action::Link { step, .. } => Some(*step),
            _ => None,
        };
        let link_steps: Vec<_> = orders.iter().filter_map(step_of).collect();
        let expected = [
            LinkStep::WriteMarker,
            LinkStep::Fence,
            LinkStep::SamplePosition,
            LinkStep::AwaitPosition,
            LinkStep::AwaitMarker,
        ];
        assert_eq!(link_steps, expected);
        let position = |order: &Action| orders.iter().position(|other| other == order).unwrap();
        let in_order = [
            Action::FlushJournal(Record::Attempt { number: 1, from }),
            Action::CloseGate(1),
            Action::AwaitDrain(1),
            Action::ReleaseBlocked(1),
            Action::AlignSubscriptions(1),
            Action::Detach { number: 1, from },
            Action::FlushJournal(commit_record(from)),
            Action::CommitGate(1),
            Action::ReverseLink { number: 1, from },
            Action::ReleaseGate,
        ];
        assert!(in_order.is_sorted_by_key(position), "{orders:?}");
        assert_eq!(state.active(), from.other());
    }
}

#[test]
fn steps_that_the_link_cannot_take_are_left_out() {
    let bare = Plan {
        proof: Proof::Marker,
        fence: false,
        ..plan()
    };
    assert_eq!(bare.first_step(), Some(LinkStep::WriteMarker));
    assert_eq!(
        bare.step_after(LinkStep::WriteMarker),
        Some(LinkStep::AwaitMarker)
    );
    assert_eq!(bare.step_after(LinkStep::AwaitMarker), None);
    let usual = Plan {
        proof: Proof::Position,
        ..plan()
    };
    assert_eq!(usual.first_step(), Some(LinkStep::Fence));
    assert_eq!(usual.step_after(LinkStep::AwaitPosition), None);
}

#[test]
fn the_hold_begins_with_a_look_that_finds_little_remaining() {
    let armed = |events: &[Event]| {
        let (state, _) = step(at_rest(Side::Source), ask(Side::Source), Millis(0));
        events.iter().fold(state, |state, event| {
            step(state, event.clone(), Millis(1)).0
        })
    };
    let flushed = Event::JournalFlushed(Record::Attempt {
        number: 1,
        from: Side::Source,
    });
    let prepared = happened(Fact::SessionsPrepared(vec![]));
    let report = |link, lag| Event::LinkReported {
        from: Side::Source,
        look: look(link, lag),
    };
    let little = report(Standing::Streaming, Remaining::Bytes(100));
    let check =
        |events: &[Event], expected| assert_eq!(armed(events).step(), Some(expected), "{events:?}");

    check(&[flushed.clone(), prepared.clone(), little.clone()], "hold");
    check(&[prepared.clone(), flushed.clone(), little.clone()], "hold");
    // Without the record, without the sessions, or with a look from before them.
    check(&[prepared.clone(), little.clone()], "arm");
    check(&[flushed.clone(), little.clone()], "arm");
    check(&[little, flushed.clone(), prepared.clone()], "arm");
    for too_much in [
        report(Standing::Streaming, Remaining::Bytes(101)),
        report(Standing::Streaming, Remaining::Time(Millis(101))),
        report(Standing::Streaming, Remaining::Unknown),
        report(Standing::Unknown, Remaining::Bytes(0)),
        seen(Side::Target, Standing::Streaming),
    ] {
        check(&[flushed.clone(), prepared.clone(), too_much], "arm");
    }
}

#[test]
fn what_goes_wrong_before_the_hold_is_a_refusal() {
    let from = Side::Source;
    let (arming, _) = step(at_rest(from), ask(from), Millis(0));
    let failed = Event::JournalFailed {
        record: Record::Attempt { number: 1, from },
        text: "full".to_owned(),
    };
    let wrongs = [
        (Event::TimeReached, ARM_TIMEOUT),
        (
            happened(Fact::SessionsPrepared(vec!["no".to_owned()])),
            Millis(1),
        ),
        (failed, Millis(1)),
        (seen(from, Standing::Copying), Millis(1)),
    ];
    for (wrong, now) in wrongs {
        let (state, actions) = step(arming.clone(), wrong, now);
        assert_eq!(actions[0], Action::ReopenGate);
        let (state, actions) = step(state, seen(from, Standing::Streaming), now);
        assert_eq!(state, at_rest(from));
        let refused = |action: &Action| matches!(action, Action::Conclude(end) if end.ending == Ending::Refused);
        assert!(actions.iter().any(refused), "{actions:?}");
    }
}

#[test]
fn an_operator_stops_an_attempt_at_every_step_before_the_commit() {
    for from in Side::BOTH {
        for name in HELD {
            let next = step(at(from, name).0, Event::Asked(Request::Abort), Millis(1));
            assert_undone(from, name, &next);
        }
    }
}

#[test]
fn a_pause_that_runs_out_aborts_at_every_step_before_the_commit() {
    for from in Side::BOTH {
        for name in HELD {
            let waits = step(
                at(from, name).0,
                Event::TimeReached,
                Millis(MAX_PAUSE.0 - 1),
            );
            assert_eq!(waits.0.step(), Some(name));
            assert_eq!(waits.0.deadline(), Some(MAX_PAUSE));
            let next = step(waits.0, Event::TimeReached, MAX_PAUSE);
            assert_undone(from, name, &next);
        }
    }
}

#[test]
fn no_answer_leads_on_once_the_pause_has_run_out() {
    for from in Side::BOTH {
        for (index, name) in HELD.iter().enumerate() {
            let first_held = script(from)
                .iter()
                .position(|(_, step)| *step == Some("hold"))
                .unwrap();
            let (good_news, _) = script(from).swap_remove(first_held + 1 + index);
            let next = step(at(from, name).0, good_news, MAX_PAUSE);
            assert_undone(from, name, &next);
        }
    }
}

#[test]
fn a_step_that_fails_at_the_link_aborts() {
    for from in Side::BOTH {
        for name in ["mark", "fence", "sample", "catch_up", "await_marker"] {
            let failed = happened(Fact::LinkStepFailed("no".to_owned()));
            assert_undone(from, name, &step(at(from, name).0, failed, Millis(1)));
        }
        let failed = happened(Fact::DetachFailed("no".to_owned()));
        assert_undone(
            from,
            "detach",
            &step(at(from, "detach").0, failed, Millis(1)),
        );
    }
}

#[test]
fn a_link_that_starts_over_or_falls_back_aborts_between_arm_and_detach() {
    for from in Side::BOTH {
        for name in HELD {
            let mut signs = vec![seen(from, Standing::Copying), seen(from, Standing::Broken)];
            let mut other_copy = look(Standing::Streaming, Remaining::Bytes(0));
            other_copy.copy = CopyNumber(1);
            signs.push(Event::LinkReported {
                from,
                look: other_copy,
            });
            if name != "detach" {
                signs.push(seen(from, Standing::Detached));
            }
            for sign in signs {
                assert_undone(from, name, &step(at(from, name).0, sign, Millis(1)));
            }
        }
    }
}

#[test]
fn nothing_else_is_done_while_an_attempt_is_under_way() {
    for from in Side::BOTH {
        for name in HELD.into_iter().chain(["commit", "move"]) {
            let requests = [
                Request::Migrate { objections: vec![] },
                Request::Cutover {
                    number: 2,
                    plan: plan(),
                    objections: vec![],
                },
                Request::Rollback {
                    number: 2,
                    plan: plan(),
                    objections: vec![],
                },
                Request::Finalize,
            ];
            for request in requests {
                let before = at(from, name).0;
                let (after, actions) = step(before.clone(), Event::Asked(request), Millis(0));
                assert_eq!(after, before);
                assert!(matches!(actions[..], [Action::Refuse(_)]), "{actions:?}");
            }
        }
    }
}

#[test]
fn facts_of_another_attempt_change_nothing() {
    for from in Side::BOTH {
        for (index, name) in HELD.iter().enumerate() {
            let first_held = script(from)
                .iter()
                .position(|(_, step)| *step == Some("hold"))
                .unwrap();
            let Event::Happened(_, fact) = script(from).swap_remove(first_held + 1 + index).0
            else {
                panic!("a fact leads on from {name}");
            };
            let before = at(from, name).0;
            assert_eq!(
                step(before.clone(), Event::Happened(2, fact), Millis(0)),
                (before, vec![])
            );
        }
    }
}

#[test]
fn an_aborted_cutover_is_in_sync_again_where_the_link_still_streams() {
    for name in HELD {
        let abort = Event::Asked(Request::Abort);
        let (state, _, reasons) = after_abort(Side::Source, name, abort, Standing::Streaming);
        assert_eq!(state, at_rest(Side::Source));
        assert_eq!(reasons.contains(&Reason::LinkInDoubt), name == "detach");
    }
}

#[test]
fn a_detach_in_doubt_that_is_found_done_needs_a_new_migration() {
    let (state, actions, reasons) =
        after_abort(Side::Source, "detach", no_answer(), Standing::Detached);
    assert_eq!(state, State::Idle(Idle::DetachedByAttempt));
    assert!(reasons.contains(&Reason::LinkEnded));
    assert!(actions.contains(&Action::FlushJournal(Record::Stopped)));
    assert!(
        !actions.contains(&Action::PrepareLink),
        "the target is never flushed by itself"
    );
}

#[test]
fn a_commit_that_cannot_be_written_is_none() {
    for from in Side::BOTH {
        let failed = Event::JournalFailed {
            record: commit_record(from),
            text: "full".to_owned(),
        };
        let next = step(at(from, "commit").0, failed, Millis(1));
        assert_undone(from, "commit", &next);
    }
}

#[test]
fn while_the_commit_is_being_written_only_its_outcome_decides() {
    let state = at(Side::Source, "commit").0;
    for event in [Event::TimeReached, seen(Side::Source, Standing::Broken)] {
        assert_eq!(
            step(state.clone(), event, Millis(60_000)),
            (state.clone(), vec![])
        );
    }
    let (same, actions) = step(state.clone(), Event::Asked(Request::Abort), Millis(0));
    assert_eq!(same, state);
    assert!(matches!(actions[..], [Action::Refuse(_)]));
}

#[test]
fn an_attempt_is_undone_on_the_disk_only_when_it_is() {
    let recorded = |actions: &[Action]| {
        actions
            .iter()
            .any(|action| matches!(action, Action::FlushJournal(Record::Aborted { .. })))
    };
    for from in Side::BOTH {
        for name in HELD {
            let abort = Event::Asked(Request::Abort);
            let (_, actions) = step(at(from, name).0, abort.clone(), Millis(1));
            assert!(
                !recorded(&actions),
                "{name}: a start would not lift the fence"
            );
            let (_, actions, _) = after_abort(from, name, abort, Standing::Streaming);
            assert!(recorded(&actions), "{name}");
        }
    }
}

#[test]
fn a_confirmed_detach_is_not_forgotten_over_a_look_that_fails() {
    let late = Millis(MAX_PAUSE.0 + 1);
    let (state, _) = step(at(Side::Source, "detach").0, happened(Fact::Detached), late);
    let (state, _) = step(state, Event::Unfenced, late);
    let (state, _) = step(state, seen(Side::Source, Standing::Unknown), late);
    assert_eq!(state, State::Idle(Idle::DetachedByAttempt));
}

#[test]
fn a_rollback_undone_in_doubt_makes_the_way_back_again() {
    for found in [Standing::Unknown, Standing::Detached] {
        let (state, actions, _) = after_abort(Side::Target, "detach", no_answer(), found);
        let trying = WayBack::Trying {
            number: 1,
            again_at: None,
        };
        assert_eq!(state, State::Committed(Committed::Settled(trying)));
        let order = Action::ReverseLink {
            number: 1,
            from: Side::Source,
        };
        assert!(actions.contains(&order), "{actions:?}");
    }
}
