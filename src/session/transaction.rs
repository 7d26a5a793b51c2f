//! MULTI … EXEC. A transaction that is whole in what was read goes out in one piece on a shared lane. Any other gets a
//! private connection, and what it queues is remembered, so that it can be queued again on the other side.

mod memory;

use std::ops::ControlFlow;
use std::rc::Rc;

pub(super) use self::memory::Transaction;
use super::mute::Replies;
use super::private::Got;
use super::relay::{End, Park, Session, Watch};
use super::reply::Client;
use super::route::{Asked, READONLY, Step};
use super::ticket::{Handling, Purpose, Ticket};
use crate::command::{Attention, Effect};
use crate::gate::{Admission, Intent};
use crate::resp::encode;
use crate::resp::request::{self, Form, Request, Scanned};
use crate::terms::Side;
use crate::upstream::Pipeline;

/// A private connection and the side it goes to.
type OnSide = (Side, Rc<Pipeline<Client>>);

impl Session {
    /// MULTI.
    pub(super) fn multi(&mut self, asked: Asked<'_>) -> Result<Step, End> {
        if self.watch == Watch::Off
            && self.client.replies() != Replies::SkipOne
            && let ControlFlow::Break(step) = self.whole_transaction(asked)?
        {
            return Ok(step);
        }
        if asked.request.len() != 1 {
            return self.plain(asked);
        }
        let (side, pipeline) = match self.stay(asked)? {
            ControlFlow::Continue(connection) => connection,
            ControlFlow::Break(step) => return Ok(step),
        };
        self.count(side, asked.verdict.class);
        let handling = Handling::Show(Purpose::Multi(side));
        self.append(&pipeline, asked.frame(), handling, None);
        Ok(Step::DoneThenPark(Park::Reply))
    }

    /// The server's word about MULTI: it refuses those who may not, and sessions with subscriptions in RESP2.
    pub(super) fn multi_answered(&mut self, number: u64, side: Side, reply: &[u8]) {
        if reply.starts_with(b"-") {
            self.give_back(number, reply);
            return;
        }
        let gauge = self.worker.metrics.in_transaction();
        self.transaction = Some(Box::new(Transaction::open(side, gauge)));
        self.client.answer(number, reply);
        self.park = None;
        // The session may have moved meanwhile.
        let here = side.other();
        if self.sides.private(side).is_none()
            && let Some(private) = self.sides.private(here)
        {
            let pipeline = Rc::clone(&private.pipeline);
            self.requeue(here, &pipeline);
        }
    }

    /// A private connection to the active side, for what does not write but belongs there.
    pub(super) fn stay(&mut self, asked: Asked<'_>) -> Result<ControlFlow<Step, OnSide>, End> {
        let side = match self.admit(asked, Intent::Stay) {
            Ok((side, _)) => side,
            Err(step) => return Ok(ControlFlow::Break(step)),
        };
        if self.is_left_behind(side) {
            return Ok(ControlFlow::Break(self.hold()));
        }
        Ok(match self.private_connection(side)? {
            Got::Connection(pipeline) => ControlFlow::Continue((side, pipeline)),
            Got::Park(park) => ControlFlow::Break(Step::Parked(park)),
            Got::None(reply) => ControlFlow::Break(self.answer(&reply)),
        })
    }

    /// Sends a transaction in one piece, if all of it was read and nothing in it changes the session.
    fn whole_transaction(&mut self, asked: Asked<'_>) -> Result<ControlFlow<Step>, End> {
        let Some(rest) = self.measure(asked) else {
            return Ok(ControlFlow::Continue(()));
        };
        if asked.frame().len() + rest.length >= self.worker.limits().large_request_bytes {
            return Ok(ControlFlow::Continue(()));
        }
        let intent = if rest.writes {
            Intent::Write
        } else {
            Intent::Stay
        };
        let (side, permit) = match self.worker.gate.admit(self.listener.routes, intent) {
            Admission::Forward(side, permit) => (side, permit),
            Admission::Hold => return Ok(ControlFlow::Break(self.hold())),
            // Each write in it is told so by itself.
            Admission::Refuse => return Ok(ControlFlow::Continue(())),
        };
        if self.frames.is_on() || self.is_left_behind(side) {
            return Ok(ControlFlow::Continue(()));
        }
        let pipeline = match self.connection(side)? {
            Got::Connection(pipeline) => pipeline,
            Got::Park(park) => return Ok(ControlFlow::Break(Step::Parked(park))),
            Got::None(reply) => {
                for _ in 0..=rest.requests {
                    self.answer(&reply);
                }
                return Ok(ControlFlow::Break(Step::DoneWith(rest.length)));
            }
        };
        let count = 1 + rest.requests;
        let ticket = Ticket {
            number: self.client.number(u64::from(count)),
            handling: Handling::Relay,
            permit: Some(permit),
            read_at: self.read_at,
            head: Vec::new(),
        };
        pipeline.append_unowed(asked.frame());
        pipeline.append(&asked.behind[..rest.length], &self.client, ticket, count);
        pipeline.flush_later();
        self.count(side, asked.verdict.class);
        if rest.scripts {
            self.note_scripts(&asked.behind[..rest.length]);
        }
        self.show_whole_transaction(&asked.behind[..rest.length], rest.attention);
        Ok(ControlFlow::Break(Step::DoneWith(rest.length)))
    }

