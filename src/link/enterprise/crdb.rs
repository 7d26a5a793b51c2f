//! What is done to an Active-Active database as a whole: making it, emptying it, asking how its peers are. Each is a task
//! of the clusters that ends later.

use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::client::{Client, Patience};
use super::failure::Error;
use super::lenient::{flag, list, text, words};
use super::settings::Create;
use super::source_url::path_part;

/// How long a task may take: emptying, or making, a database in several regions. The cluster goes on with it afterwards.
const TASK_LIMIT: Duration = Duration::from_mins(5);

/// How long a busy cluster is asked again before a task.
const BUSY_LIMIT: Duration = Duration::from_secs(30);

/// Between two looks at a task.
const TASK_LOOK: Duration = Duration::from_millis(250);

/// The peers of an Active-Active database, as one of its clusters sees them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::link) struct Peers {
    /// Links that are up.
    pub(in crate::link) up: usize,
    /// Those that are not, with the cluster at the far end and what it says of them.
    pub(in crate::link) down: Vec<String>,
}

/// Empties the database on all its clusters.
pub(super) async fn flush(client: &mut Client, guid: &str, task_id: &str) -> Result<(), Error> {
    let path = format!("/v1/crdbs/{}/flush", path_part(guid));
    let task = client
        .begin(
            Method::PUT,
            &path,
            &json!({}),
            task_id,
            Patience::For(BUSY_LIMIT),
        )
        .await?;
    finish(client, &task, "the flush of the Active-Active database").await
}

/// Makes the database.
pub(super) async fn create(
    client: &mut Client,
    name: &str,
    create: &Create,
    task_id: &str,
) -> Result<(), Error> {
    let body = description(name, create);
    let task = client
        .begin(
            Method::POST,
            "/v1/crdbs",
            &body,
            task_id,
            Patience::For(BUSY_LIMIT),
        )
        .await?;
    finish(client, &task, "the creation of the Active-Active database").await
}

