//! Rules of the reply scanner, by example and by property.

use proptest::collection::vec;
use proptest::prelude::*;
use redis_protocol::{resp2, resp3};

use super::*;

/// What came out of a stream: the frames with their lengths, then how it went on.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    frames: Vec<(Kind, usize)>,
    /// What has begun and not ended; or the error.
    rest: Result<Option<Kind>, ProtocolError>,
}

/// Plays an upstream connection: `stream` arrives in pieces of the given sizes, over and over; no byte is shown twice.
fn play(stream: &[u8], pieces: &[usize]) -> Outcome {
    let mut frames = Vec::new();
    let mut scanner = Scanner::default();
    let mut sizes = pieces.iter().copied().cycle();
    let (mut at, mut frame_start) = (0, 0);
    while at < stream.len() {
        let end = stream.len().min(at + sizes.next().unwrap_or(stream.len()));
        while at < end {
            match scanner.scan(&stream[at..end]) {
                Ok(Progress::Frame { length, kind }) => {
                    assert!(length > 0, "every frame takes bytes");
                    assert_eq!(scanner.in_frame(), None, "between frames");
                    at += length;
                    frames.push((kind, at - frame_start));
                    frame_start = at;
                }
                Ok(Progress::Partial) => {
                    assert!(scanner.in_frame().is_some(), "in a frame");
                    at = end;
                }
                Err(error) => {
                    return Outcome {
                        frames,
                        rest: Err(error),
                    };
                }
            }
        }
    }
    Outcome {
        frames,
        rest: Ok(scanner.in_frame()),
    }
}

#[track_caller]
fn check_stream(stream: &[u8], expected: &Outcome) {
    assert_eq!(
        &play(stream, &[]),
        expected,
        "whole: {}",
        stream.escape_ascii()
    );
    assert_eq!(
        &play(stream, &[1]),
        expected,
        "in bytes: {}",
        stream.escape_ascii()
    );
}

/// `frame` is one frame of this kind, and no frame before its last byte.
#[track_caller]
fn check(frame: &[u8], kind: Kind) {
    check_stream(
        frame,
        &Outcome {
            frames: vec![(kind, frame.len())],
            rest: Ok(None),
        },
    );
}

#[track_caller]
fn check_error(stream: &[u8], error: ProtocolError) {
    check_stream(
        stream,
        &Outcome {
            frames: vec![],
            rest: Err(error),
        },
    );
}

#[track_caller]
fn check_unfinished(stream: &[u8], kind: Kind) {
    check_stream(
        stream,
        &Outcome {
            frames: vec![],
            rest: Ok(Some(kind)),
        },
    );
}

#[test]
fn every_type_has_its_kind() {
    check(b"+OK\r\n", Kind::Simple);
    check(b"+\r\n", Kind::Simple);
    check(b"-ERR no\r\n", Kind::Error);
    check(b":-12\r\n", Kind::Integer);
    check(b"$0\r\n\r\n", Kind::Bulk);
    check(b"$5\r\na\r\nbc\r\n", Kind::Bulk);
    check(b"_\r\n", Kind::Null);
    check(b"$-1\r\n", Kind::Null);
    check(b"*-1\r\n", Kind::Null);
    check(b"*0\r\n", Kind::Array);
    check(b"*2\r\n:1\r\n$-1\r\n", Kind::Array);
    check(b"*1\r\n*-1\r\n", Kind::Array);
    check(b"#t\r\n", Kind::Boolean);
    check(b",-inf\r\n", Kind::Double);
    check(
        b"(3492890328409238509324850943850943825024385\r\n",
        Kind::BigNumber,
    );
    check(b"!5\r\nERR x\r\n", Kind::BlobError);
    check(b"=7\r\ntxt:abc\r\n", Kind::Verbatim);
    check(b"%1\r\n+k\r\n%0\r\n", Kind::Map);
    check(b"~2\r\n:1\r\n:2\r\n", Kind::Set);
    check(b">2\r\n+message\r\n$1\r\na\r\n", Kind::Push);
}

