//! The client's end of a session: its socket and the replies on their way to it. Connections to the databases deliver
//! here directly, from their own tasks, so that a plain reply reaches the client's socket without another hop.
//!
//! Refuses to know: requests.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Buf, BytesMut};

use super::mute::{Mute, Replies};
use super::outbox::{Outbox, Turn};
use super::ticket::{Handling, Shown, Ticket};
use crate::metrics::{ClientError, Shard};
use crate::net::Stream;
use crate::resp::reply::Kind;
use crate::upstream::{Loss, Sink, Times};

/// The client's end.
pub(super) struct Client {
    stream: Stream,
    outbox: RefCell<Outbox>,
    /// Requests whose replies are dropped; none for all but very few sessions.
    mute: RefCell<Option<Box<Mute>>>,
    /// What the session's task has not looked at yet.
    shown: RefCell<VecDeque<Shown>>,
    /// The session's task.
    task: RefCell<Option<Waker>>,
    /// Something changed that the session's task wants to know.
    signalled: Cell<bool>,
    /// The client is gone.
    gone: Cell<bool>,
    /// The session waits for its last reply to go on.
    wants_order: Cell<bool>,
    /// Numbers given to requests so far.
    next: Cell<u64>,
    /// What a reply of this session has lately been like at most, in bytes.
    reply_bytes: Cell<u64>,
    /// Bytes that have come of a reply that has not ended.
    reply_begun: Cell<u64>,
    /// Bytes that may wait for the client, as far as that can be steered.
    waiting_bytes_max: usize,
    /// Connections that are not read until the client has taken what waits for it.
    no_room: RefCell<Vec<Waker>>,
    /// Its connections are read all the same: others wait for what has come on them.
    hurried: Cell<bool>,
    metrics: Arc<Shard>,
}

/// What a session's task wakes up for.
pub(super) enum Event {
    /// There is something to read.
    Readable,
    /// Something was signalled, or bytes could be written.
    Signalled,
}

impl Client {
    /// `waiting_bytes_max` is the limit `session_reply_bytes`.
    pub(super) fn new(stream: Stream, metrics: Arc<Shard>, waiting_bytes_max: usize) -> Rc<Client> {
        Rc::new(Client {
            stream,
            outbox: RefCell::default(),
            mute: RefCell::default(),
            shown: RefCell::default(),
            task: RefCell::default(),
            signalled: Cell::new(false),
            gone: Cell::new(false),
            wants_order: Cell::new(false),
            next: Cell::new(0),
            reply_bytes: Cell::new(waiting_bytes_max as u64 / FIRST_REQUESTS),
            reply_begun: Cell::new(0),
            waiting_bytes_max,
            no_room: RefCell::default(),
            hurried: Cell::new(false),
            metrics,
        })
    }

    /// The socket, for reading.
    pub(super) fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Whether writing to it failed.
    pub(super) fn is_gone(&self) -> bool {
        self.gone.get()
    }

    /// Numbers for `count` requests; gives the first.
    pub(super) fn number(&self, count: u64) -> u64 {
        let first = self.next.get();
        self.next.set(first + count);
        if let Some(mute) = &mut *self.mute.borrow_mut() {
            mute.numbered(first, count);
        }
        first
    }

    /// Whether the next request gets its reply.
    pub(super) fn replies(&self) -> Replies {
        self.mute
            .borrow()
            .as_ref()
            .map_or(Replies::On, |mute| mute.mode())
    }

    /// Whether the next request gets its reply, from now on.
    pub(super) fn set_replies(&self, replies: Replies) {
        self.mute
            .borrow_mut()
            .get_or_insert_default()
            .set_mode(replies);
    }

    /// The reply to `number` is sent although replies are off.
    pub(super) fn unmute(&self, number: u64) {
        if let Some(mute) = &mut *self.mute.borrow_mut() {
            mute.unmute(number);
        }
    }

    /// The number that the next request will have.
    pub(super) fn next_number(&self) -> u64 {
        self.next.get()
    }

    /// Requests without a reply.
    pub(super) fn unanswered(&self) -> u64 {
        self.next.get() - self.outbox.borrow().head()
    }

