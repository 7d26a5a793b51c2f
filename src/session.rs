//! One client connection: from its bytes to admitted requests, and from replies to its bytes, in order.
//!
//! Refuses to know: the cutover, the link, configuration files. Read on in `worker` (what sessions share), `relay` (a
//! session's life), `route` (the way of one request), `reply` (the way back), `crossing` (a change of sides), `leaving`
//! (the end of the process).

mod audit;
mod blocking;
mod crossing;
mod cursor;
mod ending;
mod frame_text;
mod frames;
mod hello;
mod holding;
mod identity;
mod lanes_part;
mod leaving;
mod mapping;
mod mute;
mod outbox;
mod private;
mod reading;
mod refusers;
mod relay;
mod replica;
mod reply;
mod route;
mod runs;
mod scripts;
mod second_side;
mod sighting;
mod ticket;
mod tracking;
mod transaction;
mod turn;
mod users;
mod who;
mod worker;

pub use audit::AuditLog;
pub use cursor::Cursors;
pub use leaving::Remaining;
pub use refusers::Refuser;
pub use scripts::Scripts;
pub use tracking::Redirects;
pub use users::{Claim, Seen, Users};
pub use worker::{Arrival, Farewell, Settings, Shared, Sharing, run_worker};

use std::sync::Arc;
use std::time::Duration;

use crate::gate::Routes;
use crate::net::{Bind, tls};
use crate::terms::{Identity, ListenerId};

/// One listener of the configuration.
#[derive(Debug, Clone)]
pub struct ListenerSettings {
    /// Its position in the configuration.
    pub id: ListenerId,
    /// Its name, for logs and metrics.
    pub name: String,
    /// Where it listens.
    pub bind: Bind,
    /// Where its commands go.
    pub routes: Routes,
    /// Whose identity sessions have at the databases.
    pub auth: Auth,
    /// TLS towards clients.
    pub tls: Option<Arc<tls::Server>>,
}

/// Whose identity a listener's sessions have at the databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Auth {
    /// Each client authenticates itself; Handover's credentials never serve it.
    #[default]
    Client,
    /// Sessions have the identity of `[source]` and `[target]`; clients need none.
    Proxy,
}

/// A client's identity that differs on the target.
#[derive(Debug, Clone)]
pub struct CredentialMapping {
    /// What the client sends.
    pub client: Identity,
    /// What the target is given instead.
    pub target: Identity,
}

/// What may change while sessions live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tuning {
    /// Bounds.
    pub limits: Limits,
    /// How long an iteration that began on the source may go on there after the cutover.
    pub scan_grace: Duration,
}

/// Bounds on what clients can make a worker hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one bulk argument; Redis: 512 MiB.
    pub bulk_bytes: u64,
    /// Arguments of one request; Redis since 7.0: 2,147,483,647, before: 1,048,576.
    pub arguments: u32,
    /// Bytes of an inline request; Redis: 64 KiB.
    pub inline_bytes: usize,
    /// Bytes of one request altogether; Redis: 1 GiB (`client-query-buffer-limit`).
    pub request_bytes: usize,
    /// Requests of one session that have no reply yet; reading from its client stops there.
    pub session_requests: usize,
    /// Bytes of replies that a client has not taken; reading from it stops there.
    pub session_reply_bytes: usize,
    /// Bytes of requests that all sessions together keep while writes are held; no client is read beyond.
    pub held_bytes: usize,
    /// Requests outstanding on one lane.
    pub lane_requests: usize,
    /// Open sessions of one listener, unfinished TLS handshakes among them; a further one is told `max number of clients
    /// reached`, or over TLS, closed.
    pub sessions: usize,
    /// Bytes queued between MULTI and EXEC that are remembered for a move to the other side.
    pub transaction_bytes: usize,
    /// Channels and patterns that one session may be subscribed to.
    pub subscriptions: usize,
    /// Bytes of their names.
    pub subscription_bytes: usize,
    /// Bytes of requests that a database has not taken from one connection; what would go there waits beyond.
    pub upstream_bytes: usize,
    /// A request from this size on gets a private connection, so that it does not stand in others' way.
    pub large_request_bytes: usize,
    /// Idle private connections kept for reuse, for each side and identity, by each worker.
    pub idle_private_connections: usize,
    /// Bytes of scripts that are remembered, to be loaded on the other side before a change.
    pub script_bytes: usize,
    /// Cursors of unfinished iterations that are remembered with the side that gave them.
    pub cursors: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            bulk_bytes: 512 << 20,
            arguments: i32::MAX as u32,
            inline_bytes: 64 << 10,
            request_bytes: 1 << 30,
            session_requests: 1024,
            session_reply_bytes: 8 << 20,
            held_bytes: 256 << 20,
            lane_requests: 1024,
            sessions: 10_000,
            transaction_bytes: 4 << 20,
            subscriptions: 10_000,
            subscription_bytes: 16 << 20,
            upstream_bytes: 64 << 20,
            large_request_bytes: 1 << 20,
            idle_private_connections: 16,
            script_bytes: 8 << 20,
            cursors: 16_384,
        }
    }
}

/// What goes into the audit log of refused writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Audit {
    /// Leave the key out.
    pub redact_keys: bool,
    /// Lines a second, altogether; what exceeds it is counted and said in the next line.
    pub lines_per_second: u32,
}
