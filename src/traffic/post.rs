//! The lookout of one worker: judges what it is shown, and writes findings down.

use std::cell::RefCell;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustc_hash::FxHashMap;

use super::concern::{Argument, Concerns};
use super::counters::{Counters, Noted};
use super::digests::{Called, Digests};
use super::judge::{self, Fault};
use super::notebook::{Client, Index, Notebook};
use super::profile::Profile;
use super::rule::{Rule, Severity};
use super::script::{self, Reading, Replication};
use super::shown::{self, Keys};
use crate::command::{Command, CommandId, Lookout, Sighting, Span, Transactions};
use crate::metrics::{FindingSeverity, Shard};
use crate::resp::request::Request;

/// Scripts whose text is not read again; when there are more, all are forgotten.
const SCRIPTS_MAX: usize = 1_024;

/// A worker's lookout.
#[derive(Debug)]
pub(super) struct Post {
    pub(super) profile: Profile,
    pub(super) keys: Keys,
    pub(super) concerns: Arc<ArcSwap<Concerns>>,
    pub(super) notebook: Arc<Notebook>,
    pub(super) metrics: Arc<Shard>,
    pub(super) index: Index,
    pub(super) scripts: Scripts,
    /// Of all workers.
    pub(super) counters: Arc<Counters>,
    /// What this one has told them.
    pub(super) noted: Noted,
    /// Of all workers.
    pub(super) digests: Arc<Digests>,
    /// What this one has told them.
    pub(super) called: Called,
}

/// The text of the script, or of the library, that a request brings.
fn script_text<'a>(argument: Argument, request: &Request<'a>) -> Option<&'a [u8]> {
    if let Argument::Script(at) = argument {
        return request.argument(at);
    }
    (argument == Argument::Library).then(|| request.argument(request.len().checked_sub(1)?))?
}

/// What the scripts that this worker saw do, by the digest of their texts.
#[derive(Debug, Default)]
pub(super) struct Scripts {
    readings: RefCell<FxHashMap<u64, Reading>>,
    hasher: RandomState,
}

impl Lookout for Post {
    fn saw(&self, sighting: &Sighting<'_>) {
        if let Some(command) = sighting.verdict.command {
            self.look(&self.concerns.load(), command, sighting);
        }
    }

    fn saw_queued(&self, sighting: &Sighting<'_>, span: &mut Span) {
        let Some(command) = sighting.verdict.command else {
            return;
        };
        self.look(&self.concerns.load(), command, sighting);
        if self.transactions() == Transactions::Followed && *span != Span::Several {
            let alone = judge::spanning(Span::Nowhere, command, sighting.request);
            *span = judge::spanning(*span, command, sighting.request);
            // A command that lies in several slots by itself has been found already.
            if *span == Span::Several && alone != Span::Several {
                let fault = Fault::of(Rule::TransactionSlots);
                self.write_down(fault, sighting.verdict.id, command, sighting);
            }
        }
    }

    fn transactions(&self) -> Transactions {
        match self.profile {
            Profile::Redis => Transactions::Passed,
            Profile::Enterprise | Profile::ActiveActive => Transactions::Followed,
        }
    }
}

impl Post {
    fn look(&self, concerns: &Concerns, command: &Command, sighting: &Sighting<'_>) {
        let id = sighting.verdict.id;
        let concern = concerns.of(id);
        for fault in judge::judge(concern, command, sighting.request) {
            self.write_down(fault, id, command, sighting);
        }
        self.counters
            .note(&self.noted, concern.counting, sighting.request);
        if concern.argument == Argument::Digest {
            self.digests.called(&self.called, sighting.request);
        } else if let Some(text) = script_text(concern.argument, sighting.request) {
            self.look_into_script(concerns, text, command, sighting);
        }
    }

    /// What the script of a request does is a finding of the command that the script calls, or of the request's own.
    fn look_into_script(
        &self,
        concerns: &Concerns,
        text: &[u8],
        command: &Command,
        sighting: &Sighting<'_>,
    ) {
        let digest = self.scripts.hasher.hash_one(text);
        let mut readings = self.scripts.readings.borrow_mut();
        if readings.len() >= SCRIPTS_MAX {
            readings.clear();
        }
        let reading = readings.entry(digest).or_insert_with(|| {
            self.digests.seen(text);
            script::read(text, &concerns.table)
        });
        for called in &reading.calls {
            if let Some(rule) = concerns.of(*called).absent {
                let name = concerns.table.name(*called);
                let example = || format!("{} … redis.call('{name}'", command.name);
                self.find(rule, *called, sighting, example);
            }
        }
        let takes_none =
            sighting.request.argument(2) == Some(b"0") && command.name.starts_with("EVAL");
        let undeclared = reading
            .undeclared
            .as_ref()
            .or(reading.unclear.as_ref().filter(|_| takes_none));
        let id = sighting.verdict.id;
        let found = [
            (Rule::UndeclaredKeys, undeclared),
            (Rule::DerivedKeys, reading.derived.as_ref()),
        ];
        for (rule, excerpt) in found {
            if let Some(excerpt) = excerpt {
                let example = || shown::script(command, excerpt, self.keys);
                self.find(rule, id, sighting, example);
            }
        }
        if reading.replication == Replication::Set && self.profile == Profile::ActiveActive {
            let example = || format!("{} … redis.set_repl", command.name);
            self.find(Rule::ScriptReplication, id, sighting, example);
        }
    }

    fn write_down(&self, fault: Fault, id: CommandId, command: &Command, sighting: &Sighting<'_>) {
        let example = || shown::request(command, sighting.request, fault.shown, self.keys);
        self.find(fault.rule, id, sighting, example);
    }

    fn find(
        &self,
        rule: Rule,
        id: CommandId,
        sighting: &Sighting<'_>,
        example: impl FnOnce() -> String,
    ) {
        let concerns = self.concerns.load();
        let Some(command) = concerns.table.commands().get(usize::from(id.0)) else {
            return;
        };
        self.metrics.incompatible(
            id.0,
            match rule.severity(command.class, &command.name) {
                Severity::Error => FindingSeverity::Error,
                Severity::Warning => FindingSeverity::Warning,
            },
        );
        let entry = self
            .notebook
            .note(&self.index, rule, id, sighting.at, example);
        if let Some(entry) = entry {
            let sender = &sighting.sender;
            entry.add_client(
                |known| shown::is(known, sender),
                || Client {
                    address: shown::host(sender.address).to_owned(),
                    name: shown::name(sender),
                    library: shown::library(sender),
                },
            );
        }
    }
}
