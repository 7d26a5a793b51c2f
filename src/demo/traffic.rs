//! An application's traffic: clients of several kinds at one address, each of which knows what it was promised.
//!
//! Refuses to know: what stands at that address.

mod channel;
mod optimistic;
mod queue;
mod reader;
mod session;
mod transaction;
mod writer;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::checker::Claim;
use super::client::{Failure, REPLY_LIMIT};
use super::meter::Meter;
use crate::shutdown;
use session::{Pace, Session};

/// One of each kind: a reader, a writer, a transaction, an optimistic one, and two of each pair.
pub(super) const LEAST_CLIENTS: usize = 8;
/// Time between two operations of one client: fifty clients then bring some ten thousand operations a second, which
/// leaves two cores room to answer in the time that is measured.
const PACE: Duration = Duration::from_millis(5);
/// How long the clients may take to end their last operation: a reply's limit, and what follows it.
const STOP_LIMIT: Duration = Duration::from_secs(2 * REPLY_LIMIT.as_secs());

/// How many of each kind. Pairs are two connections each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mix {
    readers: usize,
    writers: usize,
    transactions: usize,
    optimistic: usize,
    queues: usize,
    channels: usize,
}

impl Mix {
    /// About a quarter each of readers and writers, the rest evenly on the others.
    fn of(clients: usize) -> Mix {
        let tenth = (clients / 10).max(1);
        let (transactions, optimistic, queues, channels) = (tenth, tenth, tenth, tenth.min(4));
        let rest = clients - transactions - optimistic - 2 * (queues + channels);
        Mix {
            readers: rest - rest / 2,
            writers: rest / 2,
            transactions,
            optimistic,
            queues,
            channels,
        }
    }
}

/// Running traffic. Dropping it ends it without an account.
#[derive(Debug)]
pub(super) struct Traffic {
    clients: JoinSet<Vec<Claim>>,
    meter: Arc<Meter>,
    stop: shutdown::Trigger,
}

impl Traffic {
    /// Connects `clients` clients (at least [`LEAST_CLIENTS`]) to `address` and lets them begin. `keys` samples are
    /// there to be read.
    pub(super) async fn start(
        address: SocketAddr,
        clients: usize,
        keys: u64,
        meter: Arc<Meter>,
    ) -> Result<Traffic, Failure> {
        let (stop, signal) = shutdown::channel();
        let mix = Mix::of(clients);
        let mut tasks = JoinSet::new();
        let open = |name: String| Session::open(address, name, Arc::clone(&meter));
        // Clients begin a millisecond apart, so that they do not all send in the same one.
        let pace = |nth: usize| Pace::new(PACE, Duration::from_millis(nth as u64), signal.clone());
        for id in 0..mix.readers {
            tasks.spawn(reader::run(
                open(format!("reader {id}")).await?,
                pace(id),
                id as u64,
                keys,
            ));
        }
        for id in 0..mix.writers {
            tasks.spawn(writer::run(
                open(format!("writer {id}")).await?,
                pace(id),
                id,
            ));
        }
        for id in 0..mix.transactions {
            tasks.spawn(transaction::run(
                open(format!("transaction {id}")).await?,
                pace(id),
                id,
            ));
        }
        for id in 0..mix.optimistic {
            tasks.spawn(optimistic::run(
                open(format!("optimistic {id}")).await?,
                pace(id),
            ));
        }
        for id in 0..mix.queues {
            let producer = open(format!("producer {id}")).await?;
            let consumer = open(format!("consumer {id}")).await?;
            tasks.spawn(queue::run(producer, consumer, pace(id), id));
        }
        for id in 0..mix.channels {
            let publisher = open(format!("publisher {id}")).await?;
            let subscriber = open(format!("subscriber {id}")).await?;
            tasks.spawn(channel::run(publisher, subscriber, pace(id), id));
        }
        Ok(Traffic {
            clients: tasks,
            meter,
            stop,
        })
    }

    /// Has every client end after its present operation, and gives what they were promised.
    pub(super) async fn stop(mut self) -> Vec<Claim> {
        self.stop.fire();
        let mut claims = Vec::new();
        let all = async {
            while let Some(client) = self.clients.join_next().await {
                match client {
                    Ok(more) => claims.extend(more),
                    Err(why) => self.meter.failed("traffic", &why),
                }
            }
        };
        if timeout(STOP_LIMIT, all).await.is_err() {
            self.meter.failed(
                "traffic",
                &format!("clients did not end within {STOP_LIMIT:?}"),
            );
        }
        claims
    }
}

#[cfg(test)]
mod tests;
