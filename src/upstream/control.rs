//! A plain client for control work: one request, one reply, always with a time limit. Speed does not matter here, so
//! frames are made and read by `redis-protocol`.
//!
//! Refuses to know: what the requests are for, lanes and sessions.

mod frame;
mod invalidations;

use std::future::poll_fn;
use std::io;
use std::time::Duration;

use bytes::BytesMut;
use tokio::time::timeout;

use super::Server;
use crate::net::Stream;
use crate::terms::Identity;

pub use self::invalidations::{Invalidations, Told};

/// The name of Handover's own connections in the servers' `CLIENT LIST`.
pub const CLIENT_NAME: &str = "handover";

/// Room made in the buffer before each read: most replies need one.
const READ_BYTES: usize = 64 << 10;

/// One control connection. Dropping it closes it.
#[derive(Debug)]
pub struct Control {
    /// The server's name, for errors.
    server: String,
    /// The connection.
    stream: Stream,
    /// Received and not yet taken as a reply.
    received: BytesMut,
    /// Whether the next reply to arrive belongs to the next request. False from the moment a request is sent until
    /// its last reply has come: where that never happens, the connection stays unusable.
    in_step: bool,
}

/// A reply, in the shapes control work meets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Value {
    /// RESP null, of any kind.
    Null,
    /// `+OK` and its like.
    Simple(String),
    /// A bulk string.
    Bulk(Vec<u8>),
    /// An integer.
    Integer(i64),
    /// An array, a set, or a flattened map.
    Array(Vec<Value>),
}

/// What can go wrong with a control request.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection, or no handshake, within the time.
    #[error("{server}: cannot connect: {reason}")]
    Connect {
        /// The server's name.
        server: String,
        /// Why, without secrets.
        reason: String,
    },
    /// The connection ended or the time ran out with the reply outstanding: the command may or may not have run.
    #[error("{server}: no reply to {command}: {reason}")]
    NoReply {
        /// The server's name.
        server: String,
        /// The command's name, without arguments.
        command: String,
        /// Why.
        reason: String,
    },
    /// The server answered with an error.
    #[error("{server}: {command} was refused: {text}")]
    Refused {
        /// The server's name.
        server: String,
        /// The command's name, without arguments.
        command: String,
        /// The server's own text, prefix included, cut where it would repeat arguments.
        text: String,
    },
    /// The reply is not what the command gives.
    #[error("{server}: unexpected reply to {command}: {reason}")]
    Unexpected {
        /// The server's name.
        server: String,
        /// The command's name, without arguments.
        command: String,
        /// What was expected and what came.
        reason: String,
    },
}

impl Control {
    /// Connects, authenticates with the server's own identity, selects its database, names the connection `handover`
    /// (a server that refuses the name is used without).
    ///
    /// Cancel safety: dropping it drops the attempt.
    pub async fn connect(server: &Server) -> Result<Control, Error> {
        let failed = |reason: String| Error::Connect {
            server: server.name.clone(),
            reason,
        };
        let limit = server.connect_timeout;
        let attempt = async {
            let stream = server
                .dial
                .connect(limit)
                .await
                .map_err(|error| failed(error.to_string()))?;
            let mut control = Control {
                server: server.name.clone(),
                stream,
                received: BytesMut::new(),
                in_step: true,
            };
            let requests = handshake(server);
            let replies = control
                .pipeline(&requests, limit)
                .await
                .map_err(|error| failed(error.to_string()))?;
            for (request, reply) in requests.iter().zip(replies) {
                let name = command_name(request);
                match reply {
                    Err(text) if name != "CLIENT" => {
                        return Err(failed(format!("{name} was refused: {text}")));
                    }
                    Ok(_) | Err(_) => {}
                }
            }
            Ok(control)
        };
        timeout(limit, attempt)
            .await
            .unwrap_or_else(|_| Err(failed(format!("no answer within {limit:?}"))))
    }

    /// One request and its reply, within `limit`. An error reply is [`Error::Refused`].
    ///
    /// Cancel safety: not cancel safe; a call that was dropped leaves the connection unusable and the next call says so.
    pub async fn call(&mut self, arguments: &[&[u8]], limit: Duration) -> Result<Value, Error> {
        let command = command_name(arguments);
        let mut bytes = BytesMut::new();
        frame::encode(&mut bytes, arguments).map_err(|reason| self.unexpected(&command, reason))?;
        let mut replies = self.exchange(&command, &bytes, 1, limit).await?;
        match replies.pop() {
            Some(Ok(value)) => Ok(value),
            Some(Err(text)) => Err(Error::Refused {
                server: self.server.clone(),
                command,
                text,
            }),
            None => Err(self.unexpected(&command, "no reply at all".to_owned())),
        }
    }

