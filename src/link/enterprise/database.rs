//! A database as its cluster describes it, and finding one by name, uid or guid.

use serde_json::Value;

use super::client::{Client, Patience};
use super::failure::Error;
use super::lenient::{list, number, text};
use super::source_url::place_of;
use crate::terms::Secret;

/// What is asked of each database when one is looked for: a list with everything holds certificates.
const SEARCHED: &str = "uid,name,crdt,crdt_guid";

/// A database on one cluster: a plain one, or the cluster's instance of an Active-Active one.
#[derive(Debug, Clone)]
pub(in crate::link) struct Database {
    /// Its number on this cluster.
    pub(in crate::link) uid: u64,
    /// Its name.
    pub(in crate::link) name: String,
    /// The guid of the Active-Active database that it is an instance of.
    pub(in crate::link) guid: Option<String>,
    /// `active`, `active-change-pending`, …; none where it is not told.
    pub(in crate::link) status: Option<String>,
    /// `disabled`, `enabled`, `paused`, `stopped`; none where it is not told.
    pub(in crate::link) replica_sync: Option<String>,
    /// What it is filled from; none where it is not told.
    pub(in crate::link) sources: Option<Vec<SourceState>>,
    /// Where clients connect: name (or address) and port, by name first.
    pub(in crate::link) endpoints: Vec<(String, u16)>,
    /// The password of the internal user, by which another database reads it.
    pub(in crate::link) internal_password: Option<Secret>,
    /// The number of shards.
    pub(in crate::link) shards: Option<u64>,
    /// Its memory, in bytes.
    pub(in crate::link) memory_bytes: Option<u64>,
    /// What happens when memory is full.
    pub(in crate::link) eviction: Option<String>,
    /// The connections it takes.
    pub(in crate::link) clients_max: Option<u64>,
    /// The names of its modules.
    pub(in crate::link) modules: Vec<String>,
}

/// What the cluster says about one source of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::link) struct SourceState {
    /// `host:port`.
    pub(in crate::link) place: String,
    /// `out-of-sync`, `syncing`, `in-sync`; none where it is not told.
    pub(in crate::link) status: Option<String>,
    /// Behind by so many milliseconds.
    pub(in crate::link) lag_ms: Option<u64>,
    /// Bytes of the full copy received.
    pub(in crate::link) copy_done: Option<u64>,
    /// Bytes of the full copy altogether.
    pub(in crate::link) copy_total: Option<u64>,
    /// Its newest error, fit to be shown.
    pub(in crate::link) last_error: Option<String>,
}

impl Database {
    /// Reads it; none where it has no uid.
    pub(in crate::link) fn read(object: &Value) -> Option<Database> {
        let uid = number(object, "uid")?;
        let sync = text(object, "replica_sync").or_else(|| text(object, "sync"));
        let sources = list(object, "replica_sources").or_else(|| list(object, "sync_sources"));
        let module = |module: &Value| {
            text(module, "module_name").or_else(|| module.as_str().map(str::to_owned))
        };
        Some(Database {
            uid,
            name: text(object, "name").unwrap_or_else(|| uid.to_string()),
            guid: text(object, "crdt_guid").map(|guid| plain_guid(&guid)),
            status: text(object, "status"),
            replica_sync: sync,
            sources: sources.map(|sources| sources.iter().map(SourceState::read).collect()),
            endpoints: endpoints(object),
            internal_password: text(object, "authentication_admin_pass").map(Secret::new),
            shards: number(object, "shards_count"),
            memory_bytes: number(object, "memory_size"),
            eviction: text(object, "eviction_policy"),
            clients_max: number(object, "maxclients"),
            modules: list(object, "module_list")
                .unwrap_or_default()
                .iter()
                .filter_map(module)
                .collect(),
        })
    }

    /// Whether it is an instance of an Active-Active database.
    pub(in crate::link) fn is_active_active(&self) -> bool {
        self.guid.is_some()
    }

    /// Whether `host:port` is one of its endpoints.
    pub(in crate::link) fn is_at(&self, host: &str, port: u16) -> bool {
        self.endpoints
            .iter()
            .any(|(name, number)| *number == port && name.eq_ignore_ascii_case(host))
    }
}

impl SourceState {
    fn read(source: &Value) -> SourceState {
        let number = |key| number(source, key);
        SourceState {
            place: place_of(&text(source, "uri").unwrap_or_default()).to_owned(),
            status: text(source, "status"),
            lag_ms: number("lag"),
            copy_done: number("rdb_transferred"),
            copy_total: number("rdb_size").filter(|size| *size > 0),
            last_error: text(source, "last_error").map(|error| super::lenient::words(&error)),
        }
    }
}

/// Finds a database by its name, its uid or the guid of its Active-Active database; none where there is none. Several that
/// answer to it are an error: nobody can say which is meant.
pub(super) async fn find(
    client: &mut Client,
    wanted: &str,
    patience: Patience,
) -> Result<Option<Database>, Error> {
    let path = format!("/v1/bdbs?fields={SEARCHED}");
    let all = client.get(&path, patience).await?;
    let all = all.as_array().ok_or_else(|| Error::Strange {
        api: client.name().to_owned(),
        call: "GET /v1/bdbs".to_owned(),
        reason: "it is not a list".to_owned(),
    })?;
    let known: Vec<Database> = all.iter().filter_map(Database::read).collect();
    let mut uids = answering(&known, wanted);
    if uids.is_empty() {
        uids.extend(instance_of(client, wanted, patience).await?);
    }
    match uids.as_slice() {
        [] => Ok(None),
        [uid] => look(client, *uid, patience).await.map(Some),
        several => Err(Error::SeveralDatabases {
            api: client.name().to_owned(),
            wanted: wanted.to_owned(),
            uids: several
                .iter()
                .map(u64::to_string)
                .collect::<Vec<_>>()
                .join(", "),
        }),
    }
}

