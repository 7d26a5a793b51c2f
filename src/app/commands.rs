//! The servers' own words about their commands, laid over the built-in table: module commands, renamed commands, and
//! whatever a newer server has. What they say is also what the compatibility report compares.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::command::{Flags, ServerCommand, ServerCommands, Table};
use crate::link::functions::{self, Libraries};
use crate::terms::Side;
use crate::traffic::Traffic;
use crate::upstream::Server;
use crate::upstream::control::{Control, Error, Value};

/// COMMAND's reply has some 250 entries and takes a server a few milliseconds.
const COMMAND_LIMIT: Duration = Duration::from_secs(5);
/// How long after a failure a server is asked again. It may not be up yet, and its commands are only needed where they
/// are not the usual ones.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// Asks every server once, and publishes the table with what they say. Servers that do not answer are asked again.
pub(super) async fn overlay(
    table: Arc<ArcSwap<Table>>,
    traffic: Arc<Traffic>,
    servers: Vec<Server>,
) {
    let mut known = Table::builtin();
    let mut silent: Vec<Server> = servers;
    loop {
        let mut still_silent = Vec::new();
        for server in silent {
            match ask(&server).await {
                Ok(Told {
                    commands,
                    libraries,
                }) => {
                    known = known.overlay(&commands);
                    traffic.said(server.side, &commands);
                    traffic.mark(&mut known);
                    table.store(Arc::new(known.clone()));
                    for (name, code) in &libraries {
                        traffic.saw_library(name, code);
                    }
                }
                // It answers, and does not tell: its ACL or its version. The built-in table stands.
                Err(error @ Error::Refused { .. }) => {
                    tracing::info!(server = server.name, %error, "the built-in command table is used as it is");
                }
                Err(error) => {
                    tracing::debug!(server = server.name, %error, "COMMAND was not answered; asked again later");
                    still_silent.push(server);
                }
            }
        }
        if still_silent.is_empty() {
            return;
        }
        silent = still_silent;
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

/// What a server tells.
struct Told {
    commands: ServerCommands,
    /// The functions that are loaded on the source, where it has and tells any: clients call them by name, so that what
    /// they do is not seen in the traffic.
    libraries: Libraries,
}

async fn ask(server: &Server) -> Result<Told, Error> {
    let mut control = Control::connect(server).await?;
    let reply = control.call(&[b"COMMAND"], COMMAND_LIMIT).await?;
    let commands = entries(&reply).collect();
    let libraries = match server.side {
        Side::Source => {
            let mut replies = control
                .pipeline(&[functions::request()], COMMAND_LIMIT)
                .await?;
            replies.pop().and_then(functions::of_reply)
        }
        Side::Target => None,
    };
    Ok(Told {
        commands,
        libraries: libraries.unwrap_or_default(),
    })
}

/// The entries of COMMAND's reply, subcommands included. What is not as documented is left out: it stays unknown, and
/// what is unknown may write.
fn entries(reply: &Value) -> impl Iterator<Item = ServerCommand<'_>> {
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    collect(reply, &mut found, &mut seen);
    found.into_iter()
}

fn collect<'a>(reply: &'a Value, found: &mut Vec<ServerCommand<'a>>, seen: &mut HashSet<&'a [u8]>) {
    let Value::Array(entries) = reply else { return };
    for entry in entries {
        let Value::Array(fields) = entry else {
            continue;
        };
        let Some(command) = command(fields) else {
            continue;
        };
        if seen.insert(command.name) {
            found.push(command);
        }
        if let Some(subcommands) = fields.get(9) {
            collect(subcommands, found, seen);
        }
    }
}

fn command(fields: &[Value]) -> Option<ServerCommand<'_>> {
    let name = text(fields.first()?)?;
    let number = |at: usize| match fields.get(at) {
        Some(Value::Integer(number)) => Some(*number),
        _ => None,
    };
    let words = [2, 6]
        .into_iter()
        .filter_map(|at| fields.get(at))
        .flat_map(|list| match list {
            Value::Array(words) => words.iter().filter_map(text).collect(),
            _ => Vec::new(),
        });
    Some(ServerCommand {
        name,
        arity: number(1)?,
        flags: Flags::from_words(words),
        keys: (number(3)?, number(4)?, number(5)?),
    })
}

fn text(value: &Value) -> Option<&[u8]> {
    match value {
        Value::Bulk(bytes) => Some(bytes),
        Value::Simple(text) => Some(text.as_bytes()),
        Value::Null | Value::Integer(_) | Value::Array(_) => None,
    }
}
