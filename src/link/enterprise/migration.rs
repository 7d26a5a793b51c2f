//! What `GET /v1/migrations/{uid}` says about a running replication: positions, and how often it has begun anew. Versions
//! before 7.22 do not have it; every field may be absent.

use serde_json::Value;

use super::client::{Client, Patience};
use super::failure::Error;
use super::lenient::{list, number, text};
use crate::link::{CaughtUp, Generation, Position, ShardPosition};
use crate::terms::ReplOffset;

/// The newest answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Migration {
    /// As of a source: `out-of-sync`, `syncing`, `in-sync`.
    pub(super) status: Option<String>,
    /// Behind by so many milliseconds.
    pub(super) lag_ms: Option<u64>,
    /// Bytes of the full copy received.
    pub(super) copy_done: Option<u64>,
    /// Bytes of the full copy altogether.
    pub(super) copy_total: Option<u64>,
    /// Which run of the process that copies.
    run_id: Option<String>,
    /// How often it has emptied the database and begun anew.
    flush_counter: Option<u64>,
    /// How far each shard of the sources has been read, or applied: it is not documented which.
    shards: Vec<ShardPosition>,
    /// What went wrong last, fit to be shown.
    pub(super) error: Option<String>,
}

impl Migration {
    fn read(document: &Value) -> Migration {
        let object = document.get("migration").unwrap_or(document);
        let shard = |shard: &Value| {
            Some(ShardPosition {
                replication_id: text(shard, "replication_id")?,
                offset: ReplOffset(number(shard, "replication_offset")?),
            })
        };
        let error = object.get("error").filter(|error| error.is_object());
        let said = |error: &Value| {
            let parts = [text(error, "error_code"), text(error, "message")];
            let parts: Vec<_> = parts.into_iter().flatten().collect();
            (!parts.is_empty()).then(|| super::lenient::words(&parts.join(": ")))
        };
        Migration {
            status: text(object, "status"),
            lag_ms: number(object, "lag"),
            copy_done: number(object, "rdb_transferred"),
            copy_total: number(object, "rdb_size").filter(|size| *size > 0),
            run_id: text(object, "run_id"),
            flush_counter: number(object, "flush_counter"),
            shards: list(object, "source_shards")
                .unwrap_or_default()
                .iter()
                .filter_map(shard)
                .collect(),
            error: error.and_then(said),
        }
    }

    /// Which full copy it stands on. Both parts are needed: a number that is missing may have changed.
    pub(super) fn generation(&self) -> Option<Generation> {
        let (run, counter) = (self.run_id.as_ref()?, self.flush_counter?);
        Some(Generation(format!("run {run}, flush {counter}")))
    }

    /// How far the stream of that id has come; none where it is not among them, or named twice.
    pub(super) fn offset_of(&self, replication_id: &str) -> Option<ReplOffset> {
        let mut same = self
            .shards
            .iter()
            .filter(|shard| shard.replication_id == replication_id);
        match (same.next(), same.next()) {
            (Some(shard), None) => Some(shard.offset),
            (Some(_), Some(_)) | (None, _) => None,
        }
    }

    /// Whether every stream has come to its offset in `wanted`. One that is not told any more is another one now.
    pub(super) fn reached(&self, wanted: &Position) -> CaughtUp {
        let mut remaining_bytes = 0;
        for shard in &wanted.shards {
            let Some(offset) = self.offset_of(&shard.replication_id) else {
                return CaughtUp::Never("the target follows another replication id".to_owned());
            };
            remaining_bytes += shard.offset.0.saturating_sub(offset.0);
        }
        if remaining_bytes == 0 {
            CaughtUp::Yes
        } else {
            CaughtUp::NotYet {
                remaining_bytes: Some(remaining_bytes),
            }
        }
    }

    /// The one stream, where there is one.
    pub(super) fn only_stream(&self) -> Option<&str> {
        match self.shards.as_slice() {
            [shard] => Some(&shard.replication_id),
            _ => None,
        }
    }
}

/// Asks; none where the cluster's version does not have it, or nothing is being migrated.
pub(super) async fn ask(client: &mut Client, uid: u64) -> Result<Option<Migration>, Error> {
    let path = format!("/v1/migrations/{uid}");
    match client.get(&path, Patience::None).await {
        Ok(document) => Ok(Some(Migration::read(&document))),
        Err(Error::Absent { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
impl Migration {
    /// One that was read from a test's document.
    pub(super) fn of(document: &Value) -> Migration {
        Migration::read(document)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_whole_answer_is_read() {
        let migration = Migration::read(&json!({"migration": {
            "status": "in-sync", "lag": 3, "run_id": "9", "flush_counter": "1", "rdb_size": 10, "rdb_transferred": 4.0,
            "source_shards": [{"replication_id": "a", "replication_offset": 18_446_744_073_709_551_615_u64}],
            "error": {"error_code": "auth", "message": "redis://admin:hunter2@old:1 refused"}
        }}));
        assert_eq!(migration.offset_of("a"), Some(ReplOffset(u64::MAX)));
        assert_eq!(migration.offset_of("b"), None);
        assert_eq!(migration.only_stream(), Some("a"));
        assert_eq!(
            migration.generation(),
            Some(Generation("run 9, flush 1".to_owned()))
        );
        let error = migration.error.expect("an error");
        assert!(
            error.contains("auth") && !error.contains("hunter2"),
            "{error}"
        );
    }

    #[test]
    fn what_is_missing_is_unknown() {
        let migration = Migration::read(&json!({"migration": {"run_id": "9"}}));
        assert_eq!(migration.generation(), None);
        assert_eq!(migration.only_stream(), None);
        assert_eq!(Migration::read(&json!({})), Migration::default());
    }

    #[test]
    fn a_position_is_reached_stream_by_stream_and_never_by_another_id() {
        let shard =
            |id: &str, offset: u64| json!({"replication_id": id, "replication_offset": offset});
        let migration =
            Migration::read(&json!({"source_shards": [shard("a", 10), shard("b", 25)]}));
        let wanted = |streams: &[(&str, u64)]| Position {
            shards: streams
                .iter()
                .map(|(id, offset)| ShardPosition {
                    replication_id: (*id).to_owned(),
                    offset: ReplOffset(*offset),
                })
                .collect(),
        };
        assert_eq!(
            migration.reached(&wanted(&[("a", 10), ("b", 20)])),
            CaughtUp::Yes
        );
        // What one stream is ahead does not make up for the other.
        assert_eq!(
            migration.reached(&wanted(&[("a", 13), ("b", 20)])),
            CaughtUp::NotYet {
                remaining_bytes: Some(3)
            }
        );
        assert!(matches!(
            migration.reached(&wanted(&[("c", 1)])),
            CaughtUp::Never(_)
        ));
    }

    #[test]
    fn a_stream_that_is_named_twice_has_no_position() {
        let shard = |offset| json!({"replication_id": "a", "replication_offset": offset});
        let migration = Migration::read(&json!({"source_shards": [shard(1), shard(2)]}));
        assert_eq!(migration.offset_of("a"), None);
    }
}
