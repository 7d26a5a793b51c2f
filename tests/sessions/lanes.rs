//! Connections that sessions share: what one session does must not keep the others waiting.

use std::time::Duration;

use crate::kit::{self, Client, RedisServer, Reply, Sidecar};

/// Longer than `lane_stall`.
const STALLED: Duration = Duration::from_millis(120);

fn connections(server: &RedisServer) -> usize {
    server
        .client()
        .call(&["CLIENT", "LIST"])
        .into_text()
        .lines()
        .count()
}

#[test]
fn a_reply_that_does_not_come_keeps_only_those_waiting_that_stand_behind_it() {
    let (source, target) = (RedisServer::start(), RedisServer::start());
    let sidecar = Sidecar::new().source(&source).target(&target).start();
    let app = || Client::connect(sidecar.addr("app"));
    let (mut writer, mut behind, mut reader) = (app(), app(), app());
    for session in [&mut writer, &mut behind, &mut reader] {
        assert_eq!(session.call(&["SET", "k", "v"]), Reply::ok());
    }
    let mut operator = source.client();
    let before = connections(&source);
    operator.call(&["CLIENT", "PAUSE", "60000", "WRITE"]);
    writer.send(&["INCR", "held"]);
    behind.send(&["GET", "k"]);
    assert!(
        !writer.has_reply_within(STALLED),
        "the server holds writes back"
    );
    for _ in 0..3 {
        assert_eq!(reader.call(&["GET", "k"]), Reply::bulk("v"));
    }
    // What stands behind a request of its own stays behind it.
    writer.send(&["GET", "held"]);
    assert!(!writer.has_reply_within(STALLED));
    assert_eq!(app().call(&["GET", "k"]), Reply::bulk("v"));
    operator.call(&["CLIENT", "UNPAUSE"]);
    assert_eq!(writer.read_reply(), Reply::Integer(1));
    assert_eq!(writer.read_reply(), Reply::bulk("1"));
    assert_eq!(behind.read_reply(), Reply::bulk("v"));
    assert_eq!(writer.call(&["INCR", "held"]), Reply::Integer(2));
    let gone = kit::eventually(kit::LIMIT, || connections(&source) <= before);
    assert!(gone, "the connection that was set aside is closed");
}

#[test]
fn a_server_that_is_slow_as_a_whole_is_waited_for() {
    let (source, target) = (RedisServer::start(), RedisServer::start());
    let sidecar = Sidecar::new()
        .source(&source)
        .target(&target)
        .set("proxy.connect_timeout", "200ms")
        .start();
    let app = || Client::connect(sidecar.addr("app"));
    let (mut slow, mut other) = (app(), app());
    assert_eq!(other.call(&["SET", "k", "v"]), Reply::ok());
    slow.send(&["DEBUG", "SLEEP", "0.6"]);
    assert!(!slow.has_reply_within(STALLED));
    // A fresh connection cannot be had either: as without a proxy, this takes as long as the server sleeps.
    assert_eq!(other.call(&["GET", "k"]), Reply::bulk("v"));
    assert_eq!(slow.read_reply(), Reply::ok());
}

#[test]
fn who_asks_for_little_does_not_stand_behind_who_asks_for_much() {
    const WINDOW: u32 = 16;
    const MUCH: usize = 1000;
    let (source, target) = (RedisServer::start(), RedisServer::start());
    let sidecar = Sidecar::new()
        .source(&source)
        .target(&target)
        .set("proxy.workers", 1)
        .set("proxy.limits.lane_requests", i64::from(WINDOW))
        // Nobody goes on beside the lane while the server stands still.
        .set("proxy.lane_stall", "1m")
        .start();
    let app = || Client::connect(sidecar.addr("app"));
    let (mut much, mut little, mut monitor) = (app(), app(), source.client());
    for session in [&mut much, &mut little] {
        assert_eq!(session.call(&["GET", "k"]), Reply::Null);
    }
    assert_eq!(monitor.call(&["MONITOR"]), Reply::ok());
    source.stop();
    let requests = [["GET", "much"].as_slice(); MUCH].map(kit::encode).concat();
    much.send_raw(&requests);
    little.send(&["GET", "little"]);
    // The one worker answers this by itself, and has read the others before.
    assert_eq!(app().call(&["QUIT"]), Reply::ok());
    source.cont();
    assert_eq!(little.read_reply(), Reply::Null);
    for _ in 0..MUCH {
        assert_eq!(much.read_reply(), Reply::Null);
    }
    let lines = std::iter::repeat_with(|| monitor.read_reply().into_text());
    let before = lines.take_while(|it| !it.contains("little")).count();
    assert!(
        before <= WINDOW as usize,
        "the server saw {before} of {MUCH} requests before the other client's only one"
    );
}
