//! What passes, and what was refused, as the status has it.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Requests since the sidecar's start, and what is held now.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::cli) struct Traffic {
    /// Requests sent to the source, by class.
    pub(in crate::cli) source: BTreeMap<String, u64>,
    /// Requests sent to the target, by class.
    pub(in crate::cli) target: BTreeMap<String, u64>,
    /// Requests that wait for a cutover to end.
    pub(in crate::cli) held: u64,
    /// Refused writes, the most frequent first.
    pub(in crate::cli) refused: Vec<RefusedCommand>,
}

/// How often a listener refused a command.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::cli) struct RefusedCommand {
    pub(in crate::cli) command: String,
    pub(in crate::cli) count: u64,
}

/// A client whose writes were refused.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::cli) struct RefusedClient {
    /// What it calls itself, if anything.
    pub(in crate::cli) name: Option<String>,
    pub(in crate::cli) address: String,
    /// Its last refused command.
    pub(in crate::cli) command: String,
    pub(in crate::cli) count: u64,
}
