//! What the application's commands mean for the target: the compatibility report.
//!
//! The sessions show each worker's lookout ([`post`]) the requests whose commands are worth a look, given what kind of
//! database the target is and what it says about its own commands ([`concern`]). What is wrong with one is worked out in
//! [`judge`] and, for scripts, in [`script`]; by which rule, how bad it is and what to do is in [`rule`], and what a
//! kind of database lacks in [`support`]. Findings are written down without a lock ([`notebook`]), and put together
//! when somebody asks ([`report`]).
//!
//! Refuses to know: sessions, sockets, the cutover.

mod accepted;
mod concern;
mod counters;
mod digests;
mod judge;
mod library;
mod notebook;
mod post;
mod profile;
mod report;
mod rule;
mod script;
mod shown;
mod support;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use serde_json::{Value, json};

use self::concern::{Concerns, Said};
pub use self::counters::{Counted, Counter};
use self::counters::{Counters, Noted};
use self::digests::{Called, Digests};
use self::library::Shelf;
use self::notebook::{Clock, Notebook};
use self::post::Post;
use crate::command::{CommandId, Lookout, Lookouts, ServerCommands, Table};
use crate::metrics::Registry;
use crate::terms::Side;

pub use accepted::{Accepted, NoSuchFinding};
pub use notebook::Client;
pub use profile::Profile;
pub use report::{Finding, Seen};
pub use rule::{Rule, Severity};
pub use shown::Keys;

/// What has been seen of the application's commands since the start.
#[derive(Debug)]
pub struct Traffic {
    profile: Profile,
    keys: Keys,
    clock: Clock,
    /// By worker.
    notebooks: Box<[Arc<Notebook>]>,
    /// What each command is looked at for; replaced when a server says more about its own.
    concerns: Arc<ArcSwap<Concerns>>,
    /// What the servers said. Its lock is taken when one says something.
    said: Mutex<Said>,
    metrics: Arc<Registry>,
    counters: Arc<Counters>,
    shelf: Shelf,
    digests: Arc<Digests>,
}

impl Traffic {
    /// Nothing seen yet, for a target of this kind.
    pub fn new(profile: Profile, keys: Keys, workers: usize, metrics: Arc<Registry>) -> Traffic {
        let clock = Clock::start();
        let nothing = Concerns::new(profile, &Said::default(), &Table::builtin());
        Traffic {
            profile,
            keys,
            clock,
            notebooks: (0..workers)
                .map(|_| Arc::new(Notebook::new(clock)))
                .collect(),
            concerns: Arc::new(ArcSwap::from_pointee(nothing)),
            said: Mutex::default(),
            metrics,
            counters: Arc::default(),
            shelf: Shelf::new(clock),
            digests: Arc::default(),
        }
    }

    /// A library of functions is loaded on the source. To be told after what the servers said was marked.
    pub fn saw_library(&self, name: &str, code: &[u8]) {
        self.shelf
            .read(name, code, self.profile, &self.concerns.load());
    }

    /// A server has said which commands it has.
    pub fn said(&self, side: Side, commands: &ServerCommands) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        match side {
            Side::Source => said.source(commands),
            Side::Target => said.target(commands),
        }
    }

    /// Marks the commands of a table that are worth a look; to be done before the sessions have it.
    pub fn mark(&self, table: &mut Table) {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let concerns = Arc::new(Concerns::new(self.profile, &said, table));
        let mut ids = (0..).map(CommandId);
        table.attend(|_| {
            ids.next()
                .map_or_else(Default::default, |id| concerns.attention(id))
        });
        self.concerns.store(concerns);
    }

    /// What the application counts with, where the target's counters end earlier than the source's.
    pub fn counted(&self) -> Counted {
        self.counters.counted()
    }

    /// Everything that was found.
    pub fn seen(&self) -> Seen {
        let notebooks = || {
            let of_workers = self.notebooks.iter().map(|notebook| &**notebook);
            of_workers.chain([&self.shelf.notebook])
        };
        Seen {
            findings: report::gather(notebooks(), self.profile, &self.concerns.load().table),
            unlisted: notebooks().map(Notebook::unlisted).sum(),
        }
    }

    /// The report as JSON.
    pub fn report(&self, accepted: &Accepted) -> Value {
        let Seen { findings, unlisted } = self.seen();
        let count = |severity| {
            findings
                .iter()
                .filter(|finding| finding.severity == severity)
                .count()
        };
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        json!({
            "profile": self.profile.as_str(),
            "since_ms": self.clock.begun_ms(),
            "target_commands_known": said.target_is_known(),
            "errors": count(Severity::Error),
            "warnings": count(Severity::Warning),
            "unlisted": unlisted,
            "unseen_scripts": self.digests.unseen(),
            "findings": findings.iter().map(|finding| finding.written(accepted)).collect::<Vec<_>>(),
        })
    }
}

impl Lookouts for Traffic {
    fn of_worker(&self, number: usize) -> Box<dyn Lookout> {
        Box::new(Post {
            profile: self.profile,
            keys: self.keys,
            concerns: Arc::clone(&self.concerns),
            notebook: Arc::clone(&self.notebooks[number]),
            metrics: self.metrics.shard(number),
            index: notebook::Index::default(),
            scripts: post::Scripts::default(),
            counters: Arc::clone(&self.counters),
            noted: Noted::default(),
            digests: Arc::clone(&self.digests),
            called: Called::default(),
        })
    }
}
