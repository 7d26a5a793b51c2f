//! Wrong files: each mistake with its place, its value and what would be right, and never a secret.

use super::*;

#[test]
fn a_file_with_five_mistakes_reports_five() {
    let mistakes = refused(
        r#"
        [proxy]
        workers = 0
        [[listener]]
        bind = "nowhere"
        reeds = "target"
        [source]
        url = "http://source:6379"
        [target]
        url = "redis://target:6379"
        [cutover]
        max_pause = "2h"
        "#,
    );
    let lines: Vec<_> = mistakes
        .0
        .iter()
        .map(|mistake| (mistake.path.as_str(), mistake.value.as_deref()))
        .collect();
    assert_eq!(
        lines,
        [
            ("proxy.workers", Some("0")),
            ("listener[0].bind", Some("\"nowhere\"")),
            ("listener[0].reeds", None),
            ("source.url", Some("\"http://source:6379\"")),
            ("cutover.max_pause", Some("\"2h\"")),
        ]
    );
    assert_eq!(mistakes.to_string().lines().count(), 5);
    let json = serde_json::to_value(&mistakes).unwrap();
    assert_eq!(json[0]["path"], "proxy.workers");
    assert_eq!(json[0]["value"], "0");
    assert_eq!(json[0]["wanted"], "must be a whole number from 1 to 64");
}

#[test]
fn an_empty_file_lacks_a_listener_and_both_sides() {
    let paths: Vec<_> = refused("")
        .0
        .into_iter()
        .map(|mistake| mistake.path)
        .collect();
    assert_eq!(paths, ["listener", "source.url", "target.url"]);
}

#[test]
fn what_is_not_toml_is_reported_with_its_line_and_without_its_text() {
    let mistakes = refused("[source]\nurl = \"redis://:hunter2@db\n");
    assert_eq!(mistakes.0[0].path, "line 2");
    assert!(!mistakes.to_string().contains("hunter2"), "{mistakes}");
}

#[test]
fn an_unknown_key_is_refused_with_its_nearest_neighbour() {
    check(
        &with("[[listener]]", "nmae = \"x\""),
        "listener[0].nmae",
        "did you mean name?",
    );
    check(
        &with("[cutover]", "maxpause = \"1s\""),
        "cutover.maxpause",
        "did you mean max_pause?",
    );
    check(
        &format!("{LEAST}[sauce]\nurl = \"x\"\n"),
        "sauce",
        "did you mean source?",
    );
    check(
        &format!("{LEAST}[target.tlss]\n"),
        "target.tlss",
        "did you mean tls?",
    );
    check(
        &with("[state]", "frobnicate = 1"),
        "state.frobnicate",
        "here are dir",
    );
}

#[test]
fn a_wrong_type_is_refused() {
    check(
        &with("[proxy]", "workers = \"many\""),
        "proxy.workers",
        "from 1 to 64",
    );
    check(
        &with("[proxy]", "workers = -1"),
        "proxy.workers",
        "from 1 to 64",
    );
    check(
        &with("[cutover]", "auto = 1"),
        "cutover.auto",
        "true or false",
    );
    check(
        &with("[cutover]", "max_lag = 5"),
        "cutover.max_lag",
        "such as 250ms or 10s",
    );
    check(
        &with("[[listener]]", "name = 7"),
        "listener[0].name",
        "printable",
    );
    check(
        &format!("admin = 1\n{LEAST}"),
        "admin",
        "must be a section: [admin]",
    );
    check(
        &format!("credentials = 1\n{LEAST}"),
        "credentials",
        "[[credentials]]",
    );
}

#[test]
fn a_value_out_of_its_range_is_refused_with_the_range() {
    check(
        &with("[cutover]", "max_pause = \"5ms\""),
        "cutover.max_pause",
        "from 10ms to 1m",
    );
    check(
        &with("[cutover]", "max_pause = \"61s\""),
        "cutover.max_pause",
        "from 10ms to 1m",
    );
    check(
        &with("[cutover]", "arm_timeout = \"0s\""),
        "cutover.arm_timeout",
        "from 1ms to 10m",
    );
    check(
        &with("[cutover]", "stable_for = \"25h\""),
        "cutover.stable_for",
        "from 0s to 24h",
    );
    check(
        &with("[proxy.limits]", "bulk_bytes = \"1B\""),
        "proxy.limits.bulk_bytes",
        "from 1KiB to 16GiB",
    );
    check(
        &with("[proxy.limits]", "bulk_bytes = \"1MB\""),
        "proxy.limits.bulk_bytes",
        "such as 64MiB",
    );
}

