//! How often a server is asked again for what must happen within the write pause.

use std::time::Duration;

/// Polls that follow each other without a wait; each is a round trip. The runtime's timer cannot wait for less than a
/// millisecond, which is longer than most catch-ups take.
const POLLS_AT_ONCE: u32 = 20;
/// The wait between polls after those, at first.
const POLL_WAIT_MIN: Duration = Duration::from_millis(1);
/// The wait between polls at most.
const POLL_WAIT_MAX: Duration = Duration::from_millis(2);

/// The rhythm of polls inside the pause. Whoever polls is given up when the pause ends.
#[derive(Debug, Default)]
pub(super) struct Polls(u32);

impl Polls {
    /// Waits until the next poll is due.
    pub(super) async fn pause(&mut self) {
        self.0 = self.0.saturating_add(1);
        match self.0.checked_sub(POLLS_AT_ONCE) {
            None => tokio::task::yield_now().await,
            Some(waits) => {
                tokio::time::sleep((POLL_WAIT_MIN * waits.max(1)).min(POLL_WAIT_MAX)).await;
            }
        }
    }
}
