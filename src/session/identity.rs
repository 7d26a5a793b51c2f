//! AUTH, HELLO, SELECT, RESET, CLIENT SETINFO: requests that change who a session is to the database. The database
//! decides each of them; the proxy never does. The connection that answered becomes one for the new state.
//!
//! Invariant: a session is only whom a database has said it is. What an error leaves open is closed with the connection.

use std::rc::Rc;

use super::Auth;
use super::hello::{Hello, IfRefused};
use super::mapping::{self, Mapped};
use super::mute::Replies;
use super::private::Got;
use super::relay::{End, Park, Session, Watch};
use super::reply::Client;
use super::route::{Asked, Step, error_reply};
use super::ticket::{Handling, Purpose, Ticket};
use super::who::Who;
use crate::command::Effect;
use crate::gate::{Intent, Stage};
use crate::resp::encode::{self, Protocol};
use crate::resp::request::Request;
use crate::terms::{Identity, Secret, Side};
use crate::upstream::Pipeline;

/// A change that waits for the server's word.
pub(super) struct Change {
    /// Who the session is if the server agrees.
    pub(super) who: Who,
    /// Where it was asked.
    pub(super) side: Side,
    /// A password came with it.
    authenticates: bool,
    /// What kind of request it is.
    effect: Effect,
    /// A name was set with it.
    named: bool,
    /// Who its connection is if the server does not agree.
    if_refused: IfRefused,
}

impl Session {
    /// One of these requests.
    pub(super) fn change(&mut self, asked: Asked<'_>) -> Result<Step, End> {
        if self.client.unanswered() > 0 {
            self.client.signal_when_answered();
            return Ok(Step::Parked(Park::Order));
        }
        let policy = self.worker.gate.policy();
        if policy.stage >= Stage::Draining {
            return Ok(self.hold());
        }
        let side = match self.admit(asked, Intent::Stay) {
            Ok((side, _)) => side,
            Err(step) => return Ok(step),
        };
        if self.is_left_behind(side) {
            return Ok(self.hold());
        }
        let request = match self.translated(asked, side) {
            Ok(request) => request,
            Err(reply) => return Ok(self.answer(&reply)),
        };
        let change = self.changed_by(asked, side);
        let pipeline = match self.connection_for(&change, asked)? {
            Got::Connection(pipeline) => pipeline,
            Got::Park(park) => return Ok(Step::Parked(park)),
            Got::None(reply) => return Ok(self.answer(&reply)),
        };
        self.sides.drop_ahead();
        self.count(side, asked.verdict.class);
        let authenticates = change.authenticates;
        self.change = Some(Box::new(change));
        let handling = Handling::Show(Purpose::Change);
        let ticket = Ticket {
            number: self.client.number(1),
            handling,
            permit: None,
            read_at: self.read_at,
            head: Vec::new(),
        };
        let asks_number = authenticates && pipeline.client_id().is_none();
        self.append_unflushed(
            &pipeline,
            request.as_deref().unwrap_or(asked.frame()),
            ticket,
        );
        if asks_number {
            self.ask_number(&pipeline);
        }
        pipeline.flush_later();
        Ok(Step::DoneThenPark(Park::Reply))
    }

    /// Asks for the server's handle of a connection that told none in its handshake, since it was not let in. What waits on
    /// it could not be released otherwise.
    fn ask_number(&mut self, pipeline: &Rc<Pipeline<Client>>) {
        let ticket = self.own_ticket(Handling::Show(Purpose::Number));
        self.append_unflushed(pipeline, &encode::command_vec(&[b"CLIENT", b"ID"]), ticket);
        self.numberless = Some(Rc::clone(pipeline));
    }

    /// The server's handle, or its refusal: the password was wrong, or the user may not ask.
    pub(super) fn number_told(&mut self, reply: &[u8]) {
        let number = std::str::from_utf8(reply)
            .ok()
            .and_then(|reply| reply.strip_prefix(':')?.trim_end().parse().ok());
        if let (Some(pipeline), Some(number)) = (self.numberless.take(), number) {
            pipeline.set_client_id(number);
        }
    }

    /// The server's word.
    pub(super) fn changed(&mut self, number: u64, reply: &[u8]) -> Result<(), End> {
        let Some(change) = self.change.take() else {
            self.give_back(number, reply);
            return Ok(());
        };
        if change.authenticates
            && !reply.starts_with(b"-")
            && let Some(side) = self.side_of_reads_alone()
        {
            self.ask_second(side, number, *change, reply);
            return Ok(());
        }
        if reply.starts_with(b"-") {
            return self.refused(number, *change, reply);
        }
        self.take_effect(number, *change, reply);
        Ok(())
    }

