//! Which keys have changed and are not copied yet, and how far that leaves the copy behind. Pure.
//!
//! Each mark has a number, in the order in which the server told of the changes. A key that is marked again before its
//! copying has begun keeps its place; one that is marked later gets a new one, since its copy may be of before.

use std::collections::{HashSet, VecDeque};
use std::time::Instant;

use bytes::Bytes;

/// Names of keys that are remembered, in bytes. Beyond it they are forgotten, and everything is compared instead.
pub(super) const NAMES_BYTES_MAX: usize = 64 << 20;

/// What one more entry costs beyond its name: its places in the queue and in the set.
const ENTRY_BYTES: usize = 96;

/// A change to be copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    /// Its number.
    pub(super) number: u64,
    /// When it was told.
    pub(super) at: Instant,
    /// The key.
    pub(super) key: Bytes,
}

/// A look at everything that is not finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Walk {
    /// The oldest mark that it stands for.
    number: u64,
    /// When that was told.
    at: Instant,
}

/// Changes that are not copied yet.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// The oldest first.
    queue: VecDeque<Mark>,
    /// The keys in the queue.
    queued: HashSet<Bytes>,
    /// What the names in the queue cost.
    bytes: usize,
    /// The oldest mark that is being copied.
    in_flight: Option<(u64, Instant)>,
    /// Whether everything is to be looked at, or is being.
    walk: Option<Walk>,
    /// The number of the next mark.
    next: u64,
}

/// Whether there was room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// There was.
    Left,
    /// There was none: what waited is forgotten, and everything is to be compared.
    None,
}

impl Pending {
    /// A key has changed.
    pub(super) fn mark(&mut self, key: Bytes, at: Instant) -> Room {
        let number = self.next;
        self.next += 1;
        if self.queued.contains(&key) {
            return Room::Left;
        }
        let cost = key.len() + ENTRY_BYTES;
        if self.bytes + cost > NAMES_BYTES_MAX {
            self.mark_everything(at);
            return Room::None;
        }
        self.bytes += cost;
        self.queued.insert(key.clone());
        self.queue.push_back(Mark { number, at, key });
        Room::Left
    }

    /// Anything may have changed: a walk over everything is to begin anew. What waited is part of it.
    pub(super) fn mark_everything(&mut self, at: Instant) {
        let (number, at) = self.oldest().unwrap_or((self.next, at));
        self.next += 1;
        self.queue.clear();
        self.queued.clear();
        self.bytes = 0;
        self.walk = Some(Walk { number, at });
    }

    /// The walk has ended. A key that changed behind it is marked.
    pub(super) fn walked(&mut self) {
        self.walk = None;
    }

    /// The oldest marks, for copying: at most `keys_max`. They are in flight until [`Pending::copied`].
    pub(super) fn take(&mut self, keys_max: usize) -> Vec<Mark> {
        let taken: Vec<Mark> = self.queue.drain(..keys_max.min(self.queue.len())).collect();
        for mark in &taken {
            self.queued.remove(&mark.key);
            self.bytes -= mark.key.len() + ENTRY_BYTES;
        }
        self.in_flight = taken.first().map(|mark| (mark.number, mark.at));
        taken
    }

    /// What was in flight is copied, but for `left`, the newest of it, which waits again in its old place: whether or not
    /// everything is being compared, since that may have passed the key before it changed. One that was marked again
    /// meanwhile is then copied twice.
    pub(super) fn copied(&mut self, left: Vec<Mark>) {
        self.in_flight = None;
        for mark in left.into_iter().rev() {
            self.bytes += mark.key.len() + ENTRY_BYTES;
            self.queued.insert(mark.key.clone());
            self.queue.push_front(mark);
        }
    }

    /// How many marks there have been.
    pub(super) fn seen(&self) -> u64 {
        self.next
    }

    /// Every mark below this number is copied.
    pub(super) fn reached(&self) -> u64 {
        self.oldest().map_or(self.next, |(number, _)| number)
    }

    /// When the oldest change was told that is not copied.
    pub(super) fn behind_since(&self) -> Option<Instant> {
        self.oldest().map(|(_, at)| at)
    }

