//! One connection to a side and the replies it owes, in order. Lanes and private connections are both this; they differ
//! in how many sessions its entries belong to and in when it is flushed.
//!
//! Replies are scanned for boundaries and handed on as they come, piece by piece: nothing is copied or collected here
//! unless the request asked to see its whole reply.

mod incoming;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Instant;

use bytes::{Buf, BytesMut};

use super::line::{Asks, InLine, Line};
use super::open::Opened;
use super::own::Mine;
use super::reader::Reader;
use super::scratch::Scratch;
use super::sink::{Loss, Mode, Sink};
use crate::metrics::{Direction, Shard, UpstreamError};
use crate::net::Stream;
use crate::terms::Side;

/// One connection.
pub struct Pipeline<S: Sink> {
    /// Tells it from others in [`Sink::frame`].
    number: u64,
    /// Where it goes.
    side: Side,
    /// The server's handle for it; not known before the server lets it in.
    client_id: Cell<Option<i64>>,
    /// Keeps it known as ours, whatever becomes of it.
    mine: RefCell<Mine>,
    /// The server wants AUTH on it first.
    unauthenticated: Cell<bool>,
    stream: Stream,
    metrics: Arc<Shard>,
    scratch: Scratch,
    /// Bytes not yet taken by the kernel.
    unsent: RefCell<BytesMut>,
    /// They were many: their buffer is given back when they have left. Its capacity does not tell, since it counts from
    /// what has left.
    swollen: Cell<bool>,
    /// So many are not too many to keep the buffer.
    kept_bytes: Cell<usize>,
    /// What the server owes, oldest first.
    owed: RefCell<VecDeque<Owed<S>>>,
    /// Replies outstanding, over all entries of `owed`.
    outstanding: Cell<usize>,
    /// Entries at the end of `owed` whose requests have not left.
    leaving: Cell<usize>,
    mode: RefCell<Mode<S>>,
    /// The one session it belongs to, if it does: what that has no room for is not read.
    owner: RefCell<Option<Rc<S>>>,
    state: Cell<State>,
    /// The task in [`Pipeline::drive`].
    driver: RefCell<Option<Waker>>,
    /// Who waits for `outstanding` to fall.
    line: RefCell<Line>,
}

/// Replies owed to one session, one after the other.
struct Owed<S: Sink> {
    sink: Rc<S>,
    ticket: S::Ticket,
    /// How many replies there will be.
    requests: u32,
    /// How many are still to come.
    count: u32,
    /// When its requests were handed to the kernel.
    sent: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Up,
    /// Serves those who have something outstanding on it, and closes as soon as nothing is owed.
    Aside,
    /// Closes as soon as nothing is owed.
    Retiring,
    Down,
}

impl<S: Sink> Pipeline<S> {
    /// A pipeline on an open connection; [`Pipeline::drive`] must be spawned for it.
    pub fn new(
        number: u64,
        side: Side,
        opened: Opened,
        scratch: Scratch,
        metrics: Arc<Shard>,
    ) -> Rc<Pipeline<S>> {
        let Opened {
            stream,
            client_id,
            unauthenticated,
            mine,
        } = opened;
        Rc::new(Pipeline {
            number,
            side,
            client_id: Cell::new(client_id),
            mine: RefCell::new(mine),
            unauthenticated: Cell::new(unauthenticated),
            stream,
            metrics,
            scratch,
            leaving: Cell::new(0),
            unsent: RefCell::default(),
            swollen: Cell::new(false),
            kept_bytes: Cell::new(PRIVATE_BUFFER_BYTES),
            owed: RefCell::default(),
            outstanding: Cell::new(0),
            mode: RefCell::new(Mode::Replies),
            owner: RefCell::default(),
            state: Cell::new(State::Up),
            driver: RefCell::default(),
            line: RefCell::default(),
        })
    }

    /// The number given at its making.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The server's handle for it, for CLIENT UNBLOCK.
    pub fn client_id(&self) -> Option<i64> {
        self.client_id.get()
    }

    /// The server has told its handle, which it did not in the handshake.
    pub fn set_client_id(&self, number: i64) {
        self.client_id.set(Some(number));
        self.mine.borrow_mut().is_number(number);
    }

    /// Whether the server wants AUTH on it before anything else, as far as is known.
    pub fn is_unauthenticated(&self) -> bool {
        self.unauthenticated.get()
    }

    /// The server has accepted a password on it.
    pub fn set_authenticated(&self) {
        self.unauthenticated.set(false);
    }

    /// Whether requests can be appended.
    pub fn is_up(&self) -> bool {
        matches!(self.state.get(), State::Up | State::Aside)
    }