    /// Several requests in one write and their replies in order, within `limit` for all. An error reply stands in its
    /// place as `Err`, so that one refusal does not hide the others.
    ///
    /// Cancel safety: as [`Control::call`].
    pub async fn pipeline(
        &mut self,
        requests: &[Vec<Vec<u8>>],
        limit: Duration,
    ) -> Result<Vec<Result<Value, String>>, Error> {
        let Some(first) = requests.first() else {
            return Ok(Vec::new());
        };
        let command = command_name(first);
        let mut bytes = BytesMut::new();
        for request in requests {
            frame::encode(&mut bytes, request)
                .map_err(|reason| self.unexpected(&command, reason))?;
        }
        self.exchange(&command, &bytes, requests.len(), limit).await
    }

    /// Whether the connection can serve another request: false after a call that failed or was dropped.
    pub fn usable(&self) -> bool {
        self.in_step
    }

    async fn exchange(
        &mut self,
        command: &str,
        bytes: &[u8],
        replies: usize,
        limit: Duration,
    ) -> Result<Vec<Result<Value, String>>, Error> {
        let no_reply = |server: &str, reason: String| Error::NoReply {
            server: server.to_owned(),
            command: command.to_owned(),
            reason,
        };
        if !std::mem::replace(&mut self.in_step, false) {
            let reason = "an earlier request on this connection failed or was given up";
            return Err(no_reply(&self.server, reason.to_owned()));
        }
        let answered = match timeout(limit, self.send_and_receive(bytes, replies)).await {
            Err(_) => Err(no_reply(&self.server, format!("nothing within {limit:?}"))),
            Ok(Err(Failure::Socket(error))) => Err(no_reply(&self.server, error.to_string())),
            Ok(Err(Failure::Frame(reason))) => Err(self.unexpected(command, reason)),
            Ok(Ok(answers)) => Ok(answers),
        };
        self.in_step = answered.is_ok() && self.received.is_empty();
        answered
    }

    /// Reads while it writes, so that neither side waits for the other over a long pipeline.
    async fn send_and_receive(
        &mut self,
        bytes: &[u8],
        replies: usize,
    ) -> Result<Vec<Result<Value, String>>, Failure> {
        let mut answers = Vec::with_capacity(replies);
        let mut unsent = bytes;
        while answers.len() < replies {
            while !unsent.is_empty() {
                match self.stream.try_write(unsent) {
                    Ok(count) => unsent = &unsent[count..],
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(Failure::Socket(error)),
                }
            }
            self.received.reserve(READ_BYTES);
            match self.stream.try_read_buf(&mut self.received) {
                Ok(0) => return Err(Failure::Socket(io::ErrorKind::UnexpectedEof.into())),
                Ok(_) => {
                    while answers.len() < replies {
                        match frame::decode(&mut self.received).map_err(Failure::Frame)? {
                            Some(answer) => answers.push(answer),
                            None => break,
                        }
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.ready(unsent.is_empty()).await?;
                }
                Err(error) => return Err(Failure::Socket(error)),
            }
        }
        Ok(answers)
    }

    /// Waits until the stream can be read, or, where something is unsent, written. The stream is borrowed mutably because
    /// it cannot be shared between threads, and control work may be spawned on any.
    async fn ready(&mut self, all_sent: bool) -> Result<(), Failure> {
        let stream = &mut self.stream;
        poll_fn(move |cx| {
            let readable = stream.poll_read_ready(cx);
            if readable.is_ready() || all_sent {
                return readable;
            }
            stream.poll_write_ready(cx)
        })
        .await
        .map_err(Failure::Socket)
    }

    fn unexpected(&self, command: &str, reason: String) -> Error {
        Error::Unexpected {
            server: self.server.clone(),
            command: command.to_owned(),
            reason,
        }
    }
}

/// Why an exchange broke.
enum Failure {
    /// The connection failed.
    Socket(io::Error),
    /// What came is not a reply.
    Frame(String),
}

fn handshake(server: &Server) -> Vec<Vec<Vec<u8>>> {
    let mut requests: Vec<Vec<Vec<u8>>> = Vec::new();
    match &server.identity {
        Identity::Anonymous => {}
        Identity::Password(password) => {
            requests.push(vec![b"AUTH".to_vec(), password.expose().to_vec()]);
        }
        Identity::User { name, password } => requests.push(vec![
            b"AUTH".to_vec(),
            name.expose().to_vec(),
            password.expose().to_vec(),
        ]),
    }
    if server.database != 0 {
        requests.push(vec![
            b"SELECT".to_vec(),
            server.database.to_string().into_bytes(),
        ]);
    }
    requests.push(
        [&b"CLIENT"[..], b"SETNAME", CLIENT_NAME.as_bytes()]
            .map(<[u8]>::to_vec)
            .to_vec(),
    );
    requests
}

fn command_name<A: AsRef<[u8]>>(arguments: &[A]) -> String {
    let name = arguments.first().map_or(&b""[..], AsRef::as_ref);
    String::from_utf8_lossy(name).into_owned()
}

#[cfg(test)]
mod tests;
