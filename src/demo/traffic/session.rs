//! One client of the traffic: a connection whose replies are counted and timed, and the pace at which it works.
//!
//! Refuses to know: what is asked and whether the answer is right.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{Interval, MissedTickBehavior, interval_at};

use crate::demo::client::{Client, Failure, Reply};
use crate::demo::meter::{Kind, Meter};
use crate::shutdown::Signal;

/// A connection of the traffic.
#[derive(Debug)]
pub(super) struct Session {
    client: Client,
    name: String,
    meter: Arc<Meter>,
}

impl Session {
    /// Connects. `name` is what a failure is reported under.
    pub(super) async fn open(
        address: SocketAddr,
        name: String,
        meter: Arc<Meter>,
    ) -> Result<Session, Failure> {
        Ok(Session {
            client: Client::connect(address).await?,
            name,
            meter,
        })
    }

    /// A request that only reads.
    pub(super) async fn read(&mut self, request: &[&str]) -> Result<Reply, Failure> {
        self.timed(Kind::Read, request).await
    }

    /// A request that may write, or a part of a transaction.
    pub(super) async fn write(&mut self, request: &[&str]) -> Result<Reply, Failure> {
        self.timed(Kind::Write, request).await
    }

    /// A request that waits for others by its nature.
    pub(super) async fn wait(&mut self, request: &[&str]) -> Result<Reply, Failure> {
        self.timed(Kind::Waits, request).await
    }

    /// Requests in one write; gives the last reply, and fails with the first that fails.
    pub(super) async fn write_together(&mut self, requests: &[&[&str]]) -> Result<Reply, Failure> {
        let started = Instant::now();
        for request in requests {
            self.client.push(request);
        }
        self.client.flush().await?;
        let mut last = Reply::Null;
        for _ in requests {
            last = self.client.receive().await?;
            self.meter.answered(Kind::Write, started);
        }
        Ok(last)
    }

    /// The next message of a subscription.
    pub(super) async fn message(&mut self) -> Result<Reply, Failure> {
        self.client.receive().await
    }

    /// The end of this client's work: a failure is counted.
    pub(super) fn close(self, outcome: Result<(), Failure>) {
        if let Err(failure) = outcome {
            self.meter.failed(&self.name, &failure);
        }
    }

    async fn timed(&mut self, kind: Kind, request: &[&str]) -> Result<Reply, Failure> {
        let started = Instant::now();
        let reply = self.client.call(request).await?;
        self.meter.answered(kind, started);
        Ok(reply)
    }
}

/// When a client does its next operation, and whether there is one.
#[derive(Debug)]
pub(super) struct Pace {
    ticks: Interval,
    stop: Signal,
}

impl Pace {
    /// One operation every `period`, the first after `delay`, until `stop`.
    pub(super) fn new(period: Duration, delay: Duration, stop: Signal) -> Pace {
        let mut ticks = interval_at(tokio::time::Instant::now() + delay, period);
        // After a pause the application goes on as before; it does not make up for what it did not do.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Pace { ticks, stop }
    }

    /// Waits for the next turn; false when there is none.
    pub(super) async fn next(&mut self) -> bool {
        self.ticks.tick().await;
        !self.stop.fired()
    }
}
