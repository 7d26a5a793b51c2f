//! One signal, many listeners: the orderly end of the process. Knows nothing of who listens.

use tokio::sync::watch;

/// Held by whoever may end the process.
#[derive(Debug)]
pub struct Trigger(watch::Sender<bool>);

/// Held by whoever must end with it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Signal(watch::Receiver<bool>);

/// A connected pair.
pub fn channel() -> (Trigger, Signal) {
    let (sender, receiver) = watch::channel(false);
    (Trigger(sender), Signal(receiver))
}

impl Trigger {
    /// Tells every [`Signal`]. Saying it twice changes nothing. Dropping the trigger says it too.
    pub fn fire(&self) {
        self.0.send_replace(true);
    }
}

impl Signal {
    /// Whether the end has been announced.
    pub fn fired(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    /// Resolves when the end is announced, at once if it was before.
    ///
    /// Cancel safety: holds no state, may be dropped and called again.
    pub async fn wait(&mut self) {
        // An error means that the trigger is gone, which is an announcement as well.
        let _ = self.0.wait_for(|fired| *fired).await;
    }
}
