//! What the system tells the process: end, or read the configuration again.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, watch};

use crate::config::{Effect, Settings};
use crate::cutover::Bounds;
use crate::shutdown::Trigger;

/// The signals that are listened to.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
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

    /// Reloads on SIGHUP, and has `certificates` read again; on SIGTERM or SIGINT announces the end and returns.
    pub(super) async fn obey(
        mut self,
        file: PathBuf,
        mut settings: Settings,
        bounds: watch::Sender<Bounds>,
        certificates: Arc<Notify>,
        trigger: Trigger,
    ) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => break,
                _ = self.interrupt.recv() => break,
                _ = self.hangup.recv() => {
                    reload(&file, &mut settings, &bounds);
                    certificates.notify_one();
                }
            }
        }
        tracing::info!("ending");
        trigger.fire();
    }
}

fn reload(file: &std::path::Path, settings: &mut Settings, bounds: &watch::Sender<Bounds>) {
    let new = match Settings::load(file) {
        Ok(new) => new,
        Err(mistakes) => {
            tracing::warn!(%mistakes, "the configuration was not reloaded: it has mistakes");
            return;
        }
    };
    for change in settings.reloadable_difference(&new) {
        let reloaded = change.path.starts_with("cutover.") && change.effect == Effect::Now;
        if reloaded {
            tracing::info!(setting = change.path, "reloaded");
        } else {
            tracing::warn!(
                setting = change.path,
                "changed in the file; it needs a restart to take effect"
            );
        }
    }
    bounds.send_replace(new.bounds.clone());
    settings.bounds = new.bounds;
}
