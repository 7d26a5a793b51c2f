//! What the application sees when its sessions move from the source to the target, state by state. Real servers, a real
//! sidecar, a cutover in the middle.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::kit::{Client, LIMIT, Listener, RedisServer, Reply, Sidecar, eventually};

/// A migration that is ready to cut over.
struct World {
    source: RedisServer,
    target: RedisServer,
    sidecar: Sidecar,
}

impl World {
    fn ready() -> World {
        World::with("auto")
    }

    fn with(lanes: &str) -> World {
        let (source, target) = (RedisServer::start(), RedisServer::start());
        let sidecar = Sidecar::new()
            .source(&source)
            .target(&target)
            .set("proxy.lanes", lanes)
            .start();
        sidecar.admin().migrate_until_ready();
        World {
            source,
            target,
            sidecar,
        }
    }

    fn app(&self) -> Client {
        Client::connect(self.sidecar.addr("app"))
    }

    fn cut_over(&self) {
        self.sidecar.admin().must_cut_over();
        assert_eq!(
            self.target.info("replication", "role").as_deref(),
            Some("master")
        );
        assert_eq!(
            self.source.info("replication", "role").as_deref(),
            Some("slave")
        );
    }
}

/// Blocked clients, as a server counts them.
fn blocked(server: &RedisServer) -> String {
    server
        .info("clients", "blocked_clients")
        .unwrap_or_default()
}

fn in_both_modes(test: impl Fn(World)) {
    for lanes in ["auto", "off"] {
        test(World::with(lanes));
    }
}

#[test]
fn idle_sessions_go_on_on_the_target() {
    in_both_modes(|world| {
        let mut app = world.app();
        app.call(&["SET", "k", "before"]);
        world.cut_over();
        assert_eq!(app.call(&["GET", "k"]), Reply::bulk("before"));
        assert_eq!(app.call(&["SET", "k", "after"]), Reply::ok());
        assert_eq!(
            world.target.client().call(&["GET", "k"]),
            Reply::bulk("after")
        );
    });
}

#[test]
fn no_acknowledged_write_is_lost_or_doubled_under_load() {
    in_both_modes(|world| {
        let over = Arc::new(AtomicBool::new(false));
        let writers: Vec<_> = (0..8)
            .map(|number| {
                let (mut app, over) = (world.app(), Arc::clone(&over));
                thread::spawn(move || {
                    let (list, counter) = (format!("list:{number}"), format!("counter:{number}"));
                    let mut written = 0;
                    while !over.load(Ordering::Relaxed) {
                        let replies = app.pipeline(&[
                            &["RPUSH", &list, &written.to_string()],
                            &["INCR", &counter],
                        ]);
                        written += 1;
                        assert_eq!(replies, [Reply::Integer(written), Reply::Integer(written)]);
                    }
                    (list, counter, written)
                })
            })
            .collect();
        world.cut_over();
        over.store(true, Ordering::Relaxed);
        let mut target = world.target.client();
        for writer in writers {
            let (list, counter, written) = writer.join().unwrap();
            let expected: Vec<String> = (0..written).map(|item| item.to_string()).collect();
            let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
            assert_eq!(
                target.call(&["LRANGE", &list, "0", "-1"]),
                Reply::bulks(&expected)
            );
            assert_eq!(
                target.call(&["GET", &counter]),
                Reply::bulk(&written.to_string())
            );
        }
    });
}

#[test]
fn database_name_and_protocol_are_the_same_afterwards() {
    in_both_modes(|world| {
        let mut app = world.app();
        app.call(&["HELLO", "3"]);
        app.call(&["SELECT", "5"]);
        app.call(&["CLIENT", "SETNAME", "billing"]);
        app.call(&["SET", "k", "five"]);
        world.cut_over();
        assert_eq!(app.call(&["GET", "k"]), Reply::bulk("five"));
        assert_eq!(app.call(&["CLIENT", "GETNAME"]), Reply::bulk("billing"));
        assert!(
            matches!(app.call(&["HGETALL", "none"]), Reply::Map(_)),
            "still RESP3"
        );
        let clients = world.target.client().call(&["CLIENT", "LIST"]).into_text();
        let line = clients
            .lines()
            .find(|line| line.contains("name=billing"))
            .unwrap_or_default();
        assert!(line.contains(" db=5 "), "{clients}");
    });
}

