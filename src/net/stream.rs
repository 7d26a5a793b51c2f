//! A connected byte stream, plain or TLS, used through `&self`: readiness by poll, then non-blocking calls.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::task::{Context, Poll};

use bytes::BytesMut;

use super::socket::Socket;
use super::tls::connection::Connection;

/// A connected stream. All its users live on one thread. Of the tasks that wait for it, the newest in each direction
/// is woken: one reader and one writer.
#[derive(Debug)]
pub struct Stream {
    /// What carries the bytes.
    carrier: Carrier,
    /// For logs: `host:port`, or `unix`.
    peer: Box<str>,
}

#[derive(Debug)]
enum Carrier {
    Plain(Socket),
    Tls(Connection),
}

impl Stream {
    /// A stream without TLS.
    pub(super) fn plain(socket: Socket, peer: String) -> Stream {
        Stream {
            carrier: Carrier::Plain(socket),
            peer: peer.into(),
        }
    }

    /// A stream whose TLS handshake is done.
    pub(super) fn encrypted(connection: Connection, peer: String) -> Stream {
        Stream {
            carrier: Carrier::Tls(connection),
            peer: peer.into(),
        }
    }

    /// Ready when a read may make progress; registers this task's waker otherwise.
    #[inline]
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.carrier {
            Carrier::Plain(socket) => socket.poll_read_ready(cx),
            Carrier::Tls(connection) => connection.poll_read_ready(cx),
        }
    }

    /// Ready when a write may make progress; registers this task's waker otherwise.
    #[inline]
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.carrier {
            Carrier::Plain(socket) => socket.poll_write_ready(cx),
            Carrier::Tls(connection) => connection.poll_write_ready(cx),
        }
    }

    /// Reads into `buffer`; `Ok(0)` is the far end's close, `WouldBlock` means wait for readiness.
    #[inline]
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.carrier {
            Carrier::Plain(socket) => socket.try_read(buffer),
            Carrier::Tls(connection) => connection.try_read(buffer),
        }
    }

    /// Reads into the spare capacity of `buffer` (the caller reserves it); as [`Stream::try_read`] otherwise.
    #[inline]
    pub fn try_read_buf(&self, buffer: &mut BytesMut) -> io::Result<usize> {
        match &self.carrier {
            Carrier::Plain(socket) => socket.try_read_buf(buffer),
            Carrier::Tls(connection) => connection.try_read_buf(buffer),
        }
    }

    /// Writes from `bytes` and says how many the kernel has taken; `WouldBlock` means that none are reported as taken,
    /// and that the next call must begin with the same bytes (TLS may have encrypted them already).
    #[inline]
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match &self.carrier {
            Carrier::Plain(socket) => socket.try_write(bytes),
            Carrier::Tls(connection) => connection.try_write(bytes),
        }
    }

    /// Tells the far end that nothing more comes; what it sends can still be read. Errors are of no interest to anyone.
    pub fn close_sending(&self) {
        match &self.carrier {
            Carrier::Plain(socket) => socket.shutdown(Shutdown::Write),
            Carrier::Tls(connection) => connection.close(Shutdown::Write),
        }
    }

    /// Closes both directions, as far as the far end is concerned. Errors are of no interest to anyone.
    pub fn close(&self) {
        match &self.carrier {
            Carrier::Plain(socket) => socket.shutdown(Shutdown::Both),
            Carrier::Tls(connection) => connection.close(Shutdown::Both),
        }
    }

    /// Bytes that have arrived and were not read; with TLS as they came over the network, or more.
    pub fn unread_bytes(&self) -> usize {
        match &self.carrier {
            Carrier::Plain(socket) => socket.unread_bytes(),
            Carrier::Tls(connection) => connection.unread_bytes(),
        }
    }

    /// Our end's address; none over a unix socket.
    pub fn local_address(&self) -> Option<SocketAddr> {
        match &self.carrier {
            Carrier::Plain(socket) => socket.local_address(),
            Carrier::Tls(connection) => connection.local_address(),
        }
    }

    /// The far end's address for logs: `host:port`, or `unix`.
    pub fn peer(&self) -> &str {
        &self.peer
    }
}
