//! The way in: what was read, and whose it is.

use std::rc::Rc;
use std::time::Instant;

use super::{Owed, Pipeline};
use crate::upstream::reader::Reader;
use crate::upstream::sink::{Loss, Mode, Sink, Times};

impl<S: Sink> Pipeline<S> {
    pub(super) fn received(
        &self,
        reader: &mut Reader,
        mut bytes: &[u8],
        at: Instant,
    ) -> Result<(), Loss> {
        while !bytes.is_empty() {
            let mode = self.mode.borrow().clone();
            let used = match mode {
                Mode::Replies => self.replies(reader, bytes, at)?,
                Mode::Frames(owner) => self.frame(reader, bytes, &owner)?,
                Mode::Bytes(owner) => {
                    owner.bytes(bytes);
                    bytes.len()
                }
            };
            bytes = &bytes[used..];
        }
        Ok(())
    }

    /// Hands on what of `bytes` belongs to the oldest entry.
    fn replies(&self, reader: &mut Reader, bytes: &[u8], at: Instant) -> Result<usize, Loss> {
        if reader.is_at_push(bytes) {
            return self.push(reader, bytes);
        }
        let mut owed = self.owed.borrow_mut();
        let Some(oldest) = owed.front_mut() else {
            return Err(Loss::Protocol("a reply that nobody asked for".to_owned()));
        };
        let wants_whole = reader.is_collecting()
            || reader.is_between_frames() && S::wants_whole(&oldest.ticket, bytes);
        let used = if wants_whole {
            let (used, whole) = reader.collect(bytes, oldest.sink.whole_bytes_max())?;
            if let Some((kind, reply)) = whole {
                oldest.sink.whole(&mut oldest.ticket, kind, reply);
                oldest.count -= 1;
                self.outstanding.set(self.outstanding.get() - 1);
            }
            used
        } else {
            let (used, completed) = reader.run(bytes, oldest.count)?;
            oldest.sink.piece(
                &mut oldest.ticket,
                &bytes[..used],
                completed,
                reader.is_between_frames(),
            );
            oldest.count -= completed;
            self.outstanding
                .set(self.outstanding.get() - completed as usize);
            used
        };
        if oldest.count == 0
            && let Some(Owed {
                sink,
                ticket,
                requests,
                sent,
                ..
            }) = owed.pop_front()
        {
            // A server may answer before it has been sent everything that stands behind in the buffer.
            let left = owed.len();
            self.leaving.set(self.leaving.get().min(left));
            drop(owed);
            let (side, sent) = (self.side, sent.unwrap_or(at));
            sink.finished(
                ticket,
                Times {
                    side,
                    requests,
                    sent,
                    received: at,
                },
            );
        }
        Ok(used)
    }

    /// A push that the connection's session did not ask for by itself: another one redirects its invalidations here.
    /// On a shared connection nobody can have meant it.
    fn push(&self, reader: &mut Reader, bytes: &[u8]) -> Result<usize, Loss> {
        let owner = self.owner.borrow();
        let most = owner
            .as_ref()
            .map_or(UNOWNED_PUSH_BYTES_MAX, |owner| owner.whole_bytes_max());
        let (used, whole) = reader.collect(bytes, most)?;
        if let (Some((kind, frame)), Some(owner)) = (whole, &*owner) {
            owner.frame(self.number, kind, frame);
        }
        Ok(used)
    }

    fn frame(&self, reader: &mut Reader, bytes: &[u8], owner: &Rc<S>) -> Result<usize, Loss> {
        if reader.is_in_pieces() {
            let (used, ends) = reader.pass(bytes)?;
            owner.frame_piece(self.number, &bytes[..used], ends);
            return Ok(used);
        }
        let (used, whole) = reader.collect(bytes, owner.whole_bytes_max())?;
        if let Some((kind, frame)) = whole {
            owner.frame(self.number, kind, frame);
        } else if let Some(begins) = reader.begin_pieces(|kind| owner.takes_pieces(kind)) {
            owner.frame_piece(self.number, &begins, false);
        }
        Ok(used)
    }
}

/// A push on a shared connection is thrown away. Servers send small ones at most: a notice of maintenance, an invalidation.
const UNOWNED_PUSH_BYTES_MAX: usize = 1 << 20;
