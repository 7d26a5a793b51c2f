//! What a person can have done, and what they are asked before it is. Pure.

use serde_json::{Value, json};

use super::words::names;
use crate::cli::view::Status;

/// What can be asked of the sidecar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    Migrate,
    DryRun,
    Cutover,
    Abort,
    Rollback,
    Finalize,
    Preflight,
    Verify,
}

/// What is sent to the sidecar.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Order {
    pub(super) deed: Deed,
    /// For a migration: what was typed. The sidecar compares it as well.
    pub(super) arguments: Value,
}

/// A deed that waits for a person's word.
#[derive(Debug, Clone)]
pub(super) struct Question {
    pub(super) deed: Deed,
    pub(super) title: String,
    /// What will happen.
    pub(super) text: String,
    pub(super) answer: Answer,
}

/// How it is confirmed.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// By the key y.
    Yes,
    /// By typing this name.
    Name {
        expected: String,
        typed: String,
        /// Whether something else was typed, and entered.
        wrong: Option<String>,
    },
}

/// Longest name that can be typed; the configuration's own limit is far below.
const TYPED_MAX: usize = 256;

impl Deed {
    /// The key, what it is called, where it is offered.
    const KEYS: [(char, &'static str, Deed); 8] = [
        ('m', "migrate", Deed::Migrate),
        ('c', "cut over", Deed::Cutover),
        ('d', "dry run", Deed::DryRun),
        ('a', "abort", Deed::Abort),
        ('r', "roll back", Deed::Rollback),
        ('f', "finalize", Deed::Finalize),
        ('p', "preflight", Deed::Preflight),
        ('v', "verify", Deed::Verify),
    ];

    pub(super) fn of_key(key: char) -> Option<Deed> {
        Deed::KEYS
            .iter()
            .find(|(of, _, _)| *of == key)
            .map(|&(_, _, deed)| deed)
    }

    pub(super) fn name(self) -> &'static str {
        Deed::KEYS
            .iter()
            .find(|(_, _, deed)| *deed == self)
            .map_or("", |(_, name, _)| name)
    }

    /// What a phase offers, with the keys.
    pub(super) fn offered(phase: &str) -> impl Iterator<Item = (char, &'static str, Deed)> {
        Deed::KEYS
            .into_iter()
            .filter(move |(_, _, deed)| deed.fits(phase))
    }

    /// Whether it makes sense in a phase; whether it would be refused is for the sidecar to say.
    pub(super) fn fits(self, phase: &str) -> bool {
        match self {
            Deed::Migrate => matches!(phase, "idle" | "rolled_back"),
            Deed::Cutover | Deed::DryRun => phase == "in_sync",
            Deed::Abort => matches!(
                phase,
                "preparing"
                    | "syncing"
                    | "arming"
                    | "holding"
                    | "draining"
                    | "catching_up"
                    | "detaching"
                    | "rolling_back"
            ),
            Deed::Rollback | Deed::Finalize => phase == "committed",
            Deed::Preflight => true,
            Deed::Verify => matches!(phase, "in_sync" | "committed"),
        }
    }

    /// Where it is sent.
    pub(super) fn path(self) -> &'static str {
        match self {
            Deed::Migrate => "/v1/migrate",
            Deed::DryRun | Deed::Cutover => "/v1/cutover",
            Deed::Abort => "/v1/abort",
            Deed::Rollback => "/v1/rollback",
            Deed::Finalize => "/v1/finalize",
            Deed::Preflight => "/v1/preflight",
            Deed::Verify => "/v1/verify",
        }
    }

    /// What is asked before it is done; nothing for what changes nothing.
    pub(super) fn question(self, status: &Status) -> Option<Question> {
        let (source, target) = names(status);
        let (title, text) = match self {
            Deed::Preflight | Deed::Verify | Deed::DryRun => return None,
            Deed::Migrate => (
                format!("Copy {source} to {target}?"),
                format!(
                    "Everything that {target} holds now is deleted, and replaced by a copy of {source}. The application goes on meanwhile."
                ),
            ),
            Deed::Cutover => (
                format!("Switch the application to {target}?"),
                format!(
                    "Writes wait for some milliseconds, reads do not. If anything is not as it must be in time, everything stays on {source}. Until you finalize, a rollback is possible."
                ),
            ),
            Deed::Abort if matches!(status.phase.as_str(), "preparing" | "syncing") => (
                "Stop the copy?".to_owned(),
                format!(
                    "The application stays on {source}. What was copied is of no use then: the next migration copies anew."
                ),
            ),
            Deed::Abort => (
                "Call the switch off?".to_owned(),
                "What is not committed is undone; the application goes on where it was.".to_owned(),
            ),
            Deed::Rollback => (
                format!("Go back to {source}?"),
                format!(
                    "The same switch in the other direction: {source} has everything that was written to {target} since."
                ),
            ),
            Deed::Finalize => (
                "Give up the way back?".to_owned(),
                format!(
                    "The application stays on {target}, and {source} no longer follows it. This cannot be undone."
                ),
            ),
        };
        let answer = if self == Deed::Migrate {
            Answer::Name {
                expected: target.to_owned(),
                typed: String::new(),
                wrong: None,
            }
        } else {
            Answer::Yes
        };
        Some(Question {
            deed: self,
            title,
            text,
            answer,
        })
    }

    /// The order, where nothing needs to be typed.
    pub(super) fn order(self) -> Order {
        let arguments = if self == Deed::DryRun {
            json!({"dry_run": true})
        } else {
            json!({})
        };
        Order {
            deed: self,
            arguments,
        }
    }
}

impl Question {
    /// A letter was typed; gives the order that it confirms.
    pub(super) fn typed(&mut self, letter: char) -> Option<Order> {
        match &mut self.answer {
            Answer::Yes => matches!(letter, 'y' | 'Y').then(|| self.deed.order()),
            Answer::Name { typed, .. } => {
                if typed.len() < TYPED_MAX {
                    typed.push(letter);
                }
                None
            }
        }
    }

    /// The last letter is taken back.
    pub(super) fn rubbed_out(&mut self) {
        if let Answer::Name { typed, .. } = &mut self.answer {
            typed.pop();
        }
    }

    /// Enter was pressed; gives the order, where what was typed is what must be typed. Alone it confirms nothing.
    pub(super) fn entered(&mut self) -> Option<Order> {
        let Answer::Name {
            expected,
            typed,
            wrong,
        } = &mut self.answer
        else {
            return None;
        };
        if typed.trim() == expected {
            return Some(Order {
                deed: self.deed,
                arguments: json!({"confirm_flush": expected}),
            });
        }
        *wrong = Some(std::mem::take(typed));
        None
    }
}
