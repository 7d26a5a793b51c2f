//! Rules about how the two sides are set up towards each other.

use super::{Pair, Verdict};
use crate::link::info::Role;

/// A target with data is flushed by the migration, and only on the operator's word.
pub(super) fn filled_side_empty(pair: &Pair<'_>) -> Verdict {
    let filled = pair.filled;
    match (filled.info.keys(), filled.info.role()) {
        (0, _) => Verdict::ok(format!("{} is empty", filled.name)),
        (keys, Role::Replica(_)) => {
            Verdict::ok(format!("{} holds {keys} keys, as a replica", filled.name))
        }
        (keys, Role::Master | Role::Unknown) => Verdict::warning(
            format!(
                "{} holds {keys} keys, which the migration replaces",
                filled.name
            ),
            format!("confirm with --confirm-flush {}, or empty it", filled.name),
        ),
    }
}

/// Only a master is copied, and only a server that follows nobody else is filled.
pub(super) fn roles(pair: &Pair<'_>) -> Verdict {
    let (copied, filled) = (pair.copied, pair.filled);
    match (copied.info.role(), filled.info.role()) {
        (Role::Master, Role::Master) => Verdict::ok("both sides are masters"),
        (Role::Master, Role::Replica(_))
            if copied.info.text("master_replid") == filled.info.text("master_replid") =>
        {
            Verdict::ok(format!("{} already follows {}", filled.name, copied.name))
        }
        (Role::Master, Role::Replica(upstream)) => Verdict::error(
            format!("{} is a replica of {}", filled.name, upstream.address),
            "end that replication with REPLICAOF NO ONE, or choose another target",
        ),
        (Role::Replica(upstream), _) => Verdict::error(
            format!(
                "{} is itself a replica of {}",
                copied.name, upstream.address
            ),
            "migrate from the master that takes the writes",
        ),
        (Role::Unknown, _) | (_, Role::Unknown) => Verdict::error(
            "a side does not tell its role",
            "INFO replication must be allowed",
        ),
    }
}

/// The way from the filled side to the copied side is not ours, and shows only once the link is tried.
pub(super) fn replication_address(pair: &Pair<'_>) -> Verdict {
    let (copied, filled) = (pair.copied, pair.filled);
    let Some((host, port)) = &copied.replication_address else {
        return Verdict::error(
            format!(
                "{} is configured by a unix socket, which the other side cannot reach",
                copied.name
            ),
            "set its replication_address to the host:port at which the other side reaches it",
        );
    };
    if is_loopback(host) && !filled.host.as_deref().is_none_or(is_loopback) {
        return Verdict::warning(
            format!(
                "{} is told to reach {} at {host}:{port}, which there means itself",
                filled.name, copied.name
            ),
            "set replication_address to the host:port at which the other side reaches it",
        );
    }
    Verdict::ok(format!(
        "{} is told to reach {} at {host}:{port}; whether it can shows when the link is tried",
        filled.name, copied.name
    ))
}

/// The user handed to the filled side must be allowed to replicate.
pub(super) fn replication_rights(pair: &Pair<'_>) -> Verdict {
    match &pair.copied.replication_refused {
        None => Verdict::ok("nothing speaks against the right to replicate"),
        Some(text) => Verdict::error(
            format!("{}: {text}", pair.copied.name),
            "grant the user +psync +replconf +ping",
        ),
    }
}

/// `CLIENT PAUSE … WRITE` came with Redis 6.2.
pub(super) fn fence(pair: &Pair<'_>) -> Verdict {
    let copied = pair.copied;
    match super::sameness::version(&copied.info, "redis_version") {
        Some(version) if version >= (6, 2) => {
            Verdict::ok(format!("{} can be closed to other writers", copied.name))
        }
        Some((major, minor)) => Verdict::error(
            format!(
                "{} has version {major}.{minor}, which cannot pause writers alone",
                copied.name
            ),
            "upgrade the source to 6.2 or newer first",
        ),
        None => Verdict::warning(
            format!(
                "{} does not tell its version, so whether it can pause writers is not known",
                copied.name
            ),
            "CLIENT PAUSE … WRITE must be there, as in Redis 6.2 and newer",
        ),
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}
