//! A change of sides and what only a server remembers: its script cache, its cursors, who monitors it, where it tells
//! what became invalid.

use std::collections::BTreeSet;

use crate::kit::{Client, RedisServer, Reply, Sidecar};

/// A migration that is ready to cut over.
struct World {
    _servers: [RedisServer; 2],
    sidecar: Sidecar,
}

impl World {
    fn with(key: &str, value: impl Into<toml::Value>) -> World {
        let (source, target) = (RedisServer::start(), RedisServer::start());
        let sidecar = Sidecar::new()
            .source(&source)
            .target(&target)
            .set(key, value)
            .start();
        sidecar.admin().migrate_until_ready();
        World {
            _servers: [source, target],
            sidecar,
        }
    }

    fn app(&self) -> Client {
        Client::connect(self.sidecar.addr("app"))
    }

    fn cut_over(&self) {
        self.sidecar.admin().must_cut_over();
    }

    fn roll_back(&self) {
        let admin = self.sidecar.admin();
        admin.wait_for("can_roll_back", |status| status["can_roll_back"] == true);
        let answer = admin.rollback();
        assert_eq!(answer.json["outcome"], "rolled_back", "{}", answer.text);
    }
}

fn in_both_modes(test: impl Fn(World)) {
    for lanes in ["auto", "off"] {
        test(World::with("proxy.lanes", lanes));
    }
}

fn digest(app: &mut Client, script: &str) -> String {
    app.call(&["SCRIPT", "LOAD", script]).into_text()
}

#[test]
fn scripts_that_were_seen_are_on_the_other_side() {
    in_both_modes(|world| {
        let (mut app, mut other) = (world.app(), world.app());
        let loaded = digest(&mut app, "return 'loaded'");
        app.call(&["EVAL", "return 'evaluated'", "0"]);
        app.pipeline(&[
            &["MULTI"],
            &["EVAL", "return 'in a transaction'", "0"],
            &["EXEC"],
        ]);
        assert!(app.call(&["EVAL", "not lua", "0"]).is_error("ERR"));
        // Digests of what was only evaluated, from a server that is asked for them.
        let known = RedisServer::start();
        let evaluated = digest(&mut known.client(), "return 'evaluated'");
        let queued = digest(&mut known.client(), "return 'in a transaction'");
        world.cut_over();
        assert_eq!(
            other.call(&["EVALSHA", &loaded, "0"]),
            Reply::bulk("loaded")
        );
        assert_eq!(
            other.call(&["EVALSHA", &evaluated, "0"]),
            Reply::bulk("evaluated")
        );
        assert_eq!(
            other.call(&["EVALSHA_RO", &queued, "0"]),
            Reply::bulk("in a transaction")
        );
        let late = digest(&mut other, "return 'late'");
        world.roll_back();
        assert_eq!(app.call(&["EVALSHA", &late, "0"]), Reply::bulk("late"));
    });
}

#[test]
fn scripts_that_were_flushed_are_not_brought_back() {
    in_both_modes(|world| {
        let mut app = world.app();
        let gone = digest(&mut app, "return 'gone'");
        assert_eq!(app.call(&["SCRIPT", "FLUSH"]), Reply::ok());
        let kept = digest(&mut app, "return 'kept'");
        world.cut_over();
        assert_eq!(app.call(&["EVALSHA", &kept, "0"]), Reply::bulk("kept"));
        assert!(app.call(&["EVALSHA", &gone, "0"]).is_error("NOSCRIPT"));
    });
}

/// One step of an iteration: (the next cursor, what was found).
fn step(app: &mut Client, request: &[&str]) -> (String, Vec<String>) {
    let reply = app.call(request);
    let Reply::Array(parts) = &reply else {
        panic!("{request:?}: {reply:?}")
    };
    let [cursor, Reply::Array(found)] = &parts[..] else {
        panic!("{request:?}: {reply:?}")
    };
    let text = |reply: &Reply| reply.clone().into_text();
    (text(cursor), found.iter().map(text).collect())
}

/// Fills keys and a hash of so many elements.
fn fill(app: &mut Client, count: usize) {
    for number in 0..count {
        app.call(&["SET", &format!("key:{number}"), "v"]);
        app.call(&["HSET", "hash", &format!("field:{number}"), "v"]);
    }
}

