//! The comparison while the source is written to and the target is behind.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use handover::link::{Link, Phase, Settings};
use handover::terms::Side;
use handover::verify::{Options, What, compare};

use super::servers::*;
use super::verify::{compared, quick, send};
use super::world::{FORWARD, World, observed};

/// How far the target is behind while there is traffic, in rounds of it. Far more than pass between the two reads of a
/// comparison, and no time: however slow the machine, what is written in each round differs.
const LAG: u64 = 100;

/// How far the traffic is; what the target gets is held back by it.
#[derive(Default)]
struct Traffic {
    /// The round; none where nothing is held back.
    round: Mutex<Option<u64>>,
    moved: Condvar,
}

impl Traffic {
    fn set(&self, round: Option<u64>) {
        *self.round.lock().expect("no panic") = round;
        self.moved.notify_all();
    }

    /// The round in which what arrives now is due.
    fn due(&self) -> Option<u64> {
        Some(self.round.lock().expect("no panic").as_ref()? + LAG)
    }

    fn wait(&self, due: u64) {
        let round = self.round.lock().expect("no panic");
        let early = |round: &mut Option<u64>| round.is_some_and(|round| round < due);
        drop(self.moved.wait_while(round, early).expect("no panic"));
    }
}

/// Passes connections on to `port`; what comes back is late by [`LAG`].
fn late(port: u16, traffic: &Arc<Traffic>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    let address = listener.local_addr().expect("has an address");
    let traffic = Arc::clone(traffic);
    thread::spawn(move || {
        while let Ok((near, _)) = listener.accept() {
            let far = TcpStream::connect(("127.0.0.1", port)).expect("connects");
            let (near_too, far_too) = (
                near.try_clone().expect("clones"),
                far.try_clone().expect("clones"),
            );
            let traffic = Arc::clone(&traffic);
            thread::spawn(move || std::io::copy(&mut &near_too, &mut &far_too));
            thread::spawn(move || pass_late(far, near, &traffic));
        }
    });
    address
}

fn pass_late(mut from: TcpStream, mut to: TcpStream, traffic: &Traffic) {
    let (sender, receiver) = mpsc::channel::<(Option<u64>, Vec<u8>)>();
    thread::scope(|scope| {
        scope.spawn(move || {
            for (due, bytes) in receiver {
                if let Some(due) = due {
                    traffic.wait(due);
                }
                if to.write_all(&bytes).is_err() {
                    return;
                }
            }
        });
        let mut buffer = vec![0; 64 << 10];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if sender
                .send((traffic.due(), buffer[..count].to_vec()))
                .is_err()
            {
                break;
            }
        }
        drop(sender);
    });
}

/// A target that streams, late.
async fn world_that_lags(traffic: &Arc<Traffic>) -> World {
    let (source, target) = (Redis::start(), Redis::start());
    let address = late(source.port, traffic);
    let mut from = source.server(Side::Source);
    from.replication_address = Some(("127.0.0.1".to_owned(), address.port()));
    let link = Link::new(
        Settings::ReplicaOf,
        from.clone(),
        target.server(Side::Target),
    );
    let mut world = World {
        source,
        target,
        link,
    };
    world.link.prepare(FORWARD).await.expect("prepares");
    observed(&mut world.link, FORWARD, Phase::Streaming).await;
    world
}

#[tokio::test]
async fn a_target_that_is_behind_does_not_differ_and_what_does_is_found() {
    let passed = Arc::new(Traffic::default());
    let mut world = world_that_lags(&passed).await;
    let mut writer = world.source.client().await;
    let filling: Vec<String> = (0..3000)
        .flat_map(|at| {
            [
                format!("SET key:{at} 0"),
                format!("RPUSH large x{}", "x".repeat(500)),
            ]
        })
        .collect();
    send(&mut writer, &filling).await;
    world.catches_up(FORWARD).await;
    let mut target = world.target.client().await;
    ask(&mut target, "CONFIG SET replica-read-only no").await;
    for request in [
        "SET key:7 7",
        "DEL key:8",
        "SET extra 1",
        "PEXPIRE key:9 5000000",
    ] {
        ask(&mut target, request).await;
    }

    let (ended, mut end) = tokio::sync::oneshot::channel();
    let traffic = async {
        for round in 0_u64.. {
            if end.try_recv().is_ok() {
                passed.set(None);
                return;
            }
            passed.set(Some(round));
            // Each key is written now and then, two of them all the time: a counter, and a list that is large.
            let batch: Vec<String> = (0..20)
                .map(|at| match at % 5 {
                    0 => format!("INCR key:{}", 100 + (round * 7 + at) % 2900),
                    1 => format!("SET fresh:{round}:{at} value"),
                    2 => format!(
                        "PEXPIRE key:{} {}",
                        100 + (round * 3 + at) % 2900,
                        1_000_000 * (at + 1)
                    ),
                    3 => "RPUSH large pushed".to_owned(),
                    _ => "INCR hot".to_owned(),
                })
                .collect();
            send(&mut writer, &batch).await;
            tokio::task::yield_now().await;
        }
    };
    let comparison = async {
        let summary = compared(&world, quick()).await;
        ended.send(()).expect("the traffic runs");
        summary
    };
    let ((), summary) = tokio::join!(traffic, comparison);
    let found: Vec<(&str, &What)> = summary
        .sample
        .iter()
        .map(|difference| (difference.key.key.as_str(), &difference.what))
        .collect();
    assert_eq!(
        found,
        [
            ("extra", &What::MissingOnSource),
            ("key:7", &What::Value),
            ("key:8", &What::MissingOnTarget),
            ("key:9", &What::TimeToLive),
        ],
        "{summary:?}"
    );
    assert_eq!(summary.caught_up, Some(true), "{summary:?}");
    // What never stands still is not said to be alike either.
    let unsettled = |key: &str| {
        summary
            .unsettled_sample
            .iter()
            .any(|found| found.key == key)
    };
    assert!(unsettled("hot") && unsettled("large"), "{summary:?}");
}

