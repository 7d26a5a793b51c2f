//! Tidiness, held by a test: the layers of `src/lib.rs`, the purity of the pure rooms, the size and the header of each
//! file, what must not be committed. Each rule is a function from text to complaints and is itself tested on a planted
//! violation, since a check that cannot fail is worth nothing.

#![allow(clippy::unwrap_used, clippy::panic)] // a panic is the failing assertion

#[path = "tidy/files.rs"]
mod files;
#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/texts.rs"]
mod texts;

use std::fs;

use files::{read, root, sources};
use layers::{layer_breaches, layers, room};
use texts::{
    LINES_MAX, LONGER, impurities, too_long, unexplained_dependencies, unfinished, without_header,
};

/// What lies at the top: a newcomer reads this list first.
const TOP: &[&str] = &[
    ".ci",
    ".clippy.toml",
    ".git",
    ".gitignore",
    "ACTIVE-ACTIVE.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "METRICS.md",
    "MIGRATING.md",
    "README.md",
    "RUNBOOK.md",
    "RUNNING.md",
    "SECURITY.md",
    "benches",
    "config",
    "dashboards",
    "deny.toml",
    "dev",
    "fuzz",
    "src",
    "target",
    "tests",
];

/// Where Rust files are.
const FOLDERS: [&str; 5] = [
    "src",
    "tests",
    "benches",
    "fuzz/bodies",
    "fuzz/fuzz_targets",
];

#[test]
fn rooms_know_only_rooms_below_them() {
    let layers = layers(&read("src/lib.rs"));
    assert!(
        layers.len() > 10,
        "the layers of src/lib.rs could not be read: {layers:?}"
    );
    assert_no_complaints(
        sources("src")
            .iter()
            .flat_map(|source| layer_breaches(source, &layers)),
    );
}

#[test]
fn every_room_is_on_a_layer() {
    let layers = layers(&read("src/lib.rs"));
    let complaints = sources("src").into_iter().filter_map(|source| {
        room(&source.path)
            .filter(|room| !layers.contains_key(room))
            .map(|_| source.path)
    });
    assert_no_complaints(
        complaints.map(|path| format!("{path}: its room is under no layer of src/lib.rs")),
    );
}

#[test]
fn pure_rooms_are_pure() {
    assert_no_complaints(sources("src").iter().flat_map(impurities));
}

#[test]
fn files_are_one_idea_long() {
    assert_no_complaints(
        sources("src")
            .iter()
            .chain(&sources("tests"))
            .chain(&sources("fuzz/bodies"))
            .filter_map(too_long),
    );
    for (path, _) in LONGER {
        assert!(
            read(path).lines().count() > LINES_MAX,
            "{path} needs no exception any more"
        );
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    let all = FOLDERS.map(sources).concat();
    assert_no_complaints(all.iter().filter_map(without_header));
}

#[test]
fn nothing_unfinished_is_committed() {
    let all = FOLDERS.map(sources).concat();
    assert_no_complaints(all.iter().flat_map(unfinished));
}

#[test]
fn every_dependency_says_what_for() {
    assert_no_complaints(unexplained_dependencies(&read("Cargo.toml")));
}

#[test]
fn the_top_of_the_repository_is_a_short_list() {
    let names = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    assert_no_complaints(
        names
            .filter(|name| !TOP.contains(&name.as_str()))
            .map(|name| format!("{name}: not in TOP")),
    );
}

fn assert_no_complaints(complaints: impl IntoIterator<Item = String>) {
    let complaints: Vec<String> = complaints.into_iter().collect();
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}
