//! The task that is told of changes and copies them: it reads what the server tells at every moment, and copies one batch
//! at a time beside it.
//!
//! Refuses to know: when the copy matters.

use std::collections::{HashSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};

use super::copier::{Copier, Known, Scan, Trouble};
use super::pending::{Mark, Pending, Room};
use super::untracked::Counters;
use super::walk::{Walk, step};
use crate::link::REQUEST_LIMIT;
use crate::upstream::control::{Error, Invalidations, Told};

/// Keys that are copied in one go, at most: what a batch costs in round trips is shared by so many.
const BATCH_KEYS: usize = 128;

/// Orders that may wait: one look and one position at a time, and their ends.
pub(super) const ORDERS_MAX: usize = 8;

/// The wait before what failed is tried again.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

/// Streams that are remembered, since what their groups do is not told. Beyond it the copy is not complete, and says so.
const STREAMS_MAX: usize = 100_000;

/// Between two looks that have streams copied because of what their groups may have done.
const STREAMS_EVERY: Duration = Duration::from_secs(5);

/// A server that has not answered for so long does not tell either: a connection may have died without a sign, and with it
/// changes were not heard. Longer than a server that works makes anybody wait.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// A question that the server has not answered yet.
struct Asked {
    answer: oneshot::Sender<u64>,
    at: Instant,
}

/// What is asked of the task.
#[derive(Debug)]
pub(super) enum Order {
    /// Copy from now on.
    Copy,
    /// Say where the changes stand that were acknowledged before this was asked. The counters were read then too.
    Place {
        /// What the changes that are not told have come to.
        counters: Counters,
        /// For what it is asked.
        reason: Reason,
        /// Takes the number of marks, once they are all known.
        answer: oneshot::Sender<u64>,
    },
    /// Stop after the batch that is under way.
    End(oneshot::Sender<()>),
}

/// For what a place is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// To be shown.
    Look,
    /// To be waited for: nothing is written any more.
    Final,
}

/// Where the task stands.
#[derive(Debug, Clone, Default)]
pub(super) struct Standing {
    /// Grows with each time that the telling began anew, zero before the first. Numbers of marks under different ones
    /// cannot be compared.
    pub(super) session: u64,
    /// Whether the server tells now.
    pub(super) told: bool,
    /// Marks so far.
    pub(super) seen: u64,
    /// Every mark below is copied.
    pub(super) reached: u64,
    /// When the oldest change was told that is not copied.
    pub(super) behind_since: Option<Instant>,
    /// How many keys were looked at in the comparison of everything; none where there is none.
    pub(super) compared: Option<u64>,
    /// Keys that wait.
    pub(super) waiting: usize,
    /// What went wrong last and does still.
    pub(super) trouble: Option<String>,
}

/// The task.
pub(super) struct Worker {
    /// Orders to it.
    pub(super) orders: mpsc::Receiver<Order>,
    /// What it has to say.
    pub(super) standing: watch::Sender<Standing>,
    /// Absent while a batch is under way, which has it.
    pub(super) copier: Option<Copier>,
    /// Whether it copies, or only notes.
    pub(super) copies: bool,
    /// What is not copied.
    pub(super) pending: Pending,
    /// The walk over everything, or over all streams.
    pub(super) walks: VecDeque<Walk>,
    /// Keys that hold a stream.
    pub(super) streams: HashSet<Bytes>,
    /// The newest counters.
    pub(super) counted: Option<Counters>,
    /// Those that streams were last copied for, and when.
    pub(super) groups_copied: Option<(Counters, Instant)>,
    /// Whose turn it is, of changes and the walk.
    pub(super) walk_next: bool,
    /// Numbers the walks.
    pub(super) walks_begun: u64,
}

/// What a batch has come to.
enum Done {
    Keys {
        marks: Vec<Mark>,
        result: Result<super::copier::Copied, Trouble>,
    },
    Walk {
        walk: Walk,
        result: Result<Vec<Bytes>, Trouble>,
    },
}

type Batch = Pin<Box<dyn Future<Output = (Copier, Done)> + Send>>;

/// Why the task does not go on with this telling.
enum Over {
    /// It was told to end.
    Ended,
    /// The server tells no more.
    Lost(Error),
}

