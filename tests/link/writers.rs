//! Who writes past the proxy, what is set on the servers for the replication and set back, and what the sides show once
//! the link has ended.

use std::sync::Arc;
use std::time::{Duration, Instant};

use handover::link::preflight::{Clients, Level, check};
use handover::link::{Direction, LeftSide, Link, Phase, Settings};
use handover::terms::{Identity, Secret, Side};
use handover::upstream::control::{Control, Value};
use handover::upstream::{Setup, open};

use super::servers::*;
use super::world::{FORWARD, World, observed};

/// A connection that is neither control work nor one of the proxy's sessions.
async fn stranger(server: &Redis) -> Control {
    let mut client = server.client().await;
    ask(&mut client, "CLIENT SETNAME batch-job").await;
    client
}

fn external(world: &World) -> Link {
    Link::new(
        Settings::External { detach_hook: None },
        world.source.server(Side::Source),
        world.target.server(Side::Target),
    )
}

#[tokio::test]
async fn other_writers_are_counted_and_named() {
    let mut world = World::streaming().await;
    let before = world.link.write_calls(Side::Source).await.expect("a count");
    let mut stranger = stranger(&world.source).await;
    ask(&mut stranger, "RPUSH list 2 1").await;
    ask(&mut stranger, "SORT list").await;
    let after = world.link.write_calls(Side::Source).await.expect("a count");
    assert_eq!(after - before, 1, "SORT without STORE reads");

    ask(&mut stranger, "SET key value").await;
    let named = world.link.other_writers(Side::Source).await;
    let named = named.expect("a list").expect("strangers can be told");
    let names: Vec<_> = named
        .iter()
        .map(|client| (client.name.as_str(), client.last_command.as_str()))
        .collect();
    assert_eq!(names, [("batch-job", "set")]);
    ask(&mut stranger, "GET key").await;
    let named = world.link.other_writers(Side::Source).await;
    assert_eq!(named.expect("a list"), Some(vec![]), "it reads now");
}

#[tokio::test]
async fn connections_of_the_proxy_are_no_strangers_whatever_they_write() {
    let world = World::new();
    let server = world.source.server(Side::Source);
    let mut link = Link::new(
        Settings::ReplicaOf,
        server.clone(),
        world.target.server(Side::Target),
    );
    let setup = Setup {
        name: Some(b"app".to_vec()),
        ..Setup::default()
    };
    let session = open(&server, &setup).await.expect("opens");
    let write = async |stream: &handover::net::Stream| {
        std::future::poll_fn(|cx| stream.poll_write_ready(cx))
            .await
            .expect("writable");
        let request = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n";
        assert_eq!(stream.try_write(request).expect("writes"), request.len());
        std::future::poll_fn(|cx| stream.poll_read_ready(cx))
            .await
            .expect("answered");
    };
    write(&session.stream).await;
    let named = link.other_writers(Side::Source).await.expect("a list");
    assert_eq!(named, Some(vec![]));

    // The same connection, had another process made it.
    let mut other = server.clone();
    other.own = Arc::default();
    let session = open(&other, &setup).await.expect("opens");
    write(&session.stream).await;
    let named = link.other_writers(Side::Source).await.expect("a list");
    assert_eq!(named.map(|named| named.len()), Some(1));
}

#[tokio::test]
async fn a_fence_shows_whom_it_holds() {
    let mut world = World::streaming().await;
    world.link.fence(FORWARD, LIMIT).await.expect("fences");
    let held = world.link.held_back(FORWARD).await.expect("an answer");
    assert_eq!(held, None, "nobody writes");

    let mut writer = stranger(&world.source).await;
    let seen = async {
        let end = Instant::now() + LIMIT;
        loop {
            if let Some(held) = world.link.held_back(FORWARD).await.expect("an answer") {
                world.link.unfence(FORWARD).await.expect("unfences");
                return held;
            }
            assert!(Instant::now() < end, "the writer is never seen");
        }
    };
    let (_, held) = tokio::join!(ask(&mut writer, "INCR counter"), seen);
    assert!(
        held.contains("name batch-job") && held.contains("last command incr"),
        "{held}"
    );
}

