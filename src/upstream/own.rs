//! Which of a side's clients are this process: the sessions' connections, by the server's own numbers for them, which
//! no network between can change; where it did not tell one (it wants AUTH first), by our address. Control connections
//! are known by their name instead.
//!
//! Refuses to know: who asks.

use std::collections::{HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A server may list a connection for a moment after we have closed it: so many are remembered beyond their end, more
/// than close in such a moment.
const CLOSED_MAX: usize = 16_384;

/// Every connection of this process to one side. A lock, since it is taken only when a connection opens or closes.
#[derive(Debug, Default)]
pub struct Own(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Open ones.
    open: HashSet<Handle>,
    /// Closed ones, the oldest first.
    closed: VecDeque<Handle>,
    /// Open ones without a handle.
    unknown: usize,
}

/// What the server knows a connection by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Handle {
    Number(i64),
    Address(SocketAddr),
}

/// A connection that is known as ours for as long as this lives.
#[derive(Debug)]
pub struct Mine {
    own: Arc<Own>,
    handle: Option<Handle>,
}

impl Own {
    /// Whether a client with this number at this address is, or was a moment ago, a connection of this process.
    pub fn has(&self, number: i64, address: &str) -> bool {
        let by_number = Handle::Number(number);
        let by_address = address.parse().ok().map(Handle::Address);
        let known = self.known();
        [Some(by_number), by_address]
            .iter()
            .flatten()
            .any(|handle| known.open.contains(handle) || known.closed.contains(handle))
    }

    /// Whether every connection of this process can be told from those of others, where `listed` are the addresses that
    /// the server sees: one that it sees at another address than ours, and without a number, cannot.
    pub fn can_be_told(&self, listed: &HashSet<SocketAddr>) -> bool {
        let known = self.known();
        known.unknown == 0
            && known.open.iter().all(|handle| match handle {
                Handle::Number(_) => true,
                Handle::Address(address) => listed.contains(address),
            })
    }

    /// Notes a connection, by what is known of it.
    pub fn note(self: &Arc<Self>, number: Option<i64>, address: Option<SocketAddr>) -> Mine {
        let handle = number.map(Handle::Number).or(address.map(Handle::Address));
        let mut known = self.known();
        match handle {
            Some(handle) => {
                known.open.insert(handle);
            }
            None => known.unknown += 1,
        }
        drop(known);
        Mine {
            own: Arc::clone(self),
            handle,
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Nothing between lock and unlock can panic half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mine {
    /// The server has told the connection's number, which says more than an address.
    pub(super) fn is_number(&mut self, number: i64) {
        *self = self.own.note(Some(number), None);
    }
}

impl Drop for Mine {
    fn drop(&mut self) {
        let mut known = self.own.known();
        let Some(handle) = self.handle else {
            known.unknown -= 1;
            return;
        };
        known.open.remove(&handle);
        if known.closed.len() == CLOSED_MAX {
            known.closed.pop_front();
        }
        known.closed.push_back(handle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_known_while_it_is_open_and_a_while_after() {
        let own = Arc::new(Own::default());
        let first = own.note(Some(0), None);
        assert!(own.has(0, "/socket:0") && !own.has(1, "/socket:0"));
        drop(first);
        assert!(own.has(0, ""), "the server may list it still");
        for number in 1..=CLOSED_MAX {
            drop(own.note(i64::try_from(number).ok(), None));
        }
        assert!(!own.has(0, ""), "what is remembered is bounded");
        assert!(own.has(1, ""));
    }

    #[test]
    fn without_a_number_the_address_tells_where_the_server_sees_the_same() {
        let own = Arc::new(Own::default());
        let address: SocketAddr = "10.0.0.1:7".parse().unwrap();
        let first = own.note(None, Some(address));
        assert!(own.has(3, "10.0.0.1:7") && !own.has(3, "10.0.0.1:8"));
        assert!(own.can_be_told(&HashSet::from([address])));
        assert!(!own.can_be_told(&HashSet::new()), "translated on the way");
        drop(first);
        assert!(own.can_be_told(&HashSet::new()));
        let nameless = own.note(None, None);
        assert!(!own.can_be_told(&HashSet::new()));
        drop(nameless);
        assert!(own.can_be_told(&HashSet::new()));
        let mut late = own.note(None, None);
        late.is_number(9);
        assert!(own.has(9, "") && own.can_be_told(&HashSet::new()));
    }
}
