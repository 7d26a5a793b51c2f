//! A replication that Handover has not made.

use super::{RedisServer, Reply, Sidecar, SidecarBuilder};

/// A sidecar between two servers of which the second replicates the first by itself already. The hook that ends that
/// begins with `before`.
pub fn external(source: &RedisServer, target: &RedisServer, before: &str) -> SidecarBuilder {
    let (host, port) = (
        source.addr().ip().to_string(),
        source.addr().port().to_string(),
    );
    let replicate = ["REPLICAOF", &host, &port];
    assert_eq!(target.client().call(&replicate), Reply::ok());
    let end = format!(
        "{before}redis-cli -p {} REPLICAOF NO ONE",
        target.addr().port()
    );
    let hook: Vec<toml::Value> = ["sh", "-c", &end].map(Into::into).to_vec();
    Sidecar::new()
        .source(source)
        .target(target)
        .set("link.driver", "external")
        .set("link.detach_hook", hook)
        .set("cutover.max_pause", "10s")
}
