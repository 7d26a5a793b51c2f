//! What a server's own `COMMAND` adds to the table: module commands, renamed commands, newer ones.
//!
//! A server can make the table stricter, never looser: what we take for a write stays one.

use std::borrow::Cow;
use std::collections::HashSet;

use super::arguments::Decide;
use super::classify::{Command, NAME_BYTES_MAX, Table};
use super::flags::Flags;
use super::keys::Keys;
use super::lookout::Attention;
use super::policy;
use super::verdict::{Class, Replies};

/// One entry of a `COMMAND` reply, or of the subcommands in it.
#[derive(Debug, Clone, Copy)]
pub struct ServerCommand<'a> {
    /// As the server spells it: `get`, `config|set`.
    pub name: &'a [u8],
    /// Number of arguments with the name; negative: at least so many.
    pub arity: i64,
    /// Its flags and ACL categories.
    pub flags: Flags,
    /// Position of its first key, the last one's (negative: from the end), and the step between them; 0 0 0 if none.
    pub keys: (i64, i64, i64),
}

/// What a server says about its own commands.
#[derive(Debug, Clone, Default)]
pub struct ServerCommands {
    commands: Vec<Command>,
}

impl ServerCommands {
    /// The names, in upper case; a subcommand follows its container after one space.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.commands.iter().map(|command| &*command.name)
    }
}

impl<'a> FromIterator<ServerCommand<'a>> for ServerCommands {
    /// Commands and subcommands in any order. Names that are no names are passed over: they stay unknown.
    fn from_iter<T: IntoIterator<Item = ServerCommand<'a>>>(entries: T) -> ServerCommands {
        ServerCommands {
            commands: entries
                .into_iter()
                .filter_map(|entry| entry.parse())
                .collect(),
        }
    }
}

impl ServerCommand<'_> {
    fn parse(&self) -> Option<Command> {
        let name = std::str::from_utf8(self.name)
            .ok()?
            .to_ascii_uppercase()
            .replace('|', " ");
        let fits = |part: &str| (1..=NAME_BYTES_MAX).contains(&part.len());
        if name.split(' ').count() > 2 || !name.split(' ').all(fits) {
            return None;
        }
        Some(Command {
            name: Cow::Owned(name),
            arity: i16::try_from(self.arity).unwrap_or(-1),
            flags: self.flags,
            keys: range(self.keys),
            class: policy::class_of_stranger(self.flags),
            effect: policy::effect_of_stranger(self.flags),
            replies: Replies::One,
            attention: Attention::Pass,
            by_arguments: Decide::Nothing,
        })
    }
}

pub(super) fn overlay(table: &Table, server: &ServerCommands) -> Table {
    let containers: HashSet<&str> = server
        .commands
        .iter()
        .filter(|command| command.name.contains(' '))
        .map(Command::container)
        .collect();
    let mut table = table.clone();
    for command in &server.commands {
        let (name, subcommand) = match command.name.split_once(' ') {
            Some((name, subcommand)) => (name, Some(subcommand.as_bytes())),
            None => (&*command.name, None),
        };
        // What the entry of a container says is about its subcommands, which have entries of their own.
        if subcommand.is_none() && containers.contains(name) {
            continue;
        }
        tighten(&mut table, command);
        let known = table.find(name.as_bytes(), subcommand).is_some();
        if !known && !is_known_container(&mut table, command) {
            table.add(command.clone());
        }
    }
    table
}

/// Has every entry that `said` is about write, if it says so and they do not know. What an older server says of a
/// container is about all its subcommands, and what a newer one says of a subcommand is about the command that we take
/// for a plain one.
fn tighten(table: &mut Table, said: &Command) {
    if !(said.flags.is_write() || said.flags.is_may_replicate()) {
        return;
    }
    let concerned =
        |name: &str| name == said.name || name == said.container() || said.container() == said.name;
    for ours in table.all_of(said.container()) {
        if concerned(&ours.name) && !ours.flags.is_write() && !ours.class.may_write() {
            ours.class = Class::Write;
            ours.by_arguments = Decide::Nothing;
        }
    }
}

/// Whether `said` is an older server's one entry for what is a container to us. Its subcommands are known or may write.
fn is_known_container(table: &mut Table, said: &Command) -> bool {
    !said.name.contains(' ') && table.all_of(&said.name).next().is_some()
}

