//! Commands that block: each has a private connection for its duration. Where the session must leave the side it waits
//! on, the command is ended there with CLIENT UNBLOCK and issued again with the time that is left. If it was served in
//! that instant, its reply is delivered: an element that was popped is never popped for nobody.

use std::time::{Duration, Instant};

use bytes::BytesMut;

use super::private::Got;
use super::relay::{End, Park, Session};
use super::reply::Client;
use super::route::{Asked, Step};
use super::ticket::{Handling, Purpose, Ticket};
use crate::command::blocking::{Limit, time_limit, with_time_left};
use crate::gate::Intent;
use crate::metrics::Gauge;
use crate::resp::encode;
use crate::resp::request::{Limits, Request, Scanned, Scanner};
use crate::terms::Side;
use crate::upstream::{LaneKey, LaneState, Pipeline, Setup};

/// A command that blocks.
pub(super) struct Blocked {
    /// As the client sent it.
    request: Vec<u8>,
    /// The number of the request.
    number: u64,
    /// When it began to wait.
    since: Instant,
    /// How long it may.
    limit: Option<Limit>,
    /// Where it waits.
    side: Side,
    /// The server's handle for the connection it waits on.
    client_id: Option<i64>,
    /// How far its release has come.
    release: Release,
    /// WAIT and WAITAOF answer with a number, whatever ended them.
    answers_number: bool,
    _gauge: Gauge,
}

/// How far a release has come.
enum Release {
    /// Nobody wants it.
    No,
    /// CLIENT UNBLOCK is under way.
    Asked,
    /// The server did not find it blocked; it is asked again after a moment.
    Again,
    /// It is off the side: this is the reply that ended it.
    Done(BytesMut),
    /// It was issued again, and is not known to have been read.
    Reissued,
}

impl Session {
    /// A command that blocks.
    pub(super) fn block(&mut self, asked: Asked<'_>) -> Result<Step, End> {
        if self.client.unanswered() > 0 {
            self.client.signal_when_answered();
            return Ok(Step::Parked(Park::Order));
        }
        let intent = if self.may_write(asked.verdict.class) {
            Intent::WaitAndWrite
        } else {
            Intent::Wait
        };
        let (side, permit) = match self.admit(asked, intent) {
            Ok(admitted) => admitted,
            Err(step) => return Ok(step),
        };
        let pipeline = match self.private_connection(side)? {
            Got::Connection(pipeline) => pipeline,
            Got::Park(park) => return Ok(Step::Parked(park)),
            Got::None(reply) => return Ok(self.answer(&reply)),
        };
        let answers_number = asked.request.name().len() >= 4
            && asked.request.name()[..4].eq_ignore_ascii_case(b"WAIT");
        if answers_number {
            // WAIT is about what was written before the last command of its own connection. The session's writes came
            // on a lane and have been answered; a command on this connection makes WAIT cover them.
            let ticket = self.own_ticket(Handling::Swallow);
            self.append_unflushed(&pipeline, &encode::command_vec(&[b"PING"]), ticket);
        }
        self.count(side, asked.verdict.class);
        let number = self.client.number(1);
        self.blocked = Some(Box::new(Blocked {
            request: asked.frame().to_vec(),
            number,
            since: Instant::now(),
            limit: time_limit(&asked.request),
            side,
            client_id: pipeline.client_id(),
            release: Release::No,
            answers_number,
            _gauge: self.worker.metrics.blocked(),
        }));
        let handling = Handling::Pass(Purpose::Blocked);
        let ticket = Ticket {
            number,
            handling,
            permit: Some(permit),
            read_at: self.read_at,
            head: Vec::new(),
        };
        self.append_as(&pipeline, asked.frame(), ticket);
        Ok(Step::DoneThenPark(Park::Reply))
    }

    /// Its reply, whatever brought it about.
    pub(super) fn unblocked(&mut self, number: u64, reply: &[u8]) {
        if let Some(blocked) = &mut self.blocked
            && matches!(blocked.release, Release::Asked | Release::Again)
            && !blocked.answers_number
            && is_null(reply)
        {
            blocked.release = Release::Done(reply.into());
            return;
        }
        self.blocked = None;
        self.give_back(number, reply);
    }

    /// Whether a command waits that may do so beyond `moment`.
    pub(super) fn waits_beyond(&self, moment: Instant) -> bool {
        self.blocked.as_ref().is_some_and(|it| match it.limit {
            Some(Limit::For(limit)) => it.since.checked_add(limit).is_none_or(|end| end > moment),
            Some(Limit::Forever) | None => true,
        })
    }

    /// Whether the session's command waits nowhere any more, and has no reply.
    pub(super) fn was_released(&self) -> bool {
        let release = self.blocked.as_ref().map(|blocked| &blocked.release);
        matches!(release, Some(Release::Done(_)))
    }

