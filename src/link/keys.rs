//! The way back of a link that cannot be turned: what changes on the side that the application has moved to is copied back
//! to the side that was left, key by key, so that the source can take over again.
//!
//! The server itself names the keys that change (see [`Invalidations`]), from
//! before the first write there: by scripts, transactions, renames, expirations, and whoever else writes. The copy is by
//! state. Wherever it is not certain that every change was heard (a connection that was lost, a process that was
//! restarted, names beyond the bound, a flush) everything is compared instead, and until that is done there is no way back.
//!
//! Refuses to know: the cutover, which side is active; it copies when it is told to, and does nothing else.

mod copier;
mod pending;
mod rebuild;
mod untracked;
mod walk;
mod worker;

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, OwnedMutexGuard, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub(in crate::link) use self::copier::Wrote;
use self::copier::{Copier, Scan};
use self::pending::Pending;
use self::untracked::Counters;
use self::walk::Walk;
use self::worker::{ORDERS_MAX, Order, Reason, Standing, Worker};
use super::connection::Connections;
use super::{
    Abilities, CaughtUp, Direction, Error, Phase, Position, Positions, REQUEST_LIMIT, Report,
    Reverse, ShardPosition, functions,
};
use crate::terms::{Lag, ReplOffset, Side};
use crate::upstream::Server;
use crate::upstream::control::{self, Invalidations};

/// How long the telling may take to begin inside the write pause. What takes longer is begun after it, and everything is
/// compared.
const BEGIN_LIMIT: Duration = Duration::from_millis(500);

/// What the copy back can do, as a link of its own direction.
pub(super) const ABILITIES: Abilities = Abilities {
    prepare: false,
    positions: Positions::Exact,
    fence: false,
    detach: true,
    reverse: Reverse::No,
    end_by_hand: "end this process, which copies the keys",
};

/// The copy back, where there is one.
#[derive(Debug)]
pub(super) struct Keys {
    /// Source and target.
    ends: [Server; 2],
    /// Keeps places of an earlier run apart from ours.
    run: String,
    /// What it has written to the side that was left.
    wrote: Arc<Mutex<Wrote>>,
    /// The task, while there is one.
    task: Option<Task>,
}

#[derive(Debug)]
struct Task {
    /// Orders to it.
    orders: mpsc::Sender<Order>,
    /// Where it stands.
    standing: watch::Receiver<Standing>,
    /// Ended with this.
    handle: JoinHandle<()>,
    /// Whether it was told to copy.
    copies: bool,
    /// Whether it was told to end, and nobody knows whether it has.
    ends: bool,
    /// Which of this process's it is.
    number: u64,
}

impl Drop for Task {
    fn drop(&mut self) {
        self.handle.abort();
    }
}

impl Keys {
    pub(super) fn new(source: Server, target: Server, run: String) -> Keys {
        Keys {
            ends: [source, target],
            run,
            wrote: Arc::default(),
            task: None,
        }
    }

    /// Begins to note what changes on the target, without copying anything. To be called while nothing is written there
    /// that the source does not have. Where it does not succeed within a bound, [`Keys::copy`] begins later and compares
    /// everything.
    pub(super) async fn note(&mut self) {
        self.task = None;
        let begun = timeout(BEGIN_LIMIT, Invalidations::begin(&self.ends[1])).await;
        if let Ok(Ok(telling)) = begun {
            self.task = Some(self.spawn(Some(telling), 1));
        }
    }

    /// Forgets what was noted and never to be copied.
    pub(super) fn forget_notes(&mut self) {
        if self.task.as_ref().is_some_and(|task| !task.copies) {
            self.task = None;
        }
    }

    /// Copies from now on; the target is the active side.
    pub(super) async fn copy(&mut self) {
        let number = self.task.as_ref().map_or(1, |task| task.number);
        let alive = self
            .task
            .as_ref()
            .is_some_and(|task| !task.handle.is_finished());
        if !alive {
            self.task = Some(self.spawn(None, number + 1));
        }
        if let Some(task) = &mut self.task {
            task.copies = task.orders.send(Order::Copy).await.is_ok();
        }
    }

    fn spawn(&self, telling: Option<Invalidations>, number: u64) -> Task {
        let (orders, orders_taken) = mpsc::channel(ORDERS_MAX);
        let (standing, seen) = watch::channel(Standing::default());
        // The list of streams is one more thing to be done before everything is.
        let mut pending = Pending::default();
        pending.mark_everything(Instant::now());
        let worker = Worker {
            orders: orders_taken,
            standing,
            copier: Some(Copier::new(
                self.ends.clone(),
                Side::Target,
                Arc::clone(&self.wrote),
            )),
            copies: false,
            pending,
            walks: VecDeque::from([Walk::new(Scan::Streams, 0)]),
            streams: HashSet::new(),
            counted: None,
            groups_copied: None,
            walk_next: true,
            walks_begun: 1,
        };
        Task {
            orders,
            standing: seen,
            handle: tokio::spawn(worker.work(telling)),
            copies: false,
            ends: false,
            number,
        }
    }

