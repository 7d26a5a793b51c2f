//! The last minutes as a chart of a line or more, and the rates between samples. Pure.

use crate::cli::view::Sample;

/// From little to much.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Rates are over so many milliseconds at least: two looks that happen to be close to each other say little.
const RATE_OVER_MS: u64 = 3_500;
/// A hole that is longer than this many milliseconds has no rate.
const HOLE_MS: u64 = 12_000;

/// Bars over so many lines, the newest value to the right; each stands for the most of its part. A blank is not known.
pub(super) fn lines(values: &[Option<u64>], width: usize, lines: usize) -> Vec<String> {
    let width = width.min(values.len());
    let top = values.iter().flatten().max().copied().unwrap_or(0).max(1);
    let steps = (lines * BARS.len()).saturating_sub(1);
    let heights = (0..width)
        .map(|at| {
            let part = &values[at * values.len() / width..(at + 1) * values.len() / width];
            part.iter().flatten().max().map_or(0, |&most| {
                let above = u128::from(most) * steps as u128 / u128::from(top);
                1 + usize::try_from(above).unwrap_or(0)
            })
        })
        .collect::<Vec<_>>();
    let line = |below: usize| {
        let bars = heights.iter().map(|height| {
            match height.saturating_sub(below * BARS.len()).min(BARS.len()) {
                0 => ' ',
                step => BARS[step - 1],
            }
        });
        bars.collect()
    };
    (0..lines).rev().map(line).collect()
}

/// How much of `of` grows in a second, lately; none over a hole, and over a restart, which begins to count anew.
pub(super) fn rate(samples: &[Sample], of: impl Fn(&Sample) -> Option<u64>) -> Option<u64> {
    let newest = samples.last()?;
    let before = samples
        .iter()
        .rev()
        .find(|sample| newest.at_unix_ms.saturating_sub(sample.at_unix_ms) >= RATE_OVER_MS)
        .or(samples.first())?;
    let elapsed = newest.at_unix_ms.checked_sub(before.at_unix_ms)?;
    let grown = of(newest)?.checked_sub(of(before)?)?;
    (elapsed > 0 && elapsed <= HOLE_MS).then(|| grown * 1000 / elapsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_is_scaled_to_its_highest_and_leaves_what_is_unknown_blank() {
        let values = [Some(0), Some(50), None, Some(100)];
        assert_eq!(lines(&values, 80, 1), ["▁▄ █"]);
        assert_eq!(lines(&values, 80, 2), ["   █", "▁█ █"]);
        assert_eq!(lines(&values, 2, 1), ["▄█"], "the most of each part");
        assert_eq!(lines(&[Some(0); 3], 3, 2), ["   ", "▁▁▁"]);
        assert_eq!(lines(&[], 10, 1), [""]);
        assert_eq!(lines(&[Some(u64::MAX), Some(1)], 2, 1), ["█▁"]);
    }

    #[test]
    fn a_rate_is_of_the_last_seconds_and_unknown_over_holes_and_restarts() {
        let at = |at_unix_ms, source| Sample {
            at_unix_ms,
            source,
            ..Sample::default()
        };
        let of = |samples: &[Sample]| rate(samples, |sample| Some(sample.source));
        assert_eq!(of(&[at(0, 0), at(1000, 100), at(5000, 900)]), Some(200));
        assert_eq!(of(&[at(0, 0), at(1000, 100)]), Some(100));
        assert_eq!(of(&[at(0, 0), at(20_000, 100)]), None, "a hole");
        assert_eq!(of(&[at(0, 500), at(4000, 100)]), None, "a restart");
        assert_eq!(of(&[at(0, 500)]), None);
        assert_eq!(of(&[]), None);
    }
}
