//! The threads of the data path: one acceptor, and workers with a runtime each. Sockets go to the workers in turn, since
//! an application has few connections and keeps them: chance would load the workers unevenly.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::runtime::{self, LocalOptions, LocalRuntime};
use tokio::sync::mpsc;

use crate::metrics::Registry;
use crate::net::{Accepted, Listener};
use crate::session::{
    Arrival, Farewell, ListenerSettings, Remaining, Settings, Shared, run_worker,
};
use crate::shutdown::Signal;

/// Sockets on their way to one worker; a worker that is this far behind stops the acceptor, and the kernel's backlog
/// takes over.
const ARRIVALS_MAX: usize = 1024;

/// The running data path.
#[derive(Debug)]
pub(super) struct DataPath {
    /// Where the listeners are bound, in the configuration's order.
    pub(super) addresses: Vec<String>,
    acceptor: JoinHandle<()>,
    workers: Vec<JoinHandle<Remaining>>,
}

impl DataPath {
    /// Binds every listener, then starts the threads. Nothing is left running where a listener cannot be bound. `begun` ends
    /// the listeners, `farewell` the sessions.
    pub(super) fn start(
        workers: usize,
        settings: &Settings,
        shared: &Shared,
        metrics: &Arc<Registry>,
        begun: &Signal,
        farewell: &Farewell,
    ) -> io::Result<DataPath> {
        let acceptor = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listeners = acceptor.block_on(async { bind(&settings.listeners) })?;
        let addresses = listeners.iter().map(Listener::local).collect();
        let mut workers_started = Vec::new();
        let mut senders = Vec::new();
        for number in 0..workers {
            let (sender, arrivals) = mpsc::channel(ARRIVALS_MAX);
            senders.push(sender);
            let (settings, shared, farewell) = (settings.clone(), shared.clone(), farewell.clone());
            let metrics = metrics.shard(number);
            workers_started.push(thread(&format!("worker-{number}"), move |runtime| {
                runtime.block_on(run_worker(
                    number, workers, settings, shared, metrics, arrivals, farewell,
                ))
            })?);
        }
        let names = settings
            .listeners
            .iter()
            .map(|listener| listener.name.clone())
            .collect();
        let begun = begun.clone();
        let acceptor = std::thread::Builder::new()
            .name("acceptor".to_owned())
            .spawn(move || {
                acceptor.block_on(accept_all(listeners, names, senders, begun));
            })?;
        Ok(DataPath {
            addresses,
            acceptor,
            workers: workers_started,
        })
    }

    /// Resolves when the threads have ended, which they do when they are told to; gives the sessions that were cut off.
    pub(super) async fn ended(self) -> Remaining {
        let joined = tokio::task::spawn_blocking(|| self.join()).await;
        joined.unwrap_or_default()
    }

    fn join(self) -> Remaining {
        let mut remaining = Remaining::default();
        let mut sound = self.acceptor.join().is_ok();
        for worker in self.workers {
            match worker.join() {
                Ok(Remaining { sessions, requests }) => {
                    remaining.sessions += sessions;
                    remaining.requests += requests;
                }
                Err(_) => sound = false,
            }
        }
        if !sound {
            tracing::error!("a thread of the data path ended in a panic");
        }
        remaining
    }
}

fn bind(settings: &[ListenerSettings]) -> io::Result<Vec<Listener>> {
    settings
        .iter()
        .map(|listener| {
            Listener::bind(&listener.bind).map_err(|error| {
                io::Error::new(error.kind(), format!("listener {}: {error}", listener.name))
            })
        })
        .collect()
}

/// A thread with a runtime of its own, which is made there since it never leaves it.
fn thread<T: Default + Send + 'static>(
    name: &str,
    work: impl FnOnce(LocalRuntime) -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    let (made, outcome) = std::sync::mpsc::sync_channel(1);
    let thread = std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            let runtime = runtime::Builder::new_current_thread()
                .enable_all()
                .build_local(LocalOptions::default());
            match runtime {
                Ok(runtime) => {
                    let _ = made.send(Ok(()));
                    work(runtime)
                }
                Err(error) => {
                    let _ = made.send(Err(error));
                    T::default()
                }
            }
        })?;
    match outcome.recv() {
        Ok(made) => made.map(|()| thread),
        Err(_) => Err(io::Error::other("the thread ended before it began")),
    }
}

/// Takes clients in until the end has `begun`; the last ones are those whom the kernel has connected by then, since they may
/// have sent something already. Then the listeners are closed.
async fn accept_all(
    listeners: Vec<Listener>,
    names: Vec<String>,
    workers: Vec<mpsc::Sender<Arrival>>,
    mut begun: Signal,
) {
    let mut next = 0;
    let mut last_ones = 0;
    let mut complaint = Complaint::default();
    while last_ones < LAST_ONES_MAX {
        let (position, accepted) = tokio::select! {
            biased;
            accepted = first(&listeners) => accepted,
            () = begun.wait() => return,
        };
        last_ones += usize::from(begun.fired());
        match accepted {
            Ok(accepted) => {
                let arrival = Arrival {
                    accepted,
                    listener: crate::terms::ListenerId(position),
                };
                next = (next + 1) % workers.len();
                if workers[next].send(arrival).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                if let Some(failures) = complaint.due(Instant::now()) {
                    tracing::warn!(listener = names[position], %error, failures, "a client could not be taken in");
                }
                // Out of descriptors, most likely: trying again at once would only spin.
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Clients taken in after the end has begun. A backlog is not larger, and without a bound those who keep coming would keep
/// the process alive.
const LAST_ONES_MAX: usize = 4096;

/// How long the acceptor waits after a failure.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A warning that may be due twenty times a second, and is given far less often.
#[derive(Default)]
struct Complaint {
    /// When it was given last.
    given: Option<Instant>,
    /// Failures since then.
    failures: u32,
}

impl Complaint {
    /// Whoever reads the log learns that it goes on, and can still find the rest.
    const INTERVAL: Duration = Duration::from_secs(10);

    /// One more failure; how many to complain of, if it is time.
    fn due(&mut self, now: Instant) -> Option<u32> {
        self.failures = self.failures.saturating_add(1);
        if self
            .given
            .is_some_and(|given| now.saturating_duration_since(given) < Complaint::INTERVAL)
        {
            return None;
        }
        self.given = Some(now);
        Some(std::mem::take(&mut self.failures))
    }
}

/// The next connection of any listener, with its listener's position.
///
/// Cancel safety: as [`Listener::accept`].
async fn first(listeners: &[Listener]) -> (usize, io::Result<Accepted>) {
    let mut accepting: Vec<_> = listeners
        .iter()
        .map(|listener| Box::pin(listener.accept()))
        .collect();
    std::future::poll_fn(|cx| {
        for (position, accept) in accepting.iter_mut().enumerate() {
            if let std::task::Poll::Ready(accepted) = accept.as_mut().poll(cx) {
                return std::task::Poll::Ready((position, accepted));
            }
        }
        std::task::Poll::Pending
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_are_complained_of_once_an_interval_with_their_number() {
        let begin = Instant::now();
        let mut complaint = Complaint::default();
        assert_eq!(complaint.due(begin), Some(1));
        assert_eq!(complaint.due(begin + ACCEPT_PAUSE), None);
        assert_eq!(complaint.due(begin + 2 * ACCEPT_PAUSE), None);
        assert_eq!(complaint.due(begin + Complaint::INTERVAL), Some(3));
        assert_eq!(complaint.due(begin + Complaint::INTERVAL), None);
    }
}
