//! What a client of a running application feels of a cutover: an open loop of writes across it, and the same without.

use std::time::Duration;

use serde_json::json;

use crate::kit::{LIMIT, RedisServer, Sidecar, eventually};
use crate::load::{Load, Operation, Outcome, Workload};
use crate::socket::Address;
use crate::table::median;
use crate::world::quiet;

/// Offered writes a second: far from what the machine can do, so that what waited is what the cutover held.
const RATE: f64 = 5000.0;
const WARM_UP: Duration = Duration::from_millis(200);

/// Each round is a migration, a while without anything, and a while with a cutover in its middle.
pub fn measure(rounds: usize, length: Duration) {
    println!("\n## a cutover: latency of writes, 50 connections, {RATE:.0} a second\n");
    println!("| | p50 µs | p99 µs | p99.9 µs | longest ms |");
    println!("|---|---|---|---|---|");
    let mut calm = Vec::new();
    let mut crossed = Vec::new();
    let mut pauses = Vec::new();
    for _ in 0..rounds {
        let (source, target) = (RedisServer::start(), RedisServer::start());
        let sidecar = quiet(Sidecar::new())
            .source(&source)
            .target(&target)
            .start();
        let address = Address::Tcp(sidecar.addr("app"));
        let workload = Workload {
            operation: Operation::Set,
            connections: 50,
            pipeline: 1,
            value_bytes: 64,
        };
        let mut load = Load::connect(&address, workload).expect("a connection");
        load.fill(&address).expect("filled");
        assert_eq!(sidecar.admin().migrate().status, 202);
        let ready = eventually(LIMIT, || sidecar.admin().status()["can_cut_over"] == true);
        assert!(ready, "{}", sidecar.admin().status());
        calm.push(load.open(RATE, WARM_UP, length).expect("the calm while"));
        let admin = sidecar.admin();
        let cutover = std::thread::spawn(move || {
            // In the middle of what is counted; the load does not wait for it.
            let begin = std::time::Instant::now();
            let due = WARM_UP + length / 3;
            assert!(eventually(LIMIT, || begin.elapsed() >= due));
            admin.post("/v1/cutover", &json!({}))
        });
        crossed.push(load.open(RATE, WARM_UP, length).expect("the crossing"));
        let answer = cutover.join().expect("the cutover's thread");
        assert_eq!(answer.json["outcome"], "committed", "{}", answer.text);
        pauses.push(answer.json["write_pause_ms"].as_f64().unwrap_or(f64::NAN));
    }
    row("without", &calm);
    row("with", &crossed);
    println!(
        "\nWrite pause as the sidecar reports it, median: {:.1} ms",
        median(pauses.into_iter())
    );
}

fn row(name: &str, outcomes: &[Outcome]) {
    let micros = |quantile| median(outcomes.iter().map(|it| it.micros(quantile)));
    println!(
        "| {name} | {:.0} | {:.0} | {:.0} | {:.1} |",
        micros(0.5),
        micros(0.99),
        micros(0.999),
        micros(1.0) / 1e3
    );
}
