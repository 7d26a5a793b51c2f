//! The request scanner: the same requests however a stream is split; what is written anew reads the same to us and to
//! an independent parser.

use handover::resp::request::{Form, Limits, ProtocolError, Request, Scanned, Scanner, canonical};
use redis_protocol::resp2;
use redis_protocol::resp2::types::OwnedFrame;

use super::{pieces, plan};

/// What came out of a stream.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Empty(usize),
    Request(usize, Vec<Vec<u8>>),
    Error(ProtocolError),
}

/// Plan: the size of the pieces, the limits.
pub fn check(input: &[u8]) {
    let ([seed, limits], stream) = plan(input);
    let limits = match limits % 3 {
        0 => Limits::redis(),
        1 => Limits::unauthenticated(),
        _ => Limits {
            bulk_bytes: 20,
            arguments: 3,
            inline_bytes: 7,
        },
    };
    let whole = play(stream, std::iter::once(stream.len()), &limits);
    assert_eq!(play(stream, std::iter::repeat(1), &limits), whole);
    assert_eq!(play(stream, pieces(seed), &limits), whole);
    let mut taken = 0;
    for outcome in &whole {
        if let Outcome::Empty(length) | Outcome::Request(length, _) = outcome {
            assert!(*length > 0);
            taken += length;
        }
    }
    assert!(taken <= stream.len());
}

/// A connection on which `stream` arrives in pieces.
fn play(stream: &[u8], sizes: impl Iterator<Item = usize>, limits: &Limits) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let mut scanner = Scanner::default();
    let (mut start, mut end) = (0, 0);
    for size in sizes {
        end = stream.len().min(end + size);
        loop {
            let arrived = &stream[start..end];
            match scanner.scan(arrived, limits) {
                Ok(Scanned::Incomplete) => break,
                Ok(Scanned::Empty { length }) => {
                    outcomes.push(Outcome::Empty(length));
                    start += length;
                }
                Ok(Scanned::Request(shape)) => {
                    let frame = &arrived[..shape.length];
                    let anew = canonical(frame, &shape).expect("the scanner accepted it");
                    if shape.form == Form::Canonical {
                        assert_eq!(anew, frame);
                    }
                    outcomes.push(Outcome::Request(shape.length, arguments(&anew)));
                    start += shape.length;
                }
                Err(error) => {
                    outcomes.push(Outcome::Error(error));
                    return outcomes;
                }
            }
        }
        if end == stream.len() {
            break;
        }
    }
    outcomes
}

/// The arguments of a canonical frame, read in every way there is.
fn arguments(frame: &[u8]) -> Vec<Vec<u8>> {
    let Ok(Scanned::Request(shape)) = Scanner::default().scan(frame, &Limits::redis()) else {
        panic!("not a request: {}", frame.escape_ascii());
    };
    assert_eq!((shape.form, shape.length), (Form::Canonical, frame.len()));
    let request = Request::new(frame, &shape);
    let arguments: Vec<_> = request.arguments().map(<[u8]>::to_vec).collect();
    assert_eq!(arguments.len(), request.len());
    assert_eq!(request.argument(0), Some(request.name()));
    for (index, argument) in arguments.iter().enumerate() {
        assert_eq!(request.argument(index), Some(&argument[..]));
    }
    assert_eq!(request.argument(arguments.len()), None);
    let (theirs, length) = resp2::decode::decode(frame)
        .expect("the independent parser refuses it")
        .expect("the independent parser wants more");
    let bulks = arguments.iter().cloned().map(OwnedFrame::BulkString);
    assert_eq!(length, frame.len());
    assert_eq!(theirs, OwnedFrame::Array(bulks.collect()));
    arguments
}
