//! The order of events of the demo.
//!
//! Refuses to know: how any of them is done.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep_until};

use super::checker::check;
use super::latency::measure;
use super::meter::Meter;
use super::progress::Progress;
use super::report::grouped;
use super::servers::Server;
use super::sidecar::{Cutover, Sidecar};
use super::traffic::{LEAST_CLIENTS, Traffic};
use super::{Error, Options, OverheadMicros, Report, data};

/// Shortest and longest time that added latency is measured for, in seconds: below it the higher quantiles mean
/// nothing, above it they gain nothing.
const LATENCY_SECONDS: (u64, u64) = (2, 10);
/// What any migration may take, and how many keys make it a second more.
const MIGRATION_LIMIT: Duration = Duration::from_mins(1);
const KEYS_A_SECOND: u64 = 10_000;
/// A cutover that found no quiet moment changes nothing and may be repeated; so often it is.
const CUTOVER_ATTEMPTS: usize = 3;

/// Runs the whole demo. Everything it starts and writes is gone when it returns, whatever it returns.
///
/// Ends with [`Error::Interrupted`] on SIGINT, SIGTERM and SIGHUP.
///
/// Cancel safety: dropping it kills its processes and removes its directory.
pub async fn run(options: Options) -> Result<Report, Error> {
    if options.clients < LEAST_CLIENTS {
        return Err(Error::TooFewClients {
            given: options.clients,
            least: LEAST_CLIENTS,
        });
    }
    let machine = |what| move |source| Error::Machine { what, source };
    // Outlives the processes that write to it.
    let directory = tempfile::Builder::new()
        .prefix("handover-demo-")
        .tempdir()
        .map_err(machine("create a temporary directory"))?;
    let mut terminate = signal(SignalKind::terminate()).map_err(machine("listen for signals"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(machine("listen for signals"))?;
    let mut hangup = signal(SignalKind::hangup()).map_err(machine("listen for signals"))?;
    tokio::select! {
        report = Box::pin(show(options, directory.path())) => report,
        _ = terminate.recv() => Err(Error::Interrupted),
        _ = interrupt.recv() => Err(Error::Interrupted),
        _ = hangup.recv() => Err(Error::Interrupted),
    }
}

async fn show(options: Options, directory: &Path) -> Result<Report, Error> {
    let mut progress = Progress::new();
    progress.step("starting two databases");
    let source = Server::start("source", directory).await?;
    let target = Server::start("target", directory).await?;
    progress.done(&format!(
        "two databases: {} is the source, {} the target",
        source.address(),
        target.address()
    ));
    fill(options.keys, &source, &mut progress).await?;
    progress.step("starting the sidecar");
    let sidecar = Sidecar::start(source.address(), target.address(), directory).await?;
    progress.done(&format!(
        "a sidecar between them and the application, at {}",
        sidecar.address()
    ));
    let mut stage = Stage {
        options,
        source,
        target,
        sidecar,
        progress,
    };
    let overhead_us = stage.added_latency().await?;
    let report = stage.main_act(overhead_us).await;
    stage.end().await;
    report
}

async fn fill(keys: u64, source: &Server, progress: &mut Progress) -> Result<(), Error> {
    let mut client = source.connect().await?;
    progress.measured_step("filling the source", keys);
    data::fill(&mut client, keys, |done| progress.reach(done))
        .await
        .map_err(|why| source.error(&why))?;
    progress.done(&format!(
        "{} keys in the source, of every type, some of which expire",
        grouped(keys)
    ));
    Ok(())
}

/// Everything that is running.
struct Stage {
    options: Options,
    source: Server,
    target: Server,
    sidecar: Sidecar,
    progress: Progress,
}

impl Stage {
    /// Before there is traffic: it would be measured as well.
    async fn added_latency(&mut self) -> Result<OverheadMicros, Error> {
        let (shortest, longest) = LATENCY_SECONDS;
        let length = Duration::from_secs((self.options.seconds / 3).clamp(shortest, longest));
        self.progress
            .measured_step("measuring the added latency", length.as_millis() as u64);
        let overhead = measure(
            self.source.address(),
            self.sidecar.address(),
            length,
            |done| {
                self.progress.reach(done.as_millis() as u64);
            },
        );
        let overhead = overhead.await.map_err(|why| Error::Refused {
            what: "a request of the latency measurement",
            reason: why.to_string(),
        })?;
        self.progress.done(&format!(
            "the sidecar adds {:.0} µs to a request (median)",
            overhead.p50
        ));
        Ok(overhead)
    }

    /// Traffic; in its middle the application moves.
    async fn main_act(&mut self, overhead_us: OverheadMicros) -> Result<Report, Error> {
        let Options {
            keys,
            clients,
            seconds,
        } = self.options;
        let meter = Arc::new(Meter::default());
        self.progress.step("starting the application");
        let begin = Instant::now();
        let traffic = Traffic::start(self.sidecar.address(), clients, keys, Arc::clone(&meter))
            .await
            .map_err(|why| Error::Refused {
                what: "a connection of the application",
                reason: why.to_string(),
            })?;
        self.progress.done(&format!(
            "{clients} clients read, write, queue, publish and run transactions"
        ));
        self.migrate().await?;
        self.traffic_until(
            "the application runs on the source",
            begin + Duration::from_secs(seconds) / 2,
        )
        .await;
        let own_write_pause_ms = self.cut_over(&meter).await?;
        // Where the migration took longer than planned, the target still gets its share.
        let end = (begin + Duration::from_secs(seconds))
            .max(Instant::now() + Duration::from_secs(seconds) / 4);
        self.traffic_until("the application runs on the target", end)
            .await;
        let claims = traffic.stop().await;
        let ran = begin.elapsed();
        self.progress
            .step("comparing what was acknowledged with what is there");
        let mut hand = self.target.connect().await?;
        let findings = check(claims, &mut hand)
            .await
            .map_err(|why| self.target.error(&why))?;
        self.progress
            .done("every acknowledged write was looked for on the target");
        self.progress.step("comparing the two sides");
        let verified = self.sidecar.verify().await?;
        self.progress.done(&format!(
            "{} keys of both sides compared",
            grouped(verified.keys)
        ));
        let readings = meter.readings();
        Ok(Report {
            operations: readings.operations,
            errors: readings.errors,
            lost_writes: findings.lost,
            double_writes: findings.doubled,
            write_pause_ms: readings.write_pause.as_secs_f64() * 1000.0,
            read_pause_ms: readings.read_pause.as_secs_f64() * 1000.0,
            overhead_us,
            verified,
            seconds: ran.as_secs_f64(),
            clients,
            own_write_pause_ms,
            notes: [readings.notes, findings.notes].concat(),
        })
    }

    async fn migrate(&mut self) -> Result<(), Error> {
        let begin = Instant::now();
        self.sidecar.migrate().await?;
        self.until_ready("copying the source to the target").await?;
        let took = begin.elapsed().as_secs_f64();
        self.progress.done(&format!(
            "the target is in sync, after {took:.1} s under traffic"
        ));
        Ok(())
    }

    async fn until_ready(&mut self, text: &str) -> Result<(), Error> {
        let limit = MIGRATION_LIMIT + Duration::from_secs(self.options.keys / KEYS_A_SECOND);
        self.progress.measured_step(text, 1000);
        let progress = &self.progress;
        self.sidecar
            .until_ready_to_cut_over(limit, |status| progress.reach(copied_per_mille(status)))
            .await
    }

    /// Gives the pause by the sidecar's own clock.
    async fn cut_over(&mut self, meter: &Meter) -> Result<Option<f64>, Error> {
        let mut reason = String::new();
        for _ in 0..CUTOVER_ATTEMPTS {
            self.progress.step("cutting over");
            meter.cutover_begins();
            let cutover = self.sidecar.cut_over().await;
            meter.cutover_ends();
            match cutover? {
                Cutover::Committed { write_pause_ms } => {
                    self.progress
                        .done("the application has moved to the target");
                    return Ok(write_pause_ms);
                }
                Cutover::NotYet(why) => {
                    self.progress.done(&format!(
                        "the cutover found no moment and changed nothing: {why}"
                    ));
                    reason = why;
                    self.until_ready("waiting for the next moment").await?;
                }
            }
        }
        Err(Error::Refused {
            what: "the cutover",
            reason,
        })
    }

    async fn traffic_until(&mut self, text: &str, end: Instant) {
        self.progress.step(text);
        sleep_until(end).await;
        self.progress.done(text);
    }

    async fn end(self) {
        self.sidecar.end().await;
        self.target.end().await;
        self.source.end().await;
    }
}

/// How much of the full copy has been made, by the status.
fn copied_per_mille(status: &Value) -> u64 {
    let link = &status["link"];
    match (link["bytes_done"].as_u64(), link["bytes_total"].as_u64()) {
        (Some(done), Some(total)) if total > 0 => done.saturating_mul(1000) / total,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn too_few_clients_are_refused_before_anything_starts() {
        let few = run(Options {
            clients: LEAST_CLIENTS - 1,
            ..Options::default()
        })
        .await;
        assert!(
            matches!(few, Err(Error::TooFewClients { given: 7, least: 8 })),
            "{few:?}"
        );
    }

    #[test]
    fn progress_of_a_copy_is_known_only_with_both_numbers() {
        let status = |link| copied_per_mille(&serde_json::json!({ "link": link }));
        assert_eq!(
            status(serde_json::json!({"bytes_done": 5, "bytes_total": 10})),
            500
        );
        assert_eq!(
            status(serde_json::json!({"bytes_done": 5, "bytes_total": null})),
            0
        );
        assert_eq!(
            status(serde_json::json!({"bytes_done": 0, "bytes_total": 0})),
            0
        );
    }
}
