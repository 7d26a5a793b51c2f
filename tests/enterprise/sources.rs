//! From every kind of source that the procedure knows.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::application::Application;
use crate::cluster::Cluster;
use crate::kit::{RedisServer, Reply};
use crate::witness::Witness;
use crate::world::{World, pause_beside_the_stop};

/// Everything that has to be escaped in a URL, or is easily taken for a part of one.
const PASSWORD: &str = "p@ss:w/o%r?d#&=+[]{}|\\^~`é";

#[test]
fn an_open_source_server_with_a_password_full_of_special_characters() {
    let source = RedisServer::options().password(PASSWORD).start();
    source.client().call(&["DEBUG", "POPULATE", "1000"]);
    let world = World::new();
    let escaped = utf8_percent_encode(PASSWORD, NON_ALPHANUMERIC).to_string();
    let sidecar = world
        .sidecar(&format!("redis://:{escaped}@{}", source.addr()))
        .listener("app", crate::kit::Listener::new().auth("proxy"))
        .start();
    world.migrate(&sidecar);
    assert_eq!(
        world.target.manager().call(&["EXISTS", "key:999"]),
        Reply::Integer(1)
    );
    let log = sidecar.log();
    assert!(
        !log.contains(PASSWORD) && !log.contains(&escaped),
        "the password is in the log"
    );
}

#[test]
fn a_database_of_the_same_cluster() {
    let cluster = Cluster::start("west.test");
    let source = cluster.database("orders-old", None);
    let target = cluster.active_active(crate::world::TARGET, None, &[]);
    let world = World::of(cluster, target);
    let sidecar = world
        .sidecar(&format!("redis://{}", source.addr()))
        .set("link.enterprise.source_database", "orders-old")
        .start();
    world.migrate(&sidecar);
}

#[test]
fn a_database_of_another_cluster() {
    let other = Cluster::start("old.test");
    let source = other.database("orders-old", Some("clients"));
    let world = World::new();
    let sidecar = world
        .sidecar(&format!("redis://:clients@{}", source.addr()))
        .listener("app", crate::kit::Listener::new().auth("proxy"))
        .set("link.enterprise.source_database", "orders-old")
        .set("link.enterprise.compression", 6);
    let sidecar = world
        .reaches("link.enterprise.source_cluster", &other, sidecar)
        .start();
    world.migrate(&sidecar);
    let changed = other
        .requests()
        .iter()
        .any(|request| request.method != "GET");
    assert!(!changed, "the source's cluster is only asked");
}

/// The application reaches the first master through the sidecar; who writes to the others goes to them directly and has
/// stopped before the cutover, since the sidecar serves one server today.
#[test]
fn the_three_masters_of_an_open_source_cluster() {
    let masters = [
        RedisServer::start(),
        RedisServer::start(),
        RedisServer::start(),
    ];
    let world = World::new();
    let urls: Vec<toml::Value> = masters
        .iter()
        .map(|master| format!("redis://{}", master.addr()).into())
        .collect();
    let sidecar = world
        .sidecar(&format!("redis://{}", masters[0].addr()))
        .set("link.enterprise.source_url", urls)
        .start();
    let (witness, admin) = (Witness::of(&world.target), sidecar.admin());
    let application = Application::start(sidecar.addr("app"));
    admin.migrate_until_ready();
    for (number, master) in masters.iter().enumerate() {
        assert_eq!(
            master
                .client()
                .call(&["SET", &format!("master:{number}"), "1"]),
            Reply::ok()
        );
    }
    admin.wait_for("can_cut_over", |status| status["can_cut_over"] == true);
    admin.must_cut_over();
    application.writes_on();
    world.finish(admin, witness, application);
    let exist = ["EXISTS", "master:0", "master:1", "master:2"];
    assert_eq!(world.target.manager().call(&exist), Reply::Integer(3));
}

#[test]
fn what_comes_to_one_cluster_of_the_database_comes_to_the_other() {
    let (west, east) = (Cluster::start("west.test"), Cluster::start("east.test"));
    west.meet(&east);
    let target = west.active_active(crate::world::TARGET, None, &[&east]);
    let there = east.instance_of(target.guid.as_ref().unwrap()).unwrap();
    let source = RedisServer::start();
    let world = World::of(west, target);
    let sidecar = world.sidecar(&source.url()).start();
    world.migrate(&sidecar);
    let length = |client: &mut crate::kit::Client| client.call(&["LLEN", "application:0"]);
    let here = length(&mut world.target.manager());
    let same = crate::kit::eventually(crate::kit::LIMIT, || length(&mut there.manager()) == here);
    assert!(same, "the other cluster lacks something");
}

/// `HANDOVER_PAUSES=10` makes that many migrations; alone on the machine, the figures of the guide.
#[test]
fn writes_wait_for_the_stop_of_replica_of_and_hardly_longer() {
    let rounds: usize = std::env::var("HANDOVER_PAUSES").map_or(3, |it| it.parse().unwrap());
    let mut pauses = Vec::new();
    for _ in 0..rounds {
        let source = RedisServer::start();
        let world = World::new();
        let sidecar = world
            .sidecar(&source.url())
            .set("log.level", "info")
            .start();
        let outcome = world.migrate(&sidecar);
        pauses.push(pause_beside_the_stop(&outcome));
    }
    println!("write pause beside the stop of Replica Of, ms: {pauses:?}");
    pauses.sort_by(f64::total_cmp);
    assert!(pauses[rounds / 2] < 100.0, "{pauses:?} ms beside the stop");
}
