//! The way of one request that has consequences, or cannot go now: what it needs, whether it may go, and on which
//! connection. Requests without consequences take the short way, in `runs`.

use std::rc::Rc;

use super::audit::Refused;
use super::private::Got;
use super::relay::{End, Park, Session, Watch};
use super::reply::Client;
use super::ticket::{Handling, Purpose, Ticket};
use super::tracking::is_client_caching;
use crate::command::{Class, Effect, Verdict};
use crate::gate::{Admission, Intent, Permit};
use crate::metrics::ClassLabel;
use crate::resp::encode;
use crate::resp::request::Request;
use crate::terms::Side;
use crate::upstream::Pipeline;

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// It was sent on or answered.
    Done,
    /// It was sent on or answered together with what follows it, up to this many bytes behind its own.
    DoneWith(usize),
    /// It was sent on, and what follows it waits.
    DoneThenPark(Park),
    /// It must wait; it stays where it is.
    Parked(Park),
}

/// One request, classified.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) request: Request<'a>,
    pub(super) verdict: Verdict<'a>,
    /// What was read behind it.
    pub(super) behind: &'a [u8],
    /// Where its bytes lie.
    pub(super) place: Place,
}

/// Where the bytes of a request lie while it is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In the session's inbox.
    Inbox,
    /// In the buffer that all sessions are read into, or in one that was made for it.
    Elsewhere,
}

impl<'a> Asked<'a> {
    /// The request's own bytes.
    pub(super) fn frame(&self) -> &'a [u8] {
        self.request.frame()
    }

    /// Why no server must see this; none where one may. Only of commands with [`Effect::Echo`].
    pub(super) fn spoils_the_reply(&self) -> Option<&'static str> {
        let breaks = |word: &[u8]| word.iter().any(|byte| matches!(byte, b'\r' | b'\n'));
        self.request.arguments().any(breaks).then_some(
            "a line break in a word of FUNCTION LIST is not passed on: some servers' answer to it is no valid reply",
        )
    }
}

impl Session {
    /// The long way: whatever has consequences for the session, and whatever cannot go now.
    pub(super) fn take_the_long_way(&mut self, asked: Asked<'_>) -> Result<Step, End> {
        let verdict = asked.verdict;
        if let Some(side) = self.replica_of {
            return self.as_replica(side, asked);
        }
        if self.transaction.is_some() {
            return self.in_transaction(asked);
        }
        match verdict.effect {
            Effect::None | Effect::Script | Effect::ScriptBySha | Effect::Asking => {
                self.plain(asked)
            }
            Effect::Echo => match asked.spoils_the_reply() {
                Some(text) => Ok(self.refuse_here(text)),
                None => self.plain(asked),
            },
            Effect::Cursor => self.cursor(asked),
            Effect::Quit => Ok(self.quit()),
            Effect::HttpRequest => Err(End::Client),
            Effect::Auth | Effect::Hello | Effect::Select | Effect::Reset | Effect::LibraryInfo => {
                self.change(asked)
            }
            Effect::Multi => self.multi(asked),
            Effect::Watch => self.watch(asked),
            Effect::Exec | Effect::Discard => self.without_multi(asked),
            Effect::Unwatch => self.unwatch(asked),
            Effect::Block => self.block(asked),
            Effect::Subscribe(_)
            | Effect::Unsubscribe(_)
            | Effect::Monitor
            | Effect::ClientTracking => self.subscribe(asked),
            Effect::Pin => self.pin(asked),
            Effect::PinOnce => self.borrow(asked),
            Effect::MaintenanceNotices => {
                let name = String::from_utf8_lossy(asked.request.argument(1).unwrap_or_default())
                    .into_owned();
                let text = format!("-ERR unknown subcommand '{name}'. Try CLIENT HELP.\r\n");
                Ok(self.answer(text.as_bytes()))
            }
            Effect::ClientReply => self.client_reply(asked),
            Effect::Replicate => self.replicate(asked),
        }
    }

    /// A request that any connection can serve.
    pub(super) fn plain(&mut self, asked: Asked<'_>) -> Result<Step, End> {
        if asked.frame().len() >= self.worker.limits().large_request_bytes
            && self.sides.private(Side::Source).is_none()
        {
            return self.borrow(asked);
        }
        self.forward(asked, self.intent_of(asked.verdict), Handling::Relay)
    }

    /// Admits a request and sends it on whatever connection the session has on that side.
    pub(super) fn forward(
        &mut self,
        asked: Asked<'_>,
        intent: Intent,
        handling: Handling,
    ) -> Result<Step, End> {
        let (side, permit) = match self.admit(asked, intent) {
            Ok(admitted) => admitted,
            Err(step) => return Ok(step),
        };
        if intent == Intent::Stay && self.is_left_behind(side) {
            return Ok(self.hold());
        }
        let pipeline = match self.connection_or_step(side)? {
            Ok(pipeline) => pipeline,
            Err(step) => return Ok(step),
        };
        self.note_script(&asked.request, asked.verdict.effect);
        self.count(side, asked.verdict.class);
        self.append_or_hand_over(&pipeline, asked, handling, permit);
        Ok(Step::Done)
    }

