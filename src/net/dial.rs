//! From a configured endpoint to a connected [`Stream`].

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};

use super::socket::{self, Socket};
use super::tls::connection::Connection;
use super::{Stream, tls};

/// Where something listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// Host name or address, and port. Resolved again at every connect, with the system's resolver.
    Tcp {
        /// Name or address, without brackets.
        host: String,
        /// Port.
        port: u16,
    },
    /// A unix socket.
    Unix(PathBuf),
}

/// Where to connect, and with what.
#[derive(Debug, Clone)]
pub struct Dial {
    /// The far end.
    pub endpoint: Endpoint,
    /// TLS to it, or none.
    pub tls: Option<Arc<tls::Client>>,
}

/// Why there is no connection. Carries no secrets.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The name has no address.
    #[error("cannot resolve {host}: {reason}")]
    Resolve {
        /// The name.
        host: String,
        /// The resolver's words.
        reason: String,
    },
    /// Nobody accepted.
    #[error("cannot connect to {endpoint}: {reason}")]
    Refused {
        /// Where.
        endpoint: Endpoint,
        /// The system's words.
        reason: String,
    },
    /// The TLS handshake failed.
    #[error("TLS with {endpoint} failed: {reason}")]
    Tls {
        /// Where.
        endpoint: Endpoint,
        /// What the far end or the certificate said.
        reason: String,
    },
    /// The time ran out.
    #[error("no connection to {endpoint} within {limit:?}")]
    TimedOut {
        /// Where.
        endpoint: Endpoint,
        /// The limit.
        limit: Duration,
    },
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Endpoint::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Endpoint::Tcp { host, port } => write!(f, "{host}:{port}"),
            Endpoint::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Dial {
    /// Resolves, connects (each address in turn), sets `TCP_NODELAY`, does the TLS handshake; all within `limit`.
    ///
    /// Cancel safety: dropping it drops the attempt.
    pub async fn connect(&self, limit: Duration) -> Result<Stream, ConnectError> {
        let deadline = Instant::now() + limit;
        timeout_at(deadline, self.connect_by(deadline))
            .await
            .unwrap_or_else(|_| {
                Err(ConnectError::TimedOut {
                    endpoint: self.endpoint.clone(),
                    limit,
                })
            })
    }

    async fn connect_by(&self, deadline: Instant) -> Result<Stream, ConnectError> {
        let (socket, peer) = match &self.endpoint {
            Endpoint::Tcp { host, port } => {
                let addresses = resolve(host, *port).await?;
                let (stream, address) = first_to_accept(&addresses, deadline)
                    .await
                    .map_err(|error| self.refused(&error))?;
                (Socket::Tcp(stream), address.to_string())
            }
            Endpoint::Unix(path) => {
                let stream = UnixStream::connect(path)
                    .await
                    .map_err(|error| self.refused(&error))?;
                (Socket::Unix(stream), "unix".to_owned())
            }
        };
        let Some(tls) = &self.tls else {
            return Ok(Stream::plain(socket, peer));
        };
        let session = tls.session().map_err(|error| self.insecure(&error))?;
        let connection = Connection::handshake(socket, session)
            .await
            .map_err(|error| self.insecure(&error))?;
        Ok(Stream::encrypted(connection, peer))
    }

    fn insecure(&self, error: &dyn std::error::Error) -> ConnectError {
        ConnectError::Tls {
            endpoint: self.endpoint.clone(),
            reason: error.to_string(),
        }
    }

    fn refused(&self, error: &io::Error) -> ConnectError {
        ConnectError::Refused {
            endpoint: self.endpoint.clone(),
            reason: error.to_string(),
        }
    }
}

/// The system's resolver (getaddrinfo), so that whatever NSS knows can be named, `.local` included.
async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, ConnectError> {
    let failed = |reason: String| ConnectError::Resolve {
        host: host.to_owned(),
        reason,
    };
    let addresses: Vec<_> = lookup_host((host, port))
        .await
        .map_err(|error| failed(error.to_string()))?
        .collect();
    if addresses.is_empty() {
        return Err(failed("the name has no address".to_owned()));
    }
    Ok(addresses)
}

/// Each address in turn. One that never answers gets an equal share of the time that is left, so that it cannot hide
/// the ones behind it; the last one may take all of it, which the caller ends at the deadline.
pub(super) async fn first_to_accept(
    addresses: &[SocketAddr],
    deadline: Instant,
) -> io::Result<(TcpStream, SocketAddr)> {
    let mut untried = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for &address in addresses {
        let attempt = connect_tcp(address);
        let outcome = if untried > 1 {
            let share = deadline.saturating_duration_since(Instant::now()) / untried;
            timeout(share, attempt)
                .await
                .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        } else {
            attempt.await
        };
        match outcome {
            Ok(stream) => return Ok((stream, address)),
            Err(error) => last = error,
        }
        untried = untried.saturating_sub(1);
    }
    Err(last)
}

async fn connect_tcp(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    socket::tune(&stream)?;
    Ok(stream)
}