    /// Looks ahead for the EXEC or DISCARD that ends a transaction.
    fn measure(&self, asked: Asked<'_>) -> Option<Rest> {
        let table = self.worker.table.load();
        let mut rest = Rest {
            length: 0,
            requests: 0,
            writes: false,
            scripts: false,
            attention: Attention::Pass,
        };
        if asked.request.len() != 1 {
            return None;
        }
        while rest.requests < WHOLE_REQUESTS_MAX {
            let input = &asked.behind[rest.length..];
            let mut scanner = request::Scanner::default();
            let Ok(Scanned::Request(shape)) = scanner.scan(input, &request::Limits::redis()) else {
                return None;
            };
            if shape.form != Form::Canonical {
                return None;
            }
            let request = Request::new(&input[..shape.length], &shape);
            let verdict = table.classify(&request);
            rest.length += shape.length;
            rest.requests += 1;
            if verdict.attention() == Attention::Look {
                rest.attention = Attention::Look;
            }
            match verdict.effect {
                Effect::Exec | Effect::Discard => return (request.len() == 1).then_some(rest),
                // A command that blocks does not, inside a transaction; but the server may refuse the MULTI.
                Effect::None | Effect::Script | Effect::ScriptBySha => {
                    rest.writes |= self.may_write(verdict.class);
                    rest.scripts |= verdict.effect == Effect::Script;
                }
                _ => return None,
            }
        }
        None
    }

    /// Anything between MULTI and EXEC.
    pub(super) fn in_transaction(&mut self, asked: Asked<'_>) -> Result<Step, End> {
        match asked.verdict.effect {
            Effect::Exec => return self.exec(asked),
            Effect::Discard => return self.discard(asked),
            Effect::Reset => return self.change(asked),
            Effect::Quit => return Ok(self.quit()),
            Effect::HttpRequest => return Err(End::Client),
            _ => {}
        }
        if let Some(text) = self.impossible_in_transaction(asked) {
            if let Some(transaction) = &mut self.transaction {
                transaction.aborted = true;
            }
            return Ok(self.refuse_here(text));
        }
        let (active, permit) = match self
            .worker
            .gate
            .admit(self.listener.routes, self.intent(asked.verdict.class))
        {
            // A read in a transaction goes where the transaction is, whatever the listener's route of reads.
            Admission::Forward(_, permit) => (self.worker.gate.policy().active, permit),
            Admission::Hold => return Ok(self.hold()),
            Admission::Refuse => {
                if let Some(transaction) = &mut self.transaction {
                    transaction.aborted = true;
                }
                self.note_refusal(asked);
                return Ok(self.answer(READONLY));
            }
        };
        let Some(transaction) = &mut self.transaction else {
            return Ok(Step::Done);
        };
        let side = transaction.side;
        if side != active {
            return Ok(self.hold());
        }
        if asked.verdict.effect == Effect::ClientTracking && !self.frames.is_on() {
            // What it brings are no replies. None may be owed when that begins.
            if self.client.unanswered() > 0 {
                self.client.signal_when_answered();
                return Ok(Step::Parked(Park::Order));
            }
            match self.private_connection(side)? {
                Got::Connection(pipeline) => self.enter_frames(&pipeline),
                Got::Park(park) => return Ok(Step::Parked(park)),
                Got::None(reply) => return Ok(self.answer(&reply)),
            }
        }
        self.note_script(&asked.request, asked.verdict.effect);
        let Some(transaction) = &mut self.transaction else {
            return Ok(Step::Done);
        };
        transaction.remember(asked, self.worker.limits().transaction_bytes);
        let pipeline = match self.private_connection(side)? {
            Got::Connection(pipeline) => pipeline,
            Got::Park(park) => return Ok(Step::Parked(park)),
            Got::None(reply) => return Ok(self.answer(&reply)),
        };
        self.count(side, asked.verdict.class);
        // Queueing writes nothing, but a side that is being fenced refuses to queue a write: in flight until answered.
        self.append(&pipeline, asked.frame(), Handling::Relay, Some(permit));
        Ok(Step::Done)
    }

