//! Listening sockets, and what they accept on its way to a worker.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, SockAddr, Type};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::time::timeout;

use super::socket::{Socket, tune};
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
    /// A unix socket with the mode its file gets.
    Unix {
        /// Path of the socket file; a stale one (nobody answers) is replaced, a live one is an error.
        path: PathBuf,
        /// Permission bits.
        mode: u32,
    },
}

/// A bound, listening socket. Dropping it removes a unix socket's file.
#[derive(Debug)]
pub struct Listener {
    /// Registered with the runtime that bound it.
    socket: Listening,
    /// As [`Listener::local`] gives it.
    local: String,
    /// The unix socket's file, removed at the end.
    file: Option<SocketFile>,
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
    /// Binds and listens (backlog 4096). Must be called in a tokio runtime, which then owns the readiness.
    pub fn bind(bind: &Bind) -> io::Result<Listener> {
        match bind {
            Bind::Tcp(address) => {
                let listener = TcpListener::from_std(listen(bind_tcp(*address)?)?.into())?;
                let local = listener.local_addr()?.to_string();
                Ok(Listener {
                    socket: Listening::Tcp(listener),
                    local,
                    file: None,
                })
            }
            Bind::Unix { path, mode } => {
                let (socket, file) = bind_unix(path, *mode)?;
                let listener = UnixListener::from_std(listen(socket)?.into())?;
                let local = format!("unix:{}", path.display());
                Ok(Listener {
                    socket: Listening::Unix(listener),
                    local,
                    file: Some(file),
                })
            }
        }
    }

    /// The next connection, `TCP_NODELAY` and keep-alive set. An error concerns this one call: the listener stays
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

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            file.remove();
        }
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

/// The mode is set between `bind` and `listen`: before `listen` nobody can connect, so nobody slips in under the
/// permissions that the umask left.
fn bind_unix(path: &Path, mode: u32) -> io::Result<(socket2::Socket, SocketFile)> {
    remove_stale(path)?;
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    let file = SocketFile::of(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    Ok((socket, file))
}

/// Removes the socket file of a process that is gone. Anything else that is in the way stays: a live socket, and
/// whatever is not a socket.
fn remove_stale(path: &Path) -> io::Result<()> {
    let is_socket = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type().is_socket(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !is_socket {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "the path exists and is not a socket",
        ));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)
        }
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "another process answers on this socket",
        )),
        Err(error) => Err(error),
    }
}

/// A socket file by name and identity, so that a successor's file is not removed in place of ours.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<SocketFile> {
        let metadata = std::fs::symlink_metadata(path)?;
        Ok(SocketFile {
            path: path.to_owned(),
            device: metadata.dev(),
            inode: metadata.ino(),
        })
    }

    /// Best effort: the listener is going away in any case, and the next start replaces a stale file.
    fn remove(&self) {
        if std::fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == (self.device, self.inode))
        {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
