//! Measures an attempt: how long each step took, and how long writes were held.

use std::time::{Duration, Instant};

use super::super::action::Ending;
use super::status::{Outcome, StepTime, outcome_name};

/// The measures of one attempt.
#[derive(Debug)]
pub(super) struct Timeline {
    /// Finished steps.
    steps: Vec<StepTime>,
    /// The step under way, and since when.
    current: Option<(&'static str, Instant)>,
    /// When the gate closed.
    closed_at: Option<Instant>,
    /// How long it was closed.
    pause: Duration,
}

impl Timeline {
    pub(super) fn new() -> Timeline {
        Timeline {
            steps: vec![],
            current: None,
            closed_at: None,
            pause: Duration::ZERO,
        }
    }

    /// The attempt is at `step` now. Gives the step that ended thereby.
    pub(super) fn at(&mut self, step: Option<&'static str>, now: Instant) -> Option<StepTime> {
        if self.current.map(|(name, _)| name) == step {
            return None;
        }
        let ended = self.current.take().map(|(name, since)| StepTime {
            name,
            ms: milliseconds(now - since),
        });
        self.current = step.map(|name| (name, now));
        self.steps.extend(ended);
        ended
    }

    /// Writes are held from now on.
    pub(super) fn closed(&mut self, now: Instant) {
        self.closed_at = Some(now);
    }

    /// Writes run from now on, on whichever side.
    pub(super) fn opened(&mut self, now: Instant) {
        if let Some(closed_at) = self.closed_at.take() {
            self.pause = now - closed_at;
        }
    }

    /// What `status` remembers of the attempt.
    pub(super) fn finish(mut self, ending: Ending, reasons: Vec<String>, now: Instant) -> Outcome {
        self.opened(now);
        Outcome {
            outcome: outcome_name(ending),
            write_pause_ms: milliseconds(self.pause),
            // Reads are never held: they move to the other side in the instant it becomes active.
            read_pause_ms: 0.0,
            steps: self.steps,
            reasons,
        }
    }
}

/// With three decimals: what is measured here takes single milliseconds.
fn milliseconds(duration: Duration) -> f64 {
    #[allow(clippy::cast_precision_loss)] // a pause of centuries would lose microseconds
    let micros = duration.as_micros() as f64;
    micros / 1_000.0
}
