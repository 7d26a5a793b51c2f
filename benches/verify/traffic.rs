//! An application that goes on working: its writes and reads come at fixed times, and each counts from the time at which
//! it was due.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::kit::{Client, Reply};

/// Time between two operations.
const INTERVAL: Duration = Duration::from_micros(500);
/// Keys it works on, which are among those that are compared.
const KEYS: u64 = 10_000;

/// The application.
pub struct Traffic {
    stop: Arc<AtomicBool>,
    counting: Arc<AtomicBool>,
    latencies: Arc<Mutex<Histogram<u64>>>,
    thread: JoinHandle<()>,
}

/// Microseconds.
pub struct Latency {
    operations: u64,
    p50: u64,
    p99: u64,
    p999: u64,
    max: u64,
}

impl Traffic {
    /// Begins.
    pub fn start(address: SocketAddr) -> Traffic {
        let (stop, counting) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicBool::new(false)),
        );
        let latencies = Arc::new(Mutex::new(Histogram::new(3).unwrap()));
        let shared = (
            Arc::clone(&stop),
            Arc::clone(&counting),
            Arc::clone(&latencies),
        );
        let thread = std::thread::spawn(move || {
            let (stop, counting, latencies) = shared;
            let mut client = Client::connect(address);
            let mut due = Instant::now();
            for number in 0_u64.. {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                due += INTERVAL;
                wait_until(due);
                operate(&mut client, number);
                if counting.load(Ordering::Relaxed) {
                    let latency = u64::try_from(due.elapsed().as_micros()).unwrap();
                    latencies.lock().unwrap().record(latency).unwrap();
                }
            }
        });
        Traffic {
            stop,
            counting,
            latencies,
            thread,
        }
    }

    /// What happens while `work` lasts counts.
    pub fn measure<T>(&self, work: impl FnOnce() -> T) -> T {
        self.counting.store(true, Ordering::Relaxed);
        let done = work();
        self.counting.store(false, Ordering::Relaxed);
        done
    }

    /// What counted since the last time.
    pub fn take(&self) -> Latency {
        let mut latencies = self.latencies.lock().unwrap();
        let at = |quantile| latencies.value_at_quantile(quantile);
        let latency = Latency {
            operations: latencies.len(),
            p50: at(0.5),
            p99: at(0.99),
            p999: at(0.999),
            max: latencies.max(),
        };
        latencies.reset();
        latency
    }

    /// Ends it; fails where it failed.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
    }
}

#[allow(clippy::disallowed_methods)] // the clock of an open loop
fn wait_until(due: Instant) {
    if let Some(early) = due.checked_duration_since(Instant::now()) {
        std::thread::sleep(early);
    }
}

/// Writes of several types, and one key that never stands still.
fn operate(client: &mut Client, number: u64) {
    let key = |kind: &str| format!("live:{kind}:{}", number.wrapping_mul(7919) % KEYS);
    let value = number.to_string();
    let reply = match number % 8 {
        0 => client.call(&["SET", &key("string"), &value]),
        1 => client.call(&["HSET", &key("hash"), "field", &value]),
        2 => client.call(&["DEL", &key("string")]),
        3 => client.call(&["SADD", &key("set"), &value]),
        4 => client.call(&["SET", &key("short"), &value, "PX", "1500"]),
        5 => client.call(&["INCR", "live:hot"]),
        6 => client.call(&["RPUSH", "large:pushed", &value]),
        _ => client.call(&["GET", &key("string")]),
    };
    assert!(!matches!(reply, Reply::Error(_)), "{reply:?}");
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Latency {
            operations,
            p50,
            p99,
            p999,
            max,
        } = self;
        write!(
            f,
            "{operations} operations, p50 {p50} µs, p99 {p99} µs, p99.9 {p999} µs, longest {max} µs"
        )
    }
}
