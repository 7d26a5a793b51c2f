//! `[link.enterprise]`: the forms of a source, and what excludes or needs what.

use std::time::Duration;

use super::*;
use crate::link;
use crate::link::enterprise::{self, Sources};

/// The section with what it must have but trust in the API, and with `more`. Any file does for a password.
fn without_trust(more: &str) -> String {
    format!(
        "{LEAST}[link]\ndriver = \"enterprise\"\n[link.enterprise]\napi = \"https://cluster.example\"\n\
         username = \"me\"\npassword_file = {:?}\ndatabase = \"orders\"\n{more}\n",
        certificate("server.key")
    )
}

fn cluster(more: &str) -> String {
    without_trust(&format!("ca = {:?}\n{more}", certificate("ca.pem")))
}

fn settings(more: &str) -> enterprise::Settings {
    match accepted(&cluster(more)).link {
        link::Settings::Enterprise(settings) => *settings,
        other => panic!("{other:?}"),
    }
}

/// Host, port, and whether there are a user and a password.
fn servers(more: &str) -> Vec<(String, u16, bool, bool)> {
    match settings(more).sources {
        Sources::Servers(servers) => servers
            .into_iter()
            .map(|it| (it.host, it.port, it.user.is_some(), it.password.is_some()))
            .collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_source_is_the_configured_one_or_servers_or_a_database() {
    assert_eq!(settings("").sources, Sources::Configured);
    assert_eq!(
        servers(r#"source_url = "redis://:p%40ss@10.0.0.7""#),
        [("10.0.0.7".to_owned(), 6379, false, true)]
    );
    let password = certificate("server.key");
    assert_eq!(
        servers(&format!(
            "source_url = [\"redis://a:1\", \"redis://u:p@b:2\"]\nsource_password_file = {password:?}"
        )),
        [
            ("a".to_owned(), 1, false, true),
            ("b".to_owned(), 2, true, true)
        ]
    );
    let beside = Sources::Database {
        name: "old".to_owned(),
        cluster: None,
    };
    assert_eq!(settings("source_database = \"old\"").sources, beside);
}

#[test]
fn another_cluster_is_described_as_the_first() {
    let (password, ca) = (certificate("server.key"), certificate("ca.pem"));
    let other = format!(
        "source_database = \"old\"\n[link.enterprise.source_cluster]\napi = \"https://old.example:1\"\n\
         username = \"me\"\npassword_file = {password:?}\nca = {ca:?}"
    );
    assert_eq!(settings(&other).apis().count(), 2);
    check(
        &cluster(&other.replace("https://old", "http://old")),
        "link.enterprise.source_cluster.api",
        "https://",
    );
    check(
        &cluster(&other.replace("source_database = \"old\"", "")),
        "link.enterprise.source_cluster",
        "no effect",
    );
}

#[test]
fn a_source_url_has_neither_tls_nor_a_database_number() {
    for (url, words) in [
        ("\"rediss://a\"", "source_tls"),
        ("\"redis://a/1\"", "database number"),
        ("\"unix:///run/redis.sock\"", "unix socket"),
        ("\"a:1\"", "must begin with"),
        ("[]", "at most 32"),
        ("7", "such as redis://"),
        ("[\"redis://a\", \"redis://a:6379\"]", "twice"),
    ] {
        check(
            &cluster(&format!("source_url = {url}")),
            "link.enterprise.source_url",
            words,
        );
    }
    let mistakes = refused(&cluster("source_url = \"rediss://:hunter2@a\"")).to_string();
    assert!(!mistakes.contains("hunter2"), "{mistakes}");
}

#[test]
fn nothing_is_taken_unverified() {
    check(&without_trust(""), "link.enterprise.ca", "fingerprint");
    let digits = "ab".repeat(32);
    accepted(&without_trust(&format!("fingerprint = {digits:?}")));
    check(
        &cluster(&format!("fingerprint = {digits:?}")),
        "link.enterprise.fingerprint",
        "one of the two",
    );
    check(
        &cluster("").replace("https://cluster", "http://cluster"),
        "link.enterprise.api",
        "https://",
    );
}

#[test]
fn the_driver_and_its_section_go_together() {
    check(
        &with("[link]", "enterprise = { api = \"https://x\" }"),
        "link.enterprise",
        "no effect",
    );
    let paths: Vec<_> = refused(&with("[link]", "driver = \"enterprise\""))
        .0
        .into_iter()
        .map(|mistake| mistake.path)
        .collect();
    let keys = ["api", "username", "password_file", "ca", "database"];
    assert_eq!(paths, keys.map(|key| format!("link.enterprise.{key}")));
}

#[test]
fn what_says_nothing_is_refused() {
    let password = certificate("server.key");
    for (more, key, words) in [
        (
            "source_url = \"redis://a\"\nsource_database = \"old\"".to_owned(),
            "source_database",
            "one of the two",
        ),
        (
            format!("source_password_file = {password:?}"),
            "source_password_file",
            "no effect",
        ),
        ("compression = 7".to_owned(), "compression", "from 0 to 6"),
    ] {
        check(&cluster(&more), &format!("link.enterprise.{key}"), words);
    }
}

#[test]
fn the_pause_is_longer_where_a_cluster_ends_the_replication() {
    assert_eq!(
        accepted(&cluster("")).bounds.max_pause,
        Duration::from_secs(15)
    );
    let set = format!("{}[cutover]\nmax_pause = \"2s\"\n", cluster(""));
    assert_eq!(accepted(&set).bounds.max_pause, Duration::from_secs(2));
    assert_eq!(accepted(LEAST).bounds.max_pause, Duration::from_secs(1));
}

#[test]
fn a_database_that_is_made_has_a_name_and_two_clusters() {
    let password = certificate("server.key");
    let one = |name: &str| {
        format!(
            "[[link.enterprise.create.cluster]]\nname = {name:?}\napi = \"https://{name}\"\nusername = \"a\"\n\
             password_file = {password:?}\n"
        )
    };
    let create = "[link.enterprise.create]\nmemory = \"1GiB\"\n";
    let made = settings(&format!("{create}{}{}", one("a.example"), one("b.example")))
        .create
        .unwrap();
    assert_eq!((made.shards, made.clusters.len()), (1, 2));
    assert_eq!(made.clusters[1].url, "https://b.example:9443");
    check(
        &cluster(&format!("{create}{}", one("a.example"))),
        "link.enterprise.create.cluster",
        "two or more",
    );
    let by_uid = cluster(&format!("{create}{}{}", one("a"), one("b")))
        .replace("database = \"orders\"", "database = \"7\"");
    check(&by_uid, "link.enterprise.database", "must be a name");
}

#[test]
fn tls_of_the_replication_needs_the_sources_certificate() {
    let (server, client, key) = (
        certificate("server.pem"),
        certificate("client.pem"),
        certificate("client.key"),
    );
    let section = "[link.enterprise.source_tls]\n";
    let full = format!(
        "{section}server_cert = {server:?}\nclient_cert = {client:?}\nclient_key = {key:?}\nserver_name = \"old\""
    );
    let tls = settings(&full).source_tls.unwrap();
    assert!(tls.server_cert.contains("BEGIN CERTIFICATE") && tls.client.is_some());
    check(
        &cluster(section),
        "link.enterprise.source_tls.server_cert",
        "is missing",
    );
    check(
        &cluster(&format!("{section}server_cert = {key:?}")),
        "link.enterprise.source_tls.server_cert",
        "PEM",
    );
    check(
        &cluster(&format!(
            "{section}server_cert = {server:?}\nclient_key = {key:?}"
        )),
        "link.enterprise.source_tls.client_cert",
        "is missing",
    );
}
