//! Connections to the two sides: the shared lanes, the private connections, the pipeline of owed replies that both
//! are made of, and a plain client for control work.
//!
//! Refuses to know: clients' sockets, the cutover, which side is active. Read on in `pipeline` (one connection and the
//! replies it owes), `lane` (connections that sessions share), `open` (from a [`Server`] to a usable connection).

pub mod control;
mod lane;
mod line;
mod open;
mod own;
mod pipeline;
mod reader;
mod scratch;
mod server;
mod sink;

pub use lane::{Lane, LaneKey, LaneState, Lanes};
pub use line::{Asks, InLine};
pub use open::{OpenError, Opened, Setup, open};
pub use own::{Mine, Own};
pub use pipeline::Pipeline;
pub use scratch::Scratch;
pub use server::Server;
pub use sink::{Loss, Mode, Sink, Times};
