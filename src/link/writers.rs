//! Who else writes to a side: its counters of commands that write, and the clients that are not this process.
//!
//! Refuses to know: the link, what follows from it.

use std::collections::HashSet;
use std::fmt;
use std::net::SocketAddr;

use serde::Serialize;

use super::connection::Connection;
use super::info::Info;
use crate::upstream::control::{CLIENT_NAME, Error, Value};

/// Flagged as writing, though clients mostly read with them: not counted, since the proxy lets those reads through while
/// it holds writes.
const MAY_ONLY_READ: [&str; 4] = ["bitfield", "georadius", "georadiusbymember", "sort"];

/// Not flagged as writing, though they may, or have effects that travel over replication.
const MAY_WRITE: [&str; 6] = ["eval", "evalsha", "exec", "fcall", "publish", "spublish"];

/// So many are named in a text.
const NAMED_MAX: usize = 3;

/// A client of a side that is not this process, and whose last command may have written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OtherClient {
    /// The server's number for it.
    pub id: i64,
    /// Its address as the server sees it.
    pub address: String,
    /// The name it gave itself; often empty.
    pub name: String,
    /// The ACL user it is; empty where the server does not tell.
    pub user: String,
    /// The library it announced; often empty.
    pub library: String,
    /// The command it sent last.
    pub last_command: String,
    /// Whole seconds since then.
    pub idle_seconds: u64,
    /// The server keeps it waiting: it blocks, or a pause holds it.
    pub waits: bool,
}

impl fmt::Display for OtherClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (client {}", self.address, self.id)?;
        for (what, value) in [
            ("name", &self.name),
            ("user", &self.user),
            ("library", &self.library),
        ] {
            if !value.is_empty() {
                write!(f, ", {what} {value}")?;
            }
        }
        write!(f, ", last command {}", self.last_command)?;
        if self.idle_seconds > 0 {
            write!(f, " {} s ago", self.idle_seconds)?;
        }
        write!(f, ")")
    }
}

/// The first few of them, for people.
pub(super) fn named(clients: &[OtherClient]) -> String {
    let names: Vec<_> = clients
        .iter()
        .take(NAMED_MAX)
        .map(OtherClient::to_string)
        .collect();
    match clients.len().saturating_sub(NAMED_MAX) {
        0 => names.join(", "),
        more => format!("{}, and {more} more", names.join(", ")),
    }
}

/// How often commands that write have run since the server started, by the server's own flags and counters. Those that
/// scripts ran are among them; the scripts themselves are not, and neither are commands that may only read.
pub(super) async fn write_calls(connection: &mut Connection) -> Result<u64, Error> {
    learn_writing(connection).await?;
    let statistics = connection.call(&["INFO", "commandstats"]).await?;
    let statistics = Info::from_reply(&statistics);
    // The reply came over a new connection if the set is gone; then nobody knows whether it is the same server.
    match &connection.writing {
        Some(writing) => Ok(sum_calls(&statistics, writing)),
        None => Err(connection.unexpected("INFO", "the connection was lost and made anew")),
    }
}

/// Clients that are not this process and whose last command may have written; none where they cannot be told from ours.
pub(super) async fn other_writers(
    connection: &mut Connection,
) -> Result<Option<Vec<OtherClient>>, Error> {
    learn_writing(connection).await?;
    let clients = list(connection).await?;
    let addresses: HashSet<SocketAddr> = clients
        .iter()
        .filter_map(|client| client.address.parse().ok())
        .collect();
    let own = &connection.server.own;
    if !own.can_be_told(&addresses) {
        return Ok(None);
    }
    let writing = connection.writing.as_ref();
    let others = clients
        .into_iter()
        .filter(|client| client.name != CLIENT_NAME && !own.has(client.id, &client.address))
        .filter(|client| may_write(&client.last_command, writing))
        .collect();
    Ok(Some(others))
}

/// The writers that a pause of the server holds at this moment, while no command of this process blocks there. One round
/// trip where there are none.
pub(super) async fn held_back(connection: &mut Connection) -> Result<Vec<OtherClient>, Error> {
    let clients = connection.call(&["INFO", "clients"]).await?;
    if Info::from_reply(&clients).number::<u64>("blocked_clients") == Some(0) {
        return Ok(vec![]);
    }
    let own = std::sync::Arc::clone(&connection.server.own);
    let clients = list(connection).await?;
    let writing = connection.writing.as_ref();
    Ok(clients
        .into_iter()
        .filter(|client| client.waits && client.name != CLIENT_NAME)
        .filter(|client| !own.has(client.id, &client.address))
        .filter(|client| may_write(&client.last_command, writing))
        .collect())
}

/// Asks for what [`write_calls`] needs, if this connection has not yet: outside of a pause, so that it costs nothing there.
pub(super) async fn learn_writing(connection: &mut Connection) -> Result<(), Error> {
    if connection.writing.is_some() {
        return Ok(());
    }
    let commands = connection.call(&["COMMAND"]).await?;
    let mut writing = HashSet::new();
    collect_writing(&commands, &mut writing);
    if writing.is_empty() {
        return Err(connection.unexpected("COMMAND", "no command that writes"));
    }
    connection.writing = Some(writing);
    Ok(())
}

