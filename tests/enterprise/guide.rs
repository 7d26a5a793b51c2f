//! `ACTIVE-ACTIVE.md`: its commands are run as they are written, in their order; its configuration is one.

use std::process::Command;

use crate::application::Application;
use crate::kit::RedisServer;
use crate::witness::Witness;
use crate::world::World;

const GUIDE: &str = include_str!("../../ACTIVE-ACTIVE.md");

/// The text of the first block of that language.
fn block(language: &str) -> &'static str {
    let fence = format!("```{language}\n");
    let (_, rest) = GUIDE.split_once(fence.as_str()).expect("such a block");
    rest.split_once("```").expect("its end").0
}

#[test]
fn the_guides_commands_make_the_whole_move() {
    let source = RedisServer::start();
    source.client().call(&["DEBUG", "POPULATE", "1000"]);
    let world = World::new();
    let sidecar = world
        .sidecar(&source.url())
        .set("target.name", "orders")
        .start();
    let admin = sidecar.admin();
    let witness = Witness::of(&world.target);
    let application = Application::start(sidecar.addr("app"));
    for line in block("sh").lines() {
        let words: Vec<&str> = line.split(' ').collect();
        if words[1..] == ["verify"] {
            admin.wait_for("calm", |status| {
                status["can_cut_over"] == true || status["phase"] == "committed"
            });
        }
        let ended = sidecar.cli(&words[1..]);
        let said = String::from_utf8_lossy(&ended.stdout);
        let complained = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "{line}: {said}{complained}");
    }
    application.writes_on();
    application.end_on(&world.target.server);
    witness.testify();
    world.assert_stopped_for_good();
}

#[test]
fn the_guides_configuration_is_one() {
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("handover.toml");
    let ca = crate::cluster::Cluster::ca();
    let text = block("toml")
        .replace("/etc/handover/cluster-password", &world.password_file())
        .replace("/etc/handover/cluster-ca.pem", ca.to_str().unwrap());
    std::fs::write(&file, text).unwrap();
    let checked = Command::new(env!("CARGO_BIN_EXE_handover"))
        .args(["check", "--config"])
        .arg(&file)
        .output()
        .unwrap();
    let complained = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{complained}");
}
