//! Handover: a RESP sidecar proxy that moves a running application from one Redis to another.
//!
//! The rooms, from the outside in. Arrows between them point down only, rooms on one layer do not know each other, and
//! `tests/tidy.rs` keeps it so. `ARCHITECTURE.md` follows one request and one cutover from end to end.

// 8: composition.
pub mod app;
pub mod cli;
// 7: the file, turned into each room's settings.
pub mod config;
// 6: what people and machines outside talk to.
pub mod admin;
pub mod demo;
// 5: the cutover.
pub mod cutover;
// 4: sessions, the replication link, comparison of the sides, what the commands mean for the target.
pub mod link;
pub mod session;
pub mod traffic;
pub mod verify;
// 3: admission, and the connections to the sides.
pub mod gate;
pub mod upstream;
// 2: what a command is.
pub mod command;
// 1: bytes, sockets, numbers.
pub mod metrics;
pub mod net;
pub mod resp;
pub mod shutdown;
// 0: words.
pub mod terms;
