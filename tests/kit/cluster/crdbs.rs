//! `/v1/crdbs` and `/v1/crdb_tasks`: Active-Active databases found, made and emptied, each change in a task that ends
//! later.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State as Extract};
use axum::http::HeaderMap;
use serde_json::{Map, Value, json};

use super::access::ADMINISTRATOR;
use super::database::{Membership, Plan};
use super::readings::own_uid;
use super::refusal::{Answer, Refusal};
use super::state::{Crdb, Shared, State, Task};
use super::syncer::Target;

/// Fewest clusters of an Active-Active database that is made through the API.
const PARTICIPANTS_MIN: usize = 2;

/// `GET /v1/crdbs`
pub async fn list(Extract(cluster): Extract<Arc<Shared>>) -> Answer {
    let state = cluster.state();
    Ok(Json(
        state
            .crdbs
            .values()
            .map(|crdb| document(crdb, &cluster.name))
            .collect(),
    ))
}

/// `GET /v1/crdbs/{guid}`
pub async fn read(Extract(cluster): Extract<Arc<Shared>>, Path(guid): Path<String>) -> Answer {
    let state = cluster.state();
    Ok(Json(document(state.crdb(&guid)?, &cluster.name)))
}

/// `PUT /v1/crdbs/{guid}/flush`
pub async fn flush(
    Extract(cluster): Extract<Arc<Shared>>,
    Path(guid): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let mut state = cluster.state();
    state.crdb(&guid)?;
    let target = state.instance(&guid).map(|database| database.target());
    let target = target.ok_or_else(|| Refusal::not_found("an instance here"))?;
    let answer = begin_task(&mut state, &headers, Some(guid));
    let id = answer["id"].as_str().unwrap().to_owned();
    let takes = state.change_takes();
    drop(state);
    tokio::spawn(async move {
        tokio::time::sleep(takes).await;
        let flushed = target.flush().await;
        let errors = flushed
            .err()
            .map(|why| fault_of(&cluster.name, "flush_failed", &why.to_string()));
        end_task(&cluster, &id, None, errors.into_iter().collect());
    });
    Ok(Json(answer))
}

/// `POST /v1/crdbs`
pub async fn create(
    Extract(cluster): Extract<Arc<Shared>>,
    headers: HeaderMap,
    Json(body): Json<Map<String, Value>>,
) -> Answer {
    let name = body
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let defaults = body.get("default_db_config").cloned().unwrap_or_default();
    let memory_bytes = defaults["memory_size"].as_u64().unwrap_or(0);
    let participants = body
        .get("instances")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    check(&name, memory_bytes, &defaults, &participants)?;
    let mut state = cluster.state();
    if state
        .databases
        .values()
        .any(|database| database.plan.name == name)
    {
        return Err(Refusal::new(
            axum::http::StatusCode::CONFLICT,
            "name_exists",
            name,
        ));
    }
    let port = participants[0]["db_config"]["port"]
        .as_u64()
        .and_then(|port| u16::try_from(port).ok());
    let answer = begin_task(&mut state, &headers, None);
    let id = answer["id"].as_str().unwrap().to_owned();
    drop(state);
    tokio::task::spawn_blocking(move || match gather(&cluster, &participants) {
        Ok(clusters) => {
            let guid = make(
                &clusters,
                &Plan {
                    name,
                    memory_bytes,
                    port,
                    ..Plan::default()
                },
            );
            end_task(&cluster, &id, Some(guid), Vec::new());
        }
        Err(error) => end_task(&cluster, &id, None, vec![error]),
    });
    Ok(Json(answer))
}

/// `GET /v1/crdb_tasks/{id}`
pub async fn task(Extract(cluster): Extract<Arc<Shared>>, Path(id): Path<String>) -> Answer {
    let state = cluster.state();
    let known = state.tasks.get(&id);
    Ok(Json(task_document(known.ok_or_else(|| {
        Refusal::not_found(format_args!("task {id}"))
    })?)))
}

/// Makes the instances as planned: the first one's data is carried to the others by real replication. All are on one
/// machine, so that only the first has the planned port. Blocks; gives the guid.
pub fn make(clusters: &[Arc<Shared>], plan: &Plan) -> String {
    let guid = format!(
        "552bbccb-99f3-4142-bd17-{:012x}",
        clusters[0].state().next_number()
    );
    let mut leader: Option<Target> = None;
    let mut instances = Vec::new();
    for (index, cluster) in clusters.iter().enumerate() {
        let uid = cluster.create(Plan {
            port: plan.port.filter(|_| index == 0),
            membership: Some(Membership {
                guid: guid.clone(),
                replica_id: u32::try_from(index + 1).unwrap(),
            }),
            follows: leader.clone(),
            ..plan.clone()
        });
        let target = cluster.state().database(uid).unwrap().target();
        leader.get_or_insert(target);
        instances.push((cluster.name.clone(), uid));
    }
    for cluster in clusters {
        let crdb = Crdb {
            guid: guid.clone(),
            name: plan.name.clone(),
            memory_bytes: plan.memory_bytes,
            instances: instances.clone(),
        };
        cluster.state().crdbs.insert(guid.clone(), crdb);
    }
    guid
}