#[tokio::test]
async fn a_server_that_somebody_writes_to_is_found_receiving() {
    let mut world = World::new();
    let receives = world.link.receives_writes(Side::Target).await;
    assert_eq!(receives.expect("an answer"), None);
    let mut writer = stranger(&world.target).await;
    let writes = async {
        loop {
            ask(&mut writer, "INCR counter").await;
        }
    };
    let receives = tokio::select! {
        never = writes => never,
        receives = world.link.receives_writes(Side::Target) => receives,
    };
    let told = receives.expect("an answer").expect("it is written to");
    assert!(told.contains("batch-job"), "{told}");
}

#[tokio::test]
async fn a_replica_of_the_source_is_not_taken_for_one_that_receives_writes() {
    let mut world = World::streaming().await;
    let mut source = world.source.client().await;
    let writes = async {
        loop {
            ask(&mut source, "INCR counter").await;
        }
    };
    let receives = tokio::select! {
        never = writes => never,
        receives = world.link.receives_writes(Side::Target) => receives,
    };
    assert_eq!(receives.expect("an answer"), None);
}

#[tokio::test]
async fn the_preflight_names_writers_on_both_sides() {
    let mut world = World::new();
    let mut writers = [stranger(&world.source).await, stranger(&world.target).await];
    for writer in &mut writers {
        ask(writer, "SET key value").await;
    }
    let findings = check(&mut world.link, FORWARD, &Clients::default()).await;
    for name in ["other_writers", "filled_side_writers"] {
        let finding = findings.iter().find(|finding| finding.check == name);
        let finding = finding.unwrap_or_else(|| panic!("{name} among {findings:?}"));
        assert_eq!(finding.level, Level::Warning, "{finding:?}");
        assert!(finding.message.contains("name batch-job"), "{finding:?}");
        assert!(finding.what_to_do.is_some(), "{finding:?}");
    }
}

#[tokio::test]
async fn a_side_that_was_left_is_closed_while_it_follows_and_tells_who_writes_once_it_does_not() {
    let mut world = World::streaming().await;
    let mut source = world.source.client().await;
    let mut target = world.target.client().await;
    world.link.fence(FORWARD, LIMIT).await.expect("fences");
    world.catches_up(FORWARD).await;
    world.link.detach(FORWARD, None).await.expect("detaches");
    world.link.reverse(FORWARD).await.expect("reverses");
    ask(&mut target, "SET key new").await;
    observed(&mut world.link, Direction::REVERSE, Phase::Streaming).await;
    let watched = world.link.watch(FORWARD).await;
    assert_eq!(watched.left, LeftSide::Closed, "it gets what it is sent");
    assert_eq!(
        (watched.again.phase, watched.follows),
        (Phase::Detached, None)
    );

    ask(&mut source, "REPLICAOF NO ONE").await;
    assert_eq!(
        world.link.watch(FORWARD).await.left,
        LeftSide::Unknown,
        "the first look"
    );
    assert_eq!(world.link.watch(FORWARD).await.left, LeftSide::Quiet);
    let mut writer = stranger(&world.source).await;
    ask(&mut writer, "SET key old").await;
    let LeftSide::Written(what) = world.link.watch(FORWARD).await.left else {
        panic!("the write is not seen");
    };
    assert!(
        what.starts_with("1 command, of") && what.contains("batch-job"),
        "{what}"
    );
    assert_eq!(world.link.watch(FORWARD).await.left, LeftSide::Quiet);
}

#[tokio::test]
async fn a_target_that_follows_anybody_again_is_seen() {
    let mut world = World::new();
    let third = Redis::start();
    let mut target = world.target.client().await;
    assert_eq!(world.link.watch(FORWARD).await.again.phase, Phase::Detached);
    ask(&mut target, &format!("REPLICAOF 127.0.0.1 {}", third.port)).await;
    wait_for(&mut target, "master_link_status", "up").await;
    let watched = world.link.watch(FORWARD).await;
    assert_eq!(watched.again.phase, Phase::Broken, "{watched:?}");
    assert_eq!(watched.follows, Some(format!("127.0.0.1:{}", third.port)));
    ask(&mut target, "REPLICAOF NO ONE").await;
    assert_eq!(world.link.watch(FORWARD).await.again.phase, Phase::Detached);
}

