//! What a session changes about itself in unusual places: inside MULTI, with replies switched off, on two sides at once.

mod identities;

use crate::kit::{Client, Listener, RedisServer, Reply, Sidecar};

fn in_both_modes(test: impl Fn(&RedisServer, &Sidecar)) {
    for lanes in ["auto", "off"] {
        let source = RedisServer::options()
            .user("ann on >a ~* &* +@all")
            .user("bob on >b ~* &* +@all -get")
            .start();
        let target = RedisServer::start();
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

#[test]
fn a_second_monitor_brings_no_reply_and_nobody_waits_for_one() {
    in_both_modes(|server, sidecar| {
        for address in [server.addr(), sidecar.addr("app")] {
            let mut client = Client::connect(address);
            client.send_raw(b"MONITOR x\r\nMONITOR\r\nMONITOR\r\nQUIT\r\n");
            let heard = String::from_utf8(client.read_to_close()).unwrap();
            let replies: Vec<&str> = heard.lines().filter(|line| !line.contains('[')).collect();
            assert_eq!(replies.len(), 3, "{heard}");
            assert!(replies[0].starts_with("-ERR wrong number"), "{heard}");
            assert_eq!(&replies[1..], ["+OK", "+OK"], "{heard}");
        }
    });
}

#[test]
fn an_identity_taken_inside_a_transaction_stays_with_its_session() {
    in_both_modes(|_, sidecar| {
        let mut ann = app(sidecar);
        assert_eq!(ann.call(&["AUTH", "ann", "a"]), Reply::ok());
        ann.call(&["MULTI"]);
        ann.call(&["AUTH", "bob", "wrong"]);
        ann.call(&["AUTH", "bob", "b"]);
        ann.call(&["SELECT", "4"]);
        ann.call(&["SELECT", "9999"]);
        ann.call(&["CLIENT", "SETNAME", "inside"]);
        let Reply::Array(replies) = ann.call(&["EXEC"]) else {
            panic!("EXEC")
        };
        assert!(replies[0].is_error("WRONGPASS"));
        assert!(replies[3].is_error("ERR"));
        assert_eq!(ann.call(&["ACL", "WHOAMI"]), Reply::bulk("bob"));
        assert_eq!(ann.call(&["CLIENT", "GETNAME"]), Reply::bulk("inside"));
        assert_eq!(ann.call(&["SET", "k", "four"]), Reply::ok());
        assert!(ann.call(&["GET", "k"]).is_error("NOPERM"));
        // Neither the default user's sessions nor ann's others have become bob.
        let mut others = [app(sidecar), app(sidecar)];
        others[1].call(&["AUTH", "ann", "a"]);
        for (other, name) in others.iter_mut().zip(["default", "ann"]) {
            for _ in 0..4 {
                other.call(&["MULTI"]);
                other.call(&["ACL", "WHOAMI"]);
                other.call(&["GET", "k"]);
                let replies = other.call(&["EXEC"]);
                assert_eq!(
                    replies,
                    Reply::Array(vec![Reply::bulk(name), Reply::Null]),
                    "the key is in database 4"
                );
            }
        }
    });
}

/// Servers up to Redis 7.0 have carried out what stands before the word that they refuse, newer ones nothing.
const REFUSED_HALF_WAY: &[&[&str]] = &[
    &["HELLO", "3", "AUTH", "ann", "a", "BOGUS"],
    &["HELLO", "3", "AUTH", "ann", "a", "SETNAME", "two words"],
    &["HELLO", "3", "AUTH", "ann", "a", "AUTH", "bob", "wrong"],
];

#[test]
fn a_hello_that_was_refused_leaves_a_session_who_it_was() {
    in_both_modes(|_, sidecar| {
        let mut session = app(sidecar);
        let refused_at_once: &[&[&str]] = &[
            &["HELLO", "3", "BOGUS", "AUTH", "ann", "a"],
            &["HELLO", "3", "BOGUS", "AUTH", "ann", "wrong"],
            &["HELLO", "x", "AUTH", "ann", "a"],
            &["HELLO", "4", "AUTH", "ann", "a"],
            &["HELLO", "3", "SETNAME", "two words", "AUTH", "ann", "a"],
            &["HELLO", "3", "SETNAME", "me", "AUTH", "ann", "wrong"],
        ];
        for request in [REFUSED_HALF_WAY, refused_at_once].concat() {
            let refused = session.call(request);
            assert!(matches!(refused, Reply::Error(_)), "{request:?}");
            for _ in 0..2 {
                let who = session.call(&["ACL", "WHOAMI"]);
                assert_eq!(who, Reply::bulk("default"), "{request:?}");
                session.call(&["WATCH", "k"]);
            }
            session.call(&["UNWATCH"]);
        }
        assert_eq!(session.call(&["AUTH", "bob", "b"]), Reply::ok());
        assert_eq!(session.call(&["ACL", "WHOAMI"]), Reply::bulk("bob"));
    });
}

#[test]
fn what_is_on_a_connection_of_nobody_knows_whom_ends_with_it() {
    in_both_modes(|_, sidecar| {
        for request in REFUSED_HALF_WAY {
            let mut named = app(sidecar);
            named.call(&["CLIENT", "SETNAME", "named"]);
            let refused = named.call(request);
            assert!(matches!(refused, Reply::Error(_)), "{request:?}");
            assert_eq!(named.read_to_close(), b"", "{request:?}");
            let mut queueing = app(sidecar);
            queueing.call(&["MULTI"]);
            let refused = queueing.call(request);
            assert!(refused.is_error("ERR handover"), "{request:?}");
            assert!(queueing.call(&["EXEC"]).is_error("EXECABORT"));
            assert_eq!(
                queueing.call(&["ACL", "WHOAMI"]),
                Reply::bulk("default"),
                "{request:?}"
            );
        }
    });
}

#[test]
fn a_request_that_is_refused_without_being_queued_shifts_no_reply() {
    in_both_modes(|_, sidecar| {
        let mut bob = app(sidecar);
        bob.call(&["MULTI"]);
        assert!(bob.call(&["MULTI"]).is_error("ERR"));
        assert!(bob.call(&["WATCH", "k"]).is_error("ERR"));
        bob.call(&["SELECT", "1"]);
        bob.call(&["AUTH", "bob", "b"]);
        assert_eq!(
            bob.call(&["EXEC"]),
            Reply::Array(vec![Reply::ok(), Reply::ok()])
        );
        assert_eq!(bob.call(&["ACL", "WHOAMI"]), Reply::bulk("bob"));
        assert_eq!(bob.call(&["SET", "k", "one"]), Reply::ok());
        drop(bob);
        let mut other = app(sidecar);
        other.call(&["WATCH", "q"]);
        assert_eq!(other.call(&["ACL", "WHOAMI"]), Reply::bulk("default"));
        assert_eq!(other.call(&["EXISTS", "k"]), Reply::Integer(0));
    });
}

#[test]
fn what_has_no_place_in_a_transaction_aborts_it_and_says_why() {
    in_both_modes(|_, sidecar| {
        let mut app = app(sidecar);
        for request in [&["SUBSCRIBE", "c"][..], &["MONITOR"]] {
            app.call(&["MULTI"]);
            assert!(app.call(request).is_error("ERR handover"));
            assert!(app.call(&["EXEC"]).is_error("EXECABORT"));
        }
        assert_eq!(app.call(&["PING"]), Reply::Simple("PONG".to_owned()));
        app.call(&["MULTI"]);
        assert_eq!(app.call(&["QUIT"]), Reply::ok());
        assert_eq!(app.read_to_close(), b"");
    });
}

#[test]
fn messages_begin_behind_what_the_proxy_has_asked_for_itself() {
    in_both_modes(|source, sidecar| {
        let mut app = app(sidecar);
        // It keeps its connection when the transaction is over.
        app.call(&["CLIENT", "SETNAME", "mine"]);
        // The refusal ends the transaction here, and the server's is discarded: that reply is still owed when the last
        // request is looked at, since all of them are read at once.
        let requests: [&[&str]; 4] = [&["MULTI"], &["MONITOR"], &["EXEC"], &["SUBSCRIBE", "c"]];
        let replies = app.pipeline(&requests);
        assert_eq!(replies[0], Reply::ok());
        assert!(replies[1].is_error("ERR handover"));
        assert!(replies[2].is_error("EXECABORT"));
        let subscribed = Reply::Array(vec![
            Reply::bulk("subscribe"),
            Reply::bulk("c"),
            Reply::Integer(1),
        ]);
        assert_eq!(replies[3], subscribed);
        let heard = source.client().call(&["PUBLISH", "c", "news"]);
        assert_eq!(heard, Reply::Integer(1));
        let message = Reply::bulks(&["message", "c", "news"]);
        assert_eq!(app.read_reply(), message);
    });
}

#[test]
fn replies_can_be_switched_off_skipped_and_on_again() {
    in_both_modes(|source, sidecar| {
        let mut app = app(sidecar);
        app.send(&["CLIENT", "REPLY", "OFF"]);
        app.send(&["SET", "k", "1"]);
        app.send(&["INCR", "nosuch", "arguments"]);
        app.send(&["CLIENT", "REPLY", "SKIP"]);
        app.send(&["MULTI"]);
        app.send(&["INCR", "k"]);
        app.send(&["EXEC"]);
        assert_eq!(app.call(&["client", "reply", "on"]), Reply::ok());
        assert_eq!(app.call(&["GET", "k"]), Reply::bulk("2"));
        app.send(&["CLIENT", "REPLY", "SKIP"]);
        app.send(&["INCR", "k"]);
        assert_eq!(app.call(&["INCR", "k"]), Reply::Integer(4));
        app.send(&["CLIENT", "REPLY", "SKIP"]);
        app.send(&["MULTI"]);
        let replies = app.pipeline(&[&["GET", "k"], &["EXEC"]]);
        assert_eq!(replies[0], Reply::Simple("QUEUED".to_owned()));
        assert_eq!(replies[1], Reply::bulks(&["4"]));
        app.send(&["CLIENT", "REPLY", "OFF"]);
        assert_eq!(
            app.call(&["RESET"]),
            Reply::Simple("RESET".to_owned()),
            "which switches them on"
        );
        assert!(app.call(&["CLIENT", "REPLY", "MAYBE"]).is_error("ERR"));
        assert_eq!(source.client().call(&["GET", "k"]), Reply::bulk("4"));
    });
}

#[test]
fn who_must_authenticate_first_cannot_switch_replies_off() {
    let source = RedisServer::options().password("secret").start();
    let target = RedisServer::start();
    let sidecar = Sidecar::new().source(&source).target(&target).start();
    let mut app = app(&sidecar);
    assert!(app.call(&["CLIENT", "REPLY", "OFF"]).is_error("NOAUTH"));
    assert!(app.call(&["GET", "k"]).is_error("NOAUTH"));
    // A line of any length is refused like any other request, and ends nobody's connection.
    let mut other = Client::connect(sidecar.addr("app"));
    assert!(other.call(&["GET", "k"]).is_error("NOAUTH"));
    app.send_raw(b"DEL 1 2 3 4 5 6 7 8 9 10 11 12\r\n");
    assert!(app.read_reply().is_error("NOAUTH"));
    assert!(other.call(&["GET", "k"]).is_error("NOAUTH"));
}

#[test]
fn both_sides_judge_a_password_where_reads_and_writes_part() {
    let source = RedisServer::options()
        .user("app on >a ~* &* +@all")
        .user("here on >h ~* &* +@all")
        .start();
    let target = RedisServer::options()
        .user("app on >a ~* &* +@all")
        .user("there on >t ~* &* +@all")
        .start();
    let sidecar = Sidecar::new()
        .source(&source)
        .target(&target)
        .listener("split", Listener::new().reads("target"))
        .expect_warning("the target refused what the source had accepted")
        .start();
    source.client().call(&["SET", "k", "of the source"]);
    target.client().call(&["SET", "k", "of the target"]);
    let mut app = Client::connect(sidecar.addr("split"));
    assert!(
        app.call(&["AUTH", "here", "h"]).is_error("WRONGPASS"),
        "unknown there"
    );
    assert!(
        app.call(&["AUTH", "there", "t"]).is_error("WRONGPASS"),
        "unknown here"
    );
    assert_eq!(app.call(&["ACL", "WHOAMI"]), Reply::bulk("default"));
    // No password is put to the other side that nobody has accepted: it would be refused there, and warned of.
    for request in [
        &["HELLO", "2", "STORE", "AUTH", "app", "wrong"][..],
        &["HELLO", "x", "AUTH", "app", "wrong"],
        &["HELLO", "2", "AUTH", "app", "wrong", "STORE"],
    ] {
        assert!(matches!(app.call(request), Reply::Error(_)), "{request:?}");
        let read = app.call(&["GET", "k"]);
        assert_eq!(read, Reply::bulk("of the target"), "{request:?}");
    }
    for request in [
        &["AUTH", "app", "a"][..],
        &["HELLO", "2", "AUTH", "app", "a"],
    ] {
        assert!(!matches!(app.call(request), Reply::Error(_)), "{request:?}");
        assert_eq!(app.call(&["ACL", "WHOAMI"]), Reply::bulk("app"));
    }
    let replies = app.pipeline(&[
        &["GET", "k"],
        &["SET", "k", "written"],
        &["GET", "k"],
        &["MULTI"],
        &["GET", "k"],
        &["EXEC"],
        &["GET", "k"],
    ]);
    assert_eq!(replies[0], Reply::bulk("of the target"));
    assert_eq!(replies[1], Reply::ok());
    assert_eq!(replies[2], Reply::bulk("of the target"));
    assert_eq!(
        replies[5],
        Reply::bulks(&["written"]),
        "whole, on the source"
    );
    assert_eq!(replies[6], Reply::bulk("of the target"));
    let mut stateful = Client::connect(sidecar.addr("split"));
    stateful.call(&["CLIENT", "SETNAME", "stateful"]);
    let refused = stateful.call(&["AUTH", "here", "h"]);
    assert!(refused.is_error("WRONGPASS"), "{refused:?}");
    // Its name is on a connection that is somebody else now: it must begin anew.
    stateful.read_to_close();
    assert!(
        app.call(&["CLIENT", "TRACKING", "ON"])
            .is_error("ERR handover"),
        "which side would tell?"
    );
}
