//! The replication from one side to the other, and the drivers that control it. Every method takes the direction, since
//! a rollback runs the same protocol with the sides exchanged.
//!
//! Refuses to know: sessions, the gate, the cutover's state.

mod abilities;
mod connection;
pub mod enterprise;
mod external;
mod failure;
mod follow;
pub mod functions;
mod info;
mod keys;
mod marker;
pub mod preflight;
mod probe;
mod replicaof;
mod report;
mod sides;
mod vigil;
mod writers;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

pub use self::abilities::{Abilities, Positions, Reverse};
use self::connection::Connections;
use self::enterprise::Enterprise;
use self::external::External;
pub use self::failure::Error;
use self::keys::Keys;
pub use self::marker::MARKER_KEY;
pub use self::report::{CaughtUp, Generation, Phase, Position, Report, ShardPosition};
use self::vigil::Vigil;
pub use self::vigil::{LeftSide, Watched};
pub use self::writers::OtherClient;
use crate::terms::Side;
use crate::upstream::Server;

/// Which way data flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Direction {
    /// The side that is copied.
    pub from: Side,
}

impl Direction {
    /// Source to target: the migration itself.
    pub const FORWARD: Direction = Direction { from: Side::Source };
    /// Target to source: the way back.
    pub const REVERSE: Direction = Direction { from: Side::Target };

    /// The side that is filled.
    #[must_use]
    pub const fn to(self) -> Side {
        self.from.other()
    }
}

/// How long control requests of a driver may take, each.
pub const REQUEST_LIMIT: Duration = Duration::from_secs(2);

/// Which driver, and what it needs beyond the two servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settings {
    /// The filled side is Redis, Valkey or `KeyDB`, told so by REPLICAOF.
    ReplicaOf,
    /// The target is a database of a Redis Enterprise cluster, which fills it.
    Enterprise(Box<enterprise::Settings>),
    /// Something else replicates; progress is seen by marker keys only.
    External {
        /// A command that ends the replication (program and arguments); without one the operator does.
        detach_hook: Option<Vec<String>>,
    },
}

/// The link between the two sides. Control connections are opened when first needed and kept warm; after a failure they
/// are opened again.
///
/// Cancel safety: an order whose future was dropped may or may not have been carried out; the link stays usable.
#[derive(Debug)]
pub struct Link {
    /// The way to both sides.
    connections: Connections,
    /// What replicates, and how it is told.
    driver: Driver,
    /// What is counted between two looks.
    vigil: Vigil,
    /// The way back of a driver that cannot be turned.
    keys: Keys,
    /// Keeps markers of an earlier run apart from ours.
    run: String,
}

#[derive(Debug)]
enum Driver {
    ReplicaOf,
    Enterprise(Box<Enterprise>),
    External(External),
}

impl Link {
    /// A link that has not been looked at yet. Nothing is connected.
    pub fn new(settings: Settings, source: Server, target: Server) -> Link {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let run = format!("{}-{}", std::process::id(), since_epoch.as_nanos());
        Link {
            keys: Keys::new(source.clone(), target.clone(), run.clone()),
            driver: match settings {
                Settings::ReplicaOf => Driver::ReplicaOf,
                Settings::Enterprise(settings) => {
                    let driver = Enterprise::new(*settings, &source, run.clone());
                    Driver::Enterprise(Box::new(driver))
                }
                Settings::External { detach_hook } => {
                    Driver::External(External::new(detach_hook, run.clone()))
                }
            },
            connections: Connections::new(source, target),
            vigil: Vigil::default(),
            run,
        }
    }