    /// Appends one request; a large one as it lies in the inbox, which gives it away as soon as nobody looks at it.
    fn append_or_hand_over(
        &mut self,
        pipeline: &Rc<Pipeline<Client>>,
        asked: Asked<'_>,
        handling: Handling,
        permit: Permit,
    ) {
        let length = asked.frame().len();
        let alone =
            pipeline.unsent_bytes() == 0 && !self.frames.is_on_connection(pipeline.number());
        if asked.place == Place::Inbox && length >= HANDED_OVER_BYTES && alone {
            self.append(pipeline, &[], handling, Some(permit));
            self.handed_over = Some(Box::new((Rc::clone(pipeline), length)));
        } else {
            self.append(pipeline, asked.frame(), handling, Some(permit));
        }
    }

    /// Whatever connection the session has on `side`, with room for one more request; or what becomes of the request
    /// instead.
    pub(super) fn connection_or_step(
        &mut self,
        side: Side,
    ) -> Result<Result<Rc<Pipeline<Client>>, Step>, End> {
        let pipeline = match self.connection(side)? {
            Got::Connection(pipeline) => pipeline,
            Got::Park(park) => return Ok(Err(Step::Parked(park))),
            Got::None(reply) => return Ok(Err(self.answer(&reply))),
        };
        if !self.has_room(&pipeline) {
            return Ok(Err(self.wait_for_room(&pipeline)));
        }
        Ok(Ok(pipeline))
    }

    /// Parks the present request until it is this session's turn on `pipeline`.
    pub(super) fn wait_for_room(&mut self, pipeline: &Pipeline<Client>) -> Step {
        if let Some(waker) = self.client.waker() {
            pipeline.wait(self.asks, waker, &mut self.in_line);
        }
        Step::Parked(Park::Room)
    }

    /// Whether `pipeline` takes one more request.
    pub(super) fn has_room(&self, pipeline: &Pipeline<Client>) -> bool {
        pipeline.outstanding() < self.worker.limits().lane_requests
            && pipeline.unsent_bytes() < self.worker.limits().upstream_bytes
    }

    /// Appends one request that brings one reply.
    pub(super) fn append(
        &mut self,
        pipeline: &Pipeline<Client>,
        frame: &[u8],
        handling: Handling,
        permit: Option<Permit>,
    ) {
        let number = self.client.number(1);
        self.append_as(
            pipeline,
            frame,
            Ticket {
                number,
                handling,
                permit,
                read_at: self.read_at,
                head: Vec::new(),
            },
        );
    }

    /// Appends one request under a number that it already has.
    pub(super) fn append_as(&mut self, pipeline: &Pipeline<Client>, frame: &[u8], ticket: Ticket) {
        self.append_unflushed(pipeline, frame, ticket);
        pipeline.flush_later();
    }

    /// Appends one request of the proxy's own, to leave together with what follows.
    pub(super) fn append_unflushed(
        &mut self,
        pipeline: &Pipeline<Client>,
        frame: &[u8],
        ticket: Ticket,
    ) {
        if self.frames.is_on_connection(pipeline.number()) {
            pipeline.append_unowed(frame);
            self.frames.expect_reply(ticket);
            self.frames.tracking.caching = None;
        } else {
            pipeline.append(frame, &self.client, ticket, 1);
        }
    }

    /// Asks the gate. A refusal is answered here, a hold parks the request.
    pub(super) fn admit(
        &mut self,
        asked: Asked<'_>,
        intent: Intent,
    ) -> Result<(Side, Permit), Step> {
        match self.worker.gate.admit(self.listener.routes, intent) {
            Admission::Forward(side, permit) => Ok((side, permit)),
            Admission::Hold => Err(self.hold()),
            Admission::Refuse => Err(self.refuse(asked)),
        }
    }

    /// Parks the present request until the policy changes.
    pub(super) fn hold(&mut self) -> Step {
        self.held = Some(self.worker.metrics.held());
        if let Some(waker) = self.client.waker() {
            self.worker.gate.wait(waker);
        }
        Step::Parked(Park::Held)
    }

    /// Answers in the request's place.
    pub(super) fn answer(&mut self, reply: &[u8]) -> Step {
        self.client.answer(self.client.number(1), reply);
        Step::Done
    }

    fn refuse(&mut self, asked: Asked<'_>) -> Step {
        let step = self.answer(READONLY);
        self.note_refusal(asked);
        step
    }

