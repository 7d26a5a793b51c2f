//! Bad input of every kind, from clients, configurations, servers and the disk: each gets a clear error and the right
//! exit code, and nothing is lost.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)] // a panic in a helper is the failing assertion

mod kit;
#[path = "bad_input/tap.rs"]
mod tap;

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use kit::{Client, LIMIT, RedisServer, Reply, Sidecar, SidecarBuilder, eventually, newer_servers};
use serde_json::Value;
use tap::Tap;

/// What a sidecar says that cannot reach a side.
const NO_CONNECTION: &str = "no connection; requests get an error until there is one";
/// Long enough for bytes to travel over the loopback interface, where none are to be seen.
const A_MOMENT: Duration = Duration::from_millis(50);

#[test]
fn malformed_requests_get_the_servers_own_error_and_none_of_it_reaches_the_server() {
    let (a, b) = (RedisServer::start(), RedisServer::start());
    let tap = Tap::before(&a);
    let sidecar = behind(&tap).target(&b).start();
    let mut other = Client::connect(sidecar.addr("app"));
    assert_eq!(other.call(&["SET", "k", "v"]), Reply::ok());
    let malformed: [&[u8]; 7] = [
        b"*abc\r\n",
        b"*2147483648\r\n",
        b"*3\r\n$3\r\nSET\r\n$6\r\nneedle\r\n$abc\r\n",
        b"*3\r\n$3\r\nSET\r\n$6\r\nneedle\r\n$-1\r\n",
        b"*3\r\n$3\r\nSET\r\n$6\r\nneedle\r\n:1\r\n",
        b"SET needle \"open\r\n",
        b"SET needle 'open'x\r\n",
    ];
    for bytes in malformed {
        let answer = |address| {
            let mut client = Client::connect(address);
            client.send_raw(&[b"PING\r\n", bytes].concat());
            String::from_utf8(client.read_to_close()).unwrap()
        };
        let proxied = answer(sidecar.addr("app"));
        assert!(
            proxied.starts_with("+PONG\r\n-ERR Protocol error: "),
            "{proxied}"
        );
        assert_eq!(proxied, answer(a.addr()), "{}", bytes.escape_ascii());
        assert_eq!(other.call(&["GET", "k"]), Reply::bulk("v"));
    }
    assert!(tap.saw("SET"), "the tap shows what is sent");
    assert!(!tap.saw("needle"));
}

#[test]
fn a_word_that_newer_servers_repeat_raw_passes_for_nobodys_reply() {
    let (a, b) = (RedisServer::start(), RedisServer::start());
    let mut pairs = vec![(a, b)];
    pairs.extend(newer_servers().into_iter().map(|(_, program)| {
        let start = || RedisServer::options().program(&program).start();
        (start(), start())
    }));
    for (a, b) in pairs {
        // A connection that gets a reply which nobody asked for is given up, with a warning: the test would fail.
        let sidecar = Sidecar::new().source(&a).target(&b).start();
        let mut client = Client::connect(sidecar.addr("app"));
        let listing = &["FUNCTION", "LIST", "x\r\n+from nowhere"];
        assert!(client.call(listing).is_error("ERR handover: a line break"));
        assert_eq!(client.call(&["MULTI"]), Reply::ok());
        assert!(client.call(listing).is_error("ERR handover: a line break"));
        assert!(client.call(&["EXEC"]).is_error("EXECABORT"));
        assert_eq!(client.call(&["FUNCTION", "LIST"]), Reply::Array(Vec::new()));
        assert!(client.call(&["FUNCTION", "LIST", "x"]).is_error("ERR"));
        assert_eq!(client.call(&["ECHO", "mine"]), Reply::bulk("mine"));
    }
}

