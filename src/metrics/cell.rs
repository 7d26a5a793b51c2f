//! A number that one thread writes and any thread reads.

use std::sync::atomic::{AtomicU64, Ordering};

/// A count that only grows. Invariant: one thread writes it, the worker whose shard it is in; so a plain load and store
/// are enough, and the path of a request pays for no locked instruction.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`; only ever called on the one thread that writes.
    pub(super) fn add(&self, n: u64) {
        self.0.store(
            self.0.load(Ordering::Relaxed).wrapping_add(n),
            Ordering::Relaxed,
        );
    }

    /// The count, as new as the reader's view of memory.
    pub(super) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How many of something exist. Moves seldom (sessions, not requests) and its guard may be dropped on any thread, so it
/// is a real atomic.
#[derive(Debug, Default)]
pub(super) struct Level(AtomicU64);

impl Level {
    /// One more.
    pub(super) fn rise(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// One less.
    pub(super) fn fall(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many there are.
    pub(super) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
