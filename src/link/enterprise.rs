//! The driver for Redis Enterprise: the target is a database of a cluster, Active-Active or plain, and is told by the
//! cluster's REST API to fill itself from the source (*Replica Of*).
//!
//! The proxy is the write pause here: nothing fences the source, and the database's own endpoint tells no positions. What
//! proves that all has arrived is a marker key in every shard of the source, read on the target; and beside it, where the
//! cluster's version tells positions, that they have reached what the source told after the drain.
//!
//! What the documentation leaves open, and what is done about it:
//!
//! * *Where Replica Of of an Active-Active database is set* (only its console is described): at the one instance that the
//!   configured cluster has of it, `/v1/bdbs/{uid}`, never through `/v1/crdbs`.
//! * *Whether enabling it empties all instances or one*: the database is emptied by a call of its own before, and that is
//!   awaited. Nothing is emptied after it is enabled, since nothing would be sent again.
//! * *Whether a migration's offset is read or applied*: markers are needed whatever it says (`marker = false` is refused).
//! * *Whether one answer of `/v1/migrations` covers several sources*: it counts only where every stream of every source is in
//!   it.
//! * *How `enabled` becomes `disabled`* (not in the documented order of states): ordered, then looked at until it is seen,
//!   with the database `active` again. `stopped` is the cluster's own, and is not taken for it.
//! * *Whether taking the sources away while it runs begins a new full copy* (changing them does): they are taken away only
//!   after it has been seen disabled, and after the commit.
//! * *Which fields of a source are always there*: its status is needed. A lag that is not told is measured, with keys that
//!   are written to the source and read on the target.
//! * *Whether `paused` goes on where it was*: it is taken for broken. Nothing here ever resumes.
//! * *Which key goes to which shard of a Redis Enterprise source*: see `stored`.
//! * *Where a redirect may lead*: see `redirect`.
//! * *Which ACL users an open-source source may be read by*: see `source_url`.
//!
//! Refuses to know: when to do any of it.

mod begin;
mod client;
mod crdb;
mod database;
mod exchange;
mod failure;
mod lenient;
mod master;
mod migration;
mod redirect;
mod report;
mod settings;
mod source_url;
mod sources;
mod stop;
mod stored;
mod told;

use std::time::{Duration, Instant};

use tokio::time::sleep_until;

pub(in crate::link) use self::begin::SOURCES_MAX;
use self::client::{Client, Patience};
use self::database::{Database, find, look};
pub use self::failure::Error;
use self::migration::Migration;
use self::report::Sighting;
pub use self::settings::{Api, Create, Participant, Settings, SourceServer, SourceTls, Sources};
use self::sources::{Source, unseen};
pub(in crate::link) use self::told::Findings;
#[cfg(test)]
pub(in crate::link) use self::told::told_of;
use super::connection::Connections;
use super::probe::Probes;
use super::{
    Abilities, CaughtUp, Direction, Error as LinkError, Generation, Phase, Position, Positions,
    Report, Reverse, functions,
};
use crate::terms::{Lag, Side};
use crate::upstream::Server;

/// The driver's name in the configuration and in `status`.
pub(super) const NAME: &str = "enterprise";

/// What the driver can do.
pub(super) const ABILITIES: Abilities = Abilities {
    prepare: true,
    positions: Positions::BesideMarkers,
    fence: false,
    detach: true,
    reverse: Reverse::ByKeys,
    end_by_hand: "turn Replica Of off for the target in its cluster's console, or send its API PUT /v1/bdbs/UID with \
                  {\"replica_sync\": \"disabled\", \"replica_sources\": []}",
};

/// How long a busy cluster is asked again, where nothing is held meanwhile or something else bounds it.
const BUSY_LIMIT: Duration = Duration::from_secs(30);

/// Between two questions for the position inside the pause: the API is not a database.
const POSITION_EVERY: Duration = Duration::from_millis(20);

/// Between two tries to take the sources away after the commit.
const FORGET_EVERY: Duration = Duration::from_secs(2);

/// What the driver remembers between two orders.
#[derive(Debug)]
pub(super) struct Enterprise {
    settings: Settings,
    /// The target's cluster.
    cluster: Client,
    /// The target, once it is found.
    uid: Option<u64>,
    /// Where its data comes from.
    source: Source,
    /// What the newest look at the migration told; none where the version does not tell.
    migration: Option<Migration>,
    /// Whether the newest look was told positions.
    told: Told,
    /// The full copy that the present attempt stands on, where it is told.
    attempt: Option<Generation>,
    /// The markers of the present attempt.
    markers: Markers,
    /// What tells the lag where the cluster does not.
    probes: Probes,
    /// When the position was asked for last.
    asked_at: Option<Instant>,
    /// When the sources were last ordered away.
    forgotten_at: Option<Instant>,
}

