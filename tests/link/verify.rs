//! The comparison of the sides.

use std::time::{Duration, Instant};

use handover::link::preflight::{Clients, check};
use handover::link::{Link, Settings};
use handover::terms::Side;
use handover::upstream::control::Control;
use handover::verify::{Key, Options, Summary, What, compare};

use super::servers::*;
use super::world::{FORWARD, World};

/// Enough elements that the server takes the representation for large values, and more than a mebibyte.
const LARGE_ELEMENTS: usize = 30_000;

pub(crate) async fn compared(world: &World, options: Options) -> Summary {
    let (source, target) = (
        world.source.server(Side::Source),
        world.target.server(Side::Target),
    );
    compare(&source, &target, options, |_| {})
        .await
        .expect("compares")
}

pub(crate) fn quick() -> Options {
    Options {
        pause: Duration::ZERO,
        rate: None,
        ..Options::default()
    }
}

/// One key of each type, small and large.
async fn fill(client: &mut Control) {
    let mut requests: Vec<String> = vec![
        "SET string:small value".into(),
        "SETRANGE string:large 3000000 end".into(),
        "SET expiring value PXAT 4102444800000".into(),
    ];
    for (size, count) in [("small", 5), ("large", LARGE_ELEMENTS)] {
        for at in 0..count {
            let padding = "x".repeat(40);
            requests.push(format!("RPUSH list:{size} {padding}{at}"));
            requests.push(format!("HSET hash:{size} field{at} {padding}{at}"));
            requests.push(format!("SADD set:{size} {padding}{at}"));
            requests.push(format!("ZADD zset:{size} {at}.5 {padding}{at}"));
            requests.push(format!(
                "XADD stream:{size} {}-1 field {padding}{at}",
                at + 1
            ));
        }
        requests.push(format!("XGROUP CREATE stream:{size} readers 3-1"));
    }
    send(client, &requests).await;
}

pub(crate) async fn send(client: &mut Control, requests: &[String]) {
    let requests: Vec<Vec<Vec<u8>>> = requests
        .iter()
        .map(|request| {
            request
                .split(' ')
                .map(|word| word.as_bytes().to_vec())
                .collect()
        })
        .collect();
    for reply in client
        .pipeline(&requests, LIMIT)
        .await
        .expect("is answered")
    {
        reply.expect("is done");
    }
}

#[tokio::test]
async fn sides_with_the_same_contents_do_not_differ_however_they_are_represented() {
    // Small values of the target are kept as the source keeps large ones, so that their serialised forms differ.
    let options = [
        "--hash-max-listpack-entries",
        "1",
        "--zset-max-listpack-entries",
        "1",
        "--list-max-listpack-size",
        "2",
    ];
    let world = World::of(Redis::start(), Redis::start_with(&options));
    fill(&mut world.source.client().await).await;
    fill(&mut world.target.client().await).await;
    let summary = compared(&world, quick()).await;
    assert_eq!(
        (summary.keys, summary.differing, summary.rounds),
        (13, 0, 1),
        "{summary:?}"
    );
}

#[tokio::test]
async fn every_planted_difference_is_found_and_nothing_else() {
    let world = World::new();
    let mut source = world.source.client().await;
    let mut target = world.target.client().await;
    fill(&mut source).await;
    fill(&mut target).await;
    ask(&mut source, "SET same:a 1").await;
    ask(&mut target, "SET same:a 1").await;

    ask(&mut target, "SET extra 1").await;
    ask(&mut source, "SET lost 1").await;
    ask(&mut source, "SET retyped 1").await;
    ask(&mut target, "RPUSH retyped 1").await;
    ask(&mut target, "PERSIST expiring").await;
    for (size, bytes) in [("small", 1), ("large", 3_000_000)] {
        ask(&mut source, &format!("SETRANGE longer:{size} {bytes} x")).await;
        ask(&mut target, &format!("SETRANGE longer:{size} {bytes} xx")).await;
        ask(&mut target, &format!("SETRANGE string:{size} 3 X")).await;
        ask(&mut target, &format!("LSET list:{size} 3 other")).await;
        ask(&mut target, &format!("HSET hash:{size} field3 other")).await;
        ask(&mut target, &format!("SREM set:{size} {}3", "x".repeat(40))).await;
        ask(&mut target, &format!("SADD set:{size} other")).await;
        ask(
            &mut target,
            &format!("ZINCRBY zset:{size} 1 {}3", "x".repeat(40)),
        )
        .await;
        ask(
            &mut target,
            &format!("XGROUP SETID stream:{size} readers 4-1"),
        )
        .await;
    }
    ask(&mut source, "SELECT 3").await;
    ask(&mut source, "SET elsewhere 1").await;

    let summary = compared(&world, quick()).await;
    let mut found: Vec<(u32, &str, &What)> = summary
        .sample
        .iter()
        .map(|difference| {
            let Key { database, key } = &difference.key;
            (*database, key.as_str(), &difference.what)
        })
        .collect();
    found.sort_unstable_by_key(|(database, key, _)| (*database, *key));
    let mut expected: Vec<(u32, &str, &What)> = vec![
        (0, "expiring", &What::TimeToLive),
        (0, "extra", &What::MissingOnSource),
        (0, "longer:small", &What::Length),
        (0, "longer:large", &What::Length),
        (0, "lost", &What::MissingOnTarget),
        (0, "retyped", &What::Type),
        (3, "elsewhere", &What::MissingOnTarget),
    ];
    let typed: Vec<String> = ["string", "list", "hash", "set", "zset", "stream"]
        .iter()
        .flat_map(|kind| [format!("{kind}:small"), format!("{kind}:large")])
        .collect();
    expected.extend(typed.iter().map(|key| (0, key.as_str(), &What::Value)));
    expected.sort_unstable_by_key(|(database, key, _)| (*database, *key));
    assert_eq!(found, expected);
    assert_eq!(summary.differing, 19);
}

