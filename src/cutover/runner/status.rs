//! What the runner shows: the status, an attempt's outcome, notices, refusals. Names of fields are those of the admin
//! API.

use serde::Serialize;

use super::super::action::{Alarm, Ending};
use super::super::reason::Reason;
use crate::link::Report;
use crate::terms::{Epoch, Lag, Side};

/// Where the migration stands, as operators see it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    /// The state's name.
    pub phase: &'static str,
    /// The step of the attempt that is under way.
    pub step: Option<&'static str>,
    /// The side that owns writes.
    pub active_side: Side,
    /// The gate's epoch.
    pub epoch: Epoch,
    /// Whether `cutover` would begin now, as far as the link is concerned.
    pub can_cut_over: bool,
    /// Why not; once the target is active, why `rollback` would not.
    pub reasons: Vec<String>,
    /// Whether `rollback` would begin now.
    pub can_roll_back: bool,
    /// The link that copies the active side to the other.
    pub link: LinkStatus,
    /// The newest attempt that was felt.
    pub last_cutover: Option<Outcome>,
    /// What a person must look at.
    pub alarms: Vec<String>,
    /// The same for programs.
    #[serde(skip)]
    pub raised: Vec<Alarm>,
}

/// The newest look at the link.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LinkStatus {
    /// The driver's name.
    pub driver: &'static str,
    /// Where the link stands.
    pub phase: &'static str,
    /// Bytes that the other side has not applied, where known.
    pub lag_bytes: Option<u64>,
    /// Age of the newest write that it has applied, where known.
    pub lag_ms: Option<u64>,
    /// Bytes of the full copy received, where known.
    pub bytes_done: Option<u64>,
    /// Bytes of the full copy altogether, where known.
    pub bytes_total: Option<u64>,
    /// What the link waits for, where known.
    pub waiting_for: Option<String>,
    /// Its newest error.
    pub last_error: Option<String>,
}

/// How something that was asked for ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// `committed`, `aborted`, `rolled_back`, `dry_run` or `finalized`.
    pub outcome: &'static str,
    /// How long writes were held, in milliseconds.
    pub write_pause_ms: f64,
    /// How long reads were held, in milliseconds.
    pub read_pause_ms: f64,
    /// How long each step took.
    pub steps: Vec<StepTime>,
    /// Why it ended so; what went on less well than planned.
    pub reasons: Vec<String>,
}

/// How long a step took.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct StepTime {
    /// The step.
    pub name: &'static str,
    /// Milliseconds.
    pub ms: f64,
}

/// Something worth telling, as it happens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// When, in milliseconds since 1970.
    pub at_unix_ms: u64,
    /// `phase`, `step`, `alarm`, `alarm_cleared`, `warning` or `outcome`.
    pub kind: &'static str,
    /// What.
    pub text: String,
}

/// Why something that was asked for is not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Whose turn it is.
    #[serde(skip)]
    pub kind: RefusalKind,
    /// A word for programs: that of the first reason.
    pub code: &'static str,
    /// The first reason.
    pub message: String,
    /// Every reason.
    pub reasons: Vec<String>,
}

/// Whose turn it is after a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// It cannot be now (409).
    NotReady,
    /// What was asked for is wrong (422).
    WrongArgument,
    /// A database, or the runner, does not answer (503).
    OutOfReach,
}

impl Refusal {
    pub(super) fn new(reasons: &[Reason]) -> Refusal {
        let Some(first) = reasons.first() else {
            return Refusal::new(&[Reason::ShuttingDown]);
        };
        Refusal {
            kind: first.into(),
            code: first.code(),
            message: first.to_string(),
            reasons: texts(reasons),
        }
    }
}

