//! What the journal remembers, and what a start makes of it. Pure.

use serde::{Deserialize, Serialize};

use crate::terms::Side;

/// One record.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Record {
    /// The journal belongs to this pair of databases.
    Opened {
        /// The source's name.
        source: String,
        /// The target's name.
        target: String,
    },
    /// The target is to be filled: on the disk before it is flushed.
    Migrating,
    /// The link is gone before anything committed; the source is active.
    Stopped,
    /// An attempt has begun: on the disk before it ends the link.
    Attempt {
        /// Its number.
        number: u64,
        /// The side that is active until it commits.
        from: Side,
    },
    /// The attempt was undone; the active side is the one before it.
    Aborted {
        /// Its number.
        number: u64,
        /// Why.
        reasons: Vec<String>,
    },
    /// The point of no return: this side is active.
    Committed {
        /// The attempt's number.
        number: u64,
        /// The side.
        active: Side,
        /// Whether the other side is to follow it.
        reverse: bool,
    },
    /// The side that was left follows the active one.
    Reversed {
        /// The attempt's number.
        number: u64,
    },
    /// The source is active after a rollback, and the link is gone.
    RolledBack,
    /// The way back is given up; the target is active.
    Finalized,
}

/// What a journal comes to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Resumed {
    /// Where the last process was.
    pub stage: Stage,
    /// The number of the newest attempt, zero before the first.
    pub last_number: u64,
    /// Whether the active side was ever changed back: `auto` must not change it again then.
    pub rolled_back: bool,
}

/// Where the last process was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Nothing is under way, the source is active.
    Idle,
    /// There was a link, not yet cut over; the source is active.
    Migrating,
    /// It died in the middle of an attempt that had not committed: its fence may stand, and the link may be ended.
    Interrupted {
        /// The attempt's number.
        number: u64,
        /// The active side.
        from: Side,
    },
    /// The target is active.
    Committed {
        /// The attempt's number.
        number: u64,
        /// What is known of the reverse link.
        reversal: ReversalSeen,
    },
    /// The source is active again, and the link is gone.
    RolledBack,
    /// The target is active, and there is no way back.
    Finalized,
}

/// What the journal knows of a reverse link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReversalSeen {
    /// Not planned.
    NotPlanned,
    /// Planned, and never confirmed.
    Unconfirmed,
    /// It stood.
    Confirmed,
}

impl Resumed {
    /// Before the first record.
    pub const FRESH: Resumed = Resumed {
        stage: Stage::Idle,
        last_number: 0,
        rolled_back: false,
    };

    /// The side that owns writes.
    #[must_use]
    pub fn active(&self) -> Side {
        match self.stage {
            Stage::Idle | Stage::Migrating | Stage::RolledBack => Side::Source,
            Stage::Interrupted { from, .. } => from,
            Stage::Committed { .. } | Stage::Finalized => Side::Target,
        }
    }

    /// After one more record.
    #[must_use]
    pub fn and_then(mut self, record: &Record) -> Resumed {
        self.stage = match *record {
            Record::Opened { .. } => self.stage,
            // After a rollback a look tells whether the link was turned.
            Record::Migrating
            | Record::Committed {
                active: Side::Source,
                ..
            } => Stage::Migrating,
            Record::Stopped => Stage::Idle,
            Record::Attempt { number, from } => Stage::Interrupted { number, from },
            Record::Aborted { number, .. } => match self.active() {
                Side::Source => Stage::Migrating,
                // It may have ended the reverse link, which is then to be made again.
                Side::Target => Stage::Committed {
                    number,
                    reversal: ReversalSeen::Unconfirmed,
                },
            },
            Record::Committed {
                number,
                active: Side::Target,
                reverse,
            } => {
                let reversal = if reverse {
                    ReversalSeen::Unconfirmed
                } else {
                    ReversalSeen::NotPlanned
                };
                Stage::Committed { number, reversal }
            }
            Record::Reversed { number } => match self.stage {
                Stage::Committed { .. } => Stage::Committed {
                    number,
                    reversal: ReversalSeen::Confirmed,
                },
                Stage::Idle
                | Stage::Migrating
                | Stage::Interrupted { .. }
                | Stage::RolledBack
                | Stage::Finalized => self.stage,
            },
            Record::RolledBack => Stage::RolledBack,
            Record::Finalized => Stage::Finalized,
        };
        match *record {
            Record::Attempt { number, .. } => self.last_number = self.last_number.max(number),
            Record::Committed {
                active: Side::Source,
                ..
            } => self.rolled_back = true,
            // A new migration is a new decision.
            Record::Migrating => self.rolled_back = false,
            Record::Opened { .. }
            | Record::Stopped
            | Record::Aborted { .. }
            | Record::Committed {
                active: Side::Target,
                ..
            }
            | Record::Reversed { .. }
            | Record::RolledBack
            | Record::Finalized => {}
        }
        self
    }
}