/// Looks at one database.
pub(super) async fn look(
    client: &mut Client,
    uid: u64,
    patience: Patience,
) -> Result<Database, Error> {
    let object = client.get(&format!("/v1/bdbs/{uid}"), patience).await?;
    Database::read(&object).ok_or_else(|| Error::Strange {
        api: client.name().to_owned(),
        call: format!("GET /v1/bdbs/{uid}"),
        reason: "it has no uid".to_owned(),
    })
}

/// The uids of those that `wanted` names.
fn answering(known: &[Database], wanted: &str) -> Vec<u64> {
    let guid = plain_guid(wanted);
    known
        .iter()
        .filter(|database| {
            database.name == wanted
                || database.uid.to_string() == wanted
                || database.guid.as_ref() == Some(&guid)
        })
        .map(|database| database.uid)
        .collect()
}

/// The uid of this cluster's instance of an Active-Active database, where the database itself does not say what it is an
/// instance of. The uid comes as a text there.
async fn instance_of(
    client: &mut Client,
    wanted: &str,
    patience: Patience,
) -> Result<Option<u64>, Error> {
    let all = match client.get("/v1/crdbs", patience).await {
        Ok(all) => all,
        Err(Error::Absent { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let guid = plain_guid(wanted);
    let of_that_name = all.as_array().into_iter().flatten().find(|database| {
        text(database, "guid").is_some_and(|known| plain_guid(&known) == guid)
            || text(database, "name").as_deref() == Some(wanted)
    });
    Ok(of_that_name.and_then(|database| {
        let local = list(database, "local_databases")?.first()?;
        number(local, "bdb_uid")
    }))
}

/// The guid as the API writes it: the command line of the product puts a word before it.
fn plain_guid(guid: &str) -> String {
    guid.trim_start_matches("crdb:").to_ascii_lowercase()
}

/// Names before addresses: they are what certificates carry. The port beside them is the database's own; the one at the
/// top of the object is 0 where the cluster chose it.
fn endpoints(object: &Value) -> Vec<(String, u16)> {
    let all = list(object, "endpoints").unwrap_or_default();
    let port = |endpoint: &Value| number(endpoint, "port").and_then(|port| port.try_into().ok());
    let names = all
        .iter()
        .filter_map(|endpoint| Some((text(endpoint, "dns_name")?, port(endpoint)?)));
    let addresses = all.iter().flat_map(|endpoint| {
        let addresses = list(endpoint, "addr").unwrap_or_default();
        addresses
            .iter()
            .filter_map(move |address| Some((address.as_str()?.to_owned(), port(endpoint)?)))
    });
    names
        .chain(addresses)
        .filter(|(_, port)| *port > 0)
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn known() -> Vec<Database> {
        [
            json!({"uid": 1, "name": "orders", "crdt_guid": "552BBCCB-0001"}),
            json!({"uid": "2", "name": "carts", "crdt_guid": ""}),
            json!({"uid": 3, "name": "2"}),
        ]
        .iter()
        .filter_map(Database::read)
        .collect()
    }

    #[test]
    fn a_database_is_found_by_name_uid_or_guid() {
        assert_eq!(answering(&known(), "orders"), [1]);
        assert_eq!(answering(&known(), "1"), [1]);
        assert_eq!(answering(&known(), "552bbccb-0001"), [1]);
        assert_eq!(answering(&known(), "crdb:552bbccb-0001"), [1]);
        assert_eq!(answering(&known(), "nothing"), [0_u64; 0]);
    }

    #[test]
    fn a_name_that_is_another_ones_uid_names_both() {
        assert_eq!(answering(&known(), "2"), [2, 3]);
    }

    #[test]
    fn what_is_absent_is_unknown_and_not_empty() {
        let database = Database::read(&json!({"uid": 1})).expect("a database");
        assert_eq!((database.replica_sync, database.status), (None, None));
        assert_eq!((database.sources, database.guid), (None, None));
        assert!(database.endpoints.is_empty());
        assert!(Database::read(&json!({"name": "no uid"})).is_none());
    }

    #[test]
    fn the_former_names_of_the_fields_are_understood() {
        let database = Database::read(&json!({
            "uid": 1, "sync": "enabled", "sync_sources": [{"uri": "redis://admin:pw@old:1", "status": "syncing"}]
        }))
        .expect("a database");
        assert_eq!(database.replica_sync.as_deref(), Some("enabled"));
        let sources = database.sources.expect("sources");
        assert_eq!(sources[0].place, "old:1");
        assert_eq!(sources[0].status.as_deref(), Some("syncing"));
    }

    #[test]
    fn the_port_is_that_of_the_endpoint() {
        let database = Database::read(&json!({
            "uid": 1, "port": 0,
            "endpoints": [
                {"addr": ["10.0.0.1"], "port": 14968, "dns_name": "redis-14968.cluster"},
                {"addr": ["10.0.0.2"], "port": 0}
            ]
        }))
        .expect("a database");
        assert_eq!(
            database.endpoints,
            [
                ("redis-14968.cluster".to_owned(), 14968),
                ("10.0.0.1".to_owned(), 14968)
            ]
        );
        assert!(database.is_at("REDIS-14968.cluster", 14968));
    }

    #[test]
    fn what_a_source_says_shows_no_password() {
        let source = SourceState::read(&json!({
            "uri": "redis://admin:hunter2@old:1", "lag": "12", "rdb_size": 0,
            "last_error": "cannot reach redis://admin:hunter2@old:1"
        }));
        assert!(!format!("{source:?}").contains("hunter2"), "{source:?}");
        assert_eq!((source.lag_ms, source.copy_total), (Some(12), None));
    }
}
