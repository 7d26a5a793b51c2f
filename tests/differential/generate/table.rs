//! Requests made from the server's own COMMAND: each command with too few and too many arguments, and those that do not
//! stand in [`super::excluded`] with any arguments at all. And commands that there are not; and COMMAND itself.

use super::{Generator, excluded};
use crate::kit::Command;
use crate::schedule::Request;

const INSPECT: &[&str] = &[
    "COMMAND COUNT",
    "COMMAND INFO get|set|blpop|nosuch |eval",
    "COMMAND GETKEYS SET|MSET|EVAL <str> <sv> |<str>",
    "COMMAND GETKEYS ZUNIONSTORE <zst> 2 <zst> <zst>",
    "COMMAND GETKEYS PING",
    "COMMAND GETKEYSANDFLAGS GET|LMOVE <lst> <lst> LEFT RIGHT",
    "COMMAND LIST FILTERBY PATTERN getr*|nosuch",
    "COMMAND DOCS get|nosuch",
    "COMMAND bogus",
    "COMMAND HELP",
    "CONFIG GET maxmemory|hz|nosuch|list-max-listpack-size",
    "CONFIG GET",
    "CONFIG SET nosuch 1",
    "CONFIG SET maxmemory|nosuch x",
    "OBJECT HELP",
    "OBJECT ENCODING <key>",
    "PUBSUB HELP",
    "ECHO <v>",
    "ECHO <sv>",
    "PING",
    "PING <v>",
    "PING a b",
    "DBSIZE",
    "LOLWUT VERSION x",
    "WAIT -1 x",
];

impl Generator<'_> {
    pub(super) fn inspect(&mut self, out: &mut Vec<Request>) {
        out.push(self.from(INSPECT));
    }

    /// What no server executes, so that it may be any command.
    pub(super) fn wrong_arity(&mut self, out: &mut Vec<Request>) {
        let command = self.command();
        let least = usize::try_from(command.arity.unsigned_abs()).unwrap_or(0);
        let given = command.words.len();
        let few = least.checked_sub(1).filter(|count| *count >= given);
        let many = (command.arity > 0).then_some(least + 1);
        let counts: Vec<usize> = few.into_iter().chain(many).collect();
        let Some(count) = counts.get(self.random.below(counts.len().max(1))) else {
            return;
        };
        let words = self.with_arguments(&command, *count);
        out.push(Request::words(words));
    }

    /// Any command with any arguments.
    pub(super) fn any_command(&mut self, out: &mut Vec<Request>) {
        let command = self.command();
        if excluded::reason(&command.words).is_some() || command.flags.contains("blocking") {
            return;
        }
        let least = usize::try_from(command.arity.unsigned_abs()).unwrap_or(0);
        let more = if command.arity < 0 {
            self.random.below(4)
        } else {
            0
        };
        let words = self.with_arguments(&command, (least + more).max(command.words.len()));
        out.push(Request::words(words));
    }

    /// A name that no command has, or no subcommand.
    pub(super) fn unknown(&mut self, out: &mut Vec<Request>) {
        out.push(self.from(&[
            "NOSUCH",
            "NOSUCH <sv> <v>",
            "<weird> <sv>",
            "GETT <str>",
            "CLIENT <m> <sv>",
            "CONFIG|FUNCTION|SCRIPT|XGROUP|ACL|OBJECT bogus <sv>",
            "get|set <str> <sv> <sv> <sv>",
        ]));
    }

    fn command(&mut self) -> Command {
        self.commands[self.random.below(self.commands.len())].clone()
    }

    /// The command's words and as many others as make `count`.
    fn with_arguments(&mut self, command: &Command, count: usize) -> Vec<Vec<u8>> {
        let mut words: Vec<Vec<u8>> = command
            .words
            .iter()
            .map(|word| word.clone().into_bytes())
            .collect();
        while words.len() < count {
            let argument = self
                .filled("<key>|<str>|<int>|<i>|<n>|<f>|<m>|<sv>|<weird>|<db>|<id>|GET|STORE|COUNT");
            words.extend(argument);
        }
        words
    }
}
