//! The findings of all workers, put together.

use std::collections::BTreeMap;

use serde::Serialize;

use super::accepted::{self, Accepted};
use super::notebook::{Client, Notebook};
use super::profile::Profile;
use super::rule::{Rule, Severity};
use crate::command::{CommandId, Table};

/// What one kind of request means for the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong.
    pub rule: Rule,
    /// With which command.
    pub command: String,
    /// How bad that is.
    pub severity: Severity,
    /// How many requests.
    pub count: u64,
    /// When the first was seen, in milliseconds since 1970.
    pub first_seen_ms: u64,
    /// When the newest was.
    pub last_seen_ms: u64,
    /// The first request.
    pub example: String,
    /// Some of the clients that sent such requests.
    pub clients: Vec<Client>,
    /// What the target makes of it.
    pub message: String,
    /// What to do about it.
    pub what_to_do: &'static str,
}

/// Everything that was found so far.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seen {
    /// The worst first, then the most frequent.
    pub findings: Vec<Finding>,
    /// Requests with a finding of which only this number is known: there were too many kinds.
    pub unlisted: u64,
}

/// Clients that are named with a finding, of all workers together.
const CLIENTS_MAX: usize = 8;

/// A finding as the interface writes it.
#[derive(Debug, Serialize)]
struct Written<'a> {
    name: String,
    rule: &'static str,
    command: &'a str,
    severity: &'static str,
    accepted: bool,
    count: u64,
    first_seen_ms: u64,
    last_seen_ms: u64,
    example: &'a str,
    clients: &'a [Client],
    message: &'a str,
    what_to_do: &'static str,
}

impl Finding {
    /// The name it is accepted by: `several_slots:DEL`.
    pub fn name(&self) -> String {
        accepted::name(self.rule, &self.command)
    }

    /// As JSON.
    pub(super) fn written(&self, accepted: &Accepted) -> serde_json::Value {
        serde_json::json!(Written {
            name: self.name(),
            rule: self.rule.as_str(),
            command: &self.command,
            severity: self.severity.as_str(),
            accepted: accepted.covers(self),
            count: self.count,
            first_seen_ms: self.first_seen_ms,
            last_seen_ms: self.last_seen_ms,
            example: &self.example,
            clients: &self.clients,
            message: &self.message,
            what_to_do: self.what_to_do,
        })
    }

    fn merge(&mut self, other: Finding) {
        self.count += other.count;
        if other.first_seen_ms < self.first_seen_ms {
            self.first_seen_ms = other.first_seen_ms;
            self.example = other.example;
        }
        self.last_seen_ms = self.last_seen_ms.max(other.last_seen_ms);
        for client in other.clients {
            if self.clients.len() < CLIENTS_MAX && !self.clients.contains(&client) {
                self.clients.push(client);
            }
        }
    }
}

/// The findings of all notebooks, the worst first, then the most frequent.
pub(super) fn gather<'a>(
    notebooks: impl IntoIterator<Item = &'a Notebook>,
    profile: Profile,
    table: &Table,
) -> Vec<Finding> {
    let mut found: BTreeMap<(Rule, CommandId), Finding> = BTreeMap::new();
    for (head, entry) in notebooks.into_iter().flat_map(Notebook::entries) {
        let Some(command) = table.commands().get(usize::from(head.command.0)) else {
            continue;
        };
        let finding = Finding {
            rule: head.rule,
            command: command.name.clone().into_owned(),
            severity: head.rule.severity(command.class, &command.name),
            count: entry.count(),
            first_seen_ms: head.first_seen_ms,
            last_seen_ms: entry.last_seen_ms(),
            example: head.example.clone(),
            clients: entry
                .clients
                .iter()
                .filter_map(|client| client.get().cloned())
                .collect(),
            message: head.rule.message(profile, &command.name),
            what_to_do: head.rule.what_to_do(profile, &command.name),
        };
        match found.entry((head.rule, head.command)) {
            std::collections::btree_map::Entry::Vacant(place) => {
                place.insert(finding);
            }
            std::collections::btree_map::Entry::Occupied(mut place) => {
                place.get_mut().merge(finding);
            }
        }
    }
    let mut findings: Vec<_> = found.into_values().collect();
    findings.sort_by_key(|finding| (finding.severity, std::cmp::Reverse(finding.count)));
    findings
}
