//! The admin API's documents, as far as they are shown to people. Lenient: a sidecar of another version may say less
//! or more.

mod history;
mod traffic;

use serde::Deserialize;
use serde_json::Value;

pub(super) use history::{History, Sample};
pub(super) use traffic::{RefusedClient, Traffic};

/// `GET /v1/status`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Status {
    /// Where the migration stands.
    pub(super) phase: String,
    /// The step of the attempt that is under way.
    pub(super) step: Option<String>,
    /// The side that owns writes.
    pub(super) active_side: String,
    /// Whether a cutover would be accepted now.
    pub(super) can_cut_over: bool,
    /// Why not.
    pub(super) reasons: Vec<Value>,
    /// Whether a rollback would be accepted now.
    pub(super) can_roll_back: bool,
    /// The replication.
    pub(super) link: Link,
    /// Clients.
    pub(super) sessions: Sessions,
    /// The newest cutover that ended.
    pub(super) last_cutover: Option<Outcome>,
    /// What a person must look at.
    pub(super) alarms: Vec<Value>,
    /// The newest comparison of the sides.
    pub(super) verify: Option<Verify>,
    /// What the source is called.
    pub(super) source: Named,
    /// What the target is called.
    pub(super) target: Named,
    /// What passes.
    pub(super) traffic: Traffic,
    /// Whose writes were refused.
    pub(super) refused_clients: Vec<RefusedClient>,
    /// The sidecars of the fleet; empty where this one is alone.
    pub(super) members: Vec<Value>,
}

/// A side's name.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Named {
    pub(super) name: String,
}

/// The replication.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Link {
    /// Who drives it.
    pub(super) driver: String,
    /// Where it stands.
    pub(super) phase: String,
    /// How far the target is behind, where known.
    pub(super) lag_bytes: Option<u64>,
    /// The same as a time.
    pub(super) lag_ms: Option<f64>,
    /// Of the full copy.
    pub(super) bytes_done: Option<u64>,
    /// Of the full copy altogether.
    pub(super) bytes_total: Option<u64>,
    /// What it waits for, where known.
    pub(super) waiting_for: Option<String>,
    /// In the database's words.
    pub(super) last_error: Option<String>,
}

/// Clients.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Sessions {
    pub(super) open: u64,
    pub(super) private: u64,
    pub(super) blocked: u64,
    pub(super) in_transaction: u64,
    pub(super) subscribed: u64,
}

/// How a cutover, a rollback, an abort or a finalization ended.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(clippy::struct_field_names)] // the interface's word
pub(super) struct Outcome {
    /// `committed`, `aborted`, `rolled_back`, `dry_run`, `finalized`.
    pub(super) outcome: String,
    /// Pause of the writes.
    pub(super) write_pause_ms: Option<f64>,
    /// Pause of the reads.
    pub(super) read_pause_ms: Option<f64>,
    /// What took how long.
    pub(super) steps: Vec<Step>,
    /// Why it ended so, or what a person should know.
    pub(super) reasons: Vec<Value>,
}

/// The compatibility report.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Report {
    /// What kind of database the target is.
    pub(super) profile: String,
    /// Whether the target has said which commands it has.
    pub(super) target_commands_known: bool,
    /// The worst first.
    pub(super) findings: Vec<Incompatibility>,
    /// Digests of scripts that are called, and whose text was not seen.
    pub(super) unseen_scripts: Vec<String>,
    /// Requests with findings that are not listed.
    pub(super) unlisted: u64,
}

/// What the target takes differently.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Incompatibility {
    pub(super) name: String,
    /// `error` or `warning`.
    pub(super) severity: String,
    pub(super) accepted: bool,
    pub(super) count: u64,
    pub(super) example: String,
    pub(super) clients: Vec<Sender>,
    pub(super) message: String,
    pub(super) what_to_do: String,
}

/// A client that sent it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Sender {
    pub(super) address: String,
    pub(super) name: Option<String>,
    pub(super) library: Option<String>,
}

impl Report {
    /// Whether a cutover would be refused for it.
    pub(super) fn stands_in_the_way(&self) -> bool {
        let open = |finding: &Incompatibility| finding.severity == "error" && !finding.accepted;
        self.unlisted > 0 || self.findings.iter().any(open)
    }
}

/// One step of a cutover.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Step {
    pub(super) name: String,
    pub(super) ms: f64,
}

/// The comparison of the sides.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Verify {
    /// Whether it runs.
    pub(super) running: bool,
    /// The round, from 1.
    pub(super) round: u32,
    /// Keys looked at in this round.
    pub(super) keys_done: u64,
    /// Keys to look at in this round, about.
    pub(super) keys_expected: u64,
    /// Keys that differ so far.
    pub(super) differing: u64,
    /// How fast it goes.
    pub(super) keys_per_second: Option<u64>,
    /// What the rest of the round takes.
    pub(super) seconds_left: Option<f64>,
    /// What it found.
    pub(super) summary: Option<Summary>,
    /// Why it found nothing.
    pub(super) error: Option<String>,
}

/// What a comparison found.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Summary {
    pub(super) keys: u64,
    pub(super) differing: u64,
    /// Keys that changed whenever they were looked at.
    pub(super) unsettled: u64,
    /// Whether more differed than could be looked at again.
    pub(super) overflowed: bool,
    /// Whether the side that follows had everything at the last look.
    pub(super) caught_up: Option<bool>,
    pub(super) seconds: f64,
    /// Some of the differing keys.
    pub(super) sample: Vec<Difference>,
}

/// A key that differs.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Difference {
    pub(super) database: u32,
    pub(super) key: String,
    /// In what.
    pub(super) what: Value,
    /// What the sides hold.
    pub(super) source: Option<Held>,
    pub(super) target: Option<Held>,
}

/// What a side holds under a key.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Held {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) length: Option<u64>,
    pub(super) ttl_ms: Option<u64>,
    pub(super) digest: Option<String>,
}

/// `GET /v1/preflight`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Preflight {
    pub(super) findings: Vec<Finding>,
}

/// What one check found.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Finding {
    pub(super) check: String,
    /// `ok`, `warning`, `error`.
    pub(super) level: String,
    pub(super) message: String,
    pub(super) what_to_do: Option<String>,
}

/// Reads a document leniently: what cannot be read at all shows as empty, and the JSON form has it still.
pub(super) fn view<T: serde::de::DeserializeOwned + Default>(document: &Value) -> T {
    T::deserialize(document).unwrap_or_default()
}

/// A reason is a text, or an object with a `message`.
pub(super) fn reason_text(reason: &Value) -> String {
    let text = reason
        .as_str()
        .or_else(|| reason.get("message").and_then(Value::as_str));
    text.map_or_else(|| reason.to_string(), str::to_owned)
}
