//! A migration as its application and its operator have it: before the cutover, through it, and afterwards.

#![allow(clippy::unwrap_used, clippy::panic)] // a panic in a test is its failing assertion
#![allow(unreachable_pub)] // modules of a test binary

mod crossing;
mod crossing_memory;
#[path = "../kit/mod.rs"]
mod kit;
mod other_writers;
mod report;
mod rollback;
mod verify;
mod watch;
