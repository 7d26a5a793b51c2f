//! What is asked of one side by itself: how much it holds, who else talks to it, how much is written to it.
//!
//! Refuses to know: the link.

use std::collections::HashSet;

use serde::Serialize;

use super::connection::Connection;
use super::info::Info;
use crate::upstream::control::{CLIENT_NAME, Error, Value};

/// A client of a side that is not one of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OtherClient {
    /// The server's number for it.
    pub id: u64,
    /// Its address as the server sees it.
    pub address: String,
    /// The name it gave itself; often empty.
    pub name: String,
    /// The ACL user it is; empty where the server does not tell.
    pub user: String,
    /// The library it announced; often empty.
    pub library: String,
    /// The command it ran last.
    pub last_command: String,
}

/// Keys in all databases.
pub(super) async fn key_count(connection: &mut Connection) -> Result<u64, Error> {
    let reply = connection.call(&["INFO", "keyspace"]).await?;
    Ok(Info::from_reply(&reply).keys())
}

/// The identity of the server process, new with each start.
pub(super) async fn run_id(connection: &mut Connection) -> Result<Option<String>, Error> {
    let reply = connection.call(&["INFO", "server"]).await?;
    Ok(Info::from_reply(&reply).text("run_id").map(str::to_owned))
}

/// How often commands that write have run since the server started, by the server's own flags and counters. Those that
/// scripts ran are among them; the scripts themselves are not.
pub(super) async fn write_calls(connection: &mut Connection) -> Result<u64, Error> {
    let replies = connection
        .pipeline(&[&["COMMAND"], &["INFO", "commandstats"]])
        .await?;
    let [commands, statistics] = match <[_; 2]>::try_from(replies) {
        Ok([Ok(commands), Ok(statistics)]) => [commands, statistics],
        Ok([Err(text), _]) => return Err(connection.refused("COMMAND", text)),
        Ok([_, Err(text)]) => return Err(connection.refused("INFO", text)),
        Err(_) => return Err(connection.unexpected("COMMAND", "not two replies to two requests")),
    };
    let mut writing = HashSet::new();
    collect_writing(&commands, &mut writing);
    if writing.is_empty() {
        return Err(connection.unexpected("COMMAND", "no command that writes"));
    }
    Ok(sum_calls(&Info::from_reply(&statistics), &writing))
}

/// The clients that are neither replicas nor masters, nor named as ours, nor at one of our addresses.
pub(super) async fn other_clients(
    connection: &mut Connection,
    ours: &HashSet<String>,
) -> Result<Vec<OtherClient>, Error> {
    match connection.call(&["CLIENT", "LIST"]).await? {
        Value::Bulk(text) => Ok(String::from_utf8_lossy(&text)
            .lines()
            .filter_map(parse_client)
            .filter(|client| client.name != CLIENT_NAME && !ours.contains(&client.address))
            .collect()),
        Value::Null | Value::Simple(_) | Value::Integer(_) | Value::Array(_) => {
            Err(connection.unexpected("CLIENT", "not a list of clients"))
        }
    }
}

/// Adds the names of the commands, subcommands among them (`name|sub`), that carry the flag `write`.
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
            writing.insert(String::from_utf8_lossy(name).to_ascii_lowercase());
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
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_and_masters_are_no_clients() {
        let line = |flags| {
            format!(
                "id=6 addr=10.0.0.1:5 laddr=10.0.0.2:6379 name=app flags={flags} cmd=set user=u"
            )
        };
        assert_eq!(parse_client(&line("S")), None);
        assert_eq!(parse_client(&line("M")), None);
        let client = parse_client(&line("N")).expect("a client");
        assert_eq!((client.id, client.address.as_str()), (6, "10.0.0.1:5"));
        assert_eq!(
            (client.name.as_str(), client.last_command.as_str()),
            ("app", "set")
        );
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
            command("get", "readonly", vec![]),
            command("xgroup", "noscript", vec![create]),
        ]);
        let mut writing = HashSet::new();
        collect_writing(&commands, &mut writing);
        let statistics = bulk(
            "cmdstat_set:calls=5,usec=1\r\ncmdstat_get:calls=9,usec=1\r\ncmdstat_xgroup|create:calls=2,usec=1\r\n",
        );
        assert_eq!(sum_calls(&Info::from_reply(&statistics), &writing), 7);
    }
}
