//! Why something was refused, aborted, or went less well than planned; each says what to do. The one place where these
//! texts are made.

use std::fmt;

use super::Millis;
use super::state::Idle;

/// One reason.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Reason {
    /// What was asked for is not possible in this phase.
    WrongPhase {
        /// The phase.
        phase: &'static str,
        /// What to do.
        what_to_do: &'static str,
    },
    /// Why nothing is under way.
    Idle(Idle),
    /// No look at the link yet.
    NeverSeen,
    /// The newest look is too old.
    Stale(Millis),
    /// The link does not stream.
    NotStreaming(&'static str),
    /// Nobody knows the lag.
    LagUnknown,
    /// Something remains, and nothing of it was applied since the last look.
    StandsStill,
    /// More bytes remain than allowed.
    LagBytes {
        /// They.
        bytes: u64,
        /// The bound.
        limit: u64,
    },
    /// More time remains than allowed.
    LagTime {
        /// It.
        lag: Millis,
        /// The bound.
        limit: Millis,
    },
    /// The link has positions and does not tell them.
    PositionUnknown,
    /// The link has positions and does not tell which full copy it stands on.
    CopyUnknown,
    /// Not ready for long enough.
    NotStable {
        /// For how long it is.
        for_so_long: Millis,
        /// How long it must be.
        needed: Millis,
    },
    /// Too soon after the last attempt.
    TooSoon(Millis),
    /// The link cannot do a step that a cutover needs.
    LinkCannot(&'static str),
    /// Markers are switched off on a link that has nothing else.
    MarkerNeeded,
    /// A finding of the preflight.
    Preflight {
        /// The check.
        check: String,
        /// What it found.
        message: String,
        /// What to do.
        what_to_do: String,
    },
    /// The application sends what the target refuses, and nobody has accepted that.
    Incompatible {
        /// The finding's name.
        name: String,
        /// How many such requests were seen.
        count: u64,
        /// What the target makes of them.
        message: String,
        /// What to do.
        what_to_do: &'static str,
    },
    /// The report had no room for everything that the target takes differently.
    IncompatibleUnlisted(u64),
    /// The preflight could not be made.
    Unreachable(String),
    /// Source and target are one server.
    SameServer,
    /// The target holds data, and nobody has said that it may go.
    FlushUnconfirmed {
        /// The target's name.
        name: String,
    },
    /// The name typed is not the target's.
    FlushConfirmedForAnother {
        /// The target's name.
        name: String,
        /// What was typed.
        typed: String,
    },
    /// Somebody writes to the target, which the migration would flush.
    TargetWritten {
        /// The target's name.
        name: String,
        /// How much, and who, as far as can be told.
        by: String,
    },
    /// `max_pause` is zero.
    PauseZero,
    /// There is no way back.
    NoWayBack(&'static str),
    /// Sessions could not prepare for the other side.
    NotPrepared(String),
    /// It took too long until the hold could begin.
    ArmTimeout(&'static str),
    /// The pause lasted as long as it may.
    PauseExceeded {
        /// The step it was at.
        step: &'static str,
    },
    /// The link started over, or fell back.
    Resynced,
    /// A step at the link failed.
    LinkStep {
        /// The step.
        step: &'static str,
        /// The link's words.
        text: String,
    },
    /// The journal could not be written.
    Journal(String),
    /// An operator said so.
    Operator,
    /// There was nothing to abort.
    NothingUnderWay,
    /// The process ended in the middle of the attempt.
    Interrupted,
    /// The attempt ended the link before it was undone.
    LinkEnded,
    /// The attempt told the link to end and got no clear answer.
    LinkInDoubt,
    /// The fence could not be lifted.
    FenceLeft(String),
    /// The reversal is not confirmed.
    ReversalUnconfirmed(String),
    /// After a rollback the link was not turned.
    NotTurned(String),
    /// The migration was stopped before it was in sync.
    CalledOff,
    /// A link to be ended may not have.
    LinkNotEnded(String),
    /// Writers that bypass the proxy waited at the fence.
    HeldAtTheFence(String),
    /// Writers that bypass the proxy wrote to a side that could not be fenced, while it was left.
    WrittenPast(String),
    /// Whether anybody bypasses the proxy could not be found out.
    OthersUnknown(String),
    /// What was set on a server for the replication was not set back.
    NotHandedBack(String),
    /// The proxy is shutting down.
    ShuttingDown,
}

impl Reason {
    /// A word for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Reason::WrongPhase { .. } => "wrong_phase",
            Reason::Idle(_) => "idle",
            Reason::NeverSeen => "link_not_seen",
            Reason::Stale(_) => "report_stale",
            Reason::NotStreaming(_) => "link_not_streaming",
            Reason::LagUnknown => "lag_unknown",
            Reason::StandsStill => "stands_still",
            Reason::LagBytes { .. } | Reason::LagTime { .. } => "lag_too_large",
            Reason::PositionUnknown => "position_unknown",
            Reason::CopyUnknown => "copy_unknown",
            Reason::NotStable { .. } => "not_stable",
            Reason::TooSoon(_) => "too_soon",
            Reason::LinkCannot(_) => "link_cannot",
            Reason::MarkerNeeded => "marker_needed",
            Reason::Preflight { .. } => "preflight",
            Reason::Incompatible { .. } | Reason::IncompatibleUnlisted(_) => "incompatible",
            Reason::Unreachable(_) => "unreachable",
            Reason::SameServer => "same_server",
            Reason::FlushUnconfirmed { .. } => "flush_unconfirmed",
            Reason::FlushConfirmedForAnother { .. } => "flush_confirmed_for_another",
            Reason::TargetWritten { .. } => "target_written",
            Reason::PauseZero => "max_pause_zero",
            Reason::NoWayBack(_) => "no_way_back",
            Reason::NotPrepared(_) => "sessions_not_prepared",
            Reason::ArmTimeout(_) => "arm_timeout",
            Reason::PauseExceeded { .. } => "pause_exceeded",
            Reason::Resynced => "resynced",
            Reason::LinkStep { .. } => "link_step_failed",
            Reason::Journal(_) => "journal",
            Reason::Operator => "operator",
            Reason::NothingUnderWay => "nothing_under_way",
            Reason::Interrupted => "interrupted",
            Reason::LinkEnded => "link_ended",
            Reason::LinkInDoubt => "link_in_doubt",
            Reason::FenceLeft(_) => "fence_left",
            Reason::ReversalUnconfirmed(_) => "reversal_unconfirmed",
            Reason::NotTurned(_) => "not_turned",
            Reason::CalledOff => "called_off",
            Reason::LinkNotEnded(_) => "link_not_ended",
            Reason::HeldAtTheFence(_) => "held_at_the_fence",
            Reason::WrittenPast(_) => "written_past",
            Reason::OthersUnknown(_) => "others_unknown",
            Reason::NotHandedBack(_) => "not_handed_back",
            Reason::ShuttingDown => "shutting_down",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::WrongPhase { phase, what_to_do } => {
                write!(f, "the migration is {phase}: {what_to_do}")
            }
            Reason::Idle(Idle::NeverMigrated) => write!(f, "no migration has begun"),
            Reason::Idle(Idle::LinkGone) => write!(
                f,
                "the link was found gone: somebody else ended it, or its server restarted"
            ),
            Reason::Idle(Idle::DetachedByAttempt) => {
                write!(
                    f,
                    "an attempt ended the link and was undone: a new full copy is needed"
                )
            }
            Reason::Idle(Idle::CalledOff) => write!(f, "the migration was called off"),
            Reason::Idle(Idle::NotPrepared(text)) => {
                write!(f, "the link could not be established: {text}")
            }
            Reason::NeverSeen => write!(f, "the link has not been looked at yet: wait a moment"),
            Reason::Stale(age) => {
                write!(
                    f,
                    "the newest report of the link is {} ms old: check that both databases answer",
                    age.0
                )
            }
            Reason::NotStreaming(phase) => write!(
                f,
                "the link is {phase}, not streaming: see `status` for its progress"
            ),
            Reason::LagUnknown => write!(
                f,
                "nobody knows how far the other side is behind, and unknown is never go"
            ),
            Reason::StandsStill => write!(
                f,
                "the other side is behind and has applied nothing since the last look: wait a moment"
            ),
            Reason::LagBytes { bytes, limit } => {
                write!(
                    f,
                    "{bytes} bytes remain, more than {limit}: wait, or raise max_lag_bytes"
                )
            }
            Reason::LagTime { lag, limit } => {
                write!(
                    f,
                    "the other side is {} ms behind, more than {} ms: wait, or raise max_lag",
                    lag.0, limit.0
                )
            }
            Reason::PositionUnknown => write!(
                f,
                "the link does not tell its position on both sides: check that both answer"
            ),
            Reason::CopyUnknown => {
                write!(
                    f,
                    "it cannot be told whether the link has started over: check that INFO is allowed on both sides"
                )
            }
            Reason::NotStable {
                for_so_long,
                needed,
            } => {
                write!(
                    f,
                    "ready for {} ms of the {} ms that stable_for asks: wait",
                    for_so_long.0, needed.0
                )
            }
            Reason::TooSoon(left) => {
                write!(
                    f,
                    "too soon after the last attempt: wait {} ms, or lower min_interval",
                    left.0
                )
            }
            Reason::LinkCannot(what) => {
                write!(f, "this link cannot {what}: choose another [link] driver")
            }
            Reason::MarkerNeeded => write!(
                f,
                "this link needs a marker to prove that nothing is outstanding, and marker is off: set marker = \"auto\""
            ),
            Reason::Preflight {
                check,
                message,
                what_to_do,
            } => write!(f, "preflight: {check}: {message}: {what_to_do}"),
            Reason::Incompatible {
                name,
                count,
                message,
                what_to_do,
            } => write!(
                f,
                "the application sends what the target refuses ({name}, {count} times, see `report`): {message}: \
                 {what_to_do}; or repeat with --accept {name:?}"
            ),
            Reason::IncompatibleUnlisted(count) => write!(
                f,
                "{count} requests that the target takes differently are not listed, since `report` had no room left: see to \
                 those it lists, and restart the sidecar"
            ),
            Reason::Unreachable(text) => write!(f, "the databases could not be asked: {text}"),
            Reason::SameServer => write!(
                f,
                "source and target are the same server: correct [target] url"
            ),
            Reason::FlushUnconfirmed { name } => {
                write!(
                    f,
                    "the target {name} holds data, which the migration would delete: repeat with --confirm-flush {name}"
                )
            }
            Reason::FlushConfirmedForAnother { name, typed } => {
                write!(
                    f,
                    "flushing was confirmed for {typed}, but the target is {name}: type its name"
                )
            }
            Reason::TargetWritten { name, by } => write!(
                f,
                "the target {name} is being written to ({by}), and the migration would delete that: end those writers, \
                 or choose another target"
            ),
            Reason::PauseZero => write!(f, "max_pause must be longer than nothing"),
            Reason::NoWayBack(why) => write!(f, "there is no way back: {why}"),
            Reason::NotPrepared(text) => write!(f, "a session cannot be carried over: {text}"),
            Reason::ArmTimeout(what) => write!(
                f,
                "gave up waiting for {what}: try again, or raise arm_timeout"
            ),
            Reason::PauseExceeded { step } => {
                write!(
                    f,
                    "max_pause ran out at the step {step}: try again with less load, or raise max_pause; the log names what \
                     was in the way, where one session was"
                )
            }
            Reason::Resynced => write!(
                f,
                "the link started over or fell back: wait until it is in sync again"
            ),
            Reason::LinkStep { step, text } => write!(f, "the step {step} failed: {text}"),
            Reason::Journal(text) => write!(
                f,
                "the journal could not be written: {text}: check the disk under state.dir"
            ),
            Reason::Operator => write!(f, "an operator stopped it"),
            Reason::NothingUnderWay => {
                write!(f, "no cutover was under way: the link goes on as it was")
            }
            Reason::Interrupted => write!(
                f,
                "the process ended in the middle of an attempt: nothing was committed"
            ),
            Reason::LinkEnded => {
                write!(
                    f,
                    "the link was ended before the attempt was undone: `migrate` again, with a new full copy"
                )
            }
            Reason::LinkInDoubt => {
                write!(
                    f,
                    "the link was told to end and gave no clear answer: if it is found ended, `migrate` again"
                )
            }
            Reason::FenceLeft(text) => {
                write!(
                    f,
                    "writers that bypass the proxy are still paused, until the pause ends by itself: {text}"
                )
            }
            Reason::ReversalUnconfirmed(text) => {
                write!(
                    f,
                    "rollback is not available yet, as the reverse link is not confirmed: {text}: it is tried on"
                )
            }
            Reason::NotTurned(text) => {
                write!(
                    f,
                    "the source is active again, but the link was not turned: {text}: `migrate` before the next cutover"
                )
            }
            Reason::CalledOff => {
                write!(
                    f,
                    "the migration was called off: the link is ended, the target keeps what it has; `migrate` starts anew"
                )
            }
            Reason::LinkNotEnded(text) => {
                write!(f, "the link may still stand: {text}")
            }
            Reason::HeldAtTheFence(who) => write!(
                f,
                "past the proxy, the side that was left was being written to by {who}: the fence held them, and what they \
                 write there from now on is refused or lost: point them at the proxy"
            ),
            Reason::WrittenPast(what) => write!(
                f,
                "past the proxy, the side that was left was written to while it was left, and it could not be fenced: \
                 {what}: that may be missing on the other side: compare (`verify`), and point them at the proxy"
            ),
            Reason::OthersUnknown(text) => write!(
                f,
                "whether anybody wrote past the proxy could not be found out: {text}: compare (`verify`)"
            ),
            Reason::NotHandedBack(text) => write!(f, "{text}: set it by hand"),
            Reason::ShuttingDown => write!(f, "the proxy is shutting down"),
        }
    }
}
