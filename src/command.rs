//! What a command is: whether it may write, what it does to the session, where its keys are, how many replies it
//! brings. One table, overlaid with the servers' own `COMMAND`. Pure.
//!
//! Refuses to know: sessions, routes, sockets.
//!
//! Read `policy.rs` first: it is the list of what is let through a listener that refuses writes, and of what each
//! command does to a session. `classify.rs` finds a request's place in it, `overlay.rs` adds what the servers say.

mod arguments;
pub mod blocking;
mod classify;
mod extra;
mod flags;
pub mod keys;
#[cfg(test)]
mod kit;
mod lookout;
mod options;
mod overlay;
mod policy;
#[cfg(test)]
mod recorded;
mod row;
pub mod slot;
mod table;
mod verdict;

pub use classify::{Command, Table};
pub use flags::Flags;
pub use lookout::{Attention, Lookout, Lookouts, Sender, Sighting, Transactions};
pub use overlay::{ServerCommand, ServerCommands};
pub use slot::Span;
pub use verdict::{Class, CommandId, Effect, Replies, Subscription, Verdict};
