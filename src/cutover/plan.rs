//! What one attempt may and must do, fixed at its beginning: settings that are reloaded in its middle change nothing.

use std::time::Duration;

use super::{Bounds, Marker, Millis};
use crate::link::{Abilities, Positions, Reverse};
use crate::terms::Side;

/// One change of the active side, from its arming to its end.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Attempt {
    /// Grows by one with each attempt, over restarts too; facts that carry another number are stale.
    pub number: u64,
    /// The side that is active until it commits. Source: a cutover; target: a rollback.
    pub from: Side,
    /// The full copy that the link stood on when it began; another one aborts.
    pub copy: CopyNumber,
    /// What it may and must do.
    pub plan: Plan,
}

/// Which full copy the link stands on: grows whenever the link is seen to have started over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct CopyNumber(pub u32);

/// The bounds of an attempt, and which of the steps the link can take.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Plan {
    /// From the hold to the commit; passed before that, the attempt aborts.
    pub max_pause: Millis,
    /// From the beginning to the hold; passed, the attempt is refused.
    pub arm_timeout: Millis,
    /// The hold begins only when no more bytes than this remain.
    pub hold_below_bytes: u64,
    /// The same where the link tells its lag as a time.
    pub hold_below: Millis,
    /// What proves that nothing acknowledged is missing on the other side.
    pub proof: Proof,
    /// Whether the link can close the side that is left to writers that bypass the proxy.
    pub fence: bool,
    /// Whether the side that is left becomes the other's replica.
    pub reverse: bool,
}

/// What proves that nothing acknowledged is missing on the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Proof {
    /// The position sampled after drain and fence is applied there.
    Position,
    /// The marker written after the drain is read there.
    Marker,
    /// Both.
    PositionAndMarker,
}

/// A step at the link between the drain and the alignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LinkStep {
    /// Write the marker: before the fence, which would hold it too.
    WriteMarker,
    /// Close the side that is left to writers that bypass the proxy. Ends by itself soon after the pause would.
    Fence,
    /// Find out the position to wait for: after drain and fence, so that nothing acknowledged lies behind it.
    SamplePosition,
    /// Tell when it is applied on the other side.
    AwaitPosition,
    /// Tell when the marker is read there.
    AwaitMarker,
}

impl LinkStep {
    /// All, in the order in which they are taken.
    const ALL: [LinkStep; 5] = [
        LinkStep::WriteMarker,
        LinkStep::Fence,
        LinkStep::SamplePosition,
        LinkStep::AwaitPosition,
        LinkStep::AwaitMarker,
    ];
}

impl Proof {
    /// Whether a position is sampled and awaited.
    #[must_use]
    pub const fn wants_position(self) -> bool {
        match self {
            Proof::Position | Proof::PositionAndMarker => true,
            Proof::Marker => false,
        }
    }

    /// Whether a marker is written and awaited.
    #[must_use]
    pub const fn wants_marker(self) -> bool {
        match self {
            Proof::Marker | Proof::PositionAndMarker => true,
            Proof::Position => false,
        }
    }
}

impl Plan {
    /// The first step at the link.
    pub(super) fn first_step(&self) -> Option<LinkStep> {
        LinkStep::ALL.into_iter().find(|step| self.takes(*step))
    }

    /// The step at the link that follows `step`.
    pub(super) fn step_after(&self, step: LinkStep) -> Option<LinkStep> {
        LinkStep::ALL
            .into_iter()
            .skip_while(|other| *other != step)
            .skip(1)
            .find(|step| self.takes(*step))
    }

    fn takes(&self, step: LinkStep) -> bool {
        match step {
            LinkStep::WriteMarker | LinkStep::AwaitMarker => self.proof.wants_marker(),
            LinkStep::SamplePosition | LinkStep::AwaitPosition => self.proof.wants_position(),
            LinkStep::Fence => self.fence,
        }
    }

    /// The plan for a link with `abilities` within `bounds`; `max_pause` replaces the configured one for this attempt.
    pub fn new(bounds: &Bounds, abilities: Abilities, max_pause: Option<Duration>) -> Plan {
        let max_pause = max_pause.unwrap_or(bounds.max_pause);
        Plan {
            max_pause: max_pause.into(),
            arm_timeout: bounds.arm_timeout.into(),
            hold_below_bytes: bounds.hold_below_bytes,
            // What remains must be applied within the pause, with as much left for everything else.
            hold_below: bounds.max_lag.min(max_pause / 2).into(),
            proof: match (abilities.positions, bounds.marker) {
                (Positions::Exact, Marker::Auto | Marker::Never) => Proof::Position,
                (Positions::Exact, Marker::Always)
                | (Positions::BesideMarkers, Marker::Auto | Marker::Always | Marker::Never) => {
                    Proof::PositionAndMarker
                }
                (Positions::Unknown, Marker::Auto | Marker::Always | Marker::Never) => {
                    Proof::Marker
                }
            },
            fence: abilities.fence,
            reverse: bounds.reverse && abilities.reverse != Reverse::No,
        }
    }
}
