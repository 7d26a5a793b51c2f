//! A session that does nothing but read and write beside the others, and feels what they cost it.

#![allow(unreachable_pub)] // a module of a test binary

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::kit::{Client, Reply, Sidecar};

/// Exchanges at least, so that there is something to measure.
const EXCHANGES_MIN: usize = 500;
/// An exchange may take this long on a machine where everything shares two cores with the deed.
const EXCHANGE_MAX: Duration = Duration::from_secs(1);

/// Does `deed` while a bystander reads and writes; fails where that one had to wait.
#[track_caller]
pub fn beside_a_bystander<T>(sidecar: &Sidecar, deed: impl FnOnce() -> T) -> T {
    let over = AtomicBool::new(false);
    let mut client = Client::connect(sidecar.addr("app"));
    let (done, mut times) = thread::scope(|scope| {
        let bystander = scope.spawn(|| {
            let mut times = Vec::new();
            while !over.load(Ordering::Relaxed) || times.len() < EXCHANGES_MIN {
                let begun = Instant::now();
                assert_eq!(client.call(&["SET", "bystander", "v"]), Reply::ok());
                assert_eq!(client.call(&["GET", "bystander"]), Reply::bulk("v"));
                times.push(begun.elapsed() / 2);
            }
            times
        });
        // Whatever becomes of the deed, the bystander ends.
        let ending = Ending(&over);
        let done = deed();
        drop(ending);
        (done, bystander.join().unwrap())
    });
    times.sort_unstable();
    let quantile = |thousandths: usize| times[(times.len() - 1) * thousandths / 1000];
    eprintln!(
        "bystander: {} exchanges, p50 {:?}, p99 {:?}, longest {:?}",
        times.len(),
        quantile(500),
        quantile(990),
        quantile(1000)
    );
    assert!(
        quantile(1000) < EXCHANGE_MAX,
        "a bystander waited {:?}",
        quantile(1000)
    );
    done
}

struct Ending<'o>(&'o AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