/// What a look was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// Positions of both sides, stream by stream.
    Positions,
    /// No positions, or not all.
    Nothing,
}

/// The markers of one attempt.
#[derive(Debug, Default)]
struct Markers {
    /// What is written in each.
    value: String,
    /// All of them.
    keys: Vec<String>,
    /// Those that have not been read on the target yet.
    unseen: Vec<String>,
}

impl Enterprise {
    pub(super) fn new(settings: Settings, source: &Server, run: String) -> Enterprise {
        Enterprise {
            cluster: Client::new(settings.api.clone()),
            uid: None,
            source: Source::new(&settings, source),
            migration: None,
            told: Told::Nothing,
            attempt: None,
            markers: Markers::default(),
            probes: Probes::new(run),
            asked_at: None,
            forgotten_at: None,
            settings,
        }
    }

    /// One look at the database, its migration and its sources.
    pub(super) async fn observe(
        &mut self,
        connections: &mut Connections,
        direction: Direction,
    ) -> Report {
        let at = Instant::now();
        if let Err(error) = forward(direction) {
            return Report::unknown(at, error.to_string());
        }
        match self.look(connections, at).await {
            Ok((report, _)) => report,
            Err(error) => Report::unknown(at, error.to_string()),
        }
    }

    async fn look(
        &mut self,
        connections: &mut Connections,
        at: Instant,
    ) -> Result<(Report, Database), LinkError> {
        self.told = Told::Nothing;
        let database = self.database(Patience::None).await?;
        let mut written = None;
        self.migration = None;
        if database.replica_sync.as_deref() == Some("enabled") {
            self.migration = migration::ask(&mut self.cluster, database.uid).await?;
            let stream = self.migration.as_ref().and_then(Migration::only_stream);
            written = self
                .source
                .position(connections, &mut self.cluster, stream)
                .await?;
        }
        let mut report = Sighting {
            at,
            database: &database,
            sources_set: self.source.count(),
            migration: self.migration.as_ref(),
            written,
        }
        .report();
        if report.phase == Phase::Streaming && report.lag == Lag::Unknown {
            let lag = self.probes.lag(connections, Direction::FORWARD).await?;
            report.lag = lag.map_or(Lag::Unknown, Lag::Time);
        }
        if report.applied.is_some() {
            self.told = Told::Positions;
        }
        Ok((report, database))
    }

    /// Where the sources are; of no shards where they do not tell.
    pub(super) async fn position(
        &mut self,
        connections: &mut Connections,
        direction: Direction,
    ) -> Result<Position, LinkError> {
        forward(direction)?;
        self.attempt = self.migration.as_ref().and_then(Migration::generation);
        let stream = self.migration.as_ref().and_then(Migration::only_stream);
        let position = self
            .source
            .position(connections, &mut self.cluster, stream)
            .await?;
        Ok(position.unwrap_or(Position { shards: vec![] }))
    }

    /// Whether the target has come to `position`. Where the newest look was told no positions, there is nothing to wait
    /// for: the markers alone are the proof.
    pub(super) async fn caught_up(
        &mut self,
        direction: Direction,
        position: &Position,
    ) -> Result<CaughtUp, LinkError> {
        forward(direction)?;
        if self.told == Told::Nothing {
            return Ok(CaughtUp::Yes);
        }
        if let Some(asked_at) = self.asked_at {
            sleep_until((asked_at + POSITION_EVERY).into()).await;
        }
        self.asked_at = Some(Instant::now());
        let uid = self.uid(Patience::None).await?;
        let Some(migration) = migration::ask(&mut self.cluster, uid).await? else {
            return Ok(CaughtUp::Never(
                "the cluster does not tell the position any more".to_owned(),
            ));
        };
        if migration.generation() != self.attempt {
            return Ok(CaughtUp::Never("a full copy has begun".to_owned()));
        }
        Ok(migration.reached(position))
    }

    /// Stops the replication, and sees it stopped. With `applied`, it is then looked whether what had arrived is still
    /// there: a full copy that began in the last moment has emptied the target.
    pub(super) async fn detach(
        &mut self,
        connections: &mut Connections,
        direction: Direction,
        applied: Option<&Position>,
    ) -> Result<(), LinkError> {
        forward(direction)?;
        let uid = self.uid(Patience::For(BUSY_LIMIT)).await?;
        stop::stop(&mut self.cluster, uid).await?;
        if applied.is_none() {
            return Ok(());
        }
        let target = connections.of(Side::Target);
        let gone = unseen(target, &self.markers.keys, &self.markers.value).await?;
        if !gone.is_empty() {
            return Err(LinkError::NotAppliedAtDetach);
        }
        let migration = migration::ask(&mut self.cluster, uid).await?;
        match migration.and_then(|migration| migration.generation()) {
            // What has ended may not be told any more.
            None => Ok(()),
            now if now == self.attempt => Ok(()),
            Some(_) => Err(LinkError::NotAppliedAtDetach),
        }
    }

