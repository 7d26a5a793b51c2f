//! How far long work is: a bar on a terminal, plain lines elsewhere; always on standard error.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output::Output;

/// Where there is no terminal, a line this often is enough for a log.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// The display of one piece of work.
#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
    output: Output,
    /// The stage of the last plain line, and when it was written.
    last_line: Option<(String, Instant)>,
}

impl Progress {
    /// Nothing shown yet.
    pub(super) fn new(output: Output) -> Progress {
        // Draws only where standard error is a terminal.
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {wide_bar}") {
            bar.set_style(style);
        }
        Progress {
            bar,
            output,
            last_line: None,
        }
    }

    /// Shows where the work is: the stage by itself, and in words, and of how much it is how far.
    pub(super) fn show(&mut self, stage: &str, words: &str, done: u64, total: Option<u64>) {
        if !self.bar.is_hidden() {
            self.bar.set_message(words.to_owned());
            self.bar.set_length(total.unwrap_or_default());
            self.bar.set_position(done);
            self.bar.tick();
            return;
        }
        let due = self
            .last_line
            .as_ref()
            .is_none_or(|(last, at)| last != stage || at.elapsed() >= LINE_INTERVAL);
        if due {
            self.last_line = Some((stage.to_owned(), Instant::now()));
            self.output.note(words);
        }
    }

    /// Takes the bar away.
    pub(super) fn end(self) {
        self.bar.finish_and_clear();
    }
}

/// How fast something grows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// Where it began.
    start: (Instant, u64),
}

impl Pace {
    /// From here on.
    pub(super) fn new(now: Instant, done: u64) -> Pace {
        Pace { start: (now, done) }
    }

    /// Bytes a second since the beginning, and the time that the rest will take at that rate. None where nothing has
    /// been done that could tell, and where there is less than at the beginning: a copy that started over.
    pub(super) fn estimate(
        &self,
        now: Instant,
        done: u64,
        total: Option<u64>,
    ) -> Option<(u64, Option<Duration>)> {
        let (start, at_start) = self.start;
        let elapsed = u64::try_from(now.saturating_duration_since(start).as_millis())
            .ok()
            .filter(|&ms| ms > 0)?;
        let rate = done.checked_sub(at_start)?.saturating_mul(1000) / elapsed;
        let left = total
            .filter(|_| rate > 0)
            .map(|total| Duration::from_secs(total.saturating_sub(done) / rate));
        Some((rate, left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_follows_from_the_rate() {
        let start = Instant::now();
        let pace = Pace::new(start, 1000);
        let later = start + Duration::from_secs(2);
        assert_eq!(
            pace.estimate(later, 5000, Some(25_000)),
            Some((2000, Some(Duration::from_secs(10))))
        );
        assert_eq!(pace.estimate(later, 5000, None), Some((2000, None)));
        assert_eq!(pace.estimate(later, 1000, Some(25_000)), Some((0, None)));
        assert_eq!(pace.estimate(start, 5000, None), None);
        assert_eq!(pace.estimate(later, 10, None), None);
    }
}
