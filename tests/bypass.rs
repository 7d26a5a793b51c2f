//! Nothing that a client sends to a listener with `writes = "refuse"` changes a database behind it: random and hostile
//! inputs, made of every command that the server itself describes, before servers that anybody could write to. Their
//! data, configuration, users, functions, scripts, replication and other connections stay as they are, and no command
//! is executed that only the active side may have.
//!
//! `HANDOVER_BYPASS` says how many inputs in all, `HANDOVER_BYPASS_SEED` which. An input that changes something is told
//! as small as it gets.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)] // a panic in a test is its failing assertion
#![allow(clippy::print_stderr)] // how much was tried
#![allow(unreachable_pub)] // the rooms of a test binary

#[path = "bypass/arguments.rs"]
mod arguments;
#[path = "bypass/catalogue.rs"]
mod catalogue;
#[path = "bypass/data.rs"]
mod data;
#[path = "bypass/framing.rs"]
mod framing;
#[path = "bypass/input.rs"]
mod input;
mod kit;
#[path = "fuzz/mutate.rs"]
mod mutate;
#[path = "bypass/permitted.rs"]
mod permitted;
#[path = "bypass/play.rs"]
mod play;
#[path = "differential/random.rs"]
mod random;
#[path = "bypass/search.rs"]
mod search;
#[path = "bypass/state.rs"]
mod state;
#[path = "bypass/surroundings.rs"]
mod surroundings;
#[path = "bypass/world.rs"]
mod world;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Instant;

use input::{Generator, Input};
use play::Ends;
use random::Random;
use search::culprit;
use world::{Setup, World};

/// Inputs in all, unless the environment says otherwise: what an hour finds, some seconds in CI keep away.
const INPUTS: u64 = 12_000;
/// The same on every run, so that a change is to blame for a failure.
const SEED: u64 = 1;
/// Inputs between two looks at the servers.
const BATCH: u64 = 500;
const LANES: [&str; 2] = ["auto", "off"];
const READS: [&str; 2] = ["target", "active"];

#[test]
fn nothing_changes_the_target_that_reads_go_to() {
    try_all("target");
}

#[test]
fn nothing_changes_the_active_side_that_reads_go_to() {
    try_all("active");
}

#[test]
fn a_listener_that_takes_writes_is_seen_to_and_the_input_is_told_and_small() {
    for reads in READS {
        let setup = Setup {
            writes: "active",
            ..system(reads)
        };
        let found = try_inputs(&setup, SEED, BATCH).expect_err("500 inputs without a write");
        assert!(
            found.contains("HANDOVER_BYPASS_SEED=1") && found.contains("input of "),
            "{found}"
        );
    }
}

#[test]
fn the_inputs_reach_nearly_every_command_that_writes() {
    /// Without which the servers last until the end.
    const LEFT_OUT: &[&str] = &[
        "SHUTDOWN",
        "DEBUG",
        "FAILOVER",
        "REPLICAOF",
        "SLAVEOF",
        "SYNC",
        "PSYNC",
        "REPLCONF",
        "CLIENT",
        "CONFIG",
        "ACL",
        "MODULE",
        "MIGRATE",
        "SWAPDB",
    ];
    const ROUNDS: u64 = 6;
    let mut world = World::start(&Setup {
        writes: "active",
        ..system("active")
    });
    let (catalogue, planted) = (world.catalogue().to_vec(), world.planted().clone());
    let generator = Generator::new(&catalogue, &planted, LEFT_OUT);
    let mut random = Random::new(SEED);
    let mut done = BTreeSet::new();
    for _ in 0..ROUNDS {
        let inputs: Vec<Input> = (0..BATCH).map(|_| generator.input(random.next())).collect();
        world.play(&inputs);
        done.extend(done_without_error(&world.command_stats()));
        world.plant_again();
    }
    let writes = catalogue.iter().filter(|entry| entry.has_flag("write"));
    let left_out = |name: &str| LEFT_OUT.contains(&name.split(' ').next().unwrap());
    let (reached, missed): (Vec<String>, Vec<String>) = writes
        .map(catalogue::Entry::name)
        .filter(|name| !left_out(name))
        .partition(|name| done.contains(name));
    eprintln!(
        "{} commands that write were reached; not {missed:?}",
        reached.len()
    );
    assert!(reached.len() > 9 * missed.len(), "not reached: {missed:?}");
}

