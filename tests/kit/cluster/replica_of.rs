//! Replica Of started and stopped, as a change of the database: accepted at once, done a while later, by itself.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

use super::bdbs::unknown_field;
use super::database::{Change, Database, ReplicaSync, Shown, SourceEntry};
use super::refusal::Refusal;
use super::source_uri;
use super::state::{Shared, State};
use super::syncer::{Encryption, Source, Syncer, Target};

/// Sources of one database.
const SOURCES_MAX: usize = 32;
/// The highest level of compression.
const COMPRESSION_MAX: u64 = 6;

/// What a source may say besides its URI and its compression.
const SOURCE_FIELDS: &[&str] = &[
    "encryption",
    "server_cert",
    "client_cert",
    "client_key",
    "replication_tls_sni",
];

/// What a change asks for.
struct Wanted {
    sync: ReplicaSync,
    sources: Vec<SourceEntry>,
}

/// `status` of a database.
pub fn status(database: &Database) -> &'static str {
    match &database.change {
        Some(Change {
            shown: Shown::Yes, ..
        }) => "active-change-pending",
        Some(Change {
            shown: Shown::No, ..
        })
        | None => "active",
    }
}

/// Why the syncer has stopped by itself, where it has.
pub fn given_up(database: &Database) -> Option<String> {
    let syncer = database.replica_of.syncer.as_ref()?;
    syncer.progress.stopped()
}

/// `PUT /v1/bdbs/{uid}`: checked, accepted, and carried out in a task of its own.
pub fn change(cluster: &Arc<Shared>, uid: u32, body: &Map<String, Value>) -> Result<(), Refusal> {
    let mut state = cluster.state();
    let database = state.database(uid)?;
    let wanted = wanted(database, body)?;
    if database.change.is_some() {
        return Err(Refusal::busy());
    }
    // Whoever restarts what has stopped by itself, or adds or removes a source, has everything copied anew.
    let present = &database.replica_of;
    let restarts = present.wanted != wanted.sync
        || !same_sources(&present.sources, &wanted.sources)
        || given_up(database).is_some();
    database.replica_of.wanted = wanted.sync;
    database.replica_of.sources = wanted.sources;
    number_sources(&mut state, uid);
    let lingering = state.faults.lingering;
    let change = Change {
        action: action_id(&mut state),
        shown: if lingering.is_zero() {
            Shown::Yes
        } else {
            Shown::No
        },
    };
    let takes = state.change_takes() + lingering;
    state.begin_change(uid, change)?;
    drop(state);
    tokio::spawn(carry_out(Arc::clone(cluster), uid, restarts, takes));
    Ok(())
}

/// The flush of a database begins, as a change of it.
pub fn begin_flush(cluster: &Shared, uid: u32) -> Result<Target, Refusal> {
    let mut state = cluster.state();
    let database = state.database(uid)?;
    if database.change.is_some() {
        return Err(Refusal::busy());
    }
    let target = database.target();
    let change = Change {
        action: action_id(&mut state),
        shown: Shown::Yes,
    };
    state.begin_change(uid, change)?;
    Ok(target)
}

/// The running syncer ends, and with Replica Of enabled another begins once the database is active again.
async fn carry_out(cluster: Arc<Shared>, uid: u32, restarts: bool, takes: Duration) {
    tokio::time::sleep(takes).await;
    if restarts {
        let running = take_syncer(&cluster, uid);
        if let Some(syncer) = running {
            syncer.stop().await;
            cluster.state().database(uid).unwrap().replica_of.ended_at = Some(SystemTime::now());
        }
    }
    let mut state = cluster.state();
    state.end_change(uid);
    let Ok(database) = state.database(uid) else {
        return;
    };
    if restarts && database.replica_of.wanted == ReplicaSync::Enabled {
        start(database);
    }
}

fn take_syncer(cluster: &Shared, uid: u32) -> Option<Syncer> {
    cluster.state().database(uid).ok()?.replica_of.syncer.take()
}

fn start(database: &mut Database) {
    let sources = database
        .replica_of
        .sources
        .iter()
        .map(|entry| entry.source.clone())
        .collect();
    let hardship = Arc::clone(&database.replica_of.hardship);
    database.replica_of.syncer = Some(Syncer::start(sources, database.target(), hardship));
}

