//! The driver for a replication that something else runs: it is seen by marker keys only, and ended by a configured hook
//! or by the operator.
//!
//! Refuses to know: what replicates.

use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::Command;
use tokio::time::timeout;

use super::connection::Connections;
use super::probe::Probes;
use super::{Abilities, Direction, Error, Phase, Positions, Report, Reverse};
use crate::terms::Lag;

/// How long the hook may take. It runs inside the write pause, which has a bound of its own; this one only keeps a hook
/// that hangs from outliving the attempt.
const HOOK_LIMIT: Duration = Duration::from_secs(10);

/// How much of what a hook prints is passed on in an error.
const HOOK_OUTPUT_BYTES_MAX: usize = 500;

/// What the driver remembers between two looks.
#[derive(Debug)]
pub(super) struct External {
    /// Program and arguments that end the replication.
    detach_hook: Option<Vec<String>>,
    /// By which it is seen.
    probes: Probes,
}

impl External {
    pub(super) fn new(detach_hook: Option<Vec<String>>, run: String) -> External {
        External {
            detach_hook: detach_hook.filter(|hook| !hook.is_empty()),
            probes: Probes::new(run),
        }
    }

    pub(super) fn abilities(&self) -> Abilities {
        Abilities {
            prepare: false,
            positions: Positions::Unknown,
            fence: false,
            detach: self.detach_hook.is_some(),
            reverse: Reverse::ByKeys,
            end_by_hand: "stop what replicates, by its own means",
        }
    }

    /// How old the newest probe is that has arrived.
    pub(super) async fn observe(
        &mut self,
        connections: &mut Connections,
        direction: Direction,
    ) -> Report {
        match self.probes.lag(connections, direction).await {
            Ok(Some(lag)) => Report {
                phase: Phase::Streaming,
                lag: Lag::Time(lag),
                last_error: None,
                ..Report::unknown(Instant::now(), String::new())
            },
            Ok(None) => Report {
                waiting_for: Some("a marker key to arrive on the filled side".to_owned()),
                last_error: None,
                ..Report::unknown(Instant::now(), String::new())
            },
            Err(error) => Report::unknown(Instant::now(), error.to_string()),
        }
    }

    /// Runs the hook, without a shell, and waits for it to succeed.
    pub(super) async fn detach(&self) -> Result<(), Error> {
        let Some((program, arguments)) = self
            .detach_hook
            .as_ref()
            .and_then(|hook| hook.split_first())
        else {
            return Err(Error::NotAble {
                driver: NAME,
                what: "end the replication: no hook is configured",
            });
        };
        let failed = |reason: String| Error::Hook {
            program: program.clone(),
            reason,
        };
        let run = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = timeout(HOOK_LIMIT, run)
            .await
            .map_err(|_| failed(format!("still running after {HOOK_LIMIT:?}")))?
            .map_err(|error| failed(error.to_string()))?;
        if output.status.success() {
            return Ok(());
        }
        let said = &output.stderr[..output.stderr.len().min(HOOK_OUTPUT_BYTES_MAX)];
        Err(failed(format!(
            "{}: {}",
            output.status,
            String::from_utf8_lossy(said).trim()
        )))
    }
}

/// The driver's name in the configuration and in `status`.
pub(super) const NAME: &str = "external";

#[cfg(test)]
mod tests {
    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime")
    }

    fn detach(hook: &[&str]) -> Result<(), Error> {
        let hook = hook.iter().map(ToString::to_string).collect();
        runtime().block_on(External::new(Some(hook), String::new()).detach())
    }

    #[test]
    fn a_hook_that_succeeds_has_detached() {
        assert!(detach(&["true"]).is_ok());
    }

    #[test]
    fn a_hook_that_fails_is_an_error_with_its_words() {
        let error = detach(&["sh", "-c", "echo no such task >&2; exit 3"]).expect_err("it failed");
        let text = error.to_string();
        assert!(
            text.contains("no such task") && text.contains('3'),
            "{text}"
        );
    }

    #[test]
    fn a_hook_gets_its_arguments_without_a_shell() {
        assert!(detach(&["test", "$HOME", "=", "$HOME"]).is_ok());
        assert!(detach(&["test", "$HOME", "=", ""]).is_err());
    }

    #[test]
    fn without_a_hook_there_is_no_detach() {
        assert!(!External::new(None, String::new()).abilities().detach);
        assert!(
            !External::new(Some(vec![]), String::new())
                .abilities()
                .detach
        );
    }
}
