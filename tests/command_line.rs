//! The command as scripts use it: the real binary against a served admin API, with somebody scripted in control. What is
//! printed where, and the exit codes.

#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests: a panic there is the failing assertion

#[path = "command_line/packages.rs"]
mod packages;

use std::collections::VecDeque;
use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use handover::admin::{self, Answer, Control, Failure, FailureKind, Order, Run, Tokens};
use handover::net::{Bind, Dial, Endpoint, Owner};
use handover::shutdown;
use handover::terms::{Identity, Secret, Side};
use handover::traffic::Accepted;
use handover::upstream;
use serde_json::{Value, json};

/// Whoever is in control: answers in the order in which it was told to.
#[derive(Default)]
struct Scripted {
    answers: Mutex<VecDeque<Answer>>,
    /// One for each look; the last one stays.
    statuses: Mutex<VecDeque<Value>>,
    orders: Mutex<Vec<Order>>,
}

impl Scripted {
    fn next_answer(&self) -> BoxFuture<'static, Answer> {
        let answer = self
            .answers
            .lock()
            .unwrap()
            .pop_front()
            .expect("no answer is left");
        async { answer }.boxed()
    }
}

impl Control for Scripted {
    fn order(&self, order: Order) -> BoxFuture<'static, Answer> {
        self.orders.lock().unwrap().push(order);
        self.next_answer()
    }

    fn preflight(&self) -> BoxFuture<'static, Answer> {
        self.next_answer()
    }

    fn report(&self) -> BoxFuture<'static, Answer> {
        self.next_answer()
    }

    fn status(&self) -> Value {
        let mut statuses = self.statuses.lock().unwrap();
        if statuses.len() > 1 {
            statuses.pop_front()
        } else {
            statuses.front().cloned()
        }
        .expect("no status is left")
    }

    fn ready(&self) -> BoxFuture<'static, Result<(), String>> {
        async { Ok(()) }.boxed()
    }

    fn metrics(&self) -> String {
        String::new()
    }

    fn sides(&self) -> [upstream::Server; 2] {
        // Nobody listens on port 1.
        Side::BOTH.map(|side| upstream::Server {
            side,
            name: side.to_string(),
            dial: Dial {
                endpoint: Endpoint::Tcp {
                    host: "127.0.0.1".to_owned(),
                    port: 1,
                },
                tls: None,
            },
            identity: Identity::Anonymous,
            database: 0,
            replication_address: None,
            connect_timeout: Duration::from_secs(1),
            own: Arc::default(),
        })
    }
}

/// A sidecar's admin API on a thread of its own, and the command in front of it.
struct World {
    control: Arc<Scripted>,
    address: String,
    stop: shutdown::Trigger,
    thread: Option<JoinHandle<()>>,
}

impl World {
    fn start() -> World {
        World::start_at(Bind::Tcp(([127, 0, 0, 1], 0).into()), None)
    }