    /// Since when the oldest reply that is owed is waited for; none where nothing has left that is owed a reply.
    pub fn waits_since(&self) -> Option<Instant> {
        self.owed.borrow().front()?.sent
    }

    /// Replies that are owed.
    pub fn outstanding(&self) -> usize {
        self.outstanding.get()
    }

    /// Bytes that the kernel has not taken.
    pub fn unsent_bytes(&self) -> usize {
        self.unsent.borrow().len()
    }

    /// Puts whole requests at the end: `count` replies will be owed to `sink`. They leave with the next flush. Where the
    /// connection has ended, the sink is told so at once: nobody else would.
    pub fn append(&self, requests: &[u8], sink: &Rc<S>, ticket: S::Ticket, count: u32) {
        if self.state.get() == State::Down {
            return sink.lost(ticket, &Loss::Closed);
        }
        self.append_unowed(requests);
        self.outstanding
            .set(self.outstanding.get() + count as usize);
        self.owed.borrow_mut().push_back(Owed {
            sink: Rc::clone(sink),
            ticket,
            requests: count,
            count,
            sent: None,
        });
        self.leaving.set(self.leaving.get() + 1);
    }

    /// Puts requests at the end that bring no reply of their own, or whose replies the owner of a connection in
    /// [`Mode::Frames`] recognises by itself.
    pub fn append_unowed(&self, requests: &[u8]) {
        let mut unsent = self.unsent.borrow_mut();
        unsent.extend_from_slice(requests);
        if unsent.len() > self.kept_bytes.get() {
            self.swollen.set(true);
        }
    }

    /// As [`Pipeline::append_unowed`], without copying: for a request that was appended without its bytes just before.
    pub fn append_taken(&self, requests: BytesMut) {
        let empty = self.unsent.borrow().is_empty();
        if empty {
            *self.unsent.borrow_mut() = requests;
            self.swollen.set(true);
        } else {
            self.append_unowed(&requests);
        }
        self.flush_later();
    }

    /// Writes what the kernel takes now; the rest leaves when it can. For a connection with one owner, at the end of
    /// the owner's turn.
    pub fn flush(&self) {
        match self.write_some() {
            Ok(true) => {}
            // The driver waits for the kernel, or notices the failure.
            Ok(false) | Err(_) => self.wake_driver(),
        }
    }

    /// Has the driver write at the end of this turn of the loop, together with what others append meanwhile.
    pub fn flush_later(&self) {
        self.wake_driver();
    }

    /// Changes how frames are understood. Invariant: nothing is owed.
    pub fn set_mode(&self, mode: Mode<S>) {
        debug_assert!(
            self.owed.borrow().is_empty(),
            "replies are owed across a change of mode"
        );
        *self.mode.borrow_mut() = mode;
    }

    /// Gives it to one session, or takes it from the one that had it.
    pub fn set_owner(&self, owner: Option<&Rc<S>>) {
        *self.owner.borrow_mut() = owner.map(Rc::clone);
        self.wake_driver();
    }

    /// Many sessions share it from now on.
    pub(super) fn share(&self) {
        self.kept_bytes.set(LANE_BUFFER_BYTES);
    }

    /// Leaves it to those who have something outstanding on it: they may append more, nobody else does.
    pub(super) fn set_aside(&self) {
        if self.state.get() == State::Up {
            self.state.set(State::Aside);
            self.line.borrow_mut().call(usize::MAX);
            self.wake_driver();
        }
    }

    /// Closes once nothing is owed.
    pub fn retire(&self) {
        if self.is_up() {
            self.state.set(State::Retiring);
            self.wake_driver();
        }
    }

    /// Closes now; what is owed is lost, and its sinks are told.
    pub fn abandon(&self) {
        self.fail(&Loss::Retired);
        self.wake_driver();
    }

    /// Wakes `waker` when it is its turn to find room: replies have come in, or the connection has ended. `in_line` is
    /// where its owner stood the last time.
    pub fn wait(&self, asks: Asks, waker: Waker, in_line: &mut Option<InLine>) {
        let mut line = self.line.borrow_mut();
        line.join(self.number, asks, waker, in_line);
    }

    /// Reads, hands on, writes, until the connection ends. Spawned once.
    pub async fn drive(self: Rc<Self>) {
        let mut reader = Reader::default();
        let loss = loop {
            match poll_fn(|cx| self.poll_turn(cx)).await {
                Ok(Turn::Readable) => {}
                Ok(Turn::Retired) => break Loss::Retired,
                Err(error) => break Loss::Failed(error.to_string()),
            }
            if let Err(loss) = self.read_some(&mut reader) {
                break loss;
            }
        };
        self.fail(&loss);
    }

