//! A real Prometheus that scrapes sidecars under test, with the rules of `dashboards/`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tempfile::TempDir;

use crate::kit::{Admin, LIMIT, Process, Sidecar, eventually, free_address};

/// Between two scrapes, and two evaluations of the rules: many in a test, few for a busy machine.
const EVERY: &str = "500ms";
/// Another process may take the free port first; so often a start is tried.
const START_ATTEMPTS: usize = 5;

/// A running Prometheus. Dropping it kills it and removes its data.
pub(crate) struct Prometheus {
    /// Its HTTP API.
    api: Admin,
    /// When it was started: before that there is nothing to ask for.
    since: SystemTime,
    _process: Process,
    _directory: TempDir,
}

/// One series of an answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Series {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

/// A rule as Prometheus runs it.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) query: String,
    /// Empty, or why it could not be evaluated.
    pub(crate) error: String,
}

/// Where the dashboards and the rules are.
pub(crate) fn dashboards() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards")
}

/// Runs promtool, which must be content; gives what it says.
pub(crate) fn promtool(arguments: &[&str]) -> String {
    let output = Command::new("promtool")
        .args(arguments)
        .current_dir(dashboards())
        .output()
        .unwrap_or_else(|error| panic!("cannot start promtool: {error}; run `dev/setup tests`"));
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "promtool {arguments:?}:\n{said}");
    said
}

impl Prometheus {
    /// Starts one that scrapes these, as instances of these names, and waits until it has.
    pub(crate) fn start(sidecars: &[(&str, &Sidecar)]) -> Prometheus {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("prometheus.yml");
        std::fs::write(&file, configuration(sidecars)).unwrap();
        for _ in 0..START_ATTEMPTS {
            let address = free_address();
            let child = Command::new("prometheus")
                .arg(format!("--config.file={}", file.display()))
                .arg(format!(
                    "--storage.tsdb.path={}",
                    directory.path().join("data").display()
                ))
                .arg(format!("--web.listen-address={address}"))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(std::fs::File::create(directory.path().join("log")).unwrap())
                .spawn()
                .unwrap_or_else(|error| {
                    panic!("cannot start prometheus: {error}; run `dev/setup tests`")
                });
            let mut process = Process::new(child);
            // Its API speaks HTTP as a sidecar's does.
            let api = Admin { address };
            let settled = eventually(LIMIT, || {
                api.is_well("/-/ready") || process.ended().is_some()
            });
            if settled && process.ended().is_none() {
                let prometheus = Prometheus {
                    api,
                    since: SystemTime::now(),
                    _process: process,
                    _directory: directory,
                };
                let all = sidecars.len();
                prometheus.waits_until("up == 1", |up| up.len() == all);
                return prometheus;
            }
        }
        let log = std::fs::read_to_string(directory.path().join("log")).unwrap_or_default();
        panic!("prometheus does not start:\n{log}")
    }

    /// What a query gives now.
    pub(crate) fn ask(&self, query: &str) -> Vec<Series> {
        let result = self.get(&format!("query?query={}", encoded(query)));
        result["result"]
            .as_array()
            .unwrap()
            .iter()
            .map(|series| Series {
                labels: serde_json::from_value(series["metric"].clone()).unwrap(),
                value: series["value"][1].as_str().unwrap().parse().unwrap(),
            })
            .collect()
    }

    /// The labels of every series that a query gave at any time since the start.
    pub(crate) fn ever(&self, query: &str) -> Vec<BTreeMap<String, String>> {
        let path = format!(
            "query_range?query={}&start={}&end={}&step=0.5",
            encoded(query),
            seconds(self.since),
            seconds(SystemTime::now()),
        );
        let result = self.get(&path);
        let series = result["result"].as_array().unwrap().iter();
        series
            .map(|series| serde_json::from_value(series["metric"].clone()).unwrap())
            .collect()
    }

    /// Waits until the answer to a query is as it must be; gives it.
    pub(crate) fn waits_until(
        &self,
        query: &str,
        mut is_right: impl FnMut(&[Series]) -> bool,
    ) -> Vec<Series> {
        let mut answer = Vec::new();
        let came = eventually(LIMIT, || {
            answer = self.ask(query);
            is_right(&answer)
        });
        assert!(came, "waited for {query} in vain: {answer:#?}");
        answer
    }

    /// Waits until a query gives this one value.
    pub(crate) fn waits_for(&self, query: &str, value: f64) {
        self.waits_until(
            query,
            |answer| matches!(answer, [one] if (one.value - value).abs() < 1e-6),
        );
    }

    /// Every rule, once it has been evaluated.
    pub(crate) fn rules(&self) -> Vec<Rule> {
        let mut rules = Vec::new();
        let evaluated = eventually(LIMIT, || {
            let groups = self.get("rules");
            let all = groups["groups"].as_array().unwrap().iter();
            let all = all.flat_map(|group| group["rules"].as_array().unwrap());
            let text = |rule: &Value, key: &str| rule[key].as_str().unwrap_or_default().to_owned();
            let mut are_known = true;
            rules = all
                .map(|rule| {
                    are_known &= rule["health"] != "unknown";
                    Rule {
                        name: text(rule, "name"),
                        query: text(rule, "query"),
                        error: text(rule, "lastError"),
                    }
                })
                .collect();
            are_known
        });
        assert!(evaluated, "the rules are not evaluated: {rules:#?}");
        rules
    }

    fn get(&self, path: &str) -> Value {
        let answer = self.api.get(&format!("/api/v1/{path}"));
        assert_eq!(answer.json["status"], "success", "{path}: {}", answer.text);
        answer.json["data"].clone()
    }
}

fn configuration(sidecars: &[(&str, &Sidecar)]) -> String {
    let rules = dashboards();
    let mut text = format!(
        "global:\n  scrape_interval: {EVERY}\n  scrape_timeout: {EVERY}\n  evaluation_interval: {EVERY}\n\
         rule_files:\n  - {0}/alerts.yml\n  - {0}/recording.yml\n\
         scrape_configs:\n  - job_name: handover\n    static_configs:\n",
        rules.display()
    );
    for (instance, sidecar) in sidecars {
        let address = sidecar.admin().address;
        let _ = writeln!(
            text,
            "      - targets: [\"{address}\"]\n        labels: {{instance: {instance}}}"
        );
    }
    text
}

fn encoded(query: &str) -> impl std::fmt::Display + '_ {
    utf8_percent_encode(query, NON_ALPHANUMERIC)
}

fn seconds(at: SystemTime) -> f64 {
    let since = at.duration_since(UNIX_EPOCH);
    since.unwrap_or(Duration::ZERO).as_secs_f64()
}