/// Everybody but replication's own connections.
async fn list(connection: &mut Connection) -> Result<Vec<OtherClient>, Error> {
    match connection.call(&["CLIENT", "LIST"]).await? {
        Value::Bulk(text) => Ok(String::from_utf8_lossy(&text)
            .lines()
            .filter_map(parse_client)
            .collect()),
        Value::Null | Value::Simple(_) | Value::Integer(_) | Value::Array(_) => {
            Err(connection.unexpected("CLIENT", "not a list of clients"))
        }
    }
}

/// Whether a command may have written; where the server's flags are not known, every command may.
fn may_write(command: &str, writing: Option<&HashSet<String>>) -> bool {
    let command = command.to_ascii_lowercase();
    MAY_WRITE.contains(&command.as_str())
        || MAY_ONLY_READ.contains(&command.as_str())
        || writing.is_none_or(|writing| writing.contains(&command))
}

/// Adds the names of the commands, subcommands among them (`name|sub`), that carry the flag `write` and do not often only
/// read.
fn collect_writing(commands: &Value, writing: &mut HashSet<String>) {
    let Value::Array(commands) = commands else {
        return;
    };
    for command in commands {
        let Value::Array(parts) = command else {
            continue;
        };
        if let (Some(Value::Bulk(name)), Some(Value::Array(flags))) = (parts.first(), parts.get(2))
            && flags.iter().any(is_write)
        {
            let name = String::from_utf8_lossy(name).to_ascii_lowercase();
            if !MAY_ONLY_READ.contains(&name.as_str()) {
                writing.insert(name);
            }
        }
        // Redis documents the subcommands as the tenth element, in the same shape.
        if let Some(subcommands) = parts.get(9) {
            collect_writing(subcommands, writing);
        }
    }
}

fn is_write(flag: &Value) -> bool {
    match flag {
        Value::Simple(text) => text == "write",
        Value::Bulk(text) => text == b"write",
        Value::Null | Value::Integer(_) | Value::Array(_) => false,
    }
}

/// Adds up `cmdstat_name:calls=n,…`.
fn sum_calls(statistics: &Info, writing: &HashSet<String>) -> u64 {
    statistics
        .with_prefix("cmdstat_")
        .filter(|(name, _)| writing.contains(&name.to_ascii_lowercase()))
        .filter_map(|(_, value)| {
            value
                .strip_prefix("calls=")?
                .split(',')
                .next()?
                .parse::<u64>()
                .ok()
        })
        .sum()
}

/// One line of CLIENT LIST; `None` for replication's own connections and for what is not a client.
fn parse_client(line: &str) -> Option<OtherClient> {
    let field = |name: &str| {
        line.split(' ')
            .filter_map(|part| part.split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.to_owned())
    };
    let flags = field("flags").unwrap_or_default();
    if flags.contains(['S', 'M']) {
        return None;
    }
    Some(OtherClient {
        id: field("id")?.parse().ok()?,
        address: field("addr").unwrap_or_default(),
        name: field("name").unwrap_or_default(),
        user: field("user").unwrap_or_default(),
        library: field("lib-name").unwrap_or_default(),
        last_command: field("cmd").unwrap_or_default(),
        idle_seconds: field("idle")
            .and_then(|idle| idle.parse().ok())
            .unwrap_or_default(),
        waits: flags.contains('b'),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_and_masters_are_no_clients() {
        let line = |flags| {
            format!(
                "id=6 addr=10.0.0.1:5 laddr=10.0.0.2:6379 name=app idle=4 flags={flags} cmd=set user=u"
            )
        };
        assert_eq!(parse_client(&line("S")), None);
        assert_eq!(parse_client(&line("M")), None);
        assert!(parse_client(&line("b")).is_some_and(|client| client.waits));
        let client = parse_client(&line("N")).expect("a client");
        assert_eq!(
            client.to_string(),
            "10.0.0.1:5 (client 6, name app, user u, last command set 4 s ago)"
        );
        let many = named(&vec![client; NAMED_MAX + 2]);
        assert!(many.ends_with(", and 2 more"), "{many}");
    }

    #[test]
    fn calls_are_counted_for_commands_that_write_and_for_no_others() {
        let bulk = |text: &str| Value::Bulk(text.as_bytes().to_vec());
        let command = |name: &str, flag: &str, subcommands: Vec<Value>| {
            let mut parts = vec![
                bulk(name),
                Value::Integer(1),
                Value::Array(vec![Value::Simple(flag.into())]),
            ];
            parts.extend([const { Value::Null }; 6]);
            parts.push(Value::Array(subcommands));
            Value::Array(parts)
        };
        let create = command("xgroup|create", "write", vec![]);
        let commands = Value::Array(vec![
            command("set", "write", vec![]),
            command("sort", "write", vec![]),
            command("get", "readonly", vec![]),
            command("xgroup", "noscript", vec![create]),
        ]);
        let mut writing = HashSet::new();
        collect_writing(&commands, &mut writing);
        let statistics = bulk(
            "cmdstat_set:calls=5,usec=1\r\ncmdstat_get:calls=9,usec=1\r\ncmdstat_sort:calls=4,usec=1\r\n\
             cmdstat_xgroup|create:calls=2,usec=1\r\n",
        );
        assert_eq!(sum_calls(&Info::from_reply(&statistics), &writing), 7);
        for (name, expected) in [
            ("SET", true),
            ("get", false),
            ("eval", true),
            ("sort", true),
        ] {
            assert_eq!(may_write(name, Some(&writing)), expected, "{name}");
        }
    }
}
