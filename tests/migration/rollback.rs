//! The way back where the link cannot be turned: what was written on the target since the commit is copied to the source,
//! whatever wrote it and however.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::kit::{self, Client, RedisServer, Reply, Sidecar, eventually, external, newer_servers};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(20);

/// Before the migration: of every type, and what later writes remove, move, rename and let expire.
const FILL: &[&str] = &[
    "SET untouched 1",
    "SET deleted 1",
    "SET renamed 1",
    "SET expires 1",
    "SET persists 1 EX 1000",
    "RPUSH list a b c",
    "SADD set a b c",
    "ZADD zset 1 a 2 b",
    "HSET hash f 1 g 2",
    "XADD stream 1-1 f v",
    "XADD stream 2-1 f v",
    "XADD quiet 1-1 f v",
    "XADD quiet 2-1 f v",
    "XGROUP CREATE quiet readers 0",
];

/// On the target: each in a way of its own.
const CHANGES: &[&str] = &[
    "DEL deleted",
    "RENAME renamed new-name",
    "PEXPIRE expires 40",
    "PERSIST persists",
    "SET fresh 1 EX 500",
    "LPOP list",
    "RPUSH list d",
    "SREM set a",
    "ZINCRBY zset 5 a",
    "HDEL hash f",
    "HSET hash h 3",
    "XADD stream 3-1 f v",
    "XTRIM stream MAXLEN 2",
    "XREADGROUP GROUP readers one COUNT 1 STREAMS quiet >",
    "EVAL redis.call('set',KEYS[1],'by-script');redis.call('incr','undeclared') 1 scripted",
    "PFADD hll a b c",
    "SETBIT bits 1000 1",
    "SET large-text @64KiB",
    "SORT list ALPHA STORE sorted",
    "COPY set copied",
];

fn run(client: &mut Client, commands: &[&str]) {
    for command in commands {
        let words: Vec<String> = command
            .split(' ')
            .map(|word| match word {
                "@64KiB" => "x".repeat(64 << 10),
                word => word.to_owned(),
            })
            .collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let reply = client.call(&words);
        assert!(!matches!(reply, Reply::Error(_)), "{command}: {reply:?}");
    }
}

struct World {
    source: RedisServer,
    target: RedisServer,
    sidecar: Sidecar,
}

impl World {
    /// Cut over, from a source with data.
    fn committed(target: RedisServer) -> World {
        World::committed_with(target, |builder| {
            builder.expect_warning("`migrate` before the next cutover")
        })
    }

    fn committed_with(
        target: RedisServer,
        settings: impl FnOnce(kit::SidecarBuilder) -> kit::SidecarBuilder,
    ) -> World {
        World::between(RedisServer::start(), target, settings)
    }

    fn between(
        source: RedisServer,
        target: RedisServer,
        settings: impl FnOnce(kit::SidecarBuilder) -> kit::SidecarBuilder,
    ) -> World {
        run(&mut source.client(), FILL);
        let sidecar = settings(external(&source, &target, "")).start();
        let world = World {
            source,
            target,
            sidecar,
        };
        world.sidecar.admin().migrate_until_ready();
        world.sidecar.admin().must_cut_over();
        world
    }

    fn app(&self) -> Client {
        Client::connect(self.sidecar.addr("app"))
    }

    fn wait_for_the_way_back(&self) {
        self.sidecar
            .admin()
            .wait_for("a way back", |status| status["can_roll_back"] == true);
    }

    fn must_roll_back(&self) -> Value {
        self.wait_for_the_way_back();
        let answer = self.sidecar.admin().rollback();
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.json["outcome"], "rolled_back");
        answer.json
    }

    /// Values, types and times to live, by the comparison itself.
    fn assert_same(&self) {
        let output = self.sidecar.cli(&["verify", "--full", "--json"]);
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{text}");
    }

    /// What a consumer group has delivered, as far as servers of different families agree in telling it.
    fn assert_same_groups(&self) {
        let told = |server: &RedisServer| {
            let mut client = server.client();
            let pending = client.call(&["XPENDING", "quiet", "readers"]);
            let Reply::Array(groups) = client.call(&["XINFO", "GROUPS", "quiet"]) else {
                panic!("no groups");
            };
            let Reply::Array(group) = &groups[0] else {
                panic!("no group");
            };
            let delivered = group
                .windows(2)
                .find(|pair| pair[0] == Reply::bulk("last-delivered-id"))
                .map(|pair| pair[1].clone());
            (pending, delivered)
        };
        assert_eq!(told(&self.source), told(&self.target));
    }
}