#[test]
fn a_line_ends_only_at_return_and_feed_together() {
    check(b"+a\nb\rc\r\r\n", Kind::Simple);
    check_unfinished(b"+a\r", Kind::Simple);
    check_unfinished(b"+a\n", Kind::Simple);
}

#[test]
fn an_attribute_belongs_to_the_frame_it_precedes() {
    check(b"|1\r\n+ttl\r\n:3600\r\n*1\r\n+a\r\n", Kind::Array);
    check(b"|0\r\n$-1\r\n", Kind::Null);
    check(
        b"|1\r\n+a\r\n+b\r\n|1\r\n+c\r\n+d\r\n>1\r\n+e\r\n",
        Kind::Push,
    );
    check(
        b"|1\r\n+k\r\n|1\r\n+a\r\n*1\r\n_\r\n~1\r\n_\r\n:1\r\n",
        Kind::Integer,
    );
    check(b"*2\r\n|1\r\n+a\r\n+b\r\n:1\r\n:2\r\n", Kind::Array);
    check(b"*1\r\n|1\r\n+a\r\n*?\r\n:1\r\n.\r\n$-1\r\n", Kind::Array);
    check_unfinished(b"|1\r\n+a\r\n+b\r\n", Kind::Attribute);
    check_unfinished(b"|1\r\n+a\r\n*1\r\n", Kind::Attribute);
    check_unfinished(b"|1\r\n+a\r\n+b\r\n*1\r\n", Kind::Array);
}

#[test]
fn streamed_types_end_at_their_mark() {
    check(b"$?\r\n;4\r\nHell\r\n;1\r\no\r\n;0\r\n", Kind::Bulk);
    check(b"$?\r\n;0\r\n", Kind::Bulk);
    check(b"*?\r\n.\r\n", Kind::Array);
    check(
        b"*?\r\n:1\r\n*2\r\n:2\r\n$?\r\n;1\r\na\r\n;0\r\n.\r\n",
        Kind::Array,
    );
    check(b"%?\r\n+a\r\n*?\r\n*?\r\n.\r\n.\r\n.\r\n", Kind::Map);
    check(b"*2\r\n~?\r\n:1\r\n.\r\n:2\r\n", Kind::Array);
    check(b"*?\r\n|1\r\n+a\r\n+b\r\n:1\r\n.\r\n", Kind::Array);
    check(
        b"*?\r\n|1\r\n*?\r\n.\r\n:1\r\n*1\r\n:1\r\n.\r\n",
        Kind::Array,
    );
}

#[test]
fn what_follows_a_frame_is_the_next_one() {
    check_stream(
        b"+OK\r\n$1\r\na\r\n>1\r\n+x\r\n|0\r\n:1\r\n*1\r\n$3\r\nab",
        &Outcome {
            frames: vec![
                (Kind::Simple, 5),
                (Kind::Bulk, 7),
                (Kind::Push, 8),
                (Kind::Integer, 8),
            ],
            rest: Ok(Some(Kind::Array)),
        },
    );
}

#[test]
fn a_frame_whose_end_is_in_doubt_is_an_error() {
    for lead in [b'x', b'\r', b'\n', b'0', 0, 0xff] {
        check_error(&[lead], ProtocolError::UnexpectedType(lead));
    }
    check_error(b";1\r\na\r\n", ProtocolError::UnexpectedType(b';'));
    check_error(b".\r\n", ProtocolError::UnexpectedType(b'.'));
    check_error(b"*1\r\n.\r\n", ProtocolError::UnexpectedType(b'.'));
    check_error(b"*?\r\n*1\r\n.\r\n", ProtocolError::UnexpectedType(b'.'));
    check_error(
        b"*?\r\n|1\r\n+a\r\n+b\r\n.\r\n",
        ProtocolError::UnexpectedType(b'.'),
    );
    check_error(b"$?\r\n+a\r\n", ProtocolError::UnexpectedType(b'+'));
    check_error(b"$1\r\nabc", ProtocolError::MissingLineEnd);
    check_error(b"$1\r\na\rb", ProtocolError::MissingLineEnd);
    for length in [
        "",
        "-2",
        "01",
        "+1",
        "1x",
        "1\r",
        "99999999999999999999",
        "1111111111111111111111",
    ] {
        check_error(
            format!("${length}\r\n").as_bytes(),
            ProtocolError::InvalidLength(b'$'),
        );
    }
    check_error(b"*1\n", ProtocolError::InvalidLength(b'*'));
    check_error(b"%-1\r\n", ProtocolError::InvalidLength(b'%'));
    check_error(b"|?\r\n", ProtocolError::InvalidLength(b'|'));
    check_error(b"*?\r\n.x\r\n", ProtocolError::InvalidLength(b'.'));
    check_error(
        b"%9223372036854775807\r\n%9223372036854775807\r\n",
        ProtocolError::InvalidLength(b'%'),
    );
}