    /// Keys that wait.
    pub(super) fn waiting(&self) -> usize {
        self.queue.len()
    }

    fn oldest(&self) -> Option<(u64, Instant)> {
        let queued = self.queue.front().map(|mark| (mark.number, mark.at));
        let walk = self.walk.map(|walk| (walk.number, walk.at));
        [queued, walk, self.in_flight]
            .into_iter()
            .flatten()
            .min_by_key(|(number, _)| *number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct World {
        pending: Pending,
        now: Instant,
    }

    impl World {
        fn new() -> World {
            World {
                pending: Pending::default(),
                now: Instant::now(),
            }
        }

        fn mark(&mut self, key: &'static str) -> Room {
            self.pending
                .mark(Bytes::from_static(key.as_bytes()), self.now)
        }

        fn take(&mut self, keys_max: usize) -> Vec<Mark> {
            self.pending.take(keys_max)
        }
    }

    fn names(marks: &[Mark]) -> Vec<String> {
        let name = |mark: &'_ Mark| String::from_utf8_lossy(&mark.key).into_owned();
        marks.iter().map(name).collect()
    }

    #[test]
    fn what_is_seen_is_reached_once_it_is_copied() {
        let mut world = World::new();
        world.mark("a");
        world.mark("b");
        let seen = world.pending.seen();
        assert!(world.pending.reached() < seen);
        let taken = world.take(10);
        assert_eq!(names(&taken), ["a", "b"]);
        assert!(world.pending.reached() < seen, "in flight is not copied");
        world.pending.copied(vec![]);
        assert!(world.pending.reached() >= seen);
    }

    #[test]
    fn a_key_that_changes_while_it_is_copied_is_copied_again() {
        let mut world = World::new();
        world.mark("a");
        world.take(1);
        world.mark("a");
        let seen = world.pending.seen();
        world.pending.copied(vec![]);
        assert!(world.pending.reached() < seen);
        assert_eq!(names(&world.take(1)), ["a"]);
    }

    #[test]
    fn a_key_that_changes_often_waits_once_and_in_its_first_place() {
        let mut world = World::new();
        for key in ["a", "b", "a", "a"] {
            world.mark(key);
        }
        assert_eq!(names(&world.take(10)), ["a", "b"]);
    }

    #[test]
    fn what_was_not_copied_keeps_its_place() {
        let mut world = World::new();
        for key in ["a", "b", "c"] {
            world.mark(key);
        }
        let mut taken = world.take(2);
        world.mark("b");
        let left = taken.split_off(1);
        world.pending.copied(left);
        assert_eq!(world.pending.reached(), 1);
        assert_eq!(names(&world.take(10)), ["b", "c", "b"]);
        assert_eq!(world.pending.bytes, 0);
    }

    #[test]
    fn a_walk_stands_for_what_waited() {
        let mut world = World::new();
        world.mark("a");
        world.pending.mark_everything(world.now);
        world.mark("b");
        let seen = world.pending.seen();
        assert_eq!(names(&world.take(10)), ["b"]);
        world.pending.copied(vec![]);
        assert_eq!(world.pending.reached(), 0, "the walk is not done");
        world.pending.walked();
        assert!(world.pending.reached() >= seen);
    }

    #[test]
    fn what_changed_behind_a_walk_and_was_not_copied_is_not_forgotten() {
        let mut world = World::new();
        world.pending.mark_everything(world.now);
        world.mark("a");
        world.mark("b");
        let mut taken = world.take(2);
        let left = taken.split_off(1);
        world.pending.copied(left);
        world.pending.walked();
        assert!(world.pending.reached() < world.pending.seen());
        assert_eq!(names(&world.take(10)), ["b"]);
    }

    #[test]
    fn names_beyond_the_bound_are_forgotten_for_a_walk() {
        let mut world = World::new();
        let name = |number: usize| Bytes::from(format!("{number:01024}"));
        let mut number = 0;
        while world.pending.mark(name(number), world.now) == Room::Left {
            number += 1;
        }
        assert!(number * 1024 > NAMES_BYTES_MAX / 2);
        assert_eq!(world.pending.waiting(), 0);
        assert!(world.pending.walk.is_some());
        assert_eq!(world.pending.reached(), 0);
    }
}