/// What the body asks for; what it does not name stays.
fn wanted(database: &Database, body: &Map<String, Value>) -> Result<Wanted, Refusal> {
    let mut wanted = Wanted {
        sync: database.replica_of.wanted,
        sources: database.replica_of.sources.clone(),
    };
    for (name, value) in body {
        match name.as_str() {
            "replica_sync" | "sync" => wanted.sync = sync_of(value)?,
            "replica_sources" | "sync_sources" => wanted.sources = sources_of(value)?,
            _ => return Err(unknown_field(name)),
        }
    }
    if wanted.sync == ReplicaSync::Enabled && wanted.sources.is_empty() {
        return Err(Refusal::invalid(
            "replica_sync cannot be enabled without replica_sources",
        ));
    }
    Ok(wanted)
}

/// `stopped` is what the cluster sets, never a client.
fn sync_of(value: &Value) -> Result<ReplicaSync, Refusal> {
    match value.as_str() {
        Some("enabled") => Ok(ReplicaSync::Enabled),
        Some("disabled") => Ok(ReplicaSync::Disabled),
        Some("paused") => Ok(ReplicaSync::Paused),
        _ => Err(Refusal::malformed(format!(
            "replica_sync cannot be set to {value}"
        ))),
    }
}

fn sources_of(value: &Value) -> Result<Vec<SourceEntry>, Refusal> {
    let list = value
        .as_array()
        .ok_or_else(|| Refusal::malformed("replica_sources is no array"))?;
    if list.len() > SOURCES_MAX {
        return Err(Refusal::invalid(format!("more than {SOURCES_MAX} sources")));
    }
    list.iter().map(source_of).collect()
}

fn source_of(value: &Value) -> Result<SourceEntry, Refusal> {
    let fields = value
        .as_object()
        .ok_or_else(|| Refusal::malformed("a source is no object"))?;
    let known =
        |name: &str| matches!(name, "uid" | "uri" | "compression") || SOURCE_FIELDS.contains(&name);
    if let Some(name) = fields.keys().find(|name| !known(name)) {
        return Err(unknown_field(name));
    }
    let uri = fields
        .get("uri")
        .and_then(Value::as_str)
        .ok_or_else(|| Refusal::malformed("a source has no uri"))?;
    let compression = match fields.get("compression") {
        None => 0,
        Some(level) => level
            .as_u64()
            .filter(|level| *level <= COMPRESSION_MAX)
            .ok_or_else(|| Refusal::malformed(format!("compression {level}")))?,
    };
    let written = fields
        .iter()
        .filter(|(name, _)| SOURCE_FIELDS.contains(&name.as_str()));
    Ok(SourceEntry {
        uid: 0,
        uri: uri.to_owned(),
        source: Source {
            encryption: encryption_of(fields)?,
            ..source_uri::parse(uri)?
        },
        compression,
        written: written
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
    })
}

/// The TLS of a source, which must be whole.
fn encryption_of(fields: &Map<String, Value>) -> Result<Option<Encryption>, Refusal> {
    if fields.get("encryption") != Some(&Value::Bool(true)) {
        return Ok(None);
    }
    let text = |name: &str| {
        let text = fields.get(name).and_then(Value::as_str);
        text.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let encryption = Encryption {
        server_cert: text("server_cert")
            .ok_or_else(|| Refusal::invalid("encryption needs server_cert"))?,
        client: text("client_cert").zip(text("client_key")),
        server_name: text("replication_tls_sni"),
    };
    match encryption.mistake() {
        None => Ok(Some(encryption)),
        Some(mistake) => Err(Refusal::invalid(format!("encryption: {mistake}"))),
    }
}

fn same_sources(one: &[SourceEntry], other: &[SourceEntry]) -> bool {
    let essence = |entries: &[SourceEntry]| -> Vec<_> {
        let each = entries.iter();
        each.map(|it| (it.uri.clone(), it.compression, it.written.clone()))
            .collect()
    };
    essence(one) == essence(other)
}

fn number_sources(state: &mut State, uid: u32) {
    let Some(count) = state
        .databases
        .get(&uid)
        .map(|it| it.replica_of.sources.len())
    else {
        return;
    };
    let numbers: Vec<u32> = (0..count).map(|_| state.next_number()).collect();
    if let Ok(database) = state.database(uid) {
        for (entry, number) in database.replica_of.sources.iter_mut().zip(numbers) {
            if entry.uid == 0 {
                entry.uid = number;
            }
        }
    }
}

fn action_id(state: &mut State) -> String {
    format!("00000000-0000-4000-8000-{:012x}", state.next_number())
}