    fn start_at(bind: Bind, token: Option<&str>) -> World {
        let control = Arc::new(Scripted::default());
        let settings = admin::Settings {
            tokens: token.map_or(Tokens::None, |token| Tokens::Acting(Secret::new(token))),
            ..admin::Settings::at(bind)
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let server = runtime
            .block_on(async { admin::Server::bind(&settings) })
            .unwrap();
        let address = server.local();
        let (stop, signal) = shutdown::channel();
        let serve = server.run(control.clone(), admin::Events::default(), signal);
        let thread = std::thread::spawn(move || runtime.block_on(serve));
        World {
            control,
            address,
            stop,
            thread: Some(thread),
        }
    }

    fn answers(self, answer: Answer) -> World {
        self.control.answers.lock().unwrap().push_back(answer);
        self
    }

    fn shows(self, status: Value) -> World {
        self.control.statuses.lock().unwrap().push_back(status);
        self
    }

    fn run(&self, line: &str) -> Ended {
        let admin = ["--admin", &self.address];
        run(line.split_whitespace().chain(admin))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.fire();
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(
            std::thread::panicking() || matches!(ended, Some(Ok(()))),
            "the admin API panicked"
        );
    }
}

/// How the command ended.
#[derive(Debug)]
struct Ended {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Ended {
    /// The one document on standard output.
    fn document(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

fn run<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_handover"));
    command
        .args(arguments)
        .env_remove("HANDOVER_ADMIN")
        .stdin(Stdio::null());
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended {
        code: status.code().unwrap(),
        stdout: text(stdout),
        stderr: text(stderr),
    }
}

fn refused() -> Failure {
    Failure::new(
        FailureKind::Refused,
        "not_ready",
        "a cutover is not possible now",
    )
    .because(vec![json!("3 MiB remain")])
}

#[test]
fn a_committed_cutover_shows_its_steps_and_exits_with_0() {
    let committed = json!({"outcome": "committed", "write_pause_ms": 8.0, "read_pause_ms": 0.0,
        "steps": [{"name": "drain", "ms": 0.5}]});
    let world = World::start()
        .answers(Ok(committed.clone()))
        .answers(Ok(committed.clone()));

    let prose = world.run("cutover --max-pause 250ms");
    assert_eq!((prose.code, prose.stderr.as_str()), (0, ""));
    assert!(
        prose.stdout.contains("committed") && prose.stdout.contains("drain"),
        "{prose:?}"
    );
    let json = world.run("cutover --dry-run --json");
    assert_eq!(json.code, 0);
    assert_eq!(json.document(), committed);
    let cutover = |run, max_pause| Order::Cutover {
        run,
        max_pause,
        accept: Accepted::default(),
    };
    assert_eq!(
        *world.control.orders.lock().unwrap(),
        [
            cutover(Run::Real, Some(Duration::from_millis(250))),
            cutover(Run::Dry, None)
        ]
    );
}

#[test]
fn a_refusal_exits_with_1_and_gives_every_reason() {
    let world = World::start()
        .answers(Err(refused()))
        .answers(Err(refused()));

    let prose = world.run("cutover");
    assert_eq!((prose.code, prose.stdout.as_str()), (1, ""));
    assert_eq!(
        prose.stderr,
        "handover: a cutover is not possible now\n  - 3 MiB remain\n"
    );
    let json = world.run("cutover --json");
    assert_eq!((json.code, json.stderr.as_str()), (1, ""));
    let error = json!({"code": "not_ready", "message": "a cutover is not possible now", "reasons": ["3 MiB remain"]});
    assert_eq!(json.document(), json!({"error": error}));
}

#[test]
fn an_aborted_cutover_exits_with_4_and_an_abort_that_was_asked_for_with_0() {
    let aborted = json!({"outcome": "aborted", "reasons": ["max_pause ran out"]});
    let world = World::start()
        .answers(Ok(aborted.clone()))
        .answers(Ok(aborted));
    assert_eq!(world.run("cutover").code, 4);
    assert_eq!(world.run("abort").code, 0);
}

#[test]
fn a_database_out_of_reach_exits_with_3_and_a_broken_order_with_5() {
    let failure = |kind| Err(Failure::new(kind, "code", "message"));
    let world = World::start()
        .answers(failure(FailureKind::OutOfReach))
        .answers(failure(FailureKind::Internal));
    assert_eq!(world.run("preflight").code, 3);
    assert_eq!(world.run("finalize").code, 5);
}

#[test]
fn no_sidecar_exits_with_3_and_says_so() {
    let ended = run(["status", "--json", "--admin", "http://127.0.0.1:1"]);
    assert_eq!(ended.code, 3);
    assert_eq!(ended.document()["error"]["code"], "unreachable");
}

#[test]
fn migrate_waits_until_the_target_follows() {
    let syncing =
        |done: u64| json!({"phase": "syncing", "link": {"bytes_done": done, "bytes_total": 2048}});
    let in_sync = json!({"phase": "in_sync", "active_side": "source", "can_cut_over": true});
    let world = World::start()
        .answers(Ok(json!({})))
        .shows(json!({"phase": "preparing"}))
        .shows(syncing(0))
        .shows(syncing(1024))
        .shows(in_sync.clone());

    let ended = world.run("migrate --confirm-flush orders --json");
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(ended.document(), in_sync);
    assert!(
        ended.stderr.contains("syncing: 0 B of 2.0 KiB"),
        "{ended:?}"
    );
    let confirmed = Order::Migrate {
        confirm_flush: Some("orders".to_owned()),
    };
    assert_eq!(*world.control.orders.lock().unwrap(), [confirmed]);
}

#[test]
fn a_migration_that_comes_to_nothing_exits_with_5() {
    let world = World::start()
        .answers(Ok(json!({})))
        .shows(json!({"phase": "preparing"}))
        .shows(json!({"phase": "idle", "reasons": ["the link could not be established"]}));
    let ended = world.run("migrate");
    assert_eq!(ended.code, 5);
    assert!(
        ended.stdout.contains("the link could not be established"),
        "{ended:?}"
    );
}

#[test]
fn a_preflight_with_an_error_exits_with_1() {
    let finding = |level| json!({"check": "target_empty", "level": level, "message": "m", "what_to_do": "confirm"});
    let findings = |level| Ok(json!({"findings": [finding(level)]}));
    let world = World::start()
        .answers(findings("warning"))
        .answers(findings("error"));
    assert_eq!(world.run("preflight").code, 0);
    assert_eq!(world.run("preflight").code, 1);
}

#[test]
fn a_comparison_that_cannot_be_made_exits_with_3() {
    let world = World::start().shows(json!({"phase": "in_sync"}));
    let ended = world.run("verify --sample 10 --json");
    assert_eq!(ended.code, 3, "{ended:?}");
    assert_eq!(ended.document()["error"]["code"], "verify_failed");
}

#[test]
fn the_token_is_read_from_its_file_and_the_socket_from_its_path() {
    let directory = tempfile::tempdir().unwrap();
    let bind = Bind::Unix {
        path: directory.path().join("admin.sock"),
        mode: 0o600,
        owner: Owner::default(),
    };
    let world = World::start_at(bind, Some("secret")).answers(Ok(json!({"outcome": "finalized"})));
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"secret\n").unwrap();

