//! The link, the preflight and the comparison, against real servers.

#![allow(clippy::panic)] // a helper that cannot go on fails the test

mod detach;
mod external;
mod preflight;
mod replicaof;
mod servers;
mod verify;
mod verify_live;
mod world;
mod writers;
