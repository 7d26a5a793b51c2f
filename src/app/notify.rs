//! What a service manager is told: that the sidecar serves, and that it ends. One datagram each, to the socket that
//! `NOTIFY_SOCKET` names (`sd_notify(3)`); where there is none, nobody asked.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// The listeners are up: whatever waits for the sidecar may start.
    Serving,
    /// Nothing new begins; what is under way is finished.
    Ending,
}

/// Tells it. A manager that cannot be told takes a start for failed after a while, so somebody should know why.
pub(super) fn tell(state: State) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
        return;
    };
    if let Err(error) = send(&socket, state.message()) {
        tracing::warn!(%error, ?socket, ?state, "the service manager could not be told");
    }
}

impl State {
    fn message(self) -> &'static [u8] {
        match self {
            State::Serving => b"READY=1",
            State::Ending => b"STOPPING=1",
        }
    }
}

fn send(socket: &OsStr, message: &[u8]) -> io::Result<()> {
    let address = match socket.as_bytes() {
        // A name that is no file.
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(socket)?,
    };
    let sender = UnixDatagram::unbound()?;
    // The control side waits for nobody here.
    sender.set_nonblocking(true)?;
    sender.send_to_addr(message, &address)?;
    Ok(())
}