    assert_eq!(world.run("finalize").code, 2);
    assert_eq!(
        world
            .run(&format!("finalize --token-file {}", file.path().display()))
            .code,
        0
    );
    assert_eq!(world.run("finalize --token-file /nowhere").code, 2);
}

#[test]
fn a_configuration_with_mistakes_shows_all_of_them_and_exits_with_2() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"[proxy]\nworkers = \"many\"\nnonsense = 1\n[cutover]\nmax_pause = \"5\"\n")
        .unwrap();
    let path = file.path().to_str().unwrap();

    for command in ["check", "run"] {
        let ended = run([command, "--config", path]);
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{ended:?}");
        for mistake in [
            "proxy.workers",
            "proxy.nonsense",
            "cutover.max_pause",
            "source",
            "target",
        ] {
            assert!(ended.stderr.contains(mistake), "{mistake}: {ended:?}");
        }
    }
    let json = run(["check", "--json", "--config", path]);
    assert_eq!(json.code, 2);
    assert!(
        json.document()["error"]["reasons"]
            .as_array()
            .unwrap()
            .len()
            >= 5,
        "{json:?}"
    );
}

#[test]
fn arguments_that_make_no_sense_exit_with_2_and_help_with_0() {
    let wrong = run(["cutover", "--max-pause", "5", "--json"]);
    assert_eq!(wrong.code, 2);
    assert_eq!(wrong.document()["error"]["code"], "usage");
    assert_eq!(run([]).code, 2);
    assert_eq!(run(["--help"]).code, 0);
    assert!(run(["completions", "bash"]).stdout.contains("complete"));
}
