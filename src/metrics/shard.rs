//! What one worker counts.

use std::sync::Arc;
use std::time::Duration;

use super::cell::{Counter, Level};
use super::histogram::Histogram;
use super::labels::{ClassLabel, ClientError, Direction, FindingSeverity, UpstreamError};
use crate::terms::{ListenerId, Side};

/// One worker's counters. Invariant: only that worker's thread calls the methods that count.
///
/// A listener that the registry was not told of is not counted.
#[derive(Debug)]
pub struct Shard {
    /// By listener.
    pub(super) listeners: Box<[ListenerCounters]>,
    /// By side.
    pub(super) sides: [SideCounters; 2],
    /// By [`ClientError`].
    pub(super) client_errors: [Counter; ClientError::ALL.len()],
    /// Requests that the target takes differently, by [`FindingSeverity`] and by command; the last one is for commands
    /// without a name of their own.
    pub(super) incompatible: [Box<[Counter]>; FindingSeverity::ALL.len()],
    /// Time inside the proxy.
    pub(super) overhead: Histogram,
    /// Requests behind a closed gate.
    pub(super) held: Level,
    /// Sessions in a blocking command.
    pub(super) blocked: Level,
    /// Sessions between MULTI and EXEC.
    pub(super) in_transaction: Level,
    /// Sessions with a subscription.
    pub(super) subscribed: Level,
}

/// What is counted for one listener.
#[derive(Debug)]
pub(super) struct ListenerCounters {
    /// By [`Side`] and [`ClassLabel`].
    pub(super) requests: [[Counter; ClassLabel::ALL.len()]; 2],
    /// By command; the last one is for commands without a name of their own.
    pub(super) refused: Box<[Counter]>,
    /// Open sessions.
    pub(super) sessions: Level,
}

/// What is counted for one side.
#[derive(Debug)]
pub(super) struct SideCounters {
    /// By [`Direction`].
    pub(super) bytes: [Counter; Direction::ALL.len()],
    /// By [`UpstreamError`].
    pub(super) errors: [Counter; UpstreamError::ALL.len()],
    /// From a request's departure to its reply's arrival.
    pub(super) upstream: Histogram,
    /// Open private connections.
    pub(super) private_connections: Level,
}

/// Counts one of something for as long as it lives.
#[derive(Debug)]
#[must_use = "what it counts is gone when it is dropped"]
pub struct Gauge {
    /// Where it is counted.
    shard: Arc<Shard>,
    /// What it counts.
    what: What,
}

/// What a [`Gauge`] counts.
#[derive(Debug, Clone, Copy)]
enum What {
    Session(ListenerId),
    PrivateConnection(Side),
    Held,
    Blocked,
    InTransaction,
    Subscribed,
}

impl Shard {
    /// All at zero, for so many listeners and named commands.
    pub(super) fn new(listeners: usize, commands: usize) -> Shard {
        Shard {
            listeners: (0..listeners)
                .map(|_| ListenerCounters::new(commands))
                .collect(),
            sides: std::array::from_fn(|_| SideCounters::new()),
            client_errors: Default::default(),
            incompatible: std::array::from_fn(|_| counters(commands)),
            overhead: Histogram::new(),
            held: Level::default(),
            blocked: Level::default(),
            in_transaction: Level::default(),
            subscribed: Level::default(),
        }
    }

    /// `n` requests of a class went to a side.
    pub fn requests(&self, listener: ListenerId, side: Side, class: ClassLabel, n: u64) {
        if let Some(counters) = self.listeners.get(listener.0) {
            counters.requests[side.index()][class.index()].add(n);
        }
    }

    /// A command was refused for what it may write. `command` is its index in the names given to the registry; any
    /// other index counts as `other`.
    pub fn refused(&self, listener: ListenerId, command: u16) {
        if let Some(counters) = self.listeners.get(listener.0) {
            let other = counters.refused.len() - 1;
            counters.refused[usize::from(command).min(other)].add(1);
        }
    }

    /// A request has something about it that the target takes differently. `command` is as for [`Shard::refused`].
    pub fn incompatible(&self, command: u16, severity: FindingSeverity) {
        let counters = &self.incompatible[severity.index()];
        let other = counters.len() - 1;
        counters[usize::from(command).min(other)].add(1);
    }

    /// `n` bytes went to a side's connections or came from them.
    pub fn bytes(&self, side: Side, direction: Direction, n: u64) {
        self.sides[side.index()].bytes[direction.index()].add(n);
    }

    /// An upstream connection did not serve.
    pub fn upstream_error(&self, side: Side, reason: UpstreamError) {
        self.sides[side.index()].errors[reason.index()].add(1);
    }

    /// A client's connection was ended, or not let in.
    pub fn client_error(&self, reason: ClientError) {
        self.client_errors[reason.index()].add(1);
    }

    /// `n` requests spent this long inside the proxy: fully read until handed to the kernel, request plus reply.
    pub fn overhead(&self, duration: Duration, n: u64) {
        self.overhead.record(duration, n);
    }

    /// `n` requests spent this long at a side: handed to the kernel until the reply was fully read.
    pub fn upstream(&self, side: Side, duration: Duration, n: u64) {
        self.sides[side.index()].upstream.record(duration, n);
    }

    /// A session has begun.
    pub fn session_opened(self: &Arc<Self>, listener: ListenerId) -> Gauge {
        self.gauge(What::Session(listener))
    }

    /// A session has a connection of its own.
    pub fn private_opened(self: &Arc<Self>, side: Side) -> Gauge {
        self.gauge(What::PrivateConnection(side))
    }

    /// A request waits behind a closed gate.
    pub fn held(self: &Arc<Self>) -> Gauge {
        self.gauge(What::Held)
    }

    /// A session is in a blocking command.
    pub fn blocked(self: &Arc<Self>) -> Gauge {
        self.gauge(What::Blocked)
    }

    /// A session is between MULTI and EXEC.
    pub fn in_transaction(self: &Arc<Self>) -> Gauge {
        self.gauge(What::InTransaction)
    }

    /// A session has a subscription.
    pub fn subscribed(self: &Arc<Self>) -> Gauge {
        self.gauge(What::Subscribed)
    }

    fn gauge(self: &Arc<Self>, what: What) -> Gauge {
        if let Some(level) = self.level(what) {
            level.rise();
        }
        Gauge {
            shard: Arc::clone(self),
            what,
        }
    }

    fn level(&self, what: What) -> Option<&Level> {
        Some(match what {
            What::Session(listener) => &self.listeners.get(listener.0)?.sessions,
            What::PrivateConnection(side) => &self.sides[side.index()].private_connections,
            What::Held => &self.held,
            What::Blocked => &self.blocked,
            What::InTransaction => &self.in_transaction,
            What::Subscribed => &self.subscribed,
        })
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        if let Some(level) = self.shard.level(self.what) {
            level.fall();
        }
    }
}

impl ListenerCounters {
    fn new(commands: usize) -> ListenerCounters {
        ListenerCounters {
            requests: Default::default(),
            refused: counters(commands),
            sessions: Level::default(),
        }
    }
}

/// One for each named command, and one for all others.
fn counters(commands: usize) -> Box<[Counter]> {
    (0..=commands).map(|_| Counter::default()).collect()
}

impl SideCounters {
    fn new() -> SideCounters {
        SideCounters {
            bytes: Default::default(),
            errors: Default::default(),
            upstream: Histogram::new(),
            private_connections: Level::default(),
        }
    }
}
