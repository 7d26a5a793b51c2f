//! After the commit: what would be lost unseen is an alarm, in the status, the metrics, the log and the events, until it
//! is over; and no order but a confirmed `migrate` deletes what the target holds.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use crate::kit::{self, Admin, Client, LIMIT, RedisServer, Reply, Sidecar};
use serde_json::json;

/// What `/v1/events` tells from the moment of its making.
struct Listener(BufReader<TcpStream>);

impl Listener {
    fn on(admin: Admin) -> Listener {
        let mut stream = TcpStream::connect(admin.address).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let request = format!("GET /v1/events HTTP/1.1\r\nHost: {}\r\n\r\n", admin.address);
        stream.write_all(request.as_bytes()).unwrap();
        let mut listener = Listener(BufReader::new(stream));
        listener.until(|line| line.trim().is_empty());
        listener
    }

    /// The next event of that kind; its data.
    fn next(&mut self, kind: &str) -> String {
        let event = format!("event: {kind}");
        self.until(|line| line.trim() == event);
        self.until(|line| line.starts_with("data:"))
    }

    fn until(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(self.0.read_line(&mut line).unwrap(), 0, "the events end");
            if wanted(&line) {
                return line;
            }
        }
    }
}

/// Waits for the alarm in the status; gives its text.
fn raised(admin: Admin, alarm: &str) -> String {
    let prefix = format!("{alarm}: ");
    let of = |status: &serde_json::Value| {
        let alarms = status["alarms"].as_array().unwrap().iter();
        alarms
            .filter_map(serde_json::Value::as_str)
            .find(|text| text.starts_with(&prefix))
            .map(str::to_owned)
    };
    admin.wait_for(alarm, |status| of(status).is_some());
    of(&admin.status()).unwrap()
}

fn cleared(admin: Admin, alarm: &str) {
    let prefix = format!("{alarm}: ");
    admin.wait_for(&format!("no {alarm}"), |status| {
        let alarms = status["alarms"].as_array().unwrap().iter();
        alarms
            .filter_map(serde_json::Value::as_str)
            .all(|text| !text.starts_with(&prefix))
    });
}

fn assert_metric(admin: Admin, alarm: &str, value: u8) {
    let line = format!("handover_alarm{{alarm=\"{alarm}\"}} {value}");
    let metrics = admin.metrics();
    assert!(metrics.lines().any(|it| it == line), "{line} in\n{metrics}");
}

fn replicate(follower: &RedisServer, leader: &RedisServer) {
    let (host, port) = (
        leader.addr().ip().to_string(),
        leader.addr().port().to_string(),
    );
    let order = ["REPLICAOF", &host, &port];
    assert_eq!(follower.client().call(&order), Reply::ok());
}

fn promote(server: &RedisServer) {
    assert_eq!(
        server.client().call(&["REPLICAOF", "NO", "ONE"]),
        Reply::ok()
    );
}

#[test]
fn writes_on_the_old_source_are_an_alarm_until_it_follows_the_target_again() {
    let (source, target) = (RedisServer::start(), RedisServer::start());
    let sidecar = Sidecar::new()
        .source(&source)
        .target(&target)
        .expect_warning("way_back_lost")
        .expect_warning("old_source_written")
        .start();
    let admin = sidecar.admin();
    admin.migrate_until_ready();
    admin.must_cut_over();
    admin.wait_for("the way back", |status| status["can_roll_back"] == true);
    assert_eq!(admin.status()["alarms"], json!([]));
    let mut events = Listener::on(admin);

    promote(&source);
    raised(admin, "way_back_lost");
    let mut stranger = source.client();
    stranger.call(&["CLIENT", "SETNAME", "batch-job"]);
    let mut text = String::new();
    // The first look at a server that has just been promoted is where the counting begins.
    admin.wait_for("old_source_written", |status| {
        stranger.call(&["SET", "k", "v"]);
        text = status["alarms"].to_string();
        text.contains("old_source_written")
    });
    assert!(
        text.contains("name batch-job") && text.contains("last command set"),
        "{text}"
    );
    assert_metric(admin, "old_source_written", 1);
    assert!(events.next("alarm").contains("way_back_lost"));
    assert!(events.next("alarm").contains("old_source_written"));

    replicate(&source, &target);
    cleared(admin, "old_source_written");
    assert_metric(admin, "old_source_written", 0);
    let mut over = String::new();
    while !over.contains("old_source_written") {
        over = events.next("alarm_cleared");
    }
    cleared(admin, "way_back_lost");
}