/// How the peers are; none where the cluster does not tell.
pub(super) async fn peers(client: &mut Client, guid: &str) -> Result<Option<Peers>, Error> {
    let path = format!("/v1/crdbs/{}/health_report", path_part(guid));
    match client.get(&path, Patience::None).await {
        Ok(report) => Ok(Peers::read(&report)),
        Err(Error::Absent { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Waits for the end of a task.
async fn finish(client: &mut Client, task: &Value, work: &'static str) -> Result<(), Error> {
    let api = client.name().to_owned();
    let id = text(task, "id").ok_or_else(|| Error::Strange {
        api: api.clone(),
        call: work.to_owned(),
        reason: "the task has no id".to_owned(),
    })?;
    let path = format!("/v1/crdb_tasks/{}", path_part(&id));
    let give_up_at = Instant::now() + TASK_LIMIT;
    loop {
        let task = client.get(&path, Patience::For(BUSY_LIMIT)).await?;
        let status = text(&task, "status");
        match status.as_deref() {
            Some("finished") => return Ok(()),
            Some("failed") => {
                return Err(Error::WorkFailed {
                    api,
                    work,
                    words: reasons(&task),
                });
            }
            _ if Instant::now() >= give_up_at => {
                return Err(Error::WorkUnfinished {
                    api,
                    work,
                    limit: TASK_LIMIT,
                    state: status.unwrap_or_else(|| "of unknown status".to_owned()),
                });
            }
            Some(_) | None => sleep(TASK_LOOK).await,
        }
    }
}

/// What each cluster said about a task that failed.
fn reasons(task: &Value) -> String {
    let said: Vec<_> = list(task, "errors")
        .unwrap_or_default()
        .iter()
        .map(|error| {
            let cluster = text(error, "cluster_name").unwrap_or_else(|| "a cluster".to_owned());
            let said = text(error, "description").or_else(|| text(error, "error_code"));
            format!(
                "{cluster}: {}",
                said.as_deref().unwrap_or("no reason given")
            )
        })
        .collect();
    match said.as_slice() {
        [] => "no reason is given".to_owned(),
        said => words(&said.join("; ")),
    }
}

/// The request that makes the database. Replication within each cluster is on, which an Active-Active database needs; it
/// keeps an append-only file, the one kind of persistence that it may have.
fn description(name: &str, create: &Create) -> Value {
    let instances: Vec<_> = create
        .clusters
        .iter()
        .map(|participant| {
            let mut instance = json!({
                "cluster": {
                    "name": participant.name,
                    "url": participant.url,
                    "credentials": {
                        "username": participant.username,
                        "password": String::from_utf8_lossy(participant.password.expose()),
                    },
                },
            });
            if let Some(port) = create.port {
                instance["db_config"] = json!({ "port": port });
            }
            instance
        })
        .collect();
    let mut defaults = json!({
        "name": name,
        "memory_size": create.memory_bytes,
        "sharding": create.shards > 1,
        "shards_count": create.shards,
        "replication": true,
        "data_persistence": "aof",
        "aof_policy": "appendfsync-every-sec",
        "eviction_policy": create.eviction,
    });
    if create.shards > 1 {
        // The two patterns that the product documents for its standard hashing.
        defaults["shard_key_regex"] =
            json!([{"regex": ".*\\{(?<tag>.*)\\}.*"}, {"regex": "(?<tag>.*)"}]);
    }
    json!({
        "name": name,
        "encryption": create.encryption,
        "default_db_config": defaults,
        "instances": instances,
    })
}

impl Peers {
    /// Reads the report of one cluster, or the reports of all; none where no link is in it.
    fn read(report: &Value) -> Option<Peers> {
        let reports = report
            .as_array()
            .map_or(std::slice::from_ref(report), Vec::as_slice);
        let mut peers = Peers::default();
        for connection in reports
            .iter()
            .flat_map(|report| list(report, "connections").unwrap_or_default())
        {
            let cluster = text(connection, "name")
                .or_else(|| text(connection, "cluster_name"))
                .unwrap_or_else(|| "a peer".to_owned());
            let links = list(connection, "replication_links").unwrap_or_default();
            for link in links {
                match text(link, "status").as_deref() {
                    Some("up") => peers.up += 1,
                    status => peers.down.push(format!(
                        "{cluster}: link {} is {}",
                        text(link, "link_uid").as_deref().unwrap_or("?"),
                        status.unwrap_or("of unknown status")
                    )),
                }
            }
            if links.is_empty() && flag(connection, "connected") == Some(false) {
                peers.down.push(format!("{cluster}: not connected"));
            }
        }
        (peers != Peers::default()).then_some(peers)
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::Participant;
    use super::*;
    use crate::terms::Secret;

    #[test]
    fn a_database_is_described_with_every_participating_cluster() {
        let participant = |name: &str| Participant {
            name: name.to_owned(),
            url: format!("https://{name}:9443"),
            username: "admin".to_owned(),
            password: Secret::new("pw"),
        };
        let create = Create {
            memory_bytes: 1 << 30,
            shards: 2,
            port: Some(12000),
            eviction: "noeviction".to_owned(),
            encryption: true,
            clusters: vec![participant("a.example"), participant("b.example")],
        };
        let body = description("orders", &create);
        assert_eq!(body["instances"].as_array().map(Vec::len), Some(2));
        assert_eq!(
            body["instances"][1]["cluster"]["credentials"]["password"],
            "pw"
        );
        assert_eq!(body["instances"][0]["db_config"]["port"], 12000);
        assert_eq!(body["default_db_config"]["sharding"], true);
        assert_eq!(body["default_db_config"]["data_persistence"], "aof");
    }

    #[test]
    fn a_failed_task_says_which_cluster_and_why() {
        let task = json!({"errors": [
            {"cluster_name": "a.example", "description": "no memory"}, {"error_code": "name_violation"}
        ]});
        assert_eq!(
            reasons(&task),
            "a.example: no memory; a cluster: name_violation"
        );
        assert_eq!(reasons(&json!({})), "no reason is given");
    }

    #[test]
    fn a_peer_is_up_only_where_it_is_said() {
        let report = json!([{"connections": [
            {"name": "b.example", "replication_links": [
                {"link_uid": "1:2", "status": "up"}, {"link_uid": "1:3", "status": "down"}, {"link_uid": "1:4"}]},
        ]}]);
        let peers = Peers::read(&report).expect("links");
        assert_eq!((peers.up, peers.down.len()), (1, 2));
        assert!(peers.down[0].contains("b.example"), "{peers:?}");
        assert_eq!(Peers::read(&json!([])), None);
    }
}
