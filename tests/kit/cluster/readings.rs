//! What is only read: migrations, shards, actions, the health of an Active-Active database, counters.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State as Extract};
use serde_json::{Map, Value, json};

use super::fault::{Numbers, Peers};
use super::refusal::{Answer, Refusal};
use super::source_document::migration_document;
use super::state::{Action, Crdb, Shared};
use crate::kit::{RedisServer, Reply};

/// What `extra_info_keys` may name, as far as it is documented.
const EXTRA_INFO: &[&str] = &[
    "master_repl_offset",
    "slave_repl_offset",
    "master_last_io_seconds_ago",
    "connected_clients",
    "blocked_clients",
    "redis_version",
];

/// `GET /v1/migrations/{uid}`
pub async fn migration(Extract(cluster): Extract<Arc<Shared>>, Path(uid): Path<u32>) -> Answer {
    let mut state = cluster.state();
    if matches!(state.faults.numbers, Numbers::Absent) {
        return Err(Refusal::not_found("this path"));
    }
    let syncer = state.database(uid)?.replica_of.syncer.as_ref();
    let progress = syncer.map(|syncer| Arc::clone(&syncer.progress));
    let progress = progress.ok_or_else(|| Refusal::not_found("a migration into this bdb"))?;
    Ok(Json(migration_document(
        &progress,
        &mut state.faults.numbers,
    )))
}

/// `GET /v1/nodes`
pub async fn nodes() -> Answer {
    let node = |uid: u32| json!({ "uid": uid, "status": "active", "software_version": "8.0.6-54" });
    Ok(Json(json!([node(1), node(2)])))
}

/// `GET /v1/bdbs/{uid}/shards`; `extra_info_keys` may come several times.
pub async fn shards(
    Extract(cluster): Extract<Arc<Shared>>,
    Path(uid): Path<u32>,
    RawQuery(query): RawQuery,
) -> Answer {
    let server = Arc::clone(&cluster.state().database(uid)?.server);
    let info = info_of(server).await;
    let query = query.unwrap_or_default();
    let wanted = query
        .split('&')
        .filter_map(|pair| pair.strip_prefix("extra_info_keys="));
    let mut redis_info = Map::new();
    for key in wanted.filter(|key| EXTRA_INFO.contains(key)) {
        if let Some(value) = line_of(&info, key) {
            let number = value.parse::<u64>().map(Value::from);
            redis_info.insert(key.to_owned(), number.unwrap_or_else(|_| value.into()));
        }
    }
    Ok(Json(json!([{
        "uid": uid.to_string(),
        "bdb_uid": uid.to_string(),
        "role": "master",
        "status": "active",
        "assigned_slots": "0-16383",
        "redis_info": redis_info,
    }])))
}

/// `GET /v1/bdbs/stats/last/{uid}`
pub async fn last_stats(Extract(cluster): Extract<Arc<Shared>>, Path(uid): Path<u32>) -> Answer {
    let server = Arc::clone(&cluster.state().database(uid)?.server);
    let info = info_of(server).await;
    let keys = line_of(&info, "db0").and_then(|line| {
        let count = line.strip_prefix("keys=")?.split(',').next()?;
        count.parse::<u64>().ok()
    });
    let number = |key: &str| line_of(&info, key).and_then(|value| value.parse::<f64>().ok());
    Ok(Json(json!({ uid.to_string(): {
        "no_of_keys": keys.unwrap_or(0),
        "used_memory": number("used_memory"),
        "conns": number("connected_clients"),
        "instantaneous_ops_per_sec": number("instantaneous_ops_per_sec"),
    }})))
}

/// `GET /v1/actions/{action_uid}`
pub async fn action(Extract(cluster): Extract<Arc<Shared>>, Path(id): Path<String>) -> Answer {
    let state = cluster.state();
    let known = state.actions.get(&id);
    let action = known.ok_or_else(|| Refusal::not_found(format_args!("action {id}")))?;
    Ok(Json(action_document(&id, action)))
}

/// `GET /v1/actions/bdb/{uid}`
pub async fn actions_of(Extract(cluster): Extract<Arc<Shared>>, Path(uid): Path<u32>) -> Answer {
    let state = cluster.state();
    let of_it = state.actions.iter().filter(|(_, action)| action.uid == uid);
    Ok(Json(
        of_it
            .map(|(id, action)| action_document(id, action))
            .collect(),
    ))
}

/// Progress and time are strings, although the documents call them numbers.
fn action_document(id: &str, action: &Action) -> Value {
    json!({
        "action_uid": id,
        "name": "SMUpdateBDB",
        "object_name": format!("bdb:{}", action.uid),
        "status": action.status,
        "progress": if action.status == "completed" { "100" } else { "50" },
        "creation_time": "1795829400",
    })
}

/// `GET /v4/db/{uid}/health`
pub async fn health(Extract(cluster): Extract<Arc<Shared>>, Path(uid): Path<u32>) -> Answer {
    let mut state = cluster.state();
    let membership = state.database(uid)?.plan.membership.clone();
    let Some(membership) = membership else {
        return Ok(Json(json!({ "available": true })));
    };
    let crdb = state.crdb(&membership.guid)?;
    let others = crdb
        .instances
        .iter()
        .enumerate()
        .filter(|(_, (name, _))| *name != cluster.name);
    let word = link_word(state.faults.peers);
    let links: Vec<Value> = others
        .map(|(index, (name, _))| json!({ "fqdn": name, "replica_id": index + 1, "replication": word }))
        .collect();
    Ok(Json(json!({
        "available": true,
        "active_active": { "available": true, "participating_clusters": links },
    })))
}

/// `GET /v1/crdbs/{guid}/health_report`
pub async fn health_report(
    Extract(cluster): Extract<Arc<Shared>>,
    Path(guid): Path<String>,
) -> Answer {
    let state = cluster.state();
    let crdb = state.crdb(&guid)?;
    let own = own_uid(crdb, &cluster.name);
    let others = crdb
        .instances
        .iter()
        .enumerate()
        .filter(|(_, (name, _))| *name != cluster.name);
    let word = link_word(state.faults.peers);
    let connections: Vec<Value> = others
        .map(|(index, (name, _))| {
            let id = format!("{own}:{}", index + 1);
            json!({ "name": name, "replication_links": [{ "link_uid": id, "status": word }] })
        })
        .collect();
    Ok(Json(json!([{
        "cluster_name": cluster.name,
        "configurations": [{ "version": 1, "status": "commit-completed" }],
        "connections": connections,
    }])))
}

pub fn own_uid(crdb: &Crdb, cluster: &str) -> u32 {
    let own = crdb.instances.iter().find(|(name, _)| name == cluster);
    own.map_or(0, |(_, uid)| *uid)
}

fn link_word(peers: Peers) -> &'static str {
    match peers {
        Peers::Up => "up",
        Peers::Down => "down",
    }
}

async fn info_of(server: Arc<RedisServer>) -> String {
    let asked = tokio::task::spawn_blocking(move || match server.client().call(&["INFO"]) {
        Reply::Bulk(bytes) => String::from_utf8(bytes).unwrap(),
        other => panic!("INFO gave {other:?}"),
    });
    asked.await.unwrap()
}

fn line_of<'a>(info: &'a str, key: &str) -> Option<&'a str> {
    let of_key = |line: &'a str| line.strip_prefix(key)?.strip_prefix(':');
    info.lines().find_map(of_key)
}
