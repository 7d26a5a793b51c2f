//! Compares two sides under live traffic: keys, types, values, times to live. The first round looks at every key (or at a
//! sample), each further round looks again only at what differed in the one before, so that what was merely on its way
//! falls out.
//!
//! Refuses to know: the link, the cutover, what is done about a difference.

mod batch;
mod content;
mod large;
mod rounds;
mod side;

use std::time::Duration;

use serde::Serialize;

use crate::upstream::{Server, control};

/// How to compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Look at about this many keys of each side, chosen by the servers; all of them where none.
    pub sample: Option<u64>,
    /// Rounds at most, the first included.
    pub rounds: u32,
    /// Wait between two rounds: time for what is on its way to arrive.
    pub pause: Duration,
    /// How far times to live may be apart: they are read one after the other.
    pub ttl_tolerance: Duration,
    /// Keys that differ and are looked at again; more are only counted. Bounds the memory.
    pub remembered_max: usize,
    /// Differences that the summary names.
    pub named_max: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            sample: None,
            rounds: 5,
            pause: Duration::from_millis(300),
            ttl_tolerance: Duration::from_secs(1),
            remembered_max: 100_000,
            named_max: 100,
        }
    }
}

/// How far a comparison is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// The round, from 1.
    pub round: u32,
    /// Keys looked at in this round.
    pub keys_done: u64,
    /// Keys there are to look at in this round, about.
    pub keys_expected: u64,
    /// Keys found to differ so far in this round.
    pub differing: u64,
    /// Time since the beginning.
    pub elapsed: Duration,
}

/// What a comparison found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Keys looked at.
    pub keys: u64,
    /// Keys that still differed in the last round, or were too many to be looked at again.
    pub differing: u64,
    /// Keys that changed on the source while they were compared, each time: neither alike nor different.
    pub unsettled: u64,
    /// Whether more keys differed than could be remembered; some of them may have been on their way only.
    pub overflowed: bool,
    /// Rounds that were made.
    pub rounds: u32,
    /// How long it took.
    pub seconds: f64,
    /// Some of the differing keys, [`Options::named_max`] at most.
    pub sample: Vec<Difference>,
}

/// A key that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The database it is in, on the source.
    pub database: u32,
    /// The key; bytes that are not printable ASCII are written `\xNN`.
    pub key: String,
    /// In what it differs.
    pub what: What,
}

/// In what a key differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// The target does not have it.
    MissingOnTarget,
    /// Only the target has it.
    MissingOnSource,
    /// It is of another type.
    Type {
        /// Its type on the source.
        source: String,
        /// Its type on the target.
        target: String,
    },
    /// Its value.
    Value,
    /// Its time to live, in milliseconds; none where it never expires.
    TimeToLive {
        /// On the source.
        source: Option<u64>,
        /// On the target.
        target: Option<u64>,
    },
    /// It could not be compared.
    NotComparable {
        /// Why.
        reason: String,
    },
}

/// Why there is no summary.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A side could not be asked.
    #[error(transparent)]
    Control(#[from] control::Error),
}

/// Compares `target` with `source`: the side that owns the writes comes first, whichever it is. `progress` is called
/// after each batch.
///
/// Where both servers' configured database is the same, all databases are compared, each with its namesake; otherwise
/// the two configured ones.
///
/// Cancel safety: reads only; dropping it ends it.
pub async fn compare(
    source: &Server,
    target: &Server,
    options: Options,
    progress: impl FnMut(Progress),
) -> Result<Summary, Error> {
    rounds::run(source, target, options, progress).await
}
