//! The composition root: the one room that knows every other. It turns a configuration into a running sidecar, and is
//! what `handover run` calls.
//!
//! Read next: `sidecar` (what is started, in which order), `data_path` (its threads), `ending` (how it ends).

mod certificates;
mod clients;
mod commands;
mod data_path;
mod ending;
mod logging;
mod notify;
mod sidecar;
mod signals;

use std::io;
use std::path::Path;

use crate::config::Settings;
use crate::cutover::journal;

/// Why the sidecar does not run, or not any more.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The state directory.
    #[error("{0}")]
    State(#[from] journal::Error),
    /// An address, a thread, a signal handler.
    #[error("{0}")]
    System(#[from] io::Error),
}

/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Something is in the way, such as another sidecar on the same state directory.
    Refused,
    /// The configuration's.
    Usage,
    /// A person must look.
    Broken,
}

impl Error {
    /// Whose turn it is.
    pub fn fault(&self) -> Fault {
        match self {
            Error::State(journal::Error::OtherPair { .. }) => Fault::Usage,
            Error::State(journal::Error::Broken { .. }) => Fault::Broken,
            Error::State(journal::Error::Locked { .. } | journal::Error::Io { .. })
            | Error::System(_) => Fault::Refused,
        }
    }
}

/// Runs the sidecar until it is told to end. `config` is where the settings came from, to be read again on SIGHUP.
pub fn run(config: &Path, settings: Settings) -> Result<(), Error> {
    let levels = logging::start(&settings.log);
    for caution in settings.cautions() {
        tracing::warn!("{caution}");
    }
    sidecar::run(settings, config, levels)
}
