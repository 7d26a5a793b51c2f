//! The link by REPLICAOF.

use std::time::{Duration, Instant};

use handover::link::{CaughtUp, Direction, Error, Link, Phase, Settings};
use handover::net::Endpoint;
use handover::terms::{Identity, Lag, Secret, Side};
use handover::upstream::control::Value;

use super::servers::*;
use super::world::{FORWARD, World, observed};

#[tokio::test]
async fn a_prepared_link_copies_everything_and_then_streams() {
    let mut world = World::new();
    let mut source = world.source.client().await;
    let mut target = world.target.client().await;
    ask(&mut source, "SET before yes").await;
    ask(&mut target, "SET stale yes").await;
    assert_eq!(world.link.observe(FORWARD).await.phase, Phase::Detached);

    world.link.prepare(FORWARD).await.expect("prepares");
    observed(&mut world.link, FORWARD, Phase::Streaming).await;
    ask(&mut source, "SET after yes").await;
    world.catches_up(FORWARD).await;

    assert_eq!(
        ask(&mut target, "MGET before after stale").await,
        Value::Array(vec![bulk("yes"), bulk("yes"), Value::Null])
    );
    let report = observed(&mut world.link, FORWARD, Phase::Streaming).await;
    assert!(
        matches!(report.lag, Lag::Bytes(_)) && report.generation.is_some(),
        "{report:?}"
    );
    assert_eq!(
        world.link.key_count(Side::Target).await.expect("a count"),
        2
    );
}

#[tokio::test]
async fn a_position_under_load_is_reached_with_everything_written_before_it() {
    let mut world = World::streaming().await;
    let mut source = world.source.client().await;
    let mut target = world.target.client().await;
    for round in 0..50_u32 {
        let writes: Vec<Vec<Vec<u8>>> = (0..200)
            .map(|_| vec![b"INCR".to_vec(), b"counter".to_vec()])
            .collect();
        source.pipeline(&writes, LIMIT).await.expect("writes");
        world.catches_up(FORWARD).await;
        assert_eq!(
            ask(&mut target, "GET counter").await,
            bulk(&((round + 1) * 200).to_string())
        );
    }
}

#[tokio::test]
async fn a_full_copy_changes_the_generation_and_a_reconnect_does_not() {
    let mut world = World::streaming().await;
    let mut source = world.source.client().await;
    let mut target = world.target.client().await;
    let first = observed(&mut world.link, FORWARD, Phase::Streaming)
        .await
        .generation;

    let reconnects: u32 = info(&mut source, "sync_partial_ok")
        .await
        .parse()
        .expect("a number");
    ask(&mut source, "CLIENT KILL TYPE replica").await;
    wait_for(
        &mut source,
        "sync_partial_ok",
        &(reconnects + 1).to_string(),
    )
    .await;
    let reconnected = observed(&mut world.link, FORWARD, Phase::Streaming)
        .await
        .generation;
    assert_eq!(first, reconnected);

    // Promoted and made a replica again, after a write of its own: only a full copy brings it back.
    ask(&mut target, "REPLICAOF NO ONE").await;
    ask(&mut target, "SET own write").await;
    world.link.prepare(FORWARD).await.expect("prepares");
    wait_for(&mut source, "sync_full", "2").await;
    let copied = observed(&mut world.link, FORWARD, Phase::Streaming)
        .await
        .generation;
    assert!(
        copied.is_some() && copied != first,
        "{copied:?} and {first:?}"
    );
}

#[tokio::test]
async fn a_fence_holds_a_writer_and_ends_by_itself() {
    let mut world = World::streaming().await;
    let mut writer = world.source.client().await;
    let mut reader = world.source.client().await;
    let begun = Instant::now();
    world
        .link
        .fence(FORWARD, Duration::from_millis(300))
        .await
        .expect("fences");

    let (written, read) = tokio::join!(
        async {
            ask(&mut writer, "SET key value").await;
            begun.elapsed()
        },
        async {
            assert_eq!(ask(&mut reader, "GET key").await, Value::Null);
            begun.elapsed()
        }
    );
    assert!(
        written >= Duration::from_millis(300),
        "the write was not held: {written:?}"
    );
    assert!(read < written, "reads are not held: {read:?}");
}

#[tokio::test]
async fn an_unfenced_side_takes_writes_at_once() {
    let mut world = World::streaming().await;
    let mut writer = world.source.client().await;
    world.link.fence(FORWARD, LIMIT * 3).await.expect("fences");
    world.link.unfence(FORWARD).await.expect("unfences");
    ask(&mut writer, "SET key value").await;
}