#[test]
fn a_word_that_is_no_choice_is_refused_with_the_choices() {
    check(
        &with("[[listener]]", "reads = \"source\""),
        "listener[0].reads",
        r#""active" or "target""#,
    );
    check(
        &with("[[listener]]", "writes = \"target\""),
        "listener[0].writes",
        r#""active" or "refuse""#,
    );
    check(
        &with("[[listener]]", "auth = \"none\""),
        "listener[0].auth",
        r#""client" or "proxy""#,
    );
    check(
        &with("[proxy]", "lanes = true"),
        "proxy.lanes",
        r#""auto" or "off""#,
    );
    check(
        &with("[source]", "kind = \"sentinel\""),
        "source.kind",
        r#""standalone""#,
    );
    check(
        &with("[link]", "driver = \"psync\""),
        "link.driver",
        r#""replicaof" or "enterprise" or "external""#,
    );
    check(
        &with("[log]", "format = \"xml\""),
        "log.format",
        r#""text" or "json""#,
    );
    check(&with("[log]", "level = \"loud\""), "log.level", r#""info""#);
    check(
        &with("[cutover]", "marker = \"never\""),
        "cutover.marker",
        r#""auto", true or false"#,
    );
}

#[test]
fn a_mode_is_octal() {
    let unix = LEAST.replace("127.0.0.1:6380", "unix:/run/h.sock");
    for wrong in ["\"0888\"", "\"01000\"", "\"0\"", "432"] {
        check(
            &unix.replace("[source]", &format!("mode = {wrong}\n[source]")),
            "listener[0].mode",
            "octal",
        );
    }
}

#[test]
fn a_variable_that_is_not_set_is_a_mistake_under_its_key() {
    check(
        &with("[source]", "name = \"${NAME}\""),
        "source.name",
        "the environment variable NAME must be set",
    );
    check(
        &with("[source]", "name = \"$NAME\""),
        "source.name",
        "written $$",
    );
    check(
        &with(
            "[link]",
            "driver = \"external\"\ndetach_hook = [\"${NAME}\"]",
        ),
        "link.detach_hook",
        "NAME",
    );
}

#[test]
fn no_mistake_ever_shows_a_secret() {
    let env = |name: &str| (name == "PASSWORD").then(|| "hunter2".to_owned());
    let url = |url: &str| LEAST.replace("redis://source:6379", url);
    let wrong = [
        url("redis://user:hunter2@source:port"),
        url("redis://user:hunter2@source/x"),
        url("http://user:hunter2@source"),
        url("user:hunter2@source"),
        url("redis://:hunter2"),
        url("redis://:${PASSWORD}@source:port"),
        url("redis://${PASSWORD}:x"),
        url("redis://:hunter2@target:6379"),
        with("[source]", "password = \"hunter2\""),
        with("[source]", "password_file = \"hunter2\""),
        with("[source]", "password_file = [\"hunter2\"]"),
        with("[source]", "password_file = \"${PASSWORD}\""),
        with("[admin]", "token = \"hunter2\""),
        with("[proxy]", "workers = \"${PASSWORD}\""),
        with("[proxy]", "lanes = [\"hunter2\"]"),
        format!("{LEAST}\npassword = hunter2\n"),
        format!("{LEAST}\n\"a\" \"hunter2\"\n"),
    ];
    for text in wrong {
        let Err(mistakes) = Settings::parse(&text, &env) else {
            panic!("accepted:\n{text}")
        };
        let all = format!(
            "{mistakes} {mistakes:?} {}",
            serde_json::to_string(&mistakes).unwrap()
        );
        assert!(!all.contains("hunter2"), "{all}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let mistakes = Settings::load(Path::new("/absent/handover.toml")).unwrap_err();
    assert!(
        mistakes
            .to_string()
            .starts_with("/absent/handover.toml: the file must be readable"),
        "{mistakes}"
    );
}
