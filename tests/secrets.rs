//! No secret is ever shown: a whole migration with faults and mistakes, at the most talkative log level, and then every
//! text that came of it is searched for every password and token, however it may be written.

#![allow(clippy::unwrap_used, clippy::panic)] // a panic in a test is its failing assertion

mod kit;

#[path = "secrets/heap.rs"]
mod heap;
#[path = "secrets/operator.rs"]
mod operator;

use std::path::Path;
use std::time::Duration;

use handover::config::Settings;
use heap::Heap;
use kit::{Client, LIMIT, Listener, RedisServer, Reply, Sidecar, eventually};
use operator::Operator;
use tempfile::TempDir;

/// Everything that is secret here. Each has something that must be escaped in a URL, in JSON or in RESP.
const SECRETS: [&str; 8] = [
    SOURCE,
    TARGET,
    APP,
    APP_NEW,
    GUESS,
    ACTING,
    READING,
    WRONG_TOKEN,
];
/// Of the source's default user; in its URL.
const SOURCE: &str = "Sou/rce%5e\"cret";
/// Of the target's default user; in a file.
const TARGET: &str = "Tar+get\\5ecret";
/// Of the application's user on the source.
const APP: &str = "App=5ecret&s";
/// Of the same on the target.
const APP_NEW: &str = "App'New5ecret";
/// What an application tries.
const GUESS: &str = "Gue;ss5ecret";
const ACTING: &str = "Acting~5ecret";
const READING: &str = "Reading.5ecret";
const WRONG_TOKEN: &str = "Wrong_5ecret";

#[test]
fn no_text_of_a_migration_with_faults_holds_a_secret() {
    let files = tempfile::tempdir().unwrap();
    let source = RedisServer::options()
        .password(SOURCE)
        .user(&format!("app on >{APP} ~* &* +@all"))
        .start();
    let target = RedisServer::options()
        .password(TARGET)
        .user(&format!("app on >{APP_NEW} ~* &* +@all"))
        .start();
    let sidecar = Sidecar::new()
        .listener("app", Listener::new())
        .listener("reader", Listener::new().reads("target").writes("refuse"))
        .set(
            "source.url",
            format!("redis://:Sou%2Frce%255e%22cret@{}", source.addr()),
        )
        .set("source.name", "source")
        .set("target.url", format!("redis://{}", target.addr()))
        .set("target.name", "target")
        .set("target.password_file", file(&files, "target", TARGET))
        .set("admin.token_file", file(&files, "acting", ACTING))
        .set("admin.read_token_file", file(&files, "reading", READING))
        .set("credentials", credentials(&files))
        .set("cutover.max_pause", "500ms")
        .set("log.level", "trace")
        .any_warning()
        .start();
    let operator = Operator::new(sidecar.admin().address, ACTING);
    let mut heap = Heap::default();

    let mut app = Client::connect(sidecar.addr("app"));
    assert_eq!(app.call(&["AUTH", "app", APP]), Reply::ok());
    assert_eq!(app.call(&["SET", "k", "v"]), Reply::ok());
    for hostile in [
        &["AUTH", "app", GUESS][..],
        &["AUTH", GUESS],
        &["HELLO", "3", "AUTH", "app", GUESS],
        &["AUTH", "app", GUESS, "too", "many"],
        &["AUHT", "app", GUESS],
    ] {
        let mut client = Client::connect(sidecar.addr("app"));
        let reply = client.call(hostile);
        // Redis itself quotes the arguments of a command that it does not know.
        if hostile[0] != "AUHT" {
            heap.add("a client's reply", &format!("{reply:?}"));
        }
    }
    let mut refused = Client::connect(sidecar.addr("reader"));
    refused.call(&["AUTH", "app", APP]);
    heap.add(
        "a refusal",
        &format!(
            "{:?}",
            refused.call(&["ACL", "SETUSER", "app", &format!(">{GUESS}")])
        ),
    );

    for token in [None, Some(WRONG_TOKEN), Some(READING)] {
        heap.add(
            "a refused order",
            &operator.with(token).post("/v1/cutover", "{}"),
        );
    }
    heap.add("preflight", &operator.get("/v1/preflight"));
    heap.add("migrate", &operator.post("/v1/migrate", "{}"));
    assert!(eventually(LIMIT, || operator
        .status()
        .contains("\"can_cut_over\":true")));

    target.stop();
    heap.add("a cutover that fails", &operator.post("/v1/cutover", "{}"));
    heap.add(
        "preflight of a frozen target",
        &operator.get("/v1/preflight"),
    );
    target.cont();
    assert!(eventually(LIMIT, || operator
        .status()
        .contains("\"can_cut_over\":true")));
    let cutover = operator.post("/v1/cutover", "{}");
    assert!(cutover.contains("committed"), "{cutover}");
    heap.add("cutover", &cutover);
    assert_eq!(app.call(&["GET", "k"]), Reply::bulk("v"));
    let mut late = Client::connect(sidecar.addr("app"));
    assert_eq!(late.call(&["AUTH", "app", APP]), Reply::ok());
    heap.add(
        "a late guess",
        &format!("{:?}", late.call(&["AUTH", "app", GUESS])),
    );
    heap.add("rollback", &operator.post("/v1/rollback", "{}"));

    for path in [
        "/",
        "/metrics",
        "/v1/status",
        "/v1/history",
        "/v1/report",
        "/v1/verify",
    ] {
        heap.add(path, &operator.get(path));
    }
    let configuration = std::fs::read_to_string(sidecar.configuration()).unwrap();
    let settings = Settings::parse(&configuration, &|_| None).unwrap();
    heap.add("debug output", &format!("{settings:?} {settings:#?}"));
    heap.add("a panic", &panic_text(settings));
    heap.add("the log", &sidecar.log());
    assert!(
        sidecar.log().contains("\"DEBUG\""),
        "as talkative as it can be"
    );
    heap.must_be_free_of(&SECRETS);
}

