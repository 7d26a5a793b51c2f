//! One of several masters that a target is filled from: those of an open-source cluster, each a source by itself.

use super::failure::Error;
use super::settings::SourceServer;
use super::sources::{PIPELINE_MAX, position_of, write};
use crate::link::connection::Connection;
use crate::link::marker::MARKER_KEY;
use crate::link::{Error as LinkError, ShardPosition};
use crate::net::Dial;
use crate::upstream::Server;

/// Names that are tried for a marker: a master with one slot in a thousand is found among them, once for a connection.
const NAMES_TRIED: usize = 4096;

/// A master, and the way to it.
#[derive(Debug)]
pub(super) struct Master {
    /// How the cluster finds it, and so do we.
    pub(super) server: SourceServer,
    connection: Connection,
    /// Which of the masters it is: part of its markers' names, so that none stands for another's.
    number: usize,
    /// A key that it owns, once one is found.
    marker: Option<String>,
}

impl Master {
    /// TLS to it is as to `source`, of which it is a part.
    pub(super) fn new(number: usize, server: &SourceServer, source: &Server) -> Master {
        let endpoint = server.endpoint();
        let own = Server {
            name: endpoint.to_string(),
            dial: Dial {
                endpoint,
                tls: source.dial.tls.clone(),
            },
            identity: server.identity(),
            database: 0,
            replication_address: None,
            ..source.clone()
        };
        Master {
            server: server.clone(),
            connection: Connection::new(own),
            number,
            marker: None,
        }
    }

    /// Where it is.
    pub(super) async fn position(&mut self) -> Result<ShardPosition, LinkError> {
        position_of(&mut self.connection).await
    }

    /// Writes a marker to it; the key.
    pub(super) async fn write_marker(&mut self, value: &str) -> Result<String, LinkError> {
        // One that it does not take, since its slots have moved, is forgotten.
        let key = match self.marker.take() {
            Some(key) => key,
            None => self.own_key().await?,
        };
        write(&mut self.connection, std::slice::from_ref(&key), value).await?;
        self.marker = Some(key.clone());
        Ok(key)
    }

    /// A name that it owns: one that it does not answer with a redirection.
    async fn own_key(&mut self) -> Result<String, LinkError> {
        let names: Vec<_> = (0..NAMES_TRIED)
            .map(|at| format!("{MARKER_KEY}:{{{}.{at}}}", self.number))
            .collect();
        for names in names.chunks(PIPELINE_MAX) {
            let requests: Vec<_> = names.iter().map(|name| ["GET", name.as_str()]).collect();
            let requests: Vec<&[&str]> = requests.iter().map(<[&str; 2]>::as_slice).collect();
            let replies = self.connection.pipeline(&requests).await?;
            if let Some((name, _)) = names.iter().zip(replies).find(|(_, reply)| reply.is_ok()) {
                return Ok(name.clone());
            }
        }
        Err(Error::NoMarkerKey {
            server: self.connection.server.name.clone(),
        }
        .into())
    }
}
