//! A connection on which a server names every key that changes, by whomever it is changed: the broadcasts of client-side
//! caching (`CLIENT TRACKING ON BCAST`, Redis 6 and later), for all keys of all databases.
//!
//! Scripts, transactions, renames, expirations and evictions are all named; a flush is one message for everything. Not
//! named are `SWAPDB`, and what consumer groups change in a stream.
//!
//! Refuses to know: what is done about the keys.

use std::future::poll_fn;
use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use redis_protocol::resp3::decode::complete::decode_bytes_mut;
use redis_protocol::resp3::types::BytesFrame;
use tokio::time::timeout;

use super::{Control, Error, READ_BYTES, frame};
use crate::resp::reply::{Progress, Scanner};
use crate::upstream::Server;

/// Largest message that is taken: a server names the keys that one turn of its event loop has changed, and a transaction
/// may change very many. More is taken for a server that is not one.
const MESSAGE_BYTES_MAX: usize = 256 << 20;

/// A connection that is told of changes. Dropping it ends them.
#[derive(Debug)]
pub struct Invalidations {
    /// The connection, in RESP3 from the handshake on.
    control: Control,
    /// Finds the end of the next message.
    scanner: Scanner,
    /// Bytes of the message that has begun which the scanner has seen.
    scanned: usize,
}

/// What the server has said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// These keys have changed, in whichever database.
    Changed(Vec<Bytes>),
    /// Everything may have changed: a database was flushed.
    Everything,
    /// The answer to the oldest [`Invalidations::ask`] without one. Whatever changed before that was sent, and had been
    /// acknowledged to whoever changed it, has been told.
    Answer,
}

impl Invalidations {
    /// Connects and has the server begin. Whatever changes after this returns is told.
    ///
    /// Cancel safety: dropping it drops the attempt.
    pub async fn begin(server: &Server) -> Result<Invalidations, Error> {
        let control = Control::connect(server).await?;
        let mut invalidations = Invalidations {
            control,
            scanner: Scanner::default(),
            scanned: 0,
        };
        let limit = server.connect_timeout;
        for (command, arguments) in [
            ("HELLO", &["HELLO", "3"][..]),
            ("CLIENT", &["CLIENT", "TRACKING", "ON", "BCAST"]),
        ] {
            match timeout(limit, invalidations.call(command, arguments)).await {
                Ok(answered) => answered?,
                Err(_) => {
                    return Err(
                        invalidations.no_reply(command, format!("nothing within {limit:?}"))
                    );
                }
            }
        }
        Ok(invalidations)
    }

    /// Sends the question whose answer is [`Told::Answer`], within `limit`.
    ///
    /// Cancel safety: not cancel safe; the connection is of no use after it was dropped.
    pub async fn ask(&mut self, limit: Duration) -> Result<(), Error> {
        timeout(limit, self.send(&["PING"]))
            .await
            .unwrap_or_else(|_| Err(self.no_reply("PING", format!("not sent within {limit:?}"))))
    }

    /// The next thing the server says. An error ends the connection's use: what changed since the last message is then
    /// not known.
    ///
    /// Cancel safety: cancel safe; nothing that was received is lost.
    pub async fn next(&mut self) -> Result<Told, Error> {
        loop {
            let frame = self.frame().await?;
            match told(frame) {
                Ok(Some(told)) => return Ok(told),
                // A push of another kind: of no interest, and no harm.
                Ok(None) => {}
                Err(reason) => return Err(self.control.unexpected("PING", reason)),
            }
        }
    }

    /// The error of a server that has not answered for so long.
    pub fn silent(&self, limit: Duration) -> Error {
        self.no_reply("PING", format!("nothing within {limit:?}"))
    }

    /// A request of the handshake and its reply.
    async fn call(&mut self, command: &str, arguments: &[&str]) -> Result<(), Error> {
        self.send(arguments).await?;
        loop {
            match self.frame().await? {
                BytesFrame::Push { .. } => {}
                BytesFrame::SimpleError { data, .. } => {
                    return Err(Error::Refused {
                        server: self.control.server.clone(),
                        command: command.to_owned(),
                        text: data.to_string(),
                    });
                }
                _ => return Ok(()),
            }
        }
    }

    async fn send(&mut self, arguments: &[&str]) -> Result<(), Error> {
        let command = arguments.first().copied().unwrap_or_default();
        let mut bytes = BytesMut::new();
        frame::encode(&mut bytes, arguments)
            .map_err(|reason| self.control.unexpected(command, reason))?;
        let mut unsent = &bytes[..];
        while !unsent.is_empty() {
            match self.control.stream.try_write(unsent) {
                Ok(count) => unsent = &unsent[count..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let stream = &mut self.control.stream;
                    poll_fn(move |cx| stream.poll_write_ready(cx))
                        .await
                        .map_err(|error| self.no_reply(command, error.to_string()))?;
                }
                Err(error) => return Err(self.no_reply(command, error.to_string())),
            }
        }
        Ok(())
    }

