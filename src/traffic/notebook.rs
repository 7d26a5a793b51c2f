//! What one worker has found: written by it alone, read by whoever makes the report.
//!
//! A finding that is there already costs the worker a look-up and two stores, without a lock or a locked instruction. A
//! new one is made once for each rule and command, and a client once for each finding.

use std::cell::RefCell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rustc_hash::FxHashMap;

use super::rule::Rule;
use crate::command::CommandId;

/// Findings of one worker; more are only counted. An application that has a hundred is not one that moves as it is.
const FINDINGS_MAX: usize = 512;
/// Clients that are named with one finding.
const CLIENTS_MAX: usize = 4;

/// The findings of one worker.
///
/// Invariant: only that worker's thread writes; so plain loads and stores are enough.
#[derive(Debug)]
pub(super) struct Notebook {
    /// The first `used` are taken.
    entries: Box<[Entry]>,
    used: AtomicUsize,
    /// Requests with a finding that found no room.
    unlisted: AtomicU64,
    clock: Clock,
}

/// Where the worker finds an entry again.
#[derive(Debug, Default)]
pub(super) struct Index(RefCell<FxHashMap<(Rule, CommandId), usize>>);

/// One finding.
#[derive(Debug, Default)]
pub(super) struct Entry {
    /// What does not change.
    pub(super) head: OnceLock<Head>,
    count: AtomicU64,
    last_seen_ms: AtomicU64,
    /// The first clients that it was found with.
    pub(super) clients: [OnceLock<Client>; CLIENTS_MAX],
}

/// What of a finding does not change.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) rule: Rule,
    pub(super) command: CommandId,
    pub(super) first_seen_ms: u64,
    /// The first request that it was found with.
    pub(super) example: String,
}

/// A client, as the report names it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Client {
    /// Where it comes from, without the port, which each of its connections has anew.
    pub address: String,
    /// What it calls itself.
    pub name: Option<String>,
    /// Its library and version, where it says so.
    pub library: Option<String>,
}

/// Turns moments into milliseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    begun: Instant,
    begun_ms: u64,
}

impl Clock {
    /// From now on.
    pub(super) fn start() -> Clock {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Clock {
            begun: Instant::now(),
            begun_ms: since.map_or(0, |since| since.as_millis() as u64),
        }
    }

    /// When it was started.
    pub(super) fn begun_ms(&self) -> u64 {
        self.begun_ms
    }

    fn ms(&self, at: Instant) -> u64 {
        self.begun_ms + at.saturating_duration_since(self.begun).as_millis() as u64
    }
}

impl Notebook {
    pub(super) fn new(clock: Clock) -> Notebook {
        Notebook {
            entries: (0..FINDINGS_MAX).map(|_| Entry::default()).collect(),
            used: AtomicUsize::new(0),
            unlisted: AtomicU64::new(0),
            clock,
        }
    }

    /// Writes a finding down; `example` is asked for where it is a new one. Gives its entry, for the client.
    pub(super) fn note(
        &self,
        index: &Index,
        rule: Rule,
        command: CommandId,
        at: Instant,
        example: impl FnOnce() -> String,
    ) -> Option<&Entry> {
        let ms = self.clock.ms(at);
        let known = index.0.borrow().get(&(rule, command)).copied();
        let place = if let Some(place) = known {
            place
        } else {
            let place = self.used.load(Ordering::Relaxed);
            let Some(entry) = self.entries.get(place) else {
                add_one(&self.unlisted);
                return None;
            };
            entry.head.get_or_init(|| Head {
                rule,
                command,
                first_seen_ms: ms,
                example: example(),
            });
            self.used.store(place + 1, Ordering::Release);
            index.0.borrow_mut().insert((rule, command), place);
            place
        };
        let entry = self.entries.get(place)?;
        add_one(&entry.count);
        entry.last_seen_ms.store(ms, Ordering::Relaxed);
        Some(entry)
    }

    /// Everything that was written down so far.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&Head, &Entry)> {
        self.entries[..self.used.load(Ordering::Acquire)]
            .iter()
            .filter_map(|entry| Some((entry.head.get()?, entry)))
    }

    /// Requests with a finding that found no room.
    pub(super) fn unlisted(&self) -> u64 {
        self.unlisted.load(Ordering::Relaxed)
    }
}

impl Entry {
    /// Adds a client, unless it is there or there is no room; `make` is asked where it is a new one.
    pub(super) fn add_client(
        &self,
        is_known: impl Fn(&Client) -> bool,
        make: impl FnOnce() -> Client,
    ) {
        for place in &self.clients {
            match place.get() {
                Some(client) if is_known(client) => return,
                Some(_) => {}
                None => {
                    place.get_or_init(make);
                    return;
                }
            }
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    pub(super) fn last_seen_ms(&self) -> u64 {
        self.last_seen_ms.load(Ordering::Relaxed)
    }
}

/// Only ever called on the one thread that writes.
fn add_one(count: &AtomicU64) {
    count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_keeps_its_first_example_and_counts() {
        let notebook = Notebook::new(Clock::start());
        let index = Index::default();
        let now = Instant::now();
        for example in ["first", "second"] {
            notebook.note(&index, Rule::Missing, CommandId(1), now, || example.into());
        }
        notebook.note(&index, Rule::Missing, CommandId(2), now, || "other".into());
        let seen: Vec<_> = notebook
            .entries()
            .map(|(head, entry)| (head.command, head.example.as_str(), entry.count()))
            .collect();
        assert_eq!(
            seen,
            [(CommandId(1), "first", 2), (CommandId(2), "other", 1)]
        );
    }

    #[test]
    fn neither_findings_nor_clients_grow_without_bound() {
        let notebook = Notebook::new(Clock::start());
        let index = Index::default();
        let now = Instant::now();
        for id in 0..2_000 {
            let entry = notebook.note(&index, Rule::Missing, CommandId(id), now, String::new);
            for address in 0..10 {
                let address = address.to_string();
                let client = || Client {
                    address: address.clone(),
                    name: None,
                    library: None,
                };
                if let Some(entry) = entry {
                    entry.add_client(|known| known.address == address, client);
                }
            }
        }
        assert_eq!(notebook.entries().count(), FINDINGS_MAX);
        assert_eq!(notebook.unlisted(), 2_000 - FINDINGS_MAX as u64);
        assert!(
            notebook
                .entries()
                .all(|(_, entry)| entry.clients.iter().all(|client| client.get().is_some()))
        );
    }
}
