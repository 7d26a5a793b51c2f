//! What the control side states: it has no worker, and changes a few times a second at most, so a lock serves.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::labels::CutoverOutcome;
use crate::terms::Side;

/// The phases of a cutover, in their order; the values of `phase{phase}`.
pub const PHASES: [&str; 14] = [
    "idle",
    "preparing",
    "syncing",
    "in_sync",
    "arming",
    "holding",
    "draining",
    "catching_up",
    "detaching",
    "committed",
    "finalized",
    "aborting",
    "rolling_back",
    "rolled_back",
];

/// The phases of the link; the values of `link_phase{phase}`.
pub const LINK_PHASES: [&str; 6] = [
    "detached",
    "connecting",
    "syncing",
    "streaming",
    "broken",
    "unknown",
];

/// What a person must look at; the values of `alarm{alarm}`.
pub const ALARMS: [&str; 7] = [
    "way_back_unconfirmed",
    "way_back_broken",
    "way_back_lost",
    "target_follows_source",
    "old_source_written",
    "detach_in_doubt",
    "journal_failed",
];

/// The control side's present values, stated as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ControlValues {
    /// The side that owns writes.
    pub active_side: Side,
    /// Where the cutover stands; one of [`PHASES`].
    pub phase: &'static str,
    /// Where the link stands; one of [`LINK_PHASES`].
    pub link_phase: &'static str,
    /// How far the filled side is behind, where that is known in bytes.
    pub lag_bytes: Option<u64>,
    /// How far the filled side is behind, where that is known in time.
    pub lag: Option<Duration>,
    /// Bytes of the full copy that have come, where known.
    pub copied_bytes: Option<u64>,
    /// Bytes of the full copy altogether, where known.
    pub copy_bytes: Option<u64>,
    /// How often the link has begun its full copy anew.
    pub resyncs: u64,
    /// Which of [`ALARMS`] are raised, in their order.
    pub alarms: [bool; ALARMS.len()],
    /// Pause of the writes in the newest cutover that ended.
    pub write_pause: Option<Duration>,
    /// Pause of the reads in it.
    pub read_pause: Option<Duration>,
    /// How long writes may pause, as it is configured now.
    pub max_pause: Option<Duration>,
}

/// Where the control side states its values, and a scrape finds them.
#[derive(Debug)]
pub struct ControlMetrics(Mutex<Stated>);

/// What was stated, and what was counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stated {
    /// The newest values.
    pub(super) values: ControlValues,
    /// Cutovers ended, by [`CutoverOutcome`].
    pub(super) outcomes: [u64; CutoverOutcome::ALL.len()],
}

impl ControlMetrics {
    /// As it is before anything was stated: the source is active, and nothing is known of a link.
    pub(super) fn new() -> ControlMetrics {
        let values = ControlValues {
            active_side: Side::Source,
            phase: "idle",
            link_phase: "unknown",
            lag_bytes: None,
            lag: None,
            copied_bytes: None,
            copy_bytes: None,
            resyncs: 0,
            alarms: [false; ALARMS.len()],
            write_pause: None,
            read_pause: None,
            max_pause: None,
        };
        ControlMetrics(Mutex::new(Stated {
            values,
            outcomes: Default::default(),
        }))
    }

    /// States the present values.
    pub fn state(&self, values: ControlValues) {
        self.lock().values = values;
    }

    /// A cutover or a rollback has ended.
    pub fn cutover_ended(&self, outcome: CutoverOutcome) {
        self.lock().outcomes[outcome.index()] += 1;
    }

    /// What was stated last.
    pub(super) fn stated(&self) -> Stated {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Stated> {
        // Nothing between lock and unlock can panic half-way; the values are whole either way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