#[test]
fn an_open_transaction_is_executed_on_the_target() {
    in_both_modes(|world| {
        let mut app = world.app();
        app.call(&["MULTI"]);
        app.call(&["SET", "k", "1"]);
        app.call(&["INCR", "k"]);
        world.cut_over();
        assert_eq!(app.call(&["INCR", "k"]), Reply::Simple("QUEUED".to_owned()));
        assert_eq!(
            app.call(&["EXEC"]),
            Reply::Array(vec![Reply::ok(), Reply::Integer(2), Reply::Integer(3)])
        );
        assert_eq!(world.target.client().call(&["GET", "k"]), Reply::bulk("3"));
        assert_eq!(app.call(&["GET", "k"]), Reply::bulk("3"));
    });
}

#[test]
fn a_transaction_too_long_to_be_remembered_is_aborted_and_not_halved() {
    let (source, target) = (RedisServer::start(), RedisServer::start());
    let sidecar = Sidecar::new()
        .source(&source)
        .target(&target)
        .set("proxy.limits.transaction_bytes", "1KiB")
        .start();
    sidecar.admin().migrate_until_ready();
    let mut app = Client::connect(sidecar.addr("app"));
    app.call(&["MULTI"]);
    for number in 0..100 {
        app.call(&["SET", &format!("k{number}"), "v"]);
    }
    sidecar.admin().must_cut_over();
    assert!(app.call(&["EXEC"]).is_error("EXECABORT"));
    assert_eq!(target.client().call(&["DBSIZE"]), Reply::Integer(0));
    assert_eq!(app.call(&["SET", "k", "v"]), Reply::ok());
}

#[test]
fn watched_keys_count_as_changed_once() {
    in_both_modes(|world| {
        let mut app = world.app();
        app.call(&["WATCH", "k"]);
        world.cut_over();
        app.call(&["MULTI"]);
        app.call(&["SET", "k", "v"]);
        assert_eq!(app.call(&["EXEC"]), Reply::Null);
        app.call(&["WATCH", "k"]);
        app.call(&["MULTI"]);
        app.call(&["SET", "k", "v"]);
        assert_eq!(app.call(&["EXEC"]), Reply::Array(vec![Reply::ok()]));
    });
}

#[test]
fn blocked_commands_wait_on_in_the_order_in_which_they_came() {
    in_both_modes(|world| {
        let mut workers: Vec<Client> = (0..5).map(|_| world.app()).collect();
        for (already, worker) in workers.iter_mut().enumerate() {
            worker.send(&["BLPOP", "queue", "0"]);
            let expected = (already + 1).to_string();
            assert!(eventually(Duration::from_secs(5), || blocked(
                &world.source
            ) == expected));
        }
        let mut reader = world.app();
        reader.send(&["XREAD", "BLOCK", "20000", "STREAMS", "stream", "$"]);
        assert!(eventually(Duration::from_secs(5), || blocked(
            &world.source
        ) == "6"));
        world.cut_over();
        assert_eq!(blocked(&world.target), "6");
        assert_eq!(blocked(&world.source), "0");
        let mut app = world.app();
        for number in 0..5 {
            app.call(&["RPUSH", "queue", &number.to_string()]);
        }
        for (number, worker) in workers.iter_mut().enumerate() {
            assert_eq!(
                worker.read_reply(),
                Reply::bulks(&["queue", &number.to_string()])
            );
            assert_eq!(worker.call(&["PING"]), Reply::Simple("PONG".to_owned()));
        }
        app.call(&["XADD", "stream", "*", "field", "value"]);
        assert!(matches!(reader.read_reply(), Reply::Array(_)));
    });
}

