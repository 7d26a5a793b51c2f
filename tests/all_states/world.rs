//! The topology of this test: two servers with the users that sessions are, a sidecar, and the data that was there
//! before.

#![allow(unreachable_pub)] // a module of a test binary

use super::cursors;
use super::kit::{Client, RedisOptions, RedisServer, Sidecar};

/// A migration that is ready to cut over.
pub struct World {
    pub source: RedisServer,
    pub target: RedisServer,
    pub sidecar: Sidecar,
    /// Where the passwords of the credentials mapping are.
    _secrets: tempfile::TempDir,
}

impl World {
    pub fn ready(lanes: &str, server: &RedisOptions) -> World {
        // Two users of different rights beside the default one, and one whose name differs.
        let server = server
            .clone()
            .user("writer on >w ~* &* +@all")
            .user("reader on >r ~* &* +@read +@connection");
        let source = server.clone().user("app on >old ~* &* +@all").start();
        let target = server.user("app2 on >new ~* &* +@all").start();
        cursors::fill(&mut source.client());
        let (secrets, mapping) = mapping();
        let sidecar = Sidecar::new()
            .source(&source)
            .target(&target)
            .set("proxy.lanes", lanes)
            .set("credentials", vec![toml::Value::Table(mapping)])
            // Each line of the log costs what is measured here.
            .set("log.level", "info")
            .start();
        sidecar.admin().migrate_until_ready();
        World {
            source,
            target,
            sidecar,
            _secrets: secrets,
        }
    }

    /// A connection of the application.
    pub fn app(&self) -> Client {
        Client::connect(self.sidecar.addr("app"))
    }
}

/// The user `app` of the source is `app2` on the target.
fn mapping() -> (tempfile::TempDir, toml::Table) {
    let secrets = tempfile::tempdir().unwrap();
    let mut mapping = toml::toml! {
        client_user = "app"
        target_user = "app2"
    };
    for (key, password) in [
        ("client_password_file", "old"),
        ("target_password_file", "new"),
    ] {
        let path = secrets.path().join(key);
        std::fs::write(&path, password).unwrap();
        mapping.insert(key.to_owned(), path.to_string_lossy().into_owned().into());
    }
    (secrets, mapping)
}