#[test]
fn an_iteration_goes_on_in_another_session_of_the_pool() {
    in_both_modes(|world| {
        let mut pool = [world.app(), world.app(), world.app()];
        fill(&mut pool[0], 1000);
        let mut turn = 0;
        let mut next = |request: &[&str]| {
            turn += 1;
            step(&mut pool[turn % 3], request)
        };
        let (mut keys, mut fields) = (BTreeSet::new(), BTreeSet::new());
        let (mut of_keys, mut of_fields) = ("0".to_owned(), "0".to_owned());
        for round in 0..1000 {
            let (cursor, found) = next(&["SCAN", &of_keys, "COUNT", "50"]);
            of_keys = cursor;
            keys.extend(found);
            let (cursor, found) = next(&["HSCAN", "hash", &of_fields, "COUNT", "50"]);
            of_fields = cursor;
            fields.extend(found);
            if round == 3 {
                world.cut_over();
            }
            if of_keys == "0" && of_fields == "0" {
                break;
            }
            assert_ne!(round, 999, "it does not end");
        }
        for number in 0..1000 {
            assert!(keys.contains(&format!("key:{number}")), "key:{number}");
            assert!(
                fields.contains(&format!("field:{number}")),
                "field:{number}"
            );
        }
    });
}

#[test]
fn an_iteration_without_grace_is_told_to_begin_again() {
    let world = World::with("cutover.scan_grace", "0s");
    let (mut app, mut other) = (world.app(), world.app());
    fill(&mut app, 500);
    let begin = |session: &mut Client, count: u32| {
        let (cursor, _) = step(session, &["SCAN", "0", "COUNT", &count.to_string()]);
        cursor
    };
    let given: Vec<String> = (1..=30).map(|count| begin(&mut app, count)).collect();
    world.cut_over();
    for session in [&mut app, &mut other] {
        let reply = session.call(&["SCAN", &given[0], "COUNT", "10"]);
        assert!(reply.is_error("ERR handover: this iteration"), "{reply:?}");
    }
    // Both sides give the same numbers: this one was the source's, and is the target's now. Not every number is given: it
    // takes a key in the right place, sooner or later.
    let known = &given[given.len() - 8..];
    let again = (0..)
        .find_map(|extra| {
            other.call(&["SET", &format!("extra:{extra}"), "v"]);
            let mut begun = (1..=200).map(|count| begin(&mut other, count));
            begun.find(|cursor| known.contains(cursor))
        })
        .unwrap();
    step(&mut app, &["SCAN", &again, "COUNT", "10"]);
}

#[test]
fn what_is_monitored_is_the_new_side() {
    in_both_modes(|world| {
        let (mut monitor, mut app) = (world.app(), world.app());
        assert_eq!(monitor.call(&["MONITOR"]), Reply::ok());
        app.call(&["SET", "before", "1"]);
        let mut seen_until = |word: &str| {
            loop {
                let line = monitor.read_reply();
                let Reply::Simple(text) = &line else {
                    panic!("{line:?}")
                };
                if text.contains(word) {
                    break;
                }
            }
        };
        seen_until("\"before\"");
        world.cut_over();
        app.call(&["SET", "after", "1"]);
        seen_until("\"after\"");
    });
}

/// A session that hears of what became invalid for another, in `protocol`.
fn listener_and_reader(world: &World, protocol: &str) -> (Client, Client) {
    let (mut listener, mut reader) = (world.app(), world.app());
    listener.call(&["HELLO", protocol]);
    let Reply::Integer(id) = listener.call(&["CLIENT", "ID"]) else {
        panic!("no id")
    };
    if protocol == "2" {
        listener.call(&["SUBSCRIBE", "__redis__:invalidate"]);
    }
    assert_eq!(
        reader.call(&["CLIENT", "TRACKING", "ON", "REDIRECT", &id.to_string()]),
        Reply::ok()
    );
    (listener, reader)
}