#[test]
fn lengths_of_64_bits_are_waited_for() {
    check_unfinished(b"$9223372036854775807\r\nabc", Kind::Bulk);
    check_unfinished(b"*9223372036854775807\r\n:1\r\n", Kind::Array);
}

#[test]
fn depth_costs_no_memory_where_lengths_are_known() {
    const DEPTH: usize = 1_000_000;
    let mut frame = b"*1\r\n".repeat(DEPTH);
    frame.extend_from_slice(b":1\r\n");
    let outcome = Outcome {
        frames: vec![(Kind::Array, frame.len())],
        rest: Ok(None),
    };
    assert_eq!(play(&frame, &[1000]), outcome);
}

#[test]
fn streamed_aggregates_nest_up_to_a_bound() {
    let nested = |depth| [b"*?\r\n".repeat(depth), b".\r\n".repeat(depth)].concat();
    check(&nested(128), Kind::Array);
    check_error(&nested(129), ProtocolError::TooDeep);
}

/// A frame and its kind, without a leading attribute. Streamed types only where asked for.
fn frames(streamed: bool) -> impl Strategy<Value = (Kind, Vec<u8>)> {
    let measured = |lead: &'static str, kind| {
        vec(any::<u8>(), 0..30).prop_map(move |text| {
            let header = format!("{lead}{}\r\n", text.len());
            (kind, [header.as_bytes(), &text, b"\r\n"].concat())
        })
    };
    let line = |kind, pattern: &'static str| {
        pattern.prop_map(move |line| (kind, format!("{line}\r\n").into_bytes()))
    };
    let pieces = vec("[a-z\r\n]{1,5}", 0..4).prop_map(|pieces| {
        let mut frame = b"$?\r\n".to_vec();
        for piece in pieces {
            frame.extend_from_slice(format!(";{}\r\n{piece}\r\n", piece.len()).as_bytes());
        }
        frame.extend_from_slice(b";0\r\n");
        (Kind::Bulk, frame)
    });
    let leaf = prop_oneof![
        measured("$", Kind::Bulk),
        measured("!", Kind::BlobError),
        "[a-z\r\n]{0,5}".prop_map(|text| {
            (
                Kind::Verbatim,
                format!("={}\r\ntxt:{text}\r\n", text.len() + 4).into_bytes(),
            )
        }),
        line(Kind::Simple, r"\+[a-z ]{0,9}"),
        line(Kind::Error, "-ERR [a-z ]{0,9}"),
        line(Kind::Integer, ":-?[1-9][0-9]{0,9}"),
        line(Kind::Double, r",-?[1-9]\.[0-9]{1,5}"),
        line(Kind::BigNumber, r"\([1-9][0-9]{20,30}"),
        line(Kind::Boolean, "#[tf]"),
        line(Kind::Null, "_"),
        if streamed {
            pieces.boxed()
        } else {
            line(Kind::Null, "_").boxed()
        },
    ];
    leaf.prop_recursive(5, 40, 5, move |inner| {
        let kinds = vec![
            ('*', Kind::Array),
            ('~', Kind::Set),
            ('%', Kind::Map),
            ('>', Kind::Push),
        ];
        let attribute = proptest::option::weighted(0.2, (inner.clone(), inner.clone()));
        let element = (attribute, inner).prop_map(|(attribute, element)| {
            let attribute = attribute.map_or(vec![], |(key, value)| {
                [b"|1\r\n", &key.1[..], &value.1].concat()
            });
            [attribute, element.1].concat()
        });
        let by_mark = if streamed {
            any::<bool>().boxed()
        } else {
            Just(false).boxed()
        };
        (proptest::sample::select(kinds), by_mark, vec(element, 0..4)).prop_map(
            |((lead, kind), by_mark, mut elements)| {
                if kind == Kind::Map && elements.len() % 2 == 1 {
                    elements.pop();
                }
                let count = if kind == Kind::Map {
                    elements.len() / 2
                } else {
                    elements.len()
                };
                let body = elements.concat();
                if by_mark && kind != Kind::Push {
                    return (
                        kind,
                        [format!("{lead}?\r\n").as_bytes(), &body, b".\r\n"].concat(),
                    );
                }
                (
                    kind,
                    [format!("{lead}{count}\r\n").as_bytes(), &body].concat(),
                )
            },
        )
    })
}

