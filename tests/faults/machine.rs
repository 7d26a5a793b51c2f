//! The machine under the sidecar fails: the disk under the state directory is full, broken, read-only or slow; the wall
//! clock jumps.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::alone;
use super::kit::{Client, Deed, Hazard, RedisServer, Reply, Sidecar};
use super::shim::Shim;

/// Ready to cut over, on a machine of the test's making.
struct World {
    shim: Arc<Shim>,
    source: RedisServer,
    target: RedisServer,
    /// Before the target.
    road: Hazard,
    sidecar: Sidecar,
}

impl World {
    fn ready() -> World {
        let shim = Arc::new(Shim::new());
        let (source, target) = (RedisServer::start(), RedisServer::start());
        let road = Hazard::before(target.addr());
        let sidecar = Sidecar::new()
            .source(&source)
            .set("target.url", format!("redis://{}", road.addr()))
            .set("target.name", "target")
            .set("target.replication_address", target.addr().to_string());
        let sidecar = shim.under(sidecar).start();
        sidecar.admin().migrate_until_ready();
        World {
            shim,
            source,
            target,
            road,
            sidecar,
        }
    }

    fn app(&self) -> Client {
        Client::connect(self.sidecar.addr("app"))
    }

    /// The machine is like this from the moment at which the link is ended: the commit's record is next.
    fn say_at_the_detach(&self, what: &'static str) {
        let shim = Arc::clone(&self.shim);
        let deed = Deed::Do(Box::new(move || shim.say(what)));
        self.road.at("$9\r\nREPLICAOF\r\n$2\r\nNO\r\n", deed);
    }

    fn journal(&self) -> String {
        std::fs::read_to_string(self.sidecar.state_directory().join("journal")).unwrap()
    }

    fn is_on(&self, side: &str) {
        let status = self.sidecar.admin().status();
        assert_eq!(status["active_side"], side, "{status:#}");
        let server = match side {
            "source" => &self.source,
            _ => &self.target,
        };
        let mut app = self.app();
        assert!(matches!(app.call(&["INCR", "k"]), Reply::Integer(_)));
        let there = server.client().call(&["GET", "k"]);
        assert_eq!(app.call(&["GET", "k"]), there);
    }
}

#[test]
fn without_room_for_the_journal_nothing_is_held_and_nothing_changes() {
    for (what, word) in [
        ("full", "No space left"),
        ("torn", "No space left"),
        ("readonly", "Read-only file system"),
        ("broken", "Input/output error"),
    ] {
        let _alone = alone();
        let mut world = World::ready();
        let before = world.journal();
        world.sidecar.expect_warning(word);
        world.sidecar.expect_warning("journal_failed");
        world.shim.say(what);
        let answer = world.sidecar.admin().cutover();
        assert_eq!(answer.status, 409, "{what}: {}", answer.text);
        assert!(answer.text.contains(word), "{what}: {}", answer.text);
        world.is_on("source");
        assert_eq!(world.journal(), before, "{what}: as it was");
        world.shim.say("");
        world
            .sidecar
            .admin()
            .wait_for("can_cut_over", |status| status["can_cut_over"] == true);
        world.sidecar.admin().must_cut_over();
        world.is_on("target");
        assert_eq!(world.sidecar.admin().status()["alarms"], json!([]));
    }
}

#[test]
fn a_commit_that_cannot_be_written_is_none_and_the_source_serves_after_a_restart_too() {
    for (what, word) in [
        ("full", "No space left"),
        ("torn", "No space left"),
        ("broken", "Input/output error"),
    ] {
        let _alone = alone();
        let mut world = World::ready();
        // On a slow machine the answer to the detach comes late besides, and that is in doubt.
        world.sidecar.any_warning();
        world.say_at_the_detach(what);
        let answer = world.sidecar.admin().cutover();
        assert_eq!(answer.json["outcome"], "aborted", "{what}: {}", answer.text);
        for warning in [word, "journal_failed", "aborted: "] {
            let log = world.sidecar.log();
            assert!(log.contains(warning), "{what}: {warning}: {log}");
        }
        world.is_on("source");
        world.sidecar.kill();
        world.shim.say("");
        world.sidecar.start_again();
        world.is_on("source");
    }
}