fn range((first, last, step): (i64, i64, i64)) -> Keys {
    match (u8::try_from(first), i8::try_from(last), u8::try_from(step)) {
        (Ok(first), Ok(last), Ok(step)) if first > 0 && step > 0 => {
            Keys::Range { first, last, step }
        }
        _ => Keys::None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::kit;
    use super::super::verdict::{CommandId, Effect};
    use super::*;

    fn said<'a>(name: &'a str, flags: &str) -> ServerCommand<'a> {
        let flags = Flags::from_words(flags.split(' ').map(str::as_bytes));
        ServerCommand {
            name: name.as_bytes(),
            arity: -2,
            flags,
            keys: (1, 1, 1),
        }
    }

    fn after(entries: &[ServerCommand<'_>]) -> Table {
        Table::builtin().overlay(&entries.iter().copied().collect())
    }

    fn check(table: &Table, line: &str, class: Class, effect: Effect) {
        let verdict = kit::line(line, |request| {
            let verdict = table.classify(request);
            (verdict.class, verdict.effect)
        });
        assert_eq!(verdict, (class, effect), "{line}");
    }

    #[test]
    fn a_module_command_is_what_its_flags_say() {
        let table = after(&[
            said("graph.query", "write denyoom module"),
            said("graph.ro_query", "readonly module"),
            said("graph.config", "readonly admin"),
            said("graph.purge", "readonly @dangerous"),
            said("graph.touch", "readonly may_replicate"),
            said("graph.hello", "noscript"),
            said("graph.pop", "write blocking"),
        ]);
        check(&table, "GRAPH.QUERY g q", Class::Write, Effect::None);
        check(&table, "GRAPH.RO_QUERY g q", Class::Read, Effect::None);
        check(&table, "GRAPH.CONFIG g", Class::Admin, Effect::None);
        check(&table, "GRAPH.PURGE g", Class::Admin, Effect::None);
        check(&table, "GRAPH.TOUCH g", Class::Write, Effect::None);
        check(&table, "GRAPH.HELLO g", Class::Write, Effect::Pin);
        check(&table, "GRAPH.POP g", Class::Write, Effect::PinOnce);
    }

    #[test]
    fn subcommands_of_a_new_container_are_known_one_by_one() {
        let table = after(&[
            said("graph", ""),
            said("graph|list", "readonly"),
            said("graph|set", "write"),
        ]);
        check(&table, "graph LIST", Class::Read, Effect::None);
        check(&table, "graph SET", Class::Write, Effect::None);
        for unknown in ["graph", "graph drop"] {
            assert_eq!(
                kit::line(unknown, |request| table.classify(request).id),
                CommandId::UNKNOWN,
                "{unknown}"
            );
        }
    }

    #[test]
    fn a_server_that_says_write_is_believed() {
        // As after `rename-command SET GET`, say.
        let table = after(&[
            said("get", "write"),
            said("memory|usage", "write"),
            said("stralgo|lcs", "write"),
        ]);
        check(&table, "GET k", Class::Write, Effect::None);
        check(&table, "MEMORY USAGE k", Class::Write, Effect::None);
        check(&table, "MEMORY STATS", Class::Inspect, Effect::None);
        check(&table, "STRALGO LCS", Class::Write, Effect::None);
    }

    #[test]
    fn an_older_server_speaks_of_a_container_as_a_whole() {
        let table = after(&[said("xgroup", "write"), said("xinfo", "readonly")]);
        check(&table, "XGROUP HELP", Class::Write, Effect::None);
        check(&table, "XINFO HELP", Class::Inspect, Effect::None);
        assert_eq!(
            kit::line("XGROUP NOSUCH", |request| table.classify(request).id),
            CommandId::UNKNOWN
        );
    }

    #[test]
    fn a_server_that_says_read_loosens_nothing() {
        let table = after(&[
            said("set", "readonly"),
            said("eval", "readonly"),
            said("debug", ""),
            said("debug|sleep", "readonly"),
            said("sort", "readonly"),
        ]);
        check(&table, "SET k v", Class::Write, Effect::None);
        check(&table, "EVAL x 0", Class::Write, Effect::Script);
        check(&table, "SORT k STORE d", Class::Write, Effect::None);
        check(&table, "DEBUG SLEEP 1", Class::Admin, Effect::PinOnce);
        check(&table, "DEBUG SEGFAULT", Class::Admin, Effect::PinOnce);
    }

    #[test]
    fn where_arguments_decide_they_still_do() {
        let table = after(&[said("sort", "write"), said("bitfield", "write")]);
        check(&table, "SORT k", Class::Read, Effect::None);
        check(&table, "BITFIELD k GET u8 0", Class::Read, Effect::None);
    }

    #[test]
    fn the_stricter_of_two_servers_counts() {
        let read: ServerCommands = [said("mod.x", "readonly")].into_iter().collect();
        let write: ServerCommands = [said("mod.x", "write")].into_iter().collect();
        for (first, second) in [(&read, &write), (&write, &read)] {
            check(
                &Table::builtin().overlay(first).overlay(second),
                "mod.x k",
                Class::Write,
                Effect::None,
            );
        }
    }

    #[test]
    fn built_in_ids_and_names_stay() {
        let before = Table::builtin();
        let table = after(&[said("aaa", "readonly"), said("get", "write")]);
        assert_eq!(table.len(), before.len() + 1);
        for (id, command) in before.commands().iter().enumerate() {
            assert_eq!(table.name(CommandId(id as u16)), command.name);
        }
        assert_eq!(table.name(CommandId(before.len() as u16)), "AAA");
    }

    #[test]
    fn names_that_are_none_stay_unknown() {
        let long = "x".repeat(NAME_BYTES_MAX + 1);
        let table = after(&[
            said("", "readonly"),
            said("a|", "readonly"),
            said("a|b|c", "readonly"),
            said(&long, "readonly"),
        ]);
        assert_eq!(table.len(), Table::builtin().len());
    }
}
