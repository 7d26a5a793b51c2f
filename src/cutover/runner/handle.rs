//! The way in: what operators can ask of the runner, from any task, and what they can see of it.

use std::time::Duration;

use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::super::reason::Reason;
use super::status::{Notice, Outcome, Refusal, Status};
use crate::link::preflight::Finding;
use crate::traffic::Accepted;

/// Requests that may wait for the runner, which takes them at once: people and scripts send one at a time.
pub(super) const COMMANDS_MAX: usize = 16;

/// Notices that a slow reader may be behind by before it misses some.
pub(super) const NOTICES_MAX: usize = 256;

/// Asks things of the runner. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) status: watch::Receiver<Status>,
    pub(super) notices: broadcast::Sender<Notice>,
}

/// How a cutover is to be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CutoverRequest {
    /// Say what would happen, and do nothing.
    pub dry_run: bool,
    /// Replaces the configured bound for this one.
    pub max_pause: Option<Duration>,
    /// Findings of the compatibility report that do not stand in its way, beside those of the bounds.
    pub accept: Accepted,
}

/// Where an answer goes. Who asked may have gone; the work goes on regardless.
pub(super) type Answer<T> = oneshot::Sender<Result<T, Refusal>>;

/// A request with the way back of its answer.
#[derive(Debug)]
pub(super) enum Command {
    Migrate {
        confirm_flush: Option<String>,
        answer: Answer<()>,
    },
    Cutover {
        request: CutoverRequest,
        answer: Answer<Outcome>,
    },
    Rollback {
        answer: Answer<Outcome>,
    },
    Abort {
        answer: Answer<Outcome>,
    },
    Finalize {
        answer: Answer<Outcome>,
    },
    Preflight {
        answer: Answer<Vec<Finding>>,
    },
}

impl Handle {
    /// Begins to fill the target: answers when it has begun. What the target holds is deleted only if `confirm_flush`
    /// is the target's name.
    pub async fn migrate(&self, confirm_flush: Option<String>) -> Result<(), Refusal> {
        self.ask(|answer| Command::Migrate {
            confirm_flush,
            answer,
        })
        .await
    }

    /// Makes the target the active side: answers when it has ended, one way or the other.
    pub async fn cutover(&self, request: CutoverRequest) -> Result<Outcome, Refusal> {
        self.ask(|answer| Command::Cutover { request, answer })
            .await
    }

    /// Makes the source the active side again: answers when it has ended, one way or the other.
    pub async fn rollback(&self) -> Result<Outcome, Refusal> {
        self.ask(|answer| Command::Rollback { answer }).await
    }

    /// Stops what is under way and not committed: answers when everything is undone.
    pub async fn abort(&self) -> Result<Outcome, Refusal> {
        self.ask(|answer| Command::Abort { answer }).await
    }

    /// Gives up the way back: answers when that is on the disk.
    pub async fn finalize(&self) -> Result<Outcome, Refusal> {
        self.ask(|answer| Command::Finalize { answer }).await
    }

    /// Looks at both databases.
    pub async fn preflight(&self) -> Result<Vec<Finding>, Refusal> {
        self.ask(|answer| Command::Preflight { answer }).await
    }

    /// Where the migration stands.
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// The status and its changes.
    pub fn watch(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// What happens from now on.
    pub fn notices(&self) -> broadcast::Receiver<Notice> {
        self.notices.subscribe()
    }

    async fn ask<T>(&self, command: impl FnOnce(Answer<T>) -> Command) -> Result<T, Refusal> {
        let gone = || Refusal::new(&[Reason::ShuttingDown]);
        let (answer, answered) = oneshot::channel();
        self.commands
            .send(command(answer))
            .await
            .map_err(|_| gone())?;
        answered.await.unwrap_or_else(|_| Err(gone()))
    }
}
