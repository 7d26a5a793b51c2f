//! A database of the cluster: a real server that is reached at its endpoint, and refuses there what Redis Enterprise
//! refuses; what the cluster knows of it; and the Replica Of into it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use super::syncer::{Hardship, Source, Syncer, Target};
use crate::kit::{RedisOptions, RedisServer};

/// Who copies from a database, and what the cluster itself is to it.
pub const ADMIN: &str = "admin";
/// What the syncer is to the database that it fills.
pub const SYNCER: &str = "syncer";

/// Commands that no Redis Enterprise database has.
const ABSENT: &[&str] = &[
    "ROLE",
    "REPLICAOF",
    "SLAVEOF",
    "FAILOVER",
    "DEBUG",
    "MOVE",
    "SWAPDB",
    "MIGRATE",
    "SHUTDOWN",
    "SAVE",
    "BGSAVE",
    "BGREWRITEAOF",
    "LASTSAVE",
    "MODULE",
    "RESET",
    "READONLY",
    "READWRITE",
    "ASKING",
    "RESTORE-ASKING",
    "PFDEBUG",
    "PFSELFTEST",
    "SUBSTR",
    "LATENCY",
];
/// Commands that clients are refused, which the cluster itself needs; and parts of commands. Of SELECT only database 0
/// is left. The few settings that CONFIG can reach are refused with all others.
const REFUSED: &[&str] = &[
    "-psync",
    "-sync",
    "-replconf",
    "-select",
    "+select|0",
    "-config",
    "-client|pause",
    "-client|unpause",
    "-client|no-evict",
    "-client|getredir",
    "-acl|setuser",
    "-acl|deluser",
    "-acl|load",
    "-acl|save",
    "-acl|log",
    "-script|debug",
    "-memory|doctor",
    "-memory|stats",
    "-memory|purge",
];
/// The same, on an Active-Active database.
const REFUSED_ON_ACTIVE_ACTIVE: &[&str] = &["-flushall", "-flushdb", "-wait", "-object|encoding"];

/// What a database is made with.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    pub name: String,
    /// Of the clients.
    pub password: Option<String>,
    pub memory_bytes: u64,
    /// Where it listens; a free one if none is given.
    pub port: Option<u16>,
    /// Its place in an Active-Active database.
    pub membership: Option<Membership>,
    /// For a further instance of an Active-Active database: the one it follows. Here it follows it only; what is written
    /// to it does not come back.
    pub follows: Option<Target>,
}

/// One instance of an Active-Active database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    pub guid: String,
    pub replica_id: u32,
}

/// A database.
#[derive(Debug)]
pub struct Database {
    pub uid: u32,
    pub plan: Plan,
    pub server: Arc<RedisServer>,
    /// `authentication_admin_pass`
    pub internal_password: String,
    /// The change that is under way.
    pub change: Option<Change>,
    pub replica_of: ReplicaOf,
    /// The addresses from which the cluster itself has connected to the server.
    pub visits: Arc<Mutex<BTreeSet<SocketAddr>>>,
}

/// A change that is under way.
#[derive(Debug, Clone)]
pub struct Change {
    /// Its `action_uid`.
    pub action: String,
    /// Whether the database's status says so.
    pub shown: Shown,
}

/// See [`Change::shown`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    Yes,
    /// The status is `active` although the change is not done.
    No,
}

/// The values of `replica_sync` that a client may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplicaSync {
    Disabled,
    Enabled,
    Paused,
}

/// The Replica Of into a database.
#[derive(Debug)]
pub struct ReplicaOf {
    pub wanted: ReplicaSync,
    pub sources: Vec<SourceEntry>,
    pub syncer: Option<Syncer>,
    pub hardship: Arc<Hardship>,
    /// When a syncer ended last; nothing has been applied since, unless another has begun.
    pub ended_at: Option<SystemTime>,
}

/// An entry of `replica_sources`.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceEntry {
    pub uid: u32,
    pub uri: String,
    pub source: Source,
    pub compression: u64,
    /// The other fields as they were written.
    pub written: serde_json::Map<String, serde_json::Value>,
}

impl Database {
    /// Starts its server. Blocks.
    pub fn start(uid: u32, plan: Plan) -> Database {
        let internal_password = format!("internal-{}-{:020x}", uid, secret_of(uid));
        let server = server(&plan, &internal_password).start();
        Database {
            uid,
            plan,
            server: Arc::new(server),
            internal_password,
            visits: Arc::default(),
            change: None,
            replica_of: ReplicaOf {
                wanted: ReplicaSync::Disabled,
                sources: Vec::new(),
                syncer: None,
                hardship: Arc::default(),
                ended_at: None,
            },
        }
    }

    /// The server, for the cluster's own work.
    pub fn target(&self) -> Target {
        Target {
            address: self.server.addr(),
            user: SYNCER.to_owned(),
            password: self.internal_password.clone(),
            manager: ADMIN.to_owned(),
            visits: Arc::clone(&self.visits),
        }
    }
}

fn server(plan: &Plan, internal_password: &str) -> RedisOptions {
    let mut options = RedisServer::options();
    let secret = match &plan.password {
        Some(password) => {
            options = options.password(password);
            format!(">{password}")
        }
        None => "nopass".to_owned(),
    };
    let mut refused = REFUSED.join(" ");
    if plan.membership.is_some() {
        refused = format!("{refused} {}", REFUSED_ON_ACTIVE_ACTIVE.join(" "));
    }
    for command in ABSENT {
        options = options.arguments(&["--rename-command", command, ""]);
    }
    options = options.user(&format!("default on {secret} ~* &* +@all {refused}"));
    for user in [ADMIN, SYNCER] {
        options = options.user(&format!("{user} on >{internal_password} ~* &* +@all"));
    }
    if let Some(port) = plan.port {
        options = options.port(port);
    }
    if plan.memory_bytes > 0 {
        options = options.arguments(&["--maxmemory", &plan.memory_bytes.to_string()]);
    }
    if let Some(leader) = &plan.follows {
        let (host, port) = (
            leader.address.ip().to_string(),
            leader.address.port().to_string(),
        );
        options = options
            .arguments(&[
                "--masteruser",
                &leader.manager,
                "--masterauth",
                &leader.password,
            ])
            .arguments(&["--replicaof", &host, &port]);
    }
    options
}

/// Different for each database and process; it guards nothing.
fn secret_of(uid: u32) -> u64 {
    (u64::from(std::process::id()) << 32 | u64::from(uid)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
