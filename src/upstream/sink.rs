//! What a connection and those it delivers to say to each other.

use std::rc::Rc;
use std::task::Waker;
use std::time::Instant;

use bytes::BytesMut;

use crate::resp::reply::Kind;
use crate::terms::Side;

/// Whoever replies belong to. Its methods run on the connection's task: they may write to a client and wake tasks, and
/// must not append to a pipeline.
pub trait Sink: 'static {
    /// What a request leaves behind to have its reply recognised.
    type Ticket: 'static;

    /// Whether the reply of this ticket that begins with these bytes is wanted whole, through [`Sink::whole`].
    fn wants_whole(ticket: &Self::Ticket, begins: &[u8]) -> bool;

    /// `bytes` go on with the replies of `ticket`; `completed` of them end in it, and a reply `ends` with the last of
    /// them or goes on.
    fn piece(&self, ticket: &mut Self::Ticket, bytes: &[u8], completed: u32, ends: bool);

    /// One whole reply, for a ticket that wants it.
    fn whole(&self, ticket: &mut Self::Ticket, kind: Kind, reply: BytesMut);

    /// Every reply of the ticket has been handed on.
    fn finished(&self, ticket: Self::Ticket, at: Times);

    /// A frame on a connection in [`Mode::Frames`].
    fn frame(&self, connection: u64, kind: Kind, frame: BytesMut);

    /// Whether a large frame of this kind may be handed on in pieces.
    fn takes_pieces(&self, kind: Kind) -> bool;

    /// Bytes that a reply which is wanted whole, or a message, may have. A connection that brings more is given up: a
    /// database that never comes to an end must not be collected.
    fn whole_bytes_max(&self) -> usize;

    /// `bytes` go on with a large frame on a connection in [`Mode::Frames`]; the last of its pieces where it `ends`.
    fn frame_piece(&self, connection: u64, bytes: &[u8], ends: bool);

    /// Bytes on a connection in [`Mode::Bytes`].
    fn bytes(&self, bytes: &[u8]);

    /// Whether more may be handed to it. If not, `waker` is woken when it may; until then a connection that it owns is
    /// not read.
    fn has_room(&self, waker: &Waker) -> bool;

    /// The connection is gone and the replies of `ticket` will not come: they are ambiguous.
    fn lost(&self, ticket: Self::Ticket, loss: &Loss);

    /// A connection in [`Mode::Frames`] or [`Mode::Bytes`] is gone.
    fn ended(&self, connection: u64, loss: &Loss);
}

/// When the requests of a ticket went through this connection.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// Where it goes.
    pub side: Side,
    /// How many they are.
    pub requests: u32,
    /// They were handed to the kernel.
    pub sent: Instant,
    /// The last of their replies was read.
    pub received: Instant,
}

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Loss {
    /// The database closed it.
    #[error("closed by the server")]
    Closed,
    /// The system reported an error.
    #[error("{0}")]
    Failed(String),
    /// What came was not a reply, or one that nobody had asked for.
    #[error("protocol error: {0}")]
    Protocol(String),
    /// What came has to be looked at as a whole, and has more bytes than that may have.
    #[error(
        "a message or reply of more than {0} bytes that must be kept whole; limit session_reply_bytes"
    )]
    TooLarge(usize),
    /// Closed from this side, with nothing outstanding that anybody waited for.
    #[error("closed")]
    Retired,
}

/// How incoming frames are understood.
pub enum Mode<S> {
    /// Each frame is the reply to the oldest request.
    Replies,
    /// Frames belong to the one session that owns the connection, which finds out by itself what they are
    /// (subscriptions, MONITOR, tracking).
    Frames(Rc<S>),
    /// Whatever comes belongs to the one session that owns the connection (a replica's).
    Bytes(Rc<S>),
}

impl<S> Clone for Mode<S> {
    fn clone(&self) -> Mode<S> {
        match self {
            Mode::Replies => Mode::Replies,
            Mode::Frames(owner) => Mode::Frames(Rc::clone(owner)),
            Mode::Bytes(owner) => Mode::Bytes(Rc::clone(owner)),
        }
    }
}
