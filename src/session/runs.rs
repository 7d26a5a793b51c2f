//! The short way: requests without consequences, in runs. Those that stand one behind the other in what was read and go
//! to the same connection are appended with one copy and leave one entry behind.
//!
//! Whatever is not that simple takes the long way, in `route`.

use std::rc::Rc;

use bytes::{Buf, BytesMut};

use super::mute::Replies;
use super::private::Got;
use super::relay::{End, Park, Session, Watch};
use super::reply::Client;
use super::route::{Asked, Place, Step};
use super::ticket::{Handling, Ticket};
use crate::command::{Effect, Table, Verdict};
use crate::gate::{Admission, Permit};
use crate::metrics::ClientError;
use crate::resp::request::{self, Form, Request, Scanned};
use crate::terms::Side;
use crate::upstream::{Asks, Pipeline};

/// Requests that go out together.
struct Run {
    pipeline: Rc<Pipeline<Client>>,
    side: Side,
    start: usize,
    end: usize,
    count: u32,
    permit: Permit,
}

impl Session {
    /// Looks at what was read before.
    pub(super) fn pump_inbox(&mut self) -> Result<(), End> {
        if self.inbox.is_empty() {
            return Ok(());
        }
        let mut inbox = std::mem::take(&mut self.inbox);
        let outcome = self.pump_all(&mut inbox);
        if outcome.is_ok() && !inbox.is_empty() {
            self.inbox = inbox;
        }
        outcome
    }

    /// Looks at everything in `inbox`, which loses what was sent on.
    fn pump_all(&mut self, inbox: &mut BytesMut) -> Result<(), End> {
        loop {
            let used = self.pump(inbox, Place::Inbox)?;
            let Some(handed_over) = self.handed_over.take() else {
                inbox.advance(used);
                return Ok(());
            };
            let (pipeline, length) = *handed_over;
            inbox.advance(used - length);
            pipeline.append_taken(inbox.split_to(length));
            if self.park.is_some() || inbox.is_empty() {
                return Ok(());
            }
        }
    }

    /// Sends on what is whole in `input`; gives how much of it is done with. What is left waits for more bytes, or is
    /// parked.
    pub(super) fn pump(&mut self, input: &[u8], place: Place) -> Result<usize, End> {
        let table = self.worker.table.load_full();
        let mut run: Option<Run> = None;
        let mut at = 0;
        let outcome = loop {
            if self.is_full() {
                self.park = Some(Park::Room);
                break Ok(());
            }
            let shape = match self.scan(&input[at..]) {
                Ok(Scanned::Incomplete) => break Ok(()),
                Ok(Scanned::Empty { length }) => {
                    at += length;
                    continue;
                }
                Ok(Scanned::Request(shape)) => shape,
                Err(error) => {
                    // Its place is behind the replies of what came before it.
                    self.send(input, run.take());
                    self.worker.metrics.client_error(ClientError::Protocol);
                    self.answer(&error.client_text());
                    self.park = Some(self.end());
                    at = input.len();
                    break Ok(());
                }
            };
            let frame = &input[at..at + shape.length];
            if shape.form == Form::Canonical {
                let request = Request::new(frame, &shape);
                let verdict = table.classify(&request);
                match self.extend(&mut run, at, &request, verdict) {
                    Ok(true) => {
                        self.show(&request, verdict);
                        at += shape.length;
                        continue;
                    }
                    Ok(false) => {}
                    Err(end) => break Err(end),
                }
            }
            self.send(input, run.take());
            self.asks = if at + shape.length == input.len() {
                Asks::Once
            } else {
                Asks::More
            };
            let step = match shape.form {
                Form::Canonical => {
                    let request = Request::new(frame, &shape);
                    let verdict = table.classify(&request);
                    self.handle(Asked {
                        request,
                        verdict,
                        behind: &input[at + shape.length..],
                        place,
                    })
                }
                Form::Loose | Form::Inline => self.handle_rewritten(&table, frame, &shape),
            };
            match step {
                Ok(Step::Done) => {
                    at += shape.length;
                    if self.handed_over.is_some() {
                        break Ok(());
                    }
                }
                Ok(Step::DoneWith(more)) => at += shape.length + more,
                Ok(Step::DoneThenPark(park)) => {
                    self.park = Some(park);
                    at += shape.length;
                    break Ok(());
                }
                Ok(Step::Parked(park)) => {
                    self.park = Some(park);
                    self.rescan();
                    break Ok(());
                }
                Err(end) => break Err(end),
            }
        };
        self.send(input, run);
        outcome.map(|()| at)
    }