#[test]
fn a_blocked_command_keeps_its_own_time_limit() {
    in_both_modes(|world| {
        let mut worker = world.app();
        worker.send(&["BLPOP", "queue", "1.5"]);
        assert!(eventually(Duration::from_secs(5), || blocked(
            &world.source
        ) == "1"));
        world.cut_over();
        assert!(!worker.has_reply_within(Duration::from_millis(200)));
        assert_eq!(worker.read_reply(), Reply::Null);
    });
}

#[test]
fn subscribers_miss_no_message_and_get_none_twice() {
    in_both_modes(|world| {
        let (mut old, mut new) = (world.app(), world.app());
        old.call(&["SUBSCRIBE", "news"]);
        old.call(&["PSUBSCRIBE", "ne*"]);
        new.call(&["HELLO", "3"]);
        new.call(&["SUBSCRIBE", "news"]);
        let over = Arc::new(AtomicBool::new(false));
        let publisher = thread::spawn({
            let (mut app, over) = (world.app(), Arc::clone(&over));
            move || {
                let mut sent = 0;
                while !over.load(Ordering::Relaxed) || sent < 100 {
                    app.call(&["PUBLISH", "news", &sent.to_string()]);
                    sent += 1;
                }
                sent
            }
        });
        world.cut_over();
        over.store(true, Ordering::Relaxed);
        let sent: u32 = publisher.join().unwrap();
        for number in 0..sent {
            let number = number.to_string();
            assert_eq!(
                old.read_reply(),
                Reply::bulks(&["message", "news", &number])
            );
            assert_eq!(
                old.read_reply(),
                Reply::bulks(&["pmessage", "ne*", "news", &number])
            );
            let expected = ["message", "news", number.as_str()]
                .map(Reply::bulk)
                .to_vec();
            assert_eq!(new.read_reply(), Reply::Push(expected));
        }
        assert_eq!(new.call(&["PING"]), Reply::Simple("PONG".to_owned()));
    });
}

#[test]
fn a_tracking_client_is_told_to_forget_everything() {
    in_both_modes(|world| {
        let mut app = world.app();
        app.call(&["HELLO", "3"]);
        app.call(&["CLIENT", "TRACKING", "ON"]);
        app.call(&["GET", "k"]);
        world.cut_over();
        assert_eq!(
            app.read_reply(),
            Reply::Push(vec![Reply::bulk("invalidate"), Reply::Null])
        );
        assert_eq!(app.call(&["GET", "k"]), Reply::Null);
        world.app().call(&["SET", "k", "v"]);
        assert_eq!(
            app.read_reply(),
            Reply::Push(vec![Reply::bulk("invalidate"), Reply::bulks(&["k"])])
        );
    });
}

#[test]
fn an_iteration_that_began_on_the_source_is_finished_there() {
    in_both_modes(|world| {
        let mut app = world.app();
        for number in 0..500 {
            app.call(&["SET", &format!("k{number}"), "v"]);
        }
        let mut seen = std::collections::BTreeSet::new();
        let mut cursor = "0".to_owned();
        loop {
            let Reply::Array(parts) = app.call(&["SCAN", &cursor, "COUNT", "50"]) else {
                panic!("no array")
            };
            cursor = parts[0].clone().into_text();
            let Reply::Array(keys) = &parts[1] else {
                panic!("no keys")
            };
            seen.extend(keys.iter().cloned().map(Reply::into_text));
            if cursor == "0" {
                break;
            }
            if world.sidecar.admin().phase() == "in_sync" {
                world.cut_over();
            }
        }
        assert_eq!(seen.len(), 500);
    });
}

