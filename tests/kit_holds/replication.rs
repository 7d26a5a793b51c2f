//! Replica Of is real: what is on the source comes, in order, while the target takes other writes; the positions are
//! true; a stop is a stop.

use crate::kit::{LIMIT, RedisServer, Reply, eventually};
use crate::world::World;

/// A key of each type, with the question that shows it.
const CONTENT: &[(&[&str], &[&str])] = &[
    (
        &["SET", "string", "a b", "PX", "100000000"],
        &["GET", "string"],
    ),
    (
        &["RPUSH", "list", "1", "2", "3"],
        &["LRANGE", "list", "0", "-1"],
    ),
    (&["HSET", "hash", "field", "value"], &["HGETALL", "hash"]),
    (&["SADD", "set", "member"], &["SMEMBERS", "set"]),
    (
        &["ZADD", "sorted", "1.5", "member"],
        &["ZRANGE", "sorted", "0", "-1", "WITHSCORES"],
    ),
    (
        &["XADD", "stream", "1-1", "field", "value"],
        &["XRANGE", "stream", "-", "+"],
    ),
];

#[test]
fn a_full_copy_carries_every_type_with_its_time_to_live() {
    let world = World::new();
    let mut application = world.source.client();
    for (write, _) in CONTENT {
        assert!(!application.call(write).is_error(""));
    }
    world.enable(&[&format!("redis://{}", world.source.addr())]);
    world.wait_until_in_sync();
    let mut target = world.target.manager();
    for (_, read) in CONTENT {
        assert_eq!(target.call(read), application.call(read), "{read:?}");
    }
    let expires = ["PEXPIRETIME", "string"];
    assert_eq!(target.call(&expires), application.call(&expires));
}

#[test]
fn the_stream_follows_in_order_and_the_target_takes_writes_meanwhile() {
    let world = World::in_sync();
    let (mut application, mut other) = (world.source.client(), world.target.manager());
    for number in 0..500 {
        let number = number.to_string();
        application.call(&["RPUSH", "list", &number]);
        other.call(&["RPUSH", "own", &number]);
    }
    application.pipeline(&[
        &["MULTI"],
        &["INCR", "counter"],
        &["INCR", "counter"],
        &["EXEC"],
    ]);
    world.wait_for_reply(&["GET", "counter"], &Reply::bulk("2"));
    let list = |it: &mut crate::kit::Client, name| it.call(&["LRANGE", name, "0", "-1"]);
    assert_eq!(list(&mut other, "list"), list(&mut application, "list"));
    assert_eq!(other.call(&["LLEN", "own"]), Reply::Integer(500));
}

#[test]
fn a_position_is_the_sources_own_once_the_target_has_applied_it() {
    let world = World::in_sync();
    let mut application = world.source.client();
    world.target.stall();
    application.call(&["SET", "last", "1"]);
    let written = |field: &str| world.source.info("replication", field).unwrap();
    let offset: u64 = written("master_repl_offset").parse().unwrap();
    let shard = || world.migration()["source_shards"][0].clone();
    assert_eq!(shard()["replication_id"], written("master_replid").as_str());
    assert!(shard()["replication_offset"].as_u64().unwrap() < offset);
    assert_eq!(world.target.manager().call(&["GET", "last"]), Reply::Null);
    world.target.go_on();
    assert!(eventually(LIMIT, || shard()["replication_offset"].as_u64()
        >= Some(offset)));
    assert_eq!(
        world.target.manager().call(&["GET", "last"]),
        Reply::bulk("1")
    );
}

#[test]
fn nothing_comes_after_a_stop_and_the_next_start_deletes_everything() {
    let world = World::in_sync();
    let mut application = world.source.client();
    application.call(&["SET", "before", "1"]);
    world.wait_for_reply(&["GET", "before"], &Reply::bulk("1"));
    world.disable();
    let mut target = world.target.manager();
    application.call(&["SET", "after", "1"]);
    target.call(&["SET", "own", "1"]);
    assert!(!world.target.has_syncer());
    assert_eq!(
        world
            .source
            .info("replication", "connected_slaves")
            .as_deref(),
        Some("0")
    );
    assert_eq!(
        target.call(&["EXISTS", "before", "after", "own"]),
        Reply::Integer(2)
    );
    world.enable(&[&format!("redis://{}", world.source.addr())]);
    world.wait_until_in_sync();
    assert_eq!(
        target.call(&["EXISTS", "before", "after", "own"]),
        Reply::Integer(2)
    );
    assert_eq!(target.call(&["EXISTS", "own"]), Reply::Integer(0));
}

#[test]
fn several_sources_flow_into_one_database_each_with_its_position() {
    let world = World::new();
    let password = "p@ss:w/%#?&=+";
    let sources = [
        RedisServer::start(),
        RedisServer::start(),
        RedisServer::options().password(password).start(),
    ];
    for (number, source) in sources.iter().enumerate() {
        source
            .client()
            .call(&["SET", &format!("copied:{number}"), "1"]);
    }
    let uris = [
        format!("redis://{}", sources[0].addr()),
        format!("redis://{}", sources[1].addr()),
        format!(
            "redis://:p%40ss%3Aw%2F%25%23%3F%26%3D%2B@{}",
            sources[2].addr()
        ),
    ];
    world.enable(&uris.each_ref().map(String::as_str));
    world.wait_until_in_sync();
    for (number, source) in sources.iter().enumerate() {
        source
            .client()
            .call(&["SET", &format!("streamed:{number}"), "1"]);
    }
    world.wait_for_reply(&["DBSIZE"], &Reply::Integer(6));
    let migration = world.migration();
    let shards = migration["source_shards"].as_array().unwrap();
    for (shard, source) in shards.iter().zip(&sources) {
        let id = source.info("replication", "master_replid").unwrap();
        assert_eq!(shard["replication_id"], id.as_str());
    }
    assert_eq!(shards.len(), 3);
}
