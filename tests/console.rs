//! The console page in headless Chromium, against a running sidecar between real servers: a whole migration made by a person
//! who clicks and types, and once more with a keyboard alone on a telephone's screen. The same in a terminal (`terminal`).
//! `dev/setup tests` installs the browser and the terminal.

#![allow(clippy::unwrap_used, clippy::panic)] // a panic in a test is its failing assertion

mod kit;

#[path = "console/page.rs"]
mod page;
#[path = "console/terminal.rs"]
mod terminal;
#[path = "console/tmux.rs"]
mod tmux;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use kit::{Client, Listener, RedisServer, Reply, Sidecar};
use page::Page;

/// An application that counts, a write, a read and a wait after the other, until it is asked how far it came.
struct Application {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<i64>,
}

impl Application {
    fn start(sidecar: &Sidecar) -> Application {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, mut client) = (Arc::clone(&stop), Client::connect(sidecar.addr("app")));
        let thread = std::thread::spawn(move || {
            let mut acknowledged = 0;
            while !stopped.load(Ordering::Relaxed) {
                acknowledged += 1;
                assert_eq!(
                    client.call(&["INCR", "count"]),
                    Reply::Integer(acknowledged)
                );
                client.call(&["GET", "count"]);
                // At a pace that leaves the machine to the browser.
                client.call(&["BLPOP", "nothing", "0.01"]);
            }
            acknowledged
        });
        Application { stop, thread }
    }

    fn end(self) -> i64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// A source with some data, of which a copy takes a second or two, and a target with a forgotten key.
fn servers() -> (RedisServer, RedisServer) {
    let (source, target) = (RedisServer::start(), RedisServer::start());
    source
        .client()
        .call(&["DEBUG", "POPULATE", "10000", "key", "400"]);
    source
        .client()
        .call(&["CONFIG", "SET", "rdb-key-save-delay", "200"]);
    target.client().call(&["SET", "forgotten", "1"]);
    (source, target)
}

/// From now on a copy takes no time.
fn quickly(source: &RedisServer) {
    source
        .client()
        .call(&["CONFIG", "SET", "rdb-key-save-delay", "0"]);
}

#[test]
fn a_person_makes_a_whole_migration_on_the_page() {
    let (source, target) = servers();
    let sidecar = Sidecar::new()
        .source(&source)
        .target(&target)
        .set("source.name", "orders-old")
        .set("target.name", "orders-new")
        .listener("app", Listener::new())
        .listener("near", Listener::new().reads("target").writes("refuse"))
        .start();
    let application = Application::start(&sidecar);
    let mut page = Page::open(&sidecar, 1280, 900);
    page.sees_in("#live", "Live");
    page.sees_in("#headline", "The application runs on orders-old");
    page.click("Check both databases");
    page.sees_in("#preflight", "checks ask for attention");
    page.is_in_order("1-start");

    page.click("Migrate…");
    page.write("To confirm, type the target's name", "orders-old");
    page.click("Migrate");
    page.sees_in("dialog", "That is not orders-new.");
    page.press("Escape");
    assert_eq!(
        sidecar.admin().phase(),
        "idle",
        "nothing was confirmed, nothing was done"
    );
    page.click("Migrate…");
    page.write("To confirm, type the target's name", "orders-new");
    page.is_in_order("2-migrate");
    page.click("Migrate");
    page.sees_in("#headline", "Copying orders-old to orders-new");
    page.sees_in("#copy-text", "a second");
    page.is_in_order("3-copying");
    page.sees_in("#headline", "Ready to switch to orders-new");
    page.sees_in("#ready", "Yes");
    quickly(&source);

    // Somebody writes where it must not yet, under a name that would do harm if it were taken for markup.
    let mut near = Client::connect(sidecar.addr("near"));
    let name = "<img/src=x/onerror=alert(1)>";
    near.call(&["CLIENT", "SETNAME", name]);
    assert!(matches!(near.call(&["SET", "k", "v"]), Reply::Error(_)));
    page.sees_in("#refused", name);
    page.keeps_foreign_scripts_out();

    page.click("Compare all keys");
    page.sees_in("#verify", "keys are the same");
    page.click("Dry run");
    page.sees_in("#said", "a switch would be accepted now");
    page.is_in_order("4-ready");

    page.click("Cut over…");
    page.is_in_order("5-cutover");
    page.click("Cut over");
    page.sees_in("#said", "Switched: the target is active; writes waited");
    page.sees_in("#headline", "The application runs on orders-new");
    page.sees_in("#cutover", "waiting for the last bytes");
    assert_eq!(sidecar.admin().status()["active_side"], "target");
    page.sees_in("#ready", "A rollback is possible");
    page.is_in_order("6-committed");

    page.click("Roll back…");
    page.click("Roll back");
    page.sees_in("#said", "Rolled back: the source is active");
    assert_eq!(sidecar.admin().status()["active_side"], "source");
    page.sees_in("#headline", "Ready to switch to orders-new");
    page.is_in_order("7-rolled-back");

    page.click("Cut over…");
    page.write("Longest wait of writes", "5 parsecs");
    page.click("Cut over");
    page.sees_in("#said", "is not a duration");
    page.click("Cut over…");
    page.write("Longest wait of writes", "2s");
    page.click("Cut over");
    page.sees_in("#said", "Switched: the target is active");
    page.sees_in("#ready", "A rollback is possible");
    page.click("Finalize…");
    page.click("Finalize");
    page.sees_in("#headline", "Finished");
    page.sees_in("#events", "finalized");
    page.is_in_order("8-finished");

    let count = application.end().to_string();
    assert_eq!(
        target.client().call(&["GET", "count"]),
        Reply::bulk(&count),
        "what was acknowledged is on the target"
    );
}