    /// The driver's name as the configuration writes it.
    pub fn driver_name(&self) -> &'static str {
        match self.driver {
            Driver::ReplicaOf => "replicaof",
            Driver::Enterprise(_) => enterprise::NAME,
            Driver::External(_) => external::NAME,
        }
    }

    /// What the link can do in a direction.
    pub fn abilities(&self, direction: Direction) -> Abilities {
        if self.is_by_keys(direction) {
            return keys::ABILITIES;
        }
        match &self.driver {
            Driver::ReplicaOf => replicaof::ABILITIES,
            Driver::Enterprise(_) => enterprise::ABILITIES,
            Driver::External(external) => external.abilities(),
        }
    }

    /// Makes the target where it does not exist yet and the configuration describes it: before anything else is asked about
    /// it, on the word of the operator who migrates.
    pub async fn provide(&mut self) -> Result<(), Error> {
        match &mut self.driver {
            Driver::Enterprise(enterprise) => Ok(enterprise.provide().await?),
            Driver::ReplicaOf | Driver::External(_) => Ok(()),
        }
    }

    /// Starts the link. With the drivers that can, everything on the filled side is replaced by the full copy that
    /// follows: the caller has the operator's word for it.
    pub async fn prepare(&mut self, direction: Direction) -> Result<(), Error> {
        match &mut self.driver {
            Driver::ReplicaOf => replicaof::prepare(&mut self.connections, direction).await,
            Driver::Enterprise(enterprise) => Ok(enterprise.prepare(&mut self.connections).await?),
            Driver::External(_) => Err(self.not_able("start the replication")),
        }
    }

    /// One look at the link. What is not known is `Unknown` or `None`, with the reason in `last_error`.
    pub async fn observe(&mut self, direction: Direction) -> Report {
        if self.is_by_keys(direction) {
            return self.keys.observe(&mut self.connections).await;
        }
        match &mut self.driver {
            Driver::ReplicaOf => replicaof::observe(&mut self.connections, direction).await,
            Driver::Enterprise(enterprise) => {
                enterprise.observe(&mut self.connections, direction).await
            }
            Driver::External(external) => external.observe(&mut self.connections, direction).await,
        }
    }

    /// Where the copied side is now: one round trip.
    pub async fn position(&mut self, direction: Direction) -> Result<Position, Error> {
        if self.is_by_keys(direction) {
            return self.keys.position(&mut self.connections).await;
        }
        match &mut self.driver {
            Driver::ReplicaOf => replicaof::position(&mut self.connections, direction).await,
            Driver::Enterprise(enterprise) => {
                enterprise.position(&mut self.connections, direction).await
            }
            Driver::External(_) => Err(self.not_able("tell positions")),
        }
    }

    /// Whether the filled side has applied everything up to `position`: one round trip.
    pub async fn caught_up(
        &mut self,
        direction: Direction,
        position: &Position,
    ) -> Result<CaughtUp, Error> {
        if self.is_by_keys(direction) {
            return self.keys.caught_up(position);
        }
        match &mut self.driver {
            Driver::Enterprise(enterprise) => enterprise.caught_up(direction, position).await,
            Driver::ReplicaOf => {
                replicaof::caught_up(&mut self.connections, direction, position).await
            }
            Driver::External(_) => Err(self.not_able("tell positions")),
        }
    }

    /// Closes the copied side to every writer, those that bypass the proxy and this link's markers included, for
    /// `duration`: it ends by itself. One round trip.
    pub async fn fence(&mut self, direction: Direction, duration: Duration) -> Result<(), Error> {
        match self.driver {
            Driver::ReplicaOf => replicaof::fence(&mut self.connections, direction, duration).await,
            Driver::Enterprise(_) | Driver::External(_) => {
                Err(self.not_able("fence the copied side"))
            }
        }
    }

    /// Lifts the fence. The server lifts every pause with it, by whomever it was made. One round trip.
    pub async fn unfence(&mut self, direction: Direction) -> Result<(), Error> {
        match self.driver {
            Driver::ReplicaOf => replicaof::unfence(&mut self.connections, direction).await,
            Driver::Enterprise(_) | Driver::External(_) => {
                Err(self.not_able("fence the copied side"))
            }
        }
    }

    /// Ends the link, and sees it ended. One round trip with the `replicaof` driver. After an error that is
    /// [`NoReply`](crate::upstream::control::Error::NoReply) it may have ended.
    ///
    /// With `applied`, which only a driver that knows positions looks at, it is an error if the filled side does not
    /// stand on that position any more in the moment in which the link ends, as after the beginning of a full copy;
    /// the link has ended all the same.
    pub async fn detach(
        &mut self,
        direction: Direction,
        applied: Option<&Position>,
    ) -> Result<(), Error> {
        if self.is_by_keys(direction) {
            return self.keys.end().await;
        }
        // What is written to the filled side from now on is to be copied back, where the driver cannot be turned.
        let keys = &mut self.keys;
        match &mut self.driver {
            Driver::ReplicaOf => replicaof::detach(&mut self.connections, direction, applied).await,
            Driver::Enterprise(enterprise) => {
                let end = enterprise.detach(&mut self.connections, direction, applied);
                let ((), ended) = tokio::join!(keys.note(), end);
                ended
            }
            Driver::External(external) => {
                let ((), ended) = tokio::join!(keys.note(), external.detach());
                ended
            }
        }
    }

    /// After the link of `direction` was detached: runs it the other way round, which fences the side that was copied
    /// for good, and lifts that side's pause. It goes on from where the two stand; only where the copied side's stream
    /// moved on after the detach (a ping to another replica, a writer that bypasses) does a full copy follow, which
    /// [`Link::observe`] of the opposite direction shows. A driver that cannot be turned has changed keys copied back
    /// instead, which fences nothing.
    pub async fn reverse(&mut self, direction: Direction) -> Result<(), Error> {
        match self.driver {
            Driver::ReplicaOf => replicaof::reverse(&mut self.connections, direction).await,
            Driver::Enterprise(_) | Driver::External(_) if direction == Direction::FORWARD => {
                self.keys.copy().await;
                Ok(())
            }
            Driver::Enterprise(_) | Driver::External(_) => {
                Err(self.not_able("run the other way round"))
            }
        }
    }

    /// Writes [`MARKER_KEY`] to the copied side. Must come before the fence, which would hold it. Where the replication
    /// knows only keys, function libraries are carried over first.
    pub async fn write_marker(&mut self, direction: Direction, value: &str) -> Result<(), Error> {
        if self.is_by_keys(direction) {
            return Ok(marker::write(&mut self.connections, direction, MARKER_KEY, value).await?);
        }
        match &mut self.driver {
            Driver::ReplicaOf => {}
            Driver::External(_) => functions::carry(&mut self.connections, direction).await?,
            Driver::Enterprise(enterprise) => {
                return enterprise
                    .write_marker(&mut self.connections, direction, value)
                    .await;
            }
        }
        Ok(marker::write(&mut self.connections, direction, MARKER_KEY, value).await?)
    }

    /// Whether [`MARKER_KEY`] on the filled side has this value.
    pub async fn marker_seen(&mut self, direction: Direction, value: &str) -> Result<bool, Error> {
        match &mut self.driver {
            Driver::Enterprise(enterprise) if direction == Direction::FORWARD => {
                enterprise.marker_seen(&mut self.connections, value).await
            }
            Driver::ReplicaOf | Driver::Enterprise(_) | Driver::External(_) => {
                marker::seen(&mut self.connections, direction, value).await
            }
        }
    }

    /// Keys in all databases of a side.
    pub async fn key_count(&mut self, side: Side) -> Result<u64, Error> {
        Ok(sides::key_count(self.connections.of(side)).await?)
    }

    /// Whether a side holds no key in any database.
    pub async fn is_empty(&mut self, side: Side) -> Result<bool, Error> {
        if let (Driver::Enterprise(_), Side::Target) = (&self.driver, side) {
            return Ok(sides::is_empty_by_size(self.connections.of(side)).await?);
        }
        Ok(self.key_count(side).await? == 0)
    }

    /// Whether both sides are one server process.
    pub async fn same_server(&mut self) -> Result<bool, Error> {
        if let Driver::Enterprise(enterprise) = &mut self.driver {
            let source = &self.connections.of(Side::Source).server;
            return Ok(enterprise.is_the_source(source).await?);
        }
        let (source, target) = self.connections.pair(Side::Source);
        let (one, other) = tokio::try_join!(sides::run_id(source), sides::run_id(target))?;
        match (one, other) {
            (Some(one), Some(other)) => Ok(one == other),
            (None, _) | (_, None) => Err(Error::NoRunId),
        }
    }

    /// Sets back on both sides what was set there so that one could follow the other; a side that still follows is left
    /// as it is. What this process does not remember, since another has set it, it does not touch.
    pub async fn hand_back(&mut self) -> Result<(), Error> {
        self.keys.abandon();
        if let Driver::Enterprise(enterprise) = &mut self.driver {
            return Ok(enterprise.hand_back().await?);
        }
        for side in Side::BOTH {
            follow::hand_back(self.connections.of(side)).await?;
        }
        Ok(())
    }

    /// Whether the link in this direction is the copy of changed keys: the way back of a driver that cannot be turned.
    fn is_by_keys(&self, direction: Direction) -> bool {
        direction == Direction::REVERSE && !matches!(self.driver, Driver::ReplicaOf)
    }

    fn not_able(&self, what: &'static str) -> Error {
        Error::NotAble {
            driver: self.driver_name(),
            what,
        }
    }
}
