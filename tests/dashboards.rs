//! The dashboards and the alerts against a real Prometheus that scrapes a sidecar through a whole migration: every query
//! of every panel and every rule gives what it should. The alerts one by one are shown by promtool, from samples in
//! `dashboards/tests`. `dev/setup tests` installs both.

#![allow(clippy::unwrap_used, clippy::panic)] // a panic in a test is its failing assertion

mod kit;

#[path = "dashboards/panels.rs"]
mod panels;
#[path = "dashboards/prometheus.rs"]
mod prometheus;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use kit::{Client, Hazard, Listener, RedisServer, Reply, Road, Sidecar, eventually};
use prometheus::{Prometheus, dashboards, promtool};
use serde_json::Value;

/// Lines of a file that begin with this, behind their dashes and blanks; what follows on them.
fn after<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines()
        .filter_map(move |line| line.trim_start_matches([' ', '-']).strip_prefix(word))
}

fn read(file: &str) -> String {
    std::fs::read_to_string(dashboards().join(file)).unwrap()
}

#[test]
fn promtool_finds_the_rules_right_and_every_alert_fires_where_it_should() {
    promtool(&["check", "rules", "alerts.yml", "recording.yml"]);
    promtool(&["test", "rules", "tests/alerts.yml", "tests/recording.yml"]);
    let (alerts, tests) = (read("alerts.yml"), read("tests/alerts.yml"));
    for alert in after(&alerts, "alert: ") {
        assert!(
            after(&tests, "labels: ").any(|sample| sample.contains(&format!("\"{alert}\""))),
            "no test in which {alert} fires"
        );
    }
    let (rules, tests) = (read("recording.yml"), read("tests/recording.yml"));
    for rule in after(&rules, "record: ") {
        let queried = after(&tests, "expr: ").any(|query| query == rule);
        assert!(queried, "no test asks for {rule}");
        let used = panels::queries()
            .iter()
            .any(|query| query.text.contains(rule));
        assert!(used, "no panel shows {rule}");
    }
}

#[test]
fn every_alert_has_a_chapter_in_the_runbook_and_every_chapter_an_alert() {
    let alerts = read("alerts.yml");
    let names: Vec<&str> = after(&alerts, "alert: ").collect();
    for key in ["summary: ", "description: ", "severity: "] {
        assert_eq!(after(&alerts, key).count(), names.len(), "{key}");
    }
    let anchors = names
        .iter()
        .map(|name| format!("RUNBOOK.md#{}", name.to_lowercase()));
    assert_eq!(
        after(&alerts, "runbook: ").collect::<Vec<_>>(),
        anchors.collect::<Vec<_>>()
    );
    let runbook = read("../RUNBOOK.md");
    let chapters: BTreeSet<&str> = runbook
        .lines()
        .filter_map(|line| line.strip_prefix("## Handover"))
        .collect();
    let alerts = names
        .iter()
        .map(|name| name.strip_prefix("Handover").unwrap());
    assert_eq!(chapters, alerts.collect());
}

/// An application that counts, until it is asked to end.
struct Application {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Application {
    fn start(sidecar: &Sidecar) -> Application {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, mut client) = (Arc::clone(&stop), Client::connect(sidecar.addr("app")));
        let thread = std::thread::spawn(move || {
            let mut count = 0;
            while !stopped.load(Ordering::Relaxed) {
                count += 1;
                assert_eq!(client.call(&["INCR", "count"]), Reply::Integer(count));
                client.call(&["GET", "count"]);
                // At a pace that leaves the machine to others.
                client.call(&["BLPOP", "nothing", "0.02"]);
            }
        });
        Application { stop, thread }
    }

    fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
    }
}

/// A sidecar beside something else that replicates, of which it knows times and no bytes.
struct Beside {
    _servers: [RedisServer; 2],
    sidecar: Sidecar,
}

impl Beside {
    fn start() -> Beside {
        let (source, target) = (RedisServer::start(), RedisServer::start());
        let sidecar = Sidecar::new()
            .source(&source)
            .target(&target)
            .set("link.driver", "external")
            .start();
        let (host, port) = (
            source.addr().ip().to_string(),
            source.addr().port().to_string(),
        );
        target.client().call(&["REPLICAOF", &host, &port]);
        Beside {
            _servers: [source, target],
            sidecar,
        }
    }
}

/// What the status says passed to a side.
fn passed(status: &Value, side: &str) -> f64 {
    let classes = status["traffic"][side].as_object().unwrap();
    classes.values().filter_map(Value::as_f64).sum()
}

