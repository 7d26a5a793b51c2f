//! Compares two sides under live traffic: keys, types, values, times to live. The first round looks at every key (or at a
//! sample), each further round looks again only at what differed in the one before, so that what was merely on its way
//! falls out.
//!
//! Refuses to know: the link, the cutover, what is done about a difference.

mod again;
mod batch;
mod content;
mod describe;
mod fields;
mod large;
mod print;
mod rounds;
mod settle;
mod side;
mod stream;
mod throttle;
mod walk;

use std::num::NonZero;
use std::time::Duration;

use serde::Serialize;

use crate::upstream::{Server, control};

/// How to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Look at about this many keys of each side, chosen by the servers; all of them where none.
    pub sample: Option<u64>,
    /// Keys of a side to look at in a second, at most; as many as the servers bear where none. A large value counts as
    /// several keys.
    pub rate: Option<NonZero<u64>>,
    /// Rounds at most, the first included; fewer where nothing is open any more.
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
            rate: NonZero::new(25_000),
            rounds: 5,
            pause: Duration::from_millis(300),
            ttl_tolerance: Duration::from_secs(1),
            remembered_max: 100_000,
            named_max: 1000,
        }
    }
}

/// How far a comparison is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The round, from 1.
    pub round: u32,
    /// Keys looked at in this round, of both sides.
    pub keys_done: u64,
    /// Keys there are to look at in this round, about.
    pub keys_expected: u64,
    /// Keys found to differ so far in this round.
    pub differing: u64,
    /// Time since the beginning.
    pub elapsed: Duration,
    /// Time since the round began.
    pub in_round: Duration,
}

impl Progress {
    /// Keys a second in this round; none before there is a time to divide by.
    pub fn keys_per_second(&self) -> Option<u64> {
        let milliseconds = u64::try_from(self.in_round.as_millis()).ok()?;
        self.keys_done
            .saturating_mul(1000)
            .checked_div(milliseconds)
    }

    /// The time that the rest of this round takes at that rate; none while nothing is done.
    pub fn left(&self) -> Option<Duration> {
        let rate = self.keys_per_second().filter(|rate| *rate > 0)?;
        let left = self.keys_expected.saturating_sub(self.keys_done);
        Some(Duration::from_millis(left.saturating_mul(1000) / rate))
    }
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
    /// Whether the side that follows had everything, at the last look, that the other had before it: else what differs
    /// may be on its way. None where the servers do not tell, and where no key was looked at again.
    pub caught_up: Option<bool>,
    /// Rounds that were made.
    pub rounds: u32,
    /// How long it took.
    pub seconds: f64,
    /// The differing keys, [`Options::named_max`] at most.
    pub sample: Vec<Difference>,
    /// The unsettled keys, as many at most.
    pub unsettled_sample: Vec<Key>,
}

/// A key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Key {
    /// The database it is in, on the side that owns the writes.
    pub database: u32,
    /// The key; bytes that are not printable ASCII are written `\xNN`.
    pub key: String,
}

/// A key that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Which.
    #[serde(flatten)]
    pub key: Key,
    /// In what it differs.
    pub what: What,
    /// What the source holds, seen after the last round; none where it does not have the key.
    pub source: Option<Held>,
    /// What the target holds.
    pub target: Option<Held>,
}

/// What a side holds under a key, in a few words: never the value itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Held {
    /// Its type, as `TYPE` gives it.
    #[serde(rename = "type")]
    pub kind: String,
    /// Bytes of a string, elements of anything else; none for types that are not known.
    pub length: Option<u64>,
    /// Milliseconds that it still has to live; none where it never expires.
    pub ttl_ms: Option<u64>,
    /// The same for equal contents, whatever their order and representation, within one version of Handover; none for
    /// what is too large to be read whole.
    pub digest: Option<String>,
}

/// In what a key differs: the first of these that applies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// The target does not have it.
    MissingOnTarget,
    /// Only the target has it.
    MissingOnSource,
    /// It is of another type.
    Type,
    /// It has more bytes or elements, or fewer.
    Length,
    /// Its value, of the same length.
    Value,
    /// Its time to live, or that of a field of a hash.
    TimeToLive,
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

/// Compares two sides: the one that owns the writes comes first, whichever it is, and may be written to meanwhile; the
/// other one follows it. `progress` is called after each batch.
///
/// Where both servers' configured database is the same, all databases are compared, each with its namesake; otherwise
/// the two configured ones.
///
/// Cancel safety: reads only; dropping it ends it.
pub async fn compare(
    active: &Server,
    other: &Server,
    options: Options,
    progress: impl FnMut(Progress),
) -> Result<Summary, Error> {
    rounds::run(active, other, options, progress).await
}
