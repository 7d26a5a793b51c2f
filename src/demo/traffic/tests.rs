//! The traffic against a plain server: it finds nothing where nothing is wrong, and each planted fault by its name.

use super::*;
use crate::demo::checker::{Findings, check};
use crate::demo::client::{Client, number};
use crate::demo::data::fill;
use crate::demo::meter::Readings;
use crate::demo::servers::tests::{OneServer, one_server};

const KEYS: u64 = 200;

/// A filled server, and traffic that has done some work on it.
struct World {
    server: OneServer,
    hand: Client,
    meter: Arc<Meter>,
    traffic: Traffic,
}

impl World {
    async fn start() -> World {
        let server = one_server().await;
        let mut hand = Client::connect(server.address()).await.unwrap();
        fill(&mut hand, KEYS, |_| {}).await.unwrap();
        let meter = Arc::new(Meter::default());
        let traffic = Traffic::start(server.address(), 20, KEYS, Arc::clone(&meter))
            .await
            .unwrap();
        let mut world = World {
            server,
            hand,
            meter,
            traffic,
        };
        world.works().await;
        world
    }

    /// Waits until so many failures have been noticed.
    async fn errors(&mut self, count: u64) {
        let noticed = async {
            while self.meter.readings().errors < count {
                tokio::task::yield_now().await;
            }
        };
        timeout(REPLY_LIMIT, noticed).await.expect("failures");
    }

    /// Waits until the first clients of each kind have done something more.
    async fn works(&mut self) {
        for key in [
            "traffic:counter:0",
            "traffic:value:0",
            "traffic:shared",
            "traffic:account:0:to",
        ] {
            let before = self.get(key).await;
            timeout(REPLY_LIMIT, async {
                while self.get(key).await < before + 5 {}
            })
            .await
            .expect(key);
        }
    }

    async fn get(&mut self, key: &str) -> i64 {
        number(&self.call(&["GET", key]).await).unwrap_or(0)
    }

    async fn call(&mut self, request: &[&str]) -> crate::demo::client::Reply {
        self.hand.call(request).await.unwrap()
    }

    async fn end(mut self) -> (Readings, Findings) {
        let claims = self.traffic.stop().await;
        let findings = check(claims, &mut self.hand).await.unwrap();
        drop(self.server);
        (self.meter.readings(), findings)
    }
}

#[tokio::test]
async fn traffic_at_a_plain_server_finds_nothing_wrong() {
    let (readings, findings) = World::start().await.end().await;
    assert_eq!(readings.notes, Vec::<String>::new());
    assert_eq!(readings.errors, 0);
    assert_eq!(findings, Findings::default());
    assert!(readings.operations > 100, "{}", readings.operations);
}

#[tokio::test]
async fn an_acknowledged_write_that_vanishes_is_lost() {
    let world = World::start().await;
    let World {
        server,
        mut hand,
        traffic,
        ..
    } = world;
    let claims = traffic.stop().await;
    for vandalism in [
        &["DECR", "traffic:counter:0"][..],
        &["LPOP", "traffic:list:0"],
        &["SET", "traffic:value:0", "1"],
        &["DECR", "traffic:shared"],
        &["DECR", "traffic:account:0:to"],
    ] {
        hand.call(vandalism).await.unwrap();
    }
    let findings = check(claims, &mut hand).await.unwrap();
    assert_eq!(
        (findings.lost, findings.doubled),
        (5, 0),
        "{:?}",
        findings.notes
    );
    drop(server);
}

#[tokio::test]
async fn a_write_that_was_applied_twice_is_doubled() {
    let world = World::start().await;
    let World {
        server,
        mut hand,
        traffic,
        ..
    } = world;
    let claims = traffic.stop().await;
    for vandalism in [
        &["INCR", "traffic:counter:0"][..],
        &["RPUSH", "traffic:list:0", "1"],
        &["INCR", "traffic:shared"],
        &["DECR", "traffic:account:0:from"],
        &["RPUSH", "traffic:queue:0", "1"],
    ] {
        hand.call(vandalism).await.unwrap();
    }
    let findings = check(claims, &mut hand).await.unwrap();
    assert_eq!(
        (findings.lost, findings.doubled),
        (0, 5),
        "{:?}",
        findings.notes
    );
    drop(server);
}

#[tokio::test]
async fn a_repeated_message_and_a_repeated_item_are_doubled() {
    let mut world = World::start().await;
    world.call(&["PUBLISH", "traffic:channel:0", "1"]).await;
    world.call(&["RPUSH", "traffic:queue:0", "1"]).await;
    world.works().await;
    let (readings, findings) = world.end().await;
    assert_eq!(
        (findings.lost, findings.doubled),
        (0, 2),
        "{:?}",
        findings.notes
    );
    assert_eq!(readings.errors, 0, "{:?}", readings.notes);
}

#[tokio::test]
async fn every_client_that_is_cut_off_is_an_error_and_its_open_write_is_not_doubled() {
    let mut world = World::start().await;
    world.call(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    world
        .call(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"])
        .await;
    world.errors(20).await;
    let (readings, findings) = world.end().await;
    assert_eq!(readings.errors, 20, "{:?}", readings.notes);
    assert_eq!(findings.doubled, 0, "{:?}", findings.notes);
}

#[tokio::test]
async fn a_counter_that_somebody_else_moved_is_an_error_where_it_happens() {
    let mut world = World::start().await;
    world.call(&["INCRBY", "traffic:counter:0", "5"]).await;
    world.errors(1).await;
    let (readings, findings) = world.end().await;
    assert_eq!(readings.errors, 1);
    assert!(
        readings.notes[0].starts_with("writer 0: INCR traffic:counter:0"),
        "{:?}",
        readings.notes
    );
    assert_eq!(findings.doubled, 5, "{:?}", findings.notes);
}

#[tokio::test]
async fn a_pause_of_writes_is_felt_by_writes_and_not_by_reads() {
    let mut world = World::start().await;
    world.meter.cutover_begins();
    world.call(&["CLIENT", "PAUSE", "300", "WRITE"]).await;
    world.works().await;
    world.meter.cutover_ends();
    let (readings, findings) = world.end().await;
    assert!(
        readings.write_pause >= Duration::from_millis(250),
        "{:?}",
        readings.write_pause
    );
    assert!(
        readings.read_pause < Duration::from_millis(250),
        "{:?}",
        readings.read_pause
    );
    assert_eq!(readings.errors, 0, "{:?}", readings.notes);
    assert_eq!(findings, Findings::default());
}

#[test]
fn every_client_has_work_and_every_kind_is_there() {
    for clients in LEAST_CLIENTS..300 {
        let mix = Mix::of(clients);
        let Mix {
            readers,
            writers,
            transactions,
            optimistic,
            queues,
            channels,
        } = mix;
        assert_eq!(
            readers + writers + transactions + optimistic + 2 * (queues + channels),
            clients
        );
        assert!(
            [readers, writers, transactions, optimistic, queues, channels]
                .iter()
                .all(|n| *n > 0),
            "{mix:?}"
        );
    }
}
