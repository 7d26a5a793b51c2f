//! TLS over a non-blocking socket, driven by hand: `rustls` turns bytes into bytes, and the socket's readiness says
//! when to.
//!
//! Refuses to know: certificates, which end this is.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, BufRead, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::task::{Context, Poll};

use bytes::BytesMut;

use crate::net::socket::Socket;

/// Spare room that a read makes in a buffer that has none, so that it can never look like the far end's close.
const ROOM_MIN: usize = 64;

/// An encrypted connection past its handshake.
#[derive(Debug)]
pub(in crate::net) struct Connection {
    socket: Socket,
    /// Borrowed only within one call, so never twice.
    session: RefCell<Session>,
}

#[derive(Debug)]
struct Session {
    /// Boxed: it is large, moved through several futures, and absent from most streams.
    tls: Box<rustls::Connection>,
    /// Plaintext bytes that are encrypted, but whose ciphertext the kernel has not taken to the end. Their writer was
    /// told `WouldBlock`, keeps them, and offers them again; they are reported as written when the ciphertext is out.
    /// So `Ok` means "in the kernel's hands" here as it does without TLS, and nobody has to flush.
    owed: usize,
}

impl Connection {
    pub(in crate::net) fn local_address(&self) -> Option<SocketAddr> {
        self.socket.local_address()
    }

    /// What is decrypted and was not read, and what is still encrypted, which is more than will come of it.
    pub(in crate::net) fn unread_bytes(&self) -> usize {
        let mut session = self.session.borrow_mut();
        let decrypted = session
            .tls
            .process_new_packets()
            .map_or(0, |state| state.plaintext_bytes_to_read());
        decrypted + self.socket.unread_bytes()
    }

    /// Does the handshake. The caller limits its time.
    pub(in crate::net) async fn handshake(
        socket: Socket,
        tls: rustls::Connection,
    ) -> io::Result<Connection> {
        let mut session = Session {
            tls: Box::new(tls),
            owed: 0,
        };
        while session.tls.is_handshaking() || session.tls.wants_write() {
            if session.tls.wants_write() {
                match session.send(&socket) {
                    Err(error) if is_blocked(&error) => {
                        poll_fn(|cx| socket.poll_write_ready(cx)).await?;
                    }
                    done => done?,
                }
            } else {
                match session.receive(&socket) {
                    Err(error) if is_blocked(&error) => {
                        poll_fn(|cx| socket.poll_read_ready(cx)).await?;
                    }
                    done => done?,
                }
            }
        }
        Ok(Connection {
            socket,
            session: RefCell::new(session),
        })
    }

    /// Also ready where decrypted bytes, or the far end's close, are at hand already: the socket knows nothing of them.
    pub(in crate::net) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.session.borrow_mut().has_plaintext() {
            return Poll::Ready(Ok(()));
        }
        self.socket.poll_read_ready(cx)
    }

    pub(in crate::net) fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_write_ready(cx)
    }

    pub(in crate::net) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read(|plaintext| {
            let taken = plaintext.len().min(buffer.len());
            buffer[..taken].copy_from_slice(&plaintext[..taken]);
            taken
        })
    }

    pub(in crate::net) fn try_read_buf(&self, buffer: &mut BytesMut) -> io::Result<usize> {
        self.read(|plaintext| {
            let room = (buffer.capacity() - buffer.len()).max(ROOM_MIN);
            let taken = plaintext.len().min(room);
            buffer.extend_from_slice(&plaintext[..taken]);
            taken
        })
    }

    /// After `WouldBlock` the next call must begin with the same bytes, as a queue's next call does.
    pub(in crate::net) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let session = &mut *self.session.borrow_mut();
        if session.owed == 0 {
            // Takes no more than rustls's own bound on unsent ciphertext, 64 KiB.
            session.owed = session.tls.writer().write(bytes)?;
        }
        session.send(&self.socket)?;
        let written = session.owed.min(bytes.len());
        session.owed -= written;
        Ok(written)
    }

    /// Says goodbye as far as the socket takes it, and closes one direction or both.
    pub(in crate::net) fn close(&self, how: Shutdown) {
        let mut session = self.session.borrow_mut();
        session.tls.send_close_notify();
        let _ = session.send(&self.socket);
        self.socket.shutdown(how);
    }

    /// At most one read of the socket a call: a far end that sends records without content must not keep the thread.
    /// Where nothing comes of it the socket is still ready, and the next poll says so.
    fn read(&self, mut take: impl FnMut(&[u8]) -> usize) -> io::Result<usize> {
        let session = &mut *self.session.borrow_mut();
        if !session.has_plaintext() {
            session.receive(&self.socket)?;
        }
        let mut reader = session.tls.reader();
        let taken = match reader.fill_buf() {
            Ok(plaintext) => take(plaintext),
            // A close without TLS's goodbye, which many servers leave out. RESP shows by itself where a frame ends.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
            Err(error) => return Err(error),
        };
        reader.consume(taken);
        Ok(taken)
    }
}

impl Session {
    /// Whether a read would give bytes, or the far end's close.
    fn has_plaintext(&mut self) -> bool {
        !matches!(self.tls.reader().fill_buf(), Err(error) if is_blocked(&error))
    }

    /// Takes what the socket has, once, and decrypts it.
    fn receive(&mut self, socket: &Socket) -> io::Result<()> {
        let received = self.tls.read_tls(&mut Wire(socket))?;
        let outcome = self.tls.process_new_packets();
        // Answers of the protocol itself and alerts. What the socket does not take now goes with the next write.
        if self.tls.wants_write() {
            let _ = self.send(socket);
        }
        outcome.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        if received == 0 && self.tls.is_handshaking() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    /// Hands all ciphertext to the kernel; `WouldBlock` where some remains.
    fn send(&mut self, socket: &Socket) -> io::Result<()> {
        while self.tls.wants_write() {
            if self.tls.write_tls(&mut Wire(socket))? == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        Ok(())
    }
}

/// The socket as rustls wants it.
struct Wire<'socket>(&'socket Socket);

impl Read for Wire<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}

impl Write for Wire<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(parts)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn is_blocked(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}