    /// Writes the markers of an attempt, after the function libraries: it is not documented that Replica Of carries them.
    pub(super) async fn write_marker(
        &mut self,
        connections: &mut Connections,
        direction: Direction,
        value: &str,
    ) -> Result<(), LinkError> {
        forward(direction)?;
        functions::carry(connections, direction).await?;
        self.markers = Markers::default();
        let keys = self
            .source
            .write_markers(connections, &mut self.cluster, value)
            .await?;
        self.markers = Markers {
            value: value.to_owned(),
            unseen: keys.clone(),
            keys,
        };
        Ok(())
    }

    /// Whether every marker of this value has arrived.
    pub(super) async fn marker_seen(
        &mut self,
        connections: &mut Connections,
        value: &str,
    ) -> Result<bool, LinkError> {
        if self.markers.value != value || self.markers.keys.is_empty() {
            return Ok(false);
        }
        let target = connections.of(Side::Target);
        self.markers.unseen = unseen(target, &self.markers.unseen, value).await?;
        Ok(self.markers.unseen.is_empty())
    }

    /// After the end: whether it stands again, and from where. Sources that are still listed are taken away, so that
    /// nobody starts it by mistake: that empties the target.
    pub(super) async fn watch(
        &mut self,
        connections: &mut Connections,
    ) -> (Report, Option<String>) {
        let at = Instant::now();
        let (report, database) = match self.look(connections, at).await {
            Ok(looked) => looked,
            Err(error) => return (Report::unknown(at, error.to_string()), None),
        };
        let sources = database.sources.as_deref().unwrap_or_default();
        if report.phase != Phase::Detached {
            let places: Vec<_> = sources.iter().map(|it| it.place.as_str()).collect();
            return (report, (!places.is_empty()).then(|| places.join(", ")));
        }
        let due = self
            .forgotten_at
            .is_none_or(|at| at.elapsed() >= FORGET_EVERY);
        if !sources.is_empty() && due {
            self.forgotten_at = Some(Instant::now());
            // Tried again at a later look; `finalize` tells where it never works.
            let _ = stop::forget(&mut self.cluster, database.uid, Patience::None).await;
        }
        (report, None)
    }

    /// Takes the sources away where the replication has ended.
    pub(super) async fn hand_back(&mut self) -> Result<(), Error> {
        let database = self.database(Patience::For(BUSY_LIMIT)).await?;
        let listed = database.sources.as_ref().is_some_and(|it| !it.is_empty());
        if listed && stop::is_stopped(&database) {
            stop::forget(&mut self.cluster, database.uid, Patience::For(BUSY_LIMIT)).await?;
        }
        Ok(())
    }

    /// Whether the target is the source itself.
    pub(super) async fn is_the_source(&mut self, source: &Server) -> Result<bool, Error> {
        let target = self.database(Patience::None).await?;
        if let Source::Stored(stored) = &mut self.source
            && stored.is_beside_the_target()
        {
            return Ok(stored.look(&mut self.cluster).await?.uid == target.uid);
        }
        let servers = self.source.servers(&mut self.cluster, source).await?;
        Ok(servers
            .iter()
            .any(|server| target.is_at(&server.host, server.port)))
    }

    /// The target as it is now.
    async fn database(&mut self, patience: Patience) -> Result<Database, Error> {
        if let Some(uid) = self.uid {
            match look(&mut self.cluster, uid, patience).await {
                // It was deleted, and perhaps made anew under another uid.
                Err(Error::Absent { .. }) => self.uid = None,
                looked => return looked,
            }
        }
        let wanted = &self.settings.database;
        let database = find(&mut self.cluster, wanted, patience)
            .await?
            .ok_or_else(|| Error::NoSuchDatabase {
                api: self.cluster.name().to_owned(),
                wanted: wanted.clone(),
            })?;
        self.uid = Some(database.uid);
        Ok(database)
    }

    async fn uid(&mut self, patience: Patience) -> Result<u64, Error> {
        match self.uid {
            Some(uid) => Ok(uid),
            None => Ok(self.database(patience).await?.uid),
        }
    }
}

/// The cluster copies in one direction only.
fn forward(direction: Direction) -> Result<(), LinkError> {
    match direction.from {
        Side::Source => Ok(()),
        Side::Target => Err(LinkError::NotAble {
            driver: NAME,
            what: "run the other way round",
        }),
    }
}