#[test]
fn what_exceeds_a_configured_limit_is_refused_and_what_meets_it_is_served() {
    let (a, b) = (RedisServer::start(), RedisServer::start());
    let tap = Tap::before(&a);
    let sidecar = behind(&tap)
        .target(&b)
        .set("proxy.limits.bulk_bytes", "1KiB")
        .set("proxy.limits.arguments", 16)
        .set("proxy.limits.inline_bytes", "1KiB")
        .start();
    let mut good = Client::connect(sidecar.addr("app"));
    assert_eq!(good.call(&["SET", "k", &"v".repeat(1024)]), Reply::ok());
    let sixteen: Vec<&str> = std::iter::once("DEL").chain(["k"; 15]).collect();
    assert_eq!(good.call(&sixteen), Reply::Integer(1));
    good.send_raw(format!("SET k {}\r\n", "v".repeat(1000)).as_bytes());
    assert_eq!(good.read_reply(), Reply::ok());

    let refused = |bytes: &[u8], text: &str| {
        let mut client = Client::connect(sidecar.addr("app"));
        client.send_raw(bytes);
        let answer = String::from_utf8(client.read_to_close()).unwrap();
        assert_eq!(answer, format!("-ERR Protocol error: {text}\r\n"));
    };
    refused(
        b"*3\r\n$3\r\nSET\r\n$6\r\nneedle\r\n$1025\r\n",
        "invalid bulk length",
    );
    refused(b"*17\r\n", "invalid multibulk length");
    refused(
        format!("SET needle {}", "v".repeat(1100)).as_bytes(),
        "too big inline request",
    );
    assert_eq!(good.call(&["STRLEN", "k"]), Reply::Integer(1000));
    assert!(tap.saw("SET"), "the tap shows what is sent");
    assert!(!tap.saw("needle"));
}

#[test]
fn half_a_request_waits_at_the_sidecar_and_goes_when_its_client_goes() {
    let (a, b) = (RedisServer::start(), RedisServer::start());
    let tap = Tap::before(&a);
    let sidecar = behind(&tap).target(&b).start();
    let mut other = Client::connect(sidecar.addr("app"));
    let mut late = Client::connect(sidecar.addr("app"));
    let mut gone = Client::connect(sidecar.addr("app"));
    late.send_raw(b"*3\r\n$3\r\nSET\r\n$4\r\nlate\r\n$2\r\nv");
    gone.send_raw(b"*3\r\n$3\r\nSET\r\n$4\r\ngone\r\n$2\r\nv");
    for _ in 0..100 {
        assert!(matches!(other.call(&["INCR", "n"]), Reply::Integer(_)));
    }
    assert!(!late.has_reply_within(A_MOMENT));
    assert!(tap.saw("INCR") && !tap.saw("late") && !tap.saw("gone"));
    drop(gone);
    sidecar
        .admin()
        .wait_for("the client's end", |status| status["sessions"]["open"] == 2);
    late.send_raw(b"v\r\n");
    assert_eq!(late.read_reply(), Reply::ok());
    assert_eq!(other.call(&["GET", "late"]), Reply::bulk("vv"));
    assert!(!tap.saw("gone"));
    assert_eq!(other.call(&["EXISTS", "gone"]), Reply::Integer(0));
}

