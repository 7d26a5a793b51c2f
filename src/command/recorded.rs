//! Tests: the policy against what servers say about their own commands (`COMMAND`, recorded by `dev/command-table.py`).

use std::collections::HashSet;

use super::overlay::{ServerCommand, ServerCommands};
use super::{Class, Command, Flags, Table, extra, kit, policy, table};

const SERVERS: [(&str, &str); 3] = [
    (
        "Redis 7.0",
        include_str!("../../tests/data/command-redis-7.0.15.tsv"),
    ),
    (
        "Redis 8.2",
        include_str!("../../tests/data/command-redis-8.2.3.tsv"),
    ),
    (
        "Valkey 8.1",
        include_str!("../../tests/data/command-valkey-8.1.8.tsv"),
    ),
];

/// Servers flag them as writes; their arguments decide.
const WRITE_BY_ARGUMENTS: [&str; 4] = ["BITFIELD", "GEORADIUS", "GEORADIUSBYMEMBER", "SORT"];

/// Flagged as administration or dangerous, and harmless where writes are refused: to be extended with thought.
#[rustfmt::skip] // one family a line
const HARMLESS: &[&str] = &[
    "ACL DRYRUN", "ACL GETUSER", "ACL LIST", "ACL USERS",
    "CLIENT LIST", "CLIENT NO-EVICT",
    "CLUSTER COUNT-FAILURE-REPORTS", "CLUSTER REPLICAS", "CLUSTER SLAVES",
    "COMMANDLOG GET", "COMMANDLOG LEN",
    "CONFIG GET",
    "INFO", "KEYS", "LASTSAVE",
    "LATENCY DOCTOR", "LATENCY GRAPH", "LATENCY HISTOGRAM", "LATENCY HISTORY", "LATENCY LATEST",
    "MODULE LIST", "MONITOR", "ROLE",
    "SLOWLOG GET", "SLOWLOG LEN",
    "SORT_RO",
];

struct Recorded {
    name: String,
    arity: i16,
    flags: Flags,
    keys: (i64, i64, i64),
    is_container: bool,
}

fn recorded(text: &str) -> Vec<Recorded> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(entry)
        .collect()
}

fn entry(line: &str) -> Recorded {
    let fields: Vec<&str> = line.split('\t').collect();
    let [name, arity, flags, first, last, step] = fields[..] else {
        panic!("six fields: {line}")
    };
    let position = |field: &str| field.parse().unwrap();
    Recorded {
        name: name.to_owned(),
        arity: arity.parse().unwrap(),
        flags: Flags::from_words(flags.split(',').map(str::as_bytes)),
        keys: (position(first), position(last), position(step)),
        is_container: flags.split(',').any(|flag| flag == "container"),
    }
}

fn everything() -> impl Iterator<Item = (&'static str, Recorded)> {
    SERVERS
        .into_iter()
        .flat_map(|(server, text)| recorded(text).into_iter().map(move |entry| (server, entry)))
}

fn ours<'t>(table: &'t Table, name: &str) -> Option<&'t Command> {
    let (name, subcommand) = name
        .split_once(' ')
        .map_or((name, None), |(name, sub)| (name, Some(sub)));
    table
        .find(name.as_bytes(), subcommand.map(str::as_bytes))
        .map(|(_, command)| command)
}

#[test]
fn every_command_of_the_recorded_servers_is_known() {
    let table = Table::builtin();
    for (server, entry) in everything() {
        let callable = !entry.is_container || entry.name == "COMMAND";
        assert_eq!(
            ours(&table, &entry.name).is_some(),
            callable,
            "{server}: {}",
            entry.name
        );
    }
}

#[test]
fn what_a_server_flags_as_a_write_may_write() {
    let table = Table::builtin();
    let mut seen = 0;
    for (server, entry) in
        everything().filter(|(_, entry)| entry.flags.is_write() || entry.flags.is_may_replicate())
    {
        let command = ours(&table, &entry.name).unwrap();
        assert!(command.class.may_write(), "{server}: {}", entry.name);
        if !WRITE_BY_ARGUMENTS.contains(&&*entry.name) {
            let words = entry.name.clone() + &" x".repeat(usize::from(entry.arity.unsigned_abs()));
            assert!(
                kit::line(&words, |request| table.classify(request).class.may_write()),
                "{server}: {words}"
            );
        }
        seen += 1;
    }
    assert!(seen > 300, "the recordings have {seen} writes");
}

