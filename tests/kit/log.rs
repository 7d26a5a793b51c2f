//! The sidecar's log, and the rule that no warning goes unannounced.

use serde_json::Value;

/// One line of the JSON log.
#[derive(Debug)]
struct Line<'a> {
    level: String,
    text: &'a str,
}

/// Lines at WARN or ERROR, and lines that are no log lines at all (a panic, say), that contain none of the `expected`
/// texts (with `any_warning`: that are no warnings); and, as complaints, expected texts that no such line contains.
pub fn complaints(log: &str, expected: &[String], any_warning: bool) -> Vec<String> {
    let loud: Vec<Line> = log
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(parse)
        .filter(is_loud)
        .collect();
    let unannounced = loud
        .iter()
        .filter(|line| !(any_warning && line.level == "WARN"))
        .filter(|line| {
            !expected
                .iter()
                .any(|text| line.text.contains(text.as_str()))
        })
        .map(|line| format!("unexpected: {}", line.text));
    let absent = expected
        .iter()
        .filter(|text| !loud.iter().any(|line| line.text.contains(text.as_str())))
        .map(|text| format!("expected, and not logged: {text}"));
    unannounced.chain(absent).collect()
}

fn parse(text: &str) -> Line<'_> {
    let level = serde_json::from_str::<Value>(text)
        .ok()
        .and_then(|line| Some(line.get("level")?.as_str()?.to_owned()))
        .unwrap_or_else(|| "not a log line".to_owned());
    Line { level, text }
}

fn is_loud(line: &Line) -> bool {
    !matches!(line.level.as_str(), "TRACE" | "DEBUG" | "INFO")
}

#[test]
fn only_announced_warnings_pass_and_announced_ones_must_come() {
    let log = concat!(
        r#"{"level":"INFO","fields":{"message":"ready"}}"#,
        "\n",
        r#"{"level":"WARN","fields":{"message":"link broken"}}"#,
        "\n"
    );
    let expected = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        complaints(log, &expected(&["link broken"]), false),
        Vec::<String>::new()
    );
    assert_eq!(complaints(log, &[], false).len(), 1);
    assert_eq!(
        complaints(log, &expected(&["ready"]), false).len(),
        2,
        "ready is not a warning"
    );
    assert_eq!(
        complaints("thread 'main' panicked at src/x.rs", &[], true).len(),
        1
    );
    assert_eq!(complaints(log, &[], true), Vec::<String>::new());
    assert_eq!(complaints("", &[], false), Vec::<String>::new());
}
