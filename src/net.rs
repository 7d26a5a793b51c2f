//! Sockets: names to addresses, TCP and unix connections, TLS. One non-blocking [`Stream`] that its owner and a
//! deliverer can use through a shared reference, since all users of one stream live on one thread.
//!
//! Refuses to know: RESP, sides, sessions.

pub mod dial;
pub mod io;
pub mod listen;
mod socket;
mod socket_file;
pub mod stream;
#[cfg(test)]
mod tests;
pub mod tls;

pub use dial::{ConnectError, Dial, Endpoint};
pub use io::Io;
pub use listen::{Accepted, Bind, Listener};
pub use socket_file::Owner;
pub use stream::Stream;
