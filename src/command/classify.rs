//! The table, and the way from a request to its entry.
//!
//! A request costs one look-up by its name, a second one by its subcommand where the name is a container's, and a walk
//! over the arguments for the few commands whose arguments decide. Nothing is allocated.

use std::borrow::Cow;
use std::collections::HashMap;

use rustc_hash::FxBuildHasher;

use super::arguments::Decide;
use super::flags::Flags;
use super::keys::Keys;
use super::lookout::Attention;
use super::overlay::{self, ServerCommands};
use super::row::Row;
use super::verdict::{Class, CommandId, Effect, Replies, Verdict};
use super::{extra, policy, table};
use crate::resp::request::Request;

/// Longer names are unknown. The longest built-in one has 21 bytes; modules put their own name before a command's.
pub(super) const NAME_BYTES_MAX: usize = 48;

/// More commands than this are not taken from a server: the rest is unknown, and so may write.
const COMMANDS_MAX: usize = 8192;

/// One command or subcommand.
#[derive(Debug, Clone)]
pub struct Command {
    /// Upper case; a subcommand follows its container after one space.
    pub name: Cow<'static, str>,
    /// Number of arguments with the name; negative: at least so many.
    pub arity: i16,
    /// What servers flag it as.
    pub flags: Flags,
    /// Where its keys are.
    pub keys: Keys,
    /// What it may do to the database. Where its arguments decide: at worst.
    pub class: Class,
    /// What it does to the session. Where its arguments decide: at most.
    pub effect: Effect,
    /// How many replies it brings.
    pub replies: Replies,
    /// Whether its requests are shown to the lookout.
    pub attention: Attention,
    /// What its arguments decide.
    pub(super) by_arguments: Decide,
}

/// Every command that is known, by name.
#[derive(Debug, Clone)]
pub struct Table {
    /// By [`CommandId`].
    commands: Vec<Command>,
    /// Top-level names, upper case.
    names: HashMap<Box<[u8]>, Name, FxBuildHasher>,
}

/// What a top-level name stands for.
#[derive(Debug, Clone, Default)]
struct Name {
    /// The command of that name alone.
    alone: Option<CommandId>,
    /// Its subcommands, upper case. Where it has any, a second argument is one of them or unknown.
    subcommands: HashMap<Box<[u8]>, CommandId, FxBuildHasher>,
}

impl Table {
    /// The commands that Handover knows by itself.
    pub fn builtin() -> Table {
        let mut table = Table {
            commands: Vec::new(),
            names: HashMap::default(),
        };
        for row in table::ROWS.iter().chain(extra::ROWS) {
            table.add(Command::builtin(row));
        }
        table
    }

    /// This table with what a server says about its own commands. Adds those that are not known; never loosens a
    /// verdict.
    #[must_use]
    pub fn overlay(&self, server: &ServerCommands) -> Table {
        overlay::overlay(self, server)
    }

    /// What `request` is.
    pub fn classify(&self, request: &Request<'_>) -> Verdict<'_> {
        let entry = self.entry(request.name(), || request.argument(1));
        let Some((id, command)) = entry else {
            return Verdict::UNKNOWN;
        };
        let (class, effect) = match command.by_arguments {
            Decide::Nothing => (command.class, command.effect),
            decide => decide.of(command.class, command.effect, request),
        };
        Verdict {
            id,
            class,
            effect,
            command: Some(command),
        }
    }

    /// The entry of a name in any case, with its subcommand where it is a container's.
    pub fn find(&self, name: &[u8], subcommand: Option<&[u8]>) -> Option<(CommandId, &Command)> {
        self.entry(name, || subcommand)
    }

    /// The command's name in upper case (`CONFIG SET`); `other` for an unknown one.
    pub fn name(&self, id: CommandId) -> &str {
        self.commands
            .get(usize::from(id.0))
            .map_or("other", |command| &command.name)
    }

    /// How many commands there are; their ids are below that.
    #[allow(clippy::len_without_is_empty)] // it never is
    pub fn len(&self) -> usize {
        self.commands.len()
    }

    /// Every command, by id.
    pub fn commands(&self) -> &[Command] {
        &self.commands
    }

    /// Appends a command, unless the table is full.
    pub(super) fn add(&mut self, command: Command) {
        let Some(id) =
            (self.commands.len() < COMMANDS_MAX).then_some(CommandId(self.commands.len() as u16))
        else {
            return;
        };
        let (name, subcommand) = match command.name.split_once(' ') {
            Some((name, subcommand)) => (name, Some(subcommand)),
            None => (&*command.name, None),
        };
        let name = self.names.entry(name.as_bytes().into()).or_default();
        match subcommand {
            Some(subcommand) => {
                name.subcommands.insert(subcommand.as_bytes().into(), id);
            }
            None => name.alone = Some(id),
        }
        self.commands.push(command);
    }

    /// Every command, to be changed.
    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = &mut Command> {
        self.commands.iter_mut()
    }

    /// The commands and subcommands of a top-level name in upper case, to be changed.
    pub(super) fn all_of(&mut self, name: &str) -> impl Iterator<Item = &mut Command> {
        self.commands
            .iter_mut()
            .filter(move |command| command.container() == name)
    }

    fn entry<'r>(
        &self,
        name: &[u8],
        subcommand: impl FnOnce() -> Option<&'r [u8]>,
    ) -> Option<(CommandId, &Command)> {
        let mut buffer = [0; NAME_BYTES_MAX];
        let name = self.names.get(upper(name, &mut buffer)?)?;
        let id = if name.subcommands.is_empty() {
            name.alone?
        } else {
            match subcommand() {
                Some(subcommand) => *name.subcommands.get(upper(subcommand, &mut buffer)?)?,
                None => name.alone?,
            }
        };
        Some((id, self.commands.get(usize::from(id.0))?))
    }
}

impl Command {
    fn builtin(row: &Row) -> Command {
        Command {
            name: Cow::Borrowed(row.name),
            arity: row.arity,
            flags: row.flags,
            keys: row.keys,
            class: policy::class(row.name, row.flags),
            effect: policy::effect(row.name),
            replies: policy::replies(row.name),
            attention: Attention::Pass,
            by_arguments: policy::by_arguments(row.name),
        }
    }

    /// Whether so many arguments, the name included, fit. A server answers others with an error and does nothing.
    pub fn arity_fits(&self, len: usize) -> bool {
        let arity = usize::from(self.arity.unsigned_abs());
        if self.arity < 0 {
            len >= arity
        } else {
            len == arity
        }
    }

    /// Whether its effects may travel over replication although no server flags it as a write.
    pub fn may_replicate(&self) -> bool {
        self.flags.is_may_replicate() || policy::MAY_REPLICATE.contains(&&*self.name)
    }

    /// The name without its subcommand.
    pub(super) fn container(&self) -> &str {
        self.name
            .split_once(' ')
            .map_or(&self.name, |(container, _)| container)
    }
}

/// `name` in upper case; none if it is longer than any command's.
fn upper<'b>(name: &[u8], buffer: &'b mut [u8; NAME_BYTES_MAX]) -> Option<&'b [u8]> {
    let upper = buffer.get_mut(..name.len())?;
    upper.copy_from_slice(name);
    upper.make_ascii_uppercase();
    Some(upper)
}

#[cfg(test)]
mod tests;
