//! Keeps the certificates of a running sidecar as their files are.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval};

use crate::config::{Certificates, Found, Look, Mistakes};

/// Time between two looks at the files. A change counts after the second look that sees it, so that a certificate does
/// not come without its key; certificates are replaced days before the old ones end.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Looks at the files for ever, and at once, whether or not they changed, when `asked` says so. Connections that there
/// are stay as they are.
pub(super) async fn keep(mut certificates: Certificates, asked: Arc<Notify>) {
    if certificates.is_empty() {
        return;
    }
    let mut clock = interval(LOOK_INTERVAL);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let look = tokio::select! {
            _ = clock.tick() => Look::IfChanged,
            () = asked.notified() => Look::Anyway,
        };
        // On a thread of its own: a file system may be slow, and this one serves the operator.
        let looked = tokio::task::spawn_blocking(move || {
            let found = certificates.look(look);
            (certificates, found)
        });
        let found;
        (certificates, found) = match looked.await {
            Ok(looked) => looked,
            Err(error) => {
                tracing::error!(%error, "certificates are not looked at any more: restart to have changed ones used");
                return;
            }
        };
        tell(found);
    }
}

fn tell(found: Found) {
    for section in found.reloaded {
        tracing::info!(
            section,
            "certificates were read again; new connections use them"
        );
    }
    if !found.broken.is_empty() {
        let mistakes = Mistakes(found.broken);
        tracing::warn!(%mistakes, "certificates that could not be read again stay as they were");
    }
}