#[tokio::test]
async fn what_was_written_before_a_fence_still_arrives() {
    let mut world = World::streaming().await;
    let mut source = world.source.client().await;
    let mut target = world.target.client().await;
    ask(&mut source, &format!("SET big {}", "x".repeat(8 << 20))).await;
    world.link.fence(FORWARD, LIMIT).await.expect("fences");
    world.catches_up(FORWARD).await;
    assert_eq!(
        ask(&mut target, "STRLEN big").await,
        Value::Integer(8 << 20)
    );
}

#[tokio::test]
async fn a_detached_side_is_a_master_and_reaches_no_position_any_more() {
    let mut world = World::streaming().await;
    let mut target = world.target.client().await;
    let position = world.link.position(FORWARD).await.expect("a position");
    world.link.detach(FORWARD, None).await.expect("detaches");
    ask(&mut target, "SET key value").await;
    assert_eq!(world.link.observe(FORWARD).await.phase, Phase::Detached);
    let answer = world
        .link
        .caught_up(FORWARD, &position)
        .await
        .expect("an answer");
    assert!(matches!(answer, CaughtUp::Never(_)), "{answer:?}");
}

#[tokio::test]
async fn a_reversal_goes_on_without_a_full_copy_and_fences_the_old_side_for_good() {
    let mut world = World::streaming().await;
    let mut source = world.source.client().await;
    let mut target = world.target.client().await;
    ask(&mut source, "SET key old").await;
    world.link.fence(FORWARD, LIMIT).await.expect("fences");
    world.catches_up(FORWARD).await;
    world.link.detach(FORWARD, None).await.expect("detaches");
    world.link.reverse(FORWARD).await.expect("reverses");

    let refused = try_ask(&mut source, "SET key bypass")
        .await
        .expect_err("the old side takes no writes");
    assert!(refused.contains("READONLY"), "{refused}");
    ask(&mut target, "SET key new").await;
    observed(&mut world.link, Direction::REVERSE, Phase::Streaming).await;
    world.catches_up(Direction::REVERSE).await;
    assert_eq!(ask(&mut source, "GET key").await, bulk("new"));
    assert_eq!(info(&mut target, "sync_full").await, "0");
    assert_eq!(info(&mut target, "sync_partial_ok").await, "1");
}

#[tokio::test]
async fn a_way_there_and_back_and_there_again_needs_one_full_copy() {
    let mut world = World::streaming().await;
    for (round, direction) in [FORWARD, Direction::REVERSE, FORWARD]
        .into_iter()
        .enumerate()
    {
        let active = [&world.source, &world.target][direction.from.index()];
        let mut active = active.client().await;
        ask(&mut active, &format!("RPUSH list {round}")).await;
        observed(&mut world.link, direction, Phase::Streaming).await;
        world.link.fence(direction, LIMIT).await.expect("fences");
        world.catches_up(direction).await;
        world.link.detach(direction, None).await.expect("detaches");
        world.link.reverse(direction).await.expect("reverses");
    }
    let mut source = world.source.client().await;
    let mut target = world.target.client().await;
    assert_eq!(
        ask(&mut target, "LRANGE list 0 -1").await,
        Value::Array(vec![bulk("0"), bulk("1"), bulk("2")])
    );
    assert_eq!(info(&mut source, "sync_full").await, "1");
    assert_eq!(info(&mut target, "sync_full").await, "0");
}

#[tokio::test]
async fn a_server_is_not_made_a_replica_of_itself() {
    let server = Redis::start();
    let mut link = Link::new(
        Settings::ReplicaOf,
        server.server(Side::Source),
        server.server(Side::Target),
    );
    assert!(link.same_server().await.expect("an answer"));
    assert!(matches!(
        link.prepare(FORWARD).await,
        Err(Error::SameServer)
    ));
    let mut client = server.client().await;
    assert_eq!(info(&mut client, "role").await, "master");
}

#[tokio::test]
async fn a_side_that_is_a_replica_itself_is_not_copied() {
    let mut world = World::streaming().await;
    let refused = world.link.prepare(Direction::REVERSE).await;
    assert!(
        matches!(refused, Err(Error::IsReplica { .. })),
        "{refused:?}"
    );
    let mut source = world.source.client().await;
    assert_eq!(info(&mut source, "role").await, "master");
}

