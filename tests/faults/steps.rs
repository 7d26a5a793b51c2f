//! One fault at one step, and how the attempt must end: what the table of the design promises, line by line, under load.

use std::thread;
use std::time::{Duration, Instant};

use super::alone;
use super::fault::{Fault, Request, What};
use super::kit::{
    Client, Deed, Hazard, LIMIT, RedisServer, Reply, Road, Sidecar, eventually, let_pass,
};
use super::load::Load;
use super::round::{Excuses, attempt};
use super::world::{CONNECT_TIMEOUT, MAX_PAUSE, World};

const ABORTED: &[&str] = &["aborted"];
const CROSSED: &[&str] = &["committed", "rolled_back"];

/// What goes wrong with a request, and how the attempt ends.
const TABLE: &[(What, Request, &[&str])] = &[
    // Before anything is committed: back to the side that was to be left.
    (What::Refuse, Request::Fence, ABORTED),
    (What::Ignore, Request::Fence, ABORTED),
    (What::Refuse, Request::Sample, ABORTED),
    (What::Answer, Request::Sample, ABORTED),
    (What::Ignore, Request::CatchUp, ABORTED),
    (What::Resync, Request::Fence, ABORTED),
    (What::Abort, Request::Fence, ABORTED),
    // Detaching that fails, hangs, lies.
    (What::Refuse, Request::Detach, ABORTED),
    (What::Ignore, Request::Detach, ABORTED),
    (What::Pretend, Request::Detach, ABORTED),
    (What::Answer, Request::Detach, ABORTED),
    // After the commit: forward only, and nothing waits.
    (What::Refuse, Request::Reverse, CROSSED),
    (What::Ignore, Request::Reverse, CROSSED),
    (What::Pretend, Request::Reverse, CROSSED),
    (What::Kill, Request::Reverse, CROSSED),
    (What::Freeze, Request::Reverse, CROSSED),
];

#[test]
fn each_step_that_goes_wrong_ends_as_the_design_says() {
    let _alone = alone();
    let mut world = World::ready();
    let load = Load::start(world.sidecar.addr("app"), "steps");
    let mut excuses = Excuses::default();
    for (what, request, endings) in TABLE {
        let fault = Fault::at_request(*what, *request, MAX_PAUSE * 2);
        let from = Instant::now();
        let active = world.active();
        let round = attempt(&mut world, &load, Some(&fault), &mut excuses)
            .unwrap_or_else(|text| panic!("{fault}: {text}"));
        eprintln!("{fault}: {round:?} in {:?}", from.elapsed());
        assert!(round.struck, "{fault}: {round:?}");
        let outcome = round.outcome.as_deref().unwrap_or_default();
        assert!(endings.contains(&outcome), "{fault}: {round:?}");
        let stays = *endings == ABORTED;
        assert_eq!(world.active() == active, stays, "{fault}: {round:?}");
    }
    let done = load.judge(world.server(world.active()));
    eprintln!(
        "{} operations",
        done.unwrap_or_else(|text| panic!("{text}"))
    );
}

/// A session asked for its twin in an attempt that was given up meanwhile. That the target could not be reached then is
/// not what it finds in the next attempt.
#[test]
fn a_session_that_could_not_prepare_once_is_asked_anew() {
    let _alone = alone();
    let mut world = World::ready();
    let admin = world.sidecar.admin();
    let mut app = Client::connect(world.sidecar.addr("app"));
    assert_eq!(app.call(&["MULTI"]), Reply::ok());
    let entered = world.active().other();
    // The handshake of the twin is the first to ask for this in an attempt.
    world
        .road(entered)
        .at("$2\r\nID\r\n", Deed::Turn(Road::Stalled));
    thread::scope(|scope| {
        let attempt = scope.spawn(|| admin.cutover());
        let stalled = eventually(LIMIT, || world.road(entered).met().is_some());
        assert!(stalled, "nobody prepares");
        admin.abort();
        assert_eq!(attempt.join().unwrap().json["outcome"], "aborted");
    });
    // By now it is known that the target could not be reached.
    let_pass(CONNECT_TIMEOUT * 2);
    world.heal();
    world.recover().unwrap_or_else(|text| panic!("{text}"));
    admin.must_cut_over();
    assert_eq!(
        app.call(&["SET", "k", "v"]),
        Reply::Simple("QUEUED".to_owned())
    );
    assert_eq!(app.call(&["EXEC"]), Reply::Array(vec![Reply::ok()]));
}

/// Time between two attempts.
#[test]
fn attempts_keep_their_distance() {
    let _alone = alone();
    let source = RedisServer::start();
    let target = RedisServer::start();
    let road = Hazard::before(target.addr());
    let sidecar = Sidecar::new()
        .source(&source)
        .set("target.url", format!("redis://{}", road.addr()))
        .set("target.name", "target")
        .set("target.replication_address", target.addr().to_string())
        .set("cutover.min_interval", "1s")
        .expect_warning("aborted")
        .start();
    let admin = sidecar.admin();
    admin.migrate_until_ready();
    road.at(
        Request::CatchUp.text(),
        Deed::Answer(b"-ERR no\r\n".to_vec()),
    );
    let began = Instant::now();
    assert_eq!(admin.cutover().json["outcome"], "aborted");
    let again = admin.cutover();
    assert_eq!(again.status, 409, "{}", again.text);
    assert!(again.text.contains("too soon"), "{}", again.text);
    admin.wait_for("can_cut_over", |status| status["can_cut_over"] == true);
    admin.must_cut_over();
    assert!(began.elapsed() >= Duration::from_secs(1));
}
