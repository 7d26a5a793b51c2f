//! What can go wrong on the way: survived, or reported with what to do; nothing acknowledged lost either way.

use std::time::Duration;

use serde_json::{Value, json};

use crate::application::Application;
use crate::cluster::{Deed, Numbers};
use crate::kit::{Admin, LIMIT, RedisServer, Sidecar, eventually};
use crate::witness::Witness;
use crate::world::World;

/// A running migration that is ready for its cutover.
struct Ready {
    world: World,
    source: RedisServer,
    sidecar: Sidecar,
    application: Application,
    witness: Witness,
}

impl Ready {
    /// With pauses that end after a second and a half.
    fn new(world: World) -> Ready {
        let source = RedisServer::start();
        let sidecar = world
            .sidecar(&source.url())
            .set("cutover.max_pause", "1500ms")
            .any_warning()
            .start();
        let witness = Witness::of(&world.target);
        let application = Application::start(sidecar.addr("app"));
        sidecar.admin().migrate_until_ready();
        Ready {
            world,
            source,
            sidecar,
            application,
            witness,
        }
    }

    fn admin(&self) -> Admin {
        self.sidecar.admin()
    }

    /// An attempt that must be undone, with the application going on where it was.
    fn must_abort(&self) -> Value {
        let answer = self.admin().cutover();
        assert_eq!(answer.json["outcome"], "aborted", "{}", answer.text);
        assert_eq!(self.admin().status()["active_side"], "source");
        self.application.writes_on();
        answer.json
    }

    /// A cutover that must succeed, once it is possible, and the end. A moment that is no more than not ready is waited
    /// out.
    fn commits(self) {
        let mut last = Value::Null;
        let committed = eventually(LIMIT, || {
            let answer = self.admin().cutover();
            last = answer.json;
            answer.status != 409
        });
        assert!(committed && last["outcome"] == "committed", "{last:#}");
        self.application.writes_on();
        let admin = self.admin();
        self.world.finish(admin, self.witness, self.application);
    }
}

#[test]
fn a_node_that_redirects_and_a_cluster_that_is_busy_are_asked_on() {
    let world = World::new();
    let source = RedisServer::start();
    let sidecar = world
        .sidecar(&source.url())
        .set("link.enterprise.api", world.cluster.other_node_url())
        .any_warning()
        .start();
    for status in [409, 503, 409] {
        world.cluster.answer("PUT", "/v1/", Deed::Status(status), 1);
    }
    world.migrate(&sidecar);
}

#[test]
fn a_version_that_tells_no_positions_is_cut_over_by_markers() {
    let world = World::new();
    world
        .cluster
        .faults(|faults| faults.numbers = Numbers::Absent);
    Ready::new(world).commits();
}

#[test]
fn a_version_whose_positions_are_what_was_read_commits_only_what_has_arrived() {
    for numbers in [Numbers::Read, Numbers::Ahead(1 << 30)] {
        let ready = Ready::new(World::new());
        ready
            .world
            .cluster
            .faults(|faults| faults.numbers = numbers);
        ready.world.target.stall();
        ready.must_abort();
        ready.world.target.go_on();
        ready.commits();
    }
}

#[test]
fn positions_that_stand_still_commit_nothing_and_are_told() {
    let ready = Ready::new(World::new());
    ready
        .world
        .cluster
        .faults(|faults| faults.numbers = Numbers::Stale(None));
    // The first numbers are told now, and never change again.
    ready
        .world
        .cluster
        .caller()
        .get(&format!("/v1/migrations/{}", ready.world.target.uid));
    ready.application.writes_on();
    let answer = ready.admin().cutover();
    assert_ne!(answer.json["outcome"], "committed", "{}", answer.text);
    ready.application.writes_on();
    ready
        .world
        .cluster
        .faults(|faults| faults.numbers = Numbers::Applied);
    ready.commits();
}

#[test]
fn a_link_that_was_lost_is_waited_for() {
    let ready = Ready::new(World::new());
    ready.world.target.lose_the_link();
    ready.application.writes_on();
    ready.commits();
}

#[test]
fn a_full_copy_that_becomes_necessary_begins_the_wait_anew() {
    let ready = Ready::new(World::new());
    ready.world.target.copy_slowly(Duration::from_secs(1));
    ready.source.client().call(&["DEBUG", "POPULATE", "1000"]);
    ready.world.target.start_over();
    ready
        .admin()
        .wait_for("the full copy", |status| status["phase"] == "syncing");
    assert_eq!(ready.admin().cutover().status, 409);
    ready.world.target.copy_slowly(Duration::ZERO);
    ready.commits();
}

#[test]
fn a_full_copy_that_begins_within_the_pause_undoes_the_attempt() {
    let ready = Ready::new(World::new());
    ready.world.target.stall();
    std::thread::scope(|scope| {
        let attempt = scope.spawn(|| ready.must_abort());
        let caught = || ready.admin().phase() == "catching_up";
        assert!(eventually(LIMIT, caught), "{:#}", ready.admin().status());
        ready.world.target.start_over();
        ready.world.target.go_on();
        attempt.join().unwrap();
    });
    ready.commits();
}

