//! Real client libraries as applications: each runs its whole repertoire through the sidecar, stays connected over a
//! cutover under load, and goes on. What such an application does is written in `tests/clients/`, one program a client;
//! `tests/clients/application.py` says what all of them account for. `dev/setup tests` installs the libraries.

#![allow(clippy::unwrap_used, clippy::panic)] // a panic in a test is its failing assertion

mod kit;

#[path = "clients/connections.rs"]
mod connections;
#[path = "clients/program.rs"]
mod program;
#[path = "clients/redis_cli.rs"]
mod redis_cli;
#[path = "clients/redis_rs/mod.rs"]
mod redis_rs;
#[path = "clients/world.rs"]
mod world;

use kit::RedisServer;
use program::{Program, node, python};
use world::{World, newer};

#[test]
fn redis_py_with_threads_and_resp3() {
    let world = World::new();
    let application = python("redis_py_sync.py", &world, &["resp3"]);
    cross(&world, application);
}

#[test]
fn redis_py_with_threads_and_resp2_without_lanes() {
    let world = World::without_lanes();
    let application = python("redis_py_sync.py", &world, &["resp2"]);
    cross(&world, application);
}

#[test]
fn redis_py_caches_on_the_clients_side() {
    let Some(redis) = newer("redis") else { return };
    let world = World::between(redis.clone().start(), redis.start());
    let application = python("redis_py_sync.py", &world, &["resp3", "cached"]);
    cross(&world, application);
}

#[test]
fn redis_py_with_asyncio_moves_to_valkey() {
    let Some(valkey) = newer("valkey") else {
        return;
    };
    let world = World::between(RedisServer::start(), valkey.start());
    let application = python("redis_py_asyncio.py", &world, &["resp3"]);
    cross(&world, application);
}

#[test]
fn redis_py_with_asyncio_and_resp2_without_lanes() {
    let world = World::without_lanes();
    let application = python("redis_py_asyncio.py", &world, &["resp2"]);
    cross(&world, application);
}

#[test]
fn ioredis_with_resp3() {
    let world = World::new();
    let application = node("ioredis.mjs", &world, &["resp3"]);
    cross(&world, application);
}

#[test]
fn ioredis_with_resp2_without_lanes() {
    let world = World::without_lanes();
    let application = node("ioredis.mjs", &world, &["resp2"]);
    cross(&world, application);
}

#[test]
fn node_redis_with_resp3_and_caching_moves_to_redis_8() {
    let Some(redis) = newer("redis") else { return };
    let world = World::between(RedisServer::start(), redis.start());
    let application = node("node_redis.mjs", &world, &["resp3"]);
    cross(&world, application);
}

#[test]
fn node_redis_with_resp2() {
    let world = World::new();
    let application = node("node_redis.mjs", &world, &["resp2"]);
    cross(&world, application);
}

#[test]
fn node_redis_with_resp3_and_caching_without_lanes() {
    let world = World::without_lanes();
    let application = node("node_redis.mjs", &world, &["resp3"]);
    cross(&world, application);
}

#[test]
fn redis_rs_with_resp3() {
    redis_rs::run(World::new(), "resp3");
}

#[test]
fn redis_rs_with_resp2_without_lanes() {
    redis_rs::run(World::without_lanes(), "resp2");
}

#[test]
fn redis_cli_from_a_shell() {
    redis_cli::run(&World::new());
}

#[test]
fn redis_cli_from_a_shell_without_lanes() {
    redis_cli::run(&World::without_lanes());
}

/// The application does everything once and is ready, the cutover comes, it does everything again; none of its
/// connections was closed, and the target has what it says it wrote.
fn cross(world: &World, mut application: Program) {
    application.hear("ready");
    let connected = world.connections();
    world.cut_over();
    application.say("moved");
    let account = application.hear("done");
    world.must_still_have(&connected);
    application.end();
    world.check_account(&serde_json::from_str(&account).unwrap());
}
