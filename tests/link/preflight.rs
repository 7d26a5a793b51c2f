//! What must be right before a migration.

use std::collections::HashSet;
use std::time::Instant;

use handover::link::preflight::{Clients, Entry, Finding, Level, User, check};
use handover::link::{Link, Settings};
use handover::terms::{Identity, Secret, Side};

use super::servers::*;
use super::world::{FORWARD, World};

async fn findings(link: &mut Link) -> Vec<Finding> {
    let clients = Clients {
        sessions: 100,
        ..Clients::default()
    };
    check(link, FORWARD, &clients).await
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

fn user(name: &str, entry: Entry) -> User {
    User {
        names: [name.to_owned(), name.to_owned()],
        entry,
    }
}

async fn about_users(world: &mut World, users: Vec<User>) -> [Finding; 2] {
    let clients = Clients {
        users,
        ..Clients::default()
    };
    let findings = check(&mut world.link, FORWARD, &clients).await;
    ["users", "user_rights"].map(|name| {
        let finding = findings.iter().find(|finding| finding.check == name);
        finding.expect("an answer").clone()
    })
}

#[tokio::test]
async fn users_must_exist_on_the_target_and_lose_no_right_there() {
    let all = "on >p ~* &* +@all";
    let source = [
        ("app", all),
        ("gone", all),
        ("off", all),
        ("reader", all),
        ("part", "on >p ~app:* resetchannels &news +@read +set"),
    ];
    let target = [
        ("app", all),
        ("off", "off >p ~* &* +@all"),
        ("reader", "on >p ~app:* &* +@all -@write"),
        ("part", "on >p ~* &* +@read +@write"),
    ];
    let mut world = World::new();
    for (server, users) in [(&world.source, &source[..]), (&world.target, &target[..])] {
        let mut server = server.client().await;
        for (name, rules) in users {
            ask(&mut server, &format!("ACL SETUSER {name} {rules}")).await;
        }
    }
    let password = |name| user(name, Entry::Password);

    let [entry, rights] = about_users(&mut world, vec![password("app"), password("part")]).await;
    assert_eq!((entry.level, rights.level), (Level::Ok, Level::Ok));

    let seen = ["app", "gone", "off", "reader"].map(password).to_vec();
    let [entry, rights] = about_users(&mut world, seen).await;
    assert_eq!((entry.level, rights.level), (Level::Error, Level::Warning));
    for (finding, present, absent) in [
        (
            &entry,
            &["no user gone", "off is switched off"][..],
            &["app", "reader"][..],
        ),
        (
            &rights,
            &["reader", "to call append, ", "to use ~*"],
            &["gone", "app is", "&*"],
        ),
    ] {
        let says = |text: &&&str| finding.message.contains(**text);
        assert!(present.iter().all(|text| says(&text)), "{finding:?}");
        assert!(!absent.iter().any(|text| says(&text)), "{finding:?}");
    }

    // Who gives no password is the default user, who may want one there.
    let anonymous = || vec![user("default", Entry::NoPassword)];
    let [entry, _] = about_users(&mut world, anonymous()).await;
    assert_eq!(entry.level, Level::Ok);
    ask(
        &mut world.target.client().await,
        "ACL SETUSER proxy on nopass ~* &* +@all",
    )
    .await;
    let link_user = world.target.server_as(
        Side::Target,
        Identity::User {
            name: Secret::new("proxy"),
            password: Secret::new("any"),
        },
    );
    world.link = Link::new(
        Settings::ReplicaOf,
        world.source.server(Side::Source),
        link_user,
    );
    ask(
        &mut world.target.client().await,
        "ACL SETUSER default resetpass >wanted",
    )
    .await;
    let [entry, _] = about_users(&mut world, anonymous()).await;
    assert_eq!(entry.level, Level::Error);
    assert!(entry.message.contains("without a password"), "{entry:?}");
}

#[tokio::test]
async fn rights_that_nobody_tells_are_unknown_and_not_taken_for_granted() {
    let mut world = World::new();
    ask(
        &mut world.target.client().await,
        "ACL SETUSER proxy on >p ~* &* +@all -acl",
    )
    .await;
    let target = world.target.server_as(
        Side::Target,
        Identity::User {
            name: Secret::new("proxy"),
            password: Secret::new("p"),
        },
    );
    world.link = Link::new(
        Settings::ReplicaOf,
        world.source.server(Side::Source),
        target,
    );
    let [entry, rights] = about_users(&mut world, vec![user("default", Entry::Password)]).await;
    assert_eq!((entry.level, rights.level), (Level::Ok, Level::Warning));
    assert!(rights.message.contains("is not known"), "{rights:?}");
    assert!(
        rights
            .what_to_do
            .expect("advice")
            .contains("/v1/redis_acls")
    );
}

#[tokio::test]
async fn one_master_of_several_is_not_taken_for_the_whole_cluster() {
    let buses = [free_port(), free_port()];
    let [first, second] = buses.map(|bus| {
        let bus = bus.to_string();
        Redis::start_with(&["--cluster-enabled", "yes", "--cluster-port", &bus])
    });
    let mut at_first = first.client().await;
    ask(&mut at_first, "CLUSTER ADDSLOTSRANGE 0 8191").await;
    ask(&mut at_first, "CLUSTER ADDSLOTSRANGE 8192 16383").await;
    let mut world = World::of(first, Redis::start());
    let alone = findings(&mut world.link).await;
    assert_eq!(level_of(&alone, "oss_cluster"), Level::Ok);

    ask(&mut at_first, "CLUSTER DELSLOTSRANGE 8192 16383").await;
    let mut at_second = second.client().await;
    ask(&mut at_second, "CLUSTER ADDSLOTSRANGE 8192 16383").await;
    let meet = format!("CLUSTER MEET 127.0.0.1 {} {}", second.port, buses[1]);
    ask(&mut at_first, &meet).await;
    let end = Instant::now() + LIMIT;
    loop {
        let found = findings(&mut world.link).await;
        if level_of(&found, "oss_cluster") == Level::Error {
            let finding = found
                .iter()
                .find(|it| it.check == "oss_cluster")
                .expect("it");
            assert!(finding.message.contains("one of 2 masters"), "{finding:?}");
            return;
        }
        assert!(Instant::now() < end, "the nodes never met: {found:?}");
    }
}