#[test]
fn redirected_invalidations_reach_the_session_they_are_redirected_to() {
    for (lanes, protocol) in [("auto", "2"), ("auto", "3"), ("off", "2"), ("off", "3")] {
        let world = World::with("proxy.lanes", lanes);
        let (mut listener, mut reader) = listener_and_reader(&world, protocol);
        let mut writer = world.app();
        let everything = if protocol == "2" { "*-1\r\n" } else { "_\r\n" };
        let invalidates = |listener: &mut Client, key: &str| {
            let push = String::from_utf8(listener.read_raw_reply()).unwrap();
            assert!(
                push.contains("invalidate") && push.contains(key),
                "{key}: {push}"
            );
        };
        reader.call(&["GET", "k"]);
        writer.call(&["SET", "k", "1"]);
        invalidates(&mut listener, "$1\r\nk\r\n");
        world.cut_over();
        invalidates(&mut listener, everything);
        reader.call(&["GET", "k"]);
        writer.call(&["SET", "k", "2"]);
        invalidates(&mut listener, "$1\r\nk\r\n");
        world.roll_back();
        invalidates(&mut listener, everything);
        reader.call(&["GET", "k"]);
        writer.call(&["SET", "k", "3"]);
        invalidates(&mut listener, "$1\r\nk\r\n");
        listener.send(&["PING", "still there"]);
        let pong = String::from_utf8(listener.read_raw_reply()).unwrap();
        assert!(pong.contains("still there"), "{pong}");
    }
}

#[test]
fn a_session_whose_invalidations_would_be_lost_is_closed() {
    let (source, target) = (RedisServer::start(), RedisServer::start());
    let sidecar = Sidecar::new()
        .source(&source)
        .target(&target)
        .expect_warning("redirects to a connection that is gone")
        .start();
    sidecar.admin().migrate_until_ready();
    let mut elsewhere = source.client();
    let Reply::Integer(id) = elsewhere.call(&["CLIENT", "ID"]) else {
        panic!("no id")
    };
    let mut reader = Client::connect(sidecar.addr("app"));
    reader.call(&["HELLO", "3"]);
    reader.call(&["CLIENT", "TRACKING", "ON", "REDIRECT", &id.to_string()]);
    sidecar.admin().must_cut_over();
    let farewell = String::from_utf8(reader.read_to_close()).unwrap();
    assert!(farewell.contains("CLIENT TRACKING redirects"), "{farewell}");
}

#[test]
fn what_is_said_about_the_next_request_holds_on_the_new_side() {
    in_both_modes(|world| {
        let (mut reader, mut writer) = (world.app(), world.app());
        reader.call(&["HELLO", "3"]);
        reader.call(&["CLIENT", "TRACKING", "ON", "OPTIN"]);
        assert_eq!(reader.call(&["CLIENT", "CACHING", "YES"]), Reply::ok());
        world.cut_over();
        let everything = String::from_utf8(reader.read_raw_reply()).unwrap();
        assert!(everything.contains("invalidate"), "{everything}");
        reader.call(&["GET", "tracked"]);
        reader.call(&["GET", "untracked"]);
        writer.call(&["SET", "untracked", "1"]);
        writer.call(&["SET", "tracked", "1"]);
        let push = String::from_utf8(reader.read_raw_reply()).unwrap();
        assert!(push.contains("$7\r\ntracked\r\n"), "{push}");
    });
}

#[test]
fn a_large_reply_that_is_on_its_way_is_not_broken_in_two() {
    in_both_modes(|world| {
        let large = "v".repeat(24 << 20);
        let (mut reader, mut busy) = (world.app(), world.app());
        reader.call(&["SET", "large", &large]);
        for session in [&mut reader, &mut busy] {
            session.call(&["HELLO", "3"]);
            session.call(&["CLIENT", "TRACKING", "ON"]);
        }
        world
            .sidecar
            .admin()
            .wait_for("can_cut_over", |status| status["can_cut_over"] == true);
        // More than the sockets on the way hold: most of it is at the server, or between, when the sides change.
        reader.send(&["GET", "large"]);
        world.cut_over();
        let reply = reader.read_raw_reply();
        assert_eq!(reply.len(), large.len() + "$25165824\r\n\r\n".len());
        assert!(reply[11..reply.len() - 2].iter().all(|byte| *byte == b'v'));
        for session in [&mut reader, &mut busy] {
            let push = String::from_utf8(session.read_raw_reply()).unwrap();
            assert!(push.contains("invalidate"), "{push}");
            assert_eq!(session.call(&["STRLEN", "large"]), Reply::Integer(24 << 20));
        }
    });
}