/// Bytes that the grammar cares about, more often than chance would have them.
fn hostile_bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        6 => proptest::sample::select(vec![
            &b"*1\r\n"[..], b"*2\r\n", b"$1\r\na\r\n", b"$0\r\n\r\n", b":1\r\n", b"+a\r\n", b"%1\r\n", b"~1\r\n",
            b">1\r\n", b"|1\r\n", b"*?\r\n", b".\r\n", b"$?\r\n", b";1\r\nx\r\n", b";0\r\n", b"_\r\n", b"$-1\r\n",
            b"*-1\r\n", b"=5\r\ntxt:a\r\n", b"!1\r\ne\r\n", b"#t\r\n",
        ]).prop_map(<[u8]>::to_vec),
        1 => proptest::sample::select(b"*$:+-_%~>|;.?=!#,(\r\n019x".to_vec()).prop_map(|byte| vec![byte]),
        1 => vec(any::<u8>(), 0..4),
    ];
    vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn frames_are_parted_wherever_they_are_split(
        frames in vec(frames(true), 1..5),
        pieces in vec(1_usize..20, 0..5),
    ) {
        let stream: Vec<u8> = frames.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
        let expected = Outcome {
            frames: frames.iter().map(|(kind, bytes)| (*kind, bytes.len())).collect(),
            rest: Ok(None),
        };
        prop_assert_eq!(play(&stream, &pieces), expected);
    }

    #[test]
    fn the_oracle_parts_frames_at_the_same_byte((kind, frame) in frames(false)) {
        // It refuses maps and sets that hold aggregates; it must not refuse everything else too.
        match resp3::decode::complete::decode(&frame) {
            Ok(Some((_, length))) => prop_assert_eq!(length, frame.len()),
            other => prop_assert!(
                frame.iter().any(|byte| matches!(byte, b'%' | b'~' | b'|')),
                "{:?}: {}", other, frame.escape_ascii()
            ),
        }
        prop_assert_eq!(play(&frame, &[]).frames, vec![(kind, frame.len())]);
    }

    #[test]
    fn splits_change_nothing(stream in hostile_bytes(), pieces in vec(1_usize..9, 1..5)) {
        let whole = play(&stream, &[]);
        prop_assert_eq!(&play(&stream, &pieces), &whole);
        prop_assert_eq!(&play(&stream, &[1]), &whole);
    }

    #[test]
    fn hostile_bytes_end_where_the_oracles_have_them_end(stream in hostile_bytes()) {
        let Some(&(_, length)) = play(&stream, &[]).frames.first() else {
            return Ok(());
        };
        // Where an oracle refuses the content of a line, or does not know the type, it has no say.
        if let Ok(Some((_, theirs))) = resp3::decode::complete::decode(&stream) {
            prop_assert_eq!(theirs, length, "{}", stream.escape_ascii());
        }
        if let Ok(Some((_, theirs))) = resp2::decode::decode(&stream) {
            prop_assert_eq!(theirs, length, "{}", stream.escape_ascii());
        }
    }

    #[test]
    fn any_bytes_are_scanned_to_an_end(stream in vec(any::<u8>(), 0..200), pieces in vec(1_usize..9, 1..5)) {
        prop_assert_eq!(play(&stream, &pieces), play(&stream, &[]));
    }
}
