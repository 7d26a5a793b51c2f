//! Waiting for an event, with a limit: the one place in the tests that lets time pass.

use std::time::{Duration, Instant};

/// How long anything in a test may take unless the test says otherwise: generous, since test machines are busy.
pub const LIMIT: Duration = Duration::from_secs(20);
/// Time between two looks.
const POLL: Duration = Duration::from_millis(5);

/// Waits until `condition` holds; false when it did not within `limit`. To be asserted.
#[must_use]
pub fn eventually(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        pause();
    }
}

/// Lets time pass: for a fault that is to last so long, or a time that is watched. Never for something to have happened
/// after it.
pub fn let_pass(time: Duration) {
    let over = Instant::now() + time;
    assert!(eventually(time + LIMIT, || Instant::now() >= over));
}

#[allow(clippy::disallowed_methods)] // the poll interval; nothing is assumed to have happened after it
fn pause() {
    std::thread::sleep(POLL);
}