    /// Bytes of replies that the client has not taken.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.outbox.borrow().waiting_bytes()
    }

    /// Whether as much waits for the client, or will when its requests are answered with what they have lately been
    /// answered with, as may. Further requests wait until it has caught up.
    pub(super) fn is_full(&self) -> bool {
        let coming = self.unanswered().saturating_mul(self.reply_bytes.get());
        coming.saturating_add(self.waiting_bytes() as u64) >= self.waiting_bytes_max as u64
    }

    /// Wakes the session when every request so far has its reply.
    pub(super) fn signal_when_answered(&self) {
        self.wants_order.set(true);
    }

    /// A reply that the proxy gives by itself, in its place.
    pub(super) fn answer(&self, number: u64, reply: &[u8]) {
        self.place(number, reply, 1);
    }

    /// The beginning of such a reply; [`Client::answer`] ends it.
    pub(super) fn part_of_answer(&self, number: u64, piece: &[u8]) {
        self.place(number, piece, 0);
    }

    /// A message, an invalidation, or another frame without a request.
    pub(super) fn message(&self, frame: &[u8]) {
        self.outbox.borrow_mut().message(frame);
        self.flush();
        self.judge();
    }

    /// Whether its connections are read however much waits for it.
    pub(super) fn hurry(&self, hurried: bool) {
        self.hurried.set(hurried);
        if hurried {
            self.make_room();
        }
    }

    /// The oldest thing to look at.
    pub(super) fn next_shown(&self) -> Option<Shown> {
        self.shown.borrow_mut().pop_front()
    }

    /// Wakes the session's task.
    pub(super) fn signal(&self) {
        self.signalled.set(true);
        if let Some(task) = &*self.task.borrow() {
            task.wake_by_ref();
        }
    }

    /// A waker of the session's task, for whoever it waits for. None before the task has run.
    pub(super) fn waker(&self) -> Option<Waker> {
        self.task.borrow().clone()
    }

    /// Waits for something to do.
    pub(super) fn poll_event(&self, cx: &mut Context<'_>, read: bool) -> Poll<Event> {
        let mut task = self.task.borrow_mut();
        if !task
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            *task = Some(cx.waker().clone());
        }
        drop(task);
        if self.signalled.take() || self.gone.get() {
            return Poll::Ready(Event::Signalled);
        }
        if !self.outbox.borrow().unsent.is_empty() {
            match self.stream.poll_write_ready(cx) {
                Poll::Ready(Ok(())) => {
                    self.flush();
                    return Poll::Ready(Event::Signalled);
                }
                Poll::Ready(Err(_)) => self.fail(),
                Poll::Pending => {}
            }
        }
        if read {
            match self.stream.poll_read_ready(cx) {
                Poll::Ready(Ok(())) => return Poll::Ready(Event::Readable),
                Poll::Ready(Err(_)) => self.fail(),
                Poll::Pending => {}
            }
        }
        if self.gone.get() {
            Poll::Ready(Event::Signalled)
        } else {
            Poll::Pending
        }
    }

    /// Writes what the kernel takes.
    pub(super) fn flush(&self) {
        let mut outbox = self.outbox.borrow_mut();
        while !outbox.unsent.is_empty() {
            match self.stream.try_write(&outbox.unsent) {
                Ok(written) => outbox.unsent.advance(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    drop(outbox);
                    // The task waits for the socket, and notices when it can read on.
                    self.signal();
                    return;
                }
                Err(_) => {
                    drop(outbox);
                    self.fail();
                    return;
                }
            }
        }
        if outbox.unsent.capacity() > 0 {
            outbox.unsent = BytesMut::new();
        }
        drop(outbox);
        self.make_room();
    }

    /// Has connections read on that had to stop.
    fn make_room(&self) {
        if !self.no_room.borrow().is_empty() {
            for waker in self.no_room.take() {
                waker.wake();
            }
        }
    }

    /// Closes the socket once what is unsent has left, or after a moment: a client that does not read is not waited
    /// for.
    pub(super) async fn finish(&self) {
        let finished = async {
            while !self.gone.get() && !self.outbox.borrow().unsent.is_empty() {
                poll_fn(|cx| self.stream.poll_write_ready(cx)).await.ok();
                self.flush();
            }
        };
        // Out of time or not: there is nothing more to be done for it.
        let _ = tokio::time::timeout(FAREWELL_LIMIT, finished).await;
        self.stream.close();
        self.gone.set(true);
    }

    fn place(&self, number: u64, bytes: &[u8], completed: u64) {
        let mut outbox = self.outbox.borrow_mut();
        let muted = match &mut *self.mute.borrow_mut() {
            Some(mute) => mute.is_muted(number, outbox.head()),
            None => false,
        };
        let bytes = if muted { &[] } else { bytes };
        if outbox.place(number, bytes, completed) == Turn::Now {
            let sent = match self.stream.try_write(bytes) {
                Ok(written) => written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                Err(_) => {
                    drop(outbox);
                    self.fail();
                    return;
                }
            };
            if sent < bytes.len() {
                outbox.unsent.extend_from_slice(&bytes[sent..]);
            }
            outbox.passed(completed);
        }
        let unsent = !outbox.unsent.is_empty();
        let answered = outbox.head() == self.next.get();
        drop(outbox);
        if unsent {
            self.flush();
        }
        if answered && self.wants_order.take() {
            self.signal();
        }
    }

    /// Gives the client up where it lets replies pile up beyond all measure: it is dead, or means no good.
    fn judge(&self) {
        if self.waiting_bytes() <= self.waiting_bytes_max.saturating_mul(OVERFULL) {
            return;
        }
        tracing::warn!(
            client = self.stream.peer(),
            "a client does not read its replies; limit session_reply_bytes"
        );
        self.metrics.client_error(ClientError::Limit);
        *self.outbox.borrow_mut() = Outbox::default();
        self.fail();
    }

    fn show(&self, shown: Shown) {
        self.shown.borrow_mut().push_back(shown);
        self.signal();
    }

    fn fail(&self) {
        if !self.gone.replace(true) {
            self.signal();
            self.make_room();
        }
    }
}

