//! The proxy is not there: random streams of requests, valid and not, over several connections at once, go to a server
//! and through the proxy to its twin, and every byte that comes back is the same.
//!
//! `HANDOVER_DIFFERENTIAL_COMMANDS` says how many requests in all, `HANDOVER_DIFFERENTIAL_SEED` which. A difference is
//! reported as the smallest schedule that shows it.

#![allow(clippy::unwrap_used, clippy::panic)] // a panic in a test is its failing assertion
#![allow(clippy::print_stderr)] // how much was compared
#![allow(unreachable_pub)] // the rooms of a test binary

#[path = "differential/compare.rs"]
mod compare;
#[path = "differential/generate/mod.rs"]
mod generate;
mod kit;
#[path = "differential/random.rs"]
mod random;
#[path = "differential/run.rs"]
mod run;
#[path = "differential/schedule.rs"]
mod schedule;
#[path = "differential/shrink.rs"]
mod shrink;
#[path = "differential/world.rs"]
mod world;

use std::time::{Duration, Instant};

use compare::Difference;
use generate::Generator;
use random::Random;
use run::run;
use schedule::Schedule;
use shrink::shrink;
use world::{Guard, Setup, World};

/// Requests in all, unless the environment says otherwise, so that each of three servers gets more than 100,000: what an
/// hour finds, a minute in CI keeps away.
const COMMANDS: usize = 330_000;
/// The same on every run, so that a change is to blame for a failure. Other seeds are for who has time.
const SEED: u64 = 3;
/// How long the proxied side may take for what the direct one has said.
const LIMIT: Duration = Duration::from_secs(10);
/// The same while a difference is made smaller, when most attempts wait in vain.
const LIMIT_WHILE_SHRINKING: Duration = Duration::from_millis(700);
const LANES: [&str; 2] = ["auto", "off"];

#[test]
fn the_systems_server_with_lanes() {
    compare_all(&[(String::from("redis-server"), None)], LANES[0]);
}

#[test]
fn the_systems_server_without_lanes() {
    compare_all(&[(String::from("redis-server"), None)], LANES[1]);
}

#[test]
fn newer_servers_with_lanes() {
    compare_all(&newer(), LANES[0]);
}

#[test]
fn newer_servers_without_lanes() {
    compare_all(&newer(), LANES[1]);
}

#[test]
fn a_planted_difference_is_found_and_made_small() {
    let setup = Setup {
        name: "redis-server".to_owned(),
        program: None,
        lanes: "auto",
        guard: Guard::Open,
        // A sketch takes its long form at once. The order of an open hash would be random, and none that shrinks.
        planted: &["--hll-sparse-max-bytes", "0"],
    };
    let (schedule, difference) = (0..100)
        .find_map(|number| find(&setup, &mut World::start(&setup), number))
        .expect("100 schedules without the length of a sketch");
    assert!(schedule.requests() <= 3, "{schedule}{difference}");
    assert!(difference.to_string().contains(">>> "), "{difference}");
}

type Server = (String, Option<std::path::PathBuf>);

fn newer() -> Vec<Server> {
    let servers = kit::newer_servers();
    servers
        .into_iter()
        .map(|(name, program)| (name, Some(program)))
        .collect()
}

/// This test's share of the requests, half of them to servers with a password and half without.
fn compare_all(servers: &[Server], lanes: &'static str) {
    let share = number("HANDOVER_DIFFERENTIAL_COMMANDS", COMMANDS as u64)
        / (1 + newer().len() as u64)
        / (LANES.len() as u64 * 2);
    let seed = number("HANDOVER_DIFFERENTIAL_SEED", SEED);
    for (name, program) in servers {
        for guard in [Guard::Open, Guard::Password] {
            let setup = Setup {
                name: name.clone(),
                program: program.clone(),
                lanes,
                guard,
                planted: &[],
            };
            compare(&setup, seed, share);
        }
    }
}

fn compare(setup: &Setup, seed: u64, share: u64) {
    let begin = Instant::now();
    let mut seeds = Random::new(seed);
    let (mut schedules, mut requests) = (0, 0);
    let mut world = World::start(setup);
    while requests < share {
        let number = seeds.next();
        let commands = world.commands();
        let schedule = Generator::new(number, setup, &commands).schedule();
        if let Err(difference) = run(&mut world, &schedule, LIMIT) {
            drop(world);
            report(setup, seed, schedules, schedule, difference);
        }
        schedules += 1;
        requests += schedule.requests() as u64;
    }
    eprintln!(
        "{}, lanes {}, {:?}: {requests} requests in {schedules} schedules, {:?}",
        setup.name,
        setup.lanes,
        setup.guard,
        begin.elapsed()
    );
}

fn report(
    setup: &Setup,
    seed: u64,
    number: usize,
    schedule: Schedule,
    difference: Difference,
) -> ! {
    let first = difference.to_string();
    let (smallest, difference) = shrink(schedule, difference, |schedule| again(setup, schedule));
    panic!(
        "{}, lanes {}, {:?}: a difference in schedule {number} of HANDOVER_DIFFERENTIAL_SEED={seed}\n{first}\
         made as small as it gets:\n{smallest}{difference}",
        setup.name, setup.lanes, setup.guard
    );
}

/// Looks for a difference in one schedule and makes it small.
fn find(setup: &Setup, world: &mut World, seed: u64) -> Option<(Schedule, Difference)> {
    let commands = world.commands();
    let schedule = Generator::new(seed, setup, &commands).schedule();
    let difference = run(world, &schedule, LIMIT).err()?;
    Some(shrink(schedule, difference, |schedule| {
        again(setup, schedule)
    }))
}

/// In a world of its own, so that nothing is left of other attempts.
fn again(setup: &Setup, schedule: &Schedule) -> Option<Difference> {
    run(&mut World::start(setup), schedule, LIMIT_WHILE_SHRINKING).err()
}

fn number(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{variable}={text} is not a number")),
        Err(_) => default,
    }
}
