//! The comparison of two sides at size: keys of every type, a replication that streams, a hundred differences planted in
//! the target. Every one must be found, each as what it is, and nothing else, while an application goes on writing.
//!
//! ```sh
//! cargo bench --bench verify                                  # a million keys, as fast as the servers bear, then throttled
//! cargo bench --bench verify -- --keys 5000000 --rate 50000
//! ```
//!
//! `cargo test --bench verify` runs the same with a smaller share of the keys.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)] // a bench that cannot go on says why and ends
#![allow(clippy::print_stdout)] // the figures
#![allow(clippy::cast_precision_loss)] // counts, far below 2^53
#![allow(unreachable_pub)] // the rooms of a bench

#[path = "../tests/kit/mod.rs"]
mod kit;
#[path = "verify/planted.rs"]
mod planted;
#[path = "verify/traffic.rs"]
mod traffic;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use clap::Parser;
use kit::{RedisServer, Sidecar, eventually};
use serde_json::{Value, json};
use traffic::Traffic;

/// The comparison at size.
#[derive(Debug, Parser)]
struct Arguments {
    /// Keys of the source.
    #[arg(long)]
    keys: Option<u64>,
    /// Only with this rate, in keys a second; 0 is no limit.
    #[arg(long)]
    rate: Option<u64>,
    /// Passed by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// The figure that is asked for, and the share of it that every test run makes.
const KEYS: u64 = 1_000_000;
const KEYS_IN_TESTS: u64 = 50_000;
/// How many keys may be compared in how long.
const SECONDS_A_MILLION: f64 = 60.0;
/// What a comparison may add to the memory of the sidecar, however many keys there are.
const MEMORY_MAX: u64 = 48 << 20;
/// How long the traffic runs alone, to have something to hold the rest against.
const CALM: Duration = Duration::from_secs(5);
/// Longest wait for a copy or a comparison.
const LIMIT: Duration = Duration::from_mins(10);

fn main() {
    let arguments = Arguments::parse();
    let (keys, calm) = if arguments.bench {
        (KEYS, CALM)
    } else {
        (KEYS_IN_TESTS, Duration::from_millis(200))
    };
    let keys = arguments.keys.unwrap_or(keys);
    let rates = match arguments.rate {
        Some(rate) => vec![Some(rate)],
        // As fast as it goes, and as it is configured.
        None => vec![Some(0), None],
    };

    let (source, target) = (RedisServer::start(), RedisServer::start());
    planted::fill(&source, keys);
    let sidecar = Sidecar::new()
        .source(&source)
        .target(&target)
        .set("log.level", "info")
        .start();
    sidecar.admin().migrate();
    let follows = eventually(LIMIT, || sidecar.admin().phase() == "in_sync");
    assert!(follows, "{:#}", sidecar.admin().status());
    let expected = planted::plant(&source, &target, keys);
    println!(
        "{keys} keys of 6 types, {} differences planted",
        expected.len()
    );

    let traffic = Traffic::start(sidecar.addr("app"));
    traffic.measure(|| eventually(calm, || false));
    println!("traffic alone:        {}", traffic.take());
    for rate in rates {
        let begun_with = memory(&sidecar, "VmRSS");
        let begun = Instant::now();
        let verified = traffic.measure(|| compare(&sidecar, rate));
        let seconds = begun.elapsed().as_secs_f64();
        println!(
            "rate {:>12}: {seconds:.1} s, {:.0} keys/s, memory {} KiB before, {} KiB at most",
            rate.map_or("as configured".to_owned(), |rate| rate.to_string()),
            keys as f64 / seconds,
            begun_with >> 10,
            memory(&sidecar, "VmHWM") >> 10,
        );
        println!("traffic meanwhile:    {}", traffic.take());
        println!(
            "{} rounds, {} keys unsettled",
            verified["summary"]["rounds"], verified["summary"]["unsettled"]
        );
        check(&verified["summary"], &expected, keys);
        let added = memory(&sidecar, "VmHWM").saturating_sub(begun_with);
        assert!(added <= MEMORY_MAX, "{} KiB more memory", added >> 10);
        let bound = SECONDS_A_MILLION * (keys as f64 / KEYS as f64).max(1.0);
        assert!(
            seconds < bound || arguments.rate.is_some(),
            "{seconds:.1} s are more than {bound:.1} s"
        );
    }
    traffic.stop();
}

/// Has everything compared, as an operator would.
fn compare(sidecar: &Sidecar, rate: Option<u64>) -> Value {
    let accepted = sidecar.admin().post("/v1/verify", &json!({"rate": rate}));
    assert_eq!(accepted.status, 202, "{}", accepted.text);
    let mut seen = Value::Null;
    let ended = eventually(LIMIT, || {
        seen = sidecar.admin().get("/v1/verify").json;
        seen["running"] == false
    });
    assert!(ended, "{seen:#}");
    seen
}

/// All that was planted and nothing else.
fn check(summary: &Value, expected: &BTreeMap<String, &str>, keys: u64) {
    let found: BTreeMap<String, &str> = summary["sample"]
        .as_array()
        .unwrap_or_else(|| panic!("{summary:#}"))
        .iter()
        .map(|difference| {
            let text = |field: &str| difference[field].as_str().unwrap_or_default();
            (text("key").to_owned(), text("what"))
        })
        .collect();
    for (key, what) in expected {
        assert_eq!(found.get(key), Some(what), "{key}");
    }
    for (key, what) in &found {
        assert!(expected.contains_key(key), "{key}: {what} was not planted");
    }
    assert_eq!(summary["differing"], expected.len(), "{summary:#}");
    assert_eq!(summary["caught_up"], true, "{summary:#}");
    assert!(summary["keys"].as_u64() >= Some(keys - 100), "{summary:#}");
}

/// Of the process, in bytes.
fn memory(sidecar: &Sidecar, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", sidecar.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kibibytes = line.and_then(|line| {
        line.trim_matches([':', ' ', '\t', 'k', 'B'])
            .parse::<u64>()
            .ok()
    });
    kibibytes.unwrap() << 10
}
