//! The end of the process, as the sessions of one worker live it: each finishes what it is in the middle of, and leaves.
//!
//! What had arrived when the end was announced is answered, and a request that had begun to arrive is waited for; a
//! transaction goes on to its EXEC. A command that blocks keeps its time where that ends soon enough; where it does not,
//! the command is ended on its server with CLIENT UNBLOCK, so that nothing is popped for nobody. What else a client sends
//! was never sent on: the end of the connection tells it so.
//!
//! Refuses to know: why the process ends, and what happens to those who have not left in time.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

use tokio::sync::Notify;

use super::relay::{Session, Watch};
use super::reply::Client;

/// The sessions of one worker, so that they can be told to leave, and waited for.
#[derive(Default)]
pub(super) struct Guests {
    /// Each by its key; none while a connection is only becoming a session, or is one no more.
    clients: RefCell<BTreeMap<u64, Option<Rc<Client>>>>,
    /// The next one's key.
    next_key: Cell<u64>,
    /// Until when everybody must have left. None: nobody needs to.
    limit: Cell<Option<Instant>>,
    /// Told when the last one has left.
    empty: Notify,
}

/// A session's place among the guests; given up when it is dropped.
pub(super) struct Guest {
    guests: Rc<Guests>,
    key: u64,
}

/// Who had not left when there was no more time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Remaining {
    /// Sessions that were in the middle of something.
    pub sessions: usize,
    /// Their requests without a reply.
    pub requests: u64,
}

impl Guests {
    /// A place for a connection that has been taken in.
    pub(super) fn enter(self: &Rc<Self>) -> Guest {
        let key = self.next_key.get();
        self.next_key.set(key + 1);
        self.clients.borrow_mut().insert(key, None);
        Guest {
            guests: Rc::clone(self),
            key,
        }
    }

    /// Until when everybody must have left, once they were told.
    pub(super) fn limit(&self) -> Option<Instant> {
        self.limit.get()
    }

    /// Tells everybody to leave by `limit`, and resolves when they have.
    pub(super) async fn see_out(&self, limit: Instant) {
        self.limit.set(Some(limit));
        for client in self.clients.borrow().values().flatten() {
            client.signal();
        }
        while !self.clients.borrow().is_empty() {
            self.empty.notified().await;
        }
    }

    /// Who is still there.
    pub(super) fn remaining(&self) -> Remaining {
        let clients = self.clients.borrow();
        let mut remaining = Remaining::default();
        for client in clients.values().flatten() {
            remaining.sessions += 1;
            remaining.requests += client.unanswered();
        }
        remaining
    }
}

impl Guest {
    /// The connection has become a session.
    pub(super) fn introduce(&self, client: &Rc<Client>) {
        let mut clients = self.guests.clients.borrow_mut();
        clients.insert(self.key, Some(Rc::clone(client)));
        if self.guests.limit.get().is_some() {
            client.signal();
        }
    }

    /// The session is over, and only its last replies are on their way.
    pub(super) fn depart(&self) {
        self.guests.clients.borrow_mut().insert(self.key, None);
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut clients = self.guests.clients.borrow_mut();
        clients.remove(&self.key);
        if clients.is_empty() {
            self.guests.empty.notify_one();
        }
    }
}

/// What a session that is to leave still waits for.
pub(super) struct Leaving {
    /// Bytes that had arrived when it was told, and were not read then.
    unread: usize,
    /// A request had begun to arrive when those were read: the number that it will have.
    begun: Option<u64>,
    /// Whether more is read from the client.
    pub(super) reads: Reads,
}

/// Whether a session that is to leave reads on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reads {
    /// What it is in the middle of is not all there.
    On,
    /// Everything that it still answers is there.
    Off,
}

impl Leaving {
    /// So many bytes were read from the client.
    pub(super) fn read(&mut self, bytes: usize) {
        self.unread = self.unread.saturating_sub(bytes);
    }
}

impl Session {
    /// Does what is to be done so that the session may leave by `limit`; whether it may now.
    pub(super) fn may_leave(&mut self, limit: Instant) -> bool {
        if self.replica_of.is_some() || self.was_released() {
            return true;
        }
        if self.waits_beyond(limit) {
            self.release_blocked();
        }
        let arrived = self.client.stream().unread_bytes();
        let mut leaving = self.leaving.take().unwrap_or_else(|| {
            Box::new(Leaving {
                unread: arrived,
                begun: None,
                reads: Reads::On,
            })
        });
        leaving.unread = leaving.unread.min(arrived);
        leaving.reads = self.reads_on(&mut leaving);
        let is_done = leaving.reads == Reads::Off && self.park.is_none();
        self.leaving = Some(leaving);
        if self.client.unanswered() > 0 {
            self.client.signal_when_answered();
            return false;
        }
        is_done
    }

    fn reads_on(&self, leaving: &mut Leaving) -> Reads {
        let in_the_middle = self.transaction.is_some() || self.watch != Watch::Off;
        // While it waits at its server, a client that goes away must not be missed.
        if in_the_middle || self.blocked.is_some() || leaving.unread > 0 {
            return Reads::On;
        }
        if self.inbox.is_empty() || self.park.is_some() {
            return Reads::Off;
        }
        // What is left in an inbox that is not parked is the beginning of a request. One is waited for, and no further
        // one: a client that never stops would never be done.
        let next = self.client.next_number();
        if *leaving.begun.get_or_insert(next) == next {
            Reads::On
        } else {
            Reads::Off
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn everybody_has_left_when_the_last_one_has() {
        let guests = Rc::new(Guests::default());
        let (one, other) = (guests.enter(), guests.enter());
        let leaving = guests.see_out(Instant::now());
        tokio::pin!(leaving);
        drop(one);
        let wait = Duration::from_secs(1);
        assert!(tokio::time::timeout(wait, &mut leaving).await.is_err());
        drop(other);
        assert!(tokio::time::timeout(wait, &mut leaving).await.is_ok());
        assert_eq!(guests.remaining(), Remaining::default());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_waited_for_where_nobody_is() {
        let guests = Guests::default();
        assert_eq!(guests.limit(), None);
        let limit = Instant::now();
        guests.see_out(limit).await;
        assert_eq!(guests.limit(), Some(limit));
    }
}