#[test]
fn every_kind_of_write_since_the_commit_is_on_the_source_after_the_rollback() {
    let world = World::committed(RedisServer::start());
    let mut app = world.app();
    run(&mut app, CHANGES);
    let transaction = app.pipeline(&[&["MULTI"], &["INCR", "n"], &["RPUSH", "l", "x"], &["EXEC"]]);
    assert_eq!(transaction.len(), 4);
    let mut other = world.app();
    run(&mut other, &["SELECT 3", "SET in-three 1"]);
    // By whomever: this one has never heard of the proxy.
    run(&mut world.target.client(), &["SET past-the-proxy 1"]);
    let outcome = world.must_roll_back();
    assert_eq!(
        outcome["reasons"].as_array().unwrap().len(),
        1,
        "{outcome:#}"
    );
    assert_eq!(world.sidecar.admin().phase(), "rolled_back");
    world.assert_same();
    world.assert_same_groups();
    let mut source = world.source.client();
    assert_eq!(source.call(&["GET", "scripted"]).into_text(), "by-script");
    assert_eq!(
        source.call(&["EXISTS", "deleted", "expires", "renamed"]),
        Reply::Integer(0)
    );
    assert_eq!(source.call(&["GET", "past-the-proxy"]).into_text(), "1");
    assert_eq!(
        app.call(&["INCR", "n"]),
        Reply::Integer(2),
        "the application goes on"
    );
    assert_eq!(source.call(&["GET", "n"]).into_text(), "2", "on the source");
}

#[test]
fn flushed_and_exchanged_databases_go_back_too() {
    let world = World::committed_with(RedisServer::start(), |builder| {
        // Whether a look falls into the time in which everything is compared is chance.
        builder.any_warning()
    });
    let mut app = world.app();
    world.wait_for_the_way_back();
    run(
        &mut app,
        &["FLUSHDB", "SET after-the-flush 1", "SELECT 1", "SET one 1"],
    );
    world.wait_for_the_way_back();
    run(&mut app, &["SWAPDB 0 1"]);
    // It is not told, and shows at the latest when it would be missing.
    let rolled_back = || world.sidecar.admin().rollback().status == 200;
    assert!(eventually(LIMIT, rolled_back));
    world.assert_same();
    let mut source = world.source.client();
    assert_eq!(source.call(&["GET", "one"]).into_text(), "1");
    let gone = ["EXISTS", "untouched", "list", "after-the-flush"];
    assert_eq!(source.call(&gone), Reply::Integer(0));
}

#[test]
fn a_restarted_sidecar_compares_everything_before_there_is_a_way_back() {
    let mut world = World::committed(RedisServer::start());
    run(&mut world.app(), &["SET before-the-death 1"]);
    world.sidecar.kill();
    // Nobody hears of these.
    run(&mut world.target.client(), CHANGES);
    world.sidecar.start_again();
    assert_eq!(world.sidecar.admin().status()["active_side"], "target");
    run(&mut world.app(), &["SET after-the-start 1"]);
    world.must_roll_back();
    world.assert_same();
    world.assert_same_groups();
}

#[test]
fn values_that_the_source_cannot_read_are_written_anew() {
    for (name, program) in newer_servers() {
        let world = World::committed(RedisServer::options().program(program).start());
        run(&mut world.app(), CHANGES);
        world.must_roll_back();
        world.assert_same();
        world.assert_same_groups();
        println!("{name}");
    }
}

#[test]
fn a_source_that_takes_no_more_is_no_way_back_until_it_does() {
    let world = World::committed_with(RedisServer::start(), |builder| {
        builder
            .expect_warning("the reverse link does not stream")
            .expect_warning("`migrate` before the next cutover")
    });
    let mut source = world.source.client();
    world.wait_for_the_way_back();
    run(&mut source, &["CONFIG SET maxmemory 1"]);
    run(&mut world.app(), &["SET k 1"]);
    let admin = world.sidecar.admin();
    admin.wait_for("the alarm", |status| {
        !status["can_roll_back"].as_bool().unwrap()
    });
    let refused = admin.rollback();
    assert_eq!(refused.status, 409, "{}", refused.text);
    let broken = |status: &Value| {
        status["alarms"]
            .as_array()
            .is_some_and(|alarms| !alarms.is_empty())
    };
    admin.wait_for("the alarm", broken);
    run(&mut source, &["CONFIG SET maxmemory 0"]);
    world.must_roll_back();
    world.assert_same();
}