#[test]
fn a_refusing_listener_takes_writes_once_the_target_is_active() {
    let (source, target) = (RedisServer::start(), RedisServer::start());
    let sidecar = Sidecar::new()
        .source(&source)
        .target(&target)
        .listener("app", Listener::new())
        .listener("near", Listener::new().reads("target").writes("refuse"))
        .start();
    sidecar.admin().migrate_until_ready();
    let mut near = Client::connect(sidecar.addr("near"));
    assert!(near.call(&["SET", "k", "v"]).is_error("READONLY"));
    sidecar.admin().must_cut_over();
    assert_eq!(near.call(&["SET", "k", "v"]), Reply::ok());
    assert_eq!(
        Client::connect(sidecar.addr("app")).call(&["GET", "k"]),
        Reply::bulk("v")
    );
}

#[test]
fn rollback_and_cutover_can_be_repeated_without_losing_a_write() {
    let world = World::ready();
    let mut app = world.app();
    let mut worker = world.app();
    worker.send(&["BLPOP", "queue", "0"]);
    let admin = world.sidecar.admin();
    for round in 1..=3 {
        app.call(&["RPUSH", "rounds", &format!("forth {round}")]);
        admin.wait_for("can_cut_over", |status| status["can_cut_over"] == true);
        admin.must_cut_over();
        app.call(&["RPUSH", "rounds", &format!("back {round}")]);
        admin.wait_for("can_roll_back", |status| status["can_roll_back"] == true);
        let answer = admin.rollback();
        assert_eq!(answer.json["outcome"], "rolled_back", "{}", answer.text);
    }
    assert_eq!(app.call(&["LLEN", "rounds"]), Reply::Integer(6));
    app.call(&["RPUSH", "queue", "job"]);
    assert_eq!(worker.read_reply(), Reply::bulks(&["queue", "job"]));
    assert_eq!(
        world.source.info("replication", "role").as_deref(),
        Some("master")
    );
}

#[test]
fn an_aborted_cutover_leaves_everything_on_the_source() {
    let world = World::ready();
    let (mut app, mut worker) = (world.app(), world.app());
    app.call(&["MULTI"]);
    app.call(&["SET", "k", "v"]);
    worker.send(&["BLPOP", "queue", "0"]);
    assert!(eventually(Duration::from_secs(5), || blocked(
        &world.source
    ) == "1"));
    // A target that does not answer lets the pause run over.
    world.target.stop();
    let answer = world.sidecar.admin().cutover();
    world.target.cont();
    assert_ne!(answer.json["outcome"], "committed", "{}", answer.text);
    assert_eq!(app.call(&["EXEC"]), Reply::Array(vec![Reply::ok()]));
    assert_eq!(world.source.client().call(&["GET", "k"]), Reply::bulk("v"));
    app.call(&["RPUSH", "queue", "job"]);
    assert_eq!(worker.read_reply(), Reply::bulks(&["queue", "job"]));
}

#[test]
fn a_session_in_the_way_is_named_and_goes_on_where_it_was() {
    let source = RedisServer::options()
        .user("proxy on >p ~* &* +@all")
        .start();
    let target = RedisServer::start();
    let sidecar = Sidecar::new()
        .source(&source)
        .set("source.url", format!("redis://proxy:p@{}", source.addr()))
        .target(&target)
        .expect_warning("a session is in the way of the cutover")
        .expect_warning("max_pause ran out at the step release")
        .start();
    sidecar.admin().migrate_until_ready();
    let mut worker = Client::connect(sidecar.addr("app"));
    worker.send(&["BLPOP", "jobs", "0"]);
    assert!(eventually(LIMIT, || blocked(&source) == "1"));
    let refused = source
        .client()
        .call(&["ACL", "SETUSER", "proxy", "-client|unblock"]);
    assert_eq!(refused, Reply::ok());
    assert_eq!(sidecar.admin().cutover().json["outcome"], "aborted");
    assert!(
        sidecar
            .log()
            .contains("CLIENT UNBLOCK was refused on the source")
    );
    let mut producer = Client::connect(sidecar.addr("app"));
    assert_eq!(producer.call(&["RPUSH", "jobs", "1"]), Reply::Integer(1));
    assert_eq!(worker.read_reply(), Reply::bulks(&["jobs", "1"]));
}
