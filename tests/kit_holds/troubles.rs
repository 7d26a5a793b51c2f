//! What goes wrong on demand.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cluster::Numbers;
use crate::kit::{LIMIT, RedisServer, Reply, eventually};
use crate::world::World;

#[test]
fn a_link_that_was_lost_goes_on_where_it_was() {
    let world = World::in_sync();
    let before = world.migration();
    world.source.client().call(&["RPUSH", "list", "1"]);
    world.target.lose_the_link();
    world.source.client().call(&["RPUSH", "list", "2"]);
    world.wait_for_reply(&["LRANGE", "list", "0", "-1"], &Reply::bulks(&["1", "2"]));
    world.wait_until_in_sync();
    let after = world.migration();
    assert_eq!(after["run_id"], before["run_id"]);
    assert_eq!(after["flush_counter"], 1);
}

#[test]
fn a_full_copy_that_becomes_necessary_deletes_what_the_target_held_and_is_told() {
    let world = World::in_sync();
    let before = world.migration();
    world.target.manager().call(&["SET", "own", "1"]);
    world.target.start_over();
    world.wait_for_reply(&["GET", "own"], &Reply::Null);
    world.wait_until_in_sync();
    let after = world.migration();
    assert_ne!(after["run_id"], before["run_id"]);
    assert_eq!(after["flush_counter"], 2);
}

#[test]
fn a_source_that_restarts_empty_empties_the_target() {
    let mut world = World::in_sync();
    world.source.client().call(&["SET", "k", "v"]);
    world.wait_for_reply(&["GET", "k"], &Reply::bulk("v"));
    world.source.restart();
    world.wait_for_reply(&["GET", "k"], &Reply::Null);
    assert!(world.target.full_copies() > 1);
}

#[test]
fn a_source_that_is_out_of_reach_is_tried_on() {
    let mut world = World::in_sync();
    world.source.kill();
    let source = |bdb: &Value| bdb["replica_sources"][0].clone();
    let bdb = world.api.wait(&world.path(), "out-of-sync", |bdb| {
        source(bdb)["status"] == "out-of-sync"
    });
    assert!(source(&bdb)["last_error"].is_string(), "{bdb}");
    assert_eq!(bdb["replica_sync"], "enabled");
    world.source.restart();
    world.wait_until_in_sync();
}

#[test]
fn a_source_that_refuses_the_password_stops_the_replication() {
    let world = World::new();
    let source = RedisServer::options().password("right").start();
    for uri in [
        format!("redis://:wrong@{}", source.addr()),
        format!("redis://{}", source.addr()),
    ] {
        world.enable(&[&uri]);
        let stopped = |bdb: &Value| bdb["replica_sync"] == "stopped";
        let bdb = world.api.wait(&world.path(), "stopped", stopped);
        assert!(bdb["replica_sources"][0]["last_error"].is_string(), "{bdb}");
        world.disable();
    }
}

#[test]
fn another_database_than_0_stops_the_replication_whenever_it_is_met() {
    let world = World::in_sync();
    let mut application = world.source.client();
    application.pipeline(&[&["SELECT", "1"], &["SET", "k", "v"]]);
    let stopped = |bdb: &Value| bdb["replica_sync"] == "stopped";
    world
        .api
        .wait(&world.path(), "stopped by the stream", stopped);
    world.disable();
    world.enable(&[&format!("redis://{}", world.source.addr())]);
    world
        .api
        .wait(&world.path(), "stopped by the copy", stopped);
    assert_eq!(
        world.target.manager().call(&["EXISTS", "k"]),
        Reply::Integer(0)
    );
}

#[test]
fn a_slow_copy_shows_how_far_it_is() {
    let world = World::new();
    let mut application = world.source.client();
    application.call(&["DEBUG", "POPULATE", "2000"]);
    world.target.copy_slowly(LIMIT);
    world.enable(&[&format!("redis://{}", world.source.addr())]);
    world.api.wait(&world.path(), "a part of the copy", |bdb| {
        let source = &bdb["replica_sources"][0];
        let (done, total) = (
            source["rdb_transferred"].as_u64(),
            source["rdb_size"].as_u64(),
        );
        source["status"] == "syncing" && done > Some(0) && done < total
    });
    assert!(
        world.migration()["source_shards"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}

#[test]
fn positions_can_be_read_ones_lies_old_or_absent() {
    let world = World::in_sync();
    let offset = || {
        world.migration()["source_shards"][0]["replication_offset"]
            .as_u64()
            .unwrap()
    };
    let numbers = |numbers| world.cluster.faults(|faults| faults.numbers = numbers);
    world.target.stall();
    world.source.client().call(&["SET", "k", "v"]);
    let written = world
        .source
        .info("replication", "master_repl_offset")
        .unwrap();
    let written: u64 = written.parse().unwrap();
    assert!(offset() < written);
    numbers(Numbers::Read);
    assert!(
        eventually(LIMIT, || offset() >= written),
        "it has been read"
    );
    numbers(Numbers::Ahead(1 << 40));
    assert!(offset() >= 1 << 40);
    numbers(Numbers::Stale(None));
    let told = offset();
    world.target.go_on();
    world.wait_for_reply(&["GET", "k"], &Reply::bulk("v"));
    assert_eq!(offset(), told);
    numbers(Numbers::Absent);
    assert_eq!(
        world
            .api
            .get(&format!("/v1/migrations/{}", world.target.uid))
            .status,
        404
    );
}

#[test]
fn a_stop_may_say_it_is_done_while_it_is_not() {
    let world = World::in_sync();
    let lingers = Duration::from_secs(1);
    world.cluster.faults(|faults| faults.lingering = lingers);
    let answer = world
        .api
        .put(&world.path(), &json!({ "replica_sync": "disabled" }));
    assert_eq!(
        (&answer.json["status"], &answer.json["replica_sync"]),
        (&json!("active"), &json!("disabled"))
    );
    world.source.client().call(&["SET", "late", "1"]);
    world.wait_for_reply(&["GET", "late"], &Reply::bulk("1"));
    assert!(eventually(LIMIT, || !world.target.has_syncer()));
}
