//! What one look at the database, at its migration and at its sources comes to. Pure but for the moment it is given.
//!
//! The safe readings: `in-sync` says that the stream flows, not that nothing is outstanding; what is null, empty or not
//! listed by the documentation is unknown; a replication of several sources is as far as its last one; and where two
//! parts of the API disagree the worse one is right.

use std::time::{Duration, Instant};

use super::database::{Database, SourceState};
use super::migration::Migration;
use crate::link::{Generation, Phase, Position, Report, ShardPosition};
use crate::terms::Lag;

/// What was seen.
pub(super) struct Sighting<'a> {
    /// When.
    pub(super) at: Instant,
    /// The target.
    pub(super) database: &'a Database,
    /// Sources that were set.
    pub(super) sources_set: usize,
    /// What is told of the migration.
    pub(super) migration: Option<&'a Migration>,
    /// Where the sources are; none where they do not tell.
    pub(super) written: Option<Position>,
}

/// Where it stands, and why not further.
struct Standing {
    phase: Phase,
    waiting_for: Option<String>,
    error: Option<String>,
}

impl Sighting<'_> {
    /// The report.
    pub(super) fn report(&self) -> Report {
        let Standing {
            phase,
            waiting_for,
            error,
        } = self.standing();
        let sources = self.sources();
        let mut report = Report {
            phase,
            written: self.written.clone(),
            bytes_done: sum(sources, |source| source.copy_done)
                .or_else(|| self.migration?.copy_done),
            bytes_total: sum(sources, |source| source.copy_total)
                .or_else(|| self.migration?.copy_total),
            waiting_for,
            last_error: error.or_else(|| self.reported_error()),
            ..Report::unknown(self.at, String::new())
        };
        if phase == Phase::Streaming {
            report.applied = self.applied();
            report.generation = self.generation();
            report.lag = self.lag(report.applied.as_ref());
        }
        report
    }

    fn standing(&self) -> Standing {
        let database = self.database;
        let settled = database.status.as_deref() == Some("active");
        let pending = || {
            let status = database.status.as_deref().unwrap_or("not told");
            format!("the cluster to finish a change of the database (its status is {status})")
        };
        let broken = |why: String| Standing {
            phase: Phase::Broken,
            waiting_for: None,
            error: Some(why),
        };
        match database.replica_sync.as_deref() {
            Some("disabled") if settled => Standing::of(Phase::Detached),
            Some("disabled") => Standing {
                waiting_for: Some(pending()),
                ..Standing::of(Phase::Unknown)
            },
            Some("enabled") if !settled => Standing {
                waiting_for: Some(pending()),
                ..Standing::of(Phase::Connecting)
            },
            Some("enabled") => self.of_enabled(),
            Some("paused") => broken(format!(
                "Replica Of into {} is paused: to go on would empty it, so run `migrate` again",
                database.name
            )),
            Some("stopped") => broken(format!(
                "the cluster has stopped Replica Of into {}{}: put that right, then run `migrate` again",
                database.name,
                self.reported_error()
                    .map_or_else(String::new, |error| format!(" ({error})"))
            )),
            Some(other) => Standing {
                error: Some(format!(
                    "Replica Of into {} is {other:?}, which is not known",
                    database.name
                )),
                ..Standing::of(Phase::Unknown)
            },
            None => Standing {
                error: Some(format!(
                    "{} does not tell whether Replica Of runs",
                    database.name
                )),
                ..Standing::of(Phase::Unknown)
            },
        }
    }

    /// The worst of all sources.
    fn of_enabled(&self) -> Standing {
        let sources = self.sources();
        if sources.len() != self.sources_set {
            return Standing {
                error: Some(format!(
                    "{} is filled from {} sources, and {} were set: somebody has changed them",
                    self.database.name,
                    sources.len(),
                    self.sources_set
                )),
                ..Standing::of(Phase::Broken)
            };
        }
        let of_the_migration = self.migration.and_then(|it| it.status.as_deref());
        let statuses = sources
            .iter()
            .map(|source| source.status.as_deref())
            .chain(of_the_migration.map(Some));
        let phase = statuses
            .map(phase_of)
            .max_by_key(|phase| badness(*phase))
            .unwrap_or(Phase::Unknown);
        Standing::of(phase)
    }

    fn sources(&self) -> &[SourceState] {
        self.database.sources.as_deref().unwrap_or_default()
    }

    fn reported_error(&self) -> Option<String> {
        let of_a_source = self.sources().iter().find_map(|source| {
            let error = source.last_error.as_ref()?;
            Some(format!("{}: {error}", source.place))
        });
        of_a_source.or_else(|| self.migration?.error.clone())
    }

    /// How far each stream of the sources has come; none unless all are told.
    fn applied(&self) -> Option<Position> {
        let (written, migration) = (self.written.as_ref()?, self.migration?);
        let shards = written.shards.iter().map(|shard| {
            Some(ShardPosition {
                replication_id: shard.replication_id.clone(),
                offset: migration.offset_of(&shard.replication_id)?,
            })
        });
        Some(Position {
            shards: shards.collect::<Option<_>>()?,
        })
    }

    /// What changes when it begins anew, as far as it is told: the run, its count of flushes, the sources' streams. What is
    /// told at one look and not at the next counts as a change.
    fn generation(&self) -> Option<Generation> {
        let run = self.migration.and_then(Migration::generation);
        let streams = self.written.as_ref().map(|written| {
            let ids = written.shards.iter().map(|it| it.replication_id.as_str());
            ids.collect::<Vec<_>>().join(" ")
        });
        let parts: Vec<_> = [
            run.map(|Generation(run)| run),
            streams.map(|streams| format!("source {streams}")),
        ]
        .into_iter()
        .flatten()
        .collect();
        (!parts.is_empty()).then(|| Generation(parts.join(", ")))
    }

    /// The cluster's own measure first. The bytes are taken from two answers that were not given in the same moment, and
    /// one of them may be refreshed only now and then.
    fn lag(&self, applied: Option<&Position>) -> Lag {
        let slowest = sum_or_max(self.sources(), |source| source.lag_ms, u64::max);
        if let Some(lag) = slowest.or_else(|| self.migration?.lag_ms) {
            return Lag::Time(Duration::from_millis(lag));
        }
        match (&self.written, applied) {
            (Some(written), Some(applied)) => {
                let remaining = written.shards.iter().zip(&applied.shards);
                Lag::Bytes(
                    remaining
                        .map(|(written, applied)| written.offset.0.saturating_sub(applied.offset.0))
                        .sum(),
                )
            }
            (None, _) | (_, None) => Lag::Unknown,
        }
    }
}

