//! Rules about a Redis Enterprise target: what its cluster tells of it, and what an Active-Active database is not.

use super::{Pair, Verdict, capacity, oss_cluster};
use crate::link::enterprise::Findings;
use crate::link::enterprise::SOURCES_MAX;

/// Before it, what copies into an Active-Active database dies in a full copy.
const VERSION_MIN: [u32; 3] = [6, 2, 10];

/// An Active-Active database keeps more of each key than its value.
const MEMORY_FACTOR: u64 = 2;

/// Connections kept free for people and control work.
const SPARE_CLIENTS: u64 = 32;

/// Modules, by the names that servers give them, whose types an Active-Active database does not have.
const NOT_ON_ACTIVE_ACTIVE: [&str; 3] = ["bf", "timeseries", "vectorset"];

/// What every rule of this room sees.
pub(super) struct Case<'a> {
    /// Both sides, as they tell by themselves.
    pub(super) pair: &'a Pair<'a>,
    /// What the cluster tells.
    pub(super) told: &'a Findings,
}

/// A check by its name.
pub(super) type Rule = (&'static str, fn(&Case<'_>) -> Verdict);

/// All of them.
pub(super) const RULES: [Rule; 17] = [
    ("cluster_version", version),
    ("target_database", database),
    ("not_the_same_server", not_the_source),
    ("replica_of", replica_of),
    ("peers", peers),
    ("sources", sources),
    ("source_kind", source_kind),
    ("oss_cluster", oss_cluster::of_several),
    ("source_encryption", encryption),
    ("positions", positions),
    ("databases", databases),
    ("memory", memory),
    ("eviction", eviction),
    ("maxclients", clients),
    ("modules", modules),
    ("not_carried_over", not_carried_over),
    ("read_only_target", read_only_target),
];

fn version(case: &Case<'_>) -> Verdict {
    let [major, minor, patch] = VERSION_MIN;
    match case.told.version {
        Some(version) if version >= VERSION_MIN => {
            Verdict::ok(format!("the cluster has version {}", dotted(version)))
        }
        Some(version) => Verdict::error(
            format!(
                "the cluster at {} has version {}, and Replica Of into an Active-Active database needs {major}.{minor}.{patch}",
                case.told.api,
                dotted(version)
            ),
            "upgrade the cluster first",
        ),
        None => Verdict::warning(
            format!("the cluster at {} does not tell its version", case.told.api),
            format!("see that it is {major}.{minor}.{patch} or newer"),
        ),
    }
}

fn dotted([major, minor, patch]: [u32; 3]) -> String {
    format!("{major}.{minor}.{patch}")
}

fn database(case: &Case<'_>) -> Verdict {
    let target = &case.told.target;
    let kind = if target.is_active_active() {
        "an Active-Active database"
    } else {
        "a plain database"
    };
    let described = format!("{} (uid {}) is {kind}", target.name, target.uid);
    match target.status.as_deref() {
        Some("active") => Verdict::ok(described),
        status => Verdict::error(
            format!(
                "{described} whose status is {}",
                status.unwrap_or("not told")
            ),
            "wait until the cluster has finished with it, or see its console",
        ),
    }
}

fn not_the_source(case: &Case<'_>) -> Verdict {
    if case.told.is_the_source {
        Verdict::error(
            format!("{} is the source itself", case.told.target.name),
            "check database and the source in [link.enterprise]: it would be emptied",
        )
    } else {
        Verdict::ok("source and target are two databases")
    }
}

/// Only our own replication may fill it.
fn replica_of(case: &Case<'_>) -> Verdict {
    let target = &case.told.target;
    let sync = target.replica_sync.as_deref();
    if sync == Some("disabled") {
        return Verdict::ok(format!("{} is filled from nowhere", target.name));
    }
    let places: Vec<&str> = target
        .sources
        .iter()
        .flatten()
        .map(|source| source.place.as_str())
        .collect();
    let ours = case.told.sources.as_ref().is_ok_and(|ours| {
        ours.len() == places.len() && ours.iter().all(|place| places.contains(&place.as_str()))
    });
    match sync {
        Some(_) if ours => Verdict::ok(format!(
            "{} is filled from {}",
            target.name,
            places.join(", ")
        )),
        Some(sync) => Verdict::error(
            format!(
                "Replica Of into {} is {sync}, from {}",
                target.name,
                places.join(", ")
            ),
            "stop it in the cluster's console, if nobody needs it, or choose another target",
        ),
        None => Verdict::error(
            format!("{} does not tell whether Replica Of runs", target.name),
            "see that the user may read the database's configuration",
        ),
    }
}

