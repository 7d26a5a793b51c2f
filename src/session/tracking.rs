//! CLIENT TRACKING: what a session asked for, so that it can be asked for on the other side; and, where invalidations go
//! to another connection, what that one is called there.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use super::frame_text::{INVALIDATE_ALL, INVALIDATE_ALL_RESP2, INVALIDATION_CHANNEL};
use super::relay::Session;
use crate::resp::encode::{self, Protocol};
use crate::resp::request::{Limits, Request, Scanned, Scanner};
use crate::terms::Side;

/// Server's numbers of connections that other sessions may redirect invalidations to, across a change of sides. Shared
/// by all workers; its lock is taken only then.
#[derive(Debug, Default)]
pub struct Redirects(Mutex<FxHashMap<(Side, i64), Renamed>>);

#[derive(Debug)]
struct Renamed {
    /// What the connection's twin on the other side is called.
    twin: i64,
    /// Somebody redirects to it.
    wanted: bool,
}

impl Redirects {
    /// The connection `number` to `side` has a twin.
    fn prepared(&self, side: Side, number: i64, twin: i64) {
        let mut renamed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        renamed.insert(
            (side, number),
            Renamed {
                twin,
                wanted: false,
            },
        );
    }

    /// The twin of the connection that somebody redirects to.
    fn twin(&self, side: Side, number: i64) -> Option<i64> {
        let mut renamed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let renamed = renamed.get_mut(&(side, number))?;
        renamed.wanted = true;
        Some(renamed.twin)
    }

    fn is_wanted(&self, side: Side, number: i64) -> bool {
        let renamed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        renamed
            .get(&(side, number))
            .is_some_and(|renamed| renamed.wanted)
    }

    /// The change is over.
    pub(super) fn clear(&self) {
        let mut renamed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *renamed = FxHashMap::default();
    }
}

/// What a session asked for.
#[derive(Debug, Default)]
pub(super) struct Tracking {
    /// The requests that switched it on, in order: each may have added prefixes.
    requests: Vec<Vec<u8>>,
    /// One that the server has not answered.
    asked: Option<Vec<u8>>,
    /// CLIENT CACHING, while nothing has followed it: it is about the next request.
    pub(super) caching: Option<Vec<u8>>,
    /// Since when the twin of the connection that is redirected to is looked for.
    looking_since: Option<Instant>,
}

/// Whether tracking can be asked for on the other side.
pub(super) enum Replay {
    /// With these requests.
    With(Vec<u8>),
    /// The connection that is redirected to has no twin yet.
    NotYet,
    /// It will not have one: it is gone, or not one of this proxy's.
    Never,
}

/// Requests that one session may have switched tracking on with.
const REQUESTS_MAX: usize = 256;
/// How long a connection that is redirected to may take to have a twin.
const TWIN_LIMIT: Duration = Duration::from_millis(500);

impl Tracking {
    /// Whether the session is told what became invalid.
    pub(super) fn is_on(&self) -> bool {
        !self.requests.is_empty()
    }

    /// Whether one more request can be remembered.
    pub(super) fn has_room(&self) -> bool {
        self.requests.len() < REQUESTS_MAX
    }

    /// A request that was sent.
    pub(super) fn ask(&mut self, frame: &[u8]) {
        self.asked = Some(frame.to_vec());
    }

    /// Whether one has no answer yet: the next waits.
    pub(super) fn is_asked(&self) -> bool {
        self.asked.is_some()
    }

    /// Its answer.
    fn answered(&mut self, reply: &[u8]) {
        let Some(frame) = self.asked.take() else {
            return;
        };
        if !reply.starts_with(b"-") {
            self.accept(frame);
        }
    }

    /// A request that the server has carried out.
    pub(super) fn accept(&mut self, frame: Vec<u8>) {
        let on = with_request(&frame, |request| {
            request
                .argument(2)
                .is_some_and(|word| word.eq_ignore_ascii_case(b"ON"))
        });
        if on == Some(true) {
            self.requests.push(frame);
        } else {
            self.requests.clear();
        }
    }

    /// Where invalidations go; none where they go to the session itself.
    fn redirect(&self) -> Option<i64> {
        let newest = self.requests.last()?;
        with_request(newest, |request| {
            let at = redirect_at(request)?;
            std::str::from_utf8(request.argument(at)?)
                .ok()?
                .parse()
                .ok()
        })?
    }

    /// The requests with another connection to redirect to.
    fn redirected(&self, twin: i64) -> Vec<Vec<u8>> {
        let twin = twin.to_string();
        self.requests
            .iter()
            .map(|frame| {
                let changed = with_request(frame, |request| {
                    let at = redirect_at(request)?;
                    let mut arguments: Vec<&[u8]> = request.arguments().collect();
                    *arguments.get_mut(at)? = twin.as_bytes();
                    Some(encode::command_vec(&arguments))
                });
                changed.flatten().unwrap_or_else(|| frame.clone())
            })
            .collect()
    }
}