#[test]
fn a_keyboard_a_small_screen_and_a_token_are_enough() {
    let (source, target) = servers();
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&token, "open-sesame\n").unwrap();
    let sidecar = Sidecar::new()
        .source(&source)
        .target(&target)
        .set("admin.token_file", token.path().to_str().unwrap())
        .start();
    let application = Application::start(&sidecar);
    let mut page = Page::open(&sidecar, 360, 740);
    // The first Tab leads past everything to what can be done.
    page.sees_in("#headline", "The application runs on source");
    page.press("Tab");
    assert_eq!(page.focused(), "Skip to the actions");
    page.press("Enter");
    page.tab_to_and_enter("Migrate…");
    page.keys("target");
    page.press("Enter");
    // Reading needs no token on the loopback interface, acting does.
    page.sees_in("dialog", "A token is needed");
    page.keys("open-barley");
    page.press("Enter");
    page.sees_in("dialog", "The one that was given is not right");
    page.is_in_order("phone-1-token");
    page.keys("open-sesame");
    page.press("Enter");
    page.sees_in("#headline", "Copying source to target");
    page.is_in_order("phone-2-copying");
    page.sees_in("#headline", "Ready to switch to target");
    quickly(&source);

    for _ in 0..2 {
        page.tab_to_and_enter("Cut over…");
        page.press("Enter"); // in the field: the bound stays as it is configured
        page.sees_in("#headline", "The application runs on target");
        page.sees_in("#ready", "A rollback is possible");
        page.tab_to_and_enter("Roll back…");
        assert_eq!(page.focused(), "Cancel", "the way out comes first");
        page.tab_to_and_enter("Roll back");
        page.sees_in("#headline", "Ready to switch to target");
    }
    page.tab_to_and_enter("Cut over…");
    page.press("Enter");
    page.sees_in("#ready", "A rollback is possible");
    page.is_in_order("phone-3-committed");
    page.tab_to_and_enter("Finalize…");
    page.tab_to_and_enter("Finalize");
    page.sees_in("#headline", "Finished");
    page.is_in_order("phone-4-finished");
    page.click("Forget the token");
    page.sees_in("#said", "The token is forgotten.");

    let count = application.end().to_string();
    assert_eq!(target.client().call(&["GET", "count"]), Reply::bulk(&count));
}

#[test]
fn the_page_says_when_the_sidecar_is_gone_and_goes_on_when_it_is_back() {
    let (source, target) = (RedisServer::start(), RedisServer::start());
    let mut sidecar = Sidecar::new().source(&source).target(&target).start();
    let mut page = Page::open(&sidecar, 900, 700);
    page.sees_in("#live", "Live");
    sidecar.kill();
    page.sees_in("#live", "No answer: what is shown is old");
    sidecar.start_again();
    page.sees_in("#live", "Live");
    page.sees_in("#headline", "The application runs on source");
}
