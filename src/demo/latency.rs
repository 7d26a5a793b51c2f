//! What the sidecar adds to a request: pairs of requests, one past it and one through it, at fixed times.
//!
//! The two of a pair run within the same millisecond and take turns in going first, so that whatever else the machine
//! does meets both alike; what is reported is the difference of their quantiles.
//!
//! Refuses to know: what stands at the two addresses.

use std::net::SocketAddr;
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::time::{Instant, sleep_until};

use super::OverheadMicros;
use super::client::{Client, Failure};

/// Time between two pairs.
const PERIOD: Duration = Duration::from_millis(1);
/// A key of its own.
const KEY: &str = "latency:probe";
/// Latencies are kept in nanoseconds with three digits, up to this.
const NANOS_MAX: u64 = 60_000_000_000;

/// One of the two ways, and what it took.
struct Way {
    client: Client,
    latencies: Histogram<u64>,
}

/// Measures for `length`; `progress` is told how far it is.
pub(super) async fn measure(
    direct: SocketAddr,
    proxied: SocketAddr,
    length: Duration,
    mut progress: impl FnMut(Duration),
) -> Result<OverheadMicros, Failure> {
    let mut ways = [Way::open(direct).await?, Way::open(proxied).await?];
    let value = "v".repeat(100);
    let requests: [&[&str]; 2] = [&["SET", KEY, &value], &["GET", KEY]];
    let begin = Instant::now();
    for pair in 0_u32.. {
        let due = begin + PERIOD * pair;
        if due - begin >= length {
            break;
        }
        sleep_until(due).await;
        // Both kinds of request meet both orders.
        let (request, first) = (requests[pair as usize % 2], pair as usize / 2 % 2);
        let started = ways[first].time(request, due).await?;
        ways[1 - first].time(request, started).await?;
        progress(due - begin);
    }
    let [direct, proxied] = &ways;
    let added = |quantile| (proxied.nanos(quantile) - direct.nanos(quantile)) / 1000.0;
    Ok(OverheadMicros {
        p50: added(0.5),
        p99: added(0.99),
        p999: added(0.999),
    })
}

impl Way {
    async fn open(address: SocketAddr) -> Result<Way, Failure> {
        let latencies = Histogram::new_with_bounds(1, NANOS_MAX, 3)
            .map_err(|e| Failure::NotResp(e.to_string()))?;
        Ok(Way {
            client: Client::connect(address).await?,
            latencies,
        })
    }

    /// Does one request that was due at `due`, gives when it ended. Time by which this process's own timer was late is
    /// not counted; time by which an earlier reply was late is, since a request at its own time would have waited too.
    async fn time(&mut self, request: &[&str], due: Instant) -> Result<Instant, Failure> {
        let late = due.elapsed();
        let started = if late > PERIOD { due } else { Instant::now() };
        self.client.call(request).await?;
        let ended = Instant::now();
        self.latencies
            .saturating_record((ended - started).as_nanos() as u64);
        Ok(ended)
    }

    #[allow(clippy::cast_precision_loss)] // nanoseconds of a minute at most
    fn nanos(&self, quantile: f64) -> f64 {
        self.latencies.value_at_quantile(quantile) as f64
    }
}
