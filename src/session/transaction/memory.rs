//! What is remembered of an open transaction: its queue, so that it can be queued again on the other side, and the
//! requests in it that will change the session if it is executed.

use crate::command::{Effect, Span};
use crate::metrics::Gauge;
use crate::resp::encode;
use crate::resp::reply::{Kind, Progress, Scanner};
use crate::resp::request::{self, Request, Scanned};
use crate::session::hello::{Hello, IfRefused};
use crate::session::mute::{Replies, wanted};
use crate::session::relay::Session;
use crate::session::reply::Client;
use crate::session::route::Asked;
use crate::session::ticket::Handling;
use crate::terms::Side;
use crate::upstream::Pipeline;

/// What is open between MULTI and EXEC.
pub(in crate::session) struct Transaction {
    /// Where it is queued.
    pub(super) side: Side,
    /// The queued requests, as they were sent. Bounded by `transaction_bytes`.
    queue: Vec<u8>,
    /// How many they are.
    queued: u32,
    /// Requests sent on between MULTI and EXEC, remembered or not.
    sent: u32,
    /// It was longer than what may be remembered: it cannot move.
    too_long: bool,
    /// It cannot be executed: something in it was refused here, or it could not be moved.
    pub(super) aborted: bool,
    /// Something in it may write.
    pub(super) writes: bool,
    /// What in it changes the session.
    pub(super) changes: Vec<Queued>,
    /// Where its keys lie, for the lookout.
    pub(in crate::session) span: Span,
    _gauge: Gauge,
}

/// A queued request that changes the session, if the server executes it.
pub(super) struct Queued {
    /// Its place among the queued requests, and of its reply in that of EXEC.
    place: u32,
    effect: Effect,
    frame: Vec<u8>,
}

/// Requests that change the session which one transaction may have; nobody needs more than a few.
const CHANGES_MAX: usize = 64;

impl Transaction {
    /// After MULTI, on `side`.
    pub(super) fn open(side: Side, gauge: Gauge) -> Transaction {
        Transaction {
            side,
            queue: Vec::new(),
            queued: 0,
            sent: 0,
            too_long: false,
            aborted: false,
            writes: false,
            changes: Vec::new(),
            span: Span::default(),
            _gauge: gauge,
        }
    }

    /// Keeps a request that is being queued for a move, as long as there is room.
    pub(super) fn remember(&mut self, asked: Asked<'_>, bytes_max: usize) {
        self.writes |= asked.verdict.class.may_write();
        if changes_session(asked.verdict.effect) {
            self.changes.push(Queued {
                place: self.sent,
                effect: asked.verdict.effect,
                frame: asked.frame().to_vec(),
            });
        }
        // Servers answer these at once, and queue nothing.
        if !matches!(asked.verdict.effect, Effect::Multi | Effect::Watch) {
            self.sent += 1;
        }
        if self.queue.len() + asked.frame().len() > bytes_max {
            self.too_long = true;
            self.queue = Vec::new();
        }
        if !self.too_long {
            self.queue.extend_from_slice(asked.frame());
            self.queued += 1;
        }
    }
}

impl Session {
    /// Queues an open transaction again on the connection it has moved to. The old side drops it with its connection.
    pub(in crate::session) fn requeue(&mut self, side: Side, pipeline: &Pipeline<Client>) {
        let Some(transaction) = &mut self.transaction else {
            return;
        };
        transaction.side = side;
        if transaction.too_long {
            transaction.aborted = true;
            return;
        }
        let (queue, queued) = (std::mem::take(&mut transaction.queue), transaction.queued);
        let ticket = self.own_ticket(Handling::Swallow);
        self.append_as(pipeline, &encode::command_vec(&[b"MULTI"]), ticket);
        if queued > 0 {
            let ticket = self.own_ticket(Handling::Swallow);
            if self.frames.is_on_connection(pipeline.number()) {
                pipeline.append_unowed(&queue);
                for _ in 0..queued {
                    self.frames.expect_reply(self.own_ticket(Handling::Swallow));
                }
            } else {
                pipeline.append(&queue, &self.client, ticket, queued);
            }
            pipeline.flush_later();
        }
        if let Some(transaction) = &mut self.transaction {
            transaction.queue = queue;
        }
    }