#[tokio::test]
async fn live_traffic_over_a_link_is_no_difference() {
    let mut world = World::streaming().await;
    let mut writer = world.source.client().await;
    let filling: Vec<String> = (0..5000).map(|at| format!("SET key:{at} 0")).collect();
    send(&mut writer, &filling).await;
    world.catches_up(FORWARD).await;
    let (ended, mut end) = tokio::sync::oneshot::channel();
    let traffic = async {
        let mut round = 0_u64;
        while end.try_recv().is_err() {
            let batch: Vec<String> = (0..100)
                .map(|at| match at % 4 {
                    0 => format!("INCR key:{}", (round * 7 + at) % 5000),
                    1 => format!("SET fresh:{round}:{at} value"),
                    2 => format!("DEL key:{}", (round * 13 + at) % 5000),
                    _ => "INCR hot".to_owned(),
                })
                .collect();
            send(&mut writer, &batch).await;
            round += 1;
        }
    };
    let options = Options {
        pause: Duration::from_millis(50),
        rounds: 20,
        ..Options::default()
    };
    let comparison = async {
        let summary = compared(&world, options).await;
        ended.send(()).expect("the traffic runs");
        summary
    };
    let ((), summary) = tokio::join!(traffic, comparison);
    assert_eq!(summary.differing, 0, "{summary:?}");
    assert!(summary.keys > 4000, "{summary:?}");
}

#[tokio::test]
async fn what_is_remembered_is_bounded_and_said_to_be() {
    let world = World::new();
    let mut source = world.source.client().await;
    send(
        &mut source,
        &(0..2000)
            .map(|at| format!("SET key:{at} 1"))
            .collect::<Vec<_>>(),
    )
    .await;
    let options = Options {
        remembered_max: 100,
        named_max: 10,
        rounds: 2,
        ..quick()
    };
    let summary = compared(&world, options).await;
    assert!(summary.overflowed);
    assert_eq!((summary.differing, summary.sample.len()), (2000, 10));
}

#[tokio::test]
async fn a_sample_looks_at_few_keys_of_both_sides() {
    let world = World::new();
    let mut source = world.source.client().await;
    let mut target = world.target.client().await;
    send(
        &mut source,
        &(0..5000)
            .map(|at| format!("SET key:{at} 1"))
            .collect::<Vec<_>>(),
    )
    .await;
    send(
        &mut target,
        &(0..5000)
            .map(|at| format!("SET other:{at} 1"))
            .collect::<Vec<_>>(),
    )
    .await;
    let options = Options {
        sample: Some(200),
        ..quick()
    };
    let summary = compared(&world, options).await;
    assert!((150..=200).contains(&summary.keys), "{summary:?}");
    let missing = |what: What| {
        summary
            .sample
            .iter()
            .any(|difference| difference.what == what)
    };
    assert!(
        summary.differing > 300 && missing(What::MissingOnTarget),
        "{summary:?}"
    );
}

#[tokio::test]
async fn progress_is_told_and_grows_to_what_was_expected() {
    let world = World::new();
    let mut source = world.source.client().await;
    send(
        &mut source,
        &(0..3000)
            .map(|at| format!("SET key:{at} 1"))
            .collect::<Vec<_>>(),
    )
    .await;
    let mut told = Vec::new();
    let (from, to) = (
        world.source.server(Side::Source),
        world.target.server(Side::Target),
    );
    let options = Options {
        rounds: 1,
        ..quick()
    };
    compare(&from, &to, options, |progress| told.push(progress))
        .await
        .expect("compares");
    assert!(told.len() > 3);
    assert!(
        told.windows(2)
            .all(|pair| pair[0].keys_done <= pair[1].keys_done)
    );
    let last = told.last().expect("a last one");
    assert_eq!(
        (last.keys_done, last.keys_expected, last.differing),
        (3000, 3000, 3000)
    );
}

#[tokio::test]
async fn a_hundred_thousand_keys_take_seconds() {
    let mut world = World::streaming().await;
    let mut source = world.source.client().await;
    for chunk in 0..100 {
        let keys = chunk * 1000..(chunk + 1) * 1000;
        let requests: Vec<String> = keys
            .map(|at| format!("SET key:{at} {}", "x".repeat(64)))
            .collect();
        send(&mut source, &requests).await;
    }
    world.catches_up(FORWARD).await;
    let begun = Instant::now();
    let summary = compared(&world, Options::default()).await;
    assert_eq!(
        (summary.keys >= 100_000, summary.differing),
        (true, 0),
        "{summary:?}"
    );
    assert!(begun.elapsed() < LIMIT, "{summary:?}");
}

#[test]
fn a_comparison_and_the_links_orders_can_be_spawned() {
    fn can_be_spawned(_future: impl Future + Send + 'static) {}
    let server = Redis::start();
    let [source, target] = [Side::Source, Side::Target].map(|side| server.server(side));
    let mut link = Link::new(Settings::ReplicaOf, source.clone(), target.clone());
    can_be_spawned(async move { compare(&source, &target, Options::default(), |_| {}).await });
    can_be_spawned(async move {
        let _ = link.prepare(FORWARD).await;
        let _ = link.observe(FORWARD).await;
        let _ = link.detach(FORWARD, None).await;
        check(&mut link, FORWARD, &Clients::default()).await
    });
}
