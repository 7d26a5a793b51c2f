//! The test kit: real servers, a real sidecar between them, a client that shows every byte. A test draws its topology
//! first:
//!
//! ```ignore
//! let (a, b) = (RedisServer::start(), RedisServer::start());
//! let sidecar = Sidecar::new().source(&a).target(&b).start();
//! let mut app = Client::connect(sidecar.addr("app"));
//! assert_eq!(app.call(&["SET", "k", "v"]), Reply::ok());
//! ```
//!
//! Everything is blocking, bound to the loopback interface and to free ports, limited in time, and gone when its value
//! is dropped. A sidecar that logs a warning or an error which the test did not announce fails the test.

#![allow(dead_code, unused_imports, unreachable_pub)] // each test binary uses a part of the kit
#![allow(clippy::unwrap_used, clippy::panic)] // a panic in the kit is the failing assertion
#![allow(clippy::print_stderr)] // the log of a failed test
#![allow(clippy::must_use_candidate, clippy::missing_panics_doc)] // the kit is no library

mod admin;
mod authority;
mod client;
mod commands;
mod external;
mod hazard;
mod log;
mod newer;
mod process;
mod program;
mod redis;
mod reply;
mod sidecar;
mod wait;

pub use admin::{Admin, Answer};
pub use authority::{Authority, Certificate, Validity};
pub use client::{Client, encode};
pub use commands::{Command, commands};
pub use external::external;
pub use hazard::{Deed, Hazard, Road};
pub use newer::newer_servers;
pub use process::{Process, free_address, send_signal};
pub use program::{Program, installed};
pub use redis::{RedisOptions, RedisServer};
pub use reply::Reply;
pub use rustix::process::Signal;
pub use sidecar::{Exit, Listener, Sidecar, SidecarBuilder};
pub use wait::{LIMIT, eventually, let_pass};
