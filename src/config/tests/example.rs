//! `config/handover.toml` shows every key, each with its true default.

use std::collections::BTreeSet;

use super::*;
use crate::config::section::Reading;
use crate::config::{Effect, read};

const EXAMPLE: &str = include_str!("../../../config/handover.toml");

#[test]
fn the_example_is_accepted_as_it_stands() {
    accepted(EXAMPLE);
}

#[test]
fn the_example_is_accepted_with_every_key_and_shows_the_defaults() {
    let files = tempfile::tempdir().unwrap();
    let full = accepted(&full_example(files.path()));
    let changes = accepted(EXAMPLE).reloadable_difference(&full);
    let now: Vec<_> = changes
        .iter()
        .filter(|change| change.effect == Effect::Now)
        .collect();
    assert!(now.is_empty(), "shown, but not the default: {now:?}");
    let restart: Vec<_> = changes
        .into_iter()
        .map(|change| change.path)
        .filter(|path| path != "proxy.workers")
        .collect();
    // These have no defaults, and show examples.
    assert_eq!(
        restart,
        [
            "source",
            "target",
            "listener",
            "credentials",
            "link",
            "admin"
        ]
    );
}

#[test]
fn the_example_shows_every_key_that_is_read_and_no_other() {
    let files = tempfile::tempdir().unwrap();
    let everything: toml::Table = uncommented()
        .collect::<Vec<_>>()
        .join("\n")
        .parse()
        .unwrap();
    let mut shown = BTreeSet::new();
    collect_keys("", &toml::Value::Table(everything), &mut shown);
    let table: toml::Table = full_example(files.path()).parse().unwrap();
    let reading = Reading::new(&nothing_set);
    read(&mut reading.root(table)).expect("accepted, as the test above says");
    assert_eq!(shown, reading.into_parts().1);
}

/// Keys that say otherwise what another key of the example says, or belong to another driver.
const OTHER_CHOICES: [&str; 4] = [
    "detach_hook",
    "fingerprint",
    "source_password_file",
    "source_url",
];

/// Every commented key put in.
fn uncommented() -> impl Iterator<Item = &'static str> {
    EXAMPLE.lines().map(|line| {
        line.strip_prefix('#')
            .filter(|key| key.starts_with(|c: char| c.is_ascii_lowercase() || c == '['))
            .unwrap_or(line)
    })
}

/// All of it but what excludes the rest, and every value replaced that goes only with another choice.
fn full_example(files: &Path) -> String {
    for name in [
        "source-password",
        "target-password",
        "app-password",
        "app-new-password",
        "admin-token",
        "cluster-password",
        "old-cluster-password",
        "cluster-admin-password",
        "far-admin-password",
    ] {
        std::fs::write(files.join(name), "secret").unwrap();
    }
    std::fs::write(files.join("admin-read-token"), "another").unwrap();
    for (name, from) in [
        ("listener.pem", "server.pem"),
        ("listener.key", "server.key"),
        ("clients-ca.pem", "ca.pem"),
        ("admin.pem", "server.pem"),
        ("admin.key", "server.key"),
        ("operators-ca.pem", "ca.pem"),
        ("source-ca.pem", "ca.pem"),
        ("source-client.pem", "client.pem"),
        ("source-client.key", "client.key"),
        ("target-ca.pem", "ca.pem"),
        ("target-client.pem", "client.pem"),
        ("target-client.key", "client.key"),
        ("cluster-ca.pem", "ca.pem"),
        ("old-cluster-ca.pem", "ca.pem"),
        ("source-proxy.pem", "server.pem"),
        ("replication-client.pem", "client.pem"),
        ("replication-client.key", "client.key"),
    ] {
        std::fs::copy(certificate(from), files.join(name)).unwrap();
    }
    let chosen: Vec<_> = uncommented()
        .filter(|line| !OTHER_CHOICES.iter().any(|key| line.starts_with(key)))
        .collect();
    chosen
        .join("\n")
        .replace("/etc/handover", files.to_str().unwrap())
        // Users and groups that every system has.
        .replace("\":app\"", "\":0\"")
        .replace("root:operators", "0:0")
        // TLS keys go with TLS, a mode with a unix socket, a cluster with its driver.
        .replace("redis://127.0.0.1", "rediss://127.0.0.1")
        .replace("127.0.0.1:6380", "unix:/run/handover/app.sock")
        .replace("127.0.0.1:9600", "unix:/run/handover/admin.sock")
        .replace("driver = \"replicaof\"", "driver = \"enterprise\"")
}

fn collect_keys(path: &str, value: &toml::Value, keys: &mut BTreeSet<String>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                collect_keys(&path, value, keys);
            }
        }
        toml::Value::Array(tables)
            if !tables.is_empty() && tables.iter().all(toml::Value::is_table) =>
        {
            for (at, table) in tables.iter().enumerate() {
                collect_keys(&format!("{path}[{at}]"), table, keys);
            }
        }
        _ => {
            keys.insert(path.to_owned());
        }
    }
}
