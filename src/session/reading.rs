//! What a session reads from its client, and when it does not.

use std::io;
use std::rc::Rc;
use std::time::Instant;

use super::ending::End;
use super::leaving::Reads;
use super::relay::{Park, Session};
use super::reply::FAREWELL_LIMIT;
use super::route::Place;
use crate::metrics::ClientError;

impl Session {
    /// Whether there is a reason to read.
    pub(super) fn wants_read(&self) -> bool {
        let leaves = self.leaving.as_ref();
        if self.sent_all.is_some() || leaves.is_some_and(|leaving| leaving.reads == Reads::Off) {
            return false;
        }
        // A parked session reads on only to notice that its client has gone. One that waits at the database must not
        // miss that, whatever was sent before it: what it waits for would be given to nobody. `request_bytes` is its
        // bound, as it is the server's own.
        let has_room = self.blocked.is_some() || self.inbox.len() < PARKED_BYTES_MAX;
        (self.park.is_none() || has_room || self.park == Some(Park::End)) && !self.is_held_off()
    }

    /// Reads once, and sends on what is whole.
    pub(super) fn receive(&mut self) -> Result<(), End> {
        if self.park == Some(Park::End) {
            return self.look_for_the_end();
        }
        if self.inbox.is_empty() {
            let worker = Rc::clone(&self.worker);
            let mut reading = worker.scratch.borrow();
            let length = match self.client.stream().try_read(&mut reading) {
                Ok(0) => return Err(End::Client),
                Ok(length) => length,
                Err(error) => return retry(&error),
            };
            self.note_read(length);
            let used = if self.park.is_none() {
                self.pump(&reading[..length], Place::Elsewhere)?
            } else {
                0
            };
            self.inbox.extend_from_slice(&reading[used..length]);
        } else {
            self.make_room();
            match self.client.stream().try_read_buf(&mut self.inbox) {
                Ok(0) => {
                    self.sent_all = Some(Instant::now() + FAREWELL_LIMIT);
                    return Ok(());
                }
                Ok(length) => self.note_read(length),
                Err(error) => return retry(&error),
            }
            if self.park.is_none() {
                self.pump_inbox()?;
            }
        }
        if self.inbox.len() > self.worker.limits().request_bytes {
            self.worker.metrics.client_error(ClientError::Limit);
            return Err(End::Protocol(TOO_LARGE.to_vec()));
        }
        Ok(())
    }

    /// Whether its client has sent all, and nothing of it waits here any more. What a blocked command waits for is for
    /// somebody else, and so is what stands behind it.
    pub(super) fn has_ended(&self) -> bool {
        self.sent_all.is_some() && (self.park.is_none() || self.blocked.is_some())
    }

    /// Reads what nobody will look at: the session ends with its last reply, or with its client.
    fn look_for_the_end(&mut self) -> Result<(), End> {
        let mut thrown_away = self.worker.scratch.borrow();
        match self.client.stream().try_read(&mut thrown_away) {
            Ok(0) => Err(End::Client),
            Ok(_) => Ok(()),
            Err(error) => retry(&error),
        }
    }

    fn note_read(&mut self, bytes: usize) {
        self.read_at = Instant::now();
        if let Some(leaving) = &mut self.leaving {
            leaving.read(bytes);
        }
    }

    /// Room for one more read, in a large buffer that is at hand where the inbox is to become large.
    fn make_room(&mut self) {
        let length = self.inbox.len();
        if self.inbox.capacity() - length >= READ_BYTES_MIN {
            return;
        }
        if length >= LARGE_INBOX_BYTES
            && let Some(mut large) = self.worker.scratch.large(length + READ_BYTES_MIN)
        {
            large.extend_from_slice(&self.inbox);
            self.inbox = large;
        } else {
            self.inbox.reserve(READ_BYTES_MIN);
        }
    }
}

/// What a request is told that does not end.
const TOO_LARGE: &[u8] = b"-ERR handover: a request is too large; limit request_bytes\r\n";
/// An inbox with this much of one request in it is to become large.
const LARGE_INBOX_BYTES: usize = 64 << 10;
/// Room for one read when a request has only begun to arrive.
const READ_BYTES_MIN: usize = 16 << 10;
/// What a parked session reads at most, beyond the request that parked it, to notice that its client has gone.
const PARKED_BYTES_MAX: usize = 64 << 10;

fn retry(error: &io::Error) -> Result<(), End> {
    if error.kind() == io::ErrorKind::WouldBlock {
        Ok(())
    } else {
        Err(End::Client)
    }
}
