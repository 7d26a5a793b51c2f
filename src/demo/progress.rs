//! What the demo is doing, on standard error: bars on a terminal, a line for each step elsewhere.
//!
//! Refuses to know: what the steps are.

use std::io::Write;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often a spinner moves.
const TICK: Duration = Duration::from_millis(100);

/// One step under way. The next replaces it; dropping it leaves nothing on the terminal.
#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Nothing is shown before the first step.
    pub(super) fn new() -> Progress {
        Progress {
            bar: ProgressBar::hidden(),
        }
    }

    /// A step of unknown length begins.
    pub(super) fn step(&mut self, text: impl Into<String>) {
        self.begin(
            ProgressBar::no_length(),
            "  {spinner:.cyan} {msg}",
            text.into(),
        );
    }

    /// A step of `length` parts begins.
    pub(super) fn measured_step(&mut self, text: impl Into<String>, length: u64) {
        self.begin(
            ProgressBar::new(length),
            "  {spinner:.cyan} {msg} {bar:24.cyan/dim} {percent}%",
            text.into(),
        );
    }

    /// So many parts of the step are done.
    pub(super) fn reach(&self, done: u64) {
        self.bar.set_position(done);
    }

    /// The step is done, with this result.
    pub(super) fn done(&mut self, result: &str) {
        let terminal = !self.bar.is_hidden();
        self.bar.finish_and_clear();
        say(&if terminal {
            format!("  \u{1b}[32m✓\u{1b}[0m {result}")
        } else {
            format!("demo: {result}")
        });
    }

    fn begin(&mut self, bar: ProgressBar, template: &str, text: String) {
        self.bar.finish_and_clear();
        bar.set_draw_target(ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(text);
        bar.enable_steady_tick(TICK);
        self.bar = bar;
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// A standard error that nobody reads is no reason to stop.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
