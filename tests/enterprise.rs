//! The whole migration to Redis Enterprise, from `migrate` to `finalize`, by a real sidecar against the stand-in cluster,
//! with an application that knows every write that was acknowledged, and a witness who sees every command that the target
//! is sent.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)] // a panic is the failing assertion
#![allow(unreachable_pub)] // modules of a test binary

#[path = "enterprise/application.rs"]
mod application;
#[path = "kit/cluster/mod.rs"]
mod cluster;
#[path = "enterprise/encrypted.rs"]
mod encrypted;
#[path = "enterprise/guide.rs"]
mod guide;
mod kit;
#[path = "faults/ledger.rs"]
#[allow(dead_code)] // the other test uses more of it
mod ledger;
#[path = "enterprise/sources.rs"]
mod sources;
#[path = "enterprise/targets.rs"]
mod targets;
#[path = "tls/world.rs"]
#[allow(dead_code)] // the other test uses more of it
mod tls_world;
#[path = "enterprise/troubles.rs"]
mod troubles;
#[path = "enterprise/witness.rs"]
mod witness;
#[path = "enterprise/world.rs"]
mod world;
