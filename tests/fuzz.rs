//! The fuzz targets of `fuzz/`, without a fuzzer: their seeds, and some thousands of changes to them, the same on every
//! run. `dev/fuzz` runs the same targets with cargo-fuzz.
//!
//! `HANDOVER_FUZZ=1000000 dev/test --test fuzz` tries that many inputs of each target, `HANDOVER_FUZZ_SEED` says which.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)] // a panic is the failing assertion
#![allow(clippy::print_stderr)] // how much was tried
#![allow(unreachable_pub, dead_code)] // the rooms of a test binary

#[path = "../fuzz/bodies/mod.rs"]
mod bodies;
#[path = "fuzz/mutate.rs"]
mod mutate;
#[path = "differential/random.rs"]
mod random;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Instant;

use bodies::TARGETS;
use mutate::mutate;
use random::Random;

/// Inputs of a target that only computes. What an hour finds, a second in CI keeps away.
const INPUTS: u64 = 30_000;
/// Of one that opens files, or reads whole configurations: so many times fewer.
const SLOWER: u64 = 30;
/// Longest input: what grows past it by doubling is cut.
const BYTES_MAX: usize = 4096;

#[test]
fn no_request_stream_breaks_the_scanner() {
    try_target("request", 1);
}

#[test]
fn no_reply_stream_breaks_the_scanner() {
    try_target("reply", 1);
}

#[test]
fn no_framing_or_spelling_changes_a_verdict() {
    try_target("classify", 1);
}

#[test]
fn no_journal_is_misread() {
    try_target("journal", SLOWER);
}

#[test]
fn no_configuration_breaks_the_reader() {
    try_target("config", SLOWER);
}

#[test]
fn every_target_has_seeds_a_test_and_a_fuzzer() {
    let manifest = read("fuzz/Cargo.toml");
    let tests = read("tests/fuzz.rs");
    for (name, _) in TARGETS {
        assert!(!seeds(name).is_empty(), "no seeds: fuzz/seeds/{name}");
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")));
        assert!(read(&format!("fuzz/fuzz_targets/{name}.rs")).contains(&format!("run(\"{name}\"")));
        assert!(tests.contains(&format!("try_target(\"{name}\"")));
    }
}

#[test]
fn a_planted_mistake_is_found_and_its_input_told() {
    // A parser that believes a length.
    let planted = |input: &[u8]| {
        let text = String::from_utf8_lossy(input);
        let length = text
            .split(['$', '\r'])
            .nth(1)
            .and_then(|it| it.parse::<usize>().ok());
        assert!(length.is_none_or(|length| length < 100_000), "believed");
    };
    let seeds = vec![b"$3\r\nabc\r\n".to_vec()];
    let found = search(planted, &seeds, 5000, 1).expect_err("not found in 5000 inputs");
    assert!(
        found.contains('$') && found.contains("HANDOVER_FUZZ_SEED=1"),
        "{found}"
    );
}

fn try_target(name: &str, slower: u64) {
    let (_, check) = TARGETS.iter().find(|(target, _)| *target == name).unwrap();
    let inputs = variable("HANDOVER_FUZZ", INPUTS / slower);
    let begin = Instant::now();
    if let Err(found) = search(
        check,
        &seeds(name),
        inputs,
        variable("HANDOVER_FUZZ_SEED", 1),
    ) {
        panic!("{name}: {found}");
    }
    eprintln!("{name}: {inputs} inputs, {:?}", begin.elapsed());
}

/// The seeds, and so many changes to them; the error tells the input that broke a promise.
fn search(check: impl Fn(&[u8]), seeds: &[Vec<u8>], inputs: u64, seed: u64) -> Result<(), String> {
    let mut random = Random::new(seed);
    let mutated = (0..inputs).map(|_| {
        let mut input = seeds[random.below(seeds.len())].clone();
        if random.once_in(4) {
            // The beginning of one and the end of another.
            let other = &seeds[random.below(seeds.len())];
            input.truncate(random.below(input.len() + 1));
            input.extend_from_slice(&other[random.below(other.len() + 1)..]);
        }
        mutate(&mut random, &mut input);
        input.truncate(BYTES_MAX);
        input
    });
    for input in seeds.iter().cloned().chain(mutated) {
        catch_unwind(AssertUnwindSafe(|| check(&input))).map_err(|_| {
            format!(
                "with HANDOVER_FUZZ_SEED={seed}, b\"{}\"",
                input.escape_ascii()
            )
        })?;
    }
    Ok(())
}

fn seeds(name: &str) -> Vec<Vec<u8>> {
    let folder = root().join("fuzz/seeds").join(name);
    let mut paths: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let mut seeds: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    if name == "config" {
        seeds.push([b"\0", read("config/handover.toml").as_bytes()].concat());
    }
    seeds
}

fn variable(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name}={text} is not a number")),
        Err(_) => default,
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
