//! Every session state of the design's table at once: ten sessions in each, under load, while the application is carried
//! to the target, and again while it is carried back. Each row has an assertion of its own, in a file beside this one.
//!
//! A row is a function: it puts its ten sessions into a state, says that they are, waits until the crossing is over,
//! and then claims what the table promises. `course` has what rows wait for, `load` what goes on meanwhile.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)] // a panic in a helper is the failing assertion
#![allow(clippy::cast_possible_wrap)] // small numbers
#![allow(clippy::print_stderr)] // the figures, for who runs this with --nocapture

#[path = "all_states/blocking.rs"]
mod blocking;
#[path = "all_states/course.rs"]
mod course;
#[path = "all_states/cursors.rs"]
mod cursors;
mod kit;
#[path = "all_states/load.rs"]
mod load;
#[path = "all_states/messages.rs"]
mod messages;
#[path = "all_states/plain.rs"]
mod plain;
#[path = "all_states/queues.rs"]
mod queues;
#[path = "all_states/scripts.rs"]
mod scripts;
#[path = "all_states/tracking.rs"]
mod tracking;
#[path = "all_states/transactions.rs"]
mod transactions;
#[path = "all_states/who.rs"]
mod who;
#[path = "all_states/wire.rs"]
mod wire;
#[path = "all_states/world.rs"]
mod world;

use std::any::Any;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use course::{Course, Row, Turn};
use kit::{Client, RedisOptions, RedisServer, newer_servers};
use load::Load;
use serde_json::Value;
use world::World;

/// Sessions in each state.
const TEN: usize = 10;
/// The write pause that the sidecar may report: the design's bound where it is optimised, otherwise only that nothing is
/// out of all proportion (`faults::pause` measures).
const WRITE_PAUSE_MS_MAX: f64 = if cfg!(debug_assertions) { 250.0 } else { 50.0 };
/// The longest time between two acknowledged writes of one client: the pause, and what a busy machine adds to it.
const GAP_MAX: Duration = Duration::from_millis(if cfg!(debug_assertions) { 750 } else { 250 });

/// How long the load is watched before a crossing, to compare with.
const BEFORE: Duration = Duration::from_millis(500);

/// Held by the test that runs.
static ALONE: Mutex<()> = Mutex::new(());

