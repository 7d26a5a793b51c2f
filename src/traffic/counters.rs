//! Which counters the application counts with, so that somebody can look how far they have come: a request tells by how
//! much a counter changes, and not what it is.
//!
//! Refuses to know: where the values are.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustc_hash::FxHashSet;

use super::concern::Counting;
use crate::resp::request::Request;

/// Counters that are remembered. An application that has more (one for each customer, say) has one of each kind among
/// the first ones, most likely; that there are more is said.
const COUNTERS_MAX: usize = 1_024;
/// Bytes of the names of one; longer ones are not remembered.
const NAME_BYTES_MAX: usize = 512;

/// The counters that all workers have seen.
#[derive(Debug, Default)]
pub(super) struct Counters(Mutex<Counted>);

/// What is remembered of the application's counters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counted {
    /// The first ones.
    pub counters: HashSet<Counter>,
    /// There are more.
    pub has_forgotten: bool,
}

/// A counter.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Counter {
    /// Its key.
    pub key: Vec<u8>,
    /// The field of the hash at that key, where it is one.
    pub field: Option<Vec<u8>>,
}

/// What one worker has noted already: it takes the lock once for each counter.
#[derive(Debug, Default)]
pub(super) struct Noted {
    digests: RefCell<FxHashSet<u64>>,
    hasher: RandomState,
    /// It has said that there are more.
    is_full: Cell<bool>,
}

impl Counters {
    /// A request that counts.
    pub(super) fn note(&self, noted: &Noted, counting: Counting, request: &Request<'_>) {
        let (key, field) = match counting {
            Counting::Nothing => return,
            Counting::Key => (request.argument(1), None),
            Counting::Field => (request.argument(1), request.argument(2)),
        };
        let Some(key) = key else { return };
        let digest = noted.hasher.hash_one((key, field));
        let mut digests = noted.digests.borrow_mut();
        if digests.contains(&digest) || noted.is_full.get() {
            return;
        }
        let fits = key.len() + field.map_or(0, <[u8]>::len) <= NAME_BYTES_MAX;
        let mut counted = self.lock();
        if !fits || digests.len() >= COUNTERS_MAX || counted.counters.len() >= COUNTERS_MAX {
            counted.has_forgotten = true;
            noted.is_full.set(digests.len() >= COUNTERS_MAX);
            return;
        }
        digests.insert(digest);
        counted.counters.insert(Counter {
            key: key.to_vec(),
            field: field.map(<[u8]>::to_vec),
        });
    }

    pub(super) fn counted(&self) -> Counted {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Counted> {
        // Each entry is whole between two statements: it is in order whoever panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::encode;
    use crate::resp::request::{Limits, Scanned, Scanner};

    fn note(counters: &Counters, noted: &Noted, counting: Counting, words: &[&str]) {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        let bytes = encode::command_vec(&words);
        let Ok(Scanned::Request(shape)) = Scanner::default().scan(&bytes, &Limits::redis()) else {
            panic!("a whole request");
        };
        counters.note(noted, counting, &Request::new(&bytes, &shape));
    }

    #[test]
    fn each_counter_is_remembered_once_by_its_key_and_field() {
        let (counters, noted) = (Counters::default(), Noted::default());
        for _ in 0..3 {
            note(&counters, &noted, Counting::Key, &["INCR", "a"]);
            note(
                &counters,
                &noted,
                Counting::Field,
                &["HINCRBY", "a", "f", "1"],
            );
        }
        let counted = counters.counted();
        assert_eq!(counted.counters.len(), 2);
        assert!(!counted.has_forgotten);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_says_so() {
        let (counters, noted) = (Counters::default(), Noted::default());
        for number in 0..=COUNTERS_MAX {
            note(
                &counters,
                &noted,
                Counting::Key,
                &["INCR", &number.to_string()],
            );
        }
        let counted = counters.counted();
        assert_eq!(counted.counters.len(), COUNTERS_MAX);
        assert!(counted.has_forgotten);
        let other = Counters::default();
        let long = "x".repeat(NAME_BYTES_MAX + 1);
        note(&other, &Noted::default(), Counting::Key, &["INCR", &long]);
        assert!(other.counted().counters.is_empty() && other.counted().has_forgotten);
    }
}
