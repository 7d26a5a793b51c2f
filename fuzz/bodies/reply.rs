//! The reply scanner: the same frames however a stream is split, where independent parsers have them end too.

use handover::resp::reply::{Kind, Progress, ProtocolError, Scanner};
use redis_protocol::{resp2, resp3};

use super::{pieces, plan};

/// Deeper nesting is not shown to the independent parsers, which recurse.
const ORACLE_BYTES_MAX: usize = 2048;

/// What came out of a stream.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    /// Where each frame ends, and what it is.
    frames: Vec<(usize, Kind)>,
    /// The frame that has begun and not ended, or what is wrong.
    rest: Result<Option<Kind>, ProtocolError>,
}

/// Plan: the size of the pieces.
pub fn check(input: &[u8]) {
    let ([seed], stream) = plan(input);
    let whole = play(stream, std::iter::once(stream.len()));
    assert_eq!(play(stream, std::iter::repeat(1)), whole);
    assert_eq!(play(stream, pieces(seed)), whole);
    let mut start = 0;
    for (end, _) in whole.frames {
        let frame = &stream[start..end];
        if frame.len() <= ORACLE_BYTES_MAX {
            // Where an oracle refuses what stands in a line, or does not know the type, it has no say.
            if let Ok(Some((_, length))) = resp3::decode::complete::decode(frame) {
                assert_eq!(length, frame.len(), "{}", frame.escape_ascii());
            }
            if let Ok(Some((_, length))) = resp2::decode::decode(frame) {
                assert_eq!(length, frame.len(), "{}", frame.escape_ascii());
            }
        }
        start = end;
    }
}

/// A connection on which `stream` arrives in pieces.
fn play(stream: &[u8], sizes: impl Iterator<Item = usize>) -> Outcome {
    let mut scanner = Scanner::default();
    let mut frames = Vec::new();
    let (mut start, mut end) = (0, 0);
    for size in sizes {
        end = stream.len().min(end + size);
        while start < end {
            match scanner.scan(&stream[start..end]) {
                Ok(Progress::Frame { length, kind }) => {
                    assert!(length <= end - start);
                    start += length;
                    frames.push((start, kind));
                    assert_eq!((scanner.in_frame(), scanner.kind()), (None, None));
                }
                Ok(Progress::Partial) => start = end,
                Err(error) => {
                    let rest = Err(error);
                    return Outcome { frames, rest };
                }
            }
        }
        if end == stream.len() {
            break;
        }
    }
    let rest = Ok(scanner.in_frame());
    Outcome { frames, rest }
}
