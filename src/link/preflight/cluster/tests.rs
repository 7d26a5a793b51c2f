//! Each rule on a cluster that tells what it should, and on one that does not.

use serde_json::json;

use super::super::{Facts, Level};
use super::*;
use crate::link::enterprise::{Error, told_of};
use crate::link::info::Info;
use crate::upstream::control::Value;

/// A target, a source that uses 1000 bytes, and what the cluster tells of them.
struct World {
    copied: Facts,
    told: Findings,
}

impl World {
    fn new(change: &serde_json::Value) -> World {
        let mut target = json!({
            "uid": 7, "name": "new", "crdt_guid": "g", "status": "active", "replica_sync": "disabled",
            "replica_sources": [], "memory_size": 2000, "eviction_policy": "noeviction", "maxclients": 10000,
        });
        let object = target.as_object_mut().expect("an object");
        object.extend(change.as_object().expect("an object").clone());
        World {
            copied: facts("used_memory:1000 maxmemory_policy:noeviction"),
            told: told_of(&target),
        }
    }

    #[track_caller]
    fn finds(&self, check: &str, level: Level, words: &str) {
        let filled = Facts::default();
        let pair = Pair {
            copied: &self.copied,
            filled: &filled,
            sessions: 100,
        };
        let case = Case {
            pair: &pair,
            told: &self.told,
        };
        let rule = RULES.iter().find(|(name, _)| *name == check);
        let verdict = (rule.expect("a rule of that name").1)(&case);
        assert!(
            verdict.level == level && verdict.message.contains(words),
            "{check}: {verdict:?}"
        );
        assert_eq!(verdict.what_to_do.is_some(), level != Level::Ok);
    }
}

fn facts(text: &str) -> Facts {
    Facts {
        info: Info::from_reply(&Value::Bulk(text.replace(' ', "\r\n").into_bytes())),
        modules: Some(std::collections::HashSet::new()),
        ..Facts::default()
    }
}

#[test]
fn a_target_as_it_should_be_has_no_error() {
    let world = World::new(&json!({}));
    for check in [
        "target_database",
        "replica_of",
        "memory",
        "eviction",
        "maxclients",
        "modules",
        "databases",
        "sources",
        "source_kind",
    ] {
        world.finds(check, Level::Ok, "");
    }
    // Nobody knows whether the peers are up, or which version it is.
    world.finds("peers", Level::Warning, "other instances");
    world.finds("cluster_version", Level::Warning, "version");
}

#[test]
fn an_old_cluster_is_refused() {
    let mut world = World::new(&json!({}));
    world.told.version = Some([6, 2, 8]);
    world.finds("cluster_version", Level::Error, "6.2.8");
    world.told.version = Some([6, 2, 10]);
    world.finds("cluster_version", Level::Ok, "");
}

#[test]
fn what_is_not_told_of_the_target_is_no_all_clear() {
    let world = World::new(&json!({
        "status": null, "replica_sync": null, "memory_size": null, "eviction_policy": null
    }));
    world.finds("target_database", Level::Error, "not told");
    world.finds("replica_of", Level::Error, "does not tell");
    world.finds("memory", Level::Warning, "does not tell");
    world.finds("eviction", Level::Warning, "does not tell");
}

#[test]
fn only_our_own_sources_may_fill_it() {
    let filled_from = |place: &str| {
        World::new(&json!({
            "replica_sync": "enabled", "replica_sources": [{"uri": format!("redis://{place}")}]
        }))
    };
    let mut ours = filled_from("old:1");
    ours.told.sources = Ok(vec!["old:1".to_owned()]);
    ours.finds("replica_of", Level::Ok, "old:1");
    let mut another = filled_from("stranger:1");
    another.told.sources = Ok(vec!["old:1".to_owned()]);
    another.finds("replica_of", Level::Error, "stranger:1");
}

#[test]
fn an_active_active_target_needs_twice_the_memory_and_its_peers() {
    World::new(&json!({"memory_size": 1999})).finds("memory", Level::Error, "2000");
    World::new(&json!({"memory_size": 1999, "crdt_guid": ""})).finds("memory", Level::Ok, "");
    World::new(&json!({"memory_size": 0})).finds("memory", Level::Ok, "");
}

#[test]
fn other_databases_than_0_are_refused() {
    let mut world = World::new(&json!({}));
    world.copied = facts("db0:keys=5,expires=0 db3:keys=2,expires=0");
    world.finds("databases", Level::Error, "3 (2 keys)");
}

#[test]
fn types_that_it_does_not_have_are_named() {
    let mut world = World::new(&json!({"module_list": [{"module_name": "ReJSON"}]}));
    let with = |names: &[&str]| Some(names.iter().map(ToString::to_string).collect());
    world.copied.modules = with(&["rejson"]);
    world.finds("modules", Level::Ok, "");
    world.copied.modules = with(&["ReJSON", "search"]);
    world.finds("modules", Level::Warning, "search");
    world.copied.modules = with(&["bf", "ReJSON"]);
    world.finds("modules", Level::Warning, "bf");
    world.copied.modules = None;
    world.finds("modules", Level::Warning, "does not tell");
}

#[test]
fn a_source_must_be_known_for_what_it_is() {
    let mut world = World::new(&json!({}));
    world.copied = facts("rlec_version:7.22.0-95");
    world.finds("source_kind", Level::Error, "Redis Enterprise");
    world.told.is_the_source = true;
    world.finds("not_the_same_server", Level::Error, "itself");
    world.told.sources = Err(Error::NoSuchDatabase {
        api: "cluster:9443".to_owned(),
        wanted: "old".to_owned(),
    });
    world.finds("sources", Level::Error, "old");
    world.told.sources = Ok(vec!["a:1".to_owned(); SOURCES_MAX + 1]);
    world.finds("sources", Level::Error, "33");
}
