//! AUTH, HELLO, SELECT, RESET, CLIENT SETINFO: requests that change who a session is to the database. The database
//! decides each of them; the proxy never does. The connection that answered becomes one for the new state.

use std::rc::Rc;

use super::Auth;
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
    pub(super) fn changed(&mut self, number: u64, reply: &[u8]) {
        let Some(change) = self.change.take() else {
            self.give_back(number, reply);
            return;
        };
        if change.authenticates
            && !reply.starts_with(b"-")
            && let Some(side) = self.side_of_reads_alone()
        {
            self.ask_second(side, number, *change, reply);
            return;
        }
        self.take_effect(number, *change, reply);
    }

    /// The change holds, or was refused.
    pub(super) fn take_effect(&mut self, number: u64, change: Change, reply: &[u8]) {
        if change.effect == Effect::Reset
            && !reply.starts_with(b"-")
            && self.client.replies() != Replies::On
        {
            self.client.unmute(number);
            self.client.set_replies(Replies::On);
        }
        self.client.answer(number, reply);
        self.park = None;
        if reply.starts_with(b"-") {
            if change.effect == Effect::Hello && !reply.starts_with(b"-NOPROTO") {
                self.keep_half_a_hello(change, reply);
            }
            self.release_private();
            return;
        }
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

    /// Redis carries out the AUTH and SETNAME of a HELLO as it reads them, and what it did stays if it then finds an
    /// error. Nobody else may have that connection; the session has to know what it is now.
    fn keep_half_a_hello(&mut self, change: Change, reply: &[u8]) {
        self.sides.pinned = true;
        self.sides.forget_lanes();
        self.worker.lanes.sweep_later();
        self.who.name = change.who.name;
        if !reply.starts_with(b"-WRONGPASS") {
            self.who.identity = change.who.identity;
            if change.authenticates
                && let Some(private) = self.sides.private(change.side)
            {
                private.pipeline.set_authenticated();
            }
        }
        let key = self.key(change.side);
        self.sides.set_key(change.side, key);
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
            authenticates: match asked.verdict.effect {
                Effect::Auth => true,
                Effect::Hello => auth_position(&asked.request).is_some(),
                _ => false,
            },
            effect: asked.verdict.effect,
            named: asked.verdict.effect == Effect::Hello && sets_name(&asked.request),
        };
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
            Effect::Hello => hello(request, &mut who),
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
        let at = match asked.verdict.effect {
            Effect::Auth => 1,
            Effect::Hello => match auth_position(&asked.request) {
                Some(at) => at + 1,
                None => return Ok(None),
            },
            _ => return Ok(None),
        };
        if side == Side::Source || self.worker.credentials.is_empty() {
            return Ok(None);
        }
        let Some(given) = auth_identity(&asked.request, at) else {
            return Ok(None);
        };
        match mapping::judge(&given, &self.worker.credentials) {
            Mapped::No => Ok(None),
            Mapped::WrongPassword => Err(error_reply(WRONGPASS)),
            Mapped::To(identity) => Ok(Some(rewritten(&asked.request, at, identity))),
        }
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

/// Where the word AUTH stands in a HELLO.
fn auth_position(request: &Request<'_>) -> Option<usize> {
    (2..request.len()).find(|at| {
        request
            .argument(*at)
            .is_some_and(|word| word.eq_ignore_ascii_case(b"AUTH"))
    })
}

fn is_client_setname(request: &Request<'_>) -> bool {
    request.name().eq_ignore_ascii_case(b"CLIENT")
        && request
            .argument(1)
            .is_some_and(|sub| sub.eq_ignore_ascii_case(b"SETNAME"))
}

fn sets_name(hello: &Request<'_>) -> bool {
    hello
        .arguments()
        .skip(2)
        .any(|word| word.eq_ignore_ascii_case(b"SETNAME"))
}

fn hello(request: &Request<'_>, who: &mut Who) {
    match request.argument(1) {
        Some(b"2") => who.protocol = Protocol::Resp2,
        Some(b"3") => who.protocol = Protocol::Resp3,
        _ => {}
    }
    let mut at = 2;
    while let Some(word) = request.argument(at) {
        if word.eq_ignore_ascii_case(b"AUTH") {
            who.identity = auth_identity(request, at + 1).or(who.identity.take());
            at += 3;
        } else if word.eq_ignore_ascii_case(b"SETNAME") {
            who.name = request
                .argument(at + 1)
                .filter(|name| !name.is_empty())
                .map(<[u8]>::to_vec);
            at += 2;
        } else {
            at += 1;
        }
    }
}

/// `request` with the identity at `at` replaced.
fn rewritten(request: &Request<'_>, at: usize, identity: &Identity) -> Vec<u8> {
    let mut arguments: Vec<&[u8]> = request.arguments().collect();
    let given = if arguments.len() > at + 1 { 2 } else { 1 };
    let replacement: Vec<&[u8]> = match identity {
        Identity::Anonymous => vec![b"default", b""],
        Identity::Password(password) if at > 1 => vec![b"default", password.expose()],
        Identity::Password(password) => vec![password.expose()],
        Identity::User { name, password } => vec![name.expose(), password.expose()],
    };
    let end = (at + given).min(arguments.len());
    arguments.splice(at..end, replacement);
    encode::command_vec(&arguments)
}