#[tokio::test]
async fn a_side_that_is_down_makes_everything_unknown_and_is_found_again() {
    let mut world = World::streaming().await;
    world.source.kill();
    let report = world.link.observe(FORWARD).await;
    assert_eq!((report.phase, report.lag), (Phase::Unknown, Lag::Unknown));
    let error = report.last_error.expect("an error");
    assert!(error.starts_with("source: cannot connect"), "{error}");
    assert!(world.link.position(FORWARD).await.is_err());

    world.source.process = spawn(world.source.port, world.source.directory.path(), &[]);
    wait_until_listening(world.source.port);
    observed(&mut world.link, FORWARD, Phase::Streaming).await;
}

#[tokio::test]
async fn a_wrong_password_is_told_without_the_password() {
    let source = Redis::start_with(&["--requirepass", "right"]);
    let target = Redis::start();
    let wrong = Identity::Password(Secret::new("hunter2"));
    let mut link = Link::new(
        Settings::ReplicaOf,
        source.server_as(Side::Source, wrong),
        target.server(Side::Target),
    );
    let error = link
        .prepare(FORWARD)
        .await
        .expect_err("the password is wrong")
        .to_string();
    assert!(
        error.contains("WRONGPASS") && !error.contains("hunter2"),
        "{error}"
    );
}

#[tokio::test]
async fn credentials_are_handed_over_both_ways() {
    let source = Redis::start_with(&[
        "--user", "mover", "on", ">s3cret#", "~*", "&*", "+@all", "--user", "default", "off",
    ]);
    let target = Redis::start_with(&["--requirepass", "other"]);
    let mover = Identity::User {
        name: Secret::new("mover"),
        password: Secret::new("s3cret#"),
    };
    let mut link = Link::new(
        Settings::ReplicaOf,
        source.server_as(Side::Source, mover),
        target.server_as(Side::Target, Identity::Password(Secret::new("other"))),
    );
    link.prepare(FORWARD).await.expect("prepares");
    observed(&mut link, FORWARD, Phase::Streaming).await;
    link.detach(FORWARD, None).await.expect("detaches");
    link.reverse(FORWARD).await.expect("reverses");
    observed(&mut link, Direction::REVERSE, Phase::Streaming).await;
}

#[tokio::test]
async fn a_source_behind_a_unix_socket_needs_an_address_for_the_other_side() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let socket = directory.path().join("redis.sock");
    let source = Redis::start_with(&["--unixsocket", socket.to_str().expect("a path in UTF-8")]);
    let target = Redis::start();
    let mut behind_socket = source.server(Side::Source);
    behind_socket.dial.endpoint = Endpoint::Unix(socket);
    let mut link = Link::new(
        Settings::ReplicaOf,
        behind_socket.clone(),
        target.server(Side::Target),
    );
    let error = link
        .prepare(FORWARD)
        .await
        .expect_err("no address")
        .to_string();
    assert!(error.contains("replication_address"), "{error}");

    behind_socket.replication_address = Some(("127.0.0.1".into(), source.port));
    let mut link = Link::new(
        Settings::ReplicaOf,
        behind_socket,
        target.server(Side::Target),
    );
    link.prepare(FORWARD).await.expect("prepares");
    observed(&mut link, FORWARD, Phase::Streaming).await;
}

#[tokio::test]
async fn a_marker_is_seen_on_the_filled_side_once_it_has_arrived() {
    let mut world = World::streaming().await;
    assert!(
        !world
            .link
            .marker_seen(FORWARD, "m1")
            .await
            .expect("an answer")
    );
    world
        .link
        .write_marker(FORWARD, "m1")
        .await
        .expect("writes");
    world.catches_up(FORWARD).await;
    assert!(
        world
            .link
            .marker_seen(FORWARD, "m1")
            .await
            .expect("an answer")
    );
    assert!(
        !world
            .link
            .marker_seen(FORWARD, "m2")
            .await
            .expect("an answer")
    );
}

#[tokio::test]
async fn what_a_link_waits_for_before_its_copy_is_told() {
    let source = Redis::start_with(&["--repl-diskless-sync-delay", "1"]);
    let mut world = World::of(source, Redis::start());
    world.link.prepare(FORWARD).await.expect("prepares");
    let report = observed(&mut world.link, FORWARD, Phase::Syncing).await;
    let told = report.waiting_for.expect("something is waited for");
    assert!(told.contains("repl-diskless-sync-delay"), "{told}");
    observed(&mut world.link, FORWARD, Phase::Streaming).await;
}