    pub(super) fn note_refusal(&self, asked: Asked<'_>) {
        self.worker
            .metrics
            .refused(self.listener.id, asked.verdict.id.0);
        self.worker.audit.refused(&Refused {
            listener: &self.listener.name,
            client: self.client.stream().peer(),
            name: self.who.name.as_deref(),
            command: asked.request.name(),
            key: asked
                .verdict
                .command
                .and_then(|command| crate::command::keys::keys(command, &asked.request).next()),
        });
    }

    pub(super) fn refuse_here(&mut self, text: &str) -> Step {
        self.answer(format!("-ERR handover: {text}\r\n").as_bytes())
    }

    pub(super) fn quit(&mut self) -> Step {
        self.answer(b"+OK\r\n");
        Step::Parked(self.end())
    }

    /// Ends the session once every request so far has its reply.
    pub(super) fn end(&mut self) -> Park {
        if self.client.unanswered() == 0 {
            self.client.signal();
        } else {
            self.client.signal_when_answered();
        }
        Park::End
    }

    /// A command that leaves something on the connection: the session keeps it from now on.
    fn pin(&mut self, asked: Asked<'_>) -> Result<Step, End> {
        let intent = if self.may_write(asked.verdict.class) {
            Intent::Write
        } else {
            Intent::Stay
        };
        let (side, permit) = match self.admit(asked, intent) {
            Ok(admitted) => admitted,
            Err(step) => return Ok(step),
        };
        if self.is_left_behind(side) {
            return Ok(self.hold());
        }
        let pipeline = match self.private_connection(side)? {
            Got::Connection(pipeline) => pipeline,
            Got::Park(park) => return Ok(Step::Parked(park)),
            Got::None(reply) => return Ok(self.answer(&reply)),
        };
        self.sides.pinned = true;
        // A bad name is refused by the server, and again when it is replayed.
        self.who = self.who_after(&asked.request, Effect::Pin);
        self.count(side, asked.verdict.class);
        self.append(&pipeline, asked.frame(), Handling::Relay, Some(permit));
        if is_client_caching(&asked.request) {
            self.frames.tracking.caching = Some(asked.frame().to_vec());
        }
        Ok(Step::Done)
    }

    /// A request that gets a private connection for its duration.
    fn borrow(&mut self, asked: Asked<'_>) -> Result<Step, End> {
        let (side, permit) = match self.admit(asked, self.intent_of(asked.verdict)) {
            Ok(admitted) => admitted,
            Err(step) => return Ok(step),
        };
        let pipeline = match self.private_connection(side)? {
            Got::Connection(pipeline) => pipeline,
            Got::Park(park) => return Ok(Step::Parked(park)),
            Got::None(reply) => return Ok(self.answer(&reply)),
        };
        self.count(side, asked.verdict.class);
        self.append_or_hand_over(&pipeline, asked, Handling::Pass(Purpose::Borrowed), permit);
        Ok(Step::DoneThenPark(Park::Reply))
    }

    /// The reply of a borrowed connection: it goes to the client, and the connection back.
    pub(super) fn give_back(&mut self, number: u64, reply: &[u8]) {
        self.client.answer(number, reply);
        self.go_back();
    }

    /// What the session had a connection for has been answered.
    pub(super) fn go_back(&mut self) {
        self.park = None;
        self.release_private();
    }

    /// What the request means to do, with what the session is in the middle of considered.
    pub(super) fn intent_of(&self, verdict: Verdict<'_>) -> Intent {
        match self.intent(verdict.class) {
            Intent::Read if self.watch != Watch::Off => Intent::Stay,
            intent => intent,
        }
    }

    /// What a class of commands means to do.
    pub(super) fn intent(&self, class: Class) -> Intent {
        if self.may_write(class) {
            Intent::Write
        } else {
            Intent::Read
        }
    }

    /// Whether a command of this class may write, as far as this listener is concerned.
    pub(super) fn may_write(&self, class: Class) -> bool {
        class.may_write() || class == Class::Script && self.listener.routes.scripts_may_write()
    }

    pub(super) fn count(&self, side: Side, class: Class) {
        self.worker
            .metrics
            .requests(self.listener.id, side, label(class), 1);
    }
}

/// From this size on a request's own buffer goes to the connection, instead of a copy.
const HANDED_OVER_BYTES: usize = 64 << 10;
/// What a write through a listener with `writes = "refuse"` is told.
pub(super) const READONLY: &[u8] =
    b"-READONLY handover: this endpoint takes no writes until the migration's cutover has committed\r\n";
fn label(class: Class) -> ClassLabel {
    match class {
        Class::Read | Class::Script => ClassLabel::Read,
        Class::Write => ClassLabel::Write,
        Class::Admin => ClassLabel::Admin,
        Class::Session => ClassLabel::Session,
        Class::Subscribe => ClassLabel::Subscribe,
        Class::Inspect => ClassLabel::Inspect,
    }
}

/// An error reply with the server's own prefix.
pub(super) fn error_reply(text: &str) -> Vec<u8> {
    let mut reply = Vec::with_capacity(text.len() + 3);
    encode::error(text, &mut reply);
    reply
}
