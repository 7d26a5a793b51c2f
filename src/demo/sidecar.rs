//! The sidecar of the demo: this executable as a child process, with a configuration file as a user would write it,
//! driven by its admin API as a user's script would.
//!
//! Refuses to know: anything about Handover that is not in its documented interface.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::{Instant, interval};

use super::admin::{Answer, request};
use super::process::{Process, free_address};
use super::{Error, Verified};

/// How long the sidecar may take until it is ready.
const START_LIMIT: Duration = Duration::from_secs(15);
/// Time between two looks at its status.
const POLL: Duration = Duration::from_millis(25);
/// Names that the configuration gives the two sides.
const SOURCE_NAME: &str = "before";
const TARGET_NAME: &str = "after";

/// A running sidecar. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Sidecar {
    process: Process,
    program: PathBuf,
    listener: SocketAddr,
    admin: SocketAddr,
}

/// How a cutover ended.
#[derive(Debug)]
pub(super) enum Cutover {
    /// The target is active.
    Committed {
        /// The pause of writes by the sidecar's own clock.
        write_pause_ms: Option<f64>,
    },
    /// Nothing changed; in the sidecar's words. It may be tried again.
    NotYet(String),
}

impl Sidecar {
    /// Starts one between two servers, with its files in `directory`, and waits until it is ready.
    pub(super) async fn start(
        source: SocketAddr,
        target: SocketAddr,
        directory: &Path,
    ) -> Result<Sidecar, Error> {
        let machine = |what| move |source| Error::Machine { what, source };
        let listener = free_address().map_err(machine("find a free port"))?;
        let admin = free_address().map_err(machine("find a free port"))?;
        let file = directory.join("handover.toml");
        let state = directory.join("state");
        std::fs::create_dir_all(&state).map_err(machine("create the state directory"))?;
        std::fs::write(
            &file,
            configuration(listener, admin, source, target, &state),
        )
        .map_err(machine("write the configuration"))?;
        let program = std::env::current_exe().map_err(machine("find this executable"))?;
        let arguments = ["run".as_ref(), "--config".as_ref(), file.as_os_str()];
        let process = Process::start(&program, arguments, directory.join("handover.log"))
            .map_err(machine("start the sidecar"))?;
        let mut sidecar = Sidecar {
            process,
            program,
            listener,
            admin,
        };
        sidecar.ready().await?;
        Ok(sidecar)
    }

    /// Where the application connects.
    pub(super) fn address(&self) -> SocketAddr {
        self.listener
    }

    /// Has the target filled. Answers when that has begun.
    pub(super) async fn migrate(&mut self) -> Result<(), Error> {
        let answer = self.ask("/v1/migrate", Some(&json!({}))).await?;
        if answer.is_success() {
            Ok(())
        } else {
            Err(Error::Refused {
                what: "the migration",
                reason: answer.refusal(),
            })
        }
    }

    /// Waits until a cutover is possible. `progress` is given each status on the way.
    pub(super) async fn until_ready_to_cut_over(
        &mut self,
        limit: Duration,
        mut progress: impl FnMut(&Value),
    ) -> Result<(), Error> {
        let deadline = Instant::now() + limit;
        let mut poll = interval(POLL);
        loop {
            poll.tick().await;
            let status = self.ask("/v1/status", None).await?.json;
            progress(&status);
            if status["can_cut_over"] == json!(true) {
                return Ok(());
            }
            if Instant::now() > deadline {
                let what = format!(
                    "the link's being in sync (phase {}, reasons {})",
                    status["phase"], status["reasons"]
                );
                return Err(Error::TimedOut { what, limit });
            }
        }
    }

    /// Cuts over. Answers when that has ended.
    pub(super) async fn cut_over(&mut self) -> Result<Cutover, Error> {
        let answer = self.ask("/v1/cutover", Some(&json!({}))).await?;
        if answer.is_success() && answer.json["outcome"] == "committed" {
            let status = self.ask("/v1/status", None).await?.json;
            return Ok(Cutover::Committed {
                write_pause_ms: status["last_cutover"]["write_pause_ms"].as_f64(),
            });
        }
        match answer.status {
            200 => Ok(Cutover::NotYet(answer.json.to_string())),
            409 => Ok(Cutover::NotYet(answer.refusal())),
            _ => Err(Error::Refused {
                what: "the cutover",
                reason: answer.refusal(),
            }),
        }
    }

