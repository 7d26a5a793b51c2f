//! The API, as the documents describe it.

use serde_json::{Value, json};

use crate::cluster::{Caller, Deed, Fields, User, VIEWER};
use crate::kit::{LIMIT, eventually};
use crate::world::World;

/// What is refused, and with which status.
#[test]
fn what_the_documents_refuse_is_refused_with_their_status() {
    let world = World::new();
    let path = world.path();
    let nobody = Caller {
        user: None,
        ..world.api.clone()
    };
    let wrong = User {
        password: "wrong",
        ..VIEWER
    };
    let stranger = Caller {
        user: Some(wrong),
        ..world.api.clone()
    };
    let viewer = Caller {
        user: Some(VIEWER),
        ..world.api.clone()
    };
    assert_eq!(nobody.get(&path).status, 401);
    assert_eq!(stranger.get(&path).status, 401);
    assert_eq!(viewer.get(&path).status, 200);
    assert_eq!(
        viewer
            .put(&path, &json!({ "replica_sync": "disabled" }))
            .status,
        403
    );
    assert_eq!(world.api.get("/v1/bdbs/99").status, 404);
    assert_eq!(world.api.post("/v1/migrations", &json!({})).status, 404);
    let put = |body: Value| {
        let answer = world.api.put(&path, &body);
        assert!(answer.json["error_code"].is_string(), "{}", answer.json);
        answer.status
    };
    let enabled = |source: Value| json!({ "replica_sources": [source], "replica_sync": "enabled" });
    let uri = "redis://127.0.0.1:1";
    assert_eq!(put(json!({ "replica_synk": "enabled" })), 400);
    assert_eq!(put(json!({ "replica_sync": "stopped" })), 400);
    assert_eq!(put(json!({ "replica_sync": "enabled" })), 406, "no source");
    assert_eq!(put(enabled(json!({ "uri": "rediss://127.0.0.1:1" }))), 406);
    assert_eq!(put(enabled(json!({ "uri": uri, "compression": 7 }))), 400);
    assert_eq!(
        put(enabled(json!({ "uri": uri, "encryption": true }))),
        406,
        "no server_cert"
    );
    assert_eq!(
        put(json!({ "replica_sources": vec![json!({ "uri": uri }); 33] })),
        406
    );
    assert!(!world.target.replicates());
}

#[test]
fn a_change_is_pending_and_a_second_one_conflicts_until_it_is_done() {
    let world = World::new();
    world.cluster.change_takes(LIMIT);
    let bdb = world.enable(&["redis://127.0.0.1:1"]);
    assert_eq!(bdb["status"], "active-change-pending");
    assert_eq!(bdb["replica_sync"], "enabled");
    let action = format!("/v1/actions/{}", bdb["action_uid"].as_str().unwrap());
    assert_eq!(world.api.get(&action).json["status"], "active");
    let again = world
        .api
        .put(&world.path(), &json!({ "replica_sync": "disabled" }));
    assert_eq!(again.status, 409);
    assert!(
        !world.target.has_syncer(),
        "nothing is copied before the database is active"
    );
}

#[test]
fn a_node_that_is_not_the_master_names_the_master() {
    let world = World::new();
    let other = world.cluster.caller_at_the_other_node();
    let answer = other.get("/v1/bdbs?fields=uid");
    assert_eq!(answer.status, 307);
    assert_eq!(
        answer.location,
        Some(format!("{}/v1/bdbs?fields=uid", world.cluster.url()))
    );
}

#[test]
fn wrong_answers_come_as_often_as_they_are_told_to_and_what_they_hide_is_done_or_not() {
    let world = World::new();
    let off = json!({ "replica_sources": [{ "uri": "redis://127.0.0.1:1" }] });
    world
        .cluster
        .answer("PUT", "/v1/bdbs", Deed::Status(409), 1);
    world
        .cluster
        .answer("PUT", "/v1/bdbs", Deed::Status(503), 1);
    let statuses = [0; 3].map(|_| world.api.put(&world.path(), &off).status);
    assert_eq!(statuses, [409, 503, 200]);
    world
        .api
        .wait(&world.path(), "the source", |bdb| bdb["status"] == "active");

    let order = |deed| {
        world.cluster.answer("PUT", "/v1/bdbs", deed, 1);
        let before = world.cluster.requests().len();
        let (api, path) = (world.api.clone(), world.path());
        let caller = std::thread::spawn(move || {
            api.put(&path, &json!({ "replica_sync": "enabled" }));
        });
        assert!(eventually(LIMIT, || world.cluster.requests().len() > before));
        drop(caller); // It waits for an answer that never comes.
    };
    order(Deed::Silence);
    assert!(!world.target.replicates());
    order(Deed::DoneInSilence);
    assert!(eventually(LIMIT, || world.target.replicates()));
}

#[test]
fn a_document_may_hold_little_and_write_numbers_as_strings() {
    let world = World::in_sync();
    let source = |bdb: &Value| bdb["replica_sources"][0].as_object().unwrap().clone();
    let all = world.api.get(&world.path()).json;
    assert!(
        source(&all).contains_key("lag") && all["port"] == 0,
        "{all}"
    );
    world.cluster.faults(|faults| faults.fields = Fields::Few);
    let few = world.api.get(&world.path()).json;
    assert_eq!(
        source(&few).keys().collect::<Vec<_>>(),
        ["status", "uid", "uri"]
    );
    assert!(few["endpoints"][0]["port"].is_string());
    let picked = world.api.get("/v1/bdbs?fields=uid,name").json;
    assert_eq!(picked[0].as_object().unwrap().len(), 2);
}
