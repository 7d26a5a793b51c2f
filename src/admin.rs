//! The HTTP side: control, status, metrics, events. Loopback or a unix socket unless told otherwise.
//!
//! Refuses to know: how anything it offers is done. It passes orders to a [`Control`], whoever that is, and turns what
//! comes back into JSON. The one thing it runs itself is the comparison of the sides ([`verification`]).
//!
//! Read next: `admin/api.rs` has every path.

mod access;
mod api;
mod console;
pub mod control;
pub mod duration;
mod events;
mod failure;
mod history;
pub mod migration;
mod server;
mod verification;

pub use control::{Answer, Control, Order, Run};
pub use events::Events;
pub use failure::{Failure, FailureKind};
pub use migration::Migration;
pub use server::Server;

use std::sync::Arc;

use crate::net::{Bind, tls};
use crate::terms::Secret;

/// Where and for whom the admin API listens.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where.
    pub bind: Bind,
    /// TLS towards clients, or none.
    pub tls: Option<Arc<tls::Server>>,
    /// The bearer token that acting needs; required unless `bind` is loopback or a unix socket.
    pub token: Option<Secret>,
}

#[cfg(test)]
mod tests;
