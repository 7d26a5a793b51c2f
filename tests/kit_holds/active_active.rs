//! Active-Active databases: made, found, emptied, looked after.

use serde_json::{Value, json};

use crate::cluster::{ADMINISTRATOR, Caller, Cluster, Peers};
use crate::kit::{LIMIT, Reply, eventually};

fn description(participants: &[(&Cluster, &str)]) -> Value {
    let instances: Vec<Value> = participants
        .iter()
        .map(|(cluster, password)| {
            json!({ "cluster": {
                "name": cluster.name(),
                "url": cluster.url(),
                "credentials": { "username": ADMINISTRATOR.name, "password": password },
            }})
        })
        .collect();
    json!({
        "name": "orders",
        "default_db_config": { "name": "orders", "memory_size": 100 << 20, "replication": true },
        "instances": instances,
    })
}

/// Orders it and waits for the end of the task.
fn create(api: &Caller, body: &Value) -> Value {
    let answer = api.post("/v1/crdbs", body);
    assert_eq!(
        (answer.status, &answer.json["status"]),
        (200, &json!("queued"))
    );
    ended(api, &answer.json)
}

fn ended(api: &Caller, task: &Value) -> Value {
    let path = format!("/v1/crdb_tasks/{}", task["id"].as_str().unwrap());
    api.wait(&path, "the end of the task", |task| {
        task["status"] == "finished" || task["status"] == "failed"
    })
}

#[test]
fn one_is_made_across_two_clusters_and_what_comes_to_the_first_comes_to_the_second() {
    let (west, east) = (Cluster::start("west.test"), Cluster::start("east.test"));
    west.meet(&east);
    let participants = [
        (&west, ADMINISTRATOR.password),
        (&east, ADMINISTRATOR.password),
    ];
    let task = create(&west.caller(), &description(&participants));
    let guid = task["crdb_guid"].as_str().unwrap();
    let (here, there) = (
        west.instance_of(guid).unwrap(),
        east.instance_of(guid).unwrap(),
    );
    let crdb = west.caller().get(&format!("/v1/crdbs/{guid}")).json;
    assert_eq!(
        crdb["local_databases"][0]["bdb_uid"],
        here.uid.to_string().as_str()
    );
    here.manager().call(&["SET", "k", "v"]);
    let has = |it: &crate::cluster::Instance| it.manager().call(&["GET", "k"]);
    assert!(eventually(LIMIT, || has(&there) == Reply::bulk("v")));
    let flush = west
        .caller()
        .put(&format!("/v1/crdbs/{guid}/flush"), &json!({}));
    assert_eq!(ended(&west.caller(), &flush.json)["status"], "finished");
    assert_eq!(has(&here), Reply::Null);
    assert!(eventually(LIMIT, || has(&there) == Reply::Null));
}

#[test]
fn a_participant_that_refuses_fails_the_task_with_its_name() {
    let (west, east) = (Cluster::start("west.test"), Cluster::start("east.test"));
    west.meet(&east);
    let task = create(
        &west.caller(),
        &description(&[(&west, ADMINISTRATOR.password), (&east, "wrong")]),
    );
    assert_eq!(task["status"], "failed");
    assert_eq!(task["errors"][0]["cluster_name"], "east.test");
    assert!(west.find("orders").is_none());
    let alone = description(&[(&west, ADMINISTRATOR.password)]);
    assert_eq!(west.caller().post("/v1/crdbs", &alone).status, 400);
}

#[test]
fn a_peer_that_is_down_is_told() {
    let (west, east) = (Cluster::start("west.test"), Cluster::start("east.test"));
    let orders = west.active_active("orders", None, &[&east]);
    let api = west.caller();
    let link = || {
        let report = api.get(&format!(
            "/v1/crdbs/{}/health_report",
            orders.guid.as_ref().unwrap()
        ));
        let health = api.get(&format!("/v4/db/{}/health", orders.uid));
        let peers = &health.json["active_active"]["participating_clusters"];
        (
            report.json[0]["connections"][0]["replication_links"][0]["status"].clone(),
            peers[0]["replication"].clone(),
        )
    };
    assert_eq!(link(), (json!("up"), json!("up")));
    west.faults(|faults| faults.peers = Peers::Down);
    assert_eq!(link(), (json!("down"), json!("down")));
}
