//! Where log lines go: to standard error, as text or JSON. Standard output belongs to results.

use std::io::IsTerminal;

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, reload};

use crate::config::{Log, LogFormat};

/// Which lines are written, while they are.
pub(super) struct Levels(reload::Handle<LevelFilter, Registry>);

/// Starts logging for the process. Called once.
pub(super) fn start(log: &Log) -> Levels {
    let (level, levels) = reload::Layer::new(LevelFilter::from_level(log.level));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let lines = match log.format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    tracing_subscriber::registry()
        .with(level)
        .with(lines)
        .init();
    Levels(levels)
}

impl Levels {
    /// Another level from now on.
    pub(super) fn set(&self, level: tracing::Level) {
        if let Err(error) = self.0.reload(LevelFilter::from_level(level)) {
            tracing::warn!(%error, "the log's level stays as it was");
        }
    }
}
