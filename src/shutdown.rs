//! One announcement, many listeners: a moment of the orderly end of the process. Knows nothing of who listens.

use std::time::Instant;

use tokio::sync::watch;

/// Held by whoever may announce the moment.
#[derive(Debug)]
pub struct Trigger(watch::Sender<Announcement>);

/// Held by whoever must hear of it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Signal(watch::Receiver<Announcement>);

/// Whether the moment has come.
#[derive(Debug, Clone, Copy)]
enum Announcement {
    NotYet,
    Now {
        /// What is not over by then is cut off.
        limit: Option<Instant>,
    },
}

/// A connected pair.
pub fn channel() -> (Trigger, Signal) {
    let (sender, receiver) = watch::channel(Announcement::NotYet);
    (Trigger(sender), Signal(receiver))
}

impl Trigger {
    /// Tells every [`Signal`]. Saying it twice changes nothing. Dropping the trigger says it too.
    pub fn fire(&self) {
        self.announce(None);
    }

    /// The same, and says by when everything must be over.
    pub fn fire_until(&self, limit: Instant) {
        self.announce(Some(limit));
    }

    fn announce(&self, limit: Option<Instant>) {
        self.0.send_if_modified(|announcement| {
            let first = matches!(announcement, Announcement::NotYet);
            if first {
                *announcement = Announcement::Now { limit };
            }
            first
        });
    }
}

impl Signal {
    /// Whether the moment has come.
    pub fn fired(&self) -> bool {
        matches!(*self.0.borrow(), Announcement::Now { .. }) || self.0.has_changed().is_err()
    }

    /// By when everything must be over, where that was said.
    pub fn limit(&self) -> Option<Instant> {
        match *self.0.borrow() {
            Announcement::Now { limit } => limit,
            Announcement::NotYet => None,
        }
    }

    /// Resolves when the moment has come, at once if it came before.
    ///
    /// Cancel safety: holds no state, may be dropped and called again.
    pub async fn wait(&mut self) {
        // An error means that the trigger is gone, which is an announcement as well.
        let _ = self
            .0
            .wait_for(|announcement| matches!(announcement, Announcement::Now { .. }))
            .await;
    }
}