    /// The next whole frame.
    async fn frame(&mut self) -> Result<BytesFrame, Error> {
        loop {
            let fresh = self
                .control
                .received
                .get(self.scanned..)
                .unwrap_or_default();
            match self.scanner.scan(fresh) {
                Ok(Progress::Frame { length, .. }) => {
                    let whole = self.scanned + length;
                    self.scanned = 0;
                    let mut frame = self.control.received.split_to(whole);
                    return match decode_bytes_mut(&mut frame) {
                        Ok(Some((frame, _, _))) => Ok(frame),
                        Ok(None) => Err(self.unreadable("it ends in the middle")),
                        Err(error) => Err(self.unreadable(&error.to_string())),
                    };
                }
                Ok(Progress::Partial) => self.scanned = self.control.received.len(),
                Err(error) => return Err(self.unreadable(&error.to_string())),
            }
            if self.scanned > MESSAGE_BYTES_MAX {
                return Err(self.unreadable(&format!("more than {MESSAGE_BYTES_MAX} bytes")));
            }
            self.receive().await?;
        }
    }

    async fn receive(&mut self) -> Result<(), Error> {
        loop {
            self.control.received.reserve(READ_BYTES);
            match self.control.stream.try_read_buf(&mut self.control.received) {
                Ok(0) => {
                    return Err(
                        self.no_reply("PING", "the server has closed the connection".to_owned())
                    );
                }
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let stream = &mut self.control.stream;
                    poll_fn(move |cx| stream.poll_read_ready(cx))
                        .await
                        .map_err(|error| self.no_reply("PING", error.to_string()))?;
                }
                Err(error) => return Err(self.no_reply("PING", error.to_string())),
            }
        }
    }

    fn no_reply(&self, command: &str, reason: String) -> Error {
        Error::NoReply {
            server: self.control.server.clone(),
            command: command.to_owned(),
            reason,
        }
    }

    fn unreadable(&self, reason: &str) -> Error {
        self.control
            .unexpected("CLIENT TRACKING", reason.to_owned())
    }
}

/// What a frame says; none where it is of no interest.
fn told(frame: BytesFrame) -> Result<Option<Told>, String> {
    let mut items = match frame {
        BytesFrame::Push { data, .. } => data.into_iter(),
        BytesFrame::SimpleString { data, .. } if data[..] == *b"PONG" => {
            return Ok(Some(Told::Answer));
        }
        _ => return Err("neither a message nor the answer".to_owned()),
    };
    let is_ours = items.next().is_some_and(
        |kind| matches!(kind, BytesFrame::BlobString { data, .. } if data[..] == *b"invalidate"),
    );
    match items.next() {
        _ if !is_ours => Ok(None),
        Some(BytesFrame::Null) => Ok(Some(Told::Everything)),
        Some(BytesFrame::Array { data, .. }) => {
            let keys = data.into_iter().map(|key| match key {
                BytesFrame::BlobString { data, .. } => Ok(data),
                _ => Err("a key that is no string".to_owned()),
            });
            Ok(Some(Told::Changed(keys.collect::<Result<_, _>>()?)))
        }
        Some(_) | None => Err("a message without keys".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &'static [u8]) -> Result<Option<Told>, String> {
        let (frame, _, _) = decode_bytes_mut(&mut BytesMut::from(bytes))
            .expect("it is RESP3")
            .expect("it is whole");
        told(frame)
    }

    #[test]
    fn a_message_names_keys_or_says_everything() {
        let keys = of(b">2\r\n$10\r\ninvalidate\r\n*2\r\n$1\r\na\r\n$2\r\n\r\n\r\n");
        let expected = vec![Bytes::from_static(b"a"), Bytes::from_static(b"\r\n")];
        assert_eq!(keys, Ok(Some(Told::Changed(expected))));
        let flushed = of(b">2\r\n$10\r\ninvalidate\r\n_\r\n");
        assert_eq!(flushed, Ok(Some(Told::Everything)));
        assert_eq!(of(b"+PONG\r\n"), Ok(Some(Told::Answer)));
    }

    #[test]
    fn what_is_not_understood_is_an_error_but_for_other_messages() {
        assert_eq!(of(b">2\r\n$7\r\nmessage\r\n$1\r\na\r\n"), Ok(None));
        assert!(of(b">1\r\n$10\r\ninvalidate\r\n").is_err());
        assert!(of(b">2\r\n$10\r\ninvalidate\r\n*1\r\n:1\r\n").is_err());
        assert!(of(b"+OK\r\n").is_err());
    }
}
