//! A replica that follows its primary through the proxy: a copy, the stream behind it, and a new copy after the cutover.

use std::time::Duration;

use crate::kit::{Client, Listener, RedisServer, Reply, Sidecar, eventually};

const LONG: Duration = Duration::from_secs(20);

fn has(server: &RedisServer, key: &str, value: &str) -> bool {
    server.client().call(&["GET", key]) == Reply::bulk(value)
}

#[test]
fn a_replica_follows_through_the_proxy_and_over_the_cutover() {
    for lanes in ["auto", "off"] {
        let (source, target) = (RedisServer::start(), RedisServer::start());
        let sidecar = Sidecar::new()
            .source(&source)
            .target(&target)
            .set("proxy.lanes", lanes)
            .start();
        let mut app = Client::connect(sidecar.addr("app"));
        // More than fits into one read, or into what a session may have waiting.
        for number in 0..20 {
            app.call(&["SET", &format!("large:{number}"), &"x".repeat(1 << 20)]);
        }
        app.call(&["SET", "k", "copied"]);
        let port = sidecar.addr("app").port().to_string();
        let replica = RedisServer::options()
            .arguments(&["--replicaof", "127.0.0.1", &port])
            .start();
        assert!(eventually(LONG, || has(&replica, "k", "copied")));
        app.call(&["SET", "k", "streamed"]);
        assert!(eventually(LONG, || has(&replica, "k", "streamed")));
        sidecar.admin().migrate_until_ready();
        sidecar.admin().must_cut_over();
        app.call(&["SET", "k", "moved"]);
        assert!(eventually(LONG, || has(&replica, "k", "moved")));
        assert_eq!(replica.client().call(&["DBSIZE"]), Reply::Integer(21));
    }
}

#[test]
fn a_replicas_connection_takes_no_commands() {
    let (source, target) = (RedisServer::start(), RedisServer::start());
    let sidecar = Sidecar::new()
        .source(&source)
        .target(&target)
        .listener("app", Listener::new())
        .listener("readonly", Listener::new().writes("refuse"))
        .start();
    let mut replica = Client::connect(sidecar.addr("app"));
    replica.send(&["PSYNC", "?", "-1"]);
    replica.send(&["SET", "k", "v"]);
    replica.read_to_close();
    assert_eq!(source.client().call(&["EXISTS", "k"]), Reply::Integer(0));
    let mut refused = Client::connect(sidecar.addr("readonly"));
    assert!(refused.call(&["PSYNC", "?", "-1"]).is_error("READONLY"));
    assert!(refused.call(&["SYNC"]).is_error("READONLY"));
}

#[test]
fn wait_is_about_the_sessions_own_writes_whichever_connection_they_took() {
    for lanes in ["auto", "off"] {
        let (source, target) = (RedisServer::start(), RedisServer::start());
        let port = source.addr().port().to_string();
        let replica = RedisServer::options()
            .arguments(&["--replicaof", "127.0.0.1", &port])
            .start();
        let sidecar = Sidecar::new()
            .source(&source)
            .target(&target)
            .set("proxy.lanes", lanes)
            .start();
        let mut app = Client::connect(sidecar.addr("app"));
        app.call(&["SET", "k", "1"]);
        assert!(eventually(LONG, || has(&replica, "k", "1")));
        assert_eq!(app.call(&["WAIT", "1", "5000"]), Reply::Integer(1));
        // A replica that takes nothing in cannot have what is written now, by whichever connection.
        replica.stop();
        let mut fresh = Client::connect(sidecar.addr("app"));
        for session in [&mut app, &mut fresh] {
            assert_eq!(session.call(&["SET", "k", "2"]), Reply::ok());
            assert_eq!(session.call(&["WAIT", "1", "50"]), Reply::Integer(0));
        }
        replica.cont();
        assert_eq!(fresh.call(&["WAIT", "1", "5000"]), Reply::Integer(1));
    }
}
