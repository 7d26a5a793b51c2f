//! The last minutes, for who looks only once something is going on: how far behind the other side was, how much passed,
//! and what happened. Taken from the status each second, kept in memory, bounded.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};

use super::{Control, Events};
use crate::shutdown;

/// Time between two samples: as fine as the link is looked at.
const EVERY: Duration = Duration::from_secs(1);
/// Samples that are kept: ten minutes, some hundred kilobytes as a document.
const SAMPLES_MAX: usize = 600;

/// The samples of one process. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub(super) struct History(Arc<Mutex<VecDeque<Sample>>>);

/// How it stood at one moment. Counts are those since the start of the process.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Sample {
    /// Milliseconds since 1970.
    at_unix_ms: u64,
    lag_bytes: Option<u64>,
    lag_ms: Option<u64>,
    bytes_done: Option<u64>,
    /// Requests sent to the source.
    source: u64,
    /// Requests sent to the target.
    target: u64,
    /// Requests held.
    held: u64,
    /// Writes refused.
    refused: u64,
}

impl History {
    /// Takes samples until `stop`.
    ///
    /// Cancel safety: may be dropped at any time.
    pub(super) async fn record(self, control: Arc<dyn Control>, mut stop: shutdown::Signal) {
        let mut clock = interval(EVERY);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.wait() => return,
                _ = clock.tick() => self.take(&control.status(), SystemTime::now()),
            }
        }
    }

    fn take(&self, status: &Value, now: SystemTime) {
        let mut samples = self.lock();
        if samples.len() == SAMPLES_MAX {
            samples.pop_front();
        }
        samples.push_back(Sample::of(status, now));
    }

    /// The samples, the oldest first, and what happened lately.
    pub(super) fn document(&self, events: &Events) -> Value {
        json!({
            "every_ms": u64::try_from(EVERY.as_millis()).unwrap_or(u64::MAX),
            "samples": *self.lock(),
            "events": events.lately(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Sample>> {
        // A sample is pushed whole: the queue is in order whoever panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sample {
    fn of(status: &Value, now: SystemTime) -> Sample {
        let number = |path: &str| status.pointer(path).and_then(Value::as_u64);
        let sum = |path: &str| -> u64 {
            let classes = status.pointer(path).and_then(Value::as_object);
            let counts = classes.into_iter().flat_map(|classes| classes.values());
            counts.filter_map(Value::as_u64).sum()
        };
        let refused = status
            .pointer("/traffic/refused")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        Sample {
            at_unix_ms: now
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_millis() as u64),
            lag_bytes: number("/link/lag_bytes"),
            lag_ms: number("/link/lag_ms"),
            bytes_done: number("/link/bytes_done"),
            source: sum("/traffic/source"),
            target: sum("/traffic/target"),
            held: number("/traffic/held").unwrap_or_default(),
            refused: refused.filter_map(|entry| entry["count"].as_u64()).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_has_what_the_status_says_and_unknown_stays_unknown() {
        let status = json!({
            "link": {"lag_bytes": 7, "lag_ms": null},
            "traffic": {"source": {"read": 3, "write": 4}, "target": {}, "held": 2,
                        "refused": [{"command": "set", "count": 5}, {"command": "del", "count": 1}]},
        });
        let history = History::default();
        history.take(&status, UNIX_EPOCH + Duration::from_millis(12));
        history.take(&json!({}), UNIX_EPOCH);
        let document = history.document(&Events::default());
        assert_eq!(
            document["samples"][0],
            json!({"at_unix_ms": 12, "lag_bytes": 7, "lag_ms": null, "bytes_done": null,
                   "source": 7, "target": 0, "held": 2, "refused": 6})
        );
        assert_eq!(document["samples"][1]["lag_bytes"], Value::Null);
        assert_eq!(document["events"], json!([]));
    }

    #[test]
    fn the_oldest_sample_makes_room() {
        let history = History::default();
        for at in 0..=SAMPLES_MAX as u64 {
            history.take(&json!({}), UNIX_EPOCH + Duration::from_millis(at));
        }
        let samples = &history.document(&Events::default())["samples"];
        assert_eq!(samples.as_array().unwrap().len(), SAMPLES_MAX);
        assert_eq!(samples[0]["at_unix_ms"], 1);
    }
}
