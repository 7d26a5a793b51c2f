//! A migration that an application runs through, and the account of what the application wrote.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::SocketAddr;

use serde::Deserialize;

use crate::connections::connected_to;
use crate::kit::{
    Client, LIMIT, RedisOptions, RedisServer, Reply, Sidecar, eventually, newer_servers,
};

/// Source, target, and a sidecar that is ready to cut over.
pub(crate) struct World {
    source: RedisServer,
    target: RedisServer,
    sidecar: Sidecar,
}

/// What an application says that it wrote.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Account {
    /// How often was written under each name: so far has a counter come, so long is a list, of 0, 1, 2 and so on.
    pub(crate) written: BTreeMap<String, i64>,
    /// Messages of each stream, all of them handled and acknowledged.
    pub(crate) streams: BTreeMap<String, i64>,
}

/// The newest server of a product (`redis`, `valkey`) that the set-up found for this platform. Where it found none,
/// the test says so and ends.
pub(crate) fn newer(product: &str) -> Option<RedisOptions> {
    let found = newer_servers()
        .into_iter()
        .find(|(name, _)| name.starts_with(product))
        .map(|(_, program)| RedisServer::options().program(program));
    if found.is_none() {
        let _ = writeln!(
            std::io::stderr(),
            "skipped: no newer {product} for this platform"
        );
    }
    found
}

impl World {
    /// Between two of the system's servers.
    pub(crate) fn new() -> World {
        World::between(RedisServer::start(), RedisServer::start())
    }

    pub(crate) fn without_lanes() -> World {
        World::with(RedisServer::start(), RedisServer::start(), "off")
    }

    pub(crate) fn between(source: RedisServer, target: RedisServer) -> World {
        World::with(source, target, "auto")
    }

    fn with(source: RedisServer, target: RedisServer, lanes: &str) -> World {
        let sidecar = Sidecar::new()
            .source(&source)
            .target(&target)
            .set("proxy.lanes", lanes)
            .start();
        sidecar.admin().migrate_until_ready();
        World {
            source,
            target,
            sidecar,
        }
    }

    /// Where applications connect.
    pub(crate) fn address(&self) -> SocketAddr {
        self.sidecar.addr("app")
    }

    /// The applications' connections.
    pub(crate) fn connections(&self) -> BTreeSet<u64> {
        connected_to(self.address())
    }

    /// None of these connections has been closed.
    pub(crate) fn must_still_have(&self, connected: &BTreeSet<u64>) {
        assert!(connected.len() > 1, "none were seen: {connected:?}");
        let now = self.connections();
        let closed: Vec<_> = connected.difference(&now).collect();
        assert!(closed.is_empty(), "{closed:?} of {connected:?} were closed");
    }

    /// A connection to the target, past the sidecar.
    pub(crate) fn target(&self) -> Client {
        self.target.client()
    }

    /// Waits until so many clients are blocked, as the source counts them.
    pub(crate) fn wait_for_blocked(&self, clients: usize) {
        let mut blocked = None;
        let came = eventually(LIMIT, || {
            blocked = self.source.info("clients", "blocked_clients");
            blocked == Some(clients.to_string())
        });
        assert!(came, "{blocked:?} are blocked");
    }

    pub(crate) fn cut_over(&self) {
        let admin = self.sidecar.admin();
        admin.wait_for("can_cut_over", |status| status["can_cut_over"] == true);
        admin.must_cut_over();
        let role = |server: &RedisServer| server.info("replication", "role").unwrap();
        assert_eq!(
            (role(&self.source).as_str(), role(&self.target).as_str()),
            ("slave", "master")
        );
    }

    /// Every counter and list is on the target as the application wrote it, in order; every message was acknowledged.
    pub(crate) fn check_account(&self, account: &Account) {
        assert!(account.written.len() >= 5, "{account:?}");
        let mut target = self.target();
        for (name, written) in &account.written {
            let expected: Vec<String> = (0..*written).map(|number| number.to_string()).collect();
            let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
            let list = target.call(&["LRANGE", &format!("list:{name}"), "0", "-1"]);
            assert!(
                list == Reply::bulks(&expected),
                "list:{name} is not 0 to {written}: {list:?}"
            );
            let count = target.call(&["GET", &format!("count:{name}")]).number();
            assert_eq!(count, *written, "count:{name}");
        }
        for (name, handled) in &account.streams {
            assert_eq!(target.call(&["XLEN", name]), Reply::Integer(*handled));
            let Reply::Array(pending) = target.call(&["XPENDING", name, "workers"]) else {
                panic!("no array")
            };
            assert_eq!(pending[0], Reply::Integer(0), "{name}: not acknowledged");
        }
    }
}
