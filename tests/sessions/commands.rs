//! A session through the proxy while no migration runs: whatever a client says to a server it can say here, with lanes
//! and without, and the replies are the server's own.

use std::time::Duration;

use crate::kit::{Client, Listener, RedisServer, Reply, Sidecar, eventually};

/// What is true with lanes must be true without.
const LANES: [&str; 2] = ["auto", "off"];

/// One server behind a sidecar, in both modes.
fn in_both_modes(test: impl Fn(&RedisServer, &Sidecar)) {
    for lanes in LANES {
        let (source, target) = (RedisServer::start(), RedisServer::start());
        let sidecar = Sidecar::new()
            .source(&source)
            .target(&target)
            .set("proxy.lanes", lanes)
            .start();
        test(&source, &sidecar);
    }
}

fn app(sidecar: &Sidecar) -> Client {
    Client::connect(sidecar.addr("app"))
}

/// Blocked clients, as the server counts them.
fn blocked(server: &RedisServer) -> String {
    server
        .info("clients", "blocked_clients")
        .unwrap_or_default()
}

#[test]
fn replies_come_in_request_order_whatever_served_them() {
    in_both_modes(|_, sidecar| {
        let mut app = app(sidecar);
        let replies = app.pipeline(&[
            &["SET", "k", "1"],
            &["NOSUCHCOMMAND"],
            &["INCR", "k"],
            &["MULTI"],
            &["INCR", "k"],
            &["GET", "k"],
            &["EXEC"],
            &["GET", "k"],
            &["PING"],
        ]);
        assert_eq!(replies[0], Reply::ok());
        assert!(replies[1].is_error("ERR unknown command"));
        assert_eq!(replies[2], Reply::Integer(2));
        assert_eq!(
            replies[6],
            Reply::Array(vec![Reply::Integer(3), Reply::bulk("3")])
        );
        assert_eq!(
            replies[7..],
            [Reply::bulk("3"), Reply::Simple("PONG".to_owned())]
        );
    });
}

#[test]
fn a_transaction_in_pieces_is_the_sessions_own() {
    in_both_modes(|_, sidecar| {
        let (mut one, mut other) = (app(sidecar), app(sidecar));
        assert_eq!(one.call(&["MULTI"]), Reply::ok());
        assert_eq!(other.call(&["SET", "k", "other"]), Reply::ok());
        assert_eq!(
            one.call(&["APPEND", "k", "+one"]),
            Reply::Simple("QUEUED".to_owned())
        );
        assert_eq!(other.call(&["GET", "k"]), Reply::bulk("other"));
        assert_eq!(one.call(&["EXEC"]), Reply::Array(vec![Reply::Integer(9)]));
        assert_eq!(one.call(&["GET", "k"]), Reply::bulk("other+one"));
        assert!(one.call(&["EXEC"]).is_error("ERR EXEC without MULTI"));
    });
}

#[test]
fn an_error_while_queueing_aborts_the_transaction() {
    in_both_modes(|_, sidecar| {
        let mut app = app(sidecar);
        app.call(&["MULTI"]);
        assert!(app.call(&["INCR"]).is_error("ERR wrong number"));
        assert!(app.call(&["EXEC"]).is_error("EXECABORT"));
        app.call(&["MULTI"]);
        app.call(&["SET", "k", "v"]);
        assert_eq!(app.call(&["DISCARD"]), Reply::ok());
        assert_eq!(app.call(&["GET", "k"]), Reply::Null);
    });
}

#[test]
fn a_watched_key_that_changed_fails_the_transaction() {
    in_both_modes(|_, sidecar| {
        let (mut one, mut other) = (app(sidecar), app(sidecar));
        one.call(&["WATCH", "k"]);
        other.call(&["SET", "k", "1"]);
        one.call(&["MULTI"]);
        one.call(&["SET", "k", "2"]);
        assert_eq!(one.call(&["EXEC"]), Reply::Null);
        one.call(&["WATCH", "k"]);
        one.call(&["UNWATCH"]);
        other.call(&["SET", "k", "3"]);
        one.call(&["MULTI"]);
        assert_eq!(one.call(&["GET", "k"]), Reply::Simple("QUEUED".to_owned()));
        assert_eq!(one.call(&["EXEC"]), Reply::bulks(&["3"]));
    });
}

