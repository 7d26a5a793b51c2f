//! The beginning of a migration: the database made where it does not exist, emptied, given its sources, and told to fill
//! itself from them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::client::Patience;
use super::database::{Database, find};
use super::failure::Error;
use super::lenient::text;
use super::settings::{Settings, SourceServer};
use super::{BUSY_LIMIT, Enterprise, crdb, stop};
use crate::link::connection::Connections;
use crate::terms::Side;

/// How long a change of the database may take. A new one becomes usable within it too.
const CHANGE_LIMIT: Duration = Duration::from_mins(2);

/// Between two looks at a change.
const CHANGE_LOOK: Duration = Duration::from_millis(100);

/// The most sources that a database takes.
pub(in crate::link) const SOURCES_MAX: usize = 32;

impl Enterprise {
    /// Makes the database where there is none and the configuration describes one. On the word of the operator who
    /// migrates, and before anything looks at it; it changes nothing that exists.
    pub(in crate::link) async fn provide(&mut self) -> Result<(), Error> {
        let Some(create) = &self.settings.create else {
            return Ok(());
        };
        let (name, patience) = (&self.settings.database, Patience::For(BUSY_LIMIT));
        if find(&mut self.cluster, name, patience).await?.is_none() {
            crdb::create(&mut self.cluster, name, create, &task_id()).await?;
        }
        self.settled(|database| !database.endpoints.is_empty())
            .await?;
        Ok(())
    }

    /// Empties the target and has it filled. Returns when the cluster has taken the order; how far it is,
    /// [`Enterprise::observe`] tells.
    pub(in crate::link) async fn prepare(
        &mut self,
        connections: &mut Connections,
    ) -> Result<(), Error> {
        let patience = Patience::For(BUSY_LIMIT);
        let database = self.database(patience).await?;
        let source = &connections.of(Side::Source).server;
        let sources = self.source.servers(&mut self.cluster, source).await?;
        if sources.len() > SOURCES_MAX {
            return Err(Error::TooManySources {
                count: sources.len(),
                limit: SOURCES_MAX,
            });
        }
        if !stop::is_stopped(&database) {
            stop::stop(&mut self.cluster, database.uid).await?;
        }
        self.flush(&database).await?;
        let order = order(&self.settings, &sources);
        let path = format!("/v1/bdbs/{}", database.uid);
        self.cluster.put(&path, &order, patience).await?;
        self.settled(|database| database.replica_sync.as_deref() != Some("disabled"))
            .await?;
        Ok(())
    }

    /// Empties the target on every cluster that has it. The replication is off: nothing could be lost that it has sent.
    async fn flush(&mut self, database: &Database) -> Result<(), Error> {
        if let Some(guid) = &database.guid {
            crdb::flush(&mut self.cluster, guid, &task_id()).await?;
        } else {
            let path = format!("/v1/bdbs/{}/flush", database.uid);
            let patience = Patience::For(BUSY_LIMIT);
            let changed = self.cluster.put(&path, &json!({}), patience).await?;
            if let Some(action) = text(&changed, "action_uid") {
                self.done(&action).await?;
            }
        }
        self.settled(|_| true).await?;
        Ok(())
    }

    /// Waits until the cluster has finished with the database, and it is `as_wanted`.
    async fn settled(&mut self, as_wanted: fn(&Database) -> bool) -> Result<Database, Error> {
        let give_up_at = Instant::now() + CHANGE_LIMIT;
        loop {
            let database = self.database(Patience::For(BUSY_LIMIT)).await;
            let state = match database {
                Ok(database) if is_active(&database) && as_wanted(&database) => {
                    return Ok(database);
                }
                Ok(database) => database.status,
                // Its instance here may come a moment after the task that makes it has ended.
                Err(Error::NoSuchDatabase { .. }) => None,
                Err(error) => return Err(error),
            };
            if Instant::now() >= give_up_at {
                return Err(Error::WorkUnfinished {
                    api: self.cluster.name().to_owned(),
                    work: "a change of the database",
                    limit: CHANGE_LIMIT,
                    state: format!("its status is {}", state.as_deref().unwrap_or("not told")),
                });
            }
            sleep(CHANGE_LOOK).await;
        }
    }

    /// Waits for the end of an action. One that is not known any more has ended; what it did shows in the database.
    async fn done(&mut self, action: &str) -> Result<(), Error> {
        let path = format!("/v1/actions/{}", super::source_url::path_part(action));
        let give_up_at = Instant::now() + CHANGE_LIMIT;
        loop {
            let asked = self.cluster.get(&path, Patience::For(BUSY_LIMIT)).await;
            let seen = match asked {
                Ok(seen) => seen,
                Err(Error::Absent { .. }) => return Ok(()),
                Err(error) => return Err(error),
            };
            let status = text(&seen, "status");
            match status.as_deref() {
                Some("completed" | "finished") => return Ok(()),
                Some("failed" | "aborted" | "cancelled") => {
                    let words = text(&seen, "error").unwrap_or_default();
                    return Err(Error::WorkFailed {
                        api: self.cluster.name().to_owned(),
                        work: "the flush of the database",
                        words: super::lenient::words(&words),
                    });
                }
                _ if Instant::now() >= give_up_at => {
                    return Err(Error::WorkUnfinished {
                        api: self.cluster.name().to_owned(),
                        work: "the flush of the database",
                        limit: CHANGE_LIMIT,
                        state: status.unwrap_or_else(|| "of unknown status".to_owned()),
                    });
                }
                Some(_) | None => sleep(CHANGE_LOOK).await,
            }
        }
    }
}

fn is_active(database: &Database) -> bool {
    database.status.as_deref() == Some("active")
}

/// The change that sets the sources and has the target filled from them.
fn order(settings: &Settings, sources: &[SourceServer]) -> Value {
    let sources: Vec<_> = sources
        .iter()
        .map(|source| {
            let mut entry = json!({ "uri": source.url(), "compression": settings.compression });
            if let Some(tls) = &settings.source_tls {
                entry["encryption"] = json!(true);
                entry["server_cert"] = json!(tls.server_cert);
                if let Some((certificate, key)) = &tls.client {
                    entry["client_cert"] = json!(certificate);
                    entry["client_key"] = json!(String::from_utf8_lossy(key.expose()));
                }
                if let Some(name) = &tls.server_name {
                    entry["replication_tls_sni"] = json!(name);
                }
            }
            entry
        })
        .collect();
    json!({ "replica_sources": sources, "replica_sync": "enabled" })
}

/// An id for a task, in the form of a UUID (version 8, RFC 9562): when it was made, and by which process.
fn task_id() -> String {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let (seconds, nanos) = (since_epoch.as_secs(), since_epoch.subsec_nanos());
    format!(
        "{:08x}-{:04x}-8{:03x}-8{:03x}-{:012x}",
        seconds & 0xffff_ffff,
        nanos >> 16,
        nanos >> 4 & 0xfff,
        nanos & 0xf,
        std::process::id()
    )
}