/// The real thing, where the system lets the test make a file system.
#[test]
fn a_full_file_system_changes_nothing() {
    let _alone = alone();
    let small = tempfile::tempdir().unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=16k", "tmpfs"])
        .arg(small.path())
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        eprintln!("no file system of its own without the right to mount; the shim stands for it");
        return;
    }
    let mounted = Mounted(small);
    let (source, target) = (RedisServer::start(), RedisServer::start());
    let sidecar = Sidecar::new()
        .source(&source)
        .target(&target)
        .set("state.dir", mounted.0.path().to_str().unwrap())
        .expect_warning("No space left")
        .expect_warning("journal_failed")
        .start();
    let admin = sidecar.admin();
    admin.migrate_until_ready();
    let filler = mounted.0.path().join("filler");
    let room = std::fs::write(&filler, vec![0_u8; 1 << 20]);
    assert!(room.is_err(), "the file system is full");
    // What room is left in the journal's last block is used up by attempts.
    let mut refused = Value::Null;
    let full = super::kit::eventually(super::kit::LIMIT, || {
        let answer = match admin.status()["active_side"].as_str() {
            Some("source") => admin.cutover(),
            _ => admin.rollback(),
        };
        refused = answer.json;
        refused.to_string().contains("No space left")
    });
    assert!(full, "{refused:#}");
    let side = admin.status()["active_side"].clone();
    let mut app = Client::connect(sidecar.addr("app"));
    assert_eq!(app.call(&["SET", "k", "v"]), Reply::ok());
    let server = if side == "source" { &source } else { &target };
    assert_eq!(server.client().call(&["GET", "k"]), Reply::bulk("v"));
    std::fs::remove_file(filler).unwrap();
    admin.wait_for("order", |status| {
        status["can_cut_over"] == true
            || status["can_roll_back"] == true
            || status["phase"] == "idle"
    });
    drop(sidecar);
}

/// Unmounted when it is dropped.
struct Mounted(tempfile::TempDir);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

/// While nobody knows whether the record is on the disk, neither side may be written to: this is the one wait that the
/// bound of the pause does not end.
#[test]
fn a_slow_disk_makes_the_pause_longer_and_loses_nothing() {
    let _alone = alone();
    let world = World::ready();
    world.say_at_the_detach("slow 300");
    let mut app = world.app();
    assert_eq!(app.call(&["SET", "before", "1"]), Reply::ok());
    let answer = world.sidecar.admin().must_cut_over();
    assert!(answer["write_pause_ms"].as_f64().unwrap() >= 300.0);
    world.is_on("target");
    assert_eq!(app.call(&["GET", "before"]), Reply::bulk("1"));
}

/// Every bound is measured by a clock that only goes forward at its own pace; the wall clock is for people to read.
#[test]
fn a_wall_clock_that_jumps_changes_nothing() {
    for jump in ["clock 86400", "clock -86400", "clock 315360000"] {
        let _alone = alone();
        let mut world = World::ready();
        world.say_at_the_detach(jump);
        let from = Instant::now();
        let outcome = world.sidecar.admin().must_cut_over();
        assert!(from.elapsed() < Duration::from_secs(10));
        let pause = outcome["write_pause_ms"].as_f64().unwrap();
        assert!(pause < 1_000.0, "{jump}: {pause} ms");
        world.is_on("target");
        let jumped = world.journal();
        assert!(jumped.contains("committed"), "{jumped}");
        // And a start finds records in an order that the clock denies.
        world.sidecar.kill();
        world.shim.say("");
        world.sidecar.start_again();
        world.is_on("target");
        let admin = world.sidecar.admin();
        admin.wait_for("can_roll_back", |status| status["can_roll_back"] == true);
        let back = admin.rollback();
        assert_eq!(back.json["outcome"], "rolled_back", "{}", back.text);
        world.is_on("source");
    }
}
