//! What the other tests lean on holds: the kit against real servers, and the stand-in cluster of the `enterprise` link,
//! whose API refuses what the documented one refuses, and whose Replica Of is one.

#![allow(clippy::unwrap_used, clippy::panic)] // a panic is the failing assertion
#![allow(unreachable_pub)] // modules of a test binary

mod active_active;
mod api;
#[path = "../kit/cluster/mod.rs"]
mod cluster;
mod endpoint;
#[path = "../kit/mod.rs"]
mod kit;
mod replication;
mod servers;
mod troubles;
mod world;
