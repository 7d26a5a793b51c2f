//! The [`Control`] of a running sidecar: the cutover's handle, with what the status and the metrics need beside it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;

use super::{Answer, Control, Events, Failure, FailureKind, Order, Run};
use crate::cutover::action::Alarm;
use crate::cutover::runner::{CutoverRequest, Refusal, RefusalKind, Status};
use crate::cutover::{Bounds, Handle};
use crate::metrics::{ControlMetrics, ControlValues, CutoverOutcome, Registry};
use crate::session::AuditLog;
use crate::shutdown;
use crate::traffic::Traffic;
use crate::upstream::{self, control};
use crate::verify;

/// How long the active side may take to say that it is there.
const READY_LIMIT: Duration = Duration::from_secs(2);

/// What operators of this sidecar control.
#[derive(Debug)]
pub struct Migration {
    /// Where orders go.
    pub handle: Handle,
    /// What is counted.
    pub metrics: Arc<Registry>,
    /// Whose writes were refused.
    pub audit: Arc<AuditLog>,
    /// What the application was seen to send.
    pub traffic: Arc<Traffic>,
    /// Which of its findings are accepted.
    pub bounds: watch::Receiver<Bounds>,
    /// The listeners that are bound.
    pub listeners: Vec<Listener>,
    /// The databases, by [`Side::index`](crate::terms::Side::index).
    pub servers: [upstream::Server; 2],
    /// How they are compared.
    pub comparison: verify::Options,
    /// The end of the process has begun.
    pub ending: shutdown::Signal,
}

/// A listener, as the status shows it.
#[derive(Debug, Clone, Serialize)]
pub struct Listener {
    /// Its name.
    pub name: String,
    /// Where it is bound.
    pub address: String,
    /// `active` or `target`.
    pub reads: &'static str,
    /// `active` or `refuse`.
    pub writes: &'static str,
}

impl Control for Migration {
    fn order(&self, order: Order) -> BoxFuture<'static, Answer> {
        let handle = self.handle.clone();
        async move {
            let outcome = match order {
                Order::Migrate { confirm_flush } => {
                    handle.migrate(confirm_flush).await?;
                    return Ok(json!({"outcome": "migrating"}));
                }
                Order::Cutover {
                    run,
                    max_pause,
                    accept,
                } => {
                    let request = CutoverRequest {
                        dry_run: run == Run::Dry,
                        max_pause,
                        accept,
                    };
                    handle.cutover(request).await
                }
                Order::Abort => handle.abort().await,
                Order::Rollback => handle.rollback().await,
                Order::Finalize => handle.finalize().await,
            };
            Ok(json!(outcome?))
        }
        .boxed()
    }

    fn preflight(&self) -> BoxFuture<'static, Answer> {
        let handle = self.handle.clone();
        async move { Ok(json!({"findings": handle.preflight().await?})) }.boxed()
    }

    fn report(&self) -> BoxFuture<'static, Answer> {
        let report = self.traffic.report(&self.bounds.borrow().accept_findings);
        async move { Ok(report) }.boxed()
    }

    fn status(&self) -> Value {
        let mut status = json!(self.handle.status());
        status["sessions"] = json!(self.metrics.sessions());
        status["listeners"] = json!(self.listeners);
        status["traffic"] = json!(self.metrics.traffic());
        status["refused_clients"] = json!(self.audit.refusers());
        for server in &self.servers {
            status[server.side.as_str()] = json!({"name": server.name});
        }
        // A fleet of one has no members to tell of.
        status["members"] = json!([]);
        status
    }

    fn ready(&self) -> BoxFuture<'static, Result<(), String>> {
        let server = self.servers[self.handle.status().active_side.index()].clone();
        let ending = self.ending.fired();
        async move {
            if ending {
                return Err("the sidecar is ending; it takes no new clients".to_owned());
            }
            let answer = async {
                let mut connection = control::Control::connect(&server).await?;
                connection.call(&[b"PING"], READY_LIMIT).await
            };
            answer.await.map(|_| ()).map_err(|error| error.to_string())
        }
        .boxed()
    }

    fn metrics(&self) -> String {
        self.metrics.render()
    }

    fn sides(&self) -> [upstream::Server; 2] {
        let active = self.handle.status().active_side;
        [active, active.other()].map(|side| self.servers[side.index()].clone())
    }

    fn comparison(&self) -> verify::Options {
        self.comparison
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Failure {
        let kind = match refusal.kind {
            RefusalKind::NotReady => FailureKind::Refused,
            RefusalKind::WrongArgument => FailureKind::Arguments,
            RefusalKind::OutOfReach => FailureKind::OutOfReach,
        };
        Failure::new(kind, refusal.code, refusal.message)
            .because(refusal.reasons.into_iter().map(Value::from).collect())
    }
}

