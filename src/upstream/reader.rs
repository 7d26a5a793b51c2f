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
    /// Some bytes of a frame have passed, and more are to come.
    in_frame: bool,
    /// That frame is handed on in pieces.
    in_pieces: bool,
}

/// From this size on a frame may be handed on in pieces.
const LARGE_FRAME_BYTES: usize = 64 << 10;

impl Reader {
    /// Whether the next byte begins a frame.
    pub(super) fn is_between_frames(&self) -> bool {
        !self.in_frame
    }

    /// Whether the present frame is being collected.
    pub(super) fn is_collecting(&self) -> bool {
        !self.partial.is_empty()
    }

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
                    self.in_frame = false;
                }
                Progress::Partial => {
                    used = bytes.len();
                    self.in_frame = true;
                }
            }
        }
        Ok((used, completed))
    }

    /// Collects one whole frame of at most `most` bytes: (bytes used, the frame once it is complete).
    pub(super) fn collect(
        &mut self,
        bytes: &[u8],
        most: usize,
    ) -> Result<(usize, Option<(Kind, BytesMut)>), Loss> {
        let (length, ended) = match self.scan(bytes)? {
            Progress::Frame { length, kind } => (length, Some(kind)),
            Progress::Partial => (bytes.len(), None),
        };
        if self.partial.len() + length > most {
            return Err(Loss::TooLarge(most));
        }
        self.partial.extend_from_slice(&bytes[..length]);
        self.in_frame = ended.is_none();
        let whole = ended.map(|kind| (kind, std::mem::take(&mut self.partial)));
        Ok((length, whole))
    }

    /// The beginning of a large frame that has been collected, and its kind: what follows comes from [`Reader::pass`].
    /// None where nothing large is being collected, or `takes_pieces` does not want it so.
    pub(super) fn begin_pieces(&mut self, takes_pieces: impl Fn(Kind) -> bool) -> Option<BytesMut> {
        let kind = self.scanner.kind()?;
        if self.partial.len() < LARGE_FRAME_BYTES || !takes_pieces(kind) {
            return None;
        }
        self.in_pieces = true;
        Some(std::mem::take(&mut self.partial))
    }

    /// Whether the present frame is handed on in pieces.
    pub(super) fn is_in_pieces(&self) -> bool {
        self.in_pieces
    }

    /// Takes what of `bytes` belongs to such a frame: (bytes used, whether it ends there).
    pub(super) fn pass(&mut self, bytes: &[u8]) -> Result<(usize, bool), Loss> {
        match self.scan(bytes)? {
            Progress::Frame { length, .. } => {
                self.in_frame = false;
                self.in_pieces = false;
                Ok((length, true))
            }
            Progress::Partial => Ok((bytes.len(), false)),
        }
    }

    fn scan(&mut self, bytes: &[u8]) -> Result<Progress, Loss> {
        self.scanner
            .scan(bytes)
            .map_err(|error| Loss::Protocol(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_collected_up_to_its_bound_and_not_beyond() {
        let collect = |pieces: &[&[u8]], most| {
            let mut reader = Reader::default();
            let mut last = Ok((0, None));
            for piece in pieces {
                last = reader.collect(piece, most);
            }
            last
        };
        let whole = Ok((6, Some((Kind::Bulk, BytesMut::from("$3\r\nabc\r\n")))));
        assert_eq!(collect(&[b"$3\r", b"\nabc\r\n"], 9), whole);
        assert_eq!(
            collect(&[b"$3\r", b"\nabc\r\n+OK\r\n"], 9),
            whole,
            "what follows it does not count"
        );
        assert_eq!(collect(&[b"$3\r", b"\nabc\r\n"], 8), Err(Loss::TooLarge(8)));
        assert_eq!(
            collect(&[b">1\r\n$999999999\r\n", b"xxxx"], 17),
            Err(Loss::TooLarge(17)),
            "not only once it is whole"
        );
    }
}
