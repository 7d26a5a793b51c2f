//! What must be right before a migration.

use std::collections::HashSet;

use handover::link::preflight::{Finding, Level, check};
use handover::link::{Link, Settings};
use handover::terms::{Identity, Secret, Side};

use super::servers::*;
use super::world::{FORWARD, World};

async fn findings(link: &mut Link) -> Vec<Finding> {
    check(link, FORWARD, 100).await
}

fn level_of(findings: &[Finding], check: &str) -> Level {
    let finding = findings.iter().find(|finding| finding.check == check);
    finding
        .unwrap_or_else(|| panic!("{check} among {findings:?}"))
        .level
}

#[tokio::test]
async fn two_fresh_servers_are_ready() {
    let mut world = World::new();
    let findings = findings(&mut world.link).await;
    assert!(
        findings.iter().all(|finding| finding.level == Level::Ok),
        "{findings:#?}"
    );
    let names: HashSet<_> = findings.iter().map(|finding| finding.check).collect();
    assert_eq!(
        names.len(),
        findings.len(),
        "every check has a name of its own"
    );
    assert!(findings.len() > 15);
}

#[tokio::test]
async fn a_streaming_link_is_ready_too() {
    let mut world = World::streaming().await;
    let findings = findings(&mut world.link).await;
    assert!(
        findings.iter().all(|finding| finding.level == Level::Ok),
        "{findings:#?}"
    );
}

#[tokio::test]
async fn a_target_that_is_the_source_is_found() {
    let server = Redis::start();
    let sides = [Side::Source, Side::Target].map(|side| server.server(side));
    let [source, target] = sides;
    let mut link = Link::new(Settings::ReplicaOf, source, target);
    assert_eq!(
        level_of(&findings(&mut link).await, "not_the_same_server"),
        Level::Error
    );
}

#[tokio::test]
async fn a_side_that_is_down_is_the_finding() {
    let mut world = World::new();
    world.target.kill();
    let findings = findings(&mut world.link).await;
    assert_eq!(level_of(&findings, "copied_side_reachable"), Level::Ok);
    assert_eq!(level_of(&findings, "filled_side_reachable"), Level::Error);
    assert_eq!(findings.len(), 2, "nothing else is guessed: {findings:?}");
}

#[tokio::test]
async fn a_password_that_is_missing_is_the_finding() {
    let mut world = World::of(
        Redis::start_with(&["--requirepass", "secret"]),
        Redis::start(),
    );
    let findings = findings(&mut world.link).await;
    assert_eq!(level_of(&findings, "copied_side_reachable"), Level::Error);
    assert!(findings[0].message.contains("NOAUTH"), "{findings:?}");
}

#[tokio::test]
async fn a_target_that_is_not_fit_is_found_in_every_way() {
    let options = [
        "--maxmemory",
        "1mb",
        "--maxmemory-policy",
        "allkeys-lru",
        "--maxclients",
        "50",
        "--databases",
        "2",
    ];
    let mut world = World::of(
        Redis::start_with(&["--notify-keyspace-events", "KEA"]),
        Redis::start_with(&options),
    );
    let mut source = world.source.client().await;
    let mut target = world.target.client().await;
    ask(&mut source, "SET big 1").await;
    ask(&mut source, "SETRANGE big 2000000 x").await;
    ask(&mut source, "SELECT 3").await;
    ask(&mut source, "SET key value").await;
    ask(&mut target, "SET key value").await;
    let findings = findings(&mut world.link).await;
    for (check, level) in [
        ("memory", Level::Error),
        ("maxclients", Level::Error),
        ("databases", Level::Error),
        ("eviction", Level::Warning),
        ("keyspace_events", Level::Warning),
        ("filled_side_empty", Level::Warning),
        ("versions", Level::Ok),
    ] {
        assert_eq!(level_of(&findings, check), level, "{check}: {findings:#?}");
    }
    let silent = |finding: &&Finding| finding.level != Level::Ok && finding.what_to_do.is_none();
    assert_eq!(
        findings.iter().find(silent),
        None,
        "every finding says what to do"
    );
}

#[tokio::test]
async fn a_user_that_may_not_replicate_is_found() {
    let source = Redis::start_with(&[
        "--user", "mover", "on", ">secret", "~*", "&*", "+@all", "-psync",
    ]);
    let target = Redis::start();
    let mover = Identity::User {
        name: Secret::new("mover"),
        password: Secret::new("secret"),
    };
    let mut link = Link::new(
        Settings::ReplicaOf,
        source.server_as(Side::Source, mover),
        target.server(Side::Target),
    );
    assert_eq!(
        level_of(&findings(&mut link).await, "replication_rights"),
        Level::Error
    );
}