    /// The change does not hold.
    fn refused(&mut self, number: u64, change: Change, reply: &[u8]) -> Result<(), End> {
        self.client.answer(number, reply);
        self.park = None;
        // The version comes first in a HELLO: nothing of it was done.
        if !reply.starts_with(b"-NOPROTO") {
            if change.if_refused == IfRefused::Unknown {
                tracing::debug!(side = %change.side, "a HELLO with a password was refused, perhaps half way");
                return self.leave_connection(change.side, End::Client);
            }
            if change.named {
                self.keep_its_name(change);
            }
        }
        self.release_private();
        Ok(())
    }

    /// The change holds.
    pub(super) fn take_effect(&mut self, number: u64, change: Change, reply: &[u8]) {
        if change.effect == Effect::Reset && self.client.replies() != Replies::On {
            self.client.unmute(number);
            self.client.set_replies(Replies::On);
        }
        self.client.answer(number, reply);
        self.park = None;
        self.who = change.who;
        self.is_user_noted &= !change.authenticates;
        self.client.set_resp3(self.who.protocol == Protocol::Resp3);
        self.sides.forget_lanes();
        self.worker.lanes.sweep_later();
        if !self.frames.is_on()
            && let Some(stale) = self.sides.take_private(change.side.other())
        {
            // The session moved while it waited for this word: what was opened for it there is who it was before.
            stale.pipeline.abandon();
        }
        let private = self.sides.take_private(change.side);
        if change.authenticates
            && let Some(private) = &private
        {
            private.pipeline.set_authenticated();
        }
        if change.effect == Effect::Reset {
            self.transaction = None;
            self.watch = Watch::Off;
            self.sides.pinned = false;
            self.frames.turn_off();
            if let Some(private) = private {
                private.pipeline.abandon();
            }
            self.release_private();
            return;
        }
        self.sides.pinned |= change.named;
        let key = self.key(change.side);
        if let Some(mut private) = private {
            private.key = key;
            if self.has_state() {
                self.sides.set_private(private);
            } else {
                private.pipeline.set_owner(None);
                self.worker.lanes.adopt(&private.key, private.pipeline);
                self.release_private();
            }
        }
    }

    /// Servers up to Redis 7.0 carry out the SETNAME of a HELLO as they read it, and it stays if they then refuse the rest.
    /// Nobody else may have that connection.
    fn keep_its_name(&mut self, change: Change) {
        self.sides.pinned = true;
        self.sides.forget_lanes();
        self.worker.lanes.sweep_later();
        self.who.name = change.who.name;
        let key = self.key(change.side);
        self.sides.set_key(change.side, key);
    }

    /// Closes the session's connection to `side`, which is, or may be, somebody else there than the session is. Where only
    /// that connection has what the session has told the server, the session is over.
    pub(super) fn leave_connection(&mut self, side: Side, end: End) -> Result<(), End> {
        // None where it has moved meanwhile: its new one was opened as who it is.
        if let Some(private) = self.sides.take_private(side) {
            private.pipeline.abandon();
            if self.has_state() {
                return Err(end);
            }
        }
        self.release_private();
        Ok(())
    }

    /// A connection of the session's own; or a lane that already is what the session wants to be, where asking again
    /// changes nothing there.
    fn connection_for(&mut self, change: &Change, asked: Asked<'_>) -> Result<Got, End> {
        let harmless = match asked.verdict.effect {
            Effect::LibraryInfo => true,
            Effect::Select => asked
                .request
                .argument(1)
                .and_then(database_number)
                .is_some(),
            _ => false,
        };
        if harmless && self.sides.private(change.side).is_none() {
            let server = self.worker.lanes.server(change.side);
            let lane = self
                .worker
                .lanes
                .lane(&change.who.lane(server, &self.worker.credentials));
            if let Some(pipeline) = lane.pipeline() {
                return Ok(Got::Connection(pipeline));
            }
        }
        self.unused_connection(change.side)
    }

    fn changed_by(&self, asked: Asked<'_>, side: Side) -> Change {
        let mut change = Change {
            who: self.who_after(&asked.request, asked.verdict.effect),
            side,
            authenticates: asked.verdict.effect == Effect::Auth,
            effect: asked.verdict.effect,
            named: false,
            if_refused: IfRefused::AsBefore,
        };
        if asked.verdict.effect == Effect::Hello {
            let hello = Hello::read(&asked.request);
            change.authenticates = !hello.users.is_empty();
            change.named = hello.name.is_some();
            change.if_refused = hello.if_refused;
        }
        if asked.verdict.effect == Effect::Reset {
            change.who = match self.listener.auth {
                Auth::Client => Who::client(),
                Auth::Proxy => Who::proxy(self.worker.lanes.server(side).database),
            };
        }
        change
    }

