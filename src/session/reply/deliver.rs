//! What connections to the databases deliver, on their own tasks.

use std::task::Waker;

use bytes::BytesMut;

use super::Client;
use crate::resp::reply::Kind;
use crate::session::ticket::{HEAD_BYTES, Handling, Purpose, Shown, Ticket};
use crate::upstream::{Loss, Sink, Times};

impl Sink for Client {
    type Ticket = Ticket;

    fn wants_whole(ticket: &Ticket, begins: &[u8]) -> bool {
        match ticket.handling {
            Handling::Show(_) => true,
            Handling::Pass(Purpose::Blocked) => may_be_null(begins),
            Handling::Pass(_) | Handling::Relay | Handling::Swallow => false,
        }
    }

    fn piece(&self, ticket: &mut Ticket, bytes: &[u8], completed: u32, ends: bool) {
        if ticket.handling == Handling::Swallow || self.gone.get() {
            return;
        }
        self.place(ticket.number, bytes, u64::from(completed), ends);
        if let Handling::Pass(_) = ticket.handling {
            let room = HEAD_BYTES - ticket.head.len();
            ticket
                .head
                .extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
        ticket.number += u64::from(completed);
        let lately = self.reply_bytes.get() - self.reply_bytes.get() / REPLY_BYTES_DECAY;
        let now = (self.reply_begun.get() + bytes.len() as u64) / u64::from(completed.max(1));
        self.reply_begun.set(if completed == 0 { now } else { 0 });
        self.reply_bytes.set(lately.max(now));
        self.judge();
    }

    fn whole(&self, ticket: &mut Ticket, _kind: Kind, reply: BytesMut) {
        if let Handling::Show(purpose) | Handling::Pass(purpose) = ticket.handling {
            self.show(Shown::Reply {
                number: ticket.number,
                purpose,
                reply,
            });
        }
    }

    fn finished(&self, ticket: Ticket, at: Times) {
        if let Handling::Pass(purpose) = ticket.handling
            && !ticket.head.is_empty()
        {
            self.show(Shown::Passed {
                number: ticket.number - 1,
                purpose,
                head: ticket.head,
            });
            return;
        }
        if ticket.handling == Handling::Relay {
            let before = at.sent.saturating_duration_since(ticket.read_at);
            self.turn.answered(at.requests, before, at.received);
            let there = at.received.saturating_duration_since(at.sent);
            self.turn
                .metrics()
                .upstream(at.side, there, u64::from(at.requests));
        }
    }

    fn frame(&self, connection: u64, kind: Kind, frame: BytesMut) {
        self.show(Shown::Frame {
            connection,
            kind,
            frame,
        });
    }

    fn whole_bytes_max(&self) -> usize {
        self.waiting_bytes_most()
    }

    fn takes_pieces(&self, kind: Kind) -> bool {
        match kind {
            // Messages go out whole; so do the lines of MONITOR.
            Kind::Push | Kind::Simple => false,
            Kind::Array => self.speaks_resp3.get(),
            _ => true,
        }
    }

    fn frame_piece(&self, connection: u64, bytes: &[u8], ends: bool) {
        self.show(Shown::Piece {
            connection,
            bytes: bytes.into(),
            ends,
        });
    }

    fn bytes(&self, bytes: &[u8]) {
        self.message(bytes);
        self.flush();
        if self.stream_expected.take() {
            let refused = bytes.first() == Some(&b'-');
            self.show(Shown::Stream { refused });
        }
    }

    fn has_room(&self, waker: &Waker) -> bool {
        if self.hurried.get()
            || self.gone.get()
            || self.outbox.borrow().unsent.len() + self.shown_bytes.get() < self.waiting_bytes_max
        {
            return true;
        }
        let mut stopped = self.no_room.borrow_mut();
        if !stopped.iter().any(|known| known.will_wake(waker)) {
            stopped.push(waker.clone());
        }
        false
    }

    fn lost(&self, ticket: Ticket, loss: &Loss) {
        let Ticket {
            handling, permit, ..
        } = ticket;
        drop(permit);
        self.show(Shown::Lost {
            connection: None,
            handling: Some(handling),
            loss: loss.clone(),
        });
    }

    fn ended(&self, connection: u64, loss: &Loss) {
        self.show(Shown::Lost {
            connection: Some(connection),
            handling: None,
            loss: loss.clone(),
        });
    }
}

/// With each piece, the memory of large replies fades by one part in this many.
const REPLY_BYTES_DECAY: u64 = 8;

/// Whether a reply that begins so may be a null. One that has only begun to come counts as if.
fn may_be_null(begins: &[u8]) -> bool {
    matches!(begins, [] | [b'_', ..] | [_] | [b'*' | b'$', b'-', ..])
}