#[test]
fn writes_on_an_old_source_without_a_way_back_are_an_alarm_until_they_cease() {
    let (source, target) = (RedisServer::start(), RedisServer::start());
    let sidecar = Sidecar::new()
        .source(&source)
        .target(&target)
        .set("cutover.reverse", false)
        .expect_warning("old_source_written")
        .start();
    let admin = sidecar.admin();
    admin.migrate_until_ready();
    admin.must_cut_over();
    // The fence ends by itself a while after the commit; the write waits for that.
    let mut stranger = source.client();
    assert_eq!(stranger.call(&["SET", "k", "v"]), Reply::ok());
    let text = raised(admin, "old_source_written");
    assert!(text.contains("1 command"), "{text}");
    cleared(admin, "old_source_written");
    assert!(sidecar.log().contains("old_source_written: no more"));
}

#[test]
fn a_target_that_follows_somebody_again_is_an_alarm_until_it_does_not() {
    let (source, target, third) = (
        RedisServer::start(),
        RedisServer::start(),
        RedisServer::start(),
    );
    let sidecar = Sidecar::new()
        .source(&source)
        .target(&target)
        .set("cutover.reverse", false)
        .expect_warning("target_follows_source")
        .start();
    let admin = sidecar.admin();
    admin.migrate_until_ready();
    admin.must_cut_over();
    for leader in [&source, &third] {
        let mut events = Listener::on(admin);
        replicate(&target, leader);
        let text = raised(admin, "target_follows_source");
        assert!(text.contains(&leader.addr().to_string()), "{text}");
        assert!(text.contains("REPLICAOF NO ONE"), "{text}");
        assert_metric(admin, "target_follows_source", 1);
        assert!(events.next("alarm").contains("target_follows_source"));
        // Once the new link streams, it is no less an alarm.
        let up = kit::eventually(LIMIT, || {
            target.info("replication", "master_link_status").as_deref() == Some("up")
        });
        assert!(up);
        raised(admin, "target_follows_source");
        promote(&target);
        cleared(admin, "target_follows_source");
        assert_metric(admin, "target_follows_source", 0);
        assert!(
            events
                .next("alarm_cleared")
                .contains("target_follows_source")
        );
    }
}

#[test]
fn a_settled_cutover_raises_no_alarm_under_the_proxys_own_load() {
    let (source, target) = (RedisServer::start(), RedisServer::start());
    let sidecar = Sidecar::new().source(&source).target(&target).start();
    let admin = sidecar.admin();
    let mut app = Client::connect(sidecar.addr("app"));
    admin.migrate_until_ready();
    for _ in 0..2 {
        admin.must_cut_over();
        admin.wait_for("the way back", |status| {
            app.call(&["INCR", "n"]);
            status["can_roll_back"] == true
        });
        assert_eq!(admin.status()["alarms"], json!([]));
        assert_eq!(admin.rollback().status, 200);
        admin.wait_for("can_cut_over", |status| {
            app.call(&["INCR", "n"]);
            status["can_cut_over"] == true
        });
        assert_eq!(admin.status()["alarms"], json!([]));
    }
}

