//! What a server says of its own commands, in COMMAND.

use std::collections::BTreeSet;

use super::client::Client;
use super::reply::Reply;

/// A command or a subcommand.
#[derive(Debug, Clone)]
pub struct Command {
    /// `["CONFIG", "GET"]`
    pub words: Vec<String>,
    pub arity: i64,
    /// Flags, as `write`; no ACL categories.
    pub flags: BTreeSet<String>,
}

/// Every command of the server, subcommands included, by name: COMMAND gives them in an order of the server's mood.
pub fn commands(client: &mut Client) -> Vec<Command> {
    let mut commands = Vec::new();
    collect(&client.call(&["COMMAND"]), &mut commands);
    commands.sort_by(|one, other| one.words.cmp(&other.words));
    commands
}

fn collect(reply: &Reply, into: &mut Vec<Command>) {
    let Reply::Array(rows) = reply else { return };
    for row in rows {
        let Reply::Array(fields) = row else { continue };
        let flags = match &fields[2] {
            Reply::Array(flags) => flags.iter().cloned().map(Reply::into_text).collect(),
            _ => BTreeSet::new(),
        };
        let name = fields[0].clone().into_text().to_uppercase();
        into.push(Command {
            words: name.split('|').map(ToOwned::to_owned).collect(),
            arity: fields[1].number(),
            flags,
        });
        if let Some(subcommands) = fields.get(9) {
            collect(subcommands, into);
        }
    }
}
