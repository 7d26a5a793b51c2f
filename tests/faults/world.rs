//! Two servers that keep what they acknowledged through a kill -9, bad roads to both, a sidecar; and the operator, who
//! brings everything back into order after a fault so that the next attempt can begin.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::kit::{Hazard, LIMIT, RedisServer, Sidecar, eventually};

/// The bound of the pause. Short, so that a session that waits longer is told from one on a busy machine.
pub const MAX_PAUSE: Duration = Duration::from_millis(500);
/// The time that the proxy gives a connection to a database.
pub const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// How long everything may take to be in order again: a full copy, and the retries of servers in between.
const RECOVERY: Duration = Duration::from_mins(1);
/// How long the way back may be missing until an operator makes it by hand.
const BY_HAND_AFTER: Duration = Duration::from_secs(2);

/// One of the two databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Source,
    Target,
}

impl Side {
    pub const BOTH: [Side; 2] = [Side::Source, Side::Target];

    pub fn other(self) -> Side {
        match self {
            Side::Source => Side::Target,
            Side::Target => Side::Source,
        }
    }
}

pub struct World {
    pub sidecar: Sidecar,
    servers: [RedisServer; 2],
    roads: [Hazard; 2],
    /// Names the place at which the sidecar dies.
    dies_at: PathBuf,
    _directory: TempDir,
}

impl World {
    /// Migrated, and ready to cut over.
    pub fn ready() -> World {
        // Written to the file before it is acknowledged: kill -9 loses nothing, and nothing waits for a disk.
        let server = RedisServer::options().arguments(&[
            "--appendonly",
            "yes",
            "--appendfsync",
            "no",
            "--auto-aof-rewrite-percentage",
            "0",
        ]);
        let servers = [server.clone().start(), server.start()];
        let roads = [0, 1].map(|side: usize| Hazard::before(servers[side].addr()));
        let directory = tempfile::tempdir().unwrap();
        let dies_at = directory.path().join("dies-at");
        let url = |side: Side| format!("redis://{}", roads[side as usize].addr());
        let address = |side: Side| servers[side as usize].addr().to_string();
        let sidecar = Sidecar::new()
            .set("source.url", url(Side::Source))
            .set("source.name", "source")
            .set("source.replication_address", address(Side::Source))
            .set("target.url", url(Side::Target))
            .set("target.name", "target")
            .set("target.replication_address", address(Side::Target))
            .set("cutover.max_pause", text(MAX_PAUSE))
            .set("cutover.arm_timeout", "3s")
            .set("proxy.connect_timeout", text(CONNECT_TIMEOUT))
            .set(
                "log.level",
                std::env::var("HANDOVER_LEVEL").unwrap_or("info".into()),
            )
            .env("HANDOVER_DIES_AT", dies_at.to_str().unwrap())
            .any_warning()
            .start();
        let mut world = World {
            sidecar,
            servers,
            roads,
            dies_at,
            _directory: directory,
        };
        world.recover().unwrap_or_else(|text| panic!("{text}"));
        world
    }

    pub fn server(&self, side: Side) -> &RedisServer {
        &self.servers[side as usize]
    }

    pub fn road(&self, side: Side) -> &Hazard {
        &self.roads[side as usize]
    }

    /// The side that owns writes, by the sidecar's word.
    pub fn active(&self) -> Side {
        match self.sidecar.admin().status()["active_side"].as_str() {
            Some("source") => Side::Source,
            Some("target") => Side::Target,
            other => panic!("no active side: {other:?}"),
        }
    }

    /// Has the sidecar die by kill -9 at a place of its control path.
    pub fn dies_at(&self, place: &str) {
        std::fs::write(&self.dies_at, place).unwrap();
    }

    /// Ends what can be ended while the attempt is under way.
    pub fn ease(&self) {
        self.dies_at("");
        for road in &self.roads {
            road.heal();
        }
        for server in &self.servers {
            server.cont();
        }
    }

    /// Whether the place that was named has been come to.
    pub fn has_died(&self) -> bool {
        std::fs::read_to_string(&self.dies_at).is_ok_and(|named| named.is_empty())
    }

