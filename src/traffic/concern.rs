//! What each command of the table must be looked at for, given the target: worked out once, when the table changes, so
//! that a look costs no search.

use std::collections::HashSet;
use std::sync::Arc;

use super::profile::Profile;
use super::rule::Rule;
use super::support;
use crate::command::keys::Keys;
use crate::command::{Attention, Class, Command, CommandId, Effect, ServerCommands, Table};

/// What the requests of one command are looked at for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Concern {
    /// It cannot be used on the target at all.
    pub(super) absent: Option<Rule>,
    /// Where its keys may lie.
    pub(super) keys: Placing,
    /// What its arguments decide.
    pub(super) argument: Argument,
    /// What it counts with.
    pub(super) counting: Counting,
}

/// What a command counts with, where counters end earlier than on the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Counting {
    /// It does not count, or there is nothing to fear.
    #[default]
    Nothing,
    /// With the key that is its first argument.
    Key,
    /// With a field of that key, its second argument.
    Field,
}

/// Where the keys of one command may lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Placing {
    /// Anywhere: the target serves several slots at once, or there is but one key.
    #[default]
    Anywhere,
    /// In one slot.
    OneSlot,
}

/// What is looked at among the arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Argument {
    /// Nothing.
    #[default]
    None,
    /// XADD's identifier.
    StreamId,
    /// SELECT's database.
    Database,
    /// COPY's database.
    CopyDatabase,
    /// The number at this position, which a counter is changed by.
    Increment(usize),
    /// The text of a script at this position.
    Script(usize),
    /// The digest of a script, which stands for its text.
    Digest,
    /// The code of a library of functions, which is the last argument.
    Library,
    /// The settings that CONFIG GET asks for.
    SettingsRead,
    /// The settings that CONFIG SET changes.
    SettingsChanged,
    /// CLIENT TRACKING's REDIRECT.
    Redirect,
    /// UNLINK is a finding by itself.
    Unlink,
}

/// What every command of one table is looked at for.
#[derive(Debug)]
pub(super) struct Concerns {
    /// The table.
    pub(super) table: Table,
    /// By [`CommandId`].
    by_id: Vec<Concern>,
}

/// What the two servers say about their own commands.
#[derive(Debug, Default, Clone)]
pub(super) struct Said {
    source: Option<Arc<HashSet<String>>>,
    target: Option<Arc<HashSet<String>>>,
}

impl Concerns {
    pub(super) fn new(profile: Profile, said: &Said, table: &Table) -> Concerns {
        Concerns {
            table: table.clone(),
            by_id: table
                .commands()
                .iter()
                .map(|command| concern(profile, said, command))
                .collect(),
        }
    }

    /// What a command is looked at for. One that the table did not have then is looked at for nothing.
    pub(super) fn of(&self, id: CommandId) -> Concern {
        self.by_id
            .get(usize::from(id.0))
            .copied()
            .unwrap_or_default()
    }

    /// Whether a command is worth a look.
    pub(super) fn attention(&self, id: CommandId) -> Attention {
        if self.of(id) == Concern::default() {
            Attention::Pass
        } else {
            Attention::Look
        }
    }
}

impl Said {
    pub(super) fn source(&mut self, commands: &ServerCommands) {
        self.source = Some(names(commands));
    }

    pub(super) fn target(&mut self, commands: &ServerCommands) {
        self.target = Some(names(commands));
    }

    /// Whether the target has said what it has.
    pub(super) fn target_is_known(&self) -> bool {
        self.target.is_some()
    }

    /// Whether the target lacks a command that the source has, or that nobody knows the source to lack.
    fn is_missing(&self, name: &str) -> bool {
        let source_has = self.source.as_ref().is_none_or(|names| has(names, name));
        source_has && self.target.as_ref().is_some_and(|names| !has(names, name))
    }
}

fn names(commands: &ServerCommands) -> Arc<HashSet<String>> {
    Arc::new(commands.names().map(str::to_owned).collect())
}

/// Servers older than 7.0 list a container without its subcommands.
fn has(names: &HashSet<String>, name: &str) -> bool {
    if names.contains(name) {
        return true;
    }
    let Some((container, _)) = name.split_once(' ') else {
        return false;
    };
    let lists_subcommands = || {
        names.iter().any(|other| {
            other
                .strip_prefix(container)
                .is_some_and(|rest| rest.starts_with(' '))
        })
    };
    names.contains(container) && !lists_subcommands()
}

fn concern(profile: Profile, said: &Said, command: &Command) -> Concern {
    let name = &*command.name;
    // Answered by the proxy, or the end of the session: no server is asked.
    if matches!(
        command.effect,
        Effect::HttpRequest | Effect::MaintenanceNotices | Effect::Quit
    ) {
        return Concern::default();
    }
    let absent = if support::missing_from(profile, name).is_some() {
        Some(Rule::Unsupported)
    } else if said.is_missing(name) {
        Some(Rule::Missing)
    } else {
        None
    };
    Concern {
        absent,
        keys: placing(profile, command),
        argument: argument(profile, name),
        counting: match (profile, name) {
            (Profile::ActiveActive, "INCR" | "DECR" | "INCRBY" | "DECRBY") => Counting::Key,
            (Profile::ActiveActive, "HINCRBY") => Counting::Field,
            _ => Counting::Nothing,
        },
    }
}