#[test]
fn a_blocked_session_keeps_nobody_waiting() {
    in_both_modes(|source, sidecar| {
        let (mut worker, mut other) = (app(sidecar), app(sidecar));
        worker.send(&["BLPOP", "queue", "0"]);
        assert!(eventually(Duration::from_secs(5), || blocked(source) == "1"));
        assert_eq!(other.call(&["RPUSH", "queue", "job"]), Reply::Integer(1));
        assert_eq!(worker.read_reply(), Reply::bulks(&["queue", "job"]));
        assert_eq!(worker.call(&["BLPOP", "queue", "0.05"]), Reply::Null);
    });
}

#[test]
fn what_a_blocked_client_would_have_popped_is_not_lost_when_it_leaves() {
    in_both_modes(|source, sidecar| {
        let mut worker = app(sidecar);
        worker.send(&["BLPOP", "queue", "0"]);
        assert!(eventually(Duration::from_secs(5), || blocked(source) == "1"));
        drop(worker);
        assert!(eventually(Duration::from_secs(5), || blocked(source) == "0"));
        let mut other = app(sidecar);
        other.call(&["RPUSH", "queue", "job"]);
        assert_eq!(
            other.call(&["LRANGE", "queue", "0", "-1"]),
            Reply::bulks(&["job"])
        );
    });
}

#[test]
fn what_a_blocked_client_has_sent_before_it_leaves_hides_nothing() {
    in_both_modes(|source, sidecar| {
        let mut worker = app(sidecar);
        worker.send(&["BLPOP", "queue", "0"]);
        assert!(eventually(Duration::from_secs(5), || blocked(source) == "1"));
        // More than a socket takes unread: the end of the stream is behind what only reading takes away.
        worker.send(&["ECHO", &"x".repeat(1 << 20)]);
        drop(worker);
        assert!(eventually(Duration::from_secs(5), || blocked(source) == "0"));
        let mut other = app(sidecar);
        assert_eq!(other.call(&["RPUSH", "queue", "job"]), Reply::Integer(1));
        assert_eq!(other.call(&["LLEN", "queue"]), Reply::Integer(1));
    });
}

#[test]
fn messages_reach_subscribers_in_both_protocols() {
    in_both_modes(|_, sidecar| {
        let (mut old, mut new, mut publisher) = (app(sidecar), app(sidecar), app(sidecar));
        old.call(&["SUBSCRIBE", "news"]);
        new.call(&["HELLO", "3"]);
        assert!(matches!(new.call(&["SUBSCRIBE", "news"]), Reply::Push(_)));
        assert_eq!(
            publisher.call(&["PUBLISH", "news", "hello"]),
            Reply::Integer(2)
        );
        assert_eq!(
            old.read_reply(),
            Reply::bulks(&["message", "news", "hello"])
        );
        assert!(matches!(new.read_reply(), Reply::Push(_)));
        assert_eq!(new.call(&["GET", "k"]), Reply::Null);
        assert!(old.call(&["GET", "k"]).is_error("ERR Can't execute 'get'"));
        old.call(&["UNSUBSCRIBE"]);
        assert_eq!(old.call(&["GET", "k"]), Reply::Null);
    });
}

