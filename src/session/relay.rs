//! A session's life: wait for the client or for a signal, look at what was shown, send on what can be sent, park on what
//! cannot. Everything but the waiting is synchronous, so a session can be stopped at any await without losing its place.
//!
//! Read on in `route` (one request), `private` (a connection of the session's own), `crossing` (a change of sides),
//! `ending` and `leaving` (the end of a session, and of the process).

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

use bytes::BytesMut;
use tokio::time::timeout_at;

use super::blocking::Blocked;
use super::crossing::Part;
use super::cursor::Iterations;
pub(super) use super::ending::End;
use super::frames::Frames;
use super::holding::Share;
use super::identity::Change;
use super::leaving::{Guest, Leaving};
use super::private::Sides;
use super::reply::{Client, Event};
use super::second_side::Second;
use super::ticket::{Handling, Purpose, Shown};
use super::transaction::Transaction;
use super::who::Who;
use super::worker::{Sharing, Worker};
use super::{Auth, ListenerSettings};
use crate::metrics::Gauge;
use crate::resp::request::{self, ProtocolError};
use crate::terms::Side;
use crate::upstream::{Asks, InLine, Loss, Pipeline};

/// One client connection. What few sessions need, or for a moment only, is boxed: most of them are idle, and many.
pub(super) struct Session {
    pub(super) worker: Rc<Worker>,
    pub(super) listener: Rc<ListenerSettings>,
    pub(super) client: Rc<Client>,
    scanner: request::Scanner,
    /// What was read and not yet sent on: the beginning of a request, or everything behind a parked one.
    pub(super) inbox: BytesMut,
    /// A large request in the inbox that was sent on without being copied: where to, and how long it is. The inbox gives
    /// its own bytes once nobody looks at them any more.
    pub(super) handed_over: Option<Box<(Rc<Pipeline<Client>>, usize)>>,
    /// When the newest bytes were read.
    pub(super) read_at: Instant,
    pub(super) who: Who,
    /// Its connections.
    pub(super) sides: Sides,
    /// Between MULTI and EXEC.
    pub(super) transaction: Option<Box<Transaction>>,
    /// Between WATCH and EXEC.
    pub(super) watch: Watch,
    /// A command that blocks.
    pub(super) blocked: Option<Box<Blocked>>,
    /// Subscriptions, MONITOR, tracking: a connection whose frames are not all replies.
    pub(super) frames: Frames,
    /// It is a replica of this side: what comes from there is not replies.
    pub(super) replica_of: Option<Side>,
    /// AUTH, HELLO, SELECT or RESET that waits for its reply.
    pub(super) change: Option<Box<Change>>,
    /// Iterations by cursor.
    pub(super) iterations: Iterations,
    /// The same, agreed to by one of two sides.
    pub(super) second: Option<Box<Second>>,
    /// A connection that the server has just let in, and whose number it is asked for.
    pub(super) numberless: Option<Rc<Pipeline<Client>>>,
    /// Who it is was noted.
    pub(super) is_user_noted: bool,
    /// Set once its client sends no more: until then, what it has sent is seen to.
    pub(super) sent_all: Option<Instant>,
    /// Its part in a change of sides.
    pub(super) part: Option<Part>,
    /// Why the oldest request in the inbox waits.
    pub(super) park: Option<Park>,
    /// Whether requests stand behind the present one.
    pub(super) asks: Asks,
    /// Where it last waited for room on a connection.
    pub(super) in_line: Option<InLine>,
    /// Counts the request while the gate holds it.
    pub(super) held: Option<Gauge>,
    /// Counts the inbox while the gate holds writes.
    pub(super) share: Option<Share>,
    /// Its place among the worker's sessions.
    pub(super) guest: Guest,
    /// What it still waits for, once the process is to end.
    pub(super) leaving: Option<Box<Leaving>>,
}

/// Whether keys are watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Watch {
    /// None are.
    Off,
    /// Some are, on the session's private connection.
    On,
    /// They were when the session moved: the next EXEC finds them changed.
    Tainted,
}

/// Why a request waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Park {
    /// For every request before it to be answered.
    Order,
    /// For a connection.
    Connection,
    /// For the gate.
    Held,
    /// For room: too many requests without a reply, or a client that does not read.
    Room,
    /// For a reply that decides how to go on.
    Reply,
    /// For the last reply, to end the session.
    End,
}

impl Session {
    pub(super) fn new(
        worker: Rc<Worker>,
        listener: Rc<ListenerSettings>,
        client: Rc<Client>,
        guest: Guest,
    ) -> Session {
        let who = match listener.auth {
            Auth::Client => Who::client(),
            Auth::Proxy => Who::proxy(worker.lanes.server(Side::Source).database),
        };
        Session {
            worker,
            listener,
            client,
            scanner: request::Scanner::default(),
            inbox: BytesMut::new(),
            handed_over: None,
            read_at: Instant::now(),
            who,
            sides: Sides::default(),
            transaction: None,
            watch: Watch::Off,
            blocked: None,
            frames: Frames::default(),
            replica_of: None,
            change: None,
            second: None,
            numberless: None,
            is_user_noted: false,
            iterations: Iterations::default(),
            sent_all: None,
            part: None,
            park: None,
            asks: Asks::Once,
            in_line: None,
            held: None,
            share: None,
            guest,
            leaving: None,
        }
    }

