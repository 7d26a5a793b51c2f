//! What the application feels of a change of sides in which nothing goes wrong, measured at each of its connections.
//!
//! `HANDOVER_CROSSINGS=100 cargo test --release --test faults pause -- --nocapture`, alone on the machine, gives the
//! figures. Optimised, the bounds of the design are claimed; otherwise only that nothing is out of all proportion.

use std::time::Duration;

use super::alone;
use super::heard::Wait;
use super::kit::{RedisServer, Sidecar, let_pass};
use super::load::Load;

/// Crossings, where `HANDOVER_CROSSINGS` does not say so.
const CROSSINGS: u64 = 6;
/// How long the load is watched without a crossing, to compare with.
const WATCH: Duration = Duration::from_millis(300);

struct Bounds {
    median: Duration,
    worst: Duration,
    reads: Duration,
}

const OPTIMISED: Bounds = Bounds {
    median: Duration::from_millis(10),
    worst: Duration::from_millis(50),
    reads: Duration::from_millis(5),
};

const UNOPTIMISED: Bounds = Bounds {
    median: Duration::from_millis(100),
    worst: Duration::from_millis(500),
    reads: Duration::from_millis(500),
};

/// The longest waits of a time.
#[derive(Debug, Default, Clone, Copy)]
struct Longest {
    writes: Duration,
    reads: Duration,
}

fn longest(waits: &[Wait]) -> Longest {
    let of = |reads| {
        let waits = waits.iter().filter(|wait| wait.reads == reads);
        waits
            .map(|wait| wait.to - wait.from)
            .max()
            .unwrap_or_default()
    };
    Longest {
        writes: of(false),
        reads: of(true),
    }
}

#[test]
fn the_pause_of_a_change_of_sides_is_short() {
    let _alone = alone();
    let crossings = super::campaign::number("HANDOVER_CROSSINGS").unwrap_or(CROSSINGS);
    let (source, target) = (RedisServer::start(), RedisServer::start());
    let sidecar = Sidecar::new()
        .source(&source)
        .target(&target)
        .set("log.level", "info")
        .start();
    let admin = sidecar.admin();
    admin.migrate_until_ready();
    let load = Load::start(sidecar.addr("app"), "pause");
    let (mut crossed, mut quiet, mut told) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..crossings {
        let back = number % 2 == 1;
        let ready = if back {
            "can_roll_back"
        } else {
            "can_cut_over"
        };
        admin.wait_for(ready, |status| status[ready] == true);
        load.heard().take_waits();
        let_pass(WATCH);
        quiet.push(longest(&load.heard().take_waits()));
        let answer = if back {
            admin.rollback()
        } else {
            admin.cutover()
        };
        assert_eq!(answer.status, 200, "{}", answer.text);
        let_pass(WATCH / 6);
        crossed.push(longest(&load.heard().take_waits()));
        told.push(answer.json["write_pause_ms"].as_f64().unwrap());
    }
    let errors = load.heard().take_errors();
    let active = if crossings % 2 == 1 { &target } else { &source };
    let clients = load.clients();
    let done = load.judge(active).unwrap_or_else(|text| panic!("{text}"));
    assert!(errors.is_empty(), "{errors:?}");
    let writes = Spread::of(crossed.iter().map(|longest| longest.writes));
    let reads = Spread::of(crossed.iter().map(|longest| longest.reads));
    told.sort_by(f64::total_cmp);
    eprintln!(
        "{crossings} crossings with {clients} clients, {done} operations, no error\n\
         longest write wait at any client, of each crossing: {writes:?}\n\
         longest read wait: {reads:?}\n\
         without a crossing: writes {:?}, reads {:?}\n\
         the sidecar's own word: median {} ms, worst {} ms",
        Spread::of(quiet.iter().map(|longest| longest.writes)),
        Spread::of(quiet.iter().map(|longest| longest.reads)),
        told[told.len() / 2],
        told[told.len() - 1],
    );
    let bounds = if cfg!(debug_assertions) {
        UNOPTIMISED
    } else {
        OPTIMISED
    };
    assert!(writes.median < bounds.median, "median {writes:?}");
    assert!(writes.worst < bounds.worst, "worst {writes:?}");
    assert!(reads.p99 < bounds.reads, "reads {reads:?}");
    // One wait in thousands is the machine's, whether anything crosses or not.
    let noise = quiet.iter().map(|longest| longest.reads).max();
    let worst = bounds.reads + noise.unwrap_or_default();
    assert!(reads.worst < worst, "reads {reads:?}");
}

#[derive(Debug)]
#[allow(dead_code)] // some are only printed
struct Spread {
    median: Duration,
    p90: Duration,
    p99: Duration,
    worst: Duration,
}

impl Spread {
    fn of(values: impl Iterator<Item = Duration>) -> Spread {
        let mut values: Vec<Duration> = values.collect();
        values.sort();
        let at = |percent: usize| values[(values.len() - 1) * percent / 100];
        Spread {
            median: at(50),
            p90: at(90),
            p99: at(99),
            worst: at(100),
        }
    }
}
