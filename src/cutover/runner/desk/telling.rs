//! What people hear of it: the log, the status, notices, and how an attempt ended.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tracing::{info, warn};

use super::super::status::{LinkStatus, Notice, Outcome, Status, alarm_text, outcome_name, texts};
use super::{Auto, Desk};
use crate::cutover::action::{Alarm, Conclusion, Ending};
use crate::cutover::event::Event;
use crate::cutover::reason::Reason;
use crate::terms::Side;

impl Desk {
    pub(super) fn conclude(&mut self, Conclusion { ending, reasons }: Conclusion) {
        self.follow_step(None);
        let told = [reasons.clone(), std::mem::take(&mut self.remarks)].concat();
        let outcome = match self.timeline.take() {
            Some(timeline) => {
                self.last_attempt = Some(self.now());
                let outcome = timeline.finish(ending, texts(&told), Instant::now());
                if ending != Ending::Refused {
                    self.last_cutover = Some(outcome.clone());
                }
                outcome
            }
            None => Outcome::unfelt(outcome_name(ending), texts(&reasons)),
        };
        if ending == Ending::RolledBack || reasons.contains(&Reason::Operator) {
            self.auto = Auto::Off;
        }
        let because = outcome.reasons.join("; ");
        match ending {
            Ending::Committed | Ending::RolledBack | Ending::Finalized if because.is_empty() => {
                info!(
                    write_pause_ms = outcome.write_pause_ms,
                    "{}", outcome.outcome
                );
            }
            Ending::Refused => info!("refused: {because}"),
            Ending::Committed | Ending::RolledBack | Ending::Finalized | Ending::Aborted => {
                warn!(
                    write_pause_ms = outcome.write_pause_ms,
                    "{}: {because}", outcome.outcome
                );
            }
        }
        self.notice(
            "outcome",
            format!("{} {because}", outcome.outcome)
                .trim_end()
                .to_owned(),
        );
        for asker in self
            .asking
            .take()
            .into_iter()
            .chain(std::mem::take(&mut self.waiting))
        {
            asker.conclude(ending, &outcome, &reasons);
        }
    }

    /// Told once, until it is cleared; the status has the newest detail.
    pub(super) fn raise(&mut self, alarm: Alarm, detail: String) {
        let text = alarm_text(alarm, &detail, self.end_by_hand());
        if self.alarms.insert(alarm, detail).is_none() {
            warn!("{text}");
            self.notice("alarm", text);
        }
    }

    /// How a person ends the replication into the target.
    fn end_by_hand(&self) -> &'static str {
        self.abilities[Side::Source.index()].end_by_hand
    }

    /// Changes nothing; the outcome of the attempt that is under way has it too.
    pub(super) fn remark(&mut self, remark: Reason) {
        warn!("{remark}");
        self.notice("warning", remark.to_string());
        if self.timeline.is_some() {
            self.remarks.push(remark);
        }
    }

    pub(super) fn clear(&mut self, alarm: Alarm) {
        if self.alarms.remove(&alarm).is_some() {
            info!("{}: no more", alarm.name());
            self.notice("alarm_cleared", alarm.name().to_owned());
        }
    }

    /// A record that cannot be written is a person's business, whichever it is; the next that can be ends it.
    pub(super) fn watch_the_journal(&mut self, event: &Event) {
        match event {
            Event::JournalFailed { text, .. } => {
                warn!("{text}");
                self.raise(Alarm::JournalFailed, String::new());
            }
            Event::JournalFlushed(_) => self.clear(Alarm::JournalFailed),
            Event::Asked(_)
            | Event::LinkReported { .. }
            | Event::LinkPrepared
            | Event::LinkPrepareFailed(_)
            | Event::LinkEnded
            | Event::LinkEndFailed(_)
            | Event::Unfenced
            | Event::UnfenceFailed(_)
            | Event::Happened(..)
            | Event::TimeReached => {}
        }
    }

    /// Tells of what an event has changed.
    pub(super) fn follow(&mut self, phase_before: &'static str) {
        self.follow_step(self.state.step());
        self.end_watch();
        let phase = self.state.phase();
        if phase != phase_before {
            info!("{phase}");
            self.notice("phase", phase.to_owned());
        }
    }

    /// Tells how long the step took that has ended, if one has.
    fn follow_step(&mut self, step: Option<&'static str>) {
        let now = Instant::now();
        let ended = self
            .timeline
            .as_mut()
            .and_then(|timeline| timeline.at(step, now));
        if let Some(ended) = ended {
            info!(ms = ended.ms, "step {}", ended.name);
            self.notice("step", format!("{} {:.3} ms", ended.name, ended.ms));
        }
    }

    pub(super) fn notice(&self, kind: &'static str, text: String) {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let at_unix_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        // Nobody listens, mostly.
        let _ = self.notices.send(Notice {
            at_unix_ms,
            kind,
            text,
        });
    }

    pub(super) fn publish(&self) {
        let ready = self.readiness();
        let active = self.state.active();
        self.status.send_replace(Status {
            phase: self.state.phase(),
            step: self.state.step(),
            active_side: active,
            epoch: self.gate.gate().policy().epoch,
            can_cut_over: active == Side::Source && ready.is_empty(),
            can_roll_back: active == Side::Target && ready.is_empty(),
            reasons: texts(&ready),
            link: LinkStatus::new(self.driver, self.reports[active.index()].as_ref()),
            last_cutover: self.last_cutover.clone(),
            alarms: self
                .alarms
                .iter()
                .map(|(alarm, detail)| alarm_text(*alarm, detail, self.end_by_hand()))
                .collect(),
            raised: self.alarms.keys().copied().collect(),
        });
    }
}
