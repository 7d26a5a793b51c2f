//! What the state machine is told: facts that lie in the past, and what operators ask for.

use super::Millis;
use super::journal::Record;
use super::plan::{CopyNumber, Plan};
use super::reason::Reason;
use crate::terms::Side;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Event {
    /// An operator (or `auto`) asks for something.
    Asked(Request),
    /// The link was looked at, in the direction that copies `from`.
    LinkReported {
        /// The copied side.
        from: Side,
        /// What was seen.
        look: Look,
    },
    /// The link of a migration was established.
    LinkPrepared,
    /// It was not; the link's own words.
    LinkPrepareFailed(String),
    /// A link that is given up, rather than cut over, has ended.
    LinkEnded,
    /// It has not, or nobody knows; the link's own words.
    LinkEndFailed(String),
    /// The side is open again to writers that bypass the proxy.
    Unfenced,
    /// It could not be told so; its pause ends by itself.
    UnfenceFailed(String),
    /// The record is on the disk.
    JournalFlushed(Record),
    /// The record is not on the disk, or nobody knows.
    JournalFailed {
        /// The record.
        record: Record,
        /// The system's words.
        text: String,
    },
    /// A step of the attempt with this number was taken.
    Happened(u64, Fact),
    /// Time has passed.
    TimeReached,
}

/// A step that was taken, or was not.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Fact {
    /// Sessions have prepared for the other side, but for those that the texts name.
    SessionsPrepared(Vec<String>),
    /// Writes are held from now on.
    GateClosed,
    /// Every write in flight has its reply.
    WritesDrained,
    /// No command is blocked any more on the side that is left.
    BlockedReleased,
    /// The marker is written.
    MarkerWritten,
    /// The side that is left refuses writers that bypass the proxy.
    Fenced,
    /// The position to wait for is known.
    PositionSampled,
    /// It is applied on the other side.
    CaughtUp,
    /// The marker is read on the other side.
    MarkerSeen,
    /// Subscriptions have drawn their line.
    Aligned,
    /// The link is seen ended.
    Detached,
    /// It is not, or nobody knows; the link's own words.
    DetachFailed(String),
    /// A step at the link before the detach could not be taken; the link's own words.
    LinkStepFailed(String),
    /// The side that was left is the other's replica now.
    ReverseConfirmed,
    /// It is not, or nobody knows; the link's own words.
    ReverseFailed(String),
    /// Every session's state is on the new side.
    SessionsMoved,
}

/// What is asked for. `objections` are what the readiness and the preflight have against it; with any, it is refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Request {
    /// Fill the target. Flushing it was confirmed if it was not empty.
    Migrate {
        /// Why it must not be.
        objections: Vec<Reason>,
    },
    /// Change the active side from source to target.
    Cutover {
        /// The attempt's number.
        number: u64,
        /// What it may and must do.
        plan: Plan,
        /// Why it must not be.
        objections: Vec<Reason>,
    },
    /// Change it back.
    Rollback {
        /// The attempt's number.
        number: u64,
        /// What it may and must do.
        plan: Plan,
        /// Why it must not be.
        objections: Vec<Reason>,
    },
    /// Stop what is under way and not committed.
    Abort,
    /// Give up the way back.
    Finalize,
}

/// One look at the link, reduced to what decisions need.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Look {
    /// Where the link stands.
    pub link: Standing,
    /// What remains.
    pub lag: Remaining,
    /// The full copy it stands on.
    pub copy: CopyNumber,
}

/// Where the link stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// The full copy is done, the stream flows.
    Streaming,
    /// It connects, or a full copy is under way.
    Copying,
    /// It stands still, and will not go on by itself.
    Broken,
    /// There is no link.
    Detached,
    /// Nobody knows: never "go", and never proof that it is gone.
    Unknown,
}

/// What the other side has not applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Remaining {
    /// Nobody knows.
    Unknown,
    /// So many bytes.
    Bytes(u64),
    /// What was written in so much time.
    Time(Millis),
}

impl Look {
    /// Whether the hold may begin: so little remains that it will not be felt.
    #[must_use]
    pub fn may_hold(&self, plan: &Plan) -> bool {
        let small = match self.lag {
            Remaining::Unknown => false,
            Remaining::Bytes(bytes) => bytes <= plan.hold_below_bytes,
            Remaining::Time(time) => time <= plan.hold_below,
        };
        small && self.link == Standing::Streaming
    }
}
