//! What the clients of the load tell the outside, and the word that ends them.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One exchange that took long.
#[derive(Debug, Clone)]
pub struct Wait {
    pub from: Instant,
    pub to: Instant,
    /// The requests, and how it ended.
    pub what: String,
    /// Whether it only read.
    pub reads: bool,
}

/// What every client tells the outside.
#[derive(Default)]
pub struct Heard {
    pub waits: Mutex<Vec<Wait>>,
    /// Error replies and lost connections.
    pub errors: Mutex<Vec<String>>,
}

#[derive(Default)]
pub struct Stop {
    said: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    /// Whether the word is said within `time`, or was before.
    pub fn within(&self, time: Duration) -> bool {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(said, time, |said| !*said);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    pub fn say(&self) {
        *self.said.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }
}

impl Heard {
    /// The exchanges that took long and ended since, and none of them again.
    pub fn take_waits(&self) -> Vec<Wait> {
        std::mem::take(&mut *self.waits.lock().unwrap())
    }

    pub fn take_errors(&self) -> Vec<String> {
        std::mem::take(&mut *self.errors.lock().unwrap())
    }
}
