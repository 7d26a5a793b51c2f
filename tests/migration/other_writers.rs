//! Writers that bypass the proxy: before a cutover, while it is made, and on a target that is to be flushed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crate::kit::{
    self, Client, LIMIT, RedisServer, Reply, Sidecar, eventually, external, newer_servers,
};
use serde_json::{Value, json};

/// Writes to a server past the proxy, without a break, until it is dropped.
struct Flood {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Flood {
    const CLIENTS: usize = 3;
    /// Requests in a batch. One batch is under way while the replies of the other are read, so that the server never has
    /// to wait for a client.
    const BATCH: usize = 200;

    fn on(server: &RedisServer) -> Flood {
        let stop = Arc::new(AtomicBool::new(false));
        let threads = (0..Flood::CLIENTS)
            .map(|_| {
                let (stop, mut client) = (Arc::clone(&stop), server.client());
                std::thread::spawn(move || {
                    client.call(&["CLIENT", "SETNAME", "batch-job"]);
                    let batch = b"*2\r\n$4\r\nINCR\r\n$5\r\nflood\r\n".repeat(Flood::BATCH);
                    let read = |client: &mut Client| {
                        for _ in 0..Flood::BATCH {
                            client.read_reply();
                        }
                    };
                    client.send_raw(&batch);
                    while !stop.load(Ordering::Relaxed) {
                        client.send_raw(&batch);
                        read(&mut client);
                    }
                    read(&mut client);
                })
            })
            .collect();
        let flood = Flood { stop, threads };
        let flows = eventually(LIMIT, || {
            server.client().call(&["EXISTS", "flood"]) == Reply::Integer(1)
        });
        assert!(flows);
        flood
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
    }
}

/// The reasons of an outcome or a refusal.
fn reasons(of: &Value) -> Vec<String> {
    let reasons = of.as_array().unwrap().iter();
    reasons
        .map(|reason| reason.as_str().unwrap().to_owned())
        .collect()
}

/// A finding of the preflight.
fn finding(sidecar: &Sidecar, check: &str) -> Value {
    let findings = sidecar.admin().get("/v1/preflight").json["findings"].clone();
    let found = findings.as_array().unwrap().iter();
    found
        .clone()
        .find(|it| it["check"] == check)
        .unwrap()
        .clone()
}

#[test]
fn the_preflight_tells_a_writer_past_the_proxy_from_the_proxys_own() {
    let source = RedisServer::options().password("secret").start();
    let target = RedisServer::start();
    let sidecar = Sidecar::new().source(&source).target(&target).start();
    // Of the proxy: a lane that AUTH was sent on, and a connection of a session's own.
    let mut app = Client::connect(sidecar.addr("app"));
    assert_eq!(app.call(&["AUTH", "secret"]), Reply::ok());
    assert_eq!(app.call(&["SET", "k", "v"]), Reply::ok());
    let mut named = Client::connect(sidecar.addr("app"));
    assert_eq!(named.call(&["AUTH", "secret"]), Reply::ok());
    assert_eq!(named.call(&["CLIENT", "SETNAME", "mine"]), Reply::ok());
    assert_eq!(named.call(&["SET", "k", "v"]), Reply::ok());
    let before = finding(&sidecar, "other_writers");
    assert_eq!(before["level"], "ok", "{before:#}");

    let mut stranger = source.client();
    stranger.call(&["CLIENT", "SETNAME", "batch-job"]);
    stranger.call(&["SET", "k", "w"]);
    let after = finding(&sidecar, "other_writers");
    assert_eq!(after["level"], "warning", "{after:#}");
    let message = after["message"].as_str().unwrap();
    let address = stranger.local_addr().to_string();
    for word in [&address, "name batch-job", "last command set"] {
        assert!(message.contains(word), "{word} in {message}");
    }
    assert!(after["what_to_do"].as_str().unwrap().contains("proxy"));
}

fn fenced_writers_are_named_and_lose_nothing(server: &kit::RedisOptions) {
    let (source, target) = (server.clone().start(), server.clone().start());
    let sidecar = Sidecar::new()
        .source(&source)
        .target(&target)
        .set("cutover.max_pause", "5s")
        .expect_warning("the fence held them")
        .start();
    let flood = Flood::on(&source);
    sidecar.admin().migrate_until_ready();
    let outcome = sidecar.admin().must_cut_over();
    let told = reasons(&outcome["reasons"]);
    assert!(
        told.len() == 1
            && told[0].contains("name batch-job")
            && told[0].contains("point them at the proxy"),
        "{told:?}"
    );
    drop(flood);
    let written = |server: &RedisServer| server.client().call(&["GET", "flood"]).into_text();
    assert_eq!(
        written(&source),
        written(&target),
        "what was acknowledged to it before the fence is on the target"
    );
}

#[test]
fn a_writer_past_the_proxy_is_held_by_the_fence_and_named_in_the_outcome() {
    fenced_writers_are_named_and_lose_nothing(&RedisServer::options());
    for (_, program) in newer_servers() {
        fenced_writers_are_named_and_lose_nothing(&RedisServer::options().program(program));
    }
}

#[test]
fn a_write_past_the_proxy_while_an_unfenced_side_is_left_is_a_warning_in_the_outcome() {
    let (source, target) = (RedisServer::start(), RedisServer::start());
    let bypass = format!("redis-cli -p {} SET bypass 1 && ", source.addr().port());
    let sidecar = external(&source, &target, &bypass)
        .expect_warning("could not be fenced: 1 command,")
        .start();
    sidecar.admin().migrate_until_ready();
    let outcome = sidecar.admin().must_cut_over();
    let told = reasons(&outcome["reasons"]);
    assert!(told.len() == 1 && told[0].contains("compare"), "{told:?}");
}

#[test]
fn an_unfenced_side_that_nobody_bypasses_is_left_without_a_warning_or_an_alarm() {
    let (source, target) = (RedisServer::start(), RedisServer::start());
    let sidecar = external(&source, &target, "").start();
    let mut app = Client::connect(sidecar.addr("app"));
    assert_eq!(app.call(&["SET", "k", "v"]), Reply::ok());
    assert_eq!(
        app.call(&["EVAL", "return redis.call('incr', 'n')", "0"]),
        Reply::Integer(1)
    );
    sidecar.admin().migrate_until_ready();
    let outcome = sidecar.admin().must_cut_over();
    assert_eq!(outcome["reasons"], json!([]), "{outcome:#}");
    assert_eq!(app.call(&["INCR", "n"]), Reply::Integer(2));
    // The watch has to look for longer than a marker may take: nothing of what it writes itself may be an alarm.
    let markers = || {
        let calls = source.info("commandstats", "cmdstat_set").unwrap();
        let calls = calls
            .strip_prefix("calls=")
            .unwrap()
            .split(',')
            .next()
            .unwrap();
        calls.parse::<u64>().unwrap()
    };
    let end = markers() + 24;
    assert!(eventually(LIMIT, || markers() >= end), "nobody watches");
    let status = sidecar.admin().status();
    assert_eq!(status["alarms"], json!([]), "{status:#}");
}

#[test]
fn a_target_that_somebody_writes_to_is_not_flushed_though_it_was_confirmed() {
    let (source, target) = (RedisServer::start(), RedisServer::start());
    let sidecar = Sidecar::new().source(&source).target(&target).start();
    let flood = Flood::on(&target);
    let confirmed = json!({"confirm_flush": "target"});
    let refused = sidecar.admin().post("/v1/migrate", &confirmed);
    assert_eq!(refused.status, 409, "{}", refused.text);
    assert_eq!(refused.json["error"]["code"], "target_written");
    assert!(refused.text.contains("batch-job"), "{}", refused.text);
    assert_eq!(sidecar.admin().phase(), "idle");
    assert_eq!(target.info("replication", "role").unwrap(), "master");
    drop(flood);
    assert_eq!(
        target.client().call(&["EXISTS", "flood"]),
        Reply::Integer(1)
    );
    let unconfirmed = sidecar.admin().migrate();
    assert_eq!(unconfirmed.json["error"]["code"], "flush_unconfirmed");
    let accepted = sidecar.admin().post("/v1/migrate", &confirmed);
    assert_eq!(accepted.status, 202, "{}", accepted.text);
}
