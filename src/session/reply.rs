//! The client's end of a session: its socket and the replies on their way to it. Connections to the databases deliver
//! here directly, from their own tasks, so that a plain reply reaches the client's socket without another hop.
//!
//! Refuses to know: requests.

mod deliver;
mod farewell;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};

pub(super) use farewell::FAREWELL_LIMIT;

use super::mute::{Mute, Replies};
use super::outbox::{Outbox, Placed};
use super::ticket::Shown;
use super::turn::Turn;
use crate::metrics::ClientError;
use crate::net::Stream;

/// The client's end.
pub(super) struct Client {
    /// For whoever keeps it until something has been sent.
    this: Weak<Client>,
    stream: Stream,
    /// The present turn of the worker's loop.
    turn: Rc<Turn>,
    /// Something is sent at its end.
    leaving: Cell<bool>,
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
    /// The next bytes of a connection in bytes mode are the beginning of a stream, or an error in its place.
    stream_expected: Cell<bool>,
    /// Bytes of frames that the session's task has not looked at.
    shown_bytes: Cell<usize>,
    /// Replies that are arrays cannot be messages.
    speaks_resp3: Cell<bool>,
    /// Its connections are read all the same: others wait for what has come on them.
    hurried: Cell<bool>,
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
    pub(super) fn new(stream: Stream, turn: Rc<Turn>, waiting_bytes_max: usize) -> Rc<Client> {
        Rc::new_cyclic(|this| Client {
            this: Weak::clone(this),
            stream,
            turn,
            leaving: Cell::new(false),
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
            stream_expected: Cell::new(false),
            shown_bytes: Cell::new(0),
            speaks_resp3: Cell::new(false),
            hurried: Cell::new(false),
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
        self.place(number, reply, 1, true);
    }

    /// A part of such a reply, with whose last byte a frame `ends` or not; [`Client::answer`] ends the reply.
    pub(super) fn part_of_answer(&self, number: u64, piece: &[u8], ends: bool) {
        self.place(number, piece, 0, ends);
    }

    /// A message, an invalidation, or another frame without a request. It leaves with [`Client::flush_messages`], at the
    /// end of the session's turn.
    pub(super) fn message(&self, frame: &[u8]) {
        self.outbox.borrow_mut().message(frame);
        self.judge();
    }

    /// Writes what messages have left to write. For the session's own task, which waits for the socket where the kernel
    /// takes no more.
    pub(super) fn flush_messages(&self) {
        if self.outbox.borrow().unsent.is_empty() {
            self.make_room();
        } else {
            self.write_unsent();
        }
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
        let shown = self.shown.borrow_mut().pop_front()?;
        self.shown_bytes
            .set(self.shown_bytes.get() - shown.frame_bytes());
        Some(shown)
    }

    /// Whether the session speaks RESP3 on a connection whose frames are not all replies.
    pub(super) fn set_resp3(&self, resp3: bool) {
        self.speaks_resp3.set(resp3);
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
        if !self.leaving.get() && !self.outbox.borrow().unsent.is_empty() {
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

    /// Writes what the kernel takes; what it does not take, the session's task waits for.
    pub(super) fn flush(&self) {
        if !self.write_unsent() {
            self.signal();
        }
    }

    /// Writes what the kernel takes; false where it would take more later.
    fn write_unsent(&self) -> bool {
        let mut outbox = self.outbox.borrow_mut();
        while !outbox.unsent.is_empty() {
            match self.stream.try_write(&outbox.unsent) {
                Ok(written) => outbox.sent(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(_) => {
                    drop(outbox);
                    self.fail();
                    return true;
                }
            }
        }
        if let Some(buffer) = outbox.take_buffer() {
            self.turn.give_back(buffer);
        }
        drop(outbox);
        self.make_room();
        true
    }

    /// The worker's loop has come to the end of a turn in which something was to be sent.
    pub(super) fn end_turn(&self) {
        self.leaving.set(false);
        if !self.gone.get() {
            self.flush();
        }
    }

    /// Shows the session what the next bytes of its stream begin with.
    pub(super) fn expect_stream(&self) {
        self.stream_expected.set(true);
    }

    /// Has connections read on that had to stop.
    fn make_room(&self) {
        if !self.no_room.borrow().is_empty() {
            for waker in self.no_room.take() {
                waker.wake();
            }
        }
    }

    fn place(&self, number: u64, bytes: &[u8], completed: u64, ends: bool) {
        let mut outbox = self.outbox.borrow_mut();
        let muted = match &mut *self.mute.borrow_mut() {
            Some(mute) => mute.is_muted(number, outbox.head()),
            None => false,
        };
        let bytes = if muted { &[] } else { bytes };
        if outbox.place(number, bytes, completed, ends) == Placed::Now {
            let sent = if bytes.len() < AT_ONCE_BYTES && completed < AT_ONCE_REPLIES {
                0
            } else {
                match self.stream.try_write(bytes) {
                    Ok(written) => written,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                    Err(_) => {
                        drop(outbox);
                        self.fail();
                        return;
                    }
                }
            };
            if sent < bytes.len() {
                outbox.unsent = self.turn.buffer();
                outbox.unsent.extend_from_slice(&bytes[sent..]);
            }
            outbox.passed(completed, ends);
        }
        let unsent = !outbox.unsent.is_empty();
        let answered = outbox.head() == self.next.get();
        drop(outbox);
        if unsent
            && !self.leaving.replace(true)
            && let Some(this) = self.this.upgrade()
        {
            self.turn.join(this);
        }
        if answered && self.wants_order.take() {
            self.signal();
        }
    }

    /// Bytes beyond which nothing is kept for the client, however they came to be: more than it is to have waiting, since
    /// what was asked for comes.
    pub(super) fn waiting_bytes_most(&self) -> usize {
        self.waiting_bytes_max.saturating_mul(OVERFULL)
    }

    /// Gives the client up where it lets replies pile up beyond all measure: it is dead, or means no good.
    fn judge(&self) {
        if self.waiting_bytes() <= self.waiting_bytes_most() {
            return;
        }
        tracing::warn!(
            client = self.stream.peer(),
            "a client does not read its replies; limit session_reply_bytes"
        );
        self.turn.metrics().client_error(ClientError::Limit);
        *self.outbox.borrow_mut() = Outbox::default();
        self.fail();
    }

    fn show(&self, shown: Shown) {
        self.shown_bytes
            .set(self.shown_bytes.get() + shown.frame_bytes());
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

/// From this size on replies go to the kernel as they come, where nothing waits before them: copying them would cost
/// more than a write.
const AT_ONCE_BYTES: usize = 4 << 10;
/// So many replies at once are a batch already, which gains nothing by waiting for the rest of the turn.
const AT_ONCE_REPLIES: u64 = 32;
/// Requests that a session may have on their way before anything is known of their replies.
const FIRST_REQUESTS: u64 = 64;
/// Replies were asked for before they turned out large: this many times the limit may wait, and no more.
const OVERFULL: usize = 16;