#[test]
fn a_configuration_with_five_mistakes_is_refused_with_all_five_named() {
    const MISTAKEN: &str = r#"
        state.dir = "/nonexistent/handover"
        source.url = "http://127.0.0.1:1"
        target.url = "redis://127.0.0.1:2"
        cutover.max_puase = "1s"
        proxy.workers = 0
        [[listener]]
        bind = "nowhere"
        reads = "both"
    "#;
    let paths = [
        "source.url",
        "cutover.max_puase",
        "proxy.workers",
        "listener[0].bind",
        "listener[0].reads",
    ];
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("handover.toml");
    std::fs::write(&file, MISTAKEN).unwrap();
    for order in ["check", "run"] {
        let output = handover(&[order], &file);
        assert_eq!(output.status.code(), Some(2), "{order}: {output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains("5 mistakes"), "{text}");
        assert!(
            paths.iter().all(|path| text.contains(&format!("- {path}")))
                && text.contains("max_pause"),
            "{text}"
        );

        let output = handover(&[order, "--json"], &file);
        assert_eq!(output.status.code(), Some(2), "{order}: {output:?}");
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        let reasons = document["error"]["reasons"].as_array().unwrap();
        assert_eq!(reasons.len(), paths.len(), "{document:#}");
        for path in paths {
            assert!(
                reasons
                    .iter()
                    .any(|reason| reason.as_str().unwrap().starts_with(path)),
                "{path}: {document:#}"
            );
        }
    }
}

#[test]
fn a_source_that_is_down_at_the_start_is_told_and_served_once_it_is_up() {
    let (mut a, b) = (RedisServer::start(), RedisServer::start());
    a.kill();
    let sidecar = Sidecar::new()
        .source(&a)
        .target(&b)
        .set("proxy.connect_timeout", "500ms")
        .expect_warning(NO_CONNECTION)
        .spawn();
    assert!(eventually(LIMIT, || {
        Client::try_connect(sidecar.addr("app")).is_ok()
    }));
    let asked = Instant::now();
    let reply = Client::connect(sidecar.addr("app")).call(&["SET", "k", "v"]);
    assert!(reply.is_error("ERR handover: the source "), "{reply:?}");
    // Below what it would be without the setting, whatever else the machine has to do.
    assert!(asked.elapsed() < Duration::from_millis(1900), "{asked:?}");
    let ready = sidecar.admin().get("/readyz");
    assert_eq!(ready.status, 503, "{}", ready.text);
    assert!(ready.text.contains("source"), "{}", ready.text);
    assert_eq!(sidecar.admin().get("/livez").status, 200);
    for order in ["preflight", "migrate"] {
        let output = sidecar.cli(&[order]);
        assert!(
            matches!(output.status.code(), Some(1 | 3)),
            "{order}: {output:?}"
        );
        assert!(text_of(&output).contains("source"), "{order}: {output:?}");
    }
    assert_eq!(sidecar.admin().phase(), "idle");

    a.restart();
    assert!(eventually(LIMIT, || {
        Client::connect(sidecar.addr("app")).call(&["SET", "k", "v"]) == Reply::ok()
    }));
    assert!(eventually(LIMIT, || sidecar.admin().is_ready()));
    assert_eq!(a.client().call(&["GET", "k"]), Reply::bulk("v"));
    let output = sidecar.cli(&["preflight"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn a_target_written_like_the_source_is_a_mistake_of_the_configuration() {
    let a = RedisServer::start();
    let exit = Sidecar::new().source(&a).target(&a).exit();
    assert_eq!(exit.code, Some(2), "{}", exit.log);
    assert!(
        exit.log.contains("target.url") && exit.log.contains("must not be the source"),
        "{}",
        exit.log
    );
}

#[test]
fn a_target_that_is_the_source_by_another_name_is_never_flushed() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("socket");
    let socket = socket.to_str().unwrap();
    let a = RedisServer::options()
        .arguments(&["--unixsocket", socket])
        .start();
    assert_eq!(a.client().call(&["SET", "k", "v"]), Reply::ok());
    let localhost = format!("redis://localhost:{}", a.addr().port());
    for url in [localhost, format!("unix://{socket}")] {
        let sidecar = Sidecar::new()
            .source(&a)
            .set("target.url", url)
            .set("target.name", "target")
            .start();
        for order in [
            &["migrate"][..],
            &["migrate", "--confirm-flush", "target"],
            &["preflight"],
        ] {
            let output = sidecar.cli(order);
            assert_eq!(output.status.code(), Some(1), "{order:?}: {output:?}");
            assert!(
                text_of(&output).contains("the same server"),
                "{order:?}: {output:?}"
            );
        }
        assert_eq!(a.client().call(&["GET", "k"]), Reply::bulk("v"));
        assert_eq!(a.info("replication", "role").as_deref(), Some("master"));
    }
}

#[test]
fn a_target_with_data_is_flushed_only_when_it_is_named() {
    let (a, b) = (RedisServer::start(), RedisServer::start());
    assert_eq!(a.client().call(&["SET", "from", "source"]), Reply::ok());
    assert_eq!(b.client().call(&["SET", "old", "data"]), Reply::ok());
    let sidecar = Sidecar::new().source(&a).target(&b).start();
    let intact = || b.client().call(&["GET", "old"]) == Reply::bulk("data");

    let output = sidecar.cli(&["migrate"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(
        text_of(&output).contains("--confirm-flush target"),
        "{output:?}"
    );
    assert!(intact());

    let output = sidecar.cli(&["migrate", "--confirm-flush", "source"]);
    assert!(matches!(output.status.code(), Some(1 | 2)), "{output:?}");
    assert!(
        text_of(&output).contains("the target is target"),
        "{output:?}"
    );
    assert!(intact());
    assert_eq!(sidecar.admin().phase(), "idle");

    let output = sidecar.cli(&["migrate", "--confirm-flush", "target"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    sidecar
        .admin()
        .wait_for("can_cut_over", |status| status["can_cut_over"] == true);
    assert_eq!(b.client().call(&["GET", "old"]), Reply::Null);
    assert_eq!(b.client().call(&["GET", "from"]), Reply::bulk("source"));
}

#[test]
fn a_second_sidecar_on_the_same_state_directory_is_refused() {
    let (a, b) = (RedisServer::start(), RedisServer::start());
    let first = Sidecar::new().source(&a).target(&b).start();
    let second = Sidecar::new()
        .source(&a)
        .target(&b)
        .set("state.dir", first.state_directory().to_str().unwrap())
        .exit();
    assert_eq!(second.code, Some(1), "{}", second.log);
    assert!(
        second.log.contains("another handover runs"),
        "{}",
        second.log
    );
    let mut client = Client::connect(first.addr("app"));
    assert_eq!(client.call(&["SET", "k", "v"]), Reply::ok());
}

#[test]
fn a_journal_with_a_torn_last_line_is_taken_up_where_it_was_whole() {
    let (a, b) = (RedisServer::start(), RedisServer::start());
    let mut sidecar = cut_over(&a, &b);
    assert_eq!(sidecar.terminate(), Some(0));
    let journal = sidecar.state_directory().join("journal");
    let whole = std::fs::read(&journal).unwrap();
    let last = whole[..whole.len() - 1]
        .rsplit(|byte| *byte == b'\n')
        .next()
        .unwrap();
    let torn = [&whole, &last[..last.len() / 2]].concat();
    std::fs::write(&journal, torn).unwrap();
    sidecar.start_again();
    assert_eq!(sidecar.admin().status()["active_side"], "target");
    assert!(std::fs::read(&journal).unwrap().starts_with(&whole));
    writes_go_to(&sidecar, &b);
}

#[test]
fn a_journal_that_is_broken_in_the_middle_is_not_guessed_at() {
    let (a, b) = (RedisServer::start(), RedisServer::start());
    let mut sidecar = cut_over(&a, &b);
    assert_eq!(sidecar.terminate(), Some(0));
    let journal = sidecar.state_directory().join("journal");
    let mut broken = std::fs::read(&journal).unwrap();
    broken[10] ^= 1;
    std::fs::write(&journal, &broken).unwrap();
    let output = handover(&["run"], &sidecar.configuration());
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    let text = text_of(&output);
    assert!(
        text.contains("line 1") && text.contains("restore the file"),
        "{text}"
    );
    assert_eq!(
        std::fs::read(&journal).unwrap(),
        broken,
        "it is evidence now"
    );
}

#[test]
fn a_sidecar_that_was_killed_after_the_commit_comes_up_on_the_target() {
    let (a, b) = (RedisServer::start(), RedisServer::start());
    let mut sidecar = cut_over(&a, &b);
    sidecar.kill();
    sidecar.start_again();
    let status = sidecar.admin().status();
    assert_eq!(status["active_side"], "target", "{status:#}");
    assert_eq!(status["phase"], "committed", "{status:#}");
    writes_go_to(&sidecar, &b);
    assert_eq!(
        a.client().call(&["EXISTS", "after"]),
        Reply::Integer(0),
        "written to both sides"
    );
}

/// A sidecar whose cutover has committed. Nothing replicates back, so that a key shows where it was written.
fn cut_over(a: &RedisServer, b: &RedisServer) -> Sidecar {
    let sidecar = Sidecar::new()
        .source(a)
        .target(b)
        .set("cutover.reverse", false)
        .start();
    sidecar.admin().migrate_until_ready();
    sidecar.admin().must_cut_over();
    sidecar
}

fn writes_go_to(sidecar: &Sidecar, server: &RedisServer) {
    let mut client = Client::connect(sidecar.addr("app"));
    assert_eq!(client.call(&["SET", "after", "v"]), Reply::ok());
    assert_eq!(server.client().call(&["GET", "after"]), Reply::bulk("v"));
}

/// The binary with `--config file`, which must end by itself.
fn handover(arguments: &[&str], file: &Path) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_handover"))
        .args(arguments)
        .arg("--config")
        .arg(file)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    if !eventually(LIMIT, || child.try_wait().unwrap().is_some()) {
        child.kill().unwrap();
        panic!("{arguments:?} does not end: {:?}", child.wait_with_output());
    }
    child.wait_with_output().unwrap()
}

fn text_of(output: &Output) -> String {
    [&output.stdout[..], &output.stderr[..]]
        .map(String::from_utf8_lossy)
        .concat()
}

/// A sidecar whose source is reached through `tap`.
fn behind(tap: &Tap) -> SidecarBuilder {
    Sidecar::new()
        .set("source.url", format!("redis://{}", tap.address))
        .set("source.name", "source")
}