    fn exec(&mut self, asked: Asked<'_>) -> Result<Step, End> {
        let Some(transaction) = &self.transaction else {
            return self.plain(asked);
        };
        if transaction.aborted {
            return Ok(self.end_transaction(EXECABORT));
        }
        let (queued_on, writes) = (transaction.side, transaction.writes);
        // Where the session changes with it, the whole reply tells how.
        let handling = if transaction.changes.is_empty() {
            Handling::Pass(Purpose::Exec)
        } else {
            Handling::Show(Purpose::Exec)
        };
        let intent = if writes { Intent::Write } else { Intent::Stay };
        let (side, permit) = match self.admit(asked, intent) {
            Ok(admitted) => admitted,
            Err(step) => return Ok(step),
        };
        if side != queued_on {
            return Ok(self.hold());
        }
        if self.watch == Watch::Tainted {
            let mut null = Vec::new();
            encode::null_array(self.who.protocol, &mut null);
            return Ok(self.end_transaction(&null));
        }
        let pipeline = match self.private_connection(side)? {
            Got::Connection(pipeline) => pipeline,
            Got::Park(park) => return Ok(Step::Parked(park)),
            Got::None(reply) => return Ok(self.answer(&reply)),
        };
        self.count(side, asked.verdict.class);
        self.append(&pipeline, asked.frame(), handling, Some(permit));
        Ok(Step::DoneThenPark(Park::Reply))
    }

    /// The reply of EXEC.
    pub(super) fn executed(&mut self, number: u64, reply: &[u8]) {
        if let Some(transaction) = self.transaction.take() {
            self.take_over(&transaction.changes, reply);
        }
        self.watch = Watch::Off;
        self.give_back(number, reply);
    }

    fn discard(&mut self, asked: Asked<'_>) -> Result<Step, End> {
        let Some(transaction) = &self.transaction else {
            return self.plain(asked);
        };
        let side = transaction.side;
        if side != self.worker.gate.policy().active {
            return Ok(self.hold());
        }
        let pipeline = match self.private_connection(side)? {
            Got::Connection(pipeline) => pipeline,
            Got::Park(park) => return Ok(Step::Parked(park)),
            Got::None(reply) => return Ok(self.answer(&reply)),
        };
        self.append(
            &pipeline,
            asked.frame(),
            Handling::Show(Purpose::Unwatch),
            None,
        );
        Ok(Step::DoneThenPark(Park::Reply))
    }

    /// EXEC or DISCARD without MULTI: the server's own error.
    pub(super) fn without_multi(&mut self, asked: Asked<'_>) -> Result<Step, End> {
        self.forward(asked, Intent::Stay, Handling::Relay)
    }

    /// WATCH.
    pub(super) fn watch(&mut self, asked: Asked<'_>) -> Result<Step, End> {
        let (side, pipeline) = match self.stay(asked)? {
            ControlFlow::Continue(connection) => connection,
            ControlFlow::Break(step) => return Ok(step),
        };
        self.count(side, asked.verdict.class);
        self.append(&pipeline, asked.frame(), Handling::Relay, None);
        if self.watch == Watch::Off {
            self.watch = Watch::On;
        }
        Ok(Step::Done)
    }

    /// UNWATCH outside of a transaction.
    pub(super) fn unwatch(&mut self, asked: Asked<'_>) -> Result<Step, End> {
        if self.watch == Watch::Off {
            return self.forward(asked, Intent::Stay, Handling::Relay);
        }
        let step = self.forward(asked, Intent::Stay, Handling::Show(Purpose::Unwatch))?;
        Ok(if step == Step::Done {
            Step::DoneThenPark(Park::Reply)
        } else {
            step
        })
    }

    /// The reply of DISCARD or UNWATCH.
    pub(super) fn unwatched(&mut self, number: u64, reply: &[u8]) {
        if !reply.starts_with(b"-") {
            self.transaction = None;
            self.watch = Watch::Off;
        }
        self.give_back(number, reply);
    }

    /// Drops the transaction upstream and answers EXEC here.
    fn end_transaction(&mut self, reply: &[u8]) -> Step {
        if let Some(transaction) = self.transaction.take()
            && let Some(private) = self.sides.private(transaction.side)
        {
            let pipeline = Rc::clone(&private.pipeline);
            let ticket = self.own_ticket(Handling::Swallow);
            self.append_as(&pipeline, &encode::command_vec(&[b"DISCARD"]), ticket);
        }
        self.watch = Watch::Off;
        let step = self.answer(reply);
        self.release_private();
        step
    }
}

/// What follows a MULTI up to its EXEC.
struct Rest {
    length: usize,
    requests: u32,
    writes: bool,
    /// Some of it carries scripts.
    scripts: bool,
    /// Whether any of it is worth a look.
    attention: Attention,
}

/// Requests that are looked through for an EXEC; a longer transaction gets a connection of its own.
const WHOLE_REQUESTS_MAX: u32 = 512;
/// What EXEC gives when something in the transaction could not be queued; Redis's own words.
const EXECABORT: &[u8] = b"-EXECABORT Transaction discarded because of previous errors.\r\n";
