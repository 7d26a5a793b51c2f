//! What the sessions of one worker keep while the gate holds writes: counted, so that all of them together stay within a
//! limit. Beyond it nobody is read, and what clients send waits where it is until the gate opens, which it does within
//! the bound of the pause.
//!
//! Refuses to know: why the gate is closed.

use std::cell::Cell;
use std::rc::Rc;

use super::relay::Session;

/// What a worker's sessions keep altogether.
#[derive(Debug)]
pub(super) struct Holding {
    /// Bytes, of all shares.
    total: Rc<Cell<usize>>,
    /// Nobody is read beyond.
    bytes_max: Cell<usize>,
}

/// One session's share.
#[derive(Debug)]
pub(super) struct Share {
    total: Rc<Cell<usize>>,
    bytes: usize,
}

impl Holding {
    /// A worker's part of what the process may keep.
    pub(super) fn new(bytes_max: usize) -> Holding {
        Holding {
            total: Rc::default(),
            bytes_max: Cell::new(bytes_max),
        }
    }

    fn is_full(&self) -> bool {
        self.total.get() > self.bytes_max.get()
    }

    /// Another part. Who is held off looks again when the policy changes.
    pub(super) fn set_bytes_max(&self, bytes_max: usize) {
        self.bytes_max.set(bytes_max);
    }

    fn share(&self, bytes: usize) -> Share {
        self.total.set(self.total.get() + bytes);
        Share {
            total: Rc::clone(&self.total),
            bytes,
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.total.set(self.total.get() - self.bytes);
    }
}

impl Session {
    /// Counts what this session keeps while writes are held, and only then.
    pub(super) fn count_held(&mut self) {
        if self.share.is_none() && !self.writes_are_held() {
            return;
        }
        self.share = None;
        if self.writes_are_held() && !self.inbox.is_empty() {
            self.share = Some(self.worker.holding.share(self.inbox.len()));
        }
    }

    /// Whether the client is not read since too much is held. The session looks again when the policy changes.
    pub(super) fn is_held_off(&self) -> bool {
        if !self.writes_are_held() || !self.worker.holding.is_full() {
            return false;
        }
        let Some(waker) = self.client.waker() else {
            return false;
        };
        self.worker.gate.wait(waker);
        true
    }

    fn writes_are_held(&self) -> bool {
        self.worker.gate.policy().stage.holds_writes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_counts_for_as_long_as_it_lives() {
        let holding = Holding::new(100);
        let one = holding.share(80);
        assert!(!holding.is_full());
        let other = holding.share(21);
        assert!(holding.is_full());
        drop(one);
        assert!(!holding.is_full());
        drop(other);
        assert_eq!(holding.total.get(), 0);
    }
}