    fn poll_turn(&self, cx: &mut Context<'_>) -> Poll<io::Result<Turn>> {
        let mut driver = self.driver.borrow_mut();
        if !driver
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            *driver = Some(cx.waker().clone());
        }
        drop(driver);
        if self.state.get() == State::Down {
            return Poll::Ready(Ok(Turn::Retired));
        }
        let had = self.unsent_bytes();
        while !self.write_some()? {
            if self.stream.poll_write_ready(cx)?.is_pending() {
                break;
            }
        }
        if had > PRIVATE_BUFFER_BYTES && self.unsent_bytes() < had {
            self.line.borrow_mut().call(usize::MAX);
        }
        if matches!(self.state.get(), State::Retiring | State::Aside)
            && self.outstanding.get() == 0
            && self.unsent.borrow().is_empty()
        {
            return Poll::Ready(Ok(Turn::Retired));
        }
        if let Some(owner) = &*self.owner.borrow()
            && !owner.has_room(cx.waker())
        {
            return Poll::Pending;
        }
        ready!(self.stream.poll_read_ready(cx))?;
        Poll::Ready(Ok(Turn::Readable))
    }

    /// Writes until the kernel takes no more; true when everything is gone.
    fn write_some(&self) -> io::Result<bool> {
        let mut unsent = self.unsent.borrow_mut();
        while !unsent.is_empty() {
            match self.stream.try_write(&unsent) {
                Ok(written) => {
                    self.metrics
                        .bytes(self.side, Direction::ToServer, written as u64);
                    unsent.advance(written);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        if self.swollen.take() {
            self.scratch.keep(std::mem::take(&mut *unsent));
        } else {
            // Everything is sent: the next append starts at the front of the same allocation.
            unsent.clear();
        }
        drop(unsent);
        self.stamp();
        Ok(true)
    }

    /// Everything appended so far has left: notes when, with one look at the clock.
    fn stamp(&self) {
        let leaving = self.leaving.take();
        if leaving > 0 {
            let now = Instant::now();
            for entry in self.owed.borrow_mut().iter_mut().rev().take(leaving) {
                entry.sent = Some(now);
            }
        }
    }

    fn read_some(&self, reader: &mut Reader) -> Result<(), Loss> {
        let mut buffer = self.scratch.borrow();
        let length = match self.stream.try_read(&mut buffer) {
            Ok(0) => return Err(Loss::Closed),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(Loss::Failed(error.to_string())),
        };
        self.metrics
            .bytes(self.side, Direction::FromServer, length as u64);
        let before = self.outstanding.get();
        self.received(reader, &buffer[..length], Instant::now())?;
        drop(buffer);
        self.call(before);
        Ok(())
    }

    /// Of `before` replies some have come: as many who wait have room now. Where none is to come any more, nobody would
    /// call the others later.
    fn call(&self, before: usize) {
        let outstanding = self.outstanding.get();
        let come = match outstanding {
            0 => usize::MAX,
            _ => before.saturating_sub(outstanding),
        };
        self.line.borrow_mut().call(come);
    }

    fn fail(&self, loss: &Loss) {
        if self.state.replace(State::Down) == State::Down {
            return;
        }
        match loss {
            Loss::Closed | Loss::Failed(_) => {
                self.metrics
                    .upstream_error(self.side, UpstreamError::Closed);
            }
            Loss::Protocol(_) | Loss::TooLarge(_) => {
                tracing::warn!(side = %self.side, reason = %loss, "a connection was given up");
                self.metrics
                    .upstream_error(self.side, UpstreamError::Protocol);
            }
            Loss::Retired => {}
        }
        self.stream.close();
        self.outstanding.set(0);
        self.leaving.set(0);
        self.unsent.take();
        for Owed { sink, ticket, .. } in self.owed.take() {
            sink.lost(ticket, loss);
        }
        match self.mode.replace(Mode::Replies) {
            Mode::Frames(owner) | Mode::Bytes(owner) => owner.ended(self.number, loss),
            Mode::Replies => {}
        }
        self.owner.take();
        self.line.borrow_mut().call(usize::MAX);
    }

    fn wake_driver(&self) {
        if let Some(driver) = &*self.driver.borrow() {
            driver.wake_by_ref();
        }
    }
}

/// What the write buffer of a connection of one session keeps while nothing is to be sent: there may be thousands.
const PRIVATE_BUFFER_BYTES: usize = 64 << 10;
/// The same of a lane, which has a batch of many sessions' requests in it all the time, and there are few lanes.
const LANE_BUFFER_BYTES: usize = 1 << 20;

enum Turn {
    Readable,
    Retired,
}
