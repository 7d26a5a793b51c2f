//! What a request leaves behind until its reply comes, and what the session's task is shown of replies.

use std::time::Instant;

use bytes::BytesMut;

use super::mute::Replies;
use crate::gate::Permit;
use crate::resp::reply::Kind;
use crate::terms::Side;
use crate::upstream::Loss;

/// What a request leaves behind until its reply is there.
#[derive(Debug)]
pub(super) struct Ticket {
    /// The request's number in its session; of a run, the oldest without a reply.
    pub(super) number: u64,
    /// What is done with the reply.
    pub(super) handling: Handling,
    /// Proof of admission; the request is in flight until it is dropped.
    pub(super) permit: Option<Permit>,
    /// When the request was read.
    pub(super) read_at: Instant,
    /// What its reply began with, where the session is to know of it afterwards.
    pub(super) head: Vec<u8>,
}

/// As much of a reply is kept for the session: the longest cursor.
pub(super) const HEAD_BYTES: usize = 40;

/// What is done with a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Handling {
    /// To the client, as it comes.
    Relay,
    /// To the session first, whole.
    Show(Purpose),
    /// To the client, as it comes; the session is told when it has ended. A null that ends a blocked command is shown
    /// whole: it may be kept from the client.
    Pass(Purpose),
    /// Nobody asked for it but the proxy itself.
    Swallow,
}

/// Why a session wants to see a reply before (or instead of) the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// AUTH, HELLO, SELECT or RESET on connection `0`, which tells whether the session has changed.
    Change,
    /// MULTI on this side: a transaction is open.
    Multi(Side),
    /// EXEC: the transaction is over.
    Exec,
    /// DISCARD or UNWATCH: so is this.
    Unwatch,
    /// A command that blocks.
    Blocked,
    /// CLIENT UNBLOCK, sent for such a command.
    Unblock,
    /// CLIENT ID, sent behind a password on a connection that was not let in before.
    Number,
    /// The only reply that a private connection was borrowed for.
    Borrowed,
    /// The last reply of what was sent ahead on a connection to the other side.
    Prepared,
    /// CLIENT TRACKING.
    Tracking,
    /// MONITOR.
    Monitor,
    /// SCAN or its like, whose reply brings a cursor.
    Cursor,
    /// What stands for CLIENT REPLY.
    ClientReply(Replies),
}

/// What the session's task has to look at.
#[derive(Debug)]
pub(super) enum Shown {
    /// A reply, by the number of its request.
    Reply {
        /// Its request.
        number: u64,
        /// Why it is shown.
        purpose: Purpose,
        /// All of it.
        reply: BytesMut,
    },
    /// A reply that the client has, or that is on its way to it.
    Passed {
        /// Its request.
        number: u64,
        /// Why the session wants to know.
        purpose: Purpose,
        /// What it began with.
        head: Vec<u8>,
    },
    /// A piece of a large frame, which is no message, of such a connection.
    Piece {
        /// Which connection.
        connection: u64,
        /// What goes on with the frame.
        bytes: BytesMut,
        /// The frame ends here.
        ends: bool,
    },
    /// A frame of a connection that has no order of requests.
    Frame {
        /// Which connection.
        connection: u64,
        /// What it is.
        kind: Kind,
        /// All of it.
        frame: BytesMut,
    },
    /// The beginning of what answers SYNC or PSYNC, which the client has.
    Stream {
        /// It is an error.
        refused: bool,
    },
    /// A connection is gone, with a reply outstanding or with a subscription on it.
    Lost {
        /// Which connection, where it was one in frames mode.
        connection: Option<u64>,
        /// What for.
        handling: Option<Handling>,
        /// Why.
        loss: Loss,
    },
}

impl Shown {
    /// Bytes of a frame in it.
    pub(super) fn frame_bytes(&self) -> usize {
        match self {
            Shown::Frame { frame, .. } => frame.len(),
            Shown::Piece { bytes, .. } => bytes.len(),
            Shown::Reply { .. }
            | Shown::Passed { .. }
            | Shown::Stream { .. }
            | Shown::Lost { .. } => 0,
        }
    }
}
