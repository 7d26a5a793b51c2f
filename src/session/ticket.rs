//! What a request leaves behind until its reply comes, and what the session's task is shown of replies.

use std::time::Instant;

use bytes::BytesMut;

use super::mute::Replies;
use crate::gate::Permit;
use crate::resp::reply::Kind;
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
}

/// What is done with a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Handling {
    /// To the client, as it comes.
    Relay,
    /// To the session first, whole.
    Show(Purpose),
    /// Nobody asked for it but the proxy itself.
    Swallow,
}

/// Why a session wants to see a reply before (or instead of) the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// AUTH, HELLO, SELECT or RESET on connection `0`, which tells whether the session has changed.
    Change,
    /// EXEC: the transaction is over.
    Exec,
    /// DISCARD or UNWATCH: so is this.
    Unwatch,
    /// A command that blocks.
    Blocked,
    /// CLIENT UNBLOCK, sent for such a command.
    Unblock,
    /// The only reply that a private connection was borrowed for.
    Borrowed,
    /// The last reply of what was sent ahead on a connection to the other side.
    Prepared,
    /// CLIENT TRACKING.
    Tracking,
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
    /// A frame of a connection that has no order of requests.
    Frame {
        /// Which connection.
        connection: u64,
        /// What it is.
        kind: Kind,
        /// All of it.
        frame: BytesMut,
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
