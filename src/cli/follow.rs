//! Commands that last: they ask for the status again and again, until what they wait for has come.

use std::fmt::Write;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::time::{MissedTickBehavior, interval};

use super::client::{CallError, Client};
use super::output::Output;
use super::progress::{Pace, Progress};
use super::render;
use super::view::{Status, view};

/// Time between two looks; what a person takes for at once.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// Time between two looks of `status --watch`.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);
/// For how long a sidecar that was there may be silent: a restart takes a few seconds.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// How a migration went.
#[derive(Debug)]
pub(super) enum Migrated {
    /// The target follows the source; the status says so.
    InSync(Value),
    /// It ended without; the status says why.
    Ended(Value),
}

/// Waits until the target follows the source, or will not.
pub(super) async fn migration(client: &Client, output: Output) -> Result<Migrated, CallError> {
    let mut progress = Progress::new(output);
    let mut pace: Option<Pace> = None;
    let mut looks = Looks::new(client, LOOK_INTERVAL);
    let result = loop {
        let (document, status) = match looks.next().await {
            Ok(looked) => looked,
            Err(error) => break Err(error),
        };
        match status.phase.as_str() {
            "preparing" | "syncing" => {
                let done = status.link.bytes_done.unwrap_or_default();
                let now = Instant::now();
                let since = *pace.get_or_insert_with(|| Pace::new(now, done));
                let estimate = since.estimate(now, done, status.link.bytes_total);
                if estimate.is_none() {
                    // Less than before: the copy has started over.
                    pace = Some(Pace::new(now, done));
                }
                progress.show(
                    &status.phase,
                    &copying(&status, estimate),
                    done,
                    status.link.bytes_total,
                );
            }
            "idle" | "aborting" | "rolled_back" | "rolling_back" => {
                break Ok(Migrated::Ended(document));
            }
            // In sync, or further: `auto = true` may have cut over already.
            _ => break Ok(Migrated::InSync(document)),
        }
    };
    progress.end();
    result
}

/// Waits until the comparison has ended.
pub(super) async fn verification(client: &Client, output: Output) -> Result<Value, CallError> {
    let mut progress = Progress::new(output);
    let mut looks = Looks::new(client, LOOK_INTERVAL);
    let result = loop {
        let status = match looks.next().await {
            Ok((_, status)) => status,
            Err(error) => break Err(error),
        };
        let Some(verify) = status.verify else {
            break Err(CallError::Strange(
                "the sidecar knows of no comparison; it may have been restarted".to_owned(),
            ));
        };
        if !verify.running {
            // The status names only some of what differs.
            break client.get("/v1/verify").await;
        }
        let stage = format!("round {}", verify.round);
        progress.show(
            &stage,
            &render::verify_progress(&verify),
            verify.keys_done,
            Some(verify.keys_expected),
        );
    };
    progress.end();
    result
}

/// Tells the status until the command is interrupted, one line for each change: where there is no terminal.
pub(super) async fn watch(client: &Client, output: Output) -> CallError {
    let mut looks = Looks::new(client, WATCH_INTERVAL);
    let mut last_line = String::new();
    loop {
        let (document, status) = match looks.next().await {
            Ok(looked) => looked,
            Err(error) => return error,
        };
        let line = render::status_line(&status);
        if line != last_line {
            output.result(&document, || line.clone());
            last_line = line;
        }
    }
}

/// The status, again and again. Bears a silence of the sidecar that is not too long, if it was there at first.
struct Looks<'a> {
    client: &'a Client,
    clock: tokio::time::Interval,
    /// When it answered last.
    heard: Option<Instant>,
}

impl<'a> Looks<'a> {
    fn new(client: &'a Client, every: Duration) -> Looks<'a> {
        let mut clock = interval(every);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Looks {
            client,
            clock,
            heard: None,
        }
    }

    async fn next(&mut self) -> Result<(Value, Status), CallError> {
        loop {
            self.clock.tick().await;
            match self.client.get("/v1/status").await {
                Ok(document) => {
                    self.heard = Some(Instant::now());
                    let status = view::<Status>(&document);
                    if status.phase.is_empty() {
                        return Err(CallError::Strange("a status without a phase".to_owned()));
                    }
                    return Ok((document, status));
                }
                Err(CallError::Unreachable(_))
                    if self.heard.is_some_and(|at| at.elapsed() < SILENCE_MAX) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

fn copying(status: &Status, estimate: Option<(u64, Option<Duration>)>) -> String {
    let mut words = format!(
        "{}: {}",
        status.phase,
        render::copied(status.link.bytes_done, status.link.bytes_total)
    );
    if let Some((rate, left)) = estimate.filter(|(rate, _)| *rate > 0) {
        let _ = write!(words, ", {}/s", render::size(rate));
        if let Some(left) = left {
            let _ = write!(words, ", {} s left", left.as_secs());
        }
    }
    if let Some(error) = &status.link.last_error {
        let _ = write!(words, "; the link's last error: {error}");
    }
    words
}
