//! The control connections of a link: one for each side, opened when first needed, kept warm, opened again after a
//! failure. All requests of this room can be repeated without harm, which is what makes the second attempt sound.
//!
//! Refuses to know: what the requests mean.

use std::collections::HashSet;
use std::time::Instant;

use tokio::time::timeout;

use super::REQUEST_LIMIT;
use crate::terms::{Secret, Side};
use crate::upstream::Server;
use crate::upstream::control::{Control, Error, Value};

/// A reply as it stands in a pipeline: the server's error text in its place.
pub(super) type Reply = Result<Value, String>;

/// One side, and the connection to it.
#[derive(Debug)]
pub(super) struct Connection {
    /// The side.
    pub(super) server: Server,
    /// The connection, while there is one.
    control: Option<Control>,
    /// The commands that the server flags as writing, once asked for; asked for anew on a new connection.
    pub(super) writing: Option<HashSet<String>>,
    /// What settings were before they were changed for the replication. In memory only: there are passwords among them.
    pub(super) former: Vec<(&'static str, Secret)>,
}

/// Both sides.
#[derive(Debug)]
pub(super) struct Connections([Connection; 2]);

impl Connections {
    pub(super) fn new(source: Server, target: Server) -> Connections {
        Connections([source, target].map(Connection::new))
    }

    /// One side.
    pub(super) fn of(&mut self, side: Side) -> &mut Connection {
        &mut self.0[side.index()]
    }

    /// A side and its opposite, to be asked at the same time.
    pub(super) fn pair(&mut self, side: Side) -> (&mut Connection, &mut Connection) {
        let [source, target] = &mut self.0;
        match side {
            Side::Source => (source, target),
            Side::Target => (target, source),
        }
    }
}

impl Connection {
    /// A connection that is made when it is first needed.
    pub(super) fn new(server: Server) -> Connection {
        Connection {
            server,
            control: None,
            writing: None,
            former: vec![],
        }
    }

    /// Keeps what a setting was before the first change; later ones change what we have set ourselves.
    pub(super) fn remember(&mut self, setting: &'static str, value: &[u8]) {
        if self.former.iter().all(|(known, _)| *known != setting) {
            self.former.push((setting, Secret::new(value)));
        }
    }

    /// One request and its reply, within [`REQUEST_LIMIT`].
    ///
    /// Cancel safety: the request may have run; the connection is opened again by the next call.
    pub(super) async fn call(&mut self, request: &[&str]) -> Result<Value, Error> {
        let command = request.first().copied().unwrap_or_default();
        let replies = self.pipeline(&[request]).await?;
        match replies.into_iter().next() {
            Some(Ok(value)) => Ok(value),
            Some(Err(text)) => Err(self.refused(command, text)),
            None => Err(self.unexpected(command, "no reply at all")),
        }
    }

    /// Several requests in one write and their replies in order, within [`REQUEST_LIMIT`] for all.
    ///
    /// Cancel safety: as [`Connection::call`].
    pub(super) async fn pipeline(&mut self, requests: &[&[&str]]) -> Result<Vec<Reply>, Error> {
        let owned: Vec<Vec<Vec<u8>>> = requests
            .iter()
            .map(|request| {
                request
                    .iter()
                    .map(|argument| argument.as_bytes().to_vec())
                    .collect()
            })
            .collect();
        self.pipeline_bytes(&owned).await
    }

    /// As [`Connection::pipeline`], for arguments that are not text.
    pub(super) async fn pipeline_bytes(
        &mut self,
        requests: &[Vec<Vec<u8>>],
    ) -> Result<Vec<Reply>, Error> {
        let command = requests
            .first()
            .and_then(|request| request.first())
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .unwrap_or_default();
        match timeout(REQUEST_LIMIT, self.attempt(requests)).await {
            Ok(replies) => replies,
            Err(_) => Err(Error::NoReply {
                server: self.server.name.clone(),
                command,
                reason: format!("nothing within {REQUEST_LIMIT:?}"),
            }),
        }
    }

    /// Tries the warm connection; if the server has closed it meanwhile, a fresh one.
    async fn attempt(&mut self, requests: &[Vec<Vec<u8>>]) -> Result<Vec<Reply>, Error> {
        let deadline = Instant::now() + REQUEST_LIMIT;
        if let Some(control) = self.control.as_mut().filter(|control| control.usable()) {
            match control.pipeline(requests, REQUEST_LIMIT).await {
                Err(Error::NoReply { .. }) => {}
                answered => return answered,
            }
        }
        self.control = None;
        self.writing = None;
        let control = self.control.insert(Control::connect(&self.server).await?);
        let remaining = deadline.saturating_duration_since(Instant::now());
        control.pipeline(requests, remaining).await
    }

    pub(super) fn refused(&self, command: &str, text: String) -> Error {
        Error::Refused {
            server: self.server.name.clone(),
            command: command.to_owned(),
            text,
        }
    }

    pub(super) fn unexpected(&self, command: &str, reason: &str) -> Error {
        Error::Unexpected {
            server: self.server.name.clone(),
            command: command.to_owned(),
            reason: reason.to_owned(),
        }
    }
}
