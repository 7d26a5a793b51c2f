//! All shards of a process, and what they hold together.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::cell::{Counter, Level};
use super::control::ControlMetrics;
use super::histogram::{Histogram, Totals};
use super::shard::Shard;
use crate::terms::Side;

/// Quantiles are of what came since a scrape that is between one and two of these old, so that an hour of calm does not
/// hide a bad minute. Long enough for the usual scrape intervals, short enough to see a cutover in it.
const WINDOW: Duration = Duration::from_mins(1);

/// Everything that is counted in one process.
#[derive(Debug)]
pub struct Registry {
    /// Listener names by [`crate::terms::ListenerId`].
    pub(super) listeners: Vec<String>,
    /// Command names by their index in the command table.
    pub(super) commands: Vec<String>,
    /// By worker; at least one.
    shards: Vec<Arc<Shard>>,
    /// The control side's values.
    control: ControlMetrics,
    /// Where the present quantiles begin.
    windows: Mutex<Windows>,
}

/// How many sessions are in which state, over all workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct SessionCounts {
    /// Client connections.
    pub open: u64,
    /// Upstream connections that one session owns.
    pub private: u64,
    /// In a blocking command.
    pub blocked: u64,
    /// Between MULTI and EXEC.
    pub in_transaction: u64,
    /// With a subscription.
    pub subscribed: u64,
}

/// The durations of all workers, by what was timed.
#[derive(Debug, Clone)]
pub(super) struct Timings {
    /// Time inside the proxy.
    pub(super) overhead: Totals,
    /// Time at each side.
    pub(super) upstream: [Totals; 2],
}

#[derive(Debug)]
struct Windows {
    /// Where quantiles begin.
    base: Timings,
    /// Where they will begin after the next turn.
    next: Timings,
    /// When `next` was taken.
    turned: Instant,
}

impl Registry {
    /// For these listeners (by id), commands (by their index in the table) and so many workers.
    pub fn new(listeners: Vec<String>, commands: Vec<String>, workers: usize) -> Arc<Registry> {
        let shards = (0..workers.max(1))
            .map(|_| Arc::new(Shard::new(listeners.len(), commands.len())))
            .collect::<Vec<_>>();
        let zero = Timings::of(&[]);
        let windows = Windows {
            base: zero.clone(),
            next: zero,
            turned: Instant::now(),
        };
        Arc::new(Registry {
            listeners,
            commands,
            shards,
            control: ControlMetrics::new(),
            windows: Mutex::new(windows),
        })
    }

    /// The shard of a worker, counted from zero.
    ///
    /// # Panics
    /// Where there is no such worker.
    pub fn shard(&self, worker: usize) -> Arc<Shard> {
        Arc::clone(&self.shards[worker])
    }

    /// The control side's values.
    pub fn control(&self) -> &ControlMetrics {
        &self.control
    }

    /// Everything in the Prometheus text format. Costs tens of microseconds and a little memory; call it off the
    /// workers' threads.
    pub fn render(&self) -> String {
        super::render::render(self)
    }

    /// How many sessions are in which state.
    pub fn sessions(&self) -> SessionCounts {
        SessionCounts {
            open: (0..self.listeners.len())
                .map(|listener| self.level(|s| &s.listeners[listener].sessions))
                .sum(),
            private: Side::BOTH
                .map(|side| self.level(|s| &s.sides[side.index()].private_connections))
                .iter()
                .sum(),
            blocked: self.level(|s| &s.blocked),
            in_transaction: self.level(|s| &s.in_transaction),
            subscribed: self.level(|s| &s.subscribed),
        }
    }

    /// One counter's sum over the workers.
    pub(super) fn count(&self, pick: impl Fn(&Shard) -> &Counter) -> u64 {
        self.shards.iter().map(|shard| pick(shard).value()).sum()
    }

    /// One level's sum over the workers.
    pub(super) fn level(&self, pick: impl Fn(&Shard) -> &Level) -> u64 {
        // A guard may rise in one reading and fall in another shard's; never below zero, since each is in one shard.
        self.shards.iter().map(|shard| pick(shard).value()).sum()
    }

    /// The durations so far, and those at which the present window began.
    pub(super) fn timings(&self) -> (Timings, Timings) {
        let now = Timings::of(&self.shards);
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if windows.turned.elapsed() >= WINDOW {
            windows.base = std::mem::replace(&mut windows.next, now.clone());
            windows.turned = Instant::now();
        }
        (now, windows.base.clone())
    }
}