#[test]
fn database_protocol_and_name_belong_to_the_session() {
    in_both_modes(|source, sidecar| {
        let (mut one, mut other) = (app(sidecar), app(sidecar));
        assert_eq!(one.call(&["SELECT", "3"]), Reply::ok());
        one.call(&["SET", "k", "in three"]);
        assert_eq!(other.call(&["GET", "k"]), Reply::Null);
        assert!(one.call(&["SELECT", "99"]).is_error("ERR DB index"));
        assert_eq!(one.call(&["GET", "k"]), Reply::bulk("in three"));
        assert_eq!(one.call(&["CLIENT", "SETNAME", "billing"]), Reply::ok());
        assert_eq!(one.call(&["CLIENT", "GETNAME"]), Reply::bulk("billing"));
        assert_eq!(other.call(&["CLIENT", "GETNAME"]), Reply::Null);
        let clients = source.client().call(&["CLIENT", "LIST"]).into_text();
        let line = clients
            .lines()
            .find(|line| line.contains("name=billing"))
            .unwrap_or_default();
        assert!(line.contains(" db=3 "), "{clients}");
        assert_eq!(one.call(&["RESET"]), Reply::Simple("RESET".to_owned()));
        assert_eq!(one.call(&["GET", "k"]), Reply::Null);
    });
}

#[test]
fn the_database_decides_about_passwords_and_rights() {
    for lanes in LANES {
        let source = RedisServer::options()
            .password("secret")
            .user("reader on >r ~* +@read +@connection")
            .start();
        let target = RedisServer::options().password("secret").start();
        let sidecar = Sidecar::new()
            .source(&source)
            .target(&target)
            .set("proxy.lanes", lanes)
            .start();
        let (mut admin, mut reader, mut nobody) = (app(&sidecar), app(&sidecar), app(&sidecar));
        assert!(nobody.call(&["GET", "k"]).is_error("NOAUTH"));
        assert!(nobody.call(&["AUTH", "wrong"]).is_error("WRONGPASS"));
        assert_eq!(admin.call(&["AUTH", "secret"]), Reply::ok());
        assert_eq!(reader.call(&["AUTH", "reader", "r"]), Reply::ok());
        assert_eq!(admin.call(&["SET", "k", "v"]), Reply::ok());
        assert_eq!(reader.call(&["GET", "k"]), Reply::bulk("v"));
        assert!(reader.call(&["SET", "k", "x"]).is_error("NOPERM"));
        assert!(
            nobody.call(&["GET", "k"]).is_error("NOAUTH"),
            "lanes do not mix identities"
        );
    }
}

#[test]
fn half_framed_and_inline_requests_mean_the_same() {
    in_both_modes(|_, sidecar| {
        let mut app = app(sidecar);
        for byte in b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\na\r\nbc\r\n" {
            app.send_raw(&[*byte]);
        }
        assert_eq!(app.read_reply(), Reply::ok());
        app.send_raw(b"\r\n*0\r\nget k\r\nSET \"k\" 'x y'\nGET k\r\n");
        assert_eq!(app.read_reply(), Reply::bulk("a\r\nbc"));
        assert_eq!(app.read_reply(), Reply::ok());
        assert_eq!(app.read_reply(), Reply::bulk("x y"));
    });
}

#[test]
fn a_tracking_client_is_told_what_became_invalid() {
    in_both_modes(|_, sidecar| {
        let (mut caching, mut writer) = (app(sidecar), app(sidecar));
        caching.call(&["HELLO", "3"]);
        assert_eq!(caching.call(&["CLIENT", "TRACKING", "ON"]), Reply::ok());
        assert_eq!(caching.call(&["GET", "k"]), Reply::Null);
        writer.call(&["SET", "k", "v"]);
        assert_eq!(
            caching.read_reply(),
            Reply::Push(vec![Reply::bulk("invalidate"), Reply::bulks(&["k"])])
        );
    });
}

