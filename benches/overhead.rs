//! What Handover adds to a request, the whole path: clients, the sidecar, a real server, all on this machine, the same
//! load sent past the sidecar and through it in turns within one run. `benches/README.md` says how to read it.
//!
//! ```sh
//! dev/bench                                    # everything, with the other proxies that are installed
//! cargo bench --bench overhead -- --help       # what else can be asked
//! ```

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)] // a bench that cannot go on says why and ends
#![allow(clippy::print_stdout, clippy::print_stderr)] // the tables
#![allow(clippy::cast_precision_loss, clippy::cast_possible_wrap)] // counts and microseconds, far below 2^53
#![allow(clippy::cast_sign_loss)] // times since the start
#![allow(unreachable_pub)] // the rooms of a bench

#[path = "overhead/crossing.rs"]
mod crossing;
#[path = "../tests/kit/mod.rs"]
mod kit;
#[path = "overhead/load.rs"]
mod load;
#[path = "overhead/socket.rs"]
mod socket;
#[path = "overhead/table.rs"]
mod table;
#[path = "overhead/world.rs"]
mod world;

use std::io;
use std::time::Duration;

use clap::Parser;
use load::{Load, Operation, Outcome, Workload};
use table::{Rounds, Sample};
use world::{Encrypted, Peers, Way, World, cpu_time};

/// What Handover adds to a request, and how much goes through it.
#[derive(Debug, Parser)]
struct Arguments {
    /// Which parts: latency (open loop), throughput (closed loop), cutover; all unless named.
    parts: Vec<String>,
    /// Rounds, in each of which every way is measured once; the tables show medians.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of load of each way in each round.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// The offered rate of the open loop, as a part of what the server alone can do.
    #[arg(long, default_value_t = 0.3)]
    load: f64,
    /// Only workloads whose name contains this.
    #[arg(long)]
    only: Option<String>,
    /// Worker threads of each sidecar.
    #[arg(long, default_value_t = 1)]
    workers: i64,
    /// Measure the other proxies that are on PATH as well.
    #[arg(long)]
    peers: bool,
    /// Measure TLS as well: to the clients, to the server, to both.
    #[arg(long)]
    tls: bool,
    /// Passed by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Name, connections, pipeline, bytes of a value.
const WORKLOADS: [(&str, usize, usize, usize); 7] = [
    ("1 connection", 1, 1, 64),
    ("50 connections", 50, 1, 64),
    ("500 connections", 500, 1, 64),
    ("50 connections, pipeline 16", 50, 16, 64),
    ("50 connections, pipeline 64", 50, 64, 64),
    ("10 connections, 16 KiB", 10, 1, 16 << 10),
    ("10 connections, 1 MiB", 10, 1, 1 << 20),
];
/// Load before the one that counts.
const WARM_UP: Duration = Duration::from_millis(200);
/// How long the server's own capacity is measured, once a workload.
const CAPACITY: Duration = Duration::from_millis(500);

fn main() {
    let mut arguments = Arguments::parse();
    if !arguments.bench {
        // `cargo test` runs it as a test: everything once, for a moment.
        arguments.rounds = 1;
        arguments.seconds = 0.02;
        arguments.tls = true;
        arguments.only = Some("50 connections".to_owned());
    }
    let asked =
        |part: &str| arguments.parts.is_empty() || arguments.parts.iter().any(|it| it == part);
    let peers = if arguments.peers {
        Peers::Included
    } else {
        Peers::LeftOut
    };
    let encrypted = if arguments.tls {
        Encrypted::Included
    } else {
        Encrypted::LeftOut
    };
    let world = World::start(peers, encrypted, arguments.workers);
    for (name, connections, pipeline, value_bytes) in WORKLOADS {
        if arguments
            .only
            .as_ref()
            .is_some_and(|only| !name.contains(only.as_str()))
        {
            continue;
        }
        let workload = Workload {
            operation: Operation::Get,
            connections,
            pipeline,
            value_bytes,
        };
        if asked("latency") {
            latency(&arguments, &world, name, workload);
        }
        if asked("throughput") {
            throughput(&arguments, &world, name, workload);
        }
    }
    if asked("cutover") {
        crossing::measure(arguments.rounds, Duration::from_secs_f64(arguments.seconds));
    }
}

fn latency(arguments: &Arguments, world: &World, name: &str, workload: Workload) {
    let capacity = Load::connect(&world.ways[0].address, workload)
        .and_then(|mut direct| {
            direct.fill(&world.ways[0].address)?;
            direct.closed(CAPACITY)
        })
        .unwrap_or_else(|error| panic!("{name}, directly: {error}"))
        .per_second();
    let rate = capacity * arguments.load;
    println!("\n## {name}: latency at {rate:.0} requests a second\n");
    let length = Duration::from_secs_f64(arguments.seconds);
    let rounds = in_rounds(arguments, world, name, |way| {
        let mut load = Load::connect(&way.address, workload)?;
        load.open(rate, WARM_UP, length)
    });
    rounds.print_latency();
}

fn throughput(arguments: &Arguments, world: &World, name: &str, workload: Workload) {
    println!("\n## {name}: throughput\n");
    let length = Duration::from_secs_f64(arguments.seconds);
    let rounds = in_rounds(arguments, world, name, |way| {
        let mut load = Load::connect(&way.address, workload)?;
        load.fill(&way.address)?;
        load.closed(length)
    });
    rounds.print_throughput();
}

/// Every way once in each round, each time beginning with another one.
fn in_rounds(
    arguments: &Arguments,
    world: &World,
    name: &str,
    measure: impl Fn(&Way) -> io::Result<Outcome>,
) -> Rounds {
    let mut rounds = Rounds::of(world.ways.iter().map(|way| way.name.clone()));
    for round in 0..arguments.rounds {
        for turn in 0..world.ways.len() {
            let number = (round + turn) % world.ways.len();
            let way = &world.ways[number];
            let before = way.process.map(cpu_time);
            let outcome =
                measure(way).unwrap_or_else(|error| panic!("{name}, {}: {error}", way.name));
            let cpu = way
                .process
                .map(cpu_time)
                .zip(before)
                .map(|(after, before)| after.saturating_sub(before));
            let is_known = outcome.answered > 0 || outcome.is_behind();
            assert!(is_known, "{name}, {}: no answer", way.name);
            rounds.add(number, Sample { outcome, cpu });
        }
    }
    rounds
}
