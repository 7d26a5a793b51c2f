//! Replica Of, for real: follows each source as a replica does and carries what it reads into a database that goes on
//! serving meanwhile. Where one source has to be copied anew, all are, and the database is flushed before.
//!
//! Refuses to know: the API, and what its documents say of all this.

mod apply;
mod load;
mod progress;
mod source;
mod tls;
mod wire;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

pub use progress::{Hardship, Progress, Run, SourceProgress, SourceStatus, Suffering};
use source::{Ending, Follower};
pub use tls::Encryption;
use wire::{Connection, Failure};

/// Between two attempts to reach the database that is filled.
const RETRY: Duration = Duration::from_millis(100);

/// Makes every run's identity its own.
static RUNS: AtomicU64 = AtomicU64::new(1);

/// Where data comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    pub host: String,
    pub port: u16,
    pub user: Option<String>,
    pub password: Option<String>,
    /// How it is reached, if over TLS.
    pub encryption: Option<Encryption>,
}

/// The server of the database that is filled, and whom the syncer is to it.
#[derive(Debug, Clone)]
pub struct Target {
    pub address: SocketAddr,
    /// A user that may everything; its connections are the syncer's alone.
    pub user: String,
    pub password: String,
    /// Another that may everything.
    pub manager: String,
    /// The addresses from which it was connected to.
    pub visits: Arc<Mutex<BTreeSet<SocketAddr>>>,
}

/// A running Replica Of. Dropping it ends it as a crash would.
#[derive(Debug)]
pub struct Syncer {
    pub progress: Arc<Progress>,
    target: Target,
    task: JoinHandle<()>,
}

impl Syncer {
    /// Flushes the target and begins. Must be called in the runtime that runs it.
    pub fn start(sources: Vec<Source>, target: Target, hardship: Arc<Hardship>) -> Syncer {
        let progress = Arc::new(Progress::new(sources.len()));
        let task = tokio::spawn(run(
            sources,
            target.clone(),
            Arc::clone(&progress),
            hardship,
        ));
        Syncer {
            progress,
            target,
            task,
        }
    }

    /// Ends it. Nothing is applied any more once this has returned.
    pub async fn stop(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
        // A server that is gone applies nothing either.
        let _ = self.target.forget_what_was_sent().await;
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Target {
    /// A connection of the syncer.
    async fn connect(&self) -> Result<Connection, Failure> {
        self.connect_as(&self.user).await
    }

    async fn connect_as(&self, user: &str) -> Result<Connection, Failure> {
        let mut connection = Connection::open(self.address).await?;
        let own = connection.local_address;
        self.visits
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(own);
        connection.call(&["AUTH", user, &self.password]).await?;
        Ok(connection)
    }

    /// Ends the syncer's connections at the server, with whatever they have sent and is not executed yet.
    async fn forget_what_was_sent(&self) -> Result<(), Failure> {
        let mut manager = self.connect_as(&self.manager).await?;
        manager
            .call(&["CLIENT", "KILL", "USER", &self.user])
            .await?;
        Ok(())
    }

    /// Deletes everything.
    pub async fn flush(&self) -> Result<(), Failure> {
        let mut manager = self.connect_as(&self.manager).await?;
        manager.call(&["FLUSHALL"]).await?;
        Ok(())
    }
}

async fn run(
    sources: Vec<Source>,
    target: Target,
    progress: Arc<Progress>,
    hardship: Arc<Hardship>,
) {
    loop {
        let number = RUNS.fetch_add(1, Ordering::Relaxed);
        progress.begin(format!("{:032x}{number:08x}", std::process::id()));
        if flush(&target).await.is_err() {
            sleep(RETRY).await;
            continue;
        }
        let mut followers = JoinSet::new();
        for (index, source) in sources.iter().enumerate() {
            let follower = Follower {
                index,
                source: source.clone(),
                target: target.clone(),
                progress: Arc::clone(&progress),
                hardship: Arc::clone(&hardship),
            };
            followers.spawn(follower.follow());
        }
        match followers.join_next().await {
            Some(Ok(Ending::GiveUp { source, why })) => {
                followers.shutdown().await;
                return progress.stop(source, &why);
            }
            Some(Ok(Ending::StartOver)) | None => followers.shutdown().await,
            Some(Err(error)) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

async fn flush(target: &Target) -> Result<(), Failure> {
    target.forget_what_was_sent().await?;
    target.flush().await
}