/// This route's share of the inputs: each server, with lanes and without.
fn try_all(reads: &'static str) {
    let newer = kit::newer_servers().into_iter();
    let mut servers = vec![system(reads)];
    servers.extend(newer.map(|(name, program)| Setup {
        program: Some(program),
        ..setup(name, None, reads)
    }));
    let worlds = (READS.len() * LANES.len() * servers.len()) as u64;
    let share = number("HANDOVER_BYPASS", INPUTS).div_ceil(worlds);
    let seed = number("HANDOVER_BYPASS_SEED", SEED);
    for server in &servers {
        for lanes in LANES {
            let setup = Setup {
                lanes,
                ..server.clone()
            };
            let begin = Instant::now();
            let ends = try_inputs(&setup, seed, share).unwrap_or_else(|found| panic!("{found}"));
            eprintln!(
                "{}, reads {reads}, lanes {lanes}: {share} inputs, {ends:?}, {:?}",
                setup.name,
                begin.elapsed()
            );
            assert!(
                ends.answered > share / 10,
                "too few inputs were read to their end: {ends:?}"
            );
        }
    }
}

/// So many inputs; the error tells which of them changed what.
fn try_inputs(setup: &Setup, seed: u64, share: u64) -> Result<Ends, String> {
    let mut world = World::start(setup);
    let (catalogue, planted) = (world.catalogue().to_vec(), world.planted().clone());
    let generator = Generator::new(&catalogue, &planted, &[]);
    let mut random = Random::new(seed);
    let (mut ends, mut tried) = (Ends::default(), 0);
    while tried < share {
        let batch = BATCH.min(share - tried);
        let inputs: Vec<Input> = (0..batch).map(|_| generator.input(random.next())).collect();
        ends += world.play(&inputs);
        let changes = world.changes();
        if !changes.is_empty() {
            drop(world);
            return Err(told(setup, seed, tried, &inputs, &changes));
        }
        tried += batch;
    }
    Ok(ends)
}

fn told(setup: &Setup, seed: u64, first: u64, inputs: &[Input], changes: &[String]) -> String {
    let mut text = format!(
        "{}, reads {}, writes {}, lanes {}: among inputs {first} to {} of HANDOVER_BYPASS_SEED={seed}\n",
        setup.name,
        setup.reads,
        setup.writes,
        setup.lanes,
        first + inputs.len() as u64,
    );
    list(&mut text, changes);
    match culprit(setup, inputs) {
        Some(culprit) => {
            let length = culprit.input.bytes.len();
            let _ = writeln!(
                text,
                "by itself, an input of {length} bytes\n  {}",
                culprit.input
            );
            list(&mut text, &culprit.changes);
        }
        None => text.push_str("none of them does so by itself\n"),
    }
    text
}

fn list(text: &mut String, changes: &[String]) {
    for change in changes {
        let _ = writeln!(text, "  {change}");
    }
}

/// Commands that were executed at least once without an error.
fn done_without_error(stats: &str) -> impl Iterator<Item = String> {
    stats.lines().filter_map(|line| {
        let (name, fields) = line.strip_prefix("cmdstat_")?.split_once(':')?;
        let field = |name: &str| {
            let mut fields = fields.split(',');
            let text = fields.find_map(|field| field.strip_prefix(name)?.strip_prefix('='))?;
            text.parse::<u64>().ok()
        };
        (field("calls")? > field("failed_calls")?).then(|| name.to_uppercase().replace('|', " "))
    })
}

fn system(reads: &'static str) -> Setup {
    setup("redis-server".to_owned(), None, reads)
}

fn setup(name: String, program: Option<PathBuf>, reads: &'static str) -> Setup {
    Setup {
        name,
        program,
        reads,
        writes: "refuse",
        lanes: LANES[0],
    }
}

fn number(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{variable}={text} is not a number")),
        Err(_) => default,
    }
}
