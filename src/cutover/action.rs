//! What the state machine orders. The runner carries orders out in the order given and reports what came of them.

use super::Millis;
use super::journal::Record;
use super::plan::LinkStep;
use super::reason::Reason;
use crate::terms::Side;

/// An order. `from` is the side that is copied and active; the attempt's number comes back with the fact.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Action {
    /// Look at the link.
    ObserveLink {
        /// The copied side.
        from: Side,
    },
    /// Establish the link, which replaces everything on the target.
    PrepareLink,
    /// End the link for good, outside an attempt.
    EndLink {
        /// The copied side.
        from: Side,
    },
    /// Have sessions prepare for the side that is not active.
    ArmSessions(u64),
    /// Hold writes.
    CloseGate(u64),
    /// Tell when the writes in flight have their replies.
    AwaitDrain(u64),
    /// Have blocked commands released, and tell when none is left.
    ReleaseBlocked(u64),
    /// One step at the link before the detach.
    Link {
        /// The attempt.
        number: u64,
        /// The side that is left.
        from: Side,
        /// Which step.
        step: LinkStep,
        /// What is left of the pause.
        left: Millis,
    },
    /// Have subscriptions draw their line.
    AlignSubscriptions(u64),
    /// End the link, and see it ended.
    Detach {
        /// The attempt.
        number: u64,
        /// The side that is left.
        from: Side,
    },
    /// Put a record on the disk.
    FlushJournal(Record),
    /// Make the other side the active one; writes stay held.
    CommitGate(u64),
    /// Make the side that was left the other's replica.
    ReverseLink {
        /// The attempt.
        number: u64,
        /// The side that was left.
        from: Side,
    },
    /// Tell when every session's state is on the new side.
    MoveSessions(u64),
    /// Let held writes run on the new side.
    ReleaseGate,
    /// Undo arming or holding: everything runs on the side it ran on.
    ReopenGate,
    /// Give up what is outstanding at the link, without waiting for its answer.
    GiveUpLinkWork,
    /// Open the side again to writers that bypass the proxy.
    Unfence {
        /// The side that was fenced.
        from: Side,
    },
    /// The request that was just made is refused.
    Refuse(Vec<Reason>),
    /// The migration that was asked for has begun: nothing more is said to whom asked.
    Accept,
    /// What was under way has ended: tell whoever waits for it.
    Conclude(Conclusion),
    /// A person must look at this.
    Raise(Alarm),
    /// Nobody needs to any more.
    Clear(Alarm),
}

/// How something ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Conclusion {
    /// The way it ended.
    pub ending: Ending,
    /// Why, and what to do; what went on less well than planned.
    pub reasons: Vec<Reason>,
}

/// The ways it can end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ending {
    /// The target is active.
    Committed,
    /// The source is active again, and the link copies to the target again if nothing in the reasons says otherwise.
    RolledBack,
    /// Everything is as it was before, but for what the reasons say.
    Aborted,
    /// As aborted, before anything was held.
    Refused,
    /// The way back is given up.
    Finalized,
}

/// What a person must look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Alarm {
    /// After the commit the reversal is still not confirmed.
    WayBackUnconfirmed,
    /// The reverse link does not stream.
    WayBackBroken,
    /// The reverse link is gone.
    WayBackLost,
    /// The target, though active, is a replica again.
    TargetFollowsSource,
    /// The old source is written to. Raised by the runner, from what it sees there.
    OldSourceWritten,
    /// A detach got no clear answer.
    DetachInDoubt,
    /// The newest record could not be written. Raised by the runner, whatever the record.
    JournalFailed,
}

impl Alarm {
    /// All.
    pub const ALL: [Alarm; 7] = [
        Alarm::WayBackUnconfirmed,
        Alarm::WayBackBroken,
        Alarm::WayBackLost,
        Alarm::TargetFollowsSource,
        Alarm::OldSourceWritten,
        Alarm::DetachInDoubt,
        Alarm::JournalFailed,
    ];

    /// A word for programs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Alarm::WayBackUnconfirmed => "way_back_unconfirmed",
            Alarm::WayBackBroken => "way_back_broken",
            Alarm::WayBackLost => "way_back_lost",
            Alarm::TargetFollowsSource => "target_follows_source",
            Alarm::OldSourceWritten => "old_source_written",
            Alarm::DetachInDoubt => "detach_in_doubt",
            Alarm::JournalFailed => "journal_failed",
        }
    }

    /// What is wrong, and what to do.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Alarm::WayBackUnconfirmed => {
                "the old source does not follow the target yet, so rollback is not available and other writers could \
                 write to it: it is tried on; look at the old source"
            }
            Alarm::WayBackBroken => {
                "the reverse link does not stream, so rollback is not available: look at the old source and its log"
            }
            Alarm::WayBackLost => {
                "the old source does not follow the target any more, so it takes writes and rollback is not available: \
                 find out who ended the link; `finalize` accepts it"
            }
            Alarm::TargetFollowsSource => {
                "the target, which the application runs on, is filled by a replication again, which deletes or changes \
                 what it holds: end that at once"
            }
            Alarm::OldSourceWritten => {
                "the old source is written to past the proxy, and that is not on the target, which the application runs \
                 on: find the writers, point them at the proxy, and carry over by hand what they wrote"
            }
            Alarm::DetachInDoubt => {
                "a cutover told the link to end and got no clear answer; if the link is found ended, run `migrate` again"
            }
            Alarm::JournalFailed => {
                "the journal under state.dir cannot be written: make room or repair the disk before this process is \
                 restarted, since a start believes the journal"
            }
        }
    }
}
