//! Who has its writes refused: the newest few clients, for whoever must find the application that writes where it may not.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::audit::{Refused, printable};

/// Clients that are remembered; the one that was silent for longest makes room. What a person reads through.
const CLIENTS_MAX: usize = 32;
/// Bytes of a name that are kept: clients choose their names, and Redis bounds them by nothing but a bulk's length.
const NAME_BYTES_MAX: usize = 64;

/// A client that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refuser {
    /// The listener it came to.
    pub listener: String,
    /// Where it comes from, without the port, which each of its connections has anew.
    pub address: String,
    /// What it calls itself.
    pub name: Option<String>,
    /// The newest command that was refused.
    pub command: String,
    /// How many were refused.
    pub count: u64,
    /// When the newest was, in milliseconds since 1970.
    pub last_seen_ms: u64,
}

/// The newest refused clients. Refusals alone take its lock, and nothing waits while it is held.
#[derive(Debug, Default)]
pub(super) struct Refusers(Mutex<Vec<Refuser>>);

impl Refusers {
    pub(super) fn note(&self, refused: &Refused<'_>) {
        let address = host(refused.client);
        let name = refused
            .name
            .map(|name| printable(&name[..name.len().min(NAME_BYTES_MAX)]));
        let command = || printable(&refused.command[..refused.command.len().min(NAME_BYTES_MAX)]);
        let mut clients = self.lock();
        let known = clients.iter_mut().find(|client| {
            client.listener == refused.listener && client.address == address && client.name == name
        });
        if let Some(client) = known {
            client.count += 1;
            client.last_seen_ms = now();
            if !client.command.as_bytes().eq(refused.command) {
                client.command = command();
            }
            return;
        }
        if clients.len() == CLIENTS_MAX {
            let oldest = (0..clients.len()).min_by_key(|at| clients[*at].last_seen_ms);
            oldest.map(|at| clients.swap_remove(at));
        }
        clients.push(Refuser {
            listener: refused.listener.to_owned(),
            address: address.to_owned(),
            name,
            command: command(),
            count: 1,
            last_seen_ms: now(),
        });
    }

    /// The newest first.
    pub(super) fn list(&self) -> Vec<Refuser> {
        let mut clients = self.lock().clone();
        clients.sort_by_key(|client| std::cmp::Reverse(client.last_seen_ms));
        clients
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Refuser>> {
        // Each entry is whole between two statements: it is in order whoever panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An address without its port; a unix socket has none.
fn host(client: &str) -> &str {
    match client.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => client,
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused<'a>(client: &'a str, name: Option<&'a [u8]>, command: &'a [u8]) -> Refused<'a> {
        Refused {
            listener: "near",
            client,
            name,
            command,
            key: None,
        }
    }

    #[test]
    fn a_client_is_counted_over_its_connections() {
        let refusers = Refusers::default();
        refusers.note(&refused("10.0.0.1:4000", Some(b"jobs"), b"SET"));
        refusers.note(&refused("10.0.0.1:4001", Some(b"jobs"), b"del"));
        refusers.note(&refused("10.0.0.2:4000", None, b"SET"));
        let mut list = refusers.list();
        list.sort_by(|a, b| a.address.cmp(&b.address));
        let seen = list.iter().map(|client| {
            (
                client.address.as_str(),
                client.name.as_deref(),
                client.command.as_str(),
                client.count,
            )
        });
        assert_eq!(
            seen.collect::<Vec<_>>(),
            vec![
                ("10.0.0.1", Some("jobs"), "del", 2),
                ("10.0.0.2", None, "SET", 1)
            ]
        );
    }

    #[test]
    fn no_number_of_clients_and_no_length_of_a_name_makes_it_grow() {
        let refusers = Refusers::default();
        let name = vec![b'x'; 1 << 20];
        for client in 0..1000 {
            let address = format!("10.0.{}.{}:1", client / 250, client % 250);
            refusers.note(&refused(&address, Some(&name), &name));
        }
        let list = refusers.list();
        assert_eq!(list.len(), CLIENTS_MAX);
        assert!(list.iter().all(|client| client.command.len() <= 64));
        assert!(
            list.iter()
                .all(|client| client.name.as_ref().unwrap().len() <= 64)
        );
    }

    #[test]
    fn an_address_is_kept_without_its_port() {
        assert_eq!(host("10.0.0.1:4000"), "10.0.0.1");
        assert_eq!(host("[::1]:4000"), "[::1]");
        assert_eq!(host("unix:/run/app.sock"), "unix:/run/app.sock");
        assert_eq!(host("somebody"), "somebody");
    }
}
