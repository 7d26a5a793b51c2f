//! `replica_sources[]` as the API shows it, and the migration's status made of the same knowledge.

use serde_json::{Value, json};

use super::database::Database;
use super::fault::{Fields, Numbers};
use super::syncer::{Progress, SourceProgress, SourceStatus};

/// The entries of `replica_sources`. Before the syncer runs, and after it, there is no status.
pub fn source_document(database: &Database, fields: Fields) -> Vec<Value> {
    let progress = database
        .replica_of
        .syncer
        .as_ref()
        .map(|syncer| syncer.progress.sources());
    let entries = database.replica_of.sources.iter().enumerate();
    entries
        .map(|(index, entry)| {
            let progress = progress.as_ref().map(|sources| &sources[index]);
            let status = progress.map_or("", |it| it.status.name());
            let mut document = json!({ "uid": entry.uid, "uri": entry.uri, "status": status });
            let all = document.as_object_mut().unwrap();
            if fields == Fields::All {
                all.extend(entry.written.clone());
                all.insert("compression".to_owned(), entry.compression.into());
                all.extend(progress.map(readings).unwrap_or_default());
            }
            document
        })
        .collect()
}

/// What is known of a source besides its status.
fn readings(progress: &SourceProgress) -> serde_json::Map<String, Value> {
    let mut all = serde_json::Map::new();
    let mut insert = |name: &str, value: Value| all.insert(name.to_owned(), value);
    if let Some(lag) = progress.lag() {
        insert("lag", milliseconds(lag).into());
    }
    if let Some(error) = &progress.last_error {
        insert("last_error", error.clone().into());
    }
    if let Some(bytes) = progress.snapshot_bytes {
        insert("rdb_size", bytes.into());
        insert("rdb_transferred", progress.carried_bytes.into());
    }
    all
}

/// `{"migration": …}`. Old numbers are those that were told first.
pub fn migration_document(progress: &Progress, numbers: &mut Numbers) -> Value {
    if let Numbers::Stale(Some(told)) = numbers {
        return told.clone();
    }
    let document = json!({ "migration": migration(progress, numbers) });
    if let Numbers::Stale(told @ None) = numbers {
        *told = Some(document.clone());
    }
    document
}

/// Fields without a value are left out.
fn migration(progress: &Progress, numbers: &Numbers) -> Value {
    let offset_of = |it: &SourceProgress| match numbers {
        Numbers::Read => it.read,
        Numbers::Ahead(by) => it.applied + by,
        Numbers::Applied | Numbers::Stale(_) | Numbers::Absent => it.applied,
    };
    let (sources, run) = (progress.sources(), progress.run());
    let shards = sources.iter().filter_map(|it| {
        let id = it.replication_id.as_ref()?;
        Some(json!({ "replication_id": id, "replication_offset": offset_of(it) }))
    });
    let worst = sources
        .iter()
        .map(|it| it.status)
        .min_by_key(|it| *it as u8);
    let mut document = json!({
        "status": worst.map_or("", SourceStatus::name),
        "run_id": run.id,
        "flush_counter": run.flushes,
        "source_shards": shards.collect::<Vec<_>>(),
    });
    let lags: Option<Vec<_>> = sources.iter().map(SourceProgress::lag).collect();
    if let Some(longest) = lags.and_then(|lags| lags.into_iter().max()) {
        document["lag"] = milliseconds(longest).into();
    }
    let sizes: Option<u64> = sources.iter().map(|it| it.snapshot_bytes).sum();
    if let Some(size) = sizes {
        let carried: u64 = sources.iter().map(|it| it.carried_bytes).sum();
        document["rdb_size"] = size.into();
        document["rdb_transferred"] = carried.into();
    }
    if let Some(error) = sources.iter().find_map(|it| it.last_error.as_ref()) {
        document["error"] = json!({ "error_code": "syncer_error", "message": error });
    }
    document
}

fn milliseconds(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap()
}