impl Worker {
    /// Works until it is told to end, or nobody can tell it any more. `telling` began before anything that must be noted
    /// was written; without it everything is compared.
    pub(super) async fn work(mut self, mut telling: Option<Invalidations>) {
        let server = match &self.copier {
            Some(copier) => copier.changing().clone(),
            None => return,
        };
        loop {
            let told = if let Some(told) = telling.take() {
                Ok(told)
            } else {
                self.begin_anew();
                tokio::select! {
                    begun = Invalidations::begin(&server) => begun,
                    over = self.ordered_to_end() => return over,
                }
            };
            match told {
                Ok(told) => {
                    self.note(|standing| {
                        standing.session += 1;
                        standing.told = true;
                        standing.trouble = None;
                    });
                    match self.follow(told).await {
                        Over::Ended => return,
                        Over::Lost(error) => self.lost(&error),
                    }
                }
                Err(error) => self.lost(&error),
            }
            tokio::select! {
                () = tokio::time::sleep(AGAIN_AFTER) => {}
                over = self.ordered_to_end() => return over,
            }
        }
    }

    /// Nobody knows what has changed meanwhile.
    fn begin_anew(&mut self) {
        self.pending.mark_everything(Instant::now());
        self.walk_everything();
        self.counted = None;
        self.groups_copied = None;
    }

    /// Whatever walk there was begins anew, over everything.
    fn walk_everything(&mut self) {
        self.walks = VecDeque::from([Walk::new(Scan::Everything, self.walks_begun)]);
        self.walks_begun += 1;
    }

    fn lost(&mut self, error: &Error) {
        self.note(|standing| {
            standing.told = false;
            standing.trouble = Some(error.to_string());
        });
    }

    fn note(&self, change: impl FnOnce(&mut Standing)) {
        let pending = &self.pending;
        let compared = self
            .walks
            .iter()
            .find(|walk| walk.of == Scan::Everything)
            .map(|walk| walk.compared);
        self.standing.send_modify(|standing| {
            standing.seen = pending.seen();
            standing.reached = pending.reached();
            standing.behind_since = pending.behind_since();
            standing.waiting = pending.waiting();
            standing.compared = compared;
            change(standing);
        });
    }

    /// While nothing is told: orders that can be carried out all the same. Resolves when the task is to end.
    ///
    /// Cancel safety: an order that was taken is carried out.
    async fn ordered_to_end(&mut self) {
        loop {
            match self.orders.recv().await {
                Some(Order::Copy) => self.copies = true,
                // Nobody can say; the asker sees the other end gone.
                Some(Order::Place { .. }) => {}
                Some(Order::End(ended)) => {
                    let _ = ended.send(());
                    return;
                }
                None => return,
            }
        }
    }

    /// Notes what is told, and copies.
    async fn follow(&mut self, mut told: Invalidations) -> Over {
        let mut batch: Option<Batch> = None;
        let mut asked: VecDeque<Asked> = VecDeque::new();
        let mut not_before: Option<Instant> = None;
        loop {
            if batch.is_none() && not_before.is_none() {
                batch = self.next_batch();
            }
            tokio::select! {
                biased;
                heard = told.next() => match heard {
                    Ok(heard) => self.heard(heard, &mut asked),
                    Err(error) => {
                        self.finish(batch).await;
                        return Over::Lost(error);
                    }
                },
                order = self.orders.recv() => match order {
                    Some(Order::Copy) => self.copies = true,
                    Some(Order::Place { counters, reason, answer }) => {
                        self.count(counters, reason);
                        if let Err(error) = told.ask(REQUEST_LIMIT).await {
                            self.finish(batch).await;
                            return Over::Lost(error);
                        }
                        asked.push_back(Asked { answer, at: Instant::now() });
                    }
                    Some(Order::End(ended)) => {
                        self.finish(batch).await;
                        let _ = ended.send(());
                        return Over::Ended;
                    }
                    None => return Over::Ended,
                },
                (copier, done) = under_way(&mut batch) => {
                    batch = None;
                    not_before = self.done(copier, done);
                }
                () = until(asked.front().map(|asked| asked.at + ANSWER_LIMIT)) => {
                    self.finish(batch).await;
                    return Over::Lost(told.silent(ANSWER_LIMIT));
                }
                () = until(not_before) => not_before = None,
            }
        }
    }

