//! The gate's control side: a change of sides as a chain of values, each of which lets the traffic go when dropped.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, watch};

use super::policy::{Policy, Stage};
use crate::terms::{Epoch, Side};

/// The gate. Workers follow it with a [`super::Local`] each.
#[derive(Debug)]
pub struct Gate {
    /// The policy, as published.
    policy: watch::Sender<Policy>,
    /// What each worker has settled. Locked only by control work and by workers when a stage settles.
    workers: Mutex<Vec<Settled>>,
    /// Told whenever a worker settles.
    progress: Notify,
    /// Whether an [`Armed`], [`Closed`] or [`Committing`] exists.
    busy: Mutex<bool>,
}

/// How far one worker has come.
#[derive(Debug, Clone, Default)]
struct Settled {
    /// The newest epoch it has nothing left to do for.
    epoch: Epoch,
    /// What it could not prepare there.
    complaints: Vec<String>,
}

/// A change of the active side is already under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a change of the active side is already under way")]
pub struct Busy;

impl Gate {
    /// An open gate for `workers` workers.
    pub fn new(active: Side, workers: usize) -> Arc<Gate> {
        let policy = Policy {
            epoch: Epoch(1),
            active,
            stage: Stage::Open,
        };
        Arc::new(Gate {
            policy: watch::Sender::new(policy),
            workers: Mutex::new(vec![Settled::default(); workers]),
            progress: Notify::new(),
            busy: Mutex::new(false),
        })
    }

    /// The published policy.
    pub fn policy(&self) -> Policy {
        *self.policy.borrow()
    }

    /// Step 2: has sessions prepare for the side that is not active.
    pub fn arm(self: &Arc<Self>) -> Result<Armed, Busy> {
        let change = Change::begin(self)?;
        change.publish(Stage::Arming);
        Ok(Armed { change })
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Policy> {
        self.policy.subscribe()
    }

    /// A worker has nothing left to do for `epoch`.
    pub(super) fn settled(&self, worker: usize, epoch: Epoch, complaints: &[String]) {
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = workers.get_mut(worker)
            && slot.epoch < epoch
        {
            *slot = Settled {
                epoch,
                complaints: complaints.to_vec(),
            };
            drop(workers);
            self.progress.notify_waiters();
        }
    }

    fn publish(&self, active: Side, stage: Stage) {
        self.policy.send_modify(|policy| {
            *policy = Policy {
                epoch: policy.epoch.next(),
                active,
                stage,
            }
        });
    }

    /// Waits until every worker has settled the published epoch; gives what they could not prepare.
    async fn all_settled(&self) -> Vec<String> {
        let epoch = self.policy().epoch;
        loop {
            let progress = self.progress.notified();
            tokio::pin!(progress);
            // Registers before the look, so that no settling falls between.
            progress.as_mut().enable();
            {
                let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
                if workers.iter().all(|worker| worker.epoch >= epoch) {
                    return workers
                        .iter()
                        .flat_map(|worker| worker.complaints.iter().cloned())
                        .collect();
                }
            }
            progress.await;
        }
    }

    fn set_busy(&self, busy: bool) -> bool {
        std::mem::replace(
            &mut *self.busy.lock().unwrap_or_else(PoisonError::into_inner),
            busy,
        )
    }
}

/// The right to change the policy. Invariant: at most one exists. Dropping it opens the gate on the side that is
/// active at that moment.
#[derive(Debug)]
struct Change {
    gate: Arc<Gate>,
}

impl Change {
    fn begin(gate: &Arc<Gate>) -> Result<Change, Busy> {
        if gate.set_busy(true) {
            return Err(Busy);
        }
        Ok(Change {
            gate: Arc::clone(gate),
        })
    }

    fn publish(&self, stage: Stage) {
        self.gate.publish(self.gate.policy().active, stage);
    }

    fn stage(&self) -> Stage {
        self.gate.policy().stage
    }

    /// Publishes `stage` unless it already stands, and waits until it is settled.
    async fn settle(&self, stage: Stage) -> Vec<String> {
        if self.stage() != stage {
            self.publish(stage);
        }
        self.gate.all_settled().await
    }
}

impl Drop for Change {
    fn drop(&mut self) {
        self.publish(Stage::Open);
        self.gate.set_busy(false);
    }
}

/// Sessions are prepared for the other side. Dropping it disarms.
#[derive(Debug)]
pub struct Armed {
    change: Change,
}

impl Armed {
    /// Resolves when every session that needs it has prepared; the texts say what could not be (without secrets).
    ///
    /// Cancel safety: may be dropped and called again.
    pub async fn prepared(&mut self) -> Vec<String> {
        self.change.settle(Stage::Arming).await
    }

    /// Step 3: holds commands that may write. What was admitted before is in flight until [`Closed::drained`].
    pub fn close(self) -> Closed {
        self.change.publish(Stage::Draining);
        Closed {
            change: self.change,
        }
    }
}

/// Writes are held. Dropping it, on whatever path, reopens the side it belongs to.
#[derive(Debug)]
pub struct Closed {
    change: Change,
}

impl Closed {
    /// Step 4, first half: resolves when every write in flight has its reply.
    ///
    /// Cancel safety: may be dropped and called again.
    pub async fn drained(&mut self) {
        self.change.settle(Stage::Draining).await;
    }

    /// Step 4, second half: has blocked commands released, resolves when none is left on the active side.
    /// Call it after [`Closed::drained`] has resolved.
    ///
    /// Cancel safety: may be dropped and called again.
    pub async fn released(&mut self) {
        self.change.settle(Stage::Releasing).await;
    }

    /// After the catch-up: resolves when every subscription has drawn its line.
    ///
    /// Cancel safety: may be dropped and called again.
    pub async fn aligned(&mut self) {
        self.change.settle(Stage::Aligning).await;
    }

    /// Step 9: the other side is active from now on. Writes stay held while sessions move.
    pub fn commit(self) -> Committing {
        let Closed { change } = self;
        change
            .gate
            .publish(change.gate.policy().active.other(), Stage::Moving);
        Committing { change }
    }
}

/// The active side has changed, writes are still held. Dropping it releases them.
#[derive(Debug)]
pub struct Committing {
    change: Change,
}

impl Committing {
    /// Resolves when every session's state is on the new side and its blocked commands are blocked there.
    ///
    /// Cancel safety: may be dropped and called again.
    pub async fn moved(&mut self) {
        self.change.settle(Stage::Moving).await;
    }

    /// Step 11: held commands run on the new side.
    pub fn release(self) {
        drop(self);
    }
}