#[test]
fn large_values_pass_and_stand_in_nobodys_way() {
    in_both_modes(|_, sidecar| {
        let (mut one, mut other) = (app(sidecar), app(sidecar));
        let value = "x".repeat(3 << 20);
        one.send(&["SET", "large", &value]);
        assert_eq!(other.call(&["PING"]), Reply::Simple("PONG".to_owned()));
        assert_eq!(one.read_reply(), Reply::ok());
        assert_eq!(one.call(&["GET", "large"]), Reply::bulk(&value));
        assert_eq!(one.call(&["STRLEN", "large"]), Reply::Integer(3 << 20));
    });
}

#[test]
fn a_listener_that_refuses_writes_lets_no_write_through() {
    let (source, target) = (RedisServer::start(), RedisServer::start());
    let sidecar = Sidecar::new()
        .source(&source)
        .target(&target)
        .listener("near", Listener::new().reads("target").writes("refuse"))
        .start();
    target.client().call(&["SET", "k", "near"]);
    let mut app = Client::connect(sidecar.addr("near"));
    assert_eq!(app.call(&["GET", "k"]), Reply::bulk("near"));
    for write in [
        &["SET", "k", "x"] as &[&str],
        &["EVAL", "return redis.call('SET', 'k', 'x')", "0"],
        &["FLUSHALL"],
        &["NOSUCHCOMMAND", "k"],
        &["CONFIG", "SET", "maxmemory", "1"],
        &["SORT", "l", "STORE", "k"],
        &["SHUTDOWN"],
        &["PUBLISH", "c", "m"],
        &["BLPOP", "l", "1"],
    ] {
        assert!(app.call(write).is_error("READONLY"), "{write:?}");
    }
    assert_eq!(app.call(&["MULTI"]), Reply::ok());
    assert!(app.call(&["SET", "k", "x"]).is_error("READONLY"));
    assert!(app.call(&["EXEC"]).is_error("EXECABORT"));
    let replies = app.pipeline(&[&["GET", "k"], &["DEL", "k"], &["GET", "k"]]);
    assert_eq!(
        (&replies[0], &replies[2]),
        (&Reply::bulk("near"), &Reply::bulk("near"))
    );
    assert!(replies[1].is_error("READONLY"));
    let metrics = sidecar.admin().metrics();
    assert!(
        metrics.contains("handover_refused_writes_total"),
        "{metrics}"
    );
    assert!(sidecar.log().contains("refused a write"));
}

#[test]
fn a_lost_reply_closes_the_session_that_waited_for_it_and_no_other() {
    let (mut source, target) = (RedisServer::start(), RedisServer::start());
    let sidecar = Sidecar::new().source(&source).target(&target).start();
    let (mut waiting, mut idle) = (app(&sidecar), app(&sidecar));
    assert_eq!(idle.call(&["SET", "k", "v"]), Reply::ok());
    assert_eq!(waiting.call(&["PING"]), Reply::Simple("PONG".to_owned()));
    source.stop();
    waiting.send(&["INCR", "n"]);
    assert!(!waiting.has_reply_within(Duration::from_millis(50)));
    source.kill();
    assert_eq!(waiting.read_to_close(), b"");
    source.restart();
    assert_eq!(idle.call(&["GET", "k"]), Reply::Null);
}

#[test]
fn the_last_replies_arrive_whatever_else_the_client_has_sent() {
    in_both_modes(|_, sidecar| {
        for (last, farewell) in [
            (
                &b"*x\r\n"[..],
                &b"-ERR Protocol error: invalid multibulk length\r\n"[..],
            ),
            (b"QUIT\r\n", b"+OK\r\n"),
        ] {
            let mut app = app(sidecar);
            let unread = b"PING\r\n".repeat(100_000);
            app.send_raw(&[&b"PING\r\n".repeat(100), last, &unread].concat());
            // Nothing is read before the connection is over, on the far end too.
            sidecar.admin().wait_for("the session's end", |status| {
                status["sessions"]["open"] == 0
            });
            let expected = [&b"+PONG\r\n".repeat(100), farewell].concat();
            assert_eq!(app.read_to_close(), expected);
        }
    });
}
