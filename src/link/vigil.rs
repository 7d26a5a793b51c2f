//! Who writes past the proxy, and what happens to the two sides once the link has ended: what the operator is warned of.
//!
//! Refuses to know: alarms, the cutover's state.

use std::time::{Duration, Instant};

use super::connection::Connection;
use super::info::{Info, Role};
use super::marker::{self, WATCH_KEY};
use super::writers::{self, OtherClient};
use super::{Direction, Driver, Error, Link, Phase, Report, replicaof};
use crate::terms::Side;

/// Between the two looks at a server's counters that tell whether it is being written to: longer than the pauses of a
/// client that works, short enough for whoever waits.
const RECEIVES_WINDOW: Duration = Duration::from_millis(500);

/// A marker that the other side does not have after so long is taken not to come.
const ARRIVES_WITHIN: Duration = Duration::from_secs(5);

/// What is counted, and seen, between two looks.
#[derive(Debug, Default)]
pub(super) struct Vigil {
    /// By side: how often commands that write had run, those included that this room ran since.
    calls: [Option<u64>; 2],
    /// Number of the next marker of [`Link::watch`].
    next_marker: u64,
    /// When the first one was written.
    first_marker: Option<Instant>,
    /// The newest one seen on the other side, and when it was first seen there.
    arrived: Option<(String, Instant)>,
}

/// Whether it is known which of a side's calls were ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ours {
    Known,
    Unsure,
}

/// A look at the two sides after the end of a link.
#[derive(Debug)]
pub struct Watched {
    /// Whether the link stands again.
    pub again: Report,
    /// Whom the filled side follows, where it says so.
    pub follows: Option<String>,
    /// Whether the side that was left is written to.
    pub left: LeftSide,
}

/// Whether the side that was left is written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeftSide {
    /// It takes no writes: it is a replica that only reads.
    Closed,
    /// Nothing was written between the newest two looks.
    Quiet,
    /// Something was, and not by this process. Says how much, and by whom, as far as can be told.
    Written(String),
    /// It could not be asked, or only once.
    Unknown,
}

impl Link {
    /// How often commands that write have run on a side since it started, those that may only read left out. While
    /// nothing of the proxy writes there, growth between two readings is somebody else.
    pub async fn write_calls(&mut self, side: Side) -> Result<u64, Error> {
        Ok(writers::write_calls(self.connections.of(side)).await?)
    }

    /// The clients of a side that are not this process and whose last command may have written; none where they cannot
    /// be told from this process's.
    pub async fn other_writers(&mut self, side: Side) -> Result<Option<Vec<OtherClient>>, Error> {
        Ok(writers::other_writers(self.connections.of(side)).await?)
    }

    /// After the fence, while nothing of the proxy blocks on the copied side: the writers it holds, for people; none if
    /// there are none. One round trip if there are none.
    pub async fn held_back(&mut self, direction: Direction) -> Result<Option<String>, Error> {
        let held = writers::held_back(self.connections.of(direction.from)).await?;
        Ok((!held.is_empty()).then(|| writers::named(&held)))
    }

    /// Begins to count what others write to a side, while nothing of the proxy writes there.
    pub async fn begin_counting(&mut self, side: Side) -> Result<(), Error> {
        self.vigil.calls[side.index()] = None;
        let (calls, _) = self.calls_of_others(side).await?;
        self.vigil.calls[side.index()] = Some(calls);
        Ok(())
    }

    /// What others have written to a side since the counting began, or since this was asked last; for people. None if
    /// nothing, an error where nobody knows.
    pub async fn counted(&mut self, side: Side) -> Result<Option<String>, Error> {
        let before = self.vigil.calls[side.index()].take();
        let (now, ours) = self.calls_of_others(side).await?;
        self.vigil.calls[side.index()] = Some(now);
        let connection = self.connections.of(side);
        if ours == Ours::Unsure {
            return Err(connection
                .unexpected("INFO", "it counts what was copied back in vain")
                .into());
        }
        match before.and_then(|before| now.checked_sub(before)) {
            Some(0) => Ok(None),
            Some(calls) => Ok(Some(describe(connection, calls).await)),
            None => Err(connection
                .unexpected("INFO", "its counters of commands began anew")
                .into()),
        }
    }

    /// The calls that write of a side, without those of the copy of changed keys, which stands still meanwhile.
    async fn calls_of_others(&mut self, side: Side) -> Result<(u64, Ours), Error> {
        let connection = self.connections.of(side);
        if side == Side::Target {
            return Ok((writers::write_calls(connection).await?, Ours::Known));
        }
        let mut wrote = self.keys.still().await;
        let calls = writers::write_calls(connection).await?;
        let ours = if std::mem::take(&mut wrote.unsure) {
            Ours::Unsure
        } else {
            Ours::Known
        };
        Ok((calls.saturating_sub(wrote.calls), ours))
    }

