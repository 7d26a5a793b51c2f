//! The stand-in cluster itself: that its API refuses what the documented one refuses, and that its Replica Of is one.
//! What the tests of the `enterprise` link lean on.

#![allow(clippy::unwrap_used, clippy::panic)] // a panic is the failing assertion
#![allow(unreachable_pub)] // modules of a test binary

#[path = "kit_cluster/active_active.rs"]
mod active_active;
#[path = "kit_cluster/api.rs"]
mod api;
#[path = "kit/cluster/mod.rs"]
mod cluster;
#[path = "kit_cluster/endpoint.rs"]
mod endpoint;
mod kit;
#[path = "kit_cluster/replication.rs"]
mod replication;
#[path = "kit_cluster/troubles.rs"]
mod troubles;
#[path = "kit_cluster/world.rs"]
mod world;