    /// Has all keys of the two sides compared, with the command that a user would call.
    pub(super) async fn verify(&mut self) -> Result<Verified, Error> {
        let admin = format!("http://{}", self.admin);
        let output = Command::new(&self.program)
            .args(["verify", "--full", "--json", "--admin", &admin])
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|source| Error::Machine {
                what: "run verify",
                source,
            })?;
        let document: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        verified(&document).ok_or_else(|| Error::Refused {
            what: "the verification",
            reason: format!(
                "{} {}",
                output.status,
                String::from_utf8_lossy(&output.stderr).trim()
            ),
        })
    }

    /// Ends it.
    pub(super) async fn end(self) {
        self.process.end().await;
    }

    async fn ready(&mut self) -> Result<(), Error> {
        let deadline = Instant::now() + START_LIMIT;
        let mut poll = interval(POLL);
        while Instant::now() < deadline {
            poll.tick().await;
            if let Some(status) = self.process.ended() {
                return Err(self.error(format!("ended at its start ({status})")));
            }
            if request(self.admin, "/readyz", None)
                .await
                .is_ok_and(|answer| answer.is_success())
            {
                return Ok(());
            }
        }
        Err(self.error(format!("was not ready within {START_LIMIT:?}")))
    }

    async fn ask(&mut self, path: &str, body: Option<&Value>) -> Result<Answer, Error> {
        match request(self.admin, path, body).await {
            Ok(answer) => Ok(answer),
            Err(why) => Err(match self.process.ended() {
                Some(status) => self.error(format!("ended ({status})")),
                None => self.error(why),
            }),
        }
    }

    fn error(&self, reason: String) -> Error {
        Error::Sidecar {
            reason,
            log: self.process.log_tail(),
        }
    }
}

/// As a user would write it; everything that is not here has its default.
fn configuration(
    listener: SocketAddr,
    admin: SocketAddr,
    source: SocketAddr,
    target: SocketAddr,
    state: &Path,
) -> String {
    // A TOML basic string is a JSON string, as far as paths go.
    let state = Value::from(state.to_string_lossy());
    format!(
        r#"[[listener]]
name = "app"
bind = "{listener}"

[source]
name = "{SOURCE_NAME}"
url = "redis://{source}"

[target]
name = "{TARGET_NAME}"
url = "redis://{target}"

[link]
driver = "replicaof"

[state]
dir = {state}

[admin]
bind = "{admin}"
"#
    )
}

/// The two counts in the document that `verify --json` prints.
fn verified(document: &Value) -> Option<Verified> {
    let count = |value: &Value| {
        value
            .as_u64()
            .or_else(|| Some(value.as_array()?.len() as u64))
    };
    Some(Verified {
        keys: document["keys"].as_u64()?,
        differing: count(&document["differing"])?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_toml_whatever_the_path() {
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let text = configuration(
            at(1),
            at(2),
            at(3),
            at(4),
            Path::new("/tmp/a \"strange\" \\ path"),
        );
        let table: toml::Table = text.parse().unwrap();
        assert_eq!(table["listener"][0]["bind"].as_str(), Some("127.0.0.1:1"));
        assert_eq!(table["source"]["url"].as_str(), Some("redis://127.0.0.1:3"));
        assert_eq!(table["target"]["url"].as_str(), Some("redis://127.0.0.1:4"));
        assert_eq!(
            table["state"]["dir"].as_str(),
            Some("/tmp/a \"strange\" \\ path")
        );
    }

    #[test]
    fn a_verification_without_its_counts_is_none() {
        assert_eq!(
            verified(&json!({"keys": 5, "differing": 1})),
            Some(Verified {
                keys: 5,
                differing: 1
            })
        );
        assert_eq!(
            verified(&json!({"keys": 5, "differing": ["a", "b"]})),
            Some(Verified {
                keys: 5,
                differing: 2
            })
        );
        assert_eq!(verified(&json!({"keys": 5})), None);
        assert_eq!(verified(&Value::Null), None);
    }
}
