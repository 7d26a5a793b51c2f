//! Libraries of functions that are loaded on the source: read as scripts are, since the traffic only shows their names.
//!
//! Refuses to know: how they are asked for.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::concern::Concerns;
use super::notebook::{Clock, Index, Notebook};
use super::profile::Profile;
use super::rule::Rule;
use super::script::{self, Replication};
use crate::command::CommandId;

/// Bytes of a library's name, and of what is shown of its code.
const SHOWN_BYTES_MAX: usize = 80;

/// What was found in libraries.
#[derive(Debug)]
pub(super) struct Shelf {
    /// Written by whoever has the index.
    pub(super) notebook: Notebook,
    index: Mutex<Index>,
}

impl Shelf {
    pub(super) fn new(clock: Clock) -> Shelf {
        Shelf {
            notebook: Notebook::new(clock),
            index: Mutex::default(),
        }
    }

    /// Reads a library. What it calls that the target lacks is a finding of that command, and what it does otherwise one
    /// of FCALL, by which it is called.
    pub(super) fn read(&self, name: &str, code: &[u8], profile: Profile, concerns: &Concerns) {
        let reading = script::read(code, &concerns.table);
        let name: String = name.chars().take(SHOWN_BYTES_MAX).collect();
        // Its entries are in order whoever panicked.
        let index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        let find = |rule: Rule, command: CommandId, what: &str| {
            let what: String = what.chars().take(SHOWN_BYTES_MAX).collect();
            let example = || format!("library {name}: {what}");
            self.notebook
                .note(&index, rule, command, Instant::now(), example);
        };
        for called in &reading.calls {
            if let Some(rule) = concerns.of(*called).absent {
                let call = format!("redis.call('{}'", concerns.table.name(*called));
                find(rule, *called, &call);
            }
        }
        let Some((fcall, _)) = concerns.table.find(b"FCALL", None) else {
            return;
        };
        if profile == Profile::Redis {
            return;
        }
        if let Some(excerpt) = &reading.undeclared {
            find(Rule::UndeclaredKeys, fcall, excerpt);
        }
        if reading.replication == Replication::Set && profile == Profile::ActiveActive {
            find(Rule::ScriptReplication, fcall, "redis.set_repl");
        }
    }
}
