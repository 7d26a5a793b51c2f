//! Other targets than an Active-Active database that is there: one that the configuration describes, and a plain one.

use std::net::{Ipv4Addr, TcpListener};

use toml::{Table, Value};

use crate::application::Application;
use crate::cluster::{ADMINISTRATOR, Cluster};
use crate::kit::{LIMIT, RedisServer, Reply, eventually};
use crate::witness::Witness;
use crate::world::{TARGET, World};

#[test]
fn migrate_makes_the_database_on_every_cluster_that_the_configuration_names() {
    let (west, east) = (Cluster::start("west.test"), Cluster::start("east.test"));
    west.meet(&east);
    let source = RedisServer::start();
    source.client().call(&["SET", "from", "before"]);
    let other = west.active_active("another", None, &[]);
    let mut world = World::of(west, other);
    let port = free_port_of_a_database();
    let clusters = [&world.cluster, &east].map(|cluster| participant(cluster, &world));
    let sidecar = world
        .sidecar(&source.url())
        .set("target.url", format!("redis://127.0.0.1:{port}"))
        .set("link.enterprise.create.memory", "256MiB")
        .set("link.enterprise.create.port", i64::from(port))
        .set("link.enterprise.create.cluster", clusters.to_vec())
        // Before it exists it cannot be asked for its commands.
        .any_warning()
        .start();
    let admin = sidecar.admin();
    let application = Application::start(sidecar.addr("app"));
    application.writes_on();
    assert!(world.cluster.find(TARGET).is_none());

    admin.migrate_until_ready();
    let made = world.cluster.find(TARGET).expect("it was made");
    assert_eq!(made.addr().port(), port);
    let there = east
        .instance_of(made.guid.as_ref().expect("Active-Active"))
        .expect("on the other cluster too");
    world.target = made;
    let witness = Witness::of(&world.target);
    admin.must_cut_over();
    application.writes_on();
    world.finish(admin, witness, application);
    assert!(eventually(LIMIT, || {
        there.manager().call(&["GET", "from"]) == Reply::bulk("before")
    }));

    let made: Vec<_> = world
        .cluster
        .requests()
        .into_iter()
        .filter(|request| request.method == "POST")
        .collect();
    assert_eq!(made.len(), 1, "once");
    assert!(
        !sidecar.log().contains(ADMINISTRATOR.password),
        "the clusters' password is in the log"
    );
}

#[test]
fn a_database_that_is_not_active_active_is_filled_and_left_alone_afterwards() {
    let cluster = Cluster::start("west.test");
    let target = cluster.database(TARGET, None);
    let world = World::of(cluster, target);
    let source = RedisServer::start();
    source.client().call(&["DEBUG", "POPULATE", "1000"]);
    world.target.manager().call(&["SET", "old", "data"]);
    let sidecar = world.sidecar(&source.url()).start();
    let witness = Witness::of(&world.target);
    let application = Application::start(sidecar.addr("app"));
    let admin = sidecar.admin();
    assert_eq!(admin.migrate().status, 409, "it holds data");
    let confirmed = serde_json::json!({ "confirm_flush": "target" });
    assert_eq!(admin.post("/v1/migrate", &confirmed).status, 202);
    admin.wait_for("can_cut_over", |status| status["can_cut_over"] == true);
    admin.must_cut_over();
    application.writes_on();
    world.finish(admin, witness, application);
    let exist = ["EXISTS", "key:999", "old"];
    assert_eq!(world.target.manager().call(&exist), Reply::Integer(1));
}

/// One of the clusters of `[link.enterprise.create]`.
fn participant(cluster: &Cluster, world: &World) -> Value {
    let mut table = Table::new();
    for (key, value) in [
        ("name", cluster.name().to_owned()),
        ("api", cluster.url()),
        ("username", ADMINISTRATOR.name.to_owned()),
        ("password_file", world.password_file()),
    ] {
        table.insert(key.to_owned(), Value::String(value));
    }
    Value::Table(table)
}

/// A port that nobody listens on, of those that a cluster gives to databases.
fn free_port_of_a_database() -> u16 {
    let own = u16::try_from(std::process::id() % 9_000).unwrap();
    (0..1_000)
        .map(|at| 10_000 + own + at)
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("a free port")
}