/// The process that copies into an Active-Active database must reach every peer when it starts, and what it writes goes to
/// all of them.
fn peers(case: &Case<'_>) -> Verdict {
    if !case.told.target.is_active_active() {
        return Verdict::ok("there are no other instances");
    }
    match &case.told.peers {
        Some(peers) if peers.down.is_empty() => {
            Verdict::ok(format!("{} links to other instances are up", peers.up))
        }
        Some(peers) => Verdict::error(
            format!(
                "not every instance is in touch with the others: {}",
                peers.down.join(", ")
            ),
            "see the clusters' consoles and the network between them; the copy needs them all",
        ),
        None => Verdict::warning(
            "the cluster does not tell whether the other instances are up",
            "see in the console that every instance is in sync",
        ),
    }
}

fn sources(case: &Case<'_>) -> Verdict {
    match &case.told.sources {
        Ok(places) if places.len() > SOURCES_MAX => Verdict::error(
            format!(
                "there are {} sources, and a database takes {SOURCES_MAX}",
                places.len()
            ),
            "merge shards of the source first",
        ),
        Ok(places) if case.told.named_user => Verdict::warning(
            format!(
                "{} is read by an ACL user with a name, which is not documented for an open-source server",
                places.join(", ")
            ),
            "where the cluster cannot log in, use the default user's password in source_url",
        ),
        Ok(places) => Verdict::ok(format!(
            "{}; whether the cluster can reach it shows when it is tried",
            places.join(", ")
        )),
        Err(error) => Verdict::error(
            error.to_string(),
            "put right what [link.enterprise] says of the source",
        ),
    }
}

/// A Redis Enterprise source must be known as one: how many shards it has cannot be seen through its endpoint.
fn source_kind(case: &Case<'_>) -> Verdict {
    let copied = case.pair.copied;
    let says_so = copied.info.text("rlec_version").is_some();
    match (&case.told.source, says_so) {
        (Some(source), _) => Verdict::ok(format!(
            "{} is {} of Redis Enterprise, with {} shards",
            copied.name,
            source.name,
            source.shards.map_or_else(
                || "an unknown number of".to_owned(),
                |shards| shards.to_string()
            )
        )),
        (None, true) => Verdict::error(
            format!("{} is a Redis Enterprise database", copied.name),
            "name it as source_database, with [link.enterprise.source_cluster] where it is on another cluster: a marker \
             must go into each of its shards",
        ),
        (None, false) => Verdict::ok("the source is a server that tells its own position"),
    }
}

fn encryption(case: &Case<'_>) -> Verdict {
    match (case.told.encrypted, case.pair.copied.is_encrypted) {
        (true, _) => Verdict::ok("the replication is encrypted"),
        (false, false) => Verdict::ok("neither the application nor the replication uses TLS"),
        (false, true) => Verdict::warning(
            "[source] is used over TLS, and the replication travels in the clear, if the source takes that at all",
            "set [link.enterprise.source_tls]",
        ),
    }
}

fn positions(case: &Case<'_>) -> Verdict {
    let running = case.told.target.replica_sync.as_deref() == Some("enabled");
    match (case.told.tells_positions, running) {
        (true, _) => Verdict::ok("the cluster tells positions; markers are awaited beside them"),
        (false, true) => Verdict::ok(
            "the cluster tells no positions (versions before 7.22 do not): markers in every shard prove the arrival",
        ),
        (false, false) => Verdict::ok("whether the cluster tells positions shows when it streams"),
    }
}

/// Nothing is merged: a key of database 3 would be another one in database 0.
fn databases(case: &Case<'_>) -> Verdict {
    let others: Vec<_> = case
        .pair
        .copied
        .info
        .databases()
        .filter(|(number, keys)| *number > 0 && *keys > 0)
        .map(|(number, keys)| format!("{number} ({keys} keys)"))
        .collect();
    if others.is_empty() {
        return Verdict::ok("only database 0 is in use");
    }
    Verdict::error(
        format!(
            "{} uses databases {}, and the target has only database 0",
            case.pair.copied.name,
            others.join(", ")
        ),
        "give the keys of each other database a prefix, or a target of its own, before the migration",
    )
}

