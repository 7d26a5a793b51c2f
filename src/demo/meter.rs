//! What the clients of the traffic feel: operations, failures, and the longest wait of any that was under way while the
//! cutover was.
//!
//! Refuses to know: what the operations are.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Failures that are kept with their text; the rest is only counted.
const NOTES_MAX: usize = 8;

/// What an operation counts as when pauses are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It only reads.
    Read,
    /// It may write.
    Write,
    /// Its duration says nothing about a pause: it waits for others by its nature.
    Waits,
}

/// Shared by all clients of the traffic.
#[derive(Debug, Default)]
pub(super) struct Meter(Mutex<Readings>);

/// What has been measured so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Readings {
    /// Replies that came and were right.
    pub(super) operations: u64,
    /// Failures.
    pub(super) errors: u64,
    /// The first few of them, in words.
    pub(super) notes: Vec<String>,
    /// The longest write that overlapped a cutover.
    pub(super) write_pause: Duration,
    /// The longest read that overlapped a cutover.
    pub(super) read_pause: Duration,
    /// When the newest cutover was asked for, and when it was answered.
    cutover: Option<(Instant, Option<Instant>)>,
}

impl Meter {
    /// An operation has its reply.
    pub(super) fn answered(&self, kind: Kind, started: Instant) {
        self.answered_at(kind, started, Instant::now());
    }

    /// A client failed, and why.
    pub(super) fn failed(&self, who: &str, why: &dyn std::fmt::Display) {
        let mut readings = self.lock();
        readings.errors += 1;
        if readings.notes.len() < NOTES_MAX {
            readings.notes.push(format!("{who}: {why}"));
        }
    }

    /// The cutover is about to be asked for.
    pub(super) fn cutover_begins(&self) {
        self.lock().cutover = Some((Instant::now(), None));
    }

    /// The cutover has been answered.
    pub(super) fn cutover_ends(&self) {
        if let Some((_, end)) = &mut self.lock().cutover {
            *end = Some(Instant::now());
        }
    }

    /// Everything so far.
    pub(super) fn readings(&self) -> Readings {
        self.lock().clone()
    }

    fn answered_at(&self, kind: Kind, started: Instant, ended: Instant) {
        let mut readings = self.lock();
        readings.operations += 1;
        let overlaps = readings
            .cutover
            .is_some_and(|(begin, end)| ended >= begin && end.is_none_or(|end| started <= end));
        if overlaps {
            let took = ended - started;
            match kind {
                Kind::Read => readings.read_pause = readings.read_pause.max(took),
                Kind::Write => readings.write_pause = readings.write_pause.max(took),
                Kind::Waits => {}
            }
        }
    }

    /// A panic elsewhere cannot leave plain numbers half-written.
    fn lock(&self) -> MutexGuard<'_, Readings> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds one operation, in milliseconds since the cutover began (it ends at 100), and gives the write pause.
    fn pause_ms(started: i64, ended: i64) -> u128 {
        let zero = Instant::now() + Duration::from_secs(10);
        let at = |ms: i64| {
            let distance = Duration::from_millis(ms.unsigned_abs());
            if ms < 0 {
                zero.checked_sub(distance).unwrap()
            } else {
                zero + distance
            }
        };
        let meter = Meter::default();
        meter.lock().cutover = Some((at(0), Some(at(100))));
        meter.answered_at(Kind::Write, at(started), at(ended));
        meter.readings().write_pause.as_millis()
    }

    #[test]
    fn only_operations_that_overlap_the_cutover_are_pauses() {
        assert_eq!(pause_ms(-50, -1), 0, "ended before it");
        assert_eq!(pause_ms(101, 150), 0, "began after it");
        assert_eq!(pause_ms(-10, 10), 20, "reaches into it");
        assert_eq!(pause_ms(90, 130), 40, "reaches out of it");
        assert_eq!(pause_ms(-5, 200), 205, "spans it");
    }

    #[test]
    fn reads_and_writes_are_kept_apart() {
        let meter = Meter::default();
        meter.cutover_begins();
        let start = Instant::now();
        meter.answered_at(Kind::Read, start, start + Duration::from_millis(3));
        meter.answered_at(Kind::Write, start, start + Duration::from_millis(7));
        meter.answered_at(Kind::Waits, start, start + Duration::from_secs(7));
        let readings = meter.readings();
        assert_eq!(readings.read_pause, Duration::from_millis(3));
        assert_eq!(readings.write_pause, Duration::from_millis(7));
        assert_eq!(readings.operations, 3);
    }

    #[test]
    fn every_failure_is_counted_and_the_first_are_told() {
        let meter = Meter::default();
        for _ in 0..20 {
            meter.failed("reader 1", &"closed");
        }
        let readings = meter.readings();
        assert_eq!(readings.errors, 20);
        assert_eq!(readings.notes.len(), NOTES_MAX);
        assert_eq!(readings.notes[0], "reader 1: closed");
    }
}