    /// Serves the client until it leaves, or must.
    pub(super) async fn run(mut self: Box<Self>) {
        let end = loop {
            let mut polled = false;
            let read = self.wants_read();
            let event = poll_fn(|cx| {
                // A wake-up of any kind is a reason to look.
                if std::mem::replace(&mut polled, true) {
                    return Poll::Ready(Event::Signalled);
                }
                self.client.poll_event(cx, read)
            });
            let event = match self.sent_all {
                None => event.await,
                // Few are so, and all would have the timer's size.
                Some(limit) => match Box::pin(timeout_at(limit.into(), event)).await {
                    Ok(event) => event,
                    Err(_) => break End::Client,
                },
            };
            let outcome = match event {
                // Others may have been read since this one began to wait.
                Event::Readable if self.is_held_off() => Ok(()),
                Event::Readable => self.receive(),
                Event::Signalled => self.turn(),
            };
            self.count_held();
            if let Err(end) = outcome {
                break end;
            }
            if self.client.is_gone() || self.has_ended() {
                break End::Client;
            }
            if let Some(limit) = self.worker.guests.limit()
                && self.may_leave(limit)
            {
                break End::Process;
            }
        };
        self.over(end).await;
    }

    /// Something changed: look at it, and try again what waits.
    fn turn(&mut self) -> Result<(), End> {
        while let Some(shown) = self.client.next_shown() {
            self.look_at(shown)?;
        }
        self.look_at_second()?;
        self.advance()?;
        self.client.flush_messages();
        match self.park {
            Some(Park::End) => {
                if self.client.unanswered() == 0 {
                    Err(End::Client)
                } else {
                    Ok(())
                }
            }
            Some(Park::Reply) => Ok(()),
            Some(Park::Order) if self.client.unanswered() > 0 => {
                self.client.signal_when_answered();
                Ok(())
            }
            Some(Park::Order | Park::Connection | Park::Held | Park::Room) => {
                self.park = None;
                self.held = None;
                self.pump_inbox()
            }
            None => self.pump_inbox(),
        }
    }

    /// The next whole request of `input`, if it is all there.
    pub(super) fn scan(&mut self, input: &[u8]) -> Result<request::Scanned, ProtocolError> {
        if self.sides.are_unknown() && self.worker.sharing == Sharing::Lanes {
            self.seat();
        }
        let limits = if self.sides.is_unauthenticated() {
            request::Limits::unauthenticated()
        } else {
            request::Limits {
                bulk_bytes: self.worker.limits().bulk_bytes,
                arguments: self.worker.limits().arguments,
                inline_bytes: self.worker.limits().inline_bytes,
            }
        };
        self.scanner.scan(input, &limits)
    }

    /// Forgets how far the present request was scanned: it will be scanned again from its first byte.
    pub(super) fn rescan(&mut self) {
        self.scanner = request::Scanner::default();
    }

    pub(super) fn look_at(&mut self, shown: Shown) -> Result<(), End> {
        match shown {
            Shown::Reply {
                number,
                purpose,
                reply,
            } => {
                match purpose {
                    Purpose::Change => return self.changed(number, &reply),
                    Purpose::Multi(side) => self.multi_answered(number, side, &reply),
                    Purpose::Exec => self.executed(number, &reply),
                    Purpose::Unwatch => self.unwatched(number, &reply),
                    Purpose::Blocked => self.unblocked(number, &reply),
                    Purpose::Unblock => self.unblock_answered(&reply),
                    Purpose::Number => self.number_told(&reply),
                    Purpose::Borrowed => self.give_back(number, &reply),
                    Purpose::Tracking => self.tracking_answered(number, &reply),
                    Purpose::Monitor => self.monitor_answered(number, &reply),
                    Purpose::Cursor => self.cursor_given(number, &reply),
                    Purpose::Prepared => self.waits_again(),
                    Purpose::ClientReply(wanted) => {
                        self.client_reply_answered(number, wanted, &reply);
                    }
                }
                Ok(())
            }
            Shown::Frame {
                connection,
                kind,
                frame,
            } => self.frame(connection, kind, &frame),
            Shown::Passed {
                number,
                purpose,
                head,
            } => {
                self.passed(number, purpose, &head);
                Ok(())
            }
            Shown::Piece {
                connection,
                bytes,
                ends,
            } => self.frame_piece(connection, &bytes, ends),
            Shown::Stream { refused } => {
                self.stream_began(refused);
                Ok(())
            }
            Shown::Lost {
                connection,
                handling,
                loss,
            } => self.lost(connection, handling, loss),
        }
    }

    /// A reply has ended that went to the client as it came.
    fn passed(&mut self, number: u64, purpose: Purpose, head: &[u8]) {
        match purpose {
            Purpose::Cursor => self.cursor_passed(number, head),
            Purpose::Exec => {
                self.transaction = None;
                self.watch = Watch::Off;
                self.go_back();
            }
            Purpose::Blocked => {
                self.blocked = None;
                self.go_back();
            }
            _ => self.go_back(),
        }
    }

    /// A connection is gone. What the session had on it decides whether it can go on.
    fn lost(
        &mut self,
        connection: Option<u64>,
        handling: Option<Handling>,
        loss: Loss,
    ) -> Result<(), End> {
        match (connection, handling) {
            (Some(connection), _) if self.sides.is_ahead(connection) => {
                self.sides.drop_ahead();
                Ok(())
            }
            (Some(_), _) if self.replica_of.is_some() => Err(End::Lost(loss)),
            // The connection that the session has moved away from.
            (Some(connection), _) if !self.frames.is_on_connection(connection) => Ok(()),
            (
                None,
                Some(
                    Handling::Swallow
                    | Handling::Show(Purpose::Unblock | Purpose::Prepared | Purpose::Number),
                ),
            ) => Ok(()),
            _ => Err(End::Lost(loss)),
        }
    }
}