    /// Who the session is once the server has agreed to `request`.
    pub(super) fn who_after(&self, request: &Request<'_>, effect: Effect) -> Who {
        let mut who = self.who.clone();
        match effect {
            Effect::Auth => who.identity = auth_identity(request, 1).or(who.identity),
            Effect::Hello => after_hello(request, &mut who),
            Effect::Select => {
                who.database = request
                    .argument(1)
                    .and_then(database_number)
                    .unwrap_or(who.database);
            }
            Effect::LibraryInfo => {
                if let (Some(attribute), Some(value)) = (request.argument(2), request.argument(3)) {
                    let attribute = attribute.to_ascii_lowercase();
                    who.library.retain(|(known, _)| *known != attribute);
                    who.library.push((attribute, value.to_vec()));
                }
            }
            Effect::Pin if is_client_setname(request) => {
                // An empty name takes the name away.
                who.name = request
                    .argument(2)
                    .filter(|name| !name.is_empty())
                    .map(<[u8]>::to_vec);
            }
            _ => {}
        }
        who
    }

    /// On the target, an identity that the configuration maps is checked here and sent as its own; the source judges
    /// by itself. None where the request goes as it is.
    fn translated(&self, asked: Asked<'_>, side: Side) -> Result<Option<Vec<u8>>, Vec<u8>> {
        if side == Side::Source || self.worker.credentials.is_empty() {
            return Ok(None);
        }
        let places = match asked.verdict.effect {
            Effect::Auth => vec![1],
            Effect::Hello => Hello::read(&asked.request).users,
            _ => return Ok(None),
        };
        let mut arguments: Vec<&[u8]> = asked.request.arguments().collect();
        let mut is_mapped = false;
        for at in places {
            let Some(given) = auth_identity(&asked.request, at) else {
                continue;
            };
            match mapping::judge(&given, &self.worker.credentials) {
                Mapped::No => {}
                Mapped::WrongPassword => return Err(error_reply(WRONGPASS)),
                Mapped::To(identity) => {
                    replace(&mut arguments, at, identity);
                    is_mapped = true;
                }
            }
        }
        Ok(is_mapped.then(|| encode::command_vec(&arguments)))
    }
}

/// Redis's own words.
const WRONGPASS: &str = "WRONGPASS invalid username-password pair or user is disabled.";

/// What a SELECT's argument names, if it is written as the server writes numbers: any other spelling is the server's
/// to judge, on a connection that is not shared.
pub(super) fn database_number(argument: &[u8]) -> Option<u32> {
    let number: u32 = std::str::from_utf8(argument).ok()?.parse().ok()?;
    (number.to_string().as_bytes() == argument).then_some(number)
}

/// The identity that stands in `request` from `at` on: the arguments of AUTH.
fn auth_identity(request: &Request<'_>, at: usize) -> Option<Identity> {
    let first = Secret::new(request.argument(at)?);
    let is_auth = at == 1;
    Some(match request.argument(at + 1) {
        Some(second) => Identity::User {
            name: first,
            password: Secret::new(second),
        },
        None if is_auth => Identity::Password(first),
        None => return None,
    })
}

fn is_client_setname(request: &Request<'_>) -> bool {
    request.name().eq_ignore_ascii_case(b"CLIENT")
        && request
            .argument(1)
            .is_some_and(|sub| sub.eq_ignore_ascii_case(b"SETNAME"))
}

/// Who `who` is if a server agrees to all of a HELLO.
fn after_hello(request: &Request<'_>, who: &mut Who) {
    let hello = Hello::read(request);
    if let Some(protocol) = hello.protocol {
        who.protocol = protocol;
    }
    if let Some(at) = hello.users.last() {
        who.identity = auth_identity(request, *at).or(who.identity.take());
    }
    if let Some(name) = hello.name {
        who.name = (!name.is_empty()).then(|| name.to_vec());
    }
}

/// Puts `identity` in the place of the one that stands in the arguments from `at` on. In a HELLO, where there may be more
/// of them, it takes as many words as before.
fn replace<'a>(arguments: &mut Vec<&'a [u8]>, at: usize, identity: &'a Identity) {
    let end = (at + 2).min(arguments.len());
    let replacement: Vec<&[u8]> = match identity {
        Identity::Anonymous => vec![b"default", b""],
        Identity::Password(password) if at > 1 => vec![b"default", password.expose()],
        Identity::Password(password) => vec![password.expose()],
        Identity::User { name, password } => vec![name.expose(), password.expose()],
    };
    arguments.splice(at..end, replacement);
}
