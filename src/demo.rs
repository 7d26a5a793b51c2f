//! The main job, shown to a newcomer with nothing configured: two real servers, a sidecar, an application's traffic, a
//! migration, a cutover in the middle of it, and an account of what the application noticed.
//!
//! The sidecar is a child process of this very executable, driven through its configuration file and its admin API
//! only: what the demo shows is what a user gets. Its clients are its own as well, so that a mistake in how Handover
//! reads RESP cannot hide itself from the checker.
//!
//! Refuses to know: every other room of the data path and the control path.
//!
//! Read next: `demo/run.rs` for the order of events, `demo/checker.rs` for what is proved.

mod admin;
mod checker;
mod client;
mod data;
mod latency;
mod meter;
mod process;
mod progress;
mod report;
mod run;
mod servers;
mod sidecar;
mod traffic;

pub use report::{OverheadMicros, Report, Verified};
pub use run::run;

use std::time::Duration;

/// What a user may choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Keys in the source before the traffic begins.
    pub keys: u64,
    /// Connections of the traffic; at least eight, so that each kind is there.
    pub clients: usize,
    /// How long the traffic runs, the cutover in its middle. It runs longer where the migration takes longer.
    pub seconds: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            keys: 100_000,
            clients: 50,
            seconds: 15,
        }
    }
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing to start.
    #[error(
        "redis-server is not on PATH; install it (Debian, Ubuntu: apt-get install redis-server; \
         Fedora: dnf install redis; macOS: brew install redis) and try again"
    )]
    RedisServerMissing,
    /// Not every kind of client would take part.
    #[error("--clients {given} is too few: {least} are needed to have one of each kind")]
    TooFewClients {
        /// What was asked for.
        given: usize,
        /// What is needed.
        least: usize,
    },
    /// Files, directories, processes of this machine.
    #[error("cannot {what}: {source}")]
    Machine {
        /// What was tried.
        what: &'static str,
        /// The system's words.
        source: std::io::Error,
    },
    /// One of the two databases did not start, or did not answer.
    #[error("redis-server ({name}): {reason}")]
    Server {
        /// Which of the two.
        name: &'static str,
        /// What happened.
        reason: String,
    },
    /// The sidecar did not start, or did not answer.
    #[error("the sidecar {reason}; the end of its log:\n{log}")]
    Sidecar {
        /// What happened.
        reason: String,
        /// The last lines it wrote.
        log: String,
    },
    /// The sidecar answered, and said no.
    #[error("{what} was refused: {reason}")]
    Refused {
        /// What was asked for.
        what: &'static str,
        /// The sidecar's words.
        reason: String,
    },
    /// Something that must come did not come.
    #[error("{what} did not happen within {limit:?}")]
    TimedOut {
        /// What was awaited, with how far it got.
        what: String,
        /// How long.
        limit: Duration,
    },
    /// The user or the system ended it. Everything it started is gone.
    #[error("interrupted")]
    Interrupted,
}

/// Who can do something about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The arguments were wrong.
    Usage,
    /// This machine lacks something.
    Machine,
    /// Handover itself did not do what it says.
    Handover,
    /// Nobody: it was asked to end.
    Nobody,
}

impl Error {
    /// Who can do something about it.
    pub fn fault(&self) -> Fault {
        match self {
            Error::TooFewClients { .. } => Fault::Usage,
            Error::RedisServerMissing | Error::Machine { .. } | Error::Server { .. } => {
                Fault::Machine
            }
            Error::Sidecar { .. } | Error::Refused { .. } | Error::TimedOut { .. } => {
                Fault::Handover
            }
            Error::Interrupted => Fault::Nobody,
        }
    }
}