#[test]
fn mistakes_of_a_configuration_are_told_without_what_is_secret_in_it() {
    let files = tempfile::tempdir().unwrap();
    let mut heap = Heap::default();
    for text in [
        format!("[source]\nurl = \"redis://:{GUESS}@host:port\"\n"),
        format!("[source]\nurl = \"redis://{GUESS}@host:1:2\"\npassword_file = \"/absent\"\n"),
        format!("[source]\nurl = \"{GUESS}\n"),
        format!(
            "[admin]\ntoken_file = {:?}\ntokn = \"x\"\n",
            file(&files, "acting", ACTING)
        ),
        format!(
            "[admin]\nbind = \"0.0.0.0:1\"\nread_token_file = {:?}\n",
            file(&files, "reading", READING)
        ),
    ] {
        let mistakes = Settings::parse(&text, &|_| None).unwrap_err();
        heap.add("mistakes", &format!("{mistakes} {mistakes:?}"));
    }
    heap.must_be_free_of(&SECRETS);
}

fn file(files: &TempDir, name: &str, secret: &str) -> String {
    let path: &Path = files.path();
    let path = path.join(name);
    std::fs::write(&path, format!("{secret}\n")).unwrap();
    path.to_str().unwrap().to_owned()
}

fn credentials(files: &TempDir) -> toml::Value {
    let mut mapping = toml::Table::new();
    for (key, value) in [
        ("client_user", "app".to_owned()),
        ("client_password_file", file(files, "app", APP)),
        ("target_user", "app".to_owned()),
        ("target_password_file", file(files, "app-new", APP_NEW)),
    ] {
        mapping.insert(key.to_owned(), value.into());
    }
    toml::Value::Array(vec![mapping.into()])
}

/// What a broken invariant would say that holds the whole configuration.
fn panic_text(settings: Settings) -> String {
    let thread = std::thread::spawn(move || panic!("broken: {settings:?}"));
    assert!(eventually(Duration::from_secs(5), || thread.is_finished()));
    let Err(panic) = thread.join();
    panic.downcast_ref::<String>().unwrap().clone()
}