#[test]
fn administration_may_write_unless_it_is_listed_as_harmless() {
    let table = Table::builtin();
    let mut harmless = HashSet::new();
    for (server, entry) in
        everything().filter(|(_, entry)| entry.flags.is_admin() || entry.flags.is_dangerous())
    {
        if entry.is_container {
            continue;
        }
        let listed = HARMLESS.contains(&&*entry.name);
        let command = ours(&table, &entry.name).unwrap();
        assert_eq!(
            !command.class.may_write(),
            listed,
            "{server}: {} is {:?}",
            entry.name,
            command.class
        );
        if listed {
            harmless.insert(entry.name);
        }
    }
    assert_eq!(
        harmless.len(),
        HARMLESS.len(),
        "a listed command is in no recording"
    );
}

#[test]
fn only_commands_flagged_as_reading_are_of_the_class_that_reads() {
    let table = Table::builtin();
    for (server, entry) in everything() {
        if let Some(command) = ours(&table, &entry.name)
            && command.class == Class::Read
        {
            assert!(
                entry.flags.is_readonly() && !entry.flags.is_write(),
                "{server}: {}",
                entry.name
            );
        }
    }
}

#[test]
fn every_blocking_command_of_the_servers_is_known_to_block() {
    let table = Table::builtin();
    for (server, entry) in everything().filter(|(_, entry)| entry.flags.is_blocking()) {
        let command = ours(&table, &entry.name).unwrap();
        assert_eq!(
            command.effect,
            super::Effect::Block,
            "{server}: {}",
            entry.name
        );
    }
}

#[test]
fn the_servers_add_nothing_to_the_table_they_were_recorded_for() {
    let table = Table::builtin();
    for (server, text) in SERVERS {
        let entries = recorded(text);
        let said: ServerCommands = entries
            .iter()
            .map(|entry| ServerCommand {
                name: entry.name.as_bytes(),
                arity: entry.arity.into(),
                flags: entry.flags,
                keys: entry.keys,
            })
            .collect();
        let overlaid = table.overlay(&said);
        assert_eq!(overlaid.len(), table.len(), "{server}");
        for (ours, theirs) in table.commands().iter().zip(overlaid.commands()) {
            assert_eq!(
                (&ours.name, ours.class, ours.effect),
                (&theirs.name, theirs.class, theirs.effect),
                "{server}"
            );
        }
    }
}

#[test]
fn every_name_in_the_policy_is_a_command() {
    let table = Table::builtin();
    let lists = [
        policy::INSPECT,
        policy::SESSION,
        policy::SUBSCRIBE,
        policy::ADMIN,
        policy::MAY_REPLICATE,
    ];
    for name in lists
        .into_iter()
        .flatten()
        .chain(policy::names_with_effects())
    {
        assert!(ours(&table, name).is_some(), "{name}");
    }
}

#[test]
fn no_command_is_in_two_classes() {
    let lists = [
        policy::INSPECT,
        policy::SESSION,
        policy::SUBSCRIBE,
        policy::ADMIN,
        policy::MAY_REPLICATE,
    ];
    let mut seen = HashSet::new();
    for name in lists.into_iter().flatten() {
        assert!(seen.insert(name), "{name}");
    }
}

#[test]
fn every_built_in_command_is_decided_by_a_list_or_a_flag() {
    let lists = [
        policy::INSPECT,
        policy::SESSION,
        policy::SUBSCRIBE,
        policy::ADMIN,
        policy::MAY_REPLICATE,
    ];
    for row in table::ROWS.iter().chain(extra::ROWS) {
        let listed = lists.iter().any(|list| list.contains(&row.name));
        let flagged = row.flags.is_admin() || row.flags.is_write() || row.flags.is_readonly();
        assert!(listed || flagged, "{}", row.name);
    }
}

#[test]
fn no_command_is_in_the_table_twice() {
    let mut seen = HashSet::new();
    for row in table::ROWS.iter().chain(extra::ROWS) {
        assert!(seen.insert(row.name), "{}", row.name);
    }
}
