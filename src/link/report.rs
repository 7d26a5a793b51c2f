//! What a look at the link says, whichever driver looks.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::terms::{Lag, ReplOffset};

/// Where the link stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// No link between the two.
    Detached,
    /// Configured, not connected.
    Connecting,
    /// A full copy is under way.
    Syncing,
    /// The full copy is done, the stream flows.
    Streaming,
    /// It stands, and not by itself will it go on.
    Broken,
    /// The answer was not one of the above; never "go".
    Unknown,
}

/// A position in one shard's replication stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardPosition {
    /// The stream's identity. Offsets under different ids cannot be compared.
    pub replication_id: String,
    /// Bytes into that stream.
    pub offset: ReplOffset,
}

/// A position of the copied side: one entry a shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// In the order of the shards.
    pub shards: Vec<ShardPosition>,
}

impl Position {
    /// Whether both lie in the same streams, shard by shard.
    #[must_use]
    pub fn same_streams(&self, other: &Position) -> bool {
        let own = self.shards.iter().map(|shard| &shard.replication_id);
        own.eq(other.shards.iter().map(|shard| &shard.replication_id))
    }
}

/// Changes whenever the link starts over with a full copy; equal generations mean that nothing was resynced between.
/// Opaque but for equality; the text is for logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation(pub String);

/// One look at the link.
#[derive(Debug, Clone)]
pub struct Report {
    /// When the look was taken; a report is stale when it is too old.
    pub at: Instant,
    /// Where the link stands.
    pub phase: Phase,
    /// How far the filled side is behind.
    pub lag: Lag,
    /// What the filled side has applied, if the driver knows.
    pub applied: Option<Position>,
    /// Where the copied side is, if the driver knows.
    pub written: Option<Position>,
    /// Identity of the current full copy; none where unknown.
    pub generation: Option<Generation>,
    /// Bytes of the full copy received so far, where known.
    pub bytes_done: Option<u64>,
    /// Bytes of the full copy altogether, where known.
    pub bytes_total: Option<u64>,
    /// What the link is waiting for where it seems to stand still, for people.
    pub waiting_for: Option<String>,
    /// The newest error of the link, in the database's own words, without secrets.
    pub last_error: Option<String>,
}

impl Report {
    /// A look that found out nothing.
    pub(crate) fn unknown(at: Instant, last_error: String) -> Report {
        Report {
            at,
            phase: Phase::Unknown,
            lag: Lag::Unknown,
            applied: None,
            written: None,
            generation: None,
            bytes_done: None,
            bytes_total: None,
            waiting_for: None,
            last_error: Some(last_error),
        }
    }
}

/// Whether a position has been reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CaughtUp {
    /// Applied, on every shard, under the same replication id.
    Yes,
    /// Not yet; what remains, where known.
    NotYet {
        /// Bytes to go.
        remaining_bytes: Option<u64>,
    },
    /// It never will be: another replication id, or the link is gone. Says which.
    Never(String),
}
