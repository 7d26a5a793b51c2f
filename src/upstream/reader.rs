//! The reading half of a connection: where in the stream of frames it stands.

use bytes::BytesMut;

use super::sink::Loss;
use crate::resp::reply::{Kind, Progress, Scanner};

/// The reading half: where in the stream of frames the connection stands.
#[derive(Default)]
pub(super) struct Reader {
    scanner: Scanner,
    /// The beginning of a frame that is wanted whole.
    partial: BytesMut,
}

impl Reader {
    /// Whether `bytes`, which come next, go on with a push, or begin one.
    pub(super) fn is_at_push(&self, bytes: &[u8]) -> bool {
        match self.scanner.kind() {
            Some(kind) => kind == Kind::Push,
            None => bytes.first() == Some(&b'>'),
        }
    }

    /// Takes at most `count` frames from the front of `bytes`, up to a push: (bytes used, frames that end in them).
    /// What [`Reader::is_at_push`] must be collected instead.
    pub(super) fn run(&mut self, bytes: &[u8], count: u32) -> Result<(usize, u32), Loss> {
        let mut used = 0;
        let mut completed = 0;
        while completed < count && used < bytes.len() && !self.is_at_push(&bytes[used..]) {
            match self.scan(&bytes[used..])? {
                Progress::Frame {
                    kind: Kind::Push, ..
                } => {
                    return Err(Loss::Protocol(
                        "a push on a connection that asked for none".to_owned(),
                    ));
                }
                Progress::Frame { length, .. } => {
                    used += length;
                    completed += 1;
                }
                Progress::Partial => used = bytes.len(),
            }
        }
        Ok((used, completed))
    }

    /// Collects one whole frame: (bytes used, the frame once it is complete).
    pub(super) fn collect(
        &mut self,
        bytes: &[u8],
    ) -> Result<(usize, Option<(Kind, BytesMut)>), Loss> {
        match self.scan(bytes)? {
            Progress::Frame { length, kind } => {
                self.partial.extend_from_slice(&bytes[..length]);
                Ok((length, Some((kind, std::mem::take(&mut self.partial)))))
            }
            Progress::Partial => {
                self.partial.extend_from_slice(bytes);
                Ok((bytes.len(), None))
            }
        }
    }

    fn scan(&mut self, bytes: &[u8]) -> Result<Progress, Loss> {
        self.scanner
            .scan(bytes)
            .map_err(|error| Loss::Protocol(error.to_string()))
    }
}
