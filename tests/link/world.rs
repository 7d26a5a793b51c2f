//! Two servers and the link between them.

use std::time::Instant;

use handover::link::{CaughtUp, Direction, Link, Phase, Report, Settings};
use handover::terms::Side;

use super::servers::{LIMIT, Redis};

pub(crate) const FORWARD: Direction = Direction::FORWARD;

/// Two servers and the link between them.
pub(crate) struct World {
    pub(crate) source: Redis,
    pub(crate) target: Redis,
    pub(crate) link: Link,
}

impl World {
    pub(crate) fn new() -> World {
        World::of(Redis::start(), Redis::start())
    }

    pub(crate) fn of(source: Redis, target: Redis) -> World {
        let link = Link::new(
            Settings::ReplicaOf,
            source.server(Side::Source),
            target.server(Side::Target),
        );
        World {
            source,
            target,
            link,
        }
    }

    pub(crate) async fn streaming() -> World {
        let mut world = World::new();
        world.link.prepare(FORWARD).await.expect("prepares");
        observed(&mut world.link, FORWARD, Phase::Streaming).await;
        world
    }

    pub(crate) async fn catches_up(&mut self, direction: Direction) {
        let position = self.link.position(direction).await.expect("a position");
        let end = Instant::now() + LIMIT;
        while self
            .link
            .caught_up(direction, &position)
            .await
            .expect("an answer")
            != CaughtUp::Yes
        {
            assert!(Instant::now() < end, "never caught up");
        }
    }
}

pub(crate) async fn observed(link: &mut Link, direction: Direction, phase: Phase) -> Report {
    let end = Instant::now() + LIMIT;
    loop {
        let report = link.observe(direction).await;
        if report.phase == phase {
            return report;
        }
        assert!(Instant::now() < end, "not {phase:?} but {report:?}");
    }
}
