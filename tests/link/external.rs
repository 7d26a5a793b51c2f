//! The link of something else, seen by marker keys.

use handover::link::{Error, Link, Phase, Settings};
use handover::terms::{Lag, Side};

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
    assert!(!external.abilities().positions && !external.abilities().detach);

    world.link.detach(FORWARD).await.expect("detaches");
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
