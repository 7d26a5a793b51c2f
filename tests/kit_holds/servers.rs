//! The kit itself, against real servers: what the other tests lean on holds.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crate::kit::{Client, LIMIT, Listener, RedisServer, Reply, Sidecar, eventually};

#[test]
fn a_server_is_killed_frozen_and_restarted() {
    let mut server = RedisServer::start();
    let mut client = server.client();
    assert_eq!(client.call(&["SET", "k", "v"]), Reply::ok());
    server.stop();
    client.send(&["GET", "k"]);
    assert!(
        !client.has_reply_within(Duration::from_millis(50)),
        "a frozen server answers nothing"
    );
    server.cont();
    assert_eq!(client.read_reply(), Reply::bulk("v"));
    server.kill();
    assert_eq!(client.read_to_close(), b"");
    server.restart();
    assert_eq!(server.client().call(&["GET", "k"]), Reply::Null);
    assert_eq!(
        server.info("replication", "role").as_deref(),
        Some("master")
    );
}

#[test]
fn passwords_users_and_arguments_reach_the_server() {
    let server = RedisServer::options()
        .password("secret")
        .user("alice on >wonder ~* +@all")
        .arguments(&["--databases", "3"])
        .start();
    let mut stranger = Client::connect(server.addr());
    assert!(stranger.call(&["GET", "k"]).is_error("NOAUTH"));
    assert_eq!(stranger.call(&["AUTH", "alice", "wonder"]), Reply::ok());
    assert!(server.client().call(&["SELECT", "3"]).is_error("ERR"));
}

#[test]
fn a_pipeline_is_answered_in_order_and_raw_replies_are_the_bytes() {
    let server = RedisServer::start();
    let mut client = server.client();
    let replies = client.pipeline(&[
        &["RPUSH", "l", "a", "b"],
        &["LRANGE", "l", "0", "-1"],
        &["GET", "l"],
    ]);
    assert_eq!(replies[..2], [Reply::Integer(2), Reply::bulks(&["a", "b"])]);
    assert!(replies[2].is_error("WRONGTYPE"));
    client.send_raw(b"PING\r\n");
    assert_eq!(client.read_raw_reply(), b"+PONG\r\n");
}

#[test]
fn every_type_of_resp3_is_read() {
    let bytes = b"%1\r\n+k\r\n~2\r\n:1\r\n#t\r\n>2\r\n,1.5\r\n(123\r\n=7\r\ntxt:abc\r\n!5\r\nERR x\r\n_\r\n|1\r\n+a\r\n*-1\r\n$2\r\nok\r\n";
    let mut from = &bytes[..];
    let mut raw = Vec::new();
    let mut replies = Vec::new();
    while !from.is_empty() {
        replies.push(Reply::read(&mut from, &mut raw).unwrap());
    }
    let simple = |text: &str| Reply::Simple(text.to_owned());
    assert_eq!(
        replies,
        [
            Reply::Map(vec![(
                simple("k"),
                Reply::Set(vec![Reply::Integer(1), Reply::Boolean(true)])
            )]),
            Reply::Push(vec![
                Reply::Double("1.5".to_owned()),
                Reply::BigNumber("123".to_owned())
            ]),
            Reply::Verbatim(b"txt:abc".to_vec()),
            Reply::Error("ERR x".to_owned()),
            Reply::Null,
            Reply::Attributed(
                vec![(simple("a"), Reply::Null)],
                Box::new(Reply::bulk("ok"))
            ),
        ]
    );
    assert_eq!(raw, bytes);
}

#[test]
fn what_does_not_come_is_noticed_at_the_limit() {
    assert!(!eventually(Duration::from_millis(20), || false));
    let mut looks = 0;
    assert!(eventually(Duration::from_secs(5), || {
        looks += 1;
        looks == 3
    }));
}

#[test]
fn a_topology_is_drawn_and_an_application_carried_across() {
    let (a, b) = (RedisServer::start(), RedisServer::start());
    let sidecar = Sidecar::new()
        .source(&a)
        .target(&b)
        .listener("app", Listener::new())
        .listener("readers", Listener::new().reads("target").writes("refuse"))
        .start();
    let mut app = Client::connect(sidecar.addr("app"));
    assert_eq!(app.call(&["SET", "before", "1"]), Reply::ok());
    assert!(
        Client::connect(sidecar.addr("readers"))
            .call(&["SET", "k", "v"])
            .is_error("READONLY")
    );
    sidecar.admin().migrate_until_ready();
    sidecar.admin().must_cut_over();
    assert_eq!(app.call(&["SET", "after", "2"]), Reply::ok());
    assert_eq!(
        b.client().call(&["MGET", "before", "after"]),
        Reply::bulks(&["1", "2"])
    );
    assert_eq!(sidecar.admin().status()["active_side"], "target");
}

#[test]
fn a_warning_that_the_test_did_not_announce_fails_it() {
    let (mut a, b) = (RedisServer::start(), RedisServer::start());
    let sidecar = Sidecar::new().source(&a).target(&b).start();
    let mut app = Client::connect(sidecar.addr("app"));
    assert_eq!(app.call(&["SET", "k", "v"]), Reply::ok());
    a.kill();
    let warned = eventually(LIMIT, || {
        let _ = Client::connect(sidecar.addr("app")).try_call(&["GET", "k"]);
        sidecar.log().contains("\"WARN\"")
    });
    assert!(warned, "{}", sidecar.log());
    assert!(catch_unwind(AssertUnwindSafe(|| drop(sidecar))).is_err());
}

#[test]
fn a_sidecar_that_ends_by_itself_is_an_exit_code_and_a_log() {
    let exit = Sidecar::new()
        .set("source.url", "gopher://nowhere")
        .set("target.url", "redis://127.0.0.1:1")
        .exit();
    assert_eq!(exit.code, Some(2), "{}", exit.log);
    assert!(exit.log.contains("source.url"), "{}", exit.log);
}