    /// Ends the copy, and sees that nothing more is written.
    pub(super) async fn end(&mut self) -> Result<(), Error> {
        let Some(task) = &mut self.task else {
            return Ok(());
        };
        task.ends = true;
        let (ended, end) = oneshot::channel();
        let told = async {
            task.orders.send(Order::End(ended)).await.ok()?;
            end.await.ok()
        };
        let told = timeout(REQUEST_LIMIT, told).await;
        if told.is_err() {
            return Err(Error::NotAble {
                driver: NAME,
                what: "end: a server does not take, or give, the value that is being copied",
            });
        }
        // Whether it said so or was gone before: its task has ended, or will with this.
        self.task = None;
        Ok(())
    }

    /// Ends the copy at once, wherever it is.
    pub(super) fn abandon(&mut self) {
        self.task = None;
    }

    /// Keeps the copy from writing for as long as the guard lives, and says what it has written.
    pub(super) async fn still(&self) -> OwnedMutexGuard<Wrote> {
        Arc::clone(&self.wrote).lock_owned().await
    }

    /// One look.
    pub(super) async fn observe(&mut self, connections: &mut Connections) -> Report {
        let now = Instant::now();
        let Some(task) = self.task.as_ref().filter(|task| task.copies) else {
            return Report {
                phase: Phase::Detached,
                last_error: None,
                ..Report::unknown(now, String::new())
            };
        };
        let asked = place(task, connections, Reason::Look).await;
        let standing = task.standing.borrow().clone();
        let phase = match (&asked, &standing) {
            (_, standing) if !standing.told => Phase::Connecting,
            (Err(_), _) => Phase::Unknown,
            (
                Ok(_),
                Standing {
                    trouble: Some(_), ..
                },
            ) => Phase::Broken,
            (
                Ok(_),
                Standing {
                    compared: Some(_), ..
                },
            ) => Phase::Syncing,
            (Ok(_), _) => Phase::Streaming,
        };
        let position = |offset| self.position_of(task, &standing, offset);
        Report {
            at: now,
            phase,
            lag: match standing.behind_since {
                None => Lag::Time(Duration::ZERO),
                Some(since) => Lag::Time(now.saturating_duration_since(since)),
            },
            applied: Some(position(standing.reached)),
            written: Some(position(standing.seen)),
            generation: Some(super::Generation(self.stream(task, &standing))),
            bytes_done: None,
            bytes_total: None,
            waiting_for: standing
                .compared
                .map(|compared| format!("all keys to be compared, of which {compared} are")),
            last_error: standing
                .trouble
                .clone()
                .or_else(|| asked.err().map(|error| error.to_string())),
        }
    }

    /// Where the changes stand that the target has acknowledged. Function libraries, which are no keys, are carried first.
    pub(super) async fn position(
        &mut self,
        connections: &mut Connections,
    ) -> Result<Position, Error> {
        let Some(task) = &self.task else {
            return Err(not_copying());
        };
        functions::carry(connections, Direction::REVERSE).await?;
        let place = place(task, connections, Reason::Final).await?;
        let standing = task.standing.borrow().clone();
        Ok(self.position_of(task, &standing, place))
    }

    /// Whether everything up to `position` is copied.
    pub(super) fn caught_up(&self, position: &Position) -> Result<CaughtUp, Error> {
        let Some(task) = &self.task else {
            return Err(not_copying());
        };
        let standing = task.standing.borrow().clone();
        if let Some(trouble) = &standing.trouble {
            return Ok(CaughtUp::Never(trouble.clone()));
        }
        let reached = self.position_of(task, &standing, standing.reached);
        if !standing.told || !reached.same_streams(position) {
            return Ok(CaughtUp::Never(
                "the changes of the target were not told without a break".to_owned(),
            ));
        }
        let behind = reached
            .shards
            .iter()
            .zip(&position.shards)
            .any(|(reached, wanted)| reached.offset < wanted.offset);
        Ok(if behind {
            CaughtUp::NotYet {
                remaining_bytes: None,
            }
        } else {
            CaughtUp::Yes
        })
    }

    fn stream(&self, task: &Task, standing: &Standing) -> String {
        format!("{}:{}:{}", self.run, task.number, standing.session)
    }

    fn position_of(&self, task: &Task, standing: &Standing, offset: u64) -> Position {
        Position {
            shards: vec![ShardPosition {
                replication_id: self.stream(task, standing),
                offset: ReplOffset(offset),
            }],
        }
    }
}

/// What people call it, in messages.
const NAME: &str = "copy of changed keys";

fn not_copying() -> Error {
    Error::NotAble {
        driver: NAME,
        what: "tell positions: it does not run",
    }
}

/// How many changes the target has acknowledged, once all of them are known.
async fn place(task: &Task, connections: &mut Connections, reason: Reason) -> Result<u64, Error> {
    let target = connections.of(Side::Target);
    let counters = Counters::read(target).await?;
    let (answer, answered) = oneshot::channel();
    let order = Order::Place {
        counters,
        reason,
        answer,
    };
    let asked = async {
        task.orders.send(order).await.ok()?;
        answered.await.ok()
    };
    match timeout(REQUEST_LIMIT, asked).await {
        Ok(Some(place)) => Ok(place),
        Ok(None) | Err(_) => Err(Error::Control(control::Error::NoReply {
            server: target.server.name.clone(),
            command: "CLIENT TRACKING".to_owned(),
            reason: "it does not tell what changes".to_owned(),
        })),
    }
}
