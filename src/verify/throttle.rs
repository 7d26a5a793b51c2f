//! Spreads the looks over time, so that the databases have time for others.
//!
//! Refuses to know: what is looked at.

use std::num::NonZero;
use std::time::{Duration, Instant};

/// What was not used of the rate is kept for so long: a slow batch does not make the next ones a burst.
const CREDIT: Duration = Duration::from_millis(50);

/// Where a large value counts as several keys: this many bytes are one.
const BYTES_OF_A_KEY: u64 = 4 << 10;

/// Lets keys through at a rate.
#[derive(Debug)]
pub(super) struct Throttle {
    rate: Option<NonZero<u64>>,
    /// When the next keys may be looked at.
    due: Instant,
}

impl Throttle {
    /// None is no limit.
    pub(super) fn new(rate: Option<NonZero<u64>>, now: Instant) -> Throttle {
        Throttle { rate, due: now }
    }

    /// Waits until so many keys may be looked at.
    ///
    /// Cancel safety: the keys count whether or not the wait is seen to its end.
    pub(super) async fn pass(&mut self, keys: u64) {
        let wait = self.book(keys, Instant::now());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    /// As [`Throttle::pass`], for a piece of a value.
    pub(super) async fn pass_bytes(&mut self, bytes: u64) {
        self.pass(bytes.div_ceil(BYTES_OF_A_KEY)).await;
    }

    /// How long so many keys have to wait; the ones after them wait for these.
    fn book(&mut self, keys: u64, now: Instant) -> Duration {
        let Some(rate) = self.rate else {
            return Duration::ZERO;
        };
        let earliest = now.checked_sub(CREDIT).unwrap_or(now);
        let begins = self.due.max(earliest);
        self.due = begins + Duration::from_nanos(keys.saturating_mul(1_000_000_000) / rate);
        begins.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_pass_at_the_rate_and_what_was_not_used_is_soon_forgotten() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut throttle = Throttle::new(NonZero::new(1000), start);
        assert_eq!(throttle.book(100, at(0)), Duration::ZERO);
        assert_eq!(throttle.book(100, at(0)), Duration::from_millis(100));
        assert_eq!(throttle.book(100, at(150)), Duration::from_millis(50));
        // Ten seconds of silence are worth no more than the credit.
        assert_eq!(throttle.book(100, at(10_000)), Duration::ZERO);
        assert_eq!(throttle.book(1, at(10_000)), Duration::from_millis(50));
    }

    #[test]
    fn without_a_rate_nothing_waits() {
        let start = Instant::now();
        let mut throttle = Throttle::new(None, start);
        assert_eq!(throttle.book(u64::MAX, start), Duration::ZERO);
        assert_eq!(throttle.book(u64::MAX, start), Duration::ZERO);
    }
}
