//! A cluster with one database, and a source beside it.

use serde_json::{Value, json};

use crate::cluster::{Caller, Cluster, Instance};
use crate::kit::{LIMIT, RedisServer, Reply, eventually};

pub struct World {
    pub cluster: Cluster,
    pub api: Caller,
    pub target: Instance,
    pub source: RedisServer,
}

impl World {
    /// An Active-Active database and a source without a password; nothing replicates yet.
    pub fn new() -> World {
        let cluster = Cluster::start("west.test");
        let target = cluster.active_active("orders", None, &[]);
        World {
            api: cluster.caller(),
            cluster,
            target,
            source: RedisServer::start(),
        }
    }

    /// The same, in sync.
    pub fn in_sync() -> World {
        let world = World::new();
        world.enable(&[&format!("redis://{}", world.source.addr())]);
        world.wait_until_in_sync();
        world
    }

    pub fn path(&self) -> String {
        format!("/v1/bdbs/{}", self.target.uid)
    }

    pub fn migration(&self) -> Value {
        let path = format!("/v1/migrations/{}", self.target.uid);
        self.api.get(&path).json["migration"].clone()
    }

    pub fn enable(&self, sources: &[&str]) -> Value {
        let sources: Vec<Value> = sources.iter().map(|uri| json!({ "uri": uri })).collect();
        let body = json!({ "replica_sources": sources, "replica_sync": "enabled" });
        let answer = self.api.put(&self.path(), &body);
        assert_eq!(answer.status, 200, "{}", answer.json);
        answer.json
    }

    /// Ends Replica Of, and waits until it has ended.
    pub fn disable(&self) {
        let answer = self
            .api
            .put(&self.path(), &json!({ "replica_sync": "disabled" }));
        assert_eq!(answer.status, 200, "{}", answer.json);
        let action = format!(
            "/v1/actions/{}",
            answer.json["action_uid"].as_str().unwrap()
        );
        self.api.wait(&action, "the end of the change", |it| {
            it["status"] == "completed"
        });
    }

    pub fn wait_until_in_sync(&self) {
        self.api.wait(&self.path(), "all sources in sync", |bdb| {
            let sources = bdb["replica_sources"].as_array().unwrap();
            sources.iter().all(|source| source["status"] == "in-sync")
        });
    }

    /// Waits until the target gives this reply.
    pub fn wait_for_reply(&self, command: &[&str], expected: &Reply) {
        let mut client = self.target.manager();
        let mut last = Reply::Null;
        let came = eventually(LIMIT, || {
            last = client.call(command);
            last == *expected
        });
        assert!(came, "{command:?}: {last:?}, not {expected:?}");
    }
}
