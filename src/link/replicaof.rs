//! The driver for Redis, Valkey and `KeyDB`: the filled side is told REPLICAOF, and both sides' `INFO` says where the link
//! stands. What runs inside the write pause is one round trip on a connection that is already open.
//!
//! Facts it rests on, seen on Redis 7.0 and 8.2 and Valkey 8.1: a replica goes on receiving while the copied side is
//! under CLIENT PAUSE WRITE; pings go on too, so the copied side's offset may still grow a little, and only `>=` is ever
//! a sound comparison; the connection to the copied side in the replica's CLIENT LIST keeps its id over partial
//! resyncs and gets a new one with each full copy.
//!
//! Refuses to know: when to do any of it.

use std::time::{Duration, Instant};

use super::connection::{Connection, Connections, Reply};
use super::follow::{address_of, follow};
use super::info::{Info, Role, Upstream};
use super::{
    Abilities, CaughtUp, Direction, Error, Generation, Phase, Position, Positions, Report, Reverse,
    ShardPosition,
};
use crate::terms::{Lag, ReplOffset};
use crate::upstream::control;
use crate::upstream::control::Value;

/// What the driver can do.
pub(super) const ABILITIES: Abilities = Abilities {
    prepare: true,
    positions: Positions::Exact,
    fence: true,
    detach: true,
    reverse: Reverse::AsReplica,
    end_by_hand: "send REPLICAOF NO ONE to the side that follows",
};

/// Down for longer than this is told as an error: the replica itself tries again every second.
const DOWN_SECONDS_QUIET: u64 = 5;

/// Makes the filled side a replica of the copied side.
pub(super) async fn prepare(
    connections: &mut Connections,
    direction: Direction,
) -> Result<(), Error> {
    let (copied, filled) = connections.pair(direction.from);
    address_of(&copied.server)?;
    let (copied_info, filled_info) =
        tokio::try_join!(info(copied, "default"), info(filled, "default"))?;
    refuse_itself(&copied_info, &filled_info)?;
    refuse_replica(copied, &copied_info)?;
    follow(filled, &copied.server).await
}

/// One look at both sides.
pub(super) async fn observe(connections: &mut Connections, direction: Direction) -> Report {
    let (copied, filled) = connections.pair(direction.from);
    let (copied_seen, filled_seen) = tokio::join!(
        info(copied, "default"),
        filled.pipeline(&[&["INFO"], &["CLIENT", "LIST", "TYPE", "master"]])
    );
    let at = Instant::now();
    match (copied_seen, filled_seen) {
        (Ok(copied_info), Ok(replies)) => {
            let mut replies = replies.into_iter();
            let filled_info =
                Info::from_reply(&replies.next().and_then(Result::ok).unwrap_or(Value::Null));
            Sighting {
                at,
                filled_name: &filled.server.name,
                copied: &copied_info,
                filled: &filled_info,
                link_client: replies.next().and_then(first_client_id),
            }
            .report()
        }
        (Err(error), _) | (_, Err(error)) => Report::unknown(at, error.to_string()),
    }
}

/// Where the copied side is.
pub(super) async fn position(
    connections: &mut Connections,
    direction: Direction,
) -> Result<Position, Error> {
    let copied = connections.of(direction.from);
    let seen = info(copied, "replication").await?;
    refuse_replica(copied, &seen)?;
    written(&seen).ok_or_else(|| {
        copied
            .unexpected("INFO", "no replication id or offset")
            .into()
    })
}

/// Whether the filled side has applied `position`.
pub(super) async fn caught_up(
    connections: &mut Connections,
    direction: Direction,
    position: &Position,
) -> Result<CaughtUp, Error> {
    let [shard] = position.shards.as_slice() else {
        return Ok(CaughtUp::Never(
            "a position of another number of shards".to_owned(),
        ));
    };
    let filled = connections.of(direction.to());
    let seen = info(filled, "replication").await?;
    Ok(reached(shard, &seen))
}

/// Closes the copied side to all writers, for a time that ends by itself.
pub(super) async fn fence(
    connections: &mut Connections,
    direction: Direction,
    duration: Duration,
) -> Result<(), Error> {
    let milliseconds = duration.as_millis().max(1).to_string();
    let copied = connections.of(direction.from);
    copied
        .call(&["CLIENT", "PAUSE", &milliseconds, "WRITE"])
        .await?;
    Ok(())
}

/// Lifts the pause.
pub(super) async fn unfence(
    connections: &mut Connections,
    direction: Direction,
) -> Result<(), Error> {
    connections
        .of(direction.from)
        .call(&["CLIENT", "UNPAUSE"])
        .await?;
    Ok(())
}