/// Puts ten sessions into a state, crosses, claims.
type State = fn(&Row<'_>, &mut [Client]);

/// The states. A row that is taken out of this list is not tested; nothing else refers to it.
const ROWS: &[(&str, State)] = &[
    ("idle", plain::idle),
    ("only reads", plain::only_reads),
    ("writes all the time", plain::writes_all_the_time),
    ("a write sent during the hold", plain::write_during_the_hold),
    ("identity", who::identity),
    ("name", who::name_and_library),
    ("database", who::database),
    ("RESP3", who::protocol),
    ("MULTI open", transactions::open),
    (
        "MULTI open, RESP3, database 5",
        transactions::open_elsewhere,
    ),
    (
        "MULTI open, the session changed in it",
        transactions::changing,
    ),
    ("WATCH", transactions::watching),
    ("WATCH and MULTI open", transactions::watching_open),
    ("blocked on one list", blocking::in_line),
    (
        "blocked, served after the crossing",
        blocking::served_afterwards,
    ),
    ("blocked, time runs out", blocking::time_runs_out),
    ("XREAD BLOCK $", blocking::newest_of_a_stream),
    ("XREADGROUP BLOCK >", blocking::consumer_group),
    ("queue workers", queues::workers),
    ("SUBSCRIBE", messages::channel),
    ("PSUBSCRIBE", messages::pattern),
    ("SUBSCRIBE in RESP3", messages::channel_resp3),
    ("SSUBSCRIBE", messages::shard_channel),
    ("MONITOR", messages::monitor),
    ("CLIENT TRACKING", tracking::default_mode),
    ("CLIENT TRACKING BCAST and OPTIN", tracking::other_modes),
    ("CLIENT TRACKING REDIRECT", tracking::redirected),
    ("EVALSHA", scripts::by_digest),
    ("FCALL", scripts::functions),
    ("SCAN", cursors::same_session),
    ("SCAN in another session", cursors::another_session),
    ("CLIENT REPLY OFF and SKIP", wire::muted),
    ("half a request", wire::half_a_request),
    ("pipeline in flight", wire::pipelines),
];

#[test]
fn every_state_crosses_and_comes_back_with_lanes() {
    every_state_crosses_and_comes_back("auto", &RedisServer::options());
}

#[test]
fn every_state_crosses_and_comes_back_without_lanes() {
    every_state_crosses_and_comes_back("off", &RedisServer::options());
}

#[test]
fn every_state_crosses_and_comes_back_on_newer_servers() {
    for (name, program) in newer_servers() {
        eprintln!("{name}");
        every_state_crosses_and_comes_back("auto", &RedisServer::options().program(program));
    }
}

fn every_state_crosses_and_comes_back(lanes: &str, server: &RedisOptions) {
    // What is measured is one crossing, not two that share a machine.
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let world = World::ready(lanes, server);
    let course = Course::new(ROWS.len());
    let (failed, written) = thread::scope(|scope| {
        // Whatever goes wrong here, nobody waits for a crossing that does not come.
        let _over = course.over_at_the_end();
        let load = Load::start(scope, &world);
        let rows: Vec<_> = ROWS
            .iter()
            .map(|(name, state)| {
                let row = Row::new(name, &world, &course);
                let run = move || row.run(*state);
                let builder = thread::Builder::new().name((*name).to_owned());
                (name, builder.spawn_scoped(scope, run).unwrap())
            })
            .collect();
        let mut failed = Vec::new();
        for turn in Turn::BOTH {
            course.wait_until_ready(turn);
            failed.extend(cross(&world, &course, &load, turn));
        }
        course.wait_until_done();
        nobody_was_disconnected(&world, &course, &load);
        course.release();
        let rows = rows.into_iter();
        failed.extend(rows.filter_map(|(name, row)| {
            let panic = row.join().err()?;
            Some(format!("{name}: {}", text_of(&*panic)))
        }));
        (failed, load.stop())
    });
    assert!(
        failed.is_empty(),
        "failed with lanes {lanes}:\n{}",
        failed.join("\n")
    );
    written.claim_complete(&world.source);
}

/// One crossing, with everything that is claimed of it as a whole; gives what is not so.
fn cross(world: &World, course: &Course, load: &Load<'_>, turn: Turn) -> Vec<String> {
    let admin = world.sidecar.admin();
    nobody_was_disconnected(world, course, load);
    if turn == Turn::Back {
        admin.wait_for("can_roll_back", |status| status["can_roll_back"] == true);
    }
    let errors = client_errors(world);
    let quiet = load.gaps_while_nothing_happens(BEFORE);
    let from = Instant::now();
    course.post(world, turn, || {
        let (answer, outcome) = match turn {
            Turn::Forth => (admin.cutover(), "committed"),
            Turn::Back => (admin.rollback(), "rolled_back"),
        };
        assert_eq!(answer.json["outcome"], outcome, "{}", answer.text);
    });
    let took = from.elapsed();
    let last = admin.status()["last_cutover"].clone();
    let gaps = load.gaps_since(from);
    let pause = last["write_pause_ms"].as_f64().unwrap();
    let text = format!(
        "{turn:?} with {} sessions: write pause {pause} ms, read pause {} ms ({}); at the clients {:?} between two \
         writes, {:?} between two reads (before: {:?}, {:?}); {took:?} altogether",
        course.sessions() + load.sessions(),
        last["read_pause_ms"],
        steps(&last),
        gaps.writes,
        gaps.reads,
        quiet.writes,
        quiet.reads,
    );
    eprintln!("{text}");
    let claims = [
        ("the write pause is too long", pause < WRITE_PAUSE_MS_MAX),
        ("a writer waited too long", gaps.writes < GAP_MAX),
        ("client errors were counted", client_errors(world) == errors),
    ];
    let not_so = claims.iter().filter(|(_, holds)| !holds);
    not_so
        .map(|(claim, _)| format!("{claim}: {text}"))
        .collect()
}

fn nobody_was_disconnected(world: &World, course: &Course, load: &Load<'_>) {
    let admin = world.sidecar.admin();
    admin.wait_for("every session to be open", |status| {
        // Asked anew each time: a row may have closed a helper of its own.
        status["sessions"]["open"] == course.sessions() + load.sessions()
    });
}

/// `handover_client_errors_total`, every reason.
fn client_errors(world: &World) -> Vec<String> {
    let metrics = world.sidecar.admin().metrics();
    let lines = metrics
        .lines()
        .filter(|line| line.starts_with("handover_client_errors_total"));
    lines.map(ToOwned::to_owned).collect()
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or(panic.downcast_ref::<&str>().copied())
        .unwrap_or("it panicked")
}

fn steps(last: &Value) -> String {
    let steps = last["steps"].as_array().unwrap().iter();
    steps
        .map(|step| format!("{} {}", step["name"].as_str().unwrap(), step["ms"]))
        .collect::<Vec<_>>()
        .join(", ")
}
