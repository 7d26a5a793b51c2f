//! The runner against a real gate, a real journal and a link that misbehaves on demand.

mod fake;
mod others;

use crate::link::preflight::Clients;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use self::fake::{FakeLink, nothing_seen};
use super::*;
use crate::cutover::journal;
use crate::gate::Stage;
use crate::terms::Side;

/// Nothing here takes longer unless it hangs.
const LIMIT: Duration = Duration::from_secs(10);

struct World {
    link: FakeLink,
    dir: TempDir,
    gate: Arc<Gate>,
    handle: Handle,
    trigger: Option<shutdown::Trigger>,
    task: JoinHandle<()>,
}

fn bounds() -> Bounds {
    Bounds {
        max_pause: Duration::from_millis(300),
        arm_timeout: Duration::from_millis(500),
        stable_for: Duration::ZERO,
        min_interval: Duration::ZERO,
        ..Bounds::default()
    }
}

/// Opens the journal, as soon as a task that was killed in the middle of a write has let it go.
fn open(dir: &TempDir) -> (Journal, Resumed) {
    let give_up_at = std::time::Instant::now() + LIMIT;
    loop {
        match Journal::open(dir.path(), "a:1", "b:2") {
            Err(journal::Error::Locked { .. }) if std::time::Instant::now() < give_up_at => {
                std::thread::yield_now();
            }
            opened => return opened.unwrap(),
        }
    }
}

impl World {
    fn start(bounds: Bounds) -> World {
        World::on(FakeLink::default(), tempfile::tempdir().unwrap(), bounds)
    }

    fn on(link: FakeLink, dir: TempDir, bounds: Bounds) -> World {
        let (journal, resumed) = open(&dir);
        let gate = Gate::new(resumed.active(), 0);
        let (trigger, signal) = shutdown::channel();
        let (runner, handle) = Runner::new(Parts {
            gate: Arc::clone(&gate),
            link: link.clone(),
            journal,
            resumed,
            bounds: watch::channel(bounds).1,
            target_name: "b:2".to_owned(),
            clients: Box::new(Clients::default),
            traffic: nothing_seen(),
        });
        let task = tokio::spawn(runner.run(signal));
        World {
            link,
            dir,
            gate,
            handle,
            trigger: Some(trigger),
            task,
        }
    }

    async fn in_sync(bounds: Bounds) -> World {
        let world = World::start(bounds);
        world.handle.migrate(None).await.unwrap();
        world.until(|status| status.can_cut_over).await;
        world
    }

    async fn until(&self, reached: impl FnMut(&Status) -> bool) -> Status {
        let mut status = self.handle.watch();
        let found = timeout(LIMIT, status.wait_for(reached)).await;
        found
            .unwrap_or_else(|_| panic!("still {:?}", self.handle.status()))
            .unwrap()
            .clone()
    }

    async fn cutover(&self) -> Result<Outcome, Refusal> {
        let request = CutoverRequest::default();
        timeout(LIMIT, self.handle.cutover(request)).await.unwrap()
    }

    fn calls(&self) -> Vec<&'static str> {
        self.link.script(|script| script.calls.clone())
    }

    /// Ends the process in order.
    async fn stop(mut self) -> (FakeLink, TempDir) {
        self.trigger.take().unwrap().fire();
        timeout(LIMIT, &mut self.task).await.unwrap().unwrap();
        (self.link, self.dir)
    }

    /// Ends it at once.
    async fn kill(self) -> (FakeLink, TempDir) {
        self.task.abort();
        let _ = self.task.await;
        (self.link, self.dir)
    }

    fn assert_open_on(&self, side: Side) {
        let policy = self.gate.policy();
        assert_eq!((policy.active, policy.stage), (side, Stage::Open));
        assert_eq!(self.handle.status().active_side, side);
    }
}

#[tokio::test]
async fn nothing_is_asked_of_the_databases_before_a_migration() {
    let world = World::start(bounds());
    assert!(world.handle.abort().await.is_err());
    assert!(world.cutover().await.is_err());
    let status = world.handle.status();
    assert_eq!((status.phase, status.can_cut_over), ("idle", false));
    let (link, _dir) = world.stop().await;
    assert_eq!(
        link.script(|script| (script.calls.len(), script.looks)),
        (0, 0)
    );
}

