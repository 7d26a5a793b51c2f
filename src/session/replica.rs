//! SYNC and PSYNC: the client is a replica, or copies a database as one does. From here on whatever the server sends
//! goes to it as it comes; it may send what replicas send, and nothing else.

use super::private::Got;
use super::relay::{End, Park, Session};
use super::route::{Asked, Step};
use crate::command::Effect;
use crate::gate::Intent;
use crate::terms::Side;
use crate::upstream::Mode;

impl Session {
    /// SYNC or PSYNC.
    pub(super) fn replicate(&mut self, asked: Asked<'_>) -> Result<Step, End> {
        if !asked
            .verdict
            .command
            .is_some_and(|command| command.arity_fits(asked.request.len()))
        {
            return self.plain(asked); // the server says what is wrong with it
        }
        if self.client.unanswered() > 0 {
            self.client.signal_when_answered();
            return Ok(Step::Parked(Park::Order));
        }
        // The stream has no end that a drain could wait for: what counts is that the listener takes writes.
        let side = match self.admit(asked, Intent::Write) {
            Ok((side, _)) => side,
            Err(step) => return Ok(step),
        };
        if self.frames.is_on() {
            return Ok(self.refuse_here("a session with subscriptions cannot become a replica"));
        }
        let pipeline = match self.private_connection(side)? {
            Got::Connection(pipeline) => pipeline,
            Got::Park(park) => return Ok(Step::Parked(park)),
            Got::None(reply) => return Ok(self.answer(&reply)),
        };
        self.count(side, asked.verdict.class);
        if self.replica_of.is_none() {
            pipeline.set_mode(Mode::Bytes(self.client.clone()));
        }
        self.replica_of = Some(side);
        self.client.expect_stream();
        pipeline.append_unowed(asked.frame());
        pipeline.flush();
        Ok(Step::DoneThenPark(Park::Reply))
    }

    /// The first bytes have come, and gone to the client: of a stream, or of an error.
    pub(super) fn stream_began(&mut self, refused: bool) {
        self.park = None;
        if let Some(side) = self.replica_of
            && refused
        {
            self.replica_of = None;
            if let Some(private) = self.sides.private(side) {
                private.pipeline.set_mode(Mode::Replies);
            }
            self.release_private();
        }
    }

    /// Whatever a replica sends.
    pub(super) fn as_replica(&mut self, side: Side, asked: Asked<'_>) -> Result<Step, End> {
        let name = asked.request.name();
        let allowed = asked.verdict.effect == Effect::Replicate
            || [&b"REPLCONF"[..], b"PING"]
                .iter()
                .any(|known| name.eq_ignore_ascii_case(known));
        let private = self.sides.private(side);
        match private.filter(|private| allowed && private.pipeline.is_up()) {
            Some(private) if private.pipeline.unsent_bytes() < UNSENT_BYTES_MAX => {
                private.pipeline.append_unowed(asked.frame());
                private.pipeline.flush();
                Ok(Step::Done)
            }
            Some(_) | None => Err(End::Client),
        }
    }
}

/// What a replica sends is small; a server that takes none of it is gone.
const UNSENT_BYTES_MAX: usize = 64 << 10;
