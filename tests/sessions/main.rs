//! Sessions through the proxy, of every kind, while no migration runs and when the process ends.

#![allow(clippy::unwrap_used, clippy::panic)] // a panic in a test is its failing assertion
#![allow(unreachable_pub)] // modules of a test binary

mod changes;
mod commands;
mod ending;
mod framing;
#[path = "../kit/mod.rs"]
mod kit;
mod lanes;
mod replica;
mod split;