    fn heard(&mut self, heard: Told, asked: &mut VecDeque<Asked>) {
        let now = Instant::now();
        match heard {
            Told::Changed(keys) => {
                for key in keys {
                    if self.pending.mark(key, now) == Room::None {
                        self.walk_everything();
                    }
                }
            }
            Told::Everything => {
                self.pending.mark_everything(now);
                self.walk_everything();
            }
            Told::Answer => {
                if let Some(asked) = asked.pop_front() {
                    let _ = asked.answer.send(self.pending.seen());
                }
            }
        }
        self.note(|_| ());
    }

    /// What the server does not tell shows in its counters, or may have happened where they cannot be read.
    fn count(&mut self, counters: Counters, reason: Reason) {
        let now = Instant::now();
        let before = self.counted.replace(counters);
        if before.is_some_and(|before| before.swapped(&counters)) {
            self.pending.mark_everything(now);
            self.walk_everything();
        }
        let due = match (self.groups_copied, reason) {
            (None, _) | (Some(_), Reason::Final) => true,
            (Some((_, at)), Reason::Look) => now.duration_since(at) >= STREAMS_EVERY,
        };
        if !due {
            return;
        }
        let copied = self.groups_copied.replace((counters, now));
        if copied.is_none_or(|(copied, _)| copied.groups_worked(&counters)) {
            let streams: Vec<Bytes> = self.streams.iter().cloned().collect();
            for key in streams {
                self.pending.mark(key, now);
            }
        }
    }

    fn next_batch(&mut self) -> Option<Batch> {
        if !self.copies {
            return None;
        }
        let walks = !self.walks.is_empty() && (self.walk_next || self.pending.waiting() == 0);
        self.walk_next = !self.walk_next;
        if walks && let Some(walk) = self.walks.pop_front() {
            let copier = self.copier.take()?;
            // It stays to be seen, should this task be dropped or the walk begun anew meanwhile.
            self.walks.push_front(walk.clone());
            return Some(Box::pin(async move {
                let (copier, walk, result) = step(copier, walk).await;
                (copier, Done::Walk { walk, result })
            }));
        }
        let marks = self.pending.take(BATCH_KEYS);
        if marks.is_empty() {
            return None;
        }
        let mut copier = self.copier.take()?;
        Some(Box::pin(async move {
            let keys: Vec<Bytes> = marks.iter().map(|mark| mark.key.clone()).collect();
            let result = copier.copy(&keys, Known::Changed).await;
            (copier, Done::Keys { marks, result })
        }))
    }

    /// Takes in what a batch has come to. Gives when to go on, where that is not at once.
    fn done(&mut self, copier: Copier, done: Done) -> Option<Instant> {
        self.copier = Some(copier);
        let trouble = match done {
            Done::Keys { mut marks, result } => match result {
                Ok(copied) => {
                    let left = marks.split_off(copied.count.min(marks.len()));
                    self.pending.copied(left);
                    self.remember(copied.streams)
                }
                Err(trouble) => {
                    self.pending.copied(marks);
                    Some(trouble.to_string())
                }
            },
            Done::Walk { walk, result } => match result {
                Ok(streams) => {
                    self.walked(walk);
                    self.remember(streams)
                }
                Err(trouble) => Some(trouble.to_string()),
            },
        };
        let wait = trouble.as_ref().map(|_| Instant::now() + AGAIN_AFTER);
        self.note(|standing| standing.trouble = trouble);
        wait
    }

    /// A step of the walk is done, unless the walk was begun anew meanwhile.
    fn walked(&mut self, walk: Walk) {
        let Some(front) = self.walks.front_mut() else {
            return;
        };
        if front.number != walk.number {
            return;
        }
        if walk.places.as_ref().is_some_and(VecDeque::is_empty) {
            self.walks.pop_front();
            self.pending.walked();
        } else {
            *front = walk;
        }
    }

    fn remember(&mut self, streams: Vec<Bytes>) -> Option<String> {
        self.streams.extend(streams);
        (self.streams.len() > STREAMS_MAX).then(|| {
            format!(
                "more than {STREAMS_MAX} streams: what their consumer groups do cannot be followed"
            )
        })
    }

    /// Waits for the batch that is under way, so that nothing is written once this has returned.
    async fn finish(&mut self, mut batch: Option<Batch>) {
        if batch.is_some() {
            let (copier, done) = under_way(&mut batch).await;
            self.done(copier, done);
        }
    }
}

/// The batch, if there is one.
async fn under_way(batch: &mut Option<Batch>) -> (Copier, Done) {
    match batch {
        Some(batch) => batch.await,
        None => std::future::pending().await,
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}