/// Carries what happens to those who listen, and what is so to the metrics, until `stop`. The bounds may change meanwhile.
///
/// Cancel safety: may be dropped at any time.
pub async fn observe(
    handle: Handle,
    metrics: Arc<Registry>,
    mut bounds: watch::Receiver<Bounds>,
    events: Events,
    mut stop: shutdown::Signal,
) {
    let mut notices = handle.notices();
    let mut statuses = handle.watch();
    let max_pause = bounds.borrow_and_update().max_pause;
    let mut seen = Seen::new(handle.status(), max_pause, metrics.control());
    loop {
        tokio::select! {
            () = stop.wait() => return,
            changed = statuses.changed() => {
                if changed.is_err() {
                    return;
                }
                let status = statuses.borrow_and_update().clone();
                seen.follow(status, metrics.control());
            }
            Ok(()) = bounds.changed() => {
                seen.max_pause = bounds.borrow_and_update().max_pause;
                seen.state(metrics.control());
            }
            notice = notices.recv() => match notice {
                Ok(notice) => events.publish(notice.kind, json!(notice)),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            },
        }
    }
}

/// What has been carried to the metrics.
#[derive(Debug)]
struct Seen {
    /// The newest status. What it says of the time before this process is not counted.
    status: Status,
    /// How often the link has begun its full copy anew.
    resyncs: u64,
    /// How long writes may pause.
    max_pause: Duration,
}

impl Seen {
    fn new(status: Status, max_pause: Duration, metrics: &ControlMetrics) -> Seen {
        let seen = Seen {
            status,
            resyncs: 0,
            max_pause,
        };
        seen.state(metrics);
        seen
    }

    fn follow(&mut self, status: Status, metrics: &ControlMetrics) {
        if self.status.phase == "in_sync" && status.phase == "syncing" {
            self.resyncs += 1;
        }
        if status.last_cutover != self.status.last_cutover {
            let ended = status.last_cutover.as_ref().map(|last| last.outcome);
            let known = CutoverOutcome::ALL
                .iter()
                .find(|outcome| Some(outcome.as_str()) == ended);
            if let Some(outcome) = known {
                metrics.cutover_ended(*outcome);
            }
        }
        self.status = status;
        self.state(metrics);
    }

