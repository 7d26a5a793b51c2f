//! A connected socket of either family, without TLS.
//!
//! Refuses to know: what the bytes mean, who waits for them.

use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use rustix::io::ioctl_fionread;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::Interest;
use tokio::net::{TcpStream, UnixStream};

/// Idle time after which the kernel asks whether a peer is still there. Short enough that a peer whose machine is gone
/// is noticed within minutes, long enough to cost nothing; Redis uses a value of this order (`tcp-keepalive 300`).
const KEEP_ALIVE: Duration = Duration::from_mins(1);

/// How long what was sent may stay without a word from the peer before the connection counts as dead. Without it the kernel
/// sends it again for a quarter of an hour (`tcp_retries2`), and a session, or the requests on a lane, wait as long for a
/// machine that is gone. It bounds keep-alive's questions as well, and a peer that is there but takes nothing for so long
/// while its buffers are full: nobody waits two minutes for a reply and then goes on.
const UNANSWERED_MAX: Duration = Duration::from_mins(2);

/// A connected, non-blocking socket that belongs to the current runtime.
#[derive(Debug)]
pub(super) enum Socket {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a unix socket.
    Unix(UnixStream),
}

impl Socket {
    /// Our end's address; none over a unix socket.
    pub(super) fn local_address(&self) -> Option<SocketAddr> {
        match self {
            Socket::Tcp(stream) => stream.local_addr().ok(),
            Socket::Unix(_) => None,
        }
    }

    /// What the kernel has for us; nothing where it cannot say.
    pub(super) fn unread_bytes(&self) -> usize {
        let bytes = match self {
            Socket::Tcp(stream) => ioctl_fionread(stream),
            Socket::Unix(stream) => ioctl_fionread(stream),
        };
        bytes.map_or(0, |bytes| bytes as usize)
    }

    #[inline]
    pub(super) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Socket::Tcp(stream) => stream.poll_read_ready(cx),
            Socket::Unix(stream) => stream.poll_read_ready(cx),
        }
    }

    #[inline]
    pub(super) fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Socket::Tcp(stream) => stream.poll_write_ready(cx),
            Socket::Unix(stream) => stream.poll_write_ready(cx),
        }
    }

    #[inline]
    pub(super) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = buffer.len();
        self.read_once(room, || match self {
            Socket::Tcp(stream) => stream.try_read(buffer),
            Socket::Unix(stream) => stream.try_read(buffer),
        })
    }

    #[inline]
    pub(super) fn try_read_buf(&self, buffer: &mut BytesMut) -> io::Result<usize> {
        let room = buffer.capacity() - buffer.len();
        self.read_once(room, || match self {
            Socket::Tcp(stream) => stream.try_read_buf(buffer),
            Socket::Unix(stream) => stream.try_read_buf(buffer),
        })
    }

    /// A read that leaves room has emptied the socket, and whatever comes later is a new event. Having the runtime take
    /// the socket for not readable at once spares the call that would find nothing there. The end of the stream is an
    /// event of its own that stays.
    #[inline]
    fn read_once(
        &self,
        room: usize,
        read: impl FnOnce() -> io::Result<usize>,
    ) -> io::Result<usize> {
        let mut emptied = None;
        let attempt = || match read() {
            Ok(length) if (1..room).contains(&length) => {
                emptied = Some(length);
                Err(io::ErrorKind::WouldBlock.into())
            }
            outcome => outcome,
        };
        let outcome = match self {
            Socket::Tcp(stream) => stream.try_io(Interest::READABLE, attempt),
            Socket::Unix(stream) => stream.try_io(Interest::READABLE, attempt),
        };
        emptied.map_or(outcome, Ok)
    }

    #[inline]
    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.try_write(bytes),
            Socket::Unix(stream) => stream.try_write(bytes),
        }
    }

    pub(super) fn try_write_vectored(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.try_write_vectored(parts),
            Socket::Unix(stream) => stream.try_write_vectored(parts),
        }
    }

    /// Ends one direction or both. A socket that is closed already has nothing left to say, so errors are dropped.
    pub(super) fn shutdown(&self, how: Shutdown) {
        let _ = match self {
            Socket::Tcp(stream) => SockRef::from(stream).shutdown(how),
            Socket::Unix(stream) => SockRef::from(stream).shutdown(how),
        };
    }
}

/// What every TCP connection gets: small writes leave at once, and a vanished peer is noticed.
pub(super) fn tune<'socket>(socket: impl Into<SockRef<'socket>>) -> io::Result<()> {
    let socket = socket.into();
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEP_ALIVE))?;
    socket.set_tcp_user_timeout(Some(UNANSWERED_MAX))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    #[test]
    fn a_peer_that_is_gone_is_noticed_within_minutes_whether_or_not_something_was_sent() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        tune(&stream).unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.tcp_nodelay().unwrap());
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEP_ALIVE);
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(UNANSWERED_MAX));
    }
}