    /// What cannot be queued, because its replies would not be EXEC's; the text that says so.
    pub(super) fn impossible_in_transaction(&self, asked: Asked<'_>) -> Option<&'static str> {
        let well_formed = asked
            .verdict
            .command
            .is_some_and(|command| command.arity_fits(asked.request.len()));
        if !well_formed {
            return None; // the server refuses it by itself
        }
        let full = self
            .transaction
            .as_ref()
            .is_some_and(|transaction| transaction.changes.len() >= CHANGES_MAX);
        match asked.verdict.effect {
            Effect::Subscribe(_) | Effect::Unsubscribe(_) => {
                Some("subscribing inside MULTI is not possible through this proxy")
            }
            Effect::Monitor => Some("MONITOR inside MULTI is not possible through this proxy"),
            Effect::ClientTracking if self.side_of_reads_alone().is_some() => Some(
                "CLIENT TRACKING is not available where reads and writes go to different sides",
            ),
            Effect::ClientReply
                if matches!(wanted(asked), Some(Replies::Off | Replies::SkipOne)) =>
            {
                Some("CLIENT REPLY inside MULTI is not possible through this proxy")
            }
            Effect::Echo => asked.spoils_the_reply(),
            Effect::MaintenanceNotices => Some("CLIENT MAINT_NOTIFICATIONS is not passed on"),
            Effect::Auth | Effect::Hello if !self.worker.credentials.is_empty() => Some(
                "AUTH and HELLO inside MULTI are not possible where [[credentials]] are mapped",
            ),
            Effect::Hello if Hello::read(&asked.request).if_refused == IfRefused::Unknown => Some(
                "a HELLO that may be refused behind its password is not possible inside MULTI through this proxy",
            ),
            effect if changes_session(effect) && full => {
                Some("too many commands that change the session inside MULTI")
            }
            _ => None,
        }
    }

    /// EXEC has run: what was executed of `changes` holds for the session from now on.
    pub(super) fn take_over(&mut self, changes: &[Queued], reply: &[u8]) {
        if changes.is_empty() {
            return;
        }
        let succeeded = succeeded(reply);
        if reply.starts_with(b"*") {
            // Whatever the replies are taken for: nobody else gets a connection that may have changed.
            self.sides.pinned = true;
            self.sides.forget_lanes();
        }
        for Queued {
            place,
            effect,
            frame,
        } in changes
        {
            if !succeeded.get(*place as usize).is_some_and(|ok| *ok) {
                continue;
            }
            if *effect == Effect::ClientTracking {
                self.frames.tracking.accept(frame.clone());
            }
            let mut scanner = request::Scanner::default();
            if let Ok(Scanned::Request(shape)) = scanner.scan(frame, &request::Limits::redis()) {
                self.who = self.who_after(&Request::new(frame, &shape), *effect);
            }
        }
    }
}

/// Whether a request of this effect leaves something on the connection that queued it.
fn changes_session(effect: Effect) -> bool {
    matches!(
        effect,
        Effect::Auth
            | Effect::Hello
            | Effect::Select
            | Effect::LibraryInfo
            | Effect::ClientTracking
            | Effect::Pin
    )
}

/// Which elements of an array reply are no errors, in order. Nothing where it is no array: EXEC did not run.
fn succeeded(reply: &[u8]) -> Vec<bool> {
    let mut rest = match reply.first() {
        Some(b'*') => reply
            .iter()
            .position(|byte| *byte == b'\n')
            .map_or(&[][..], |end| &reply[end + 1..]),
        _ => &[],
    };
    let mut elements = Vec::new();
    let mut scanner = Scanner::default();
    while let Ok(Progress::Frame { length, kind }) = scanner.scan(rest) {
        elements.push(!matches!(kind, Kind::Error | Kind::BlobError));
        rest = &rest[length..];
    }
    elements
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_elements_of_an_array_are_judged_one_by_one() {
        assert_eq!(
            succeeded(b"*3\r\n+OK\r\n-ERR no\r\n*2\r\n-ERR inner\r\n:1\r\n"),
            [true, false, true]
        );
        assert_eq!(succeeded(b"*0\r\n"), [] as [bool; 0]);
        assert_eq!(succeeded(b"*-1\r\n"), [] as [bool; 0]);
        assert_eq!(succeeded(b"-EXECABORT no\r\n"), [] as [bool; 0]);
        assert_eq!(succeeded(b"_\r\n"), [] as [bool; 0]);
    }
}