    fn state(&self, metrics: &ControlMetrics) {
        let Status {
            phase,
            active_side,
            link,
            last_cutover,
            raised,
            ..
        } = &self.status;
        let pause = |ms: f64| Duration::try_from_secs_f64(ms / 1000.0).ok();
        metrics.state(ControlValues {
            active_side: *active_side,
            phase,
            link_phase: link.phase,
            lag_bytes: link.lag_bytes,
            lag: link.lag_ms.map(Duration::from_millis),
            copied_bytes: link.bytes_done,
            copy_bytes: link.bytes_total,
            resyncs: self.resyncs,
            alarms: Alarm::ALL.map(|alarm| raised.contains(&alarm)),
            write_pause: last_cutover
                .as_ref()
                .and_then(|last| pause(last.write_pause_ms)),
            read_pause: last_cutover
                .as_ref()
                .and_then(|last| pause(last.read_pause_ms)),
            max_pause: Some(self.max_pause),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cutover::readiness::phase_name;
    use crate::cutover::runner::{LinkStatus, Outcome};
    use crate::link::Phase;
    use crate::metrics::{ALARMS, LINK_PHASES};
    use crate::terms::{Epoch, Side};

    const MAX_PAUSE: Duration = Duration::from_millis(500);

    fn status(phase: &'static str) -> Status {
        Status {
            phase,
            step: None,
            active_side: Side::Source,
            epoch: Epoch(1),
            can_cut_over: false,
            reasons: vec![],
            can_roll_back: false,
            link: LinkStatus {
                driver: "replicaof",
                phase: "streaming",
                lag_bytes: Some(7),
                lag_ms: None,
                bytes_done: Some(3),
                bytes_total: Some(9),
                waiting_for: None,
                last_error: None,
            },
            last_cutover: None,
            alarms: vec![],
            raised: vec![],
        }
    }

    fn ended(outcome: &'static str, write_pause_ms: f64) -> Outcome {
        Outcome {
            outcome,
            write_pause_ms,
            read_pause_ms: 0.0,
            steps: vec![],
            reasons: vec![],
        }
    }

    fn has(registry: &Registry, line: &str) -> bool {
        registry.render().lines().any(|found| found == line)
    }

    #[test]
    fn a_cutover_is_counted_once_and_not_again_after_a_restart() {
        let registry = Registry::new(vec![], vec![], 1);
        let before = Status {
            last_cutover: Some(ended("aborted", 3.0)),
            ..status("in_sync")
        };
        let mut seen = Seen::new(before.clone(), MAX_PAUSE, registry.control());
        seen.follow(before, registry.control());
        assert!(has(
            &registry,
            "handover_cutover_total{outcome=\"aborted\"} 0"
        ));
        assert!(has(&registry, "handover_write_pause_seconds 0.003"));

        let committed = Status {
            active_side: Side::Target,
            last_cutover: Some(ended("committed", 8.0)),
            ..status("committed")
        };
        seen.follow(committed.clone(), registry.control());
        seen.follow(committed, registry.control());
        assert!(has(
            &registry,
            "handover_cutover_total{outcome=\"committed\"} 1"
        ));
        assert!(has(&registry, "handover_active_side{side=\"target\"} 1"));
        assert!(has(&registry, "handover_phase{phase=\"committed\"} 1"));
        assert!(has(&registry, "handover_write_pause_seconds 0.008"));
        assert!(has(&registry, "handover_link_lag_bytes 7"));
        assert!(has(&registry, "handover_link_copied_bytes 3"));
        assert!(has(&registry, "handover_link_copy_bytes 9"));
        assert!(has(&registry, "handover_max_pause_seconds 0.5"));
    }

    #[test]
    fn a_copy_that_begins_anew_is_a_resync_and_the_first_one_is_not() {
        let registry = Registry::new(vec![], vec![], 1);
        let mut seen = Seen::new(status("idle"), MAX_PAUSE, registry.control());
        for phase in ["preparing", "syncing", "in_sync"] {
            seen.follow(status(phase), registry.control());
        }
        assert!(has(&registry, "handover_link_resyncs_total 0"));
        seen.follow(status("syncing"), registry.control());
        assert!(has(&registry, "handover_link_resyncs_total 1"));
    }

    #[test]
    fn the_metrics_know_every_phase_of_the_link() {
        let all = [
            Phase::Detached,
            Phase::Connecting,
            Phase::Syncing,
            Phase::Streaming,
            Phase::Broken,
            Phase::Unknown,
        ];
        assert_eq!(all.map(phase_name), LINK_PHASES);
    }

    #[test]
    fn an_alarm_is_in_the_metrics_by_its_name_for_as_long_as_it_is_raised() {
        assert_eq!(Alarm::ALL.map(Alarm::name), ALARMS);
        let registry = Registry::new(vec![], vec![], 1);
        let mut seen = Seen::new(status("committed"), MAX_PAUSE, registry.control());
        for alarm in Alarm::ALL {
            let line = |value: u8| format!("handover_alarm{{alarm=\"{}\"}} {value}", alarm.name());
            assert!(has(&registry, &line(0)));
            let raised = Status {
                raised: vec![alarm],
                ..status("committed")
            };
            seen.follow(raised, registry.control());
            assert!(has(&registry, &line(1)));
            seen.follow(status("committed"), registry.control());
            assert!(has(&registry, &line(0)));
        }
    }

    #[test]
    fn a_refusal_becomes_a_failure_of_its_kind() {
        for (kind, expected) in [
            (RefusalKind::NotReady, FailureKind::Refused),
            (RefusalKind::WrongArgument, FailureKind::Arguments),
            (RefusalKind::OutOfReach, FailureKind::OutOfReach),
        ] {
            let refusal = Refusal {
                kind,
                code: "code",
                message: "message".to_owned(),
                reasons: vec!["reason".to_owned()],
            };
            let failure = Failure::new(expected, "code", "message").because(vec![json!("reason")]);
            assert_eq!(Failure::from(refusal), failure);
        }
    }
}
