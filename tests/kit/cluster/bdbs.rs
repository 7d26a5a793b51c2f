//! `/v1/bdbs`: databases found, read, and told to replicate.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State as Extract};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::database::{Database, ReplicaSync};
use super::fault::Fields;
use super::refusal::{Answer, Refusal};
use super::replica_of;
use super::source_document::source_document;
use super::state::Shared;

/// Which fields are wanted; all without it.
#[derive(Debug, Default, Deserialize)]
pub struct Wanted {
    fields: Option<String>,
}

impl Wanted {
    fn pick(&self, mut document: Value) -> Value {
        if let (Some(fields), Value::Object(all)) = (&self.fields, &mut document) {
            all.retain(|name, _| fields.split(',').any(|field| field == name));
        }
        document
    }
}

pub async fn list(Extract(cluster): Extract<Arc<Shared>>, Query(wanted): Query<Wanted>) -> Answer {
    let state = cluster.state();
    let documents = state
        .databases
        .values()
        .map(|it| document(it, state.faults.fields));
    Ok(Json(documents.map(|it| wanted.pick(it)).collect()))
}

pub async fn read(
    Extract(cluster): Extract<Arc<Shared>>,
    Path(uid): Path<u32>,
    Query(wanted): Query<Wanted>,
) -> Answer {
    let mut state = cluster.state();
    let fields = state.faults.fields;
    let document = document(state.database(uid)?, fields);
    Ok(Json(wanted.pick(document)))
}

/// What cannot be changed here, or is not known, is refused: a client that misspells a field learns it.
pub async fn update(
    Extract(cluster): Extract<Arc<Shared>>,
    Path(uid): Path<u32>,
    Json(body): Json<Map<String, Value>>,
) -> Answer {
    replica_of::change(&cluster, uid, &body)?;
    let mut state = cluster.state();
    let fields = state.faults.fields;
    Ok(Json(document(state.database(uid)?, fields)))
}

/// `PUT /v1/bdbs/{uid}/flush`
pub async fn flush(Extract(cluster): Extract<Arc<Shared>>, Path(uid): Path<u32>) -> Answer {
    let target = replica_of::begin_flush(&cluster, uid)?;
    let mut state = cluster.state();
    let fields = state.faults.fields;
    let document = document(state.database(uid)?, fields);
    let takes = state.change_takes();
    drop(state);
    tokio::spawn(async move {
        tokio::time::sleep(takes).await;
        // A server that is gone holds nothing.
        let _ = target.flush().await;
        cluster.state().end_change(uid);
    });
    Ok(Json(document))
}

/// A database as the API shows it.
fn document(database: &Database, fields: Fields) -> Value {
    let Database {
        uid, plan, server, ..
    } = database;
    let status = replica_of::status(database);
    let sources: Vec<Value> = source_document(database, fields);
    let (guid, replica_id) = match &plan.membership {
        Some(membership) => (membership.guid.clone(), membership.replica_id),
        None => (String::new(), 0),
    };
    let sync = match (database.replica_of.wanted, replica_of::given_up(database)) {
        (ReplicaSync::Enabled, Some(_)) => "stopped",
        (ReplicaSync::Enabled, None) => "enabled",
        (ReplicaSync::Paused, _) => "paused",
        (ReplicaSync::Disabled, _) => "disabled",
    };
    let mut document = json!({
        "uid": uid,
        "name": plan.name,
        "type": "redis",
        "status": status,
        "crdt": plan.membership.is_some(),
        "crdt_guid": guid,
        "crdt_replica_id": replica_id,
        "crdt_sync": if plan.membership.is_some() { "enabled" } else { "disabled" },
        "crdt_sources": [],
        "replica_sync": sync,
        "replica_sources": sources,
        "sync": sync,
        "sync_sources": sources,
        // The port of a database whose port was given automatically; the true one is in `endpoints`.
        "port": 0,
        "endpoints": [{
            "uid": format!("{uid}:1"),
            "dns_name": "localhost",
            "port": server.addr().port(),
            "addr": ["127.0.0.1"],
            "addr_type": "internal",
            "proxy_policy": "single",
            "oss_cluster_api_preferred_ip_type": "internal",
        }],
        "authentication_admin_pass": database.internal_password,
        "memory_size": plan.memory_bytes,
        "eviction_policy": "noeviction",
        "sharding": false,
        "shards_count": 1,
        "shard_list": [uid],
        "oss_cluster": false,
        "tls_mode": "disabled",
        "replication": plan.membership.is_some(),
        "data_persistence": "disabled",
        "module_list": [],
        "max_client_pipeline": 200,
        "maxclients": 10_000,
        "version": "8.0.0",
        "redis_version": "7.0",
        "traffic_manually_disabled": false,
    });
    if let Some(change) = &database.change {
        document["action_uid"] = change.action.clone().into();
    }
    if fields == Fields::Few {
        document["uid"] = uid.to_string().into();
        document["memory_size"] = plan.memory_bytes.to_string().into();
        document["endpoints"][0]["port"] = server.addr().port().to_string().into();
    }
    document
}

/// For bodies that must be an object of known fields.
pub fn unknown_field(name: &str) -> Refusal {
    Refusal::malformed(format!("unknown or read-only field {name}"))
}
