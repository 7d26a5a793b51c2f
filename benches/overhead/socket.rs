//! The load's own connections: TCP, TLS over it, unix sockets. They block until they are connected, and not any more then.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

/// Where a way begins.
#[derive(Debug, Clone)]
pub enum Address {
    Tcp(SocketAddr),
    /// The same, where a certificate is shown that this configuration trusts.
    Tls(SocketAddr, Arc<ClientConfig>),
    Unix(PathBuf),
}

pub enum Socket {
    Tcp(TcpStream),
    Tls(Box<Tls>),
    Unix(UnixStream),
}

/// TLS over TCP. It reads from the network only when it is asked for bytes and has none: what it holds back would have
/// nobody wake for it.
pub struct Tls {
    session: ClientConnection,
    stream: TcpStream,
}

/// A client's configuration that trusts one authority.
pub fn trusting(ca: &Path) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(ca).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}

impl Socket {
    pub fn connect(address: &Address) -> io::Result<Socket> {
        let socket = match address {
            Address::Tcp(address) => Socket::Tcp(tcp(*address)?),
            Address::Tls(address, settings) => Socket::Tls(Box::new(Tls::connect(
                tcp(*address)?,
                Arc::clone(settings),
            )?)),
            Address::Unix(path) => Socket::Unix(UnixStream::connect(path)?),
        };
        socket.set_nonblocking(true)?;
        Ok(socket)
    }

    pub fn set_blocking(&self) -> io::Result<()> {
        self.set_nonblocking(false)
    }

    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        match self {
            Socket::Tcp(stream) => stream.set_nonblocking(nonblocking),
            Socket::Tls(tls) => tls.stream.set_nonblocking(nonblocking),
            Socket::Unix(stream) => stream.set_nonblocking(nonblocking),
        }
    }
}

fn tcp(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl Tls {
    /// With the handshake made, so that no load counts it.
    fn connect(mut stream: TcpStream, settings: Arc<ClientConfig>) -> io::Result<Tls> {
        let name = ServerName::from(stream.peer_addr()?.ip());
        let mut session = ClientConnection::new(settings, name).map_err(io::Error::other)?;
        while session.is_handshaking() {
            session.complete_io(&mut stream)?;
        }
        Ok(Tls { session, stream })
    }
}

impl Read for Tls {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.session.reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                read => return read,
            }
            if self.session.read_tls(&mut self.stream)? == 0 {
                return Ok(0);
            }
            self.session
                .process_new_packets()
                .map_err(io::Error::other)?;
        }
    }
}

impl Write for Tls {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.flush()?;
        self.session.writer().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.session.wants_write() {
            self.session.write_tls(&mut self.stream)?;
        }
        Ok(())
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.read(buffer),
            Socket::Tls(tls) => tls.read(buffer),
            Socket::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.write(bytes),
            Socket::Tls(tls) => tls.write(bytes),
            Socket::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Socket::Tls(tls) => tls.flush(),
            Socket::Tcp(_) | Socket::Unix(_) => Ok(()),
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Socket::Tcp(stream) => stream.as_fd(),
            Socket::Tls(tls) => tls.stream.as_fd(),
            Socket::Unix(stream) => stream.as_fd(),
        }
    }
}