    /// Ends the command on the side it waits on.
    pub(super) fn release_blocked(&mut self) {
        let Some(blocked) = &mut self.blocked else {
            return;
        };
        if matches!(blocked.release, Release::Asked | Release::Done(_)) {
            return;
        }
        let side = blocked.side;
        let Some(client_id) = blocked.client_id else {
            self.worker.gate.complain(format!(
                "the {side} does not tell connections apart: CLIENT ID was refused"
            ));
            return;
        };
        let server = self.worker.lanes.server(side);
        let own = LaneKey {
            side,
            setup: Setup {
                identity: server.identity.clone(),
                ..Setup::default()
            },
        };
        let lane = self.worker.lanes.lane(&own);
        match self.worker.lanes.look(&lane) {
            LaneState::Up(pipeline) => {
                blocked.release = Release::Asked;
                let request =
                    encode::command_vec(&[b"CLIENT", b"UNBLOCK", client_id.to_string().as_bytes()]);
                pipeline.append(
                    &request,
                    &self.client,
                    self.own_ticket(Handling::Show(Purpose::Unblock)),
                    1,
                );
                pipeline.flush_later();
            }
            LaneState::Connecting => {
                if let Some(waker) = self.client.waker() {
                    lane.wait(waker);
                }
            }
            LaneState::Failed(error) => {
                self.worker.gate.complain(format!(
                    "blocked commands cannot be released on the {side}: {error}"
                ));
            }
        }
    }

    /// What CLIENT UNBLOCK said.
    pub(super) fn unblock_answered(&mut self, reply: &[u8]) {
        let Some(blocked) = &mut self.blocked else {
            return;
        };
        if !matches!(blocked.release, Release::Asked) || reply.starts_with(b":1") {
            return;
        }
        if let Some(text) = reply.strip_prefix(b"-") {
            let text = String::from_utf8_lossy(text).trim().to_owned();
            let side = blocked.side;
            self.worker
                .gate
                .complain(format!("CLIENT UNBLOCK was refused on the {side}: {text}"));
            if self.leaving.is_some() {
                // Nobody takes the refusal back meanwhile: it waits for its reply, or until there is no more time.
                return;
            }
        }
        blocked.release = Release::Again;
        self.look_again();
    }

    /// The answer to what was sent ahead of a command that was issued again: it has been read.
    pub(super) fn waits_again(&mut self) {
        if let Some(blocked) = &mut self.blocked {
            blocked.release = Release::No;
        }
    }

    /// Issues a released command again on `side`. True once it blocks there, or has no need to.
    pub(super) fn block_again(&mut self, side: Side, pipeline: &Pipeline<Client>) -> bool {
        let Some(blocked) = &mut self.blocked else {
            return true;
        };
        let Release::Done(ended) = &blocked.release else {
            return !matches!(blocked.release, Release::Reissued);
        };
        if self.leaving.is_some() {
            return true;
        }
        let left = match blocked.limit {
            Some(Limit::For(limit)) => match limit.checked_sub(blocked.since.elapsed()) {
                Some(left) if !left.is_zero() => Some(left),
                _ => {
                    // Its time ran out meanwhile: this is the reply it would have had.
                    let (number, reply) = (blocked.number, ended.clone());
                    self.blocked = None;
                    self.give_back(number, &reply);
                    return true;
                }
            },
            Some(Limit::Forever) | None => None,
        };
        let request = match left {
            Some(left) => shortened(&blocked.request, left),
            None => blocked.request.clone(),
        };
        blocked.release = Release::Reissued;
        blocked.side = side;
        blocked.client_id = pipeline.client_id();
        let number = blocked.number;
        let permit = Some(self.worker.gate.readmit());
        // The answer to this one proves that the other has been read: both are in one write.
        let ahead = self.own_ticket(Handling::Show(Purpose::Prepared));
        self.append_unflushed(pipeline, &encode::command_vec(&[b"PING"]), ahead);
        let handling = Handling::Pass(Purpose::Blocked);
        let ticket = Ticket {
            number,
            handling,
            permit,
            read_at: self.read_at,
            head: Vec::new(),
        };
        self.append_unflushed(pipeline, &request, ticket);
        pipeline.flush_later();
        false
    }
}

/// A nil of any kind: what a command that was not served gives.
fn is_null(reply: &[u8]) -> bool {
    matches!(reply, b"*-1\r\n" | b"$-1\r\n" | b"_\r\n")
}

/// The same request with the time that is left.
fn shortened(frame: &[u8], left: Duration) -> Vec<u8> {
    match Scanner::default().scan(frame, &Limits::redis()) {
        Ok(Scanned::Request(shape)) => with_time_left(&Request::new(frame, &shape), left),
        _ => frame.to_vec(),
    }
}
