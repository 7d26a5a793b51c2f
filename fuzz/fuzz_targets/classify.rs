//! `cargo fuzz run classify`; see `dev/fuzz`.

#![no_main]
#![allow(dead_code)] // each target uses one of the bodies

#[path = "../bodies/mod.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|input: &[u8]| bodies::run("classify", input));