/// Every order there is but a `migrate` that is confirmed.
fn all_other_orders(admin: Admin) {
    let dry = json!({"dry_run": true});
    let another = json!({"confirm_flush": "source"});
    for (path, body) in [
        ("/v1/migrate", &json!({})),
        ("/v1/migrate", &another),
        ("/v1/cutover", &dry),
        ("/v1/cutover", &json!({})),
        ("/v1/abort", &json!({})),
        ("/v1/rollback", &json!({})),
        ("/v1/verify", &json!({})),
    ] {
        let answer = admin.post(path, body);
        assert!(
            (200..500).contains(&answer.status),
            "{path}: {}",
            answer.text
        );
    }
    admin.get("/v1/preflight");
}

#[test]
fn nothing_but_a_confirmed_migrate_deletes_what_the_target_holds() {
    let (source, target) = (RedisServer::start(), RedisServer::start());
    let mut sidecar = Sidecar::new().source(&source).target(&target).start();
    let admin = sidecar.admin();
    let mut there = target.client();
    assert_eq!(there.call(&["SET", "precious", "1"]), Reply::ok());
    all_other_orders(admin);
    assert_eq!(admin.finalize().status, 409);
    sidecar.kill();
    sidecar.start_again();
    all_other_orders(admin);
    assert_eq!(admin.phase(), "idle");
    assert_eq!(there.call(&["GET", "precious"]), Reply::bulk("1"));
    assert_eq!(target.info("stats", "sync_full").unwrap(), "0");

    let confirmed = json!({"confirm_flush": "target"});
    assert_eq!(admin.post("/v1/migrate", &confirmed).status, 202);
    admin.wait_for("can_cut_over", |status| status["can_cut_over"] == true);
    assert_eq!(there.call(&["GET", "precious"]), Reply::Null);

    // Committed: the target is what the application runs on, and the same order is refused.
    admin.must_cut_over();
    assert_eq!(there.call(&["SET", "precious", "2"]), Reply::ok());
    let copies = source.info("stats", "sync_full").unwrap();
    let refused = admin.post("/v1/migrate", &confirmed);
    assert_eq!(refused.status, 409, "{}", refused.text);
    assert_eq!(refused.json["error"]["code"], "wrong_phase");
    sidecar.kill();
    sidecar.start_again();
    assert_eq!(admin.post("/v1/migrate", &confirmed).status, 409);
    assert_eq!(admin.finalize().status, 200);
    all_other_orders(admin);
    assert_eq!(admin.post("/v1/migrate", &confirmed).status, 409);
    assert_eq!(target.info("replication", "role").unwrap(), "master");
    assert_eq!(source.info("stats", "sync_full").unwrap(), copies);
    assert_eq!(there.call(&["GET", "precious"]), Reply::bulk("2"));
}

#[test]
fn what_was_set_for_the_replication_is_set_back_at_the_end() {
    let source = RedisServer::options()
        .arguments(&["--masterauth", "of-before"])
        .start();
    let target = RedisServer::options().password("of-the-target").start();
    let sidecar = Sidecar::new().source(&source).target(&target).start();
    let admin = sidecar.admin();
    let is = |server: &RedisServer, secret: &str| {
        let reply = server.client().call(&["CONFIG", "GET", "masterauth"]);
        reply == Reply::bulks(&["masterauth", secret])
    };
    admin.migrate_until_ready();
    assert!(is(&target, ""), "the source wants no password");
    admin.must_cut_over();
    admin.wait_for("the way back", |status| status["can_roll_back"] == true);
    assert!(is(&source, "of-the-target"));
    assert_eq!(admin.finalize().json["outcome"], "finalized");
    assert!(is(&source, "of-before") && is(&target, "of-the-target"));
    let told = [sidecar.log(), admin.status().to_string()].concat();
    let journal = std::fs::read_to_string(sidecar.state_directory().join("journal")).unwrap();
    for secret in ["of-before", "of-the-target"] {
        assert!(
            !told.contains(secret) && !journal.contains(secret),
            "{secret}"
        );
    }
}
