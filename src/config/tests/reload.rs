//! What a changed file changes, and when.

use super::*;
use crate::config::{Change, Effect, Look};

#[track_caller]
fn check(old: &str, new: &str, expected: &[(&str, Effect)]) {
    let changes = accepted(old).reloadable_difference(&accepted(new));
    let expected: Vec<_> = expected
        .iter()
        .map(|(path, effect)| Change {
            path: (*path).to_owned(),
            effect: *effect,
        })
        .collect();
    assert_eq!(changes, expected);
}

#[test]
fn the_same_file_changes_nothing() {
    check(LEAST, LEAST, &[]);
}

#[test]
fn limits_bounds_and_the_log_level_count_at_once() {
    check(
        LEAST,
        &with("[proxy.limits]", "sessions = 7"),
        &[("proxy.limits.sessions", Effect::Now)],
    );
    check(
        LEAST,
        &with("[cutover]", "max_pause = \"2s\"\nauto = true"),
        &[
            ("cutover.max_pause", Effect::Now),
            ("cutover.auto", Effect::Now),
        ],
    );
    check(
        LEAST,
        &with("[proxy]", "drain_timeout = \"3s\""),
        &[("proxy.drain_timeout", Effect::Now)],
    );
    check(
        LEAST,
        &with("[log]", "level = \"debug\""),
        &[("log.level", Effect::Now)],
    );
}

#[test]
fn everything_else_needs_a_restart() {
    let restart = |new: &str, path: &str| check(LEAST, new, &[(path, Effect::Restart)]);
    restart(&with("[proxy]", "lanes = \"off\""), "proxy.lanes");
    restart(
        &with("[proxy]", "connect_timeout = \"3s\""),
        "proxy.connect_timeout",
    );
    restart(&with("[log]", "format = \"json\""), "log.format");
    restart(
        &with("[log]", "audit_lines_per_second = 1"),
        "log.audit_lines_per_second",
    );
    restart(&with("[state]", "dir = \"/tmp\""), "state.dir");
    restart(&with("[admin]", "bind = \"127.0.0.1:1\""), "admin");
    restart(&with("[link]", "driver = \"external\""), "link");
    restart(&with("[[listener]]", "reads = \"target\""), "listener");
    restart(&with("[source]", "name = \"x\""), "source");
    restart(
        &LEAST.replace("redis://target", "redis://:changed@target"),
        "target",
    );
}

#[test]
fn certificates_are_read_again_and_a_broken_one_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let ca = directory.path().join("ca.pem");
    std::fs::copy(certificate("ca.pem"), &ca).unwrap();
    let text = LEAST.replace("redis://source", "rediss://source");
    let settings = accepted(&format!("{text}[source.tls]\nca = {ca:?}\n"));
    let mut certificates = settings.certificates();
    assert_eq!(certificates.look(Look::Anyway).reloaded, ["source.tls"]);
    std::fs::write(&ca, "broken").unwrap();
    let found = certificates.look(Look::Anyway);
    assert!(found.reloaded.is_empty(), "{found:?}");
    assert_eq!(found.broken[0].path, "source.tls.ca");
}
