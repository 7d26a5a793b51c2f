//! How requests of a server's commands are written, in the server's own words: COMMAND DOCS.

use std::collections::{BTreeMap, BTreeSet};

use super::kit::{Client, Command, Reply, commands};

/// A command, and how its arguments are written.
#[derive(Debug, Clone)]
pub struct Entry {
    pub command: Command,
    /// `string`, `sorted-set` …: what kind of key it is about.
    pub group: String,
    pub arguments: Vec<Argument>,
}

/// An argument, or several that belong together.
#[derive(Debug, Clone)]
pub struct Argument {
    pub name: String,
    pub kind: Kind,
    /// A word that stands before it; of [`Kind::Token`], that is it.
    pub token: Option<String>,
    /// `optional`, `multiple`, `multiple_token`
    pub flags: BTreeSet<String>,
    /// Of [`Kind::OneOf`] and [`Kind::Block`].
    pub parts: Vec<Argument>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Integer,
    Double,
    Key,
    UnixTime,
    Token,
    OneOf,
    Block,
}

impl Entry {
    /// `CONFIG GET`
    pub fn name(&self) -> String {
        self.command.words.join(" ")
    }

    pub fn has_flag(&self, flag: &str) -> bool {
        self.command.flags.contains(flag)
    }
}

/// Every command of a server; one that it does not document has no arguments here.
pub fn catalogue(client: &mut Client) -> Vec<Entry> {
    let mut documents = BTreeMap::new();
    collect(&client.call(&["COMMAND", "DOCS"]), &mut documents);
    let entries = commands(client).into_iter().map(|command| {
        let (group, arguments) = documents
            .remove(&command.words.join(" "))
            .unwrap_or_default();
        Entry {
            command,
            group,
            arguments,
        }
    });
    entries.collect()
}

fn collect(reply: &Reply, into: &mut BTreeMap<String, (String, Vec<Argument>)>) {
    for (name, document) in pairs(reply) {
        let (mut group, mut written) = (String::new(), Vec::new());
        for (field, value) in pairs(document) {
            match field.as_str() {
                "group" => group = value.clone().into_text(),
                "arguments" => written = arguments(value),
                "subcommands" => collect(value, into),
                _ => {}
            }
        }
        let name = name.to_uppercase().replace('|', " ");
        into.insert(name, (group, written));
    }
}

fn arguments(reply: &Reply) -> Vec<Argument> {
    let Reply::Array(all) = reply else {
        return Vec::new();
    };
    all.iter().map(argument).collect()
}

fn argument(reply: &Reply) -> Argument {
    let mut argument = Argument {
        name: String::new(),
        kind: Kind::Text,
        token: None,
        flags: BTreeSet::new(),
        parts: Vec::new(),
    };
    for (field, value) in pairs(reply) {
        match (field.as_str(), value) {
            ("name", value) => argument.name = value.clone().into_text(),
            ("type", value) => argument.kind = kind(&value.clone().into_text()),
            ("token", value) => argument.token = Some(value.clone().into_text()),
            ("flags", Reply::Array(flags)) => {
                argument.flags = flags.iter().cloned().map(Reply::into_text).collect();
            }
            ("arguments", value) => argument.parts = arguments(value),
            _ => {}
        }
    }
    argument
}

fn kind(text: &str) -> Kind {
    match text {
        "integer" => Kind::Integer,
        "double" => Kind::Double,
        "key" => Kind::Key,
        "unix-time" => Kind::UnixTime,
        "pure-token" => Kind::Token,
        "oneof" => Kind::OneOf,
        "block" => Kind::Block,
        // A pattern is a text, and so is what a newer server may bring.
        _ => Kind::Text,
    }
}

/// A map, as RESP2 writes it: name, value, name, value.
fn pairs(reply: &Reply) -> impl Iterator<Item = (String, &Reply)> {
    let flat: &[Reply] = match reply {
        Reply::Array(flat) => flat,
        _ => &[],
    };
    flat.chunks_exact(2)
        .map(|pair| (pair[0].clone().into_text(), &pair[1]))
}
