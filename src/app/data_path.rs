//! The threads of the data path: one acceptor, and workers with a runtime each. Sockets go to the workers in turn, since
//! an application has few connections and keeps them: chance would load the workers unevenly.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::runtime::{self, LocalOptions, LocalRuntime};
use tokio::sync::mpsc;

use crate::metrics::Registry;
use crate::net::{Accepted, Listener};
use crate::session::{Arrival, ListenerSettings, Settings, Shared, run_worker};
use crate::shutdown::Signal;

/// Sockets on their way to one worker; a worker that is this far behind stops the acceptor, and the kernel's backlog
/// takes over.
const ARRIVALS_MAX: usize = 1024;

/// The running data path.
#[derive(Debug)]
pub(super) struct DataPath {
    /// Where the listeners are bound, in the configuration's order.
    pub(super) addresses: Vec<String>,
    threads: Vec<JoinHandle<()>>,
}

impl DataPath {
    /// Binds every listener, then starts the threads. Nothing is left running where a listener cannot be bound.
    pub(super) fn start(
        workers: usize,
        settings: &Settings,
        shared: &Shared,
        metrics: &Arc<Registry>,
        shutdown: &Signal,
    ) -> io::Result<DataPath> {
        let acceptor = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listeners = acceptor.block_on(async { bind(&settings.listeners) })?;
        let addresses = listeners.iter().map(Listener::local).collect();
        let mut threads = Vec::new();
        let mut senders = Vec::new();
        for number in 0..workers {
            let (sender, arrivals) = mpsc::channel(ARRIVALS_MAX);
            senders.push(sender);
            let (settings, shared, shutdown) = (settings.clone(), shared.clone(), shutdown.clone());
            let metrics = metrics.shard(number);
            threads.push(thread(&format!("worker-{number}"), move |runtime| {
                runtime.block_on(run_worker(
                    number, workers, settings, shared, metrics, arrivals, shutdown,
                ));
            })?);
        }
        let names = settings
            .listeners
            .iter()
            .map(|listener| listener.name.clone())
            .collect();
        let shutdown = shutdown.clone();
        threads.push(
            std::thread::Builder::new()
                .name("acceptor".to_owned())
                .spawn(move || {
                    acceptor.block_on(accept_all(listeners, names, senders, shutdown));
                })?,
        );
        Ok(DataPath { addresses, threads })
    }

    /// Waits for the threads, which end with the shutdown signal.
    pub(super) fn join(self) {
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the data path ended in a panic");
            }
        }
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
fn thread(
    name: &str,
    work: impl FnOnce(LocalRuntime) + Send + 'static,
) -> io::Result<JoinHandle<()>> {
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
                    work(runtime);
                }
                Err(error) => {
                    let _ = made.send(Err(error));
                }
            }
        })?;
    match outcome.recv() {
        Ok(made) => made.map(|()| thread),
        Err(_) => Err(io::Error::other("the thread ended before it began")),
    }
}

async fn accept_all(
    listeners: Vec<Listener>,
    names: Vec<String>,
    workers: Vec<mpsc::Sender<Arrival>>,
    mut shutdown: Signal,
) {
    let mut next = 0;
    loop {
        let (position, accepted) = tokio::select! {
            accepted = first(&listeners) => accepted,
            () = shutdown.wait() => return,
        };
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
                tracing::warn!(listener = names[position], %error, "a client could not be taken in");
                // Out of descriptors, most likely: trying again at once would only spin.
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// How long the acceptor waits after a failure.
const ACCEPT_PAUSE: std::time::Duration = std::time::Duration::from_millis(50);

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