#[tokio::test]
async fn a_cutover_goes_there_and_back_and_there_again_and_is_finalized() {
    let world = World::in_sync(bounds()).await;
    let outcome = world.cutover().await.unwrap();
    assert_eq!(outcome.outcome, "committed", "{outcome:?}");
    assert!(
        outcome.read_pause_ms < 0.001,
        "reads are not held: {outcome:?}"
    );
    let names: Vec<_> = outcome.steps.iter().map(|step| step.name).collect();
    let expected = [
        "arm",
        "hold",
        "drain",
        "release_blocked",
        "fence",
        "sample",
        "catch_up",
        "align",
        "detach",
        "commit",
    ];
    assert_eq!(names[..expected.len()], expected);
    let held: f64 = outcome.steps[1..].iter().map(|step| step.ms).sum();
    assert!(
        (held - outcome.write_pause_ms).abs() < 5.0,
        "the steps add up to the pause: {outcome:?}"
    );
    world.assert_open_on(Side::Target);
    assert_eq!(world.handle.status().last_cutover, Some(outcome));

    world.until(|status| status.can_roll_back).await;
    let outcome = timeout(LIMIT, world.handle.rollback())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(outcome.outcome, "rolled_back", "{outcome:?}");
    world.assert_open_on(Side::Source);

    let status = world.until(|status| status.can_cut_over).await;
    assert_eq!(status.phase, "in_sync");
    assert_eq!(world.cutover().await.unwrap().outcome, "committed");
    assert_eq!(world.handle.finalize().await.unwrap().outcome, "finalized");
    let status = world.handle.status();
    assert_eq!(
        (status.phase, status.link.phase, status.can_roll_back),
        ("finalized", "unknown", false)
    );
    world.assert_open_on(Side::Target);
}

#[tokio::test]
async fn a_detach_that_hangs_is_aborted_within_the_bound() {
    let world = World::in_sync(bounds()).await;
    world.link.script(|script| script.hangs = Some("detach"));
    let outcome = world.cutover().await.unwrap();
    assert_eq!(outcome.outcome, "aborted");
    assert!(
        // The machine counts whole milliseconds, so that the bound is up to one early.
        (299.0..400.0).contains(&outcome.write_pause_ms),
        "{outcome:?}"
    );
    assert!(outcome.reasons[0].contains("detach"), "{outcome:?}");
    world.assert_open_on(Side::Source);
    assert_eq!(world.calls().last(), Some(&"unfence"));
    let status = world.until(|status| status.phase == "in_sync").await;
    assert!(
        status
            .alarms
            .iter()
            .any(|alarm| alarm.starts_with("detach_in_doubt"))
    );
}

#[tokio::test]
async fn a_source_that_has_started_over_before_it_is_sampled_is_not_left() {
    let world = World::in_sync(bounds()).await;
    world.link.script(|script| script.starts_over = true);
    let outcome = world.cutover().await.unwrap();
    assert_eq!(outcome.outcome, "aborted");
    let reason = "another replication stream";
    assert!(outcome.reasons[0].contains(reason), "{outcome:?}");
    world.assert_open_on(Side::Source);
}

#[tokio::test]
async fn an_operator_stops_a_cutover_that_waits() {
    let world = World::in_sync(Bounds {
        max_pause: LIMIT,
        ..bounds()
    })
    .await;
    world.link.script(|script| script.hangs = Some("caught_up"));
    let abort = async {
        world.until(|status| status.phase == "catching_up").await;
        assert_eq!(world.cutover().await.unwrap_err().code, "wrong_phase");
        world.handle.abort().await
    };
    let (cutover, abort) = tokio::join!(world.cutover(), abort);
    assert_eq!(
        (cutover.unwrap().outcome, abort.unwrap().outcome),
        ("aborted", "aborted")
    );
    world.assert_open_on(Side::Source);
}

#[tokio::test]
async fn a_reversal_that_hangs_does_not_hold_writes_beyond_the_bound() {
    let world = World::in_sync(bounds()).await;
    world.link.script(|script| script.hangs = Some("reverse"));
    let outcome = world.cutover().await.unwrap();
    assert_eq!(outcome.outcome, "committed");
    assert!(outcome.write_pause_ms < 400.0, "{outcome:?}");
    world.assert_open_on(Side::Target);
    let status = world.handle.status();
    assert!(
        status
            .alarms
            .iter()
            .any(|alarm| alarm.starts_with("way_back_unconfirmed"))
    );
    assert!(!status.can_roll_back);
}

#[tokio::test]
async fn a_target_with_data_is_flushed_only_by_its_name() {
    let world = World::start(bounds());
    world.link.script(|script| script.target_holds_data = true);
    let refusal = world.handle.migrate(None).await.unwrap_err();
    assert_eq!(
        (refusal.code, refusal.kind),
        ("flush_unconfirmed", RefusalKind::NotReady)
    );
    let refusal = world
        .handle
        .migrate(Some("a:1".to_owned()))
        .await
        .unwrap_err();
    assert_eq!(
        (refusal.code, refusal.kind),
        ("flush_confirmed_for_another", RefusalKind::WrongArgument)
    );
    assert!(world.calls().is_empty());
    world.handle.migrate(Some("b:2".to_owned())).await.unwrap();
    world.until(|status| status.phase == "in_sync").await;
}

#[tokio::test]
async fn a_target_that_is_the_source_is_refused() {
    let world = World::start(bounds());
    world.link.script(|script| script.same_server = true);
    let refusal = world
        .handle
        .migrate(Some("b:2".to_owned()))
        .await
        .unwrap_err();
    assert_eq!(refusal.code, "same_server");
    assert!(world.calls().is_empty());
}