#[test]
fn a_source_that_refuses_the_password_is_told_with_what_to_do() {
    let world = World::new();
    let source = RedisServer::options().password("right").start();
    let sidecar = world
        .sidecar(&source.url())
        .set(
            "link.enterprise.source_url",
            format!("redis://:wrong-one@{}", source.addr()),
        )
        .any_warning()
        .start();
    let admin = sidecar.admin();
    assert_eq!(admin.migrate().status, 202);
    let of = |status: &Value| {
        status["link"]["last_error"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    admin.wait_for("the error", |status| of(status).contains("migrate"));
    let status = admin.status();
    assert_eq!(
        (&status["link"]["phase"], &status["can_cut_over"]),
        (&json!("broken"), &json!(false))
    );
    assert!(of(&status).contains("WRONGPASS"), "{status:#}");
    assert!(!format!("{status}{}", sidecar.log()).contains("wrong-one"));
    assert_eq!(admin.cutover().status, 409);
}

#[test]
fn a_stop_that_says_it_is_done_too_early_is_waited_for() {
    let ready = Ready::new(World::new());
    ready
        .world
        .cluster
        .faults(|faults| faults.lingering = Duration::from_millis(500));
    ready.commits();
}

#[test]
fn a_stop_that_takes_longer_than_the_pause_may_is_undone_and_never_flushes() {
    let ready = Ready::new(World::new());
    ready.world.cluster.change_takes(Duration::from_secs(3));
    let outcome = ready.must_abort();
    let reasons = outcome["reasons"].to_string();
    assert!(reasons.contains("`migrate` again"), "{outcome:#}");
    // Replica Of ends all the same, a while later: a new full copy is needed, on the operator's word only.
    assert!(eventually(LIMIT, || !ready.world.target.has_syncer()));
    ready.admin().wait_for("the end of the link", |status| {
        status["link"]["phase"] == "detached"
    });
    assert!(!ready.world.target.replicates());
    ready.world.cluster.change_takes(Duration::from_millis(20));
    let name = json!({ "confirm_flush": "target" });
    assert_eq!(ready.admin().post("/v1/migrate", &name).status, 202);
    ready.commits();
}

#[test]
fn an_answer_to_the_stop_that_never_comes_commits_nothing_blindly() {
    let ready = Ready::new(World::new());
    ready
        .world
        .cluster
        .answer("PUT", "/v1/bdbs/", Deed::DoneInSilence, 1);
    let answer = ready.admin().cutover();
    let side = ready.admin().status()["active_side"].clone();
    match answer.json["outcome"].as_str() {
        // It was asked for again, and seen stopped.
        Some("committed") => {
            assert_eq!(side, "target");
            ready.application.writes_on();
            let admin = ready.admin();
            ready.world.finish(admin, ready.witness, ready.application);
        }
        Some("aborted") => {
            assert_eq!(side, "source");
            ready.application.writes_on();
            let name = json!({ "confirm_flush": "target" });
            ready.admin().wait_for("the end of the link", |status| {
                status["link"]["phase"] == "detached"
            });
            assert_eq!(ready.admin().post("/v1/migrate", &name).status, 202);
            ready.commits();
        }
        _ => panic!("{}", answer.text),
    }
}

#[test]
fn a_slow_copy_is_shown_in_bytes() {
    let world = World::new();
    let source = RedisServer::start();
    source.client().call(&["DEBUG", "POPULATE", "2000"]);
    world.target.copy_slowly(LIMIT);
    let sidecar = world.sidecar(&source.url()).start();
    let admin = sidecar.admin();
    assert_eq!(admin.migrate().status, 202);
    admin.wait_for("progress", |status| {
        let link = &status["link"];
        link["bytes_done"].as_u64() > Some(0)
            && link["bytes_done"].as_u64() < link["bytes_total"].as_u64()
    });
}

#[test]
fn somebody_who_enables_replica_of_after_the_commit_raises_an_alarm() {
    let ready = Ready::new(World::new());
    ready.admin().must_cut_over();
    ready.application.writes_on();
    let path = format!("/v1/bdbs/{}", ready.world.target.uid);
    let elsewhere = json!({
        "replica_sources": [{ "uri": "redis://127.0.0.1:1" }],
        "replica_sync": "enabled",
    });
    let api = ready.world.cluster.caller();
    assert!(eventually(LIMIT, || api.put(&path, &elsewhere).status == 200));
    ready.admin().wait_for("the alarm", |status| {
        let alarms = status["alarms"].to_string();
        alarms.contains("target_follows_source")
    });
    let alarms = ready.admin().status()["alarms"].to_string();
    assert!(alarms.contains("cluster's console"), "{alarms}");
    assert!(!alarms.contains("NO ONE"), "{alarms}");
}