/// Once nothing passes any more, Prometheus knows what the status knows.
fn agrees(prometheus: &Prometheus, status: &Value) {
    let number = |path: &str| status.pointer(path).and_then(Value::as_f64).unwrap();
    let text = |key: &str| status[key].as_str().unwrap();
    for (query, value) in [
        (
            r#"sum(handover_requests_total{side="source"})"#,
            passed(status, "source"),
        ),
        (
            r#"sum(handover_requests_total{side="target"})"#,
            passed(status, "target"),
        ),
        (
            "sum(handover_refused_writes_total)",
            number("/traffic/refused/0/count"),
        ),
        ("sum(handover_sessions)", number("/sessions/open")),
        (
            "handover_write_pause_seconds",
            number("/last_cutover/write_pause_ms") / 1e3,
        ),
        (
            "handover_read_pause_seconds",
            number("/last_cutover/read_pause_ms") / 1e3,
        ),
        (
            &format!(
                "handover_phase{{phase=\"{}\", instance=\"main\"}}",
                text("phase")
            ),
            1.0,
        ),
        (
            &format!(
                "handover_active_side{{side=\"{}\", instance=\"main\"}}",
                text("active_side")
            ),
            1.0,
        ),
    ] {
        prometheus.waits_for(query, value);
    }
}

#[test]
fn every_panel_and_every_rule_gives_what_it_should_through_a_whole_migration() {
    // A copy of two or three seconds, whose size the source says beforehand.
    let source = RedisServer::options()
        .arguments(&["--repl-diskless-sync", "no", "--rdbcompression", "no"])
        .start();
    source
        .client()
        .call(&["DEBUG", "POPULATE", "20000", "key", "400"]);
    let target = RedisServer::start();
    let road = Hazard::before(source.addr());
    road.turn(Road::Slow(Duration::from_millis(15)));
    let mut sidecar = Sidecar::new()
        .source(&source)
        .target(&target)
        .set("source.replication_address", road.addr().to_string())
        .set("cutover.reverse", false)
        .set("cutover.max_pause", "5s")
        .listener("app", Listener::new())
        .listener("near", Listener::new().reads("target").writes("refuse"))
        .expect_warning("old_source_written")
        .start();
    let beside = Beside::start();
    let prometheus = Prometheus::start(&[("main", &sidecar), ("beside", &beside.sidecar)]);
    let admin = sidecar.admin();
    let application = Application::start(&sidecar);

    beside.sidecar.admin().migrate();
    beside.sidecar.admin().wait_for_phase("in_sync");
    admin.migrate();
    prometheus.waits_until("deriv(handover_link_copied_bytes[3s]) > 0", |rate| {
        !rate.is_empty()
    });
    admin.wait_for("can_cut_over", |status| status["can_cut_over"] == true);
    prometheus.waits_until("handover_phase{phase=\"in_sync\"} == 1", |both| {
        both.len() == 2
    });
    road.heal();
    let mut near = Client::connect(sidecar.addr("near"));
    for _ in 0..3 {
        assert!(matches!(near.call(&["SET", "k", "v"]), Reply::Error(_)));
    }
    // The counter of a command begins with its first refusal; a rate needs one more scrape.
    prometheus.waits_for("sum(handover_refused_writes_total)", 3.0);
    near.call(&["SET", "k", "v"]);
    prometheus.waits_for("sum(handover_refused_writes_total)", 4.0);

    admin.must_cut_over();
    let mut stranger = source.client();
    let alert = "ALERTS{alertname=\"HandoverOldSourceWritten\", alertstate=\"firing\"}";
    let fires = eventually(kit::LIMIT, || {
        stranger.call(&["SET", "k", "v"]);
        !prometheus.ask(alert).is_empty()
    });
    assert!(fires, "{}", admin.status());
    application.end();
    agrees(&prometheus, &admin.status());
    admin.finalize();
    prometheus.waits_for(
        "handover_phase{instance=\"main\", phase=\"finalized\"}",
        1.0,
    );
    agrees(&prometheus, &admin.status());
    prometheus.waits_for(
        "handover_cutover_total{outcome=\"committed\", instance=\"main\"}",
        1.0,
    );
    prometheus.waits_for("handover_max_pause_seconds{instance=\"main\"}", 5.0);

    for query in panels::queries() {
        let series = prometheus.ever(&query.text);
        assert!(
            !series.is_empty(),
            "{}: nothing for {}",
            query.by,
            query.text
        );
    }
    for rule in prometheus.rules() {
        assert_eq!(rule.error, "", "{}: {}", rule.name, rule.query);
        if rule.name.contains(':') {
            assert!(
                !prometheus.ever(&rule.name).is_empty(),
                "{} is empty",
                rule.name
            );
        }
    }
    sidecar.kill();
    prometheus.waits_until("ALERTS{alertname=\"HandoverDown\"}", |alert| {
        matches!(alert, [one] if one.labels["alertstate"] == "pending" && one.labels["instance"] == "main")
    });
    let fired = prometheus.ever("ALERTS{alertstate=\"firing\"}");
    let fired: BTreeSet<&str> = fired
        .iter()
        .map(|alert| alert["alertname"].as_str())
        .collect();
    assert_eq!(
        fired,
        BTreeSet::from(["HandoverOldSourceWritten", "HandoverRefusedWrites"]),
        "what was provoked, and nothing else"
    );
}
