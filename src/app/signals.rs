//! What the system tells the process: end, end at once, or read the configuration again.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, watch};

use super::ending::Announcer;
use super::logging::Levels;
use crate::config::{Effect, Settings};
use crate::cutover::Bounds;
use crate::session::Tuning;

/// The signals that are listened to.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

/// The ways of a changed setting to those whom it concerns.
pub(super) struct Changeable {
    /// Of the cutover.
    pub(super) bounds: watch::Sender<Bounds>,
    /// Of the sessions.
    pub(super) tuning: watch::Sender<Tuning>,
    /// Of the log.
    pub(super) levels: Levels,
}

impl Signals {
    /// Listens from now on. Must be called in a runtime.
    pub(super) fn listen() -> io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Reloads on SIGHUP, and has `certificates` read again. The first SIGTERM or SIGINT announces the end, the second one, or
    /// the end of the time that the configuration gives, that there is no more time.
    pub(super) async fn obey(
        mut self,
        file: PathBuf,
        mut settings: Settings,
        changeable: Changeable,
        certificates: Arc<Notify>,
        announcer: Announcer,
    ) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => break,
                _ = self.interrupt.recv() => break,
                _ = self.hangup.recv() => {
                    reload(&file, &mut settings, &changeable);
                    certificates.notify_one();
                }
            }
        }
        let limit = announcer.begin(settings.proxy.drain_timeout);
        tokio::select! {
            _ = self.terminate.recv() => tracing::info!("told again to end: there is no more time"),
            _ = self.interrupt.recv() => tracing::info!("told again to end: there is no more time"),
            () = tokio::time::sleep_until(limit.into()) => tracing::debug!("the time to end is over"),
        }
        announcer.cut();
    }
}

fn reload(file: &std::path::Path, settings: &mut Settings, changeable: &Changeable) {
    let new = match Settings::load(file) {
        Ok(new) => new,
        Err(mistakes) => {
            tracing::warn!(%mistakes, "the configuration was not reloaded: it has mistakes");
            return;
        }
    };
    let changes = settings.reloadable_difference(&new);
    changeable.levels.set(new.log.level);
    changeable.tuning.send_replace(tuning(&new));
    changeable.bounds.send_replace(new.bounds.clone());
    for change in changes {
        match change.effect {
            Effect::Now => tracing::info!(setting = change.path, "reloaded"),
            Effect::Restart => tracing::warn!(
                setting = change.path,
                "changed in the file; it needs a restart to take effect"
            ),
        }
    }
    settings.log.level = new.log.level;
    settings.bounds = new.bounds;
    settings.proxy.limits = new.proxy.limits;
    settings.proxy.drain_timeout = new.proxy.drain_timeout;
}

/// What sessions take over while they live.
pub(super) fn tuning(settings: &Settings) -> Tuning {
    Tuning {
        limits: settings.proxy.limits,
        scan_grace: settings.bounds.scan_grace,
    }
}