/// Makes the filled side a master, and sees it. With `applied`, it is also seen that the position was still applied when
/// the link ended: a full copy that began since it was reached has emptied the filled side. One transaction, so that
/// nothing can happen between the look and the end.
pub(super) async fn detach(
    connections: &mut Connections,
    direction: Direction,
    applied: Option<&Position>,
) -> Result<(), Error> {
    let filled = connections.of(direction.to());
    let mut replies = filled
        .pipeline(&[
            &["MULTI"],
            &["INFO", "replication"],
            &["REPLICAOF", "NO", "ONE"],
            &["INFO", "replication"],
            &["EXEC"],
        ])
        .await?;
    let results = match replies.pop() {
        Some(Ok(Value::Array(results))) => results,
        Some(Err(text)) => return Err(filled.refused("REPLICAOF", text).into()),
        Some(Ok(_)) | None => return Err(filled.unexpected("EXEC", "no results").into()),
    };
    let [before, _, after] = results.as_slice() else {
        return Err(filled.unexpected("EXEC", "not three results").into());
    };
    match Info::from_reply(after).role() {
        Role::Master => {}
        Role::Replica(_) | Role::Unknown => {
            let reason = "accepted, yet the server is not seen to be a master";
            return Err(filled.unexpected("REPLICAOF", reason).into());
        }
    }
    match applied {
        Some(position) if !still_applied(position, &Info::from_reply(before)) => {
            Err(Error::NotAppliedAtDetach)
        }
        Some(_) | None => Ok(()),
    }
}

/// After the link of `direction` was detached: the side that was copied follows the other, then its pause is lifted,
/// since a replica refuses writers by itself.
pub(super) async fn reverse(
    connections: &mut Connections,
    direction: Direction,
) -> Result<(), Error> {
    let (copied, filled) = connections.pair(direction.from);
    let seen = info(filled, "replication").await?;
    refuse_replica(filled, &seen)?;
    follow(copied, &filled.server).await?;
    unfence(connections, direction).await
}

/// `INFO` of one section; `default` is the sections that the server gives when asked for none.
async fn info(connection: &mut Connection, section: &str) -> Result<Info, control::Error> {
    connection
        .call(&["INFO", section])
        .await
        .map(|reply| Info::from_reply(&reply))
}

/// A server told to follow itself would refuse writes and never come to an end.
fn refuse_itself(copied: &Info, filled: &Info) -> Result<(), Error> {
    match (copied.text("run_id"), filled.text("run_id")) {
        (Some(one), Some(other)) if one != other => Ok(()),
        (Some(_), Some(_)) => Err(Error::SameServer),
        (None, _) | (_, None) => Err(Error::NoRunId),
    }
}

fn refuse_replica(connection: &Connection, info: &Info) -> Result<(), Error> {
    match info.role() {
        Role::Master => Ok(()),
        Role::Replica(Upstream { address, .. }) => Err(Error::IsReplica {
            server: connection.server.name.clone(),
            of: address,
        }),
        Role::Unknown => Err(connection.unexpected("INFO", "no role").into()),
    }
}

/// The copied side's own position.
fn written(copied: &Info) -> Option<Position> {
    let offset = copied.number("master_repl_offset")?;
    Some(position_of(copied.text("master_replid")?, offset))
}

fn position_of(replication_id: &str, offset: u64) -> Position {
    Position {
        shards: vec![ShardPosition {
            replication_id: replication_id.to_owned(),
            offset: ReplOffset(offset),
        }],
    }
}

/// Whether a replica that says `filled` has applied `wanted`.
fn reached(wanted: &ShardPosition, filled: &Info) -> CaughtUp {
    let upstream = match filled.role() {
        Role::Replica(upstream) => upstream,
        Role::Master => {
            return CaughtUp::Never("the filled side is no replica any more".to_owned());
        }
        Role::Unknown => {
            return CaughtUp::NotYet {
                remaining_bytes: None,
            };
        }
    };
    if upstream.syncing {
        return CaughtUp::Never("a full copy has begun".to_owned());
    }
    if !upstream.up {
        return CaughtUp::NotYet {
            remaining_bytes: None,
        };
    }
    if !continues(filled, wanted) {
        return CaughtUp::Never("the filled side follows another replication id".to_owned());
    }
    match upstream.applied {
        Some(applied) if applied >= wanted.offset.0 => CaughtUp::Yes,
        applied => CaughtUp::NotYet {
            remaining_bytes: applied.map(|applied| wanted.offset.0 - applied),
        },
    }
}

/// Whether a replica that says `filled` still stands on `wanted`, which it had reached. A connection that is down takes
/// nothing away; a full copy does, and from its beginning on the replica tells no offset of the stream any more.
fn still_applied(wanted: &Position, filled: &Info) -> bool {
    match (filled.role(), wanted.shards.as_slice()) {
        (Role::Replica(upstream), [wanted]) => {
            let applied = upstream
                .applied
                .is_some_and(|applied| applied >= wanted.offset.0);
            applied && !upstream.syncing && continues(filled, wanted)
        }
        (Role::Replica(_) | Role::Master | Role::Unknown, _) => false,
    }
}