impl Standing {
    fn of(phase: Phase) -> Standing {
        Standing {
            phase,
            waiting_for: None,
            error: None,
        }
    }
}

fn phase_of(status: Option<&str>) -> Phase {
    match status {
        Some("in-sync") => Phase::Streaming,
        Some("syncing") => Phase::Syncing,
        Some("out-of-sync") => Phase::Connecting,
        Some(_) | None => Phase::Unknown,
    }
}

fn badness(phase: Phase) -> u8 {
    match phase {
        Phase::Streaming => 0,
        Phase::Syncing => 1,
        Phase::Connecting => 2,
        Phase::Unknown => 3,
        Phase::Detached | Phase::Broken => 4,
    }
}

/// The sum over all sources; none where one of them does not tell.
fn sum(sources: &[SourceState], of: fn(&SourceState) -> Option<u64>) -> Option<u64> {
    sum_or_max(sources, of, u64::saturating_add)
}

fn sum_or_max(
    sources: &[SourceState],
    of: fn(&SourceState) -> Option<u64>,
    with: fn(u64, u64) -> u64,
) -> Option<u64> {
    let told: Option<Vec<u64>> = sources.iter().map(of).collect();
    told?.into_iter().reduce(with)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::terms::ReplOffset;

    fn source(status: &str) -> Value {
        json!({"uri": "redis://:pw@old:1", "status": status, "lag": 5})
    }

    fn position(streams: &[(&str, u64)]) -> Position {
        let shards = streams.iter().map(|(id, offset)| ShardPosition {
            replication_id: (*id).to_owned(),
            offset: ReplOffset(*offset),
        });
        Position {
            shards: shards.collect(),
        }
    }

    fn look(
        sync: &str,
        sources: &[Value],
        migration: Option<&Value>,
        written: Option<Position>,
    ) -> Report {
        let database = Database::read(&json!({
            "uid": 1, "name": "new", "status": "active", "replica_sync": sync, "replica_sources": sources
        }))
        .expect("a database");
        let migration = migration.map(Migration::of);
        Sighting {
            at: Instant::now(),
            database: &database,
            sources_set: 2,
            migration: migration.as_ref(),
            written,
        }
        .report()
    }

    #[track_caller]
    fn phase(sync: &str, statuses: [&str; 2], expected: Phase) {
        let report = look(sync, &statuses.map(source), None, None);
        assert_eq!(report.phase, expected, "{sync} {statuses:?} {report:?}");
    }

    #[test]
    fn it_streams_only_where_every_source_is_in_sync() {
        phase("enabled", ["in-sync", "in-sync"], Phase::Streaming);
        phase("enabled", ["in-sync", "syncing"], Phase::Syncing);
        phase("enabled", ["out-of-sync", "syncing"], Phase::Connecting);
        phase("enabled", ["in-sync", ""], Phase::Unknown);
        phase("enabled", ["in-sync", "synced"], Phase::Unknown);
        phase("disabled", ["in-sync", "in-sync"], Phase::Detached);
        phase("paused", ["in-sync", "in-sync"], Phase::Broken);
        phase("stopped", ["in-sync", "in-sync"], Phase::Broken);
        phase("resuming", ["in-sync", "in-sync"], Phase::Unknown);
        phase("", ["in-sync", "in-sync"], Phase::Unknown);
    }

    #[test]
    fn a_source_too_few_or_too_many_is_no_replication_of_ours() {
        let report = look("enabled", &[source("in-sync")], None, None);
        assert_eq!(report.phase, Phase::Broken);
    }

    #[test]
    fn the_migration_can_only_make_it_worse() {
        let sources = ["in-sync", "in-sync"].map(source);
        let migration = json!({"status": "syncing"});
        assert_eq!(
            look("enabled", &sources, Some(&migration), None).phase,
            Phase::Syncing
        );
    }

    #[test]
    fn positions_are_known_only_where_every_stream_is_told() {
        let sources = ["in-sync", "in-sync"].map(source);
        let shard =
            |id: &str, offset: u64| json!({"replication_id": id, "replication_offset": offset});
        let written = position(&[("a", 10), ("b", 20)]);
        let both = json!({"run_id": "7", "flush_counter": 1, "source_shards": [shard("b", 19), shard("a", 10)]});
        let report = look("enabled", &sources, Some(&both), Some(written.clone()));
        assert_eq!(report.applied, Some(position(&[("a", 10), ("b", 19)])));
        let other = json!({"run_id": "7", "flush_counter": 2, "source_shards": [shard("b", 19)]});
        let later = look("enabled", &sources, Some(&other), Some(written));
        assert_eq!(later.applied, None);
        assert_ne!(report.generation, later.generation);
    }

    #[test]
    fn the_lag_is_that_of_the_slowest_source() {
        let mut sources = ["in-sync", "in-sync"].map(source);
        sources[1]["lag"] = json!("250");
        let report = look("enabled", &sources, None, None);
        assert_eq!(report.lag, Lag::Time(Duration::from_millis(250)));
        sources[0]["lag"] = Value::Null;
        assert_eq!(look("enabled", &sources, None, None).lag, Lag::Unknown);
    }

    #[test]
    fn what_stopped_it_is_told_without_the_password() {
        let mut failing = source("out-of-sync");
        failing["last_error"] = json!("AUTH failed at redis://admin:hunter2@old:1");
        let report = look("stopped", &[failing.clone(), failing], None, None);
        let error = report.last_error.expect("an error");
        assert!(
            error.contains("AUTH failed")
                && error.contains("migrate")
                && !error.contains("hunter2"),
            "{error}"
        );
    }
}
