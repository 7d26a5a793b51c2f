//! The comparison of the two sides: one at a time, on the operator's word, seen in status and events. It has a thread of
//! its own, since it is work, and a cutover that is under way must not wait for it.

use std::num::NonZero;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Events, Failure, FailureKind};
use crate::upstream::Server;
use crate::verify::{self, Progress};

/// Progress is published this often at most; a comparison makes thousands of batches a second.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(500);

/// Differences that `status` and the events name; `GET /v1/verify` names all that are known.
const NAMED_IN_STATUS: usize = 10;

/// How nice the thread is to the others of this process, and of this machine.
const NICENESS: i32 = 10;

/// How much to compare, and how fast; what `POST /v1/verify` takes.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Scope {
    /// About so many keys; all of them where none.
    sample: Option<u64>,
    /// Keys a second at most, instead of the configured number; 0 is as many as the servers bear.
    rate: Option<u64>,
}

impl Scope {
    fn options(self, configured: verify::Options) -> verify::Options {
        verify::Options {
            sample: self.sample,
            rate: self.rate.map_or(configured.rate, NonZero::new),
            ..configured
        }
    }
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
        sides: [Server; 2],
        configured: verify::Options,
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
        let running = Running(self.clone());
        let events = events.clone();
        let options = scope.options(configured);
        let thread = std::thread::Builder::new().name("verify".to_owned());
        let spawned = thread.spawn(move || {
            if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
                tracing::debug!(%error, "the comparison has the priority of the other threads");
            }
            let result = run(&running, sides, options, &events);
            let ended = match result {
                Ok(summary) => json!({"running": false, "summary": summary}),
                Err(error) => json!({"running": false, "error": error}),
            };
            events.publish("verify_ended", in_short(ended.clone()));
            running.end(ended);
        });
        match spawned {
            // Nobody waits for the thread: how it ends stands in the state.
            Ok(_) => Ok(json!({"running": true})),
            Err(error) => Err(Failure::new(
                FailureKind::Internal,
                "no_thread",
                format!("no thread for the comparison: {error}"),
            )),
        }
    }

    /// How far it is, as `status` shows it; none where there never was one.
    pub(super) fn status(&self) -> Option<Value> {
        self.document().map(in_short)
    }

    /// The same with everything that is known of what differs.
    pub(super) fn document(&self) -> Option<Value> {
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

/// Compares, in a runtime of this thread's own; an error as its text.
fn run(
    running: &Running,
    [active, other]: [Server; 2],
    options: verify::Options,
    events: &Events,
) -> Result<verify::Summary, String> {
    let mut told = Instant::now();
    let progress = |progress: Progress| {
        *running.0.lock() = State::Running(Some(progress));
        if told.elapsed() >= PROGRESS_INTERVAL {
            told = Instant::now();
            events.publish("verify_progress", in_progress(&progress));
        }
    };
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?
        .block_on(verify::compare(&active, &other, options, progress))
        .map_err(|error| error.to_string())
}

/// A comparison that runs. Dropped without its end, as by a panic or for want of a thread, it leaves no state that would
/// refuse the next one for ever.
struct Running(Verification);

impl Running {
    fn end(&self, ended: Value) {
        *self.0.lock() = State::Ended(ended);
    }
}

impl Drop for Running {
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
        "keys_per_second": progress.keys_per_second(),
        "seconds_left": progress.left().map(|left| left.as_secs_f64()),
    })
}

fn in_short(mut document: Value) -> Value {
    for list in ["sample", "unsettled_sample"] {
        if let Some(Value::Array(list)) = document.pointer_mut(&format!("/summary/{list}")) {
            list.truncate(NAMED_IN_STATUS);
        }
    }
    document
}