/// Commands that Redis Enterprise carries out over several slots; an Active-Active database only those that read.
const SPREAD: &[&str] = &["DEL", "EXISTS", "MGET", "MSET", "TOUCH", "UNLINK"];

fn placing(profile: Profile, command: &Command) -> Placing {
    let spread = SPREAD.contains(&&*command.name);
    let free = match profile {
        Profile::Redis => true,
        Profile::Enterprise => spread,
        Profile::ActiveActive => spread && command.class == Class::Read,
    };
    if free || !may_have_several(command.keys) {
        Placing::Anywhere
    } else {
        Placing::OneSlot
    }
}

fn may_have_several(keys: Keys) -> bool {
    match keys {
        Keys::None => false,
        Keys::Range { first, last, .. } => i16::from(last) != i16::from(first),
        Keys::Counted { .. } | Keys::Streams | Keys::Store | Keys::Migrate => true,
    }
}

fn argument(profile: Profile, name: &str) -> Argument {
    let active_active = match profile {
        Profile::Redis => return Argument::None,
        Profile::Enterprise => false,
        Profile::ActiveActive => true,
    };
    match name {
        "SELECT" => Argument::Database,
        "COPY" => Argument::CopyDatabase,
        "EVAL" | "EVAL_RO" => Argument::Script(1),
        "SCRIPT LOAD" => Argument::Script(2),
        "EVALSHA" | "EVALSHA_RO" => Argument::Digest,
        "FUNCTION LOAD" => Argument::Library,
        "CONFIG GET" => Argument::SettingsRead,
        "CONFIG SET" => Argument::SettingsChanged,
        "CLIENT TRACKING" => Argument::Redirect,
        "XADD" if active_active => Argument::StreamId,
        "INCRBY" | "DECRBY" if active_active => Argument::Increment(2),
        "HINCRBY" if active_active => Argument::Increment(3),
        "UNLINK" if active_active => Argument::Unlink,
        _ => Argument::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(names: &[&str]) -> Arc<HashSet<String>> {
        Arc::new(names.iter().map(|name| (*name).to_owned()).collect())
    }

    fn missing(source: Option<&[&str]>, target: Option<&[&str]>, name: &str) -> bool {
        let said = Said {
            source: source.map(said),
            target: target.map(said),
        };
        said.is_missing(name)
    }

    #[test]
    fn a_command_is_missing_where_the_source_has_it_and_the_target_does_not() {
        let (with, without) = (&["GET", "HEXPIRE"][..], &["GET"][..]);
        assert!(missing(Some(with), Some(without), "HEXPIRE"));
        assert!(missing(None, Some(without), "HEXPIRE"));
        assert!(!missing(Some(with), Some(with), "HEXPIRE"));
        assert!(!missing(Some(without), Some(without), "HEXPIRE"));
        assert!(!missing(Some(with), None, "HEXPIRE"));
    }

    #[test]
    fn an_older_server_lists_containers_without_their_subcommands() {
        let newer = &["XGROUP", "XGROUP CREATE", "XGROUP SETID"][..];
        assert!(!missing(Some(newer), Some(&["XGROUP"]), "XGROUP SETID"));
        assert!(missing(
            Some(newer),
            Some(&["XGROUP", "XGROUP CREATE"]),
            "XGROUP SETID"
        ));
        assert!(missing(Some(newer), Some(&["GET"]), "XGROUP SETID"));
    }

    #[test]
    fn what_has_one_key_or_may_be_spread_is_not_looked_at() {
        let table = Table::builtin();
        let looked_at = |profile, name: &str| {
            let (name, subcommand) = name
                .split_once(' ')
                .map_or((name, None), |(a, b)| (a, Some(b)));
            let (id, _) = table
                .find(name.as_bytes(), subcommand.map(str::as_bytes))
                .unwrap();
            Concerns::new(profile, &Said::default(), &table).attention(id) == Attention::Look
        };
        for (name, enterprise, active_active) in [
            ("GET", false, false),
            ("SET", false, false),
            ("INCR", false, true),
            ("HSET", false, false),
            ("LPUSH", false, false),
            ("MGET", false, false),
            ("TOUCH", false, false),
            ("DEL", false, true),
            ("MSET", false, true),
            ("SINTER", true, true),
            ("RENAME", true, true),
            ("XADD", false, true),
            ("SELECT", true, true),
            ("WAIT", false, true),
            ("ROLE", true, true),
        ] {
            assert!(!looked_at(Profile::Redis, name), "{name}");
            assert_eq!(looked_at(Profile::Enterprise, name), enterprise, "{name}");
            assert_eq!(
                looked_at(Profile::ActiveActive, name),
                active_active,
                "{name}"
            );
        }
    }
}
