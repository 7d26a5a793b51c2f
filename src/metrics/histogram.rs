//! Durations, recorded by one worker at a few nanoseconds each, read by the scrape.
//!
//! Why not an `HdrHistogram` per worker: recording into one needs `&mut`, so a scrape would have to lock it or take turns
//! with the worker. This is the same log-linear layout over counters with a single writer; the scrape copies the counts
//! into an `HdrHistogram` and asks that for the quantiles.

use std::time::Duration;

use super::cell::Counter;

/// Linear steps within each power of two: 64 keep the error of a value below 1/64, 1.6 %.
const STEP_BITS: u32 = 6;
const STEPS: usize = 1 << STEP_BITS;
/// Values are held below 2^36 ns (68 s); what is longer counts as that. No reply is waited for so long unblocked.
const VALUE_BITS: u32 = 36;
/// The longest value.
const VALUE_MAX: u64 = (1 << VALUE_BITS) - 1;
/// 1,984 buckets, 16 KiB.
pub(super) const BUCKETS: usize = (VALUE_BITS - STEP_BITS + 1) as usize * STEPS;

/// Counts of durations by size. One thread records.
#[derive(Debug)]
pub(super) struct Histogram {
    /// By [`bucket`].
    counts: Box<[Counter]>,
    /// Of all recorded values, in nanoseconds, before they were held to the longest value.
    sum_ns: Counter,
}

impl Histogram {
    /// An empty one; allocates all it will ever need.
    pub(super) fn new() -> Histogram {
        Histogram {
            counts: (0..BUCKETS).map(|_| Counter::default()).collect(),
            sum_ns: Counter::default(),
        }
    }

    /// Records the duration `n` times.
    pub(super) fn record(&self, duration: Duration, n: u64) {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.counts[bucket(nanoseconds)].add(n);
        self.sum_ns.add(nanoseconds.wrapping_mul(n));
    }

    /// Adds what has been recorded to `totals`.
    pub(super) fn add_to(&self, totals: &mut Totals) {
        for (total, count) in totals.counts.iter_mut().zip(&self.counts) {
            *total += count.value();
        }
        totals.sum_ns += self.sum_ns.value();
    }
}

/// What several histograms hold together, at one moment.
#[derive(Debug, Clone)]
pub(super) struct Totals {
    /// By [`bucket`].
    counts: Box<[u64]>,
    /// Of all values.
    sum_ns: u64,
}

impl Totals {
    /// Nothing recorded.
    pub(super) fn new() -> Totals {
        Totals {
            counts: vec![0; BUCKETS].into_boxed_slice(),
            sum_ns: 0,
        }
    }

    /// How many values were recorded.
    pub(super) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Their sum in seconds.
    #[allow(clippy::cast_precision_loss)] // 2^53 ns are 104 days of summed latency; a lost nanosecond is no loss
    pub(super) fn sum_seconds(&self) -> f64 {
        self.sum_ns as f64 / 1e9
    }

    /// The given quantiles, in seconds, of what was recorded since `earlier`; none where that is nothing.
    #[allow(clippy::cast_precision_loss)] // at most VALUE_MAX, which is exact
    pub(super) fn quantiles_since(&self, earlier: &Totals, quantiles: &[f64]) -> Option<Vec<f64>> {
        // Two digits: finer than the buckets. The bounds are constants that the crate accepts.
        let mut merged = hdrhistogram::Histogram::<u64>::new_with_bounds(1, VALUE_MAX, 2).ok()?;
        for (index, (now, then)) in self.counts.iter().zip(&earlier.counts).enumerate() {
            let n = now.saturating_sub(*then);
            if n > 0 {
                merged.saturating_record_n(middle(index), n);
            }
        }
        (!merged.is_empty()).then(|| {
            quantiles
                .iter()
                .map(|&quantile| merged.value_at_quantile(quantile) as f64 / 1e9)
                .collect()
        })
    }
}

/// Where a value is counted: linear below [`STEPS`], then [`STEPS`] steps for each power of two.
fn bucket(nanoseconds: u64) -> usize {
    let value = nanoseconds.min(VALUE_MAX);
    // The power of two above the linear part that the value falls into; 0 is the linear part itself.
    let power = (u64::BITS - (value >> STEP_BITS).leading_zeros()) as usize;
    if power == 0 {
        return value as usize;
    }
    power * STEPS + ((value >> (power - 1)) as usize - STEPS)
}

/// A value in the middle of a bucket; the inverse of [`bucket`] up to its width.
fn middle(index: usize) -> u64 {
    let (power, step) = (index / STEPS, (index % STEPS) as u64);
    if power == 0 {
        return step;
    }
    let width = 1_u64 << (power - 1);
    (step + STEPS as u64) * width + width / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lands_in_a_bucket_whose_middle_is_within_two_percent() {
        let mut value = 1_u64;
        while value <= VALUE_MAX {
            for near in [value - 1, value, value + value / 3] {
                let near = near.min(VALUE_MAX);
                let index = bucket(near);
                assert!(index < BUCKETS, "{near} in {index}");
                let error = middle(index).abs_diff(near);
                assert!(error * 50 <= near, "{near} in {index}, {}", middle(index));
            }
            value *= 2;
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn buckets_grow_with_values() {
        let mut last = 0;
        for value in (0..1_000_000).step_by(7) {
            assert!(bucket(value) >= last);
            last = bucket(value);
        }
    }

    #[test]
    fn quantiles_are_of_what_came_since() {
        let histogram = Histogram::new();
        histogram.record(Duration::from_millis(900), 1000);
        let mut before = Totals::new();
        histogram.add_to(&mut before);
        for microseconds in 1..=1000 {
            histogram.record(Duration::from_micros(microseconds), 1);
        }
        let mut after = Totals::new();
        histogram.add_to(&mut after);

        let quantiles = after.quantiles_since(&before, &[0.5, 0.99]).unwrap();
        assert!((quantiles[0] - 0.0005).abs() < 0.00001, "{quantiles:?}");
        assert!((quantiles[1] - 0.00099).abs() < 0.00002, "{quantiles:?}");
        assert_eq!(after.count(), 2000);
        assert!((after.sum_seconds() - 900.5005).abs() < 1e-6);
        assert_eq!(after.quantiles_since(&after, &[0.5]), None);
    }
}