    /// Adds a request without consequences to the run; false where it needs the long way.
    fn extend(
        &mut self,
        run: &mut Option<Run>,
        at: usize,
        request: &Request<'_>,
        verdict: Verdict<'_>,
    ) -> Result<bool, End> {
        let length = request.frame().len();
        let plain = matches!(
            verdict.effect,
            Effect::None | Effect::ScriptBySha | Effect::Script
        );
        if !plain || self.is_stateful() || length >= self.worker.limits().large_request_bytes {
            return Ok(false);
        }
        let Admission::Forward(side, permit) = self
            .worker
            .gate
            .admit(self.listener.routes, self.intent(verdict.class))
        else {
            return Ok(false);
        };
        if let Some(run) = run
            && run.side == side
            && run.end == at
            && run.pipeline.outstanding() + (run.count as usize)
                < self.worker.limits().lane_requests
        {
            return Ok(match run.permit.absorb(permit) {
                Ok(()) => {
                    self.note_script(request, verdict.effect);
                    run.end = at + length;
                    run.count += 1;
                    self.count(side, verdict.class);
                    true
                }
                Err(_) => false,
            });
        }
        if run.is_some() {
            return Ok(false);
        }
        let Got::Connection(pipeline) = self.connection(side)? else {
            return Ok(false);
        };
        if !self.has_room(&pipeline) {
            return Ok(false);
        }
        self.note_script(request, verdict.effect);
        self.count(side, verdict.class);
        *run = Some(Run {
            pipeline,
            side,
            start: at,
            end: at + length,
            count: 1,
            permit,
        });
        Ok(true)
    }

    fn send(&mut self, input: &[u8], run: Option<Run>) {
        let Some(Run {
            pipeline,
            side: _,
            start,
            end,
            count,
            permit,
        }) = run
        else {
            return;
        };
        let ticket = Ticket {
            number: self.client.number(u64::from(count)),
            handling: Handling::Relay,
            permit: Some(permit),
            read_at: self.read_at,
            head: Vec::new(),
        };
        pipeline.append(&input[start..end], &self.client, ticket, count);
        pipeline.flush_later();
    }

    /// A request whose framing is not the one that is sent on: it is written anew, so that the server reads in it what
    /// was classified.
    fn handle_rewritten(
        &mut self,
        table: &Table,
        frame: &[u8],
        shape: &request::Shape,
    ) -> Result<Step, End> {
        let canonical =
            request::canonical(frame, shape).map_err(|error| End::Protocol(error.client_text()))?;
        let mut scanner = request::Scanner::default();
        if shape.form == Form::Inline && self.sides.is_unauthenticated() {
            // Redis sets no bounds to a line that it would refuse anyway; as an array it would end the connection.
            let bounded = scanner.scan(&canonical, &request::Limits::unauthenticated());
            if bounded.is_err() {
                return Ok(self.answer(NOAUTH));
            }
            scanner = request::Scanner::default();
        }
        match scanner.scan(&canonical, &request::Limits::redis()) {
            Ok(Scanned::Request(shape)) if shape.form == Form::Canonical => {
                let request = Request::new(&canonical, &shape);
                let verdict = table.classify(&request);
                self.handle(Asked {
                    request,
                    verdict,
                    behind: &[],
                    place: Place::Elsewhere,
                })
            }
            // Nothing but blanks: Redis answers nothing.
            Ok(_) => Ok(Step::Done),
            Err(error) => Err(End::Protocol(error.client_text())),
        }
    }

    fn is_stateful(&self) -> bool {
        self.transaction.is_some()
            || self.watch != Watch::Off
            || self.frames.is_on()
            || self.replica_of.is_some()
            || self.client.replies() == Replies::SkipOne
    }

    /// Whether the session has as many requests without a reply, or replies not taken, as it may.
    fn is_full(&mut self) -> bool {
        let requests_max = self.worker.limits().session_requests as u64;
        let full = self.client.unanswered() >= requests_max || self.client.is_full();
        if full {
            self.client.signal_when_answered();
        }
        full
    }
}

/// Redis's own words.
const NOAUTH: &[u8] = b"-NOAUTH Authentication required.\r\n";