#[test]
fn a_database_that_the_source_does_not_have_is_no_way_back_and_touches_no_other() {
    let source = RedisServer::options()
        .arguments(&["--databases", "2"])
        .start();
    let world = World::between(source, RedisServer::start(), |builder| {
        builder.expect_warning("the reverse link does not stream")
    });
    world.wait_for_the_way_back();
    run(
        &mut world.app(),
        &["SELECT 5", "SET in-five 1", "SET untouched of-five"],
    );
    let admin = world.sidecar.admin();
    admin.wait_for("the alarm", |status| {
        status["can_roll_back"] == false && status["alarms"] != json!([])
    });
    assert_eq!(admin.rollback().status, 409);
    let mut source = world.source.client();
    assert_eq!(source.call(&["GET", "untouched"]).into_text(), "1");
    assert_eq!(source.call(&["EXISTS", "in-five"]), Reply::Integer(0));
}

#[test]
fn a_marker_proves_the_way_back_where_it_is_asked_for() {
    let world = World::committed_with(RedisServer::start(), |builder| {
        builder
            .set("cutover.marker", true)
            .expect_warning("`migrate` before the next cutover")
    });
    run(&mut world.app(), CHANGES);
    let outcome = world.must_roll_back();
    let steps = outcome["steps"].to_string();
    assert!(steps.contains("await_marker"), "{steps}");
    world.assert_same();
}

#[test]
fn acknowledged_writes_survive_a_rollback_under_load() {
    let world = World::committed(RedisServer::start());
    let over = AtomicBool::new(false);
    let acknowledged: Vec<i64> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..8)
            .map(|number| {
                let (mut app, over) = (world.app(), &over);
                scope.spawn(move || {
                    let (counter, list) = (format!("counter:{number}"), format!("list:{number}"));
                    let mut count = 0;
                    while !over.load(Ordering::Relaxed) {
                        count += 1;
                        assert_eq!(app.call(&["INCR", &counter]), Reply::Integer(count));
                        let pushed = app.call(&["RPUSH", &list, &count.to_string()]);
                        assert_eq!(pushed, Reply::Integer(count));
                    }
                    count
                })
            })
            .collect();
        let rolled_back = world.must_roll_back();
        let pause = rolled_back["write_pause_ms"].as_f64().unwrap();
        println!("write pause of the rollback: {pause} ms");
        // They go on for a while on the source.
        let before = world
            .source
            .client()
            .call(&["GET", "counter:0"])
            .into_text();
        let grown = || {
            world
                .source
                .client()
                .call(&["GET", "counter:0"])
                .into_text()
                != before
        };
        assert!(eventually(LIMIT, grown), "nobody writes to the source");
        over.store(true, Ordering::Relaxed);
        writers
            .into_iter()
            .map(|writer| writer.join().unwrap())
            .collect()
    });
    let mut source = world.source.client();
    for (number, count) in acknowledged.iter().enumerate() {
        let counter = source.call(&["GET", &format!("counter:{number}")]);
        assert_eq!(counter.into_text(), count.to_string());
        let list = source.call(&["LRANGE", &format!("list:{number}"), "0", "-1"]);
        let expected: Vec<String> = (1..=*count).map(|at| at.to_string()).collect();
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        assert_eq!(list, Reply::bulks(&expected));
    }
}

#[test]
fn after_finalize_nothing_is_copied_any_more() {
    let world = World::committed_with(RedisServer::start(), |builder| builder);
    world.wait_for_the_way_back();
    let answer = world.sidecar.admin().finalize();
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.json["reasons"], json!([]), "{}", answer.text);
    run(&mut world.app(), &["SET k 1"]);
    let gone = |server: &RedisServer| {
        let clients = server.client().call(&["CLIENT", "LIST"]).into_text();
        !clients.contains("cmd=restore") && !clients.contains("tracking")
    };
    assert!(eventually(LIMIT, || gone(&world.target)));
    assert_eq!(
        world.source.client().call(&["EXISTS", "k"]),
        Reply::Integer(0)
    );
}
