//! The words every room shares: sides, epochs, positions, secrets. Knows nothing but the standard library and serde.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One of the two databases. The *active side* is the one that owns writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The database the application runs on before the cutover.
    Source,
    /// The database it is moving to.
    Target,
}

impl Side {
    /// Both sides, in the order in which arrays indexed by [`Side::index`] hold them.
    pub const BOTH: [Side; 2] = [Side::Source, Side::Target];

    /// The opposite side.
    #[must_use]
    pub const fn other(self) -> Side {
        match self {
            Side::Source => Side::Target,
            Side::Target => Side::Source,
        }
    }

    /// Position in an array of two.
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Side::Source => 0,
            Side::Target => 1,
        }
    }

    /// The name as it appears in metrics, logs and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Side::Source => "source",
            Side::Target => "target",
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Keys whose names begin so are Handover's own: markers, which mean something only on the side they are on, and go away by
/// themselves.
pub const OWN_KEYS: &str = "__handover:";

/// Bits of a counter of an Active-Active database, its sign among them: what the documents say of INCR and its like.
pub const ACTIVE_ACTIVE_COUNTER_BITS: u32 = 59;

/// Grows by one each time a policy is published by the gate.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch after this one.
    #[must_use]
    pub const fn next(self) -> Epoch {
        Epoch(self.0 + 1)
    }
}

/// A replication offset, in bytes of the replication stream.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
pub struct ReplOffset(pub u64);

/// How far the target is behind. Unknown is never "go".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lag {
    /// Nothing says how far it is.
    Unknown,
    /// Bytes of the replication stream that the target has not applied.
    Bytes(u64),
    /// Age of the newest write that the target has applied.
    Time(Duration),
}

/// Names a listener of the configuration, by its position there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ListenerId(pub usize);

/// A password or another value that must never be printed. `Debug` and `Display` show `[redacted]`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(Box<[u8]>);

impl Secret {
    /// Wraps the value.
    pub fn new(value: impl Into<Vec<u8>>) -> Secret {
        Secret(value.into().into_boxed_slice())
    }

    /// The value itself, for the one place that sends or compares it.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Who a connection is to the database.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Identity {
    /// No `AUTH` is sent: the server's default user, if it lets one in.
    #[default]
    Anonymous,
    /// `AUTH password`: the default user.
    Password(Secret),
    /// `AUTH user password`.
    User {
        /// ACL user name.
        name: Secret,
        /// Its password.
        password: Secret,
    },
}

impl Identity {
    /// The name of the ACL user that it is, or is taken for.
    pub fn user(&self) -> &[u8] {
        match self {
            Identity::Anonymous | Identity::Password(_) => b"default",
            Identity::User { name, .. } => name.expose(),
        }
    }
}