#[tokio::test]
async fn a_preflight_error_stops_migrate_and_cutover() {
    let world = World::in_sync(bounds()).await;
    world
        .link
        .script(|script| script.preflight_error = Some("too small"));
    assert_eq!(world.cutover().await.unwrap_err().code, "preflight");
    world.assert_open_on(Side::Source);
    let other = World::start(bounds());
    other
        .link
        .script(|script| script.preflight_error = Some("too small"));
    assert_eq!(
        other.handle.migrate(None).await.unwrap_err().code,
        "preflight"
    );
}

#[tokio::test]
async fn a_dry_run_says_what_would_happen_and_does_nothing() {
    let world = World::in_sync(bounds()).await;
    let request = CutoverRequest {
        dry_run: true,
        ..CutoverRequest::default()
    };
    assert_eq!(
        world.handle.cutover(request.clone()).await.unwrap().outcome,
        "dry_run"
    );
    let idle = World::start(bounds());
    assert_eq!(
        idle.handle.cutover(request).await.unwrap_err().code,
        "wrong_phase"
    );
    assert_eq!(world.handle.status().phase, "in_sync");
    assert_eq!(world.calls(), ["prepare"]);
}

#[tokio::test]
async fn a_refusal_leaves_the_last_cutover_alone() {
    let world = World::in_sync(Bounds {
        min_interval: LIMIT,
        ..bounds()
    })
    .await;
    world.link.script(|script| script.fails = Some("fence"));
    assert_eq!(world.cutover().await.unwrap().outcome, "aborted");
    world.until(|status| status.phase == "in_sync").await;
    let before = world.handle.status().last_cutover;
    assert_eq!(world.cutover().await.unwrap_err().code, "too_soon");
    assert_eq!(world.handle.status().last_cutover, before);
}

#[tokio::test]
async fn auto_cuts_over_at_the_first_moment_that_is_ready() {
    let world = World::start(Bounds {
        auto: true,
        ..bounds()
    });
    world.handle.migrate(None).await.unwrap();
    world.until(|status| status.phase == "committed").await;
    world.until(|status| status.can_roll_back).await;
    world.handle.rollback().await.unwrap();
    // Taken back by a person, it does not happen again by itself.
    let looks = world.link.script(|script| script.looks);
    world.until(|status| status.can_cut_over).await;
    while world.link.script(|script| script.looks) < looks + 4 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.handle.status().phase, "in_sync");
}

#[tokio::test]
async fn a_process_that_dies_after_the_commit_comes_up_on_the_target() {
    let world = World::in_sync(bounds()).await;
    assert_eq!(world.cutover().await.unwrap().outcome, "committed");
    let (link, dir) = world.kill().await;
    let world = World::on(link, dir, bounds());
    world.assert_open_on(Side::Target);
    world.until(|status| status.can_roll_back).await;
}

#[tokio::test]
async fn a_process_that_dies_in_the_hold_comes_up_on_the_source_without_a_fence() {
    let world = World::in_sync(Bounds {
        max_pause: LIMIT,
        ..bounds()
    })
    .await;
    world.link.script(|script| script.hangs = Some("caught_up"));
    let handle = world.handle.clone();
    let asked = tokio::spawn(async move { handle.cutover(CutoverRequest::default()).await });
    world.until(|status| status.phase == "catching_up").await;
    let gate = Arc::clone(&world.gate);
    let (link, dir) = world.kill().await;
    assert_eq!(
        gate.policy().stage,
        Stage::Open,
        "dropping the runner lets the traffic go"
    );
    assert!(asked.await.unwrap().is_err());
    link.script(|script| script.calls.clear());
    let world = World::on(link, dir, bounds());
    world.assert_open_on(Side::Source);
    world.until(|status| status.phase == "in_sync").await;
    assert_eq!(world.calls(), ["unfence"]);
}

#[tokio::test]
async fn a_shutdown_in_the_hold_undoes_it_first() {
    let world = World::in_sync(Bounds {
        max_pause: LIMIT,
        ..bounds()
    })
    .await;
    world.link.script(|script| script.hangs = Some("caught_up"));
    let handle = world.handle.clone();
    let asked = tokio::spawn(async move { handle.cutover(CutoverRequest::default()).await });
    world.until(|status| status.phase == "catching_up").await;
    let (link, dir) = world.stop().await;
    assert_eq!(asked.await.unwrap().unwrap().outcome, "aborted");
    assert_eq!(
        link.script(|script| script.calls.last().copied()),
        Some("unfence")
    );
    let (_journal, resumed) = Journal::open(dir.path(), "a:1", "b:2").unwrap();
    assert_eq!(resumed.stage, journal::Stage::Migrating);
}

#[tokio::test]
async fn a_link_that_is_found_gone_leads_to_idle_with_the_reason() {
    let world = World::in_sync(bounds()).await;
    world.link.script(|script| script.copied = None);
    let status = world.until(|status| status.phase == "idle").await;
    assert!(
        status
            .reasons
            .iter()
            .any(|reason| reason.contains("found gone")),
        "{status:?}"
    );
}