/// Requests that a session may have on their way before anything is known of their replies.
const FIRST_REQUESTS: u64 = 64;
/// With each piece, the memory of large replies fades by one part in this many.
const REPLY_BYTES_DECAY: u64 = 8;
/// Replies were asked for before they turned out large: this many times the limit may wait, and no more.
const OVERFULL: usize = 16;
/// How long a client may take for its last replies.
const FAREWELL_LIMIT: Duration = Duration::from_secs(1);

impl Sink for Client {
    type Ticket = Ticket;

    fn wants_whole(ticket: &Ticket) -> bool {
        matches!(ticket.handling, Handling::Show(_))
    }

    fn piece(&self, ticket: &mut Ticket, bytes: &[u8], completed: u32) {
        if ticket.handling == Handling::Swallow || self.gone.get() {
            return;
        }
        self.place(ticket.number, bytes, u64::from(completed));
        ticket.number += u64::from(completed);
        let lately = self.reply_bytes.get() - self.reply_bytes.get() / REPLY_BYTES_DECAY;
        let now = (self.reply_begun.get() + bytes.len() as u64) / u64::from(completed.max(1));
        self.reply_begun.set(if completed == 0 { now } else { 0 });
        self.reply_bytes.set(lately.max(now));
        self.judge();
    }

    fn whole(&self, ticket: &mut Ticket, _kind: Kind, reply: BytesMut) {
        if let Handling::Show(purpose) = ticket.handling {
            self.show(Shown::Reply {
                number: ticket.number,
                purpose,
                reply,
            });
        }
    }

    fn finished(&self, ticket: Ticket, at: Times) {
        if ticket.handling == Handling::Relay {
            let before = at.sent.saturating_duration_since(ticket.read_at);
            self.metrics.overhead(before + at.received.elapsed(), 1);
            self.metrics
                .upstream(at.side, at.received.saturating_duration_since(at.sent), 1);
        }
    }

    fn frame(&self, connection: u64, kind: Kind, frame: BytesMut) {
        self.show(Shown::Frame {
            connection,
            kind,
            frame,
        });
    }

    fn bytes(&self, bytes: &[u8]) {
        self.message(bytes);
    }

    fn has_room(&self, waker: &Waker) -> bool {
        if self.hurried.get()
            || self.gone.get()
            || self.outbox.borrow().unsent.len() < self.waiting_bytes_max
        {
            return true;
        }
        let mut stopped = self.no_room.borrow_mut();
        if !stopped.iter().any(|known| known.will_wake(waker)) {
            stopped.push(waker.clone());
        }
        false
    }

    fn lost(&self, ticket: Ticket, loss: &Loss) {
        let Ticket {
            handling, permit, ..
        } = ticket;
        drop(permit);
        self.show(Shown::Lost {
            connection: None,
            handling: Some(handling),
            loss: loss.clone(),
        });
    }

    fn ended(&self, connection: u64, loss: &Loss) {
        self.show(Shown::Lost {
            connection: Some(connection),
            handling: None,
            loss: loss.clone(),
        });
    }
}
