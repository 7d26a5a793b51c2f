//! The demo's own RESP2 client: requests out, replies in, a limit on every wait. Frames are made and read by
//! `redis-protocol`, not by the room that is on trial.
//!
//! Refuses to know: what the requests mean, how long they took.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use redis_protocol::resp2::decode::decode;
use redis_protocol::resp2::types::OwnedFrame;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A reply as the server sent it.
pub(super) type Reply = OwnedFrame;

/// How long a connection or a reply may take. Far above what a cutover may hold a command (1 s), so that a client that
/// gives up has found something wrong.
pub(super) const REPLY_LIMIT: Duration = Duration::from_secs(10);

/// One connection.
#[derive(Debug)]
pub(super) struct Client {
    /// The socket.
    stream: TcpStream,
    /// Requests that have not been written yet.
    outgoing: BytesMut,
    /// What was read behind the last whole reply.
    incoming: BytesMut,
}

/// Why a request has no usable reply. Every variant counts as an error of the run.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The socket failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The far end closed the connection with a reply outstanding.
    #[error("the connection was closed")]
    Closed,
    /// Nothing came in time.
    #[error("no reply within {REPLY_LIMIT:?}")]
    TimedOut,
    /// Bytes that are not RESP.
    #[error("not a reply: {0}")]
    NotResp(String),
    /// An error reply.
    #[error("refused: {0}")]
    Refused(String),
    /// A reply that the request cannot have.
    #[error("{request} was answered with {reply}, expected {expected}")]
    Unexpected {
        /// The request's name.
        request: String,
        /// What came.
        reply: String,
        /// What should have come.
        expected: String,
    },
}

impl Failure {
    /// A reply that is well formed and wrong.
    pub(super) fn unexpected(request: &str, reply: &Reply, expected: impl Into<String>) -> Failure {
        Failure::Unexpected {
            request: request.to_owned(),
            reply: format!("{reply:?}"),
            expected: expected.into(),
        }
    }
}

impl Client {
    /// Connects within [`REPLY_LIMIT`].
    pub(super) async fn connect(address: SocketAddr) -> Result<Client, Failure> {
        let stream = timeout(REPLY_LIMIT, TcpStream::connect(address))
            .await
            .map_err(|_| Failure::TimedOut)??;
        stream.set_nodelay(true)?;
        Ok(Client {
            stream,
            outgoing: BytesMut::new(),
            incoming: BytesMut::with_capacity(4096),
        })
    }

    /// One request and its reply; an error reply is [`Failure::Refused`].
    pub(super) async fn call(&mut self, request: &[&str]) -> Result<Reply, Failure> {
        self.push(request);
        self.flush().await?;
        self.receive().await
    }

    /// Appends a request to what the next [`Client::flush`] writes.
    pub(super) fn push(&mut self, request: &[&str]) {
        self.outgoing
            .extend_from_slice(format!("*{}\r\n", request.len()).as_bytes());
        for argument in request {
            self.outgoing
                .extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
            self.outgoing.extend_from_slice(argument.as_bytes());
            self.outgoing.extend_from_slice(b"\r\n");
        }
    }

    /// Writes everything pushed.
    pub(super) async fn flush(&mut self) -> Result<(), Failure> {
        timeout(REPLY_LIMIT, self.stream.write_all_buf(&mut self.outgoing))
            .await
            .map_err(|_| Failure::TimedOut)??;
        Ok(())
    }

    /// The next reply, or the next message of a subscription; an error reply is [`Failure::Refused`].
    pub(super) async fn receive(&mut self) -> Result<Reply, Failure> {
        loop {
            if let Some((reply, length)) =
                decode(&self.incoming).map_err(|e| Failure::NotResp(e.to_string()))?
            {
                self.incoming.advance(length);
                return match reply {
                    Reply::Error(text) => Err(Failure::Refused(text)),
                    reply => Ok(reply),
                };
            }
            let read = timeout(REPLY_LIMIT, self.stream.read_buf(&mut self.incoming));
            if read.await.map_err(|_| Failure::TimedOut)?? == 0 {
                return Err(Failure::Closed);
            }
        }
    }
}

/// The text of a bulk or simple string; none for every other reply.
pub(super) fn text(reply: &Reply) -> Option<&str> {
    match reply {
        Reply::BulkString(bytes) | Reply::SimpleString(bytes) => std::str::from_utf8(bytes).ok(),
        Reply::Error(_) | Reply::Integer(_) | Reply::Array(_) | Reply::Null => None,
    }
}

/// The number in an integer reply or a bulk string; none for every other reply.
pub(super) fn number(reply: &Reply) -> Option<i64> {
    match reply {
        Reply::Integer(number) => Some(*number),
        other => text(other)?.parse().ok(),
    }
}