fn memory(case: &Case<'_>) -> Verdict {
    let copied = case.pair.copied;
    let target = &case.told.target;
    let Some(used) = copied.info.number::<u64>("used_memory") else {
        return Verdict::warning(
            format!("{} does not tell how much memory it uses", copied.name),
            "see that the target has twice as much",
        );
    };
    let needed = if target.is_active_active() {
        used.saturating_mul(MEMORY_FACTOR)
    } else {
        used.saturating_add(used / 10)
    };
    match target.memory_bytes {
        // No limit.
        Some(0) => Verdict::ok(format!("room for {needed} bytes")),
        Some(limit) if limit < needed => Verdict::error(
            format!(
                "{} may use {limit} bytes, and about {needed} are needed (keys neither expire nor are evicted there while \
                 it is filled)",
                target.name
            ),
            format!(
                "raise its memory limit to {needed} bytes or more, on every participating cluster"
            ),
        ),
        Some(_) => Verdict::ok(format!("room for {needed} bytes")),
        None => Verdict::warning(
            format!("{} does not tell its memory limit", target.name),
            format!("see that it is {needed} bytes or more"),
        ),
    }
}

/// The API writes the policies as Redis does.
fn eviction(case: &Case<'_>) -> Verdict {
    let copied = case.pair.copied.info.text("maxmemory_policy");
    match (copied, case.told.target.eviction.as_deref()) {
        (Some(one), Some(other)) if one == other => Verdict::ok(format!("{one} on both sides")),
        (Some(one), Some(other)) => Verdict::warning(
            format!(
                "the eviction policy is {one} on {} and {other} on {}",
                case.pair.copied.name, case.told.target.name
            ),
            "set it alike, or keys go, or writes fail, that did not before",
        ),
        (None, _) | (_, None) => Verdict::warning(
            "a side does not tell its eviction policy",
            "see that it is the same on both",
        ),
    }
}

fn clients(case: &Case<'_>) -> Verdict {
    let needed = case.pair.sessions + SPARE_CLIENTS;
    match case.told.target.clients_max {
        // No limit.
        Some(0) => Verdict::ok("connections are not limited"),
        Some(limit) if limit < needed => Verdict::error(
            format!(
                "{} takes {limit} connections, and {needed} may be needed",
                case.told.target.name
            ),
            format!("raise its maxclients to {needed} or more"),
        ),
        Some(limit) => Verdict::ok(format!(
            "{limit} connections allowed, {needed} may be needed"
        )),
        None => capacity::maxclients(case.pair),
    }
}

fn modules(case: &Case<'_>) -> Verdict {
    let copied = case.pair.copied;
    let Some(loaded) = &copied.modules else {
        return Verdict::warning(
            format!("{} does not tell its modules", copied.name),
            "see that the target has every module whose types or commands are in use",
        );
    };
    let target = &case.told.target;
    let has = |name: &str| {
        let same = |module: &String| module.eq_ignore_ascii_case(name);
        target.modules.iter().any(same)
            || case
                .pair
                .filled
                .modules
                .as_ref()
                .is_some_and(|modules| modules.iter().any(same))
    };
    let impossible = |name: &str| {
        target.is_active_active()
            && NOT_ON_ACTIVE_ACTIVE
                .iter()
                .any(|module| name.eq_ignore_ascii_case(module))
    };
    let mut never: Vec<&str> = vec![];
    let mut missing: Vec<&str> = vec![];
    for name in loaded {
        if impossible(name) {
            never.push(name);
        } else if !has(name) {
            missing.push(name);
        }
    }
    never.sort_unstable();
    missing.sort_unstable();
    match (never.as_slice(), missing.as_slice()) {
        ([], []) => Verdict::ok("no module is missing"),
        ([], missing) => Verdict::warning(
            format!(
                "{} is not known to have the modules {}",
                target.name,
                missing.join(", ")
            ),
            "create the target with them if any key is of their types: the copy stops at the first one",
        ),
        (never, _) => Verdict::warning(
            format!(
                "an Active-Active database does not have the types of {}",
                never.join(", ")
            ),
            "see that no key of theirs is left on the source before the migration: the copy stops at the first one",
        ),
    }
}

fn not_carried_over(_: &Case<'_>) -> Verdict {
    Verdict::warning(
        "Replica Of carries keys: not settings (CONFIG SET), users and their rights, certificates, search indexes, nor, to \
         the other instances, scripts and functions",
        "set them on every participating cluster before the cutover; [[credentials]] maps passwords that differ",
    )
}

fn read_only_target(case: &Case<'_>) -> Verdict {
    Verdict::warning(
        format!(
            "{} takes writes while it is filled, and what is written there, in any region, is lost or stops the copy",
            case.told.target.name
        ),
        "until the cutover let applications use it through a listener with writes = \"refuse\" only, or as a user that only \
         reads: on every participating cluster a role (management none) with the Redis ACL \"Read Only\" (+@read ~*) on \
         this database, by Access Control in the console or /v1/roles, /v1/redis_acls and the database's \
         roles_permissions; give the default user a password that nobody else has; the users of [target] and \
         [[credentials]] keep full rights",
    )
}

#[cfg(test)]
mod tests;
