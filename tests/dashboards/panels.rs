//! What the dashboards ask of Prometheus.

use serde_json::Value;

use crate::prometheus::dashboards;

/// A query, and who asks it.
#[derive(Debug)]
pub(crate) struct Query {
    /// The dashboard and the panel.
    pub(crate) by: String,
    /// With the dashboard's variables filled in: everything is selected, and a few scrapes are an interval.
    pub(crate) text: String,
}

/// The names of the dashboards' files.
pub(crate) fn files() -> Vec<String> {
    let entries = std::fs::read_dir(dashboards()).unwrap();
    let mut files: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.strip_suffix(".json").is_some())
        .collect();
    files.sort();
    files
}

/// Every query of every panel, and of every variable that is asked for.
pub(crate) fn queries() -> Vec<Query> {
    files().iter().flat_map(|file| queries_of(file)).collect()
}

fn queries_of(file: &str) -> Vec<Query> {
    let text = std::fs::read_to_string(dashboards().join(file)).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let list = |value: &Value| value.as_array().unwrap().clone();
    let mut queries = Vec::new();
    for panel in list(&dashboard["panels"]) {
        let title = panel["title"].as_str().unwrap();
        let described = panel["description"].as_str().unwrap_or_default();
        assert!(!described.is_empty(), "{file}: {title} has no description");
        for target in list(&panel["targets"]) {
            queries.push(Query {
                by: format!("{file}: {title}"),
                text: filled_in(target["expr"].as_str().unwrap()),
            });
        }
    }
    for variable in list(&dashboard["templating"]["list"]) {
        if variable["type"] == "query" {
            let query = variable["query"].as_str().unwrap();
            let inner = query.strip_prefix("label_values(").unwrap();
            queries.push(Query {
                by: format!("{file}: the variable {}", variable["name"]),
                text: inner.split_once(',').unwrap().0.to_owned(),
            });
        }
    }
    queries
}

fn filled_in(query: &str) -> String {
    let text = query
        .replace("$instance", ".*")
        .replace("$job", ".*")
        .replace("$__rate_interval", "3s");
    assert!(!text.contains('$'), "a variable nobody knows: {text}");
    text
}