impl Timings {
    fn of(shards: &[Arc<Shard>]) -> Timings {
        let merge = |pick: &dyn Fn(&Shard) -> &Histogram| {
            let mut totals = Totals::new();
            for shard in shards {
                pick(shard).add_to(&mut totals);
            }
            totals
        };
        Timings {
            overhead: merge(&|shard| &shard.overhead),
            upstream: Side::BOTH
                .map(|side| merge(&|shard: &Shard| &shard.sides[side.index()].upstream)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{
        ALARMS, ClassLabel, ClientError, ControlValues, CutoverOutcome, Direction, UpstreamError,
    };
    use crate::terms::ListenerId;

    fn registry() -> Arc<Registry> {
        Registry::new(
            vec!["app".to_owned(), "target".to_owned()],
            vec!["get".to_owned(), "set".to_owned()],
            2,
        )
    }

    #[test]
    fn a_scrape_adds_up_the_workers() {
        let registry = registry();
        registry
            .shard(0)
            .requests(ListenerId(1), Side::Target, ClassLabel::Read, 3);
        registry
            .shard(1)
            .requests(ListenerId(1), Side::Target, ClassLabel::Read, 4);
        registry
            .shard(1)
            .bytes(Side::Source, Direction::ToServer, 10);
        registry
            .shard(0)
            .upstream_error(Side::Source, UpstreamError::TimedOut);
        registry.shard(0).client_error(ClientError::TooManyClients);

        let text = registry.render();
        for line in [
            r#"handover_requests_total{listener="target",side="target",class="read"} 7"#,
            r#"handover_requests_total{listener="app",side="source",class="write"} 0"#,
            r#"handover_bytes_total{side="source",direction="to_server"} 10"#,
            r#"handover_upstream_errors_total{side="source",reason="timed_out"} 1"#,
            r#"handover_client_errors_total{reason="too_many_clients"} 1"#,
        ] {
            assert!(
                text.lines().any(|found| found == line),
                "{line} is not in\n{text}"
            );
        }
    }

    #[test]
    fn a_refused_command_without_a_name_counts_as_other() {
        let registry = registry();
        registry.shard(0).refused(ListenerId(0), 1);
        registry.shard(0).refused(ListenerId(0), 2);
        registry.shard(0).refused(ListenerId(0), u16::MAX);
        registry.shard(0).refused(ListenerId(9), 1);

        let text = registry.render();
        assert!(
            text.contains("{listener=\"app\",command=\"set\"} 1\n"),
            "{text}"
        );
        assert!(
            text.contains("{listener=\"app\",command=\"other\"} 2\n"),
            "{text}"
        );
        assert!(!text.contains("command=\"get\""), "{text}");
    }

    #[test]
    fn a_gauge_counts_while_it_lives() {
        let registry = registry();
        let shard = registry.shard(1);
        let guards = [
            shard.session_opened(ListenerId(0)),
            shard.session_opened(ListenerId(1)),
            shard.private_opened(Side::Source),
            shard.blocked(),
            shard.in_transaction(),
            shard.subscribed(),
            shard.held(),
        ];
        let counts = SessionCounts {
            open: 2,
            private: 1,
            blocked: 1,
            in_transaction: 1,
            subscribed: 1,
        };
        assert_eq!(registry.sessions(), counts);
        assert!(registry.render().contains("handover_held_requests 1\n"));
        drop(guards);
        assert_eq!(registry.sessions(), SessionCounts::default());
    }

    #[test]
    fn durations_have_quantiles_count_and_sum_over_all_workers() {
        let registry = registry();
        registry.shard(0).overhead(Duration::from_micros(10), 99);
        registry.shard(1).overhead(Duration::from_micros(500), 1);
        registry
            .shard(1)
            .upstream(Side::Target, Duration::from_millis(1), 5);

        let text = registry.render();
        assert!(
            text.contains("handover_overhead_seconds_count 100\n"),
            "{text}"
        );
        assert!(
            text.contains("handover_overhead_seconds_sum 0.00149\n"),
            "{text}"
        );
        assert!(
            text.contains("handover_upstream_seconds_count{side=\"target\"} 5\n"),
            "{text}"
        );
        let quantile = |name: &str| -> f64 {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap();
            line.rsplit(' ').next().unwrap().parse().unwrap()
        };
        assert!(
            (quantile("handover_overhead_seconds{quantile=\"0.5\"}") - 10e-6).abs() < 0.3e-6,
            "{text}"
        );
        assert!(
            (quantile("handover_overhead_seconds{quantile=\"0.999\"}") - 500e-6).abs() < 10e-6,
            "{text}"
        );
        assert!(
            !text.contains("handover_upstream_seconds{side=\"source\",quantile"),
            "{text}"
        );
    }

    #[test]
    fn an_unknown_lag_has_no_sample() {
        let registry = registry();
        assert!(!registry.render().contains("handover_link_lag"));

        registry.control().cutover_ended(CutoverOutcome::Committed);
        registry.control().state(ControlValues {
            active_side: Side::Target,
            phase: "committed",
            link_phase: "streaming",
            lag_bytes: Some(17),
            lag: Some(Duration::from_millis(250)),
            copied_bytes: Some(5),
            copy_bytes: None,
            resyncs: 2,
            alarms: [false; ALARMS.len()],
            write_pause: Some(Duration::from_millis(8)),
            read_pause: Some(Duration::ZERO),
            max_pause: Some(Duration::from_millis(500)),
        });
        let text = registry.render();
        for line in [
            "handover_link_lag_bytes 17",
            "handover_link_lag_seconds 0.25",
            "handover_link_copied_bytes 5",
            "handover_link_resyncs_total 2",
            "handover_max_pause_seconds 0.5",
            "handover_write_pause_seconds 0.008",
            "handover_read_pause_seconds 0",
            "handover_active_side{side=\"source\"} 0",
            "handover_active_side{side=\"target\"} 1",
            "handover_phase{phase=\"committed\"} 1",
            "handover_link_phase{phase=\"streaming\"} 1",
            "handover_cutover_total{outcome=\"committed\"} 1",
        ] {
            assert!(
                text.lines().any(|found| found == line),
                "{line} is not in\n{text}"
            );
        }
        assert!(!text.contains("handover_link_copy_bytes"), "{text}");
    }
}
