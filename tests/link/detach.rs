//! The end of the link: what it needs to see in the moment in which it ends.

use handover::link::{Error, Link, Phase, Position};

use super::servers::*;
use super::world::{FORWARD, World, observed};

#[tokio::test]
async fn a_link_ends_where_the_position_is_applied_and_its_connection_does_not_matter() {
    let mut world = World::streaming().await;
    let mut source = world.source.client().await;
    let mut target = world.target.client().await;
    ask(&mut source, "SET key value").await;
    world.catches_up(FORWARD).await;
    let position = world.link.position(FORWARD).await.expect("a position");
    world.catches_up(FORWARD).await;
    // The source dies after everything it acknowledged is on the target.
    world.source.process.kill().expect("kills");
    wait_for(&mut target, "master_link_status", "down").await;
    let ended = world.link.detach(FORWARD, Some(&position)).await;
    ended.expect("detaches");
    assert_eq!(info(&mut target, "role").await, "master");
    assert_eq!(ask(&mut target, "GET key").await, bulk("value"));
}

#[tokio::test]
async fn a_link_that_ends_in_a_full_copy_is_not_said_to_have_applied_anything() {
    let mut world = World::streaming().await;
    let mut source = world.source.client().await;
    let mut target = world.target.client().await;
    for key in 0..200 {
        ask(&mut source, &format!("SET key{key} value")).await;
    }
    world.catches_up(FORWARD).await;
    let position = world.link.position(FORWARD).await.expect("a position");
    world.catches_up(FORWARD).await;

    starts_over(&mut world).await;
    wait_for(&mut target, "master_sync_in_progress", "1").await;
    assert_ends_on_nothing(&mut world.link, &position).await;
    assert_eq!(info(&mut target, "role").await, "master");
}

#[tokio::test]
async fn a_link_that_ends_before_its_position_is_applied_is_not_said_to_have() {
    let mut world = World::streaming().await;
    let mut source = world.source.client().await;
    let mut position = world.link.position(FORWARD).await.expect("a position");
    position.shards[0].offset.0 += 1_000_000;
    ask(&mut source, "SET key value").await;
    assert_ends_on_nothing(&mut world.link, &position).await;
    // Nobody asked for a position: it ends all the same.
    world.link.detach(FORWARD, None).await.expect("detaches");
}

#[tokio::test]
async fn a_full_copy_that_was_applied_to_its_end_holds_the_position() {
    let mut world = World::streaming().await;
    let mut source = world.source.client().await;
    let mut target = world.target.client().await;
    ask(&mut source, "SET key value").await;
    let position = world.link.position(FORWARD).await.expect("a position");
    ask(&mut target, "REPLICAOF NO ONE").await;
    ask(&mut target, "SET own write").await;
    world.link.prepare(FORWARD).await.expect("prepares");
    observed(&mut world.link, FORWARD, Phase::Streaming).await;
    let ended = world.link.detach(FORWARD, Some(&position)).await;
    ended.expect("detaches");
    assert_eq!(ask(&mut target, "GET key").await, bulk("value"));
}

/// A full copy of many keys begins that takes longer than the test.
async fn starts_over(world: &mut World) {
    let mut source = world.source.client().await;
    let mut target = world.target.client().await;
    ask(&mut source, "CONFIG SET rdb-key-save-delay 50000").await;
    ask(&mut target, "REPLICAOF NO ONE").await;
    ask(&mut target, "SET own write").await;
    world.link.prepare(FORWARD).await.expect("prepares");
}

async fn assert_ends_on_nothing(link: &mut Link, position: &Position) {
    let ended = link.detach(FORWARD, Some(position)).await;
    assert!(matches!(ended, Err(Error::NotAppliedAtDetach)), "{ended:?}");
}
