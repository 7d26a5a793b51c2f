//! The names: each once, those of the interface, and the same as in the dashboards and the reference.

mod reference;

use std::collections::BTreeSet;
use std::time::Duration;

use super::labels::FindingSeverity;
use super::*;
use crate::terms::{ListenerId, Side};

/// The names that users' dashboards and alerts depend on.
const INTERFACE: [&str; 25] = [
    "handover_requests_total",
    "handover_refused_writes_total",
    "handover_held_requests",
    "handover_sessions",
    "handover_private_connections",
    "handover_overhead_seconds",
    "handover_upstream_seconds",
    "handover_bytes_total",
    "handover_upstream_errors_total",
    "handover_client_errors_total",
    "handover_link_lag_bytes",
    "handover_link_lag_seconds",
    "handover_link_copied_bytes",
    "handover_link_copy_bytes",
    "handover_link_phase",
    "handover_link_resyncs_total",
    "handover_alarm",
    "handover_active_side",
    "handover_phase",
    "handover_cutover_total",
    "handover_write_pause_seconds",
    "handover_read_pause_seconds",
    "handover_max_pause_seconds",
    "handover_incompatible_commands_total",
    "handover_build_info",
];

/// Everything that is used by those who read the metrics.
const READERS: [(&str, &str); 4] = [
    (
        "handover-data-path.json",
        include_str!("../../dashboards/handover-data-path.json"),
    ),
    (
        "handover-migration.json",
        include_str!("../../dashboards/handover-migration.json"),
    ),
    ("alerts.yml", include_str!("../../dashboards/alerts.yml")),
    (
        "recording.yml",
        include_str!("../../dashboards/recording.yml"),
    ),
];

/// A scrape in which every metric has a value.
fn full_scrape() -> String {
    let registry = Registry::new(vec!["app".to_owned()], vec!["set".to_owned()], 1);
    registry.shard(0).refused(ListenerId(0), 0);
    for severity in FindingSeverity::ALL {
        registry.shard(0).incompatible(0, *severity);
    }
    registry.shard(0).overhead(Duration::from_micros(5), 1);
    for side in Side::BOTH {
        registry
            .shard(0)
            .upstream(side, Duration::from_micros(50), 1);
    }
    registry.control().state(ControlValues {
        active_side: Side::Source,
        phase: "in_sync",
        link_phase: "streaming",
        lag_bytes: Some(0),
        lag: Some(Duration::ZERO),
        copied_bytes: Some(0),
        copy_bytes: Some(0),
        resyncs: 0,
        alarms: [false; ALARMS.len()],
        write_pause: Some(Duration::ZERO),
        read_pause: Some(Duration::ZERO),
        max_pause: Some(Duration::from_secs(1)),
    });
    registry.render()
}

/// Names of the metrics in a scrape, in its order.
fn names(scrape: &str) -> Vec<&str> {
    scrape
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect()
}

/// Every word in a text that looks like one of our metrics.
fn mentioned(text: &str) -> BTreeSet<&str> {
    // What a rule records has colons in its name.
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))
        .filter(|word| word.starts_with("handover_") && !word.contains(':'))
        .map(|word| {
            word.strip_suffix("_sum")
                .or_else(|| word.strip_suffix("_count"))
                .unwrap_or(word)
        })
        .collect()
}

#[test]
fn no_name_and_no_sample_is_there_twice() {
    let scrape = full_scrape();
    let names = names(&scrape);
    assert_eq!(
        names.iter().collect::<BTreeSet<_>>().len(),
        names.len(),
        "{names:?}"
    );

    let samples = scrape
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.rsplit_once(' ').unwrap().0);
    let samples = samples.collect::<Vec<_>>();
    assert_eq!(
        samples.iter().collect::<BTreeSet<_>>().len(),
        samples.len(),
        "{scrape}"
    );
}

#[test]
fn the_names_are_those_of_the_interface() {
    let scrape = full_scrape();
    assert_eq!(
        names(&scrape).into_iter().collect::<BTreeSet<_>>(),
        INTERFACE.into_iter().collect()
    );
}

#[test]
fn the_dashboards_use_every_metric_and_no_other() {
    let scrape = full_scrape();
    let names = names(&scrape).into_iter().collect::<BTreeSet<_>>();
    let mut used = BTreeSet::new();
    for (file, text) in READERS {
        for name in mentioned(text) {
            assert!(
                names.contains(name),
                "{file} uses {name}, which does not exist"
            );
            used.insert(name);
        }
    }
    let unused = names.difference(&used).collect::<Vec<_>>();
    assert!(
        unused.is_empty(),
        "no dashboard and no alert uses {unused:?}"
    );
}

#[test]
fn the_dashboards_are_json() {
    for (file, text) in READERS
        .into_iter()
        .filter(|(file, _)| file.ends_with("json"))
    {
        let dashboard = serde_json::from_str::<serde_json::Value>(text)
            .unwrap_or_else(|error| panic!("{file}: {error}"));
        let panels = dashboard["panels"].as_array().unwrap();
        let ids = panels
            .iter()
            .map(|panel| panel["id"].as_u64().unwrap())
            .collect::<BTreeSet<_>>();
        assert_eq!(ids.len(), panels.len(), "{file}");
    }
}
