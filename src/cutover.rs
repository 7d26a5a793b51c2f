//! The change of the active side: a pure state machine, the runner that drives it, and the journal it survives by.
//!
//! Refuses to know: clients' sockets, HTTP, configuration files.

pub mod action;
mod clock;
pub mod event;
pub mod journal;
pub mod plan;
pub mod readiness;
pub mod reason;
pub mod runner;
pub mod state;
pub mod step;

use std::time::Duration;

use crate::traffic::Accepted;

pub use clock::Millis;
pub use runner::{Handle, Parts, Runner};

/// The limits an operator sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// Write pause as the application feels it, from the hold to the release. Default 1 s.
    pub max_pause: Duration,
    /// Lag in time above which the link is not ready. Default 1 s.
    pub max_lag: Duration,
    /// Lag in bytes above which the link is not ready. Default 1 MiB.
    pub max_lag_bytes: u64,
    /// How long the link must have been ready without a break. Default 2 s.
    pub stable_for: Duration,
    /// The hold begins only when no more than this remains. Default 1 MiB.
    pub hold_below_bytes: u64,
    /// How long to wait for that, and for sessions to prepare. Default 10 s.
    pub arm_timeout: Duration,
    /// Time between two attempts. Default 5 s.
    pub min_interval: Duration,
    /// Cut over by itself at the next moment that is ready. Default false.
    pub auto: bool,
    /// Marker keys. Default auto.
    pub marker: Marker,
    /// How long iterations that began on the source may go on there. Default 60 s.
    pub scan_grace: Duration,
    /// Keep the way back: the source becomes a replica of the target. Default true.
    pub reverse: bool,
    /// Findings of the compatibility report that do not stand in the way. Default none.
    pub accept_findings: Accepted,
}

/// Whether marker keys are written and awaited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Marker {
    /// Where the link has no exact positions.
    #[default]
    Auto,
    /// Always, beside the positions.
    Always,
    /// Never; refused by the preflight where the link has no positions.
    Never,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            max_pause: Duration::from_secs(1),
            max_lag: Duration::from_secs(1),
            max_lag_bytes: 1 << 20,
            stable_for: Duration::from_secs(2),
            hold_below_bytes: 1 << 20,
            arm_timeout: Duration::from_secs(10),
            min_interval: Duration::from_secs(5),
            auto: false,
            marker: Marker::Auto,
            scan_grace: Duration::from_mins(1),
            reverse: true,
            accept_findings: Accepted::default(),
        }
    }
}
