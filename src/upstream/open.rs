//! From a [`Server`] to a connection that is authenticated, speaks the right protocol and stands in the right database.

use std::future::poll_fn;
use std::io;
use std::time::Duration;

use bytes::BytesMut;

use super::{Mine, Server};
use crate::net::{ConnectError, Stream};
use crate::resp::encode::{self, Protocol};
use crate::resp::reply;
use crate::terms::Identity;

/// What a connection must be before it can serve a session.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Setup {
    /// Who it is.
    pub identity: Identity,
    /// What it speaks.
    pub protocol: Protocol,
    /// Where it stands.
    pub database: u32,
    /// The client library that uses it: `CLIENT SETINFO` attributes and values, in the order they were given.
    pub library: Vec<(Vec<u8>, Vec<u8>)>,
    /// What CLIENT LIST calls it.
    pub name: Option<Vec<u8>>,
}

/// An open connection and what the handshake taught about it.
#[derive(Debug)]
pub struct Opened {
    /// The connection.
    pub stream: Stream,
    /// What CLIENT ID says, where the server and its ACL allow it: the handle for CLIENT UNBLOCK.
    pub client_id: Option<i64>,
    /// The server wants AUTH before anything else.
    pub unauthenticated: bool,
    /// Keeps it known as ours.
    pub mine: Mine,
}

/// Why there is no connection.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OpenError {
    /// The network or TLS.
    #[error("{0}")]
    Connect(String),
    /// The server said no to the handshake; its own line, without CRLF.
    #[error("{step} was refused: {text}")]
    Refused {
        /// The command.
        step: &'static str,
        /// The server's text, prefix included.
        text: String,
    },
    /// The connection ended, or said something that is no reply, in the handshake.
    #[error("the connection broke in the handshake: {0}")]
    Broken(String),
    /// The time ran out.
    #[error("no connection within {0:?}")]
    TimedOut(Duration),
}

impl OpenError {
    /// Whether another attempt may do better: everything but the server's own refusal.
    pub fn retry(&self) -> bool {
        !matches!(self, OpenError::Refused { .. })
    }
}

impl From<ConnectError> for OpenError {
    fn from(error: ConnectError) -> OpenError {
        OpenError::Connect(error.to_string())
    }
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> OpenError {
        OpenError::Broken(error.to_string())
    }
}

/// Opens one connection, within the server's `connect_timeout` altogether.
///
/// Cancel safety: dropping it drops the attempt.
pub async fn open(server: &Server, setup: &Setup) -> Result<Opened, OpenError> {
    let limit = server.connect_timeout;
    tokio::time::timeout(limit, attempt(server, setup))
        .await
        .unwrap_or(Err(OpenError::TimedOut(limit)))
}

async fn attempt(server: &Server, setup: &Setup) -> Result<Opened, OpenError> {
    let stream = server.dial.connect(server.connect_timeout).await?;
    let steps = steps(setup);
    let mut out = BytesMut::new();
    for step in &steps {
        out.extend_from_slice(&step.request);
    }
    write_all(&stream, &out).await?;
    let mut replies = Replies {
        stream: &stream,
        buffer: BytesMut::new(),
    };
    let mut opened = Answers::default();
    for step in &steps {
        let reply = replies.next().await?;
        opened.take(step, &reply)?;
    }
    let mine = server.own.note(opened.client_id, stream.local_address());
    Ok(Opened {
        stream,
        client_id: opened.client_id,
        unauthenticated: opened.unauthenticated,
        mine,
    })
}

/// One command of the handshake.
struct Step {
    name: &'static str,
    request: Vec<u8>,
    /// What its refusal means.
    on_error: OnError,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum OnError {
    Fail,
    Ignore,
}

/// What the replies said.
#[derive(Default)]
struct Answers {
    client_id: Option<i64>,
    unauthenticated: bool,
}

fn steps(setup: &Setup) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut add = |name, arguments: &[&[u8]], on_error| {
        steps.push(Step {
            name,
            request: encode::command_vec(arguments),
            on_error,
        });
    };
    match &setup.identity {
        Identity::Anonymous => {}
        Identity::Password(password) => add("AUTH", &[b"AUTH", password.expose()], OnError::Fail),
        Identity::User { name, password } => {
            add(
                "AUTH",
                &[b"AUTH", name.expose(), password.expose()],
                OnError::Fail,
            );
        }
    }
    if setup.protocol == Protocol::Resp3 {
        add("HELLO", &[b"HELLO", b"3"], OnError::Fail);
    }
    if setup.database != 0 {
        add(
            "SELECT",
            &[b"SELECT", setup.database.to_string().as_bytes()],
            OnError::Fail,
        );
    }
    for (attribute, value) in &setup.library {
        add(
            "CLIENT SETINFO",
            &[b"CLIENT", b"SETINFO", attribute, value],
            OnError::Ignore,
        );
    }
    if let Some(name) = &setup.name {
        add(
            "CLIENT SETNAME",
            &[b"CLIENT", b"SETNAME", name],
            OnError::Ignore,
        );
    }
    // The handle for CLIENT UNBLOCK, and, for an anonymous connection, whether the server lets it in at all.
    add("CLIENT ID", &[b"CLIENT", b"ID"], OnError::Ignore);
    steps
}

impl Answers {
    fn take(&mut self, step: &Step, reply: &[u8]) -> Result<(), OpenError> {
        let line = reply
            .split(|byte| *byte == b'\r')
            .next()
            .unwrap_or_default();
        match line.split_first() {
            Some((b'-', text)) => {
                if text.starts_with(b"NOAUTH") {
                    self.unauthenticated = true;
                }
                match step.on_error {
                    OnError::Ignore => Ok(()),
                    OnError::Fail => Err(OpenError::Refused {
                        step: step.name,
                        text: String::from_utf8_lossy(text).into_owned(),
                    }),
                }
            }
            Some((b':', digits)) => {
                self.client_id = std::str::from_utf8(digits)
                    .ok()
                    .and_then(|digits| digits.parse().ok());
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

async fn write_all(stream: &Stream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        poll_fn(|cx| stream.poll_write_ready(cx)).await?;
        match stream.try_write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whole replies of a handshake.
struct Replies<'a> {
    stream: &'a Stream,
    buffer: BytesMut,
}

impl Replies<'_> {
    /// More than any handshake's reply has; a peer that sends more is not a database.
    const REPLY_BYTES_MAX: usize = 64 << 10;

    async fn next(&mut self) -> Result<BytesMut, OpenError> {
        let mut scanner = reply::Scanner::default();
        let mut scanned = 0;
        loop {
            match scanner
                .scan(&self.buffer[scanned..])
                .map_err(|error| OpenError::Broken(error.to_string()))?
            {
                reply::Progress::Frame { length, .. } => {
                    return Ok(self.buffer.split_to(scanned + length));
                }
                reply::Progress::Partial => scanned = self.buffer.len(),
            }
            if scanned > Self::REPLY_BYTES_MAX {
                return Err(OpenError::Broken("a reply without end".to_owned()));
            }
            poll_fn(|cx| self.stream.poll_read_ready(cx)).await?;
            self.buffer.reserve(1024);
            match self.stream.try_read_buf(&mut self.buffer) {
                Ok(0) => return Err(OpenError::Broken("closed by the server".to_owned())),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