    /// The places that the sidecar passes while `what` is done.
    pub fn places_of(&self, what: impl FnOnce()) -> Vec<String> {
        let passed = self.dies_at.with_extension("passed");
        std::fs::write(&passed, "").unwrap();
        what();
        let places = std::fs::read_to_string(&passed).unwrap();
        std::fs::remove_file(&passed).unwrap();
        places.lines().map(ToOwned::to_owned).collect()
    }

    /// Ends every fault: roads are good, nobody is frozen, whoever was killed is there again.
    pub fn heal(&mut self) {
        self.ease();
        self.revive();
    }

    fn revive(&mut self) {
        for server in &mut self.servers {
            if server.has_ended() {
                server.restart();
            }
        }
        if self.sidecar.has_ended() {
            self.sidecar.start_again();
        }
    }

    /// As an operator would: until the next change of sides can begin.
    pub fn recover(&mut self) -> Result<(), String> {
        let began = Instant::now();
        let mut last = Value::Null;
        let recovered = eventually(RECOVERY, || {
            // What was killed a moment ago may end only now.
            self.revive();
            let Some(status) = self.sidecar.admin().try_status() else {
                return false;
            };
            last = status;
            let ready = last["can_cut_over"] == true || last["can_roll_back"] == true;
            if !ready {
                self.repair(&last, began.elapsed());
            }
            ready && self.keeps_everything()
        });
        if recovered {
            self.wait_for_the_fence_to_end();
            Ok(())
        } else {
            Err(format!("no order after {RECOVERY:?}: {last:#}"))
        }
    }

    /// A fence that reached a frozen server when nobody could lift it any more stands until it ends by itself.
    fn wait_for_the_fence_to_end(&self) {
        let mut past_the_sidecar = self.server(self.active()).client();
        past_the_sidecar.call(&["SET", "nobody is fenced", "1"]);
    }

    fn repair(&self, status: &Value, since: Duration) {
        match status["phase"].as_str() {
            Some("idle" | "rolled_back") => {
                let confirmed = json!({"confirm_flush": "target"});
                // Refused while a server is still loading, say; asked again then.
                let _ = self.sidecar.admin().try_post("/v1/migrate", &confirmed);
            }
            // The old source was killed and has forgotten whom it follows.
            Some("committed") if since > BY_HAND_AFTER => {
                self.follow(Side::Source, Side::Target);
            }
            Some("in_sync" | "syncing") if since > BY_HAND_AFTER => {
                self.start_over(Side::Target, Side::Source);
            }
            _ => {}
        }
    }

    /// The follower is told whom it follows, if it has forgotten.
    fn follow(&self, follower: Side, leader: Side) {
        if self.server(follower).info("replication", "role").as_deref() == Some("master") {
            let port = self.server(leader).addr().port().to_string();
            let mut follower = self.server(follower).client();
            follower.call(&["REPLICAOF", "127.0.0.1", &port]);
        } else {
            self.start_over(follower, leader);
        }
    }

    /// A follower that took another replication id in the very moment in which it became one, which only the DEBUG of a
    /// fault brings about, says so for ever: it begins with a full copy.
    fn start_over(&self, follower: Side, leader: Side) {
        let [one, other] =
            [follower, leader].map(|side| self.server(side).info("replication", "master_replid"));
        if one != other {
            let mut client = self.server(follower).client();
            client.call(&["REPLICAOF", "NO", "ONE"]);
            self.follow(follower, leader);
        }
    }

    /// After a full copy a server writes its file anew; until that is done a kill -9 would lose what it acknowledged.
    fn keeps_everything(&self) -> bool {
        self.servers.iter().all(|server| {
            ["aof_rewrite_in_progress", "aof_rewrite_scheduled"]
                .iter()
                .all(|field| server.info("persistence", field).as_deref() == Some("0"))
        })
    }

    /// Whether both servers hold the same keys with the same values.
    pub fn sides_are_equal(&self) -> bool {
        eventually(LIMIT, || {
            let [one, other] = Side::BOTH.map(|side| {
                self.server(side)
                    .client()
                    .call(&["DEBUG", "DIGEST"])
                    .into_text()
            });
            one == other
        })
    }
}

fn text(duration: Duration) -> String {
    format!("{}ms", duration.as_millis())
}
