//! Whether a change of the active side may begin: what the reports of one direction of the link come to. Pure.
//!
//! Every doubt is a reason against it: a missing report, an old one, an unknown lag.

use super::event::{Look, Remaining, Standing};
use super::plan::CopyNumber;
use super::reason::Reason;
use super::{Bounds, Marker, Millis};
use crate::link::{Abilities, Generation, Phase, Position, Positions, Report};
use crate::terms::Lag;
use crate::traffic::{Accepted, Seen, Severity};

/// A report older than this says nothing about now: several times the interval at which the link is looked at.
pub const STALE_AFTER: Millis = Millis(1_500);

/// What the reports of one direction of the link have said so far.
#[derive(Debug, Default)]
pub struct History {
    /// The newest full copy that was named.
    generation: Option<Generation>,
    /// Its number.
    copy: CopyNumber,
    /// The newest look.
    newest: Option<Judged>,
    /// Since when every look was without objection, and none was missing.
    ready_since: Option<Millis>,
    /// What was applied at the newest look, where something remained then.
    behind_at: Option<Position>,
}

/// One look, judged.
#[derive(Debug)]
struct Judged {
    at: Millis,
    objections: Vec<Reason>,
}

impl History {
    /// Takes a report of a look at `at`, and reduces it to what decisions need.
    pub fn record(
        &mut self,
        report: &Report,
        at: Millis,
        bounds: &Bounds,
        abilities: Abilities,
    ) -> Look {
        let gap = self
            .newest
            .as_ref()
            .is_none_or(|seen| at.since(seen.at) > STALE_AFTER);
        let started_over = report.generation.is_some() && self.generation != report.generation;
        if started_over {
            // The first one named is where counting begins, not a change.
            self.copy.0 += u32::from(self.generation.is_some());
            self.generation.clone_from(&report.generation);
        }
        if gap || started_over {
            self.ready_since = None;
        }
        // Positions that are refreshed only now and then stand still between.
        let stands_still = abilities.positions == Positions::Exact && self.stands_still(report);
        let mut objections = objections(report, bounds, abilities);
        if stands_still {
            objections.push(Reason::StandsStill);
        }
        self.ready_since = if objections.is_empty() {
            self.ready_since.or(Some(at))
        } else {
            None
        };
        self.newest = Some(Judged { at, objections });
        Look {
            link: standing(report.phase),
            // Few bytes that do not move may take any time.
            lag: if stands_still {
                Remaining::Unknown
            } else {
                remaining(report.lag)
            },
            copy: self.copy,
        }
    }

    /// Whether something remained at the last look and nothing of it has been applied since. A Redis that has just sent
    /// a full copy is connected and keeps the stream back until the replica's first acknowledgement, up to a second
    /// later; what a look sees meanwhile is a link that streams, with little remaining.
    fn stands_still(&mut self, report: &Report) -> bool {
        let behind = report.applied.clone().filter(|applied| {
            report
                .written
                .as_ref()
                .is_some_and(|written| written != applied)
        });
        let before = std::mem::replace(&mut self.behind_at, behind);
        before.is_some() && before == report.applied
    }

    /// Everything against an attempt that would begin at `now`, as far as the link is concerned.
    #[must_use]
    pub fn objections(&self, now: Millis, bounds: &Bounds) -> Vec<Reason> {
        let Some(newest) = &self.newest else {
            return vec![Reason::NeverSeen];
        };
        let age = now.since(newest.at);
        if age > STALE_AFTER {
            return vec![Reason::Stale(age)];
        }
        if !newest.objections.is_empty() {
            return newest.objections.clone();
        }
        let needed = bounds.stable_for.into();
        let for_so_long = self.ready_since.map_or(Millis(0), |since| now.since(since));
        if for_so_long < needed {
            vec![Reason::NotStable {
                for_so_long,
                needed,
            }]
        } else {
            vec![]
        }
    }
}

/// What is against an attempt whatever the reports say.
#[must_use]
pub fn standing_objections(
    bounds: &Bounds,
    abilities: Abilities,
    last_attempt: Option<Millis>,
    now: Millis,
) -> Vec<Reason> {
    let mut reasons = vec![];
    if !abilities.detach {
        reasons.push(Reason::LinkCannot("end the replication"));
    }
    if abilities.positions != Positions::Exact && bounds.marker == Marker::Never {
        reasons.push(Reason::MarkerNeeded);
    }
    let again_at = last_attempt.map(|last| last.plus(bounds.min_interval.into()));
    if let Some(again_at) = again_at.filter(|again_at| now < *again_at) {
        reasons.push(Reason::TooSoon(again_at.since(now)));
    }
    reasons
}

/// What is against a cutover in what the application was seen to send.
#[must_use]
pub fn incompatibilities(seen: &Seen, accepted: &Accepted) -> Vec<Reason> {
    let in_the_way = seen
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error && !accepted.covers(finding));
    let mut reasons: Vec<_> = in_the_way
        .map(|finding| Reason::Incompatible {
            name: finding.name(),
            count: finding.count,
            message: finding.message.clone(),
            what_to_do: finding.what_to_do,
        })
        .collect();
    if seen.unlisted > 0 {
        reasons.push(Reason::IncompatibleUnlisted(seen.unlisted));
    }
    reasons
}

fn objections(report: &Report, bounds: &Bounds, abilities: Abilities) -> Vec<Reason> {
    if report.phase != Phase::Streaming {
        return vec![Reason::NotStreaming(phase_name(report.phase))];
    }
    let mut reasons = vec![];
    let max_lag = bounds.max_lag.into();
    match remaining(report.lag) {
        Remaining::Unknown => reasons.push(Reason::LagUnknown),
        Remaining::Bytes(bytes) if bytes > bounds.max_lag_bytes => {
            reasons.push(Reason::LagBytes {
                bytes,
                limit: bounds.max_lag_bytes,
            });
        }
        Remaining::Time(lag) if lag > max_lag => reasons.push(Reason::LagTime {
            lag,
            limit: max_lag,
        }),
        Remaining::Bytes(_) | Remaining::Time(_) => {}
    }
    if abilities.positions == Positions::Exact
        && (report.applied.is_none() || report.written.is_none())
    {
        reasons.push(Reason::PositionUnknown);
    }
    if abilities.positions == Positions::Exact && report.generation.is_none() {
        reasons.push(Reason::CopyUnknown);
    }
    reasons
}

/// The phase as `status` writes it.
#[must_use]
pub const fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Detached => "detached",
        Phase::Connecting => "connecting",
        Phase::Syncing => "syncing",
        Phase::Streaming => "streaming",
        Phase::Broken => "broken",
        Phase::Unknown => "unknown",
    }
}

const fn standing(phase: Phase) -> Standing {
    match phase {
        Phase::Detached => Standing::Detached,
        Phase::Connecting | Phase::Syncing => Standing::Copying,
        Phase::Streaming => Standing::Streaming,
        Phase::Broken => Standing::Broken,
        Phase::Unknown => Standing::Unknown,
    }
}

fn remaining(lag: Lag) -> Remaining {
    match lag {
        Lag::Unknown => Remaining::Unknown,
        Lag::Bytes(bytes) => Remaining::Bytes(bytes),
        Lag::Time(time) => Remaining::Time(time.into()),
    }
}

#[cfg(test)]
mod tests;
