//! Listening sockets, and what they accept on its way to a worker.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Type};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::time::timeout;

use super::socket::{Socket, tune};
use super::socket_file::{Owner, SocketFile};
use super::tls::connection::Connection;
use super::{Stream, tls};

/// Connections that may wait for `accept`: a fleet of clients that reconnects at once must not see refusals. The
/// kernel lowers it to its own `somaxconn`, 4096 by default since Linux 5.4.
const BACKLOG: i32 = 4096;

/// How long a client may take for its TLS handshake: one that sends nothing must not hold a place for ever.
pub const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Bind {
    /// Address and port.
    Tcp(SocketAddr),
    /// A unix socket, and who may use its file.
    Unix {
        /// Path of the socket file; a stale one (nobody answers) is replaced, a live one is an error.
        path: PathBuf,
        /// Permission bits.
        mode: u32,
        /// Whose it is.
        owner: Owner,
    },
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bind::Tcp(address) => write!(f, "{address}"),
            Bind::Unix { path, .. } => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A bound, listening socket. Dropping it removes a unix socket's file.
#[derive(Debug)]
pub struct Listener {
    /// Registered with the runtime that bound it.
    socket: Listening,
    /// As [`Listener::local`] gives it.
    local: String,
    /// The unix socket's file, which ends with the listener.
    _file: Option<SocketFile>,
}

#[derive(Debug)]
enum Listening {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// An accepted connection that does not belong to a runtime yet, so that it can be sent to a worker's thread.
#[derive(Debug)]
pub struct Accepted(Accepting);

#[derive(Debug)]
enum Accepting {
    Tcp(std::net::TcpStream, SocketAddr),
    Unix(std::os::unix::net::UnixStream),
}

impl Listener {
    /// Binds and listens (backlog 4096). Must be called in a tokio runtime, which then owns the readiness. An error says
    /// where.
    pub fn bind(bind: &Bind) -> io::Result<Listener> {
        Self::open(bind).map_err(|error| {
            io::Error::new(error.kind(), format!("cannot listen on {bind}: {error}"))
        })
    }

    fn open(bind: &Bind) -> io::Result<Listener> {
        match bind {
            Bind::Tcp(address) => {
                let listener = TcpListener::from_std(listen(bind_tcp(*address)?)?.into())?;
                let local = listener.local_addr()?.to_string();
                Ok(Listener {
                    socket: Listening::Tcp(listener),
                    local,
                    _file: None,
                })
            }
            Bind::Unix { path, mode, owner } => {
                let (socket, file) = SocketFile::bind(path, *mode, *owner)?;
                let listener = UnixListener::from_std(listen(socket)?.into())?;
                let local = bind.to_string();
                Ok(Listener {
                    socket: Listening::Unix(listener),
                    local,
                    _file: Some(file),
                })
            }
        }
    }

    /// The next connection, `TCP_NODELAY` and the time-outs of dead peers set. An error concerns this one call: the listener stays
    /// usable, but where the process is out of descriptors the next call fails at once too, so pause before it.
    ///
    /// Cancel safety: no connection is lost when it is dropped.
    pub async fn accept(&self) -> io::Result<Accepted> {
        let connection = match &self.socket {
            Listening::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                tune(&stream)?;
                Accepting::Tcp(stream.into_std()?, peer)
            }
            Listening::Unix(listener) => Accepting::Unix(listener.accept().await?.0.into_std()?),
        };
        Ok(Accepted(connection))
    }

    /// The address it is bound to, for port 0: `host:port` or `unix:PATH`.
    pub fn local(&self) -> String {
        self.local.clone()
    }
}

impl Accepted {
    /// Registers the connection with the current runtime; does the TLS handshake where `tls` is given, within
    /// [`HANDSHAKE_LIMIT`].
    pub async fn adopt(self, tls: Option<Arc<tls::Server>>) -> io::Result<Stream> {
        let (socket, peer) = match self.0 {
            Accepting::Tcp(stream, peer) => {
                (Socket::Tcp(TcpStream::from_std(stream)?), peer.to_string())
            }
            Accepting::Unix(stream) => (
                Socket::Unix(UnixStream::from_std(stream)?),
                "unix".to_owned(),
            ),
        };
        let Some(tls) = tls else {
            return Ok(Stream::plain(socket, peer));
        };
        let session = tls.session().map_err(io::Error::other)?;
        let connection = timeout(HANDSHAKE_LIMIT, Connection::handshake(socket, session)).await??;
        Ok(Stream::encrypted(connection, peer))
    }
}

fn listen(socket: socket2::Socket) -> io::Result<socket2::Socket> {
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn bind_tcp(address: SocketAddr) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // A restart must not wait for the last process's connections to time out. SO_REUSEPORT would let two sidecars
    // share the port unnoticed.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}
