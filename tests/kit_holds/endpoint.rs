//! A database's endpoint refuses what Redis Enterprise refuses, and takes what it takes.

use crate::cluster::Cluster;
use crate::kit::{Client, LIMIT, Reply, eventually};

/// On no database.
const NEVER: &[&[&str]] = &[
    &["ROLE"],
    &["REPLICAOF", "NO", "ONE"],
    &["PSYNC", "?", "-1"],
    &["SELECT", "1"],
    &["SWAPDB", "0", "1"],
    &["CLIENT", "PAUSE", "1"],
    &["CLIENT", "UNPAUSE"],
    &["CONFIG", "GET", "maxmemory"],
    &["DEBUG", "SLEEP", "0"],
    &["SAVE"],
];
/// On a standard database only.
const STANDARD: &[&[&str]] = &[
    &["FLUSHALL"],
    &["FLUSHDB"],
    &["WAIT", "0", "1"],
    &["OBJECT", "ENCODING", "k"],
];
/// Everywhere.
const ALWAYS: &[&[&str]] = &[
    &["SET", "k", "v"],
    &["SELECT", "0"],
    &["INFO"],
    &["CLIENT", "LIST"],
    &["CLIENT", "ID"],
    &["EVAL", "return 1", "0"],
];

#[test]
fn a_database_refuses_what_redis_enterprise_refuses_and_takes_the_rest() {
    let cluster = Cluster::start("west.test");
    let standard = cluster.database("plain", None);
    let active_active = cluster.active_active("orders", None, &[]);
    let mut on_standard = Client::connect(standard.addr());
    let mut on_active_active = Client::connect(active_active.addr());
    for command in ALWAYS {
        for client in [&mut on_standard, &mut on_active_active] {
            let reply = client.call(command);
            assert!(!matches!(reply, Reply::Error(_)), "{command:?}: {reply:?}");
        }
    }
    for command in STANDARD {
        let reply = on_standard.call(command);
        assert!(!reply.is_error("NOPERM"), "{command:?}: {reply:?}");
        assert!(
            matches!(on_active_active.call(command), Reply::Error(_)),
            "{command:?}"
        );
    }
    for command in NEVER {
        for client in [&mut on_standard, &mut on_active_active] {
            assert!(
                matches!(client.call(command), Reply::Error(_)),
                "{command:?}"
            );
        }
    }
}

#[test]
fn a_database_asks_for_its_password_and_is_copied_with_the_internal_one() {
    let cluster = Cluster::start("west.test");
    let source = cluster.database("plain", Some("clients"));
    let target = cluster.active_active("orders", None, &[]);
    let mut application = Client::connect(source.addr());
    assert!(application.call(&["GET", "k"]).is_error("NOAUTH"));
    assert_eq!(application.call(&["AUTH", "clients"]), Reply::ok());
    application.call(&["SET", "k", "v"]);
    let (api, path) = (cluster.caller(), format!("/v1/bdbs/{}", target.uid));
    let body = serde_json::json!({
        "replica_sources": [{ "uri": source.source_uri(), "compression": 6 }],
        "replica_sync": "enabled",
    });
    assert_eq!(api.put(&path, &body).status, 200);
    let in_sync = |bdb: &serde_json::Value| bdb["replica_sources"][0]["status"] == "in-sync";
    api.wait(&path, "in-sync", in_sync);
    assert_eq!(target.manager().call(&["GET", "k"]), Reply::bulk("v"));
    application.call(&["SET", "streamed", "1"]);
    let shards = format!(
        "/v1/bdbs/{}/shards?extra_info_keys=master_repl_offset&extra_info_keys=master_replid",
        source.uid
    );
    let shard = api.get(&shards).json[0].clone();
    assert!(
        shard["redis_info"]["master_repl_offset"].as_u64() > Some(0),
        "{shard}"
    );
    assert!(
        shard["redis_info"].get("master_replid").is_none(),
        "it is not documented: {shard}"
    );
    let flush = format!("/v1/bdbs/{}/flush", source.uid);
    assert_eq!(api.put(&flush, &serde_json::json!({})).status, 200);
    let gone = || application.call(&["EXISTS", "k"]) == Reply::Integer(0);
    assert!(eventually(LIMIT, gone));
}
