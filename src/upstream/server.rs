//! One of the two databases, as the configuration describes it.

use std::sync::Arc;
use std::time::Duration;

use super::Own;
use crate::net::Dial;
use crate::terms::{Identity, Side};

/// One of the two databases as the configuration describes it.
#[derive(Debug, Clone)]
pub struct Server {
    /// Which side it is.
    pub side: Side,
    /// What people call it; by default `host:port`.
    pub name: String,
    /// Where it is and how to get there.
    pub dial: Dial,
    /// Handover's own identity there: for control work, and for sessions of listeners with `auth = "proxy"`.
    pub identity: Identity,
    /// The database number in its URL: the one that sessions start in, and that control work uses.
    pub database: u32,
    /// `host:port` at which the *other side* reaches it, where that differs from `dial`.
    pub replication_address: Option<(String, u16)>,
    /// How long one attempt to connect, handshake included, may take; also how long a request waits for a connection.
    pub connect_timeout: Duration,
    /// The connections of this process to it, so that others can be told from them. Clones share it.
    pub own: Arc<Own>,
}