impl From<&Reason> for RefusalKind {
    fn from(reason: &Reason) -> RefusalKind {
        match reason {
            Reason::PauseZero | Reason::FlushConfirmedForAnother { .. } => {
                RefusalKind::WrongArgument
            }
            Reason::Unreachable(_) | Reason::ShuttingDown => RefusalKind::OutOfReach,
            Reason::WrongPhase { .. }
            | Reason::Idle(_)
            | Reason::NeverSeen
            | Reason::Stale(_)
            | Reason::NotStreaming(_)
            | Reason::LagUnknown
            | Reason::StandsStill
            | Reason::LagBytes { .. }
            | Reason::LagTime { .. }
            | Reason::PositionUnknown
            | Reason::CopyUnknown
            | Reason::NotStable { .. }
            | Reason::TooSoon(_)
            | Reason::LinkCannot(_)
            | Reason::MarkerNeeded
            | Reason::Preflight { .. }
            | Reason::Incompatible { .. }
            | Reason::IncompatibleUnlisted(_)
            | Reason::SameServer
            | Reason::FlushUnconfirmed { .. }
            | Reason::NoWayBack(_)
            | Reason::NotPrepared(_)
            | Reason::ArmTimeout(_)
            | Reason::PauseExceeded { .. }
            | Reason::Resynced
            | Reason::LinkStep { .. }
            | Reason::Journal(_)
            | Reason::Operator
            | Reason::NothingUnderWay
            | Reason::Interrupted
            | Reason::LinkEnded
            | Reason::LinkInDoubt
            | Reason::FenceLeft(_)
            | Reason::ReversalUnconfirmed(_)
            | Reason::NotTurned(_)
            | Reason::CalledOff
            | Reason::LinkNotEnded(_)
            | Reason::TargetWritten { .. }
            | Reason::HeldAtTheFence(_)
            | Reason::WrittenPast(_)
            | Reason::OthersUnknown(_)
            | Reason::NotHandedBack(_) => RefusalKind::NotReady,
        }
    }
}

impl Outcome {
    /// An outcome of something that held nothing.
    pub(super) fn unfelt(outcome: &'static str, reasons: Vec<String>) -> Outcome {
        Outcome {
            outcome,
            write_pause_ms: 0.0,
            read_pause_ms: 0.0,
            steps: vec![],
            reasons,
        }
    }
}

impl LinkStatus {
    pub(super) fn new(driver: &'static str, report: Option<&Report>) -> LinkStatus {
        let (lag_bytes, lag_ms) = match report.map(|report| report.lag) {
            Some(Lag::Bytes(bytes)) => (Some(bytes), None),
            Some(Lag::Time(time)) => (None, u64::try_from(time.as_millis()).ok()),
            Some(Lag::Unknown) | None => (None, None),
        };
        LinkStatus {
            driver,
            phase: report.map_or("unknown", |report| {
                super::super::readiness::phase_name(report.phase)
            }),
            lag_bytes,
            lag_ms,
            bytes_done: report.and_then(|report| report.bytes_done),
            bytes_total: report.and_then(|report| report.bytes_total),
            waiting_for: report.and_then(|report| report.waiting_for.clone()),
            last_error: report.and_then(|report| report.last_error.clone()),
        }
    }
}

/// An ending as the API names it.
pub(super) const fn outcome_name(ending: Ending) -> &'static str {
    match ending {
        Ending::Committed => "committed",
        Ending::RolledBack => "rolled_back",
        Ending::Aborted | Ending::Refused => "aborted",
        Ending::Finalized => "finalized",
    }
}

/// Reasons as people read them.
pub(super) fn texts(reasons: &[Reason]) -> Vec<String> {
    reasons.iter().map(ToString::to_string).collect()
}

/// An alarm as people read it, behind its word for programs; `detail` is what was seen, `end_by_hand` how a person ends the
/// link.
pub(super) fn alarm_text(alarm: Alarm, detail: &str, end_by_hand: &str) -> String {
    let (name, text) = (alarm.name(), alarm.text());
    let how = match alarm {
        Alarm::TargetFollowsSource => format!(": {end_by_hand}"),
        Alarm::WayBackUnconfirmed
        | Alarm::WayBackBroken
        | Alarm::WayBackLost
        | Alarm::OldSourceWritten
        | Alarm::DetachInDoubt
        | Alarm::JournalFailed => String::new(),
    };
    if detail.is_empty() {
        format!("{name}: {text}{how}")
    } else {
        format!("{name}: {text}{how} ({detail})")
    }
}