impl Session {
    /// The server's word about CLIENT TRACKING.
    pub(super) fn tracking_answered(&mut self, number: u64, reply: &[u8]) {
        self.frames.tracking.answered(reply);
        self.client.answer(number, reply);
    }

    /// What has tracking on the other side as it is here.
    pub(super) fn replay_tracking(&mut self, side: Side) -> Replay {
        let left = side.other();
        let tracking = &mut self.frames.tracking;
        let Some(number) = tracking.redirect() else {
            return Replay::With(tracking.requests.concat());
        };
        if let Some(twin) = self.worker.redirects.twin(left, number) {
            return Replay::With(tracking.redirected(twin).concat());
        }
        let since = *tracking.looking_since.get_or_insert_with(Instant::now);
        if since.elapsed() < TWIN_LIMIT {
            Replay::NotYet
        } else {
            Replay::Never
        }
    }

    /// Says what the session's connection is called on the other side, for those that redirect to it.
    pub(super) fn announce_twin(&self, side: Side) {
        if let (Some(here), Some(ahead)) = (self.sides.private(side.other()), self.sides.ahead())
            && let (Some(number), Some(twin)) =
                (here.pipeline.client_id(), ahead.pipeline.client_id())
        {
            self.worker.redirects.prepared(side.other(), number, twin);
        }
    }

    /// The session stands on `side` now: its cache, or that of those who redirect to it, may be out of date.
    pub(super) fn tell_to_invalidate(&mut self, side: Side, left: Option<i64>) {
        let wanted =
            left.is_some_and(|number| self.worker.redirects.is_wanted(side.other(), number));
        let tracking = &mut self.frames.tracking;
        tracking.looking_since = None;
        let redirect = tracking.redirect();
        if let Some(number) = redirect
            && let Some(twin) = self.worker.redirects.twin(side.other(), number)
        {
            tracking.requests = tracking.redirected(twin);
        }
        let own = tracking.is_on() && redirect.is_none();
        match self.who.protocol {
            Protocol::Resp3 if own || wanted => self.client.message(INVALIDATE_ALL),
            Protocol::Resp2 if wanted && self.frames.hears(INVALIDATION_CHANNEL) => {
                self.client.message(INVALIDATE_ALL_RESP2);
            }
            Protocol::Resp2 | Protocol::Resp3 => {}
        }
    }
}

/// Whether `request` is CLIENT CACHING.
pub(super) fn is_client_caching(request: &Request<'_>) -> bool {
    request.name().eq_ignore_ascii_case(b"CLIENT")
        && request
            .argument(1)
            .is_some_and(|word| word.eq_ignore_ascii_case(b"CACHING"))
}

/// Where the number behind REDIRECT stands.
fn redirect_at(request: &Request<'_>) -> Option<usize> {
    let mut at = 3;
    while let Some(word) = request.argument(at) {
        if word.eq_ignore_ascii_case(b"REDIRECT") {
            return Some(at + 1);
        }
        // A prefix may be any word.
        at += if word.eq_ignore_ascii_case(b"PREFIX") {
            2
        } else {
            1
        };
    }
    None
}

fn with_request<T>(frame: &[u8], look: impl FnOnce(&Request<'_>) -> T) -> Option<T> {
    match Scanner::default().scan(frame, &Limits::redis()) {
        Ok(Scanned::Request(shape)) => Some(look(&Request::new(frame, &shape))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracking(steps: &[(&[&[u8]], &[u8])]) -> Tracking {
        let mut tracking = Tracking::default();
        for (request, reply) in steps {
            tracking.ask(&encode::command_vec(request));
            tracking.answered(reply);
        }
        tracking
    }

    #[test]
    fn what_the_server_accepted_is_remembered() {
        let on: &[&[u8]] = &[b"CLIENT", b"TRACKING", b"on", b"REDIRECT", b"7"];
        let off: &[&[u8]] = &[b"CLIENT", b"TRACKING", b"off"];
        assert!(!tracking(&[(on, b"-ERR no such client\r\n")]).is_on());
        assert!(!tracking(&[(on, b"+OK\r\n"), (off, b"+OK\r\n")]).is_on());
        let on = tracking(&[(on, b"+OK\r\n")]);
        assert_eq!(on.redirect(), Some(7));
        assert_eq!(
            on.redirected(12).concat(),
            encode::command_vec(&[b"CLIENT", b"TRACKING", b"on", b"REDIRECT", b"12"])
        );
    }

    #[test]
    fn a_prefix_is_not_taken_for_a_redirection() {
        let prefixed: &[&[u8]] = &[
            b"CLIENT",
            b"TRACKING",
            b"ON",
            b"BCAST",
            b"PREFIX",
            b"redirect",
        ];
        assert_eq!(tracking(&[(prefixed, b"+OK\r\n")]).redirect(), None);
    }
}
