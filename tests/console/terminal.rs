//! `status --watch` in a terminal, against a running sidecar between real servers: a whole migration made by a person who
//! has nothing else; a sidecar that goes away and comes back; every way out. `dev/setup tests` installs the terminal.

use crate::kit::{
    self, Client, Listener, RedisServer, Reply, Sidecar, Signal, eventually, send_signal,
};
use crate::tmux::Window;

#[test]
fn a_whole_migration_is_made_from_the_terminal_alone() {
    let (source, target) = (RedisServer::start(), RedisServer::start());
    let mut people = source.client();
    people.call(&["DEBUG", "POPULATE", "10000", "key", "400"]);
    people.call(&["CONFIG", "SET", "rdb-key-save-delay", "200"]);
    target.client().call(&["SET", "forgotten", "1"]);
    let sidecar = Sidecar::new()
        .source(&source)
        .target(&target)
        .set("source.name", "orders-old")
        .set("target.name", "orders-new")
        .listener("app", Listener::new())
        .listener("near", Listener::new().reads("target").writes("refuse"))
        .start();
    let window = Window::open(&sidecar, 80, 24, "");
    window.sees_all(&[
        "● Start",
        "The application runs on orders-old",
        "[m] migrate",
        "[q] quit",
    ]);
    window.press(&["c"]);
    window.sees("There is nothing to cut over while the migration is idle.");
    window.press(&["p"]);
    window.sees("checks");

    window.press(&["m"]);
    window.types("orders-old");
    window.press(&["Enter"]);
    window.sees("That is not orders-new.");
    window.press(&["Escape"]);
    window.sees("Nothing was done.");
    assert_eq!(sidecar.admin().phase(), "idle");
    window.press(&["m"]);
    window.types("orders-new");
    window.press(&["Enter"]);
    window.sees_all(&["● Copy", "Copying orders-old to orders-new"]);
    window.sees_all(&[
        "● In sync",
        "Ready to switch to orders-new",
        "yes: a cutover is possible",
    ]);
    people.call(&["CONFIG", "SET", "rdb-key-save-delay", "0"]);

    let mut near = Client::connect(sidecar.addr("near"));
    near.call(&["CLIENT", "SETNAME", "batch-job"]);
    assert!(matches!(near.call(&["SET", "k", "v"]), Reply::Error(_)));
    window.sees("batch-job at 127.0.0.1: SET, 1 refused");
    window.press(&["d"]);
    window.sees("Dry run: a switch would be accepted now.");
    window.press(&["v"]);
    window.sees("The comparison has begun.");
    sidecar.admin().wait_for("the comparison", |status| {
        status["verify"]["summary"]["differing"] == 0
    });

    let mut app = Client::connect(sidecar.addr("app"));
    assert_eq!(app.call(&["SET", "before", "1"]), Reply::ok());
    window.press(&["c"]);
    window.sees("Switch the application to orders-new?");
    window.press(&["Enter"]);
    window.press(&["y"]);
    window.sees_all(&[
        "Switched: the target is active; writes waited",
        "● On the target",
        "a rollback is possible",
    ]);
    window.press(&["PageDown"]);
    window.sees("ms  waiting for the last bytes");
    window.press(&["PageUp"]);
    assert_eq!(app.call(&["SET", "between", "1"]), Reply::ok());

    window.press(&["r"]);
    window.sees("Go back to orders-old?");
    window.press(&["y"]);
    window.sees_all(&[
        "Rolled back: the source is active",
        "Ready to switch to orders-new",
    ]);
    window.press(&["c", "y"]);
    window.sees_all(&["Switched: the target is active", "a rollback is possible"]);
    window.press(&["f"]);
    window.sees("This cannot be undone.");
    window.press(&["y"]);
    window.sees_all(&["✓ Finished", "Finalized: the way back is given up."]);
    window.press(&["q"]);
    window.is_left_as_it_was(0);

    assert_eq!(sidecar.admin().phase(), "finalized");
    for key in ["before", "between"] {
        assert_eq!(target.client().call(&["GET", key]), Reply::bulk("1"));
    }
}

#[test]
fn a_migration_is_called_off_and_the_window_may_be_any_size() {
    let (source, target) = (RedisServer::start(), RedisServer::start());
    source.client().call(&["DEBUG", "POPULATE", "1000"]);
    source
        .client()
        .call(&["CONFIG", "SET", "rdb-key-save-delay", "20000"]);
    let sidecar = Sidecar::new()
        .source(&source)
        .target(&target)
        .expect_warning("the migration was called off")
        .start();
    let window = Window::open(&sidecar, 200, 50, "NO_COLOR=1");
    window.sees("The application runs on source");
    for (columns, lines) in [(30, 10), (12, 4), (3, 1), (80, 24)] {
        window.resize(columns, lines);
    }
    window.sees_all(&["● Start", "[m] migrate", "members"]);
    window.press(&["m"]);
    window.types("target");
    window.press(&["Enter"]);
    window.sees("● Copy");
    window.press(&["a"]);
    window.sees("Stop the copy?");
    window.press(&["y"]);
    window.sees("Called off: nothing has changed");
    sidecar.admin().wait_for_phase("idle");
    assert_eq!(window.colours(), Vec::<u32>::new());
    window.press(&["C-c"]);
    window.is_left_as_it_was(0);
}

#[test]
fn a_sidecar_that_goes_away_is_waited_for() {
    let (source, target) = (RedisServer::start(), RedisServer::start());
    let mut sidecar = Sidecar::new().source(&source).target(&target).start();
    let window = Window::open(&sidecar, 80, 24, "");
    window.sees("The application runs on source");
    sidecar.kill();
    window.sees("what is shown is old");
    window.press(&["p"]);
    window.sees("cannot reach the sidecar");
    sidecar.start_again();
    let is_live = eventually(kit::LIMIT, || {
        !window.picture().contains("what is shown is old")
    });
    assert!(is_live, "{}", window.picture());
    send_signal(window.process(), Signal::TERM);
    window.is_left_as_it_was(0);
}
