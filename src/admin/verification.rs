//! The comparison of the two sides: one at a time, on the operator's word, seen in status and events.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Events, Failure, FailureKind};
use crate::upstream::Server;
use crate::verify::{self, Progress};

/// Progress is published this often at most; a comparison makes thousands of batches a second.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(500);

/// How much to compare; what `POST /v1/verify` takes.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Scope {
    /// About so many keys; all of them where none.
    pub(super) sample: Option<u64>,
}

/// The comparison of one process. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub(super) struct Verification(Arc<Mutex<State>>);

/// How far it is.
#[derive(Debug, Default)]
enum State {
    /// None was asked for.
    #[default]
    Never,
    /// It runs.
    Running(Option<Progress>),
    /// It has ended, with this to tell.
    Ended(Value),
}

impl Verification {
    /// Begins a comparison, unless one runs. The active side comes first.
    pub(super) fn start(
        &self,
        [active, other]: [Server; 2],
        scope: Scope,
        events: &Events,
    ) -> Answer {
        {
            let mut state = self.lock();
            if matches!(*state, State::Running(_)) {
                let message = "a comparison is running: wait for its end";
                return Err(Failure::new(
                    FailureKind::Refused,
                    "verify_running",
                    message,
                ));
            }
            *state = State::Running(None);
        }
        let this = self.clone();
        let events = events.clone();
        let options = verify::Options {
            sample: scope.sample,
            ..verify::Options::default()
        };
        tokio::spawn(async move {
            let running = Running(&this);
            let mut told = Instant::now();
            let result = verify::compare(&active, &other, options, |progress| {
                *this.lock() = State::Running(Some(progress));
                if told.elapsed() >= PROGRESS_INTERVAL {
                    told = Instant::now();
                    events.publish("verify_progress", in_progress(&progress));
                }
            })
            .await;
            let ended = match result {
                Ok(summary) => json!({"running": false, "summary": summary}),
                Err(error) => json!({"running": false, "error": error.to_string()}),
            };
            running.end(ended.clone());
            events.publish("verify_ended", ended);
        });
        Ok(json!({"running": true}))
    }

    /// How far it is, as `status` shows it; none where there never was one.
    pub(super) fn status(&self) -> Option<Value> {
        match &*self.lock() {
            State::Never => None,
            State::Running(None) => Some(json!({"running": true})),
            State::Running(Some(progress)) => Some(in_progress(progress)),
            State::Ended(ended) => Some(ended.clone()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is replaced as a whole: it is in order whoever panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A comparison that runs. Dropped without its end, as by a panic or the end of the runtime, it leaves no state that
/// would refuse the next one for ever.
struct Running<'a>(&'a Verification);

impl Running<'_> {
    fn end(&self, ended: Value) {
        *self.0.lock() = State::Ended(ended);
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        if matches!(*state, State::Running(_)) {
            *state =
                State::Ended(json!({"running": false, "error": "the comparison was broken off"}));
        }
    }
}

fn in_progress(progress: &Progress) -> Value {
    json!({
        "running": true,
        "round": progress.round,
        "keys_done": progress.keys_done,
        "keys_expected": progress.keys_expected,
        "differing": progress.differing,
        "seconds": progress.elapsed.as_secs_f64(),
    })
}
