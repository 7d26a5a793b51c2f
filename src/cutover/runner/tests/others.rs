//! Writers that bypass the proxy, as the runner tells of them.

use super::*;
use crate::link::LeftSide;

#[tokio::test]
async fn whom_the_fence_held_is_told_in_the_outcome_and_not_in_the_next() {
    let world = World::in_sync(bounds()).await;
    let mut notices = world.handle.notices();
    world
        .link
        .script(|script| script.held_back = Some("10.0.0.1:5"));
    let outcome = world.cutover().await.unwrap();
    assert_eq!((outcome.outcome, outcome.reasons.len()), ("committed", 1));
    assert!(outcome.reasons[0].contains("10.0.0.1:5"), "{outcome:?}");
    while notices.recv().await.unwrap().kind != "warning" {}

    world.link.script(|script| script.held_back = None);
    world.until(|status| status.can_roll_back).await;
    let outcome = world.handle.rollback().await.unwrap();
    assert_eq!(outcome.reasons, Vec::<String>::new());
}

#[tokio::test]
async fn writes_on_the_old_source_are_an_alarm_that_a_rollback_ends() {
    let world = World::in_sync(bounds()).await;
    world.cutover().await.unwrap();
    let mut notices = world.handle.notices();
    let written = LeftSide::Written("1 command".to_owned());
    world.link.script(|script| script.left = Some(written));
    let status = world.until(|status| !status.alarms.is_empty()).await;
    assert!(
        status.alarms[0].starts_with("old_source_written: ")
            && status.alarms[0].ends_with("(1 command)"),
        "{status:?}"
    );
    while notices.recv().await.unwrap().kind != "alarm" {}

    // What nobody knows ends no alarm, and neither does a moment's quiet.
    for left in [LeftSide::Unknown, LeftSide::Quiet] {
        let looks = world.link.script(|script| {
            script.left = Some(left);
            script.looks
        });
        world.until(|status| status.can_roll_back).await;
        while world.link.script(|script| script.looks) < looks + 4 {
            tokio::task::yield_now().await;
        }
        assert_eq!(world.handle.status().alarms.len(), 1);
    }
    world.handle.rollback().await.unwrap();
    world.until(|status| status.alarms.is_empty()).await;
    while notices.recv().await.unwrap().kind != "alarm_cleared" {}
}

#[tokio::test]
async fn a_target_that_is_written_to_is_flushed_by_no_name() {
    let world = World::start(bounds());
    world
        .link
        .script(|script| script.target_written = Some("3 commands"));
    for confirmed in [None, Some("b:2".to_owned())] {
        let refusal = world.handle.migrate(confirmed).await.unwrap_err();
        assert_eq!(
            (refusal.code, refusal.kind),
            ("target_written", RefusalKind::NotReady)
        );
    }
    assert!(world.calls().is_empty());
}

#[tokio::test]
async fn a_fence_that_cannot_be_lifted_at_once_is_lifted_when_it_can() {
    let world = World::in_sync(bounds()).await;
    world.link.script(|script| {
        script.hangs = Some("caught_up");
        script.fails = Some("unfence");
    });
    let is_unfence = |call: &&&str| **call == "unfence";
    let mend = async {
        while world.calls().iter().filter(is_unfence).count() < 2 {
            tokio::task::yield_now().await;
        }
        world.link.script(|script| script.fails = None);
    };
    let (outcome, ()) = tokio::join!(world.cutover(), mend);
    let outcome = outcome.unwrap();
    assert_eq!(outcome.outcome, "aborted");
    // The bound that passed, and nothing of a fence.
    assert_eq!(outcome.reasons.len(), 1, "{outcome:?}");
    assert!(outcome.reasons[0].contains("catch_up"), "{outcome:?}");
    assert_eq!(world.calls().last(), Some(&"unfence"));
}
