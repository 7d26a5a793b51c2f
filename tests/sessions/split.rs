//! A listener whose reads go to the target and whose writes to the active side, or nowhere: what belongs together goes
//! whole to the active side, replies keep their order, and all of it crosses like any other session.

use std::time::Duration;

use crate::kit::{Client, LIMIT, Listener, RedisServer, Reply, Sidecar, encode, eventually};

/// Two servers, and listeners that read from the target: `split` writes to the source, `near` does not, and neither does
/// `trusted`, whose clients may run scripts that only read.
struct World {
    source: RedisServer,
    target: RedisServer,
    sidecar: Sidecar,
}

impl World {
    fn with(lanes: &str) -> World {
        let (source, target) = (RedisServer::start(), RedisServer::start());
        let near = Listener::new().reads("target").writes("refuse");
        let trusted = near.clone().set("read_only_scripts", "allow");
        let sidecar = Sidecar::new()
            .source(&source)
            .target(&target)
            .listener("split", Listener::new().reads("target"))
            .listener("near", near)
            .listener("trusted", trusted)
            .set("proxy.lanes", lanes)
            .start();
        World {
            source,
            target,
            sidecar,
        }
    }

    fn session(&self, listener: &str) -> Client {
        Client::connect(self.sidecar.addr(listener))
    }

    /// The key `k` says which side it was read from. No migration runs.
    fn tell_apart(&self) {
        self.source.client().call(&["SET", "k", "source"]);
        self.target.client().call(&["SET", "k", "target"]);
    }
}

fn in_both_modes(test: impl Fn(World)) {
    for lanes in ["auto", "off"] {
        test(World::with(lanes));
    }
}

/// Waits until so many clients block on `server`.
fn wait_for_blocked(server: &RedisServer, count: usize) {
    let blocked = || server.info("clients", "blocked_clients") == Some(count.to_string());
    assert!(eventually(LIMIT, blocked), "{count} blocked clients");
}

fn queued() -> Reply {
    Reply::Simple("QUEUED".to_owned())
}

#[test]
fn transactions_and_what_is_watched_are_whole_on_the_active_side() {
    in_both_modes(|world| {
        world.tell_apart();
        for listener in ["split", "near"] {
            let mut app = world.session(listener);
            let (here, there) = (Reply::bulk("target"), Reply::bulk("source"));
            assert_eq!(app.call(&["GET", "k"]), here);
            assert_eq!(app.call(&["WATCH", "k"]), Reply::ok());
            assert_eq!(app.call(&["GET", "k"]), there, "read to be compared");
            assert_eq!(app.call(&["MULTI"]), Reply::ok());
            assert_eq!(app.call(&["GET", "k"]), queued());
            assert_eq!(app.call(&["EXEC"]), Reply::bulks(&["source"]));
            assert_eq!(app.call(&["GET", "k"]), here, "after EXEC");
            app.call(&["WATCH", "k"]);
            app.call(&["UNWATCH"]);
            assert_eq!(app.call(&["GET", "k"]), here, "after UNWATCH");
            app.call(&["WATCH", "k"]);
            app.call(&["MULTI"]);
            assert_eq!(app.call(&["DISCARD"]), Reply::ok());
            assert_eq!(app.call(&["GET", "k"]), here, "after DISCARD");
            let replies = app.pipeline(&[&["MULTI"], &["GET", "k"], &["EXEC"], &["GET", "k"]]);
            assert_eq!(replies[2..], [Reply::bulks(&["source"]), here]);
        }
        // What somebody else changes on the active side is seen by who watches it.
        let mut app = world.session("split");
        app.call(&["WATCH", "k"]);
        world.source.client().call(&["SET", "k", "changed"]);
        app.call(&["MULTI"]);
        app.call(&["SET", "k", "lost"]);
        assert_eq!(app.call(&["EXEC"]), Reply::Null);
    });
}

#[test]
fn scripts_go_to_the_active_side_unless_they_only_read() {
    in_both_modes(|world| {
        world.tell_apart();
        let library = "#!lua name=lib\nredis.register_function{function_name='look', \
                       callback=function() return redis.call('GET', 'k') end, flags={'no-writes'}}";
        for server in [&world.source, &world.target] {
            server.client().call(&["FUNCTION", "LOAD", library]);
        }
        let mut app = world.session("split");
        let script = "return redis.call('GET', 'k')";
        for (request, side) in [
            (&["EVAL", script, "0"][..], "source"),
            (&["EVAL_RO", script, "0"], "target"),
            (&["FCALL", "look", "0"], "source"),
            (&["FCALL_RO", "look", "0"], "target"),
        ] {
            assert_eq!(app.call(request), Reply::bulk(side), "{request:?}");
        }
        let mut trusted = world.session("trusted");
        for request in [&["EVAL_RO", script, "0"][..], &["FCALL_RO", "look", "0"]] {
            assert_eq!(trusted.call(request), Reply::bulk("target"), "{request:?}");
        }
        assert!(trusted.call(&["EVAL", script, "0"]).is_error("READONLY"));
    });
}

