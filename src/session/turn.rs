//! The end of a turn of the worker's loop: the replies that came in it leave for their clients, one write a client,
//! after everything else that was ready has been done.
//!
//! Sending each reply as it comes would wake its client, whose next request then competes with the rest of the turn: on
//! few cores that makes every batch small, for the databases too. It would also take a write for each piece of a
//! pipeline's replies, and a look at the clock for each reply.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use bytes::BytesMut;

use super::reply::Client;
use crate::metrics::Shard;

/// What is left to do at the end of the present turn of one worker.
pub(super) struct Turn {
    /// Clients that something waits for; each once.
    clients: RefCell<Vec<Rc<Client>>>,
    /// Requests whose last reply is among it.
    answered: RefCell<Vec<Answered>>,
    /// Empty buffers, for the next replies that wait.
    spare: RefCell<Vec<BytesMut>>,
    /// The task in [`Turn::follow`].
    task: RefCell<Option<Waker>>,
    /// It has been woken, or has not run yet.
    woken: Cell<bool>,
    metrics: Arc<Shard>,
}

/// Requests on their way out of the proxy.
struct Answered {
    requests: u32,
    /// How long they took from being read to being handed to the kernel.
    before: Duration,
    /// When their last reply was read.
    received: Instant,
}

impl Turn {
    pub(super) fn new(metrics: Arc<Shard>) -> Rc<Turn> {
        Rc::new(Turn {
            clients: RefCell::default(),
            answered: RefCell::default(),
            spare: RefCell::default(),
            task: RefCell::default(),
            woken: Cell::new(false),
            metrics,
        })
    }

    /// Ends turns for as long as the worker lives.
    pub(super) async fn follow(self: Rc<Self>) {
        poll_fn(|cx| {
            let mut task = self.task.borrow_mut();
            if !task.as_ref().is_some_and(|it| it.will_wake(cx.waker())) {
                *task = Some(cx.waker().clone());
            }
            drop(task);
            self.end();
            Poll::<()>::Pending
        })
        .await;
    }

    /// Where the worker counts.
    pub(super) fn metrics(&self) -> &Shard {
        &self.metrics
    }

    /// `client` has something to send.
    pub(super) fn join(&self, client: Rc<Client>) {
        self.clients.borrow_mut().push(client);
        self.wake();
    }

    /// The last reply of so many requests is on its way to the kernel: read then, after they spent `before` on their way
    /// there.
    pub(super) fn answered(&self, requests: u32, before: Duration, received: Instant) {
        self.answered.borrow_mut().push(Answered {
            requests,
            before,
            received,
        });
        self.wake();
    }

    /// An empty buffer.
    pub(super) fn buffer(&self) -> BytesMut {
        self.spare.borrow_mut().pop().unwrap_or_default()
    }

    /// Takes a buffer back that nothing was cut from the front of.
    pub(super) fn give_back(&self, mut buffer: BytesMut) {
        let mut spare = self.spare.borrow_mut();
        if spare.len() < SPARES_MAX && buffer.capacity() <= SPARE_BYTES_MAX {
            buffer.clear();
            spare.push(buffer);
        }
    }

    fn wake(&self) {
        if !self.woken.replace(true)
            && let Some(task) = &*self.task.borrow()
        {
            task.wake_by_ref();
        }
    }

    fn end(&self) {
        self.woken.set(false);
        let mut clients = self.clients.take();
        for client in clients.drain(..) {
            client.end_turn();
        }
        let mut next = self.clients.borrow_mut();
        if next.is_empty() {
            *next = clients;
        }
        drop(next);
        let mut answered = self.answered.borrow_mut();
        if !answered.is_empty() {
            let now = Instant::now();
            for it in answered.drain(..) {
                let after = now.saturating_duration_since(it.received);
                self.metrics
                    .overhead(it.before + after, u64::from(it.requests));
            }
        }
    }
}

/// So many empty buffers are kept; more are needed only where more clients are answered in one turn.
const SPARES_MAX: usize = 64;
/// A buffer that has grown beyond this is not kept.
const SPARE_BYTES_MAX: usize = 16 << 10;