    /// Whether somebody writes to a side that nothing of the proxy writes to: looks at its counters for a while. For
    /// people, if so. A replica gets what it is sent and is not asked.
    pub async fn receives_writes(&mut self, side: Side) -> Result<Option<String>, Error> {
        let seen = self
            .connections
            .of(side)
            .call(&["INFO", "replication"])
            .await?;
        if let Role::Replica(_) = Info::from_reply(&seen).role() {
            return Ok(None);
        }
        self.begin_counting(side).await?;
        tokio::time::sleep(RECEIVES_WINDOW).await;
        self.counted(side).await
    }

    /// After the end of the link of `direction`: whether it stands again, and whether the side that was left is written
    /// to. Where the link is seen by markers only, one is written to the side that was left if that takes it.
    pub async fn watch(&mut self, direction: Direction) -> Watched {
        let left = self.left_side(direction.from).await;
        match &mut self.driver {
            Driver::Enterprise(enterprise) => {
                let (again, follows) = enterprise.watch(&mut self.connections).await;
                Watched {
                    again,
                    follows,
                    left,
                }
            }
            Driver::ReplicaOf => {
                let again = replicaof::observe(&mut self.connections, direction).await;
                Watched {
                    follows: followed(self.connections.of(direction.to())).await,
                    again,
                    left,
                }
            }
            Driver::External(_) => {
                self.keys.forget_notes();
                let again = match self.marker_arrives(direction).await {
                    Ok(phase) => Report {
                        phase,
                        last_error: None,
                        ..Report::unknown(Instant::now(), String::new())
                    },
                    Err(error) => Report::unknown(Instant::now(), error.to_string()),
                };
                Watched {
                    again,
                    follows: None,
                    left,
                }
            }
        }
    }

    async fn left_side(&mut self, side: Side) -> LeftSide {
        let connection = self.connections.of(side);
        let Ok(seen) = connection.call(&["INFO", "replication"]).await else {
            return LeftSide::Unknown;
        };
        let seen = Info::from_reply(&seen);
        match (seen.role(), seen.number::<u8>("slave_read_only")) {
            (Role::Master, _) => {}
            (Role::Replica(_), Some(1)) => {
                self.vigil.calls[side.index()] = None;
                return LeftSide::Closed;
            }
            // What it is sent is counted with what is written to it.
            (Role::Replica(_) | Role::Unknown, _) => {
                self.vigil.calls[side.index()] = None;
                return LeftSide::Unknown;
            }
        }
        match self.counted(side).await {
            Ok(None) => LeftSide::Quiet,
            Ok(Some(text)) => LeftSide::Written(text),
            Err(_) => LeftSide::Unknown,
        }
    }

    /// Whether what is written to the side that was left still reaches the other.
    async fn marker_arrives(&mut self, direction: Direction) -> Result<Phase, Error> {
        let now = Instant::now();
        let Vigil {
            next_marker,
            first_marker,
            arrived,
            calls,
        } = &mut self.vigil;
        let first = *first_marker.get_or_insert(now);
        let value = format!("{}:{next_marker}", self.run);
        *next_marker += 1;
        let ours = format!("{}:", self.run);
        marker::write(&mut self.connections, direction, WATCH_KEY, &value).await?;
        if let Some(calls) = &mut calls[direction.from.index()] {
            *calls += 1;
        }
        let seen = marker::read(&mut self.connections, direction, WATCH_KEY).await?;
        if let Some(seen) = seen.filter(|seen| seen.starts_with(&ours))
            && arrived.as_ref().is_none_or(|(known, _)| *known != seen)
        {
            *arrived = Some((seen, now));
        }
        Ok(match arrived {
            Some((_, at)) if now.duration_since(*at) < ARRIVES_WITHIN => Phase::Streaming,
            None if now.duration_since(first) < ARRIVES_WITHIN => Phase::Unknown,
            Some(_) | None => Phase::Detached,
        })
    }
}

/// What was written, and by whom.
async fn describe(connection: &mut Connection, calls: u64) -> String {
    let commands = if calls == 1 { "command" } else { "commands" };
    match writers::other_writers(connection).await {
        Ok(Some(clients)) if !clients.is_empty() => {
            format!("{calls} {commands}, of {}", writers::named(&clients))
        }
        Ok(Some(_)) => format!("{calls} {commands}, of somebody who is not connected any more"),
        Ok(None) | Err(_) => format!("{calls} {commands}; by whom the server does not tell"),
    }
}

async fn followed(connection: &mut Connection) -> Option<String> {
    let seen = connection.call(&["INFO", "replication"]).await.ok()?;
    match Info::from_reply(&seen).role() {
        Role::Replica(upstream) => Some(upstream.address),
        Role::Master | Role::Unknown => None,
    }
}