#[test]
fn scripts_are_refused_with_the_writes_since_nobody_knows_what_else_they_do() {
    in_both_modes(|world| {
        let mut control = world.target.client();
        control.call(&["CONFIG", "SET", "slowlog-log-slower-than", "0"]);
        let reset = "return redis.call('SLOWLOG', 'RESET')";
        let hash = control.call(&["SCRIPT", "LOAD", reset]).into_text();
        let mut near = world.session("near");
        for request in [
            &["EVAL_RO", reset, "0"][..],
            &["EVALSHA_RO", &hash, "0"],
            &["FCALL_RO", "anything", "0"],
        ] {
            assert!(near.call(request).is_error("READONLY"), "{request:?}");
            for begins in [&["MULTI"][..], &["WATCH", "k"]] {
                assert_eq!(near.call(begins), Reply::ok());
                assert!(near.call(request).is_error("READONLY"), "{request:?}");
                near.call(&["RESET"]);
            }
            let frames: Vec<u8> = [&["MULTI"][..], request, &["EXEC"]]
                .iter()
                .flat_map(|words| encode(words))
                .collect();
            near.send_raw(&frames);
            assert_eq!(near.read_reply(), Reply::ok());
            assert!(near.read_reply().is_error("READONLY"), "{request:?}");
            assert!(near.read_reply().is_error("EXECABORT"), "{request:?}");
        }
        let stats = world.target.info("commandstats", "cmdstat_slowlog|reset");
        assert_eq!(stats, None, "a script has reset the slow log");
    });
}

#[test]
fn blocking_and_subscribing_wait_for_the_active_side() {
    in_both_modes(|world| {
        let mut source = world.source.client();
        let (mut split, mut near) = (world.session("split"), world.session("near"));
        split.send(&["BLPOP", "queue", "0"]);
        near.send(&["XREAD", "BLOCK", "0", "STREAMS", "stream", "$"]);
        wait_for_blocked(&world.source, 2);
        wait_for_blocked(&world.target, 0);
        source.call(&["RPUSH", "queue", "job"]);
        source.call(&["XADD", "stream", "1-1", "f", "v"]);
        assert_eq!(split.read_reply(), Reply::bulks(&["queue", "job"]));
        assert!(matches!(near.read_reply(), Reply::Array(_)));
        assert!(near.call(&["BLPOP", "queue", "1"]).is_error("READONLY"));
        for app in [&mut split, &mut near] {
            app.call(&["SUBSCRIBE", "news"]);
            let mut target = world.target.client();
            let unheard = target.call(&["PUBLISH", "news", "of the target"]);
            assert_eq!(unheard, Reply::Integer(0));
            source.call(&["PUBLISH", "news", "of the source"]);
            let heard = Reply::bulks(&["message", "news", "of the source"]);
            assert_eq!(app.read_reply(), heard);
            app.call(&["UNSUBSCRIBE"]);
        }
    });
}

#[test]
fn replies_keep_their_order_over_two_sides() {
    in_both_modes(|world| {
        world.tell_apart();
        let mut app = world.session("split");
        assert_eq!(app.call(&["GET", "k"]), Reply::bulk("target"));
        assert_eq!(app.call(&["INCR", "n"]), Reply::Integer(1));
        // Fewer than a session may have on their way before the size of their replies is known.
        world.target.stop();
        for _ in 0..20 {
            app.send(&["GET", "k"]);
            app.send(&["INCR", "n"]);
        }
        // The source has answered its half by now, and none of that may be seen.
        let mut source = world.source.client();
        let written = || source.call(&["GET", "n"]) == Reply::bulk("21");
        assert!(eventually(LIMIT, written));
        assert!(!app.has_reply_within(Duration::from_millis(20)));
        world.target.cont();
        for number in 2..=21 {
            assert_eq!(app.read_reply(), Reply::bulk("target"));
            assert_eq!(app.read_reply(), Reply::Integer(number));
        }
    });
}

#[test]
fn the_sessions_state_crosses_as_elsewhere() {
    in_both_modes(|world| {
        world.sidecar.admin().migrate_until_ready();
        let mut app = world.session("split");
        let mut open = world.session("split");
        open.call(&["CLIENT", "SETNAME", "open"]);
        open.call(&["MULTI"]);
        open.call(&["INCR", "n"]);
        let mut watching = world.session("split");
        watching.call(&["SELECT", "3"]);
        watching.call(&["WATCH", "k"]);
        let (mut blocked, mut reading) = (world.session("split"), world.session("near"));
        blocked.send(&["BLPOP", "queue", "0"]);
        reading.send(&["XREAD", "BLOCK", "0", "STREAMS", "stream", "$"]);
        wait_for_blocked(&world.source, 2);
        let mut hearing = [world.session("split"), world.session("near")];
        for session in &mut hearing {
            session.call(&["SUBSCRIBE", "news"]);
        }
        world.sidecar.admin().must_cut_over();
        wait_for_blocked(&world.target, 2);
        assert_eq!(open.call(&["INCR", "n"]), queued());
        let executed = Reply::Array(vec![Reply::Integer(1), Reply::Integer(2)]);
        assert_eq!(open.call(&["EXEC"]), executed);
        assert_eq!(open.call(&["CLIENT", "GETNAME"]), Reply::bulk("open"));
        watching.call(&["MULTI"]);
        watching.call(&["SET", "k", "v"]);
        assert_eq!(watching.call(&["EXEC"]), Reply::Null);
        assert_eq!(watching.call(&["SET", "k", "three"]), Reply::ok());
        assert_eq!(watching.call(&["GET", "k"]), Reply::bulk("three"));
        app.call(&["RPUSH", "queue", "job"]);
        assert_eq!(blocked.read_reply(), Reply::bulks(&["queue", "job"]));
        app.call(&["XADD", "stream", "*", "f", "v"]);
        assert!(matches!(reading.read_reply(), Reply::Array(_)));
        let heard = app.call(&["PUBLISH", "news", "once"]);
        assert_eq!(heard, Reply::Integer(2));
        for session in &mut hearing {
            let message = Reply::bulks(&["message", "news", "once"]);
            assert_eq!(session.read_reply(), message);
            session.call(&["UNSUBSCRIBE"]);
            // No longer refused where it was.
            assert_eq!(session.call(&["SET", "late", "v"]), Reply::ok());
        }
        let mut target = world.target.client();
        assert_eq!(target.call(&["GET", "n"]), Reply::bulk("2"));
    });
}
