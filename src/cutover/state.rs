//! Where the migration stands. Each variant carries only what is true then; what follows from the variant itself, such
//! as the active side, is asked of it (in `view`) and stored nowhere.

mod view;

use std::collections::BTreeSet;

use super::Millis;
use super::plan::{Attempt, CopyNumber, LinkStep};
use super::reason::Reason;
use crate::terms::Side;

/// The state of the migration. The link, where there is one, copies from the active side to the other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum State {
    /// The source is active, and nothing is under way.
    Idle(Idle),
    /// The link is being established.
    Preparing(Preparing),
    /// There is a link that does not stream yet, or not any more, or is not known to.
    Syncing,
    /// The link streams.
    InSync(CopyNumber),
    /// Sessions prepare, nothing is held.
    Arming(Arming),
    /// Writes are about to be held.
    Holding(Held),
    /// What is in flight on the side that is left comes to its end.
    Draining(Held, Drain),
    /// What was acknowledged there travels to the other side.
    CatchingUp(Held, CatchUp),
    /// The link is being ended. `Flushing`: it is, and the commit is on its way to the disk.
    Detaching(Held, Detach),
    /// The target is active.
    Committed(Committed),
    /// The target is active, and there is no way back.
    Finalized,
    /// Everything runs on the side it ran on; what else was changed is being undone.
    Aborting(Aborting),
    /// The source is active again; the link is being turned.
    RollingBack(RollingBack),
    /// The source is active again, and a new `migrate` is needed.
    RolledBack(String),
}

/// Why nothing is under way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Idle {
    /// Nothing ever was.
    NeverMigrated,
    /// The link was seen gone, and it was not us.
    LinkGone,
    /// An attempt ended the link and could not commit.
    DetachedByAttempt,
    /// An operator stopped the migration before it was in sync.
    CalledOff,
    /// The link could not be established.
    NotPrepared(String),
}

/// How far the link's establishment has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Preparing {
    /// The confirmed request is on its way to the disk.
    Flushing,
    /// The link is being told.
    Linking,
}

/// An attempt that holds nothing yet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Arming {
    /// The attempt.
    pub attempt: Attempt,
    /// When it is given up.
    pub give_up_at: Millis,
    /// What must happen before the next look at the link may begin the hold.
    pub needs: BTreeSet<Need>,
}

/// What must happen before the hold, besides little remaining at the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Need {
    /// The attempt is on the disk, so that a restart knows whose work a detached link is.
    AttemptFlushed,
    /// Sessions have prepared.
    SessionsPrepared,
}

/// An attempt that holds writes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Held {
    /// The attempt.
    pub attempt: Attempt,
    /// When the pause has lasted as long as it may.
    pub deadline: Millis,
}

/// How far the drain has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Drain {
    /// Writes in flight.
    Writes,
    /// Blocked commands.
    Blocked,
}

/// How far the catch-up has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CatchUp {
    /// A step at the link.
    AtLink(LinkStep),
    /// Subscriptions draw their line.
    Aligning,
}

/// How far detach and commit have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Detach {
    /// The link is being ended.
    Ending,
    /// It has ended; the commit is on its way to the disk, and whether it gets there decides.
    Flushing,
}

/// After the point of no return.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Committed {
    /// Writes are still held.
    Crossing(Crossing),
    /// Everything runs on the target.
    Settled(WayBack),
    /// The reverse link is being ended.
    EndingLink,
    /// It has ended, but for what the notes say; that is on its way to the disk.
    Finalizing(Vec<Reason>),
}

/// From the commit to the release.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Crossing {
    /// The attempt, and when writes are released whatever is still outstanding.
    pub held: Held,
    /// Whether every session's state is on the new side.
    pub moved: bool,
    /// Whether the side that was left follows the new one.
    pub reversal: Reversal,
}

/// The turning of the link.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Reversal {
    /// Not wanted, or not possible.
    NotPlanned,
    /// Ordered.
    Outstanding,
    /// The side that was left is a replica.
    Confirmed,
    /// It is not, or nobody knows; the link's own words.
    Failed(String),
}

/// What is known of the way back, while the target is active.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum WayBack {
    /// Not planned, or not possible with this link.
    None,
    /// The reversal of that attempt is not confirmed.
    Trying {
        /// The attempt.
        number: u64,
        /// When to try again; none while an answer is outstanding.
        again_at: Option<Millis>,
    },
    /// The reverse link stands and streams.
    Streaming(CopyNumber),
    /// The reverse link stands; it does not stream, or nobody knows.
    Behind,
    /// The reverse link is gone.
    Lost,
}

/// The undoing of an attempt or of a migration.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Aborting {
    /// Of an attempt.
    Attempt {
        /// The attempt's number.
        number: u64,
        /// The side that was to be left.
        from: Side,
        /// Why it is undone.
        reasons: Vec<Reason>,
        /// Whether anything was held.
        felt: Felt,
        /// Whether it may have ended the link.
        link: LinkTouched,
        /// Whether the fence is still to be lifted.
        fence: Fence,
    },
    /// Of a migration that is not in sync: the link is being ended.
    Migration,
}

/// Whether the application could feel an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Felt {
    /// Nothing was held: it is refused.
    Nothing,
    /// Writes were held, or an operator stopped it: it is aborted.
    Something,
}

/// What an aborted attempt did to the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LinkTouched {
    /// Nothing.
    No,
    /// It was told to end, and the answer is missing or an error.
    InDoubt,
    /// It has ended.
    Ended,
}

/// Whether a fence is to be lifted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fence {
    /// There is none.
    None,
    /// It was ordered away, and the answer is outstanding.
    Lifting,
}

/// The part of a rollback that lies behind its commit.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RollingBack {
    /// Writes are still held.
    Crossing(Crossing),
    /// Everything runs on the source; whether the link was turned is still outstanding.
    Settling {
        /// The attempt.
        number: u64,
    },
}
