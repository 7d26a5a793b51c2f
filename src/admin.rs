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
mod pages;
mod server;
mod verification;

pub use control::{Answer, Control, Order, Run};
pub use events::Events;
pub use failure::{Failure, FailureKind};
pub use migration::Migration;
pub use server::Server;

use std::net::SocketAddr;
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
    /// What looking and acting need; not nothing unless `bind` is loopback or a unix socket.
    pub tokens: Tokens,
    /// Names under which browsers may ask for it, beside addresses and `localhost`.
    pub hosts: Vec<String>,
}

/// The bearer tokens of the two rights.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Tokens {
    /// There are none: who can connect may do everything.
    #[default]
    None,
    /// Acting needs this one, and so does looking from the network.
    Acting(Secret),
    /// Looking needs one of the two wherever it comes from, and acting the first.
    Both {
        /// Does everything.
        acting: Secret,
        /// Only looks: for scrapers and screens.
        reading: Secret,
    },
}

impl Settings {
    /// At this place, without TLS, and without tokens.
    pub fn at(bind: Bind) -> Settings {
        Settings {
            bind,
            tls: None,
            tokens: Tokens::None,
            hosts: Vec::new(),
        }
    }

    /// Where a token can be read on its way: an address that others reach, without TLS.
    pub fn in_the_clear(&self) -> Option<SocketAddr> {
        match &self.bind {
            Bind::Tcp(address) if !address.ip().to_canonical().is_loopback() => {
                self.tls.is_none().then_some(*address)
            }
            Bind::Tcp(_) | Bind::Unix { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests;
