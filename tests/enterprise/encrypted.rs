//! A source that is reached over TLS only: the application, by the sidecar, and the cluster, by what it was given.

use crate::kit::{Authority, Certificate, Reply, SidecarBuilder};
use crate::tls_world::Database;
use crate::world::World;

#[test]
fn a_source_that_asks_for_tls_and_for_a_certificate() {
    let tls = Tls::new();
    let world = World::new();
    tls.source
        .server
        .client()
        .call(&["DEBUG", "POPULATE", "1000"]);
    let sidecar = tls.sidecar(&world, "localhost").start();
    world.migrate(&sidecar);
    assert_eq!(
        world.target.manager().call(&["EXISTS", "key:999"]),
        Reply::Integer(1)
    );
    let key = std::fs::read_to_string(&tls.replication.key).unwrap();
    let line = key.lines().nth(1).expect("a line of the key");
    assert!(!sidecar.log().contains(line), "the key is in the log");
}

#[test]
fn a_source_whose_certificate_is_for_another_name_is_not_copied_and_the_reason_is_told() {
    let tls = Tls::new();
    let world = World::new();
    let sidecar = tls.sidecar(&world, "elsewhere.test").any_warning().start();
    let admin = sidecar.admin();
    assert_eq!(admin.migrate().status, 202);
    admin.wait_for("the reason", |status| {
        let error = status["link"]["last_error"].as_str().unwrap_or_default();
        error.contains("not valid for name")
    });
    assert_eq!(admin.status()["can_cut_over"], false);
}

/// A source that is reached over TLS, and asks for a certificate.
struct Tls {
    authority: Authority,
    source: Database,
    shown: Certificate,
    /// What the cluster shows to it.
    replication: Certificate,
}

impl Tls {
    fn new() -> Tls {
        let authority = Authority::new("source");
        let shown = authority.certificate("source");
        Tls {
            source: Database::start_with(&authority, &shown),
            replication: authority.certificate("replication"),
            shown,
            authority,
        }
    }

    fn sidecar(&self, world: &World, server_name: &str) -> SidecarBuilder {
        let own = self.authority.certificate("sidecar");
        let sidecar = self
            .source
            .as_side(world.sidecar("redis://localhost:1"), "source", &own);
        let key = |name: &str| format!("link.enterprise.source_tls.{name}");
        let path = |path: &std::path::Path| path.to_str().unwrap().to_owned();
        sidecar
            .set(&key("server_cert"), path(&self.shown.cert))
            .set(&key("client_cert"), path(&self.replication.cert))
            .set(&key("client_key"), path(&self.replication.key))
            .set(&key("server_name"), server_name)
    }
}