#[tokio::test]
async fn what_the_sides_hold_is_told_under_their_own_names_whichever_is_active() {
    let world = World::new();
    let mut source = world.source.client().await;
    let mut target = world.target.client().await;
    ask(&mut source, "RPUSH lost a b c").await;
    ask(&mut source, "SET other abc").await;
    ask(&mut target, "SET other abd PX 1000000").await;
    let (source, target) = (
        world.source.server(Side::Source),
        world.target.server(Side::Target),
    );
    let forth = compare(&source, &target, quick(), |_| {})
        .await
        .expect("compares");
    let back = compare(&target, &source, quick(), |_| {})
        .await
        .expect("compares");
    for summary in [forth, back] {
        let [lost, other] = summary.sample.as_slice() else {
            panic!("{summary:?}");
        };
        let held = lost.source.as_ref().expect("the source has it");
        assert_eq!((held.kind.as_str(), held.length), ("list", Some(3)));
        assert_eq!((&lost.what, &lost.target), (&What::MissingOnTarget, &None));
        let sides = [&other.source, &other.target].map(|side| side.as_ref().expect("both have it"));
        assert_ne!(sides[0].digest, sides[1].digest);
        assert_eq!((sides[0].ttl_ms, sides[1].ttl_ms.is_some()), (None, true));
    }
}

#[tokio::test]
async fn without_dump_and_sizes_every_difference_is_found_all_the_same() {
    let world = World::new();
    let mut source = world.source.client().await;
    let mut target = world.target.client().await;
    let same = [
        "SET same 1",
        "HSET hash f 1",
        "RPUSH list a b",
        "SADD set a",
        "ZADD zset 1 a",
        "XADD stream 1-1 f v",
    ];
    for client in [&mut source, &mut target] {
        for request in same {
            ask(client, request).await;
        }
        ask(client, "ACL SETUSER default -dump -memory").await;
    }
    ask(&mut source, "SET other 1").await;
    ask(&mut target, "SET other 2").await;
    ask(&mut target, "XADD stream 2-1 f v").await;
    let summary = compared(&world, quick()).await;
    let found: Vec<&str> = summary
        .sample
        .iter()
        .map(|difference| difference.key.key.as_str())
        .collect();
    assert_eq!(found, ["other", "stream"], "{summary:?}");
}

#[tokio::test]
async fn what_is_pending_in_a_stream_belongs_to_it() {
    let world = World::new();
    for (redis, consumer) in [(&world.source, "one"), (&world.target, "other")] {
        let mut client = redis.client().await;
        for request in [
            "XADD stream 1-1 f v".to_owned(),
            "XGROUP CREATE stream readers 0".to_owned(),
            format!("XREADGROUP GROUP readers {consumer} COUNT 1 STREAMS stream >"),
        ] {
            ask(&mut client, &request).await;
        }
    }
    let summary = compared(&world, quick()).await;
    assert_eq!(summary.differing, 1, "{summary:?}");
    assert_eq!(summary.sample[0].what, What::Value);
}

#[tokio::test]
async fn a_rate_is_kept() {
    let world = World::new();
    let filling: Vec<String> = (0..1000).map(|at| format!("SET key:{at} 0")).collect();
    send(&mut world.source.client().await, &filling).await;
    send(&mut world.target.client().await, &filling).await;
    let options = Options {
        rate: std::num::NonZero::new(2000),
        ..quick()
    };
    let begun = Instant::now();
    let summary = compared(&world, options).await;
    assert_eq!((summary.keys, summary.differing), (1000, 0));
    // The last batch and the credit need no wait.
    assert!(begun.elapsed() > Duration::from_millis(300), "{summary:?}");
}