#[tokio::test]
async fn markers_tell_that_something_else_replicates_again_and_are_no_writer() {
    let mut world = World::streaming().await;
    let mut link = external(&world);
    let end = Instant::now() + LIMIT;
    while link.watch(FORWARD).await.again.phase != Phase::Streaming {
        assert!(Instant::now() < end, "no marker arrives");
    }
    assert_eq!(
        link.watch(FORWARD).await.left,
        LeftSide::Quiet,
        "the marker is ours"
    );
    world.link.detach(FORWARD, None).await.expect("detaches");
    while link.watch(FORWARD).await.again.phase != Phase::Detached {
        assert!(Instant::now() < end, "what has ended seems to go on");
        tokio::task::yield_now().await;
    }
    let mut writer = stranger(&world.source).await;
    ask(&mut writer, "SET key old").await;
    let left = link.watch(FORWARD).await.left;
    assert!(matches!(left, LeftSide::Written(_)), "{left:?}");
}

#[tokio::test]
async fn what_is_written_while_it_is_counted_is_told_and_nothing_else() {
    let mut world = World::streaming().await;
    world
        .link
        .begin_counting(Side::Source)
        .await
        .expect("a count");
    let mut writer = stranger(&world.source).await;
    ask(&mut writer, "GET key").await;
    assert_eq!(
        world.link.counted(Side::Source).await.expect("a count"),
        None
    );
    ask(&mut writer, "SET key 1 PX 1").await;
    let told = world.link.counted(Side::Source).await.expect("a count");
    assert!(told.is_some_and(|told| told.contains("batch-job")));
    // An expiry is nobody's write.
    let end = Instant::now() + Duration::from_secs(10);
    while ask(&mut writer, "EXISTS key").await != Value::Integer(0) {
        assert!(Instant::now() < end, "the key does not expire");
    }
    assert_eq!(
        world.link.counted(Side::Source).await.expect("a count"),
        None
    );
    for _ in 0..3 {
        ask(&mut writer, "SET key 1").await;
    }
    assert!(
        world
            .link
            .counted(Side::Source)
            .await
            .expect("a count")
            .is_some()
    );
    ask(&mut writer, "CONFIG RESETSTAT").await;
    ask(&mut writer, "SET key 1").await;
    assert!(
        world.link.counted(Side::Source).await.is_err(),
        "counters that begin anew are no all-clear"
    );
}

/// What a follower says it was given for the replication.
async fn settings(client: &mut Control) -> Vec<Value> {
    let mut settings = vec![];
    for name in ["masteruser", "masterauth"] {
        settings.push(ask(client, &format!("CONFIG GET {name}")).await);
    }
    settings
}

#[tokio::test]
async fn what_was_set_for_the_replication_is_set_back_once_nobody_follows() {
    let mover = || Identity::User {
        name: Secret::new("mover"),
        password: Secret::new("secret"),
    };
    let user = ["--user", "mover", "on", ">secret", "~*", "&*", "+@all"];
    let source = Redis::start_with(&user);
    let target = Redis::start_with(&["--masterauth", "of-before"]);
    let mut link = Link::new(
        Settings::ReplicaOf,
        source.server_as(Side::Source, mover()),
        target.server(Side::Target),
    );
    let mut client = target.client().await;
    let before = settings(&mut client).await;
    link.prepare(FORWARD).await.expect("prepares");
    observed(&mut link, FORWARD, Phase::Streaming).await;
    let handed = settings(&mut client).await;
    assert_ne!(before, handed);
    link.hand_back().await.expect("an answer");
    assert_eq!(settings(&mut client).await, handed, "it follows still");

    link.detach(FORWARD, None).await.expect("detaches");
    link.prepare(FORWARD).await.expect("prepares again");
    link.detach(FORWARD, None).await.expect("detaches");
    link.hand_back().await.expect("hands back");
    assert_eq!(settings(&mut client).await, before);
    assert!(
        !format!("{link:?}").contains("of-before"),
        "a secret is shown"
    );
}