/// What the documents demand of a new database.
fn check(
    name: &str,
    memory_bytes: u64,
    defaults: &Value,
    participants: &[Value],
) -> Result<(), Refusal> {
    let is_name_character = |it: char| it.is_ascii_alphanumeric() || it == '-';
    if name.is_empty() || !name.chars().all(is_name_character) {
        return Err(Refusal::malformed("name: letters, digits and hyphens"));
    }
    if memory_bytes == 0 {
        return Err(Refusal::malformed("default_db_config has no memory_size"));
    }
    if defaults.get("replication") == Some(&Value::Bool(false)) {
        return Err(Refusal::invalid(
            "replication_violation: CRDT database must use replication",
        ));
    }
    if defaults["data_persistence"] == "snapshot" {
        return Err(Refusal::invalid(
            "an Active-Active database has no snapshot persistence",
        ));
    }
    if ["replica_sources", "replica_sync"]
        .iter()
        .any(|field| defaults.get(*field).is_some())
    {
        return Err(Refusal::malformed(
            "Replica Of is no part of a CRDB's configuration",
        ));
    }
    if participants.len() < PARTICIPANTS_MIN {
        return Err(Refusal::malformed(
            "an Active-Active database has two or more instances",
        ));
    }
    let has_url = |it: &Value| {
        it["cluster"]["url"]
            .as_str()
            .is_some_and(|url| url.starts_with("https://"))
    };
    if !participants.iter().all(has_url) {
        return Err(Refusal::malformed("an instance's cluster has no https url"));
    }
    Ok(())
}

/// The clusters that are to take part, this one first; or what is wrong with one of them.
fn gather(own: &Arc<Shared>, participants: &[Value]) -> Result<Vec<Arc<Shared>>, Value> {
    let mut clusters = vec![Arc::clone(own)];
    for participant in participants {
        let cluster = &participant["cluster"];
        let name = cluster["name"].as_str().unwrap_or_default();
        let credentials = &cluster["credentials"];
        let given = (
            credentials["username"].as_str(),
            credentials["password"].as_str(),
        );
        if given != (Some(ADMINISTRATOR.name), Some(ADMINISTRATOR.password)) {
            return Err(fault_of(
                name,
                "invalid_credentials",
                "the credentials were refused",
            ));
        }
        if name == own.name {
            continue;
        }
        let other = own.neighbour(name);
        clusters
            .push(other.ok_or_else(|| fault_of(name, "cluster_unreachable", "no such cluster"))?);
    }
    if clusters.len() < participants.len() {
        return Err(fault_of(
            &own.name,
            "duplicate_cluster",
            "the cluster is named twice",
        ));
    }
    Ok(clusters)
}

fn fault_of(cluster: &str, code: &str, text: &str) -> Value {
    json!({ "cluster_name": cluster, "error_code": code, "description": text })
}

/// The client may choose the task's id.
fn begin_task(state: &mut State, headers: &HeaderMap, guid: Option<String>) -> Value {
    let chosen = headers.get("x-task-id").and_then(|id| id.to_str().ok());
    let own = format!("11111111-0000-4000-8000-{:012x}", state.next_number());
    let task = Task {
        id: chosen.map_or(own, ToOwned::to_owned),
        guid,
        status: "started",
        errors: Vec::new(),
    };
    // What is answered is how it began.
    let answer = task_document(&Task {
        status: "queued",
        ..task.clone()
    });
    state.tasks.insert(task.id.clone(), task);
    answer
}

fn end_task(cluster: &Shared, id: &str, guid: Option<String>, errors: Vec<Value>) {
    let mut state = cluster.state();
    let task = state.tasks.get_mut(id).unwrap();
    task.status = if errors.is_empty() {
        "finished"
    } else {
        "failed"
    };
    task.errors = errors;
    task.guid = guid.or(task.guid.take());
}

fn task_document(task: &Task) -> Value {
    let mut document = json!({ "id": task.id, "status": task.status });
    if let Some(guid) = &task.guid {
        document["crdb_guid"] = guid.clone().into();
    }
    if !task.errors.is_empty() {
        document["errors"] = task.errors.clone().into();
    }
    document
}

/// As one of its clusters shows it: only that cluster's own instance has a number there.
fn document(crdb: &Crdb, cluster: &str) -> Value {
    let instances = crdb
        .instances
        .iter()
        .enumerate()
        .map(|(index, (name, uid))| {
            let uid = if name == cluster {
                uid.to_string()
            } else {
                String::new()
            };
            json!({
                "id": index + 1,
                "cluster": { "name": name, "url": format!("https://{name}:9443") },
                "compression": 3,
                "db_uid": uid,
                "db_config": {},
            })
        });
    let own = own_uid(crdb, cluster);
    let place = crdb
        .instances
        .iter()
        .position(|(name, _)| name == cluster)
        .unwrap_or(0);
    json!({
        "guid": crdb.guid,
        "name": crdb.name,
        "encryption": false,
        "causal_consistency": false,
        "default_db_config": { "name": crdb.name, "memory_size": crdb.memory_bytes, "replication": true },
        "local_databases": [{ "bdb_uid": own.to_string(), "id": place + 1 }],
        "instances": instances.collect::<Vec<_>>(),
    })
}
