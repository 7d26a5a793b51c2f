//! The sources of the replication: how the cluster finds them, where they are in their streams, and the marker keys that go
//! into each of their shards.

use futures_util::future::try_join_all;

use super::client::Client;
use super::failure::Error;
use super::master::Master;
use super::settings::{Settings, SourceServer, Sources};
use super::stored::Stored;
use crate::link::connection::{Connection, Connections};
use crate::link::info::{Info, Role};
use crate::link::marker::{self, MARKER_KEY};
use crate::link::{Error as LinkError, Position, ShardPosition};
use crate::terms::{ReplOffset, Side};
use crate::upstream::Server;
use crate::upstream::control::Value;

/// Requests in one write: a Redis Enterprise database takes 200 of one connection unless told otherwise.
pub(super) const PIPELINE_MAX: usize = 100;

/// The sources, and the ways to them.
#[derive(Debug)]
pub(super) enum Source {
    /// One server, which is that of `[source]`: how the cluster finds it, where that is not said there.
    One(Option<SourceServer>),
    /// Several, each with a connection of its own.
    Masters(Vec<Master>),
    /// A Redis Enterprise database.
    Stored(Box<Stored>),
}

impl Source {
    pub(super) fn new(settings: &Settings, source: &Server) -> Source {
        match &settings.sources {
            Sources::Configured => Source::One(None),
            Sources::Servers(servers) => match servers.as_slice() {
                [server] => Source::One(Some(server.clone())),
                several => {
                    let masters = several.iter().enumerate();
                    Source::Masters(
                        masters
                            .map(|(at, server)| Master::new(at, server, source))
                            .collect(),
                    )
                }
            },
            Sources::Database { name, cluster } => {
                Source::Stored(Box::new(Stored::new(name.clone(), cluster.clone())))
            }
        }
    }

    /// How many the target is filled from.
    pub(super) fn count(&self) -> usize {
        match self {
            Source::One(_) | Source::Stored(_) => 1,
            Source::Masters(masters) => masters.len(),
        }
    }

    /// How the cluster finds them.
    pub(super) async fn servers(
        &mut self,
        target: &mut Client,
        source: &Server,
    ) -> Result<Vec<SourceServer>, Error> {
        match self {
            Source::One(Some(server)) => Ok(vec![server.clone()]),
            Source::One(None) => Ok(vec![SourceServer::of(source)?]),
            Source::Masters(masters) => {
                Ok(masters.iter().map(|master| master.server.clone()).collect())
            }
            Source::Stored(stored) => Ok(vec![stored.server(target).await?]),
        }
    }

    /// Where they are. None where they do not tell in which streams: an offset alone belongs to nothing. `only_stream` is
    /// the stream that the target follows, where it is one.
    pub(super) async fn position(
        &mut self,
        connections: &mut Connections,
        target: &mut Client,
        only_stream: Option<&str>,
    ) -> Result<Option<Position>, LinkError> {
        let mut shards = match self {
            Source::One(_) => vec![position_of(connections.of(Side::Source)).await?],
            Source::Masters(masters) => {
                try_join_all(masters.iter_mut().map(Master::position)).await?
            }
            Source::Stored(stored) => match stored.position(target, only_stream).await? {
                Some(shards) => shards,
                None => return Ok(None),
            },
        };
        shards.sort_by(|one, other| one.replication_id.cmp(&other.replication_id));
        Ok(Some(Position { shards }))
    }

    /// Writes markers of this value to every shard; the keys that they are under.
    pub(super) async fn write_markers(
        &mut self,
        connections: &mut Connections,
        target: &mut Client,
        value: &str,
    ) -> Result<Vec<String>, LinkError> {
        match self {
            Source::One(_) => {
                let keys = vec![MARKER_KEY.to_owned()];
                write(connections.of(Side::Source), &keys, value).await?;
                Ok(keys)
            }
            Source::Masters(masters) => {
                try_join_all(masters.iter_mut().map(|master| master.write_marker(value))).await
            }
            Source::Stored(stored) => {
                let keys = stored.marker_keys(target).await?;
                write(connections.of(Side::Source), &keys, value).await?;
                Ok(keys)
            }
        }
    }
}

/// Where one server is.
pub(super) async fn position_of(connection: &mut Connection) -> Result<ShardPosition, LinkError> {
    let mut replies = connection
        .pipeline(&[&["INFO", "server"], &["INFO", "replication"]])
        .await?
        .into_iter()
        .map(|reply| Info::from_reply(&reply.unwrap_or(Value::Null)));
    let (about, info) = (
        replies.next().unwrap_or_default(),
        replies.next().unwrap_or_default(),
    );
    let server = || connection.server.name.clone();
    // What it tells of replication is put together from its shards.
    if about.text("rlec_version").is_some() {
        return Err(Error::SourceIsStored { server: server() }.into());
    }
    if let Role::Replica(upstream) = info.role() {
        return Err(Error::SourceIsReplica {
            server: server(),
            of: upstream.address,
        }
        .into());
    }
    match (
        info.text("master_replid"),
        info.number("master_repl_offset"),
    ) {
        (Some(id), Some(offset)) => Ok(ShardPosition {
            replication_id: id.to_owned(),
            offset: ReplOffset(offset),
        }),
        (None, _) | (_, None) => Err(Error::NoPosition { server: server() }.into()),
    }
}

/// Writes markers to one server.
pub(super) async fn write(
    connection: &mut Connection,
    keys: &[String],
    value: &str,
) -> Result<(), LinkError> {
    for keys in keys.chunks(PIPELINE_MAX) {
        let requests: Vec<_> = keys.iter().map(|key| marker::set(key, value)).collect();
        let requests: Vec<&[&str]> = requests.iter().map(<[&str; 5]>::as_slice).collect();
        for reply in connection.pipeline(&requests).await? {
            reply.map_err(|text| connection.refused("SET", text))?;
        }
    }
    Ok(())
}

/// The keys that do not have this value, or not yet.
pub(super) async fn unseen(
    connection: &mut Connection,
    keys: &[String],
    value: &str,
) -> Result<Vec<String>, LinkError> {
    let mut unseen = vec![];
    for keys in keys.chunks(PIPELINE_MAX) {
        let requests: Vec<_> = keys.iter().map(|key| ["GET", key.as_str()]).collect();
        let requests: Vec<&[&str]> = requests.iter().map(<[&str; 2]>::as_slice).collect();
        let replies = connection.pipeline(&requests).await?;
        for (key, reply) in keys.iter().zip(replies) {
            match reply.map_err(|text| connection.refused("GET", text))? {
                Value::Bulk(read) if read == value.as_bytes() => {}
                Value::Bulk(_)
                | Value::Null
                | Value::Simple(_)
                | Value::Integer(_)
                | Value::Array(_) => unseen.push(key.clone()),
            }
        }
    }
    Ok(unseen)
}
