//! The link of something else, seen by marker keys.

use handover::link::preflight::{Clients, Level, check};
use handover::link::{Error, Link, Phase, Positions, Settings};
use handover::terms::{Lag, Side};
use handover::upstream::control::Value;

use super::servers::{LIMIT, ask};
use super::world::{FORWARD, World, observed};

#[tokio::test]
async fn an_external_replication_is_seen_by_its_markers() {
    let mut world = World::streaming().await;
    let mut external = Link::new(
        Settings::External { detach_hook: None },
        world.source.server(Side::Source),
        world.target.server(Side::Target),
    );
    let report = observed(&mut external, FORWARD, Phase::Streaming).await;
    assert!(matches!(report.lag, Lag::Time(_)), "{report:?}");
    assert_eq!(external.abilities(FORWARD).positions, Positions::Unknown);
    assert!(!external.abilities(FORWARD).detach);

    world.link.detach(FORWARD, None).await.expect("detaches");
    let Lag::Time(first) = external.observe(FORWARD).await.lag else {
        panic!("a probe of before is known");
    };
    let Lag::Time(second) = external.observe(FORWARD).await.lag else {
        panic!("a probe of before is known");
    };
    assert!(
        first < second,
        "what stopped falls behind: {first:?}, {second:?}"
    );
    assert!(matches!(
        external.prepare(FORWARD).await,
        Err(Error::NotAble { .. })
    ));
}

const LIBRARY: &str =
    "#!lua name=stock\nredis.register_function('twice', function(_, a) return a[1] * 2 end)";

async fn libraries_in_question(link: &mut Link) -> Level {
    let findings = check(link, FORWARD, &Clients::default()).await;
    let finding = findings.iter().find(|finding| finding.check == "functions");
    finding
        .unwrap_or_else(|| panic!("no functions among {findings:?}"))
        .level
}

#[tokio::test]
async fn functions_are_carried_where_the_replication_knows_only_keys() {
    let world = World::new();
    let mut link = Link::new(
        Settings::External { detach_hook: None },
        world.source.server(Side::Source),
        world.target.server(Side::Target),
    );
    assert_eq!(libraries_in_question(&mut link).await, Level::Ok, "none");
    let other = LIBRARY.replace('2', "3");
    for (server, code) in [(&world.source, LIBRARY), (&world.target, &other)] {
        let load: [&[u8]; 3] = [b"FUNCTION", b"LOAD", code.as_bytes()];
        server
            .client()
            .await
            .call(&load, LIMIT)
            .await
            .expect("loads");
    }
    assert_eq!(
        libraries_in_question(&mut link).await,
        Level::Warning,
        "another code under the same name"
    );
    link.write_marker(FORWARD, "m").await.expect("marks");
    assert_eq!(libraries_in_question(&mut link).await, Level::Ok);
    let mut target = world.target.client().await;
    assert_eq!(
        ask(&mut target, "FCALL twice 0 21").await,
        Value::Integer(42)
    );
}