/// Whether the stream that `info` is in contains `wanted`: it has the same id, or it has had it until an offset that lies
/// behind the wanted one (the copied side took a new id and went on with the same history).
fn continues(info: &Info, wanted: &ShardPosition) -> bool {
    let id = Some(wanted.replication_id.as_str());
    let former = info.text("master_replid2") == id
        && info
            .number::<u64>("second_repl_offset")
            .is_some_and(|first_other| wanted.offset.0 < first_other);
    info.text("master_replid") == id || former
}

/// The id of the first client in a reply of CLIENT LIST.
fn first_client_id(reply: Reply) -> Option<String> {
    match reply {
        Ok(Value::Bulk(text)) => {
            let text = String::from_utf8_lossy(&text).into_owned();
            Some(
                text.split_whitespace()
                    .next()?
                    .strip_prefix("id=")?
                    .to_owned(),
            )
        }
        Ok(Value::Simple(_) | Value::Integer(_) | Value::Array(_) | Value::Null) | Err(_) => None,
    }
}

/// What one look found on both sides.
struct Sighting<'a> {
    at: Instant,
    filled_name: &'a str,
    copied: &'a Info,
    filled: &'a Info,
    /// The id of the filled side's connection to the copied side.
    link_client: Option<String>,
}

impl Sighting<'_> {
    fn report(&self) -> Report {
        let written = written(self.copied);
        match self.filled.role() {
            Role::Master => Report {
                phase: Phase::Detached,
                written,
                last_error: None,
                ..Report::unknown(self.at, String::new())
            },
            Role::Unknown => Report::unknown(
                self.at,
                format!("{} does not say its role", self.filled_name),
            ),
            Role::Replica(upstream) => self.of_replica(&upstream, written),
        }
    }

    fn of_replica(&self, upstream: &Upstream, written: Option<Position>) -> Report {
        let applied = upstream
            .applied
            .and_then(|offset| Some(position_of(self.filled.text("master_replid")?, offset)));
        let mut report = Report {
            phase: Phase::Connecting,
            applied,
            written,
            bytes_done: upstream.copy_done,
            bytes_total: upstream.copy_total,
            last_error: None,
            ..Report::unknown(self.at, String::new())
        };
        if upstream.syncing {
            report.phase = Phase::Syncing;
        } else if upstream.up {
            self.judge_stream(upstream, &mut report);
        } else if self
            .copied
            .replica_states()
            .any(|state| state == "wait_bgsave")
        {
            report.phase = Phase::Syncing;
            report.waiting_for = Some(
                "the copied side to begin its snapshot (it waits repl-diskless-sync-delay first)"
                    .to_owned(),
            );
        } else if let Some(seconds) = upstream
            .down_seconds
            .filter(|seconds| *seconds > DOWN_SECONDS_QUIET)
        {
            report.last_error = Some(format!(
                "{} has not reached {} for {seconds} s; its log says why",
                self.filled_name, upstream.address
            ));
        }
        report
    }

    /// The stream flows; whether it is the one that it should be.
    fn judge_stream(&self, upstream: &Upstream, report: &mut Report) {
        let ids = (
            self.copied.text("master_replid"),
            self.filled.text("master_replid"),
        );
        match ids {
            (Some(copied), Some(filled)) if copied == filled => {}
            (Some(_), Some(_)) => {
                report.phase = Phase::Broken;
                report.last_error = Some(format!(
                    "{} follows {}, whose replication id is not that of the copied side",
                    self.filled_name, upstream.address
                ));
                return;
            }
            (None, _) | (_, None) => {
                report.phase = Phase::Unknown;
                report.last_error = Some("a side does not tell its replication id".to_owned());
                return;
            }
        }
        report.phase = Phase::Streaming;
        report.generation = self.generation();
        let written: Option<u64> = self.copied.number("master_repl_offset");
        if let (Some(written), Some(applied)) = (written, upstream.applied) {
            report.lag = Lag::Bytes(written.saturating_sub(applied));
        }
    }

    /// Everything that a full copy changes: a restart of either server, a new replication id, a new connection with a
    /// full copy at its beginning. Where CLIENT LIST is not allowed, the copied side's count of full copies stands in,
    /// which other replicas change too: a false alarm at worst.
    fn generation(&self) -> Option<Generation> {
        let copied_run = self.copied.text("run_id")?;
        let filled_run = self.filled.text("run_id")?;
        let id = self.copied.text("master_replid")?;
        let copy = match &self.link_client {
            Some(client) => format!("client {client}"),
            None => format!("copy {}", self.copied.text("sync_full")?),
        };
        Some(Generation(format!("{copied_run} {id} {filled_run} {copy}")))
    }
}

#[cfg(test)]
mod tests;
