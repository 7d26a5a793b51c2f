//! `cargo fuzz run journal`; see `dev/fuzz`.

#![no_main]
#![allow(dead_code)] // each target uses one of the bodies

#[path = "../bodies/mod.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|input: &[u8]| bodies::run("journal", input));
