//! Rules of the request scanner, by example and by property. What a real server does is compared in `tests/sessions/framing.rs`.

use proptest::collection::vec;
use proptest::prelude::*;
use redis_protocol::resp2;
use redis_protocol::resp2::types::Resp2Frame;

use super::*;

/// What came out of a stream.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Empty(usize),
    /// The form, and the arguments after re-encoding what is not canonical.
    Request(Form, Vec<Vec<u8>>),
    Error(ProtocolError),
    /// Bytes that wait for more.
    Rest(usize),
}

/// Plays a client connection: `stream` arrives in pieces of the given sizes, over and over, the last as large as needed.
fn play(stream: &[u8], pieces: &[usize], limits: &Limits) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let mut scanner = Scanner::default();
    let (mut start, mut end) = (0, 0);
    let mut sizes = pieces.iter().copied().cycle();
    while end < stream.len() {
        end = stream.len().min(end + sizes.next().unwrap_or(stream.len()));
        loop {
            let input = &stream[start..end];
            match scanner.scan(input, limits) {
                Ok(Scanned::Incomplete) => break,
                Ok(Scanned::Empty { length }) => {
                    outcomes.push(Outcome::Empty(length));
                    start += length;
                }
                Ok(Scanned::Request(shape)) => {
                    let arguments = arguments(&input[..shape.length], &shape);
                    outcomes.push(Outcome::Request(shape.form, arguments));
                    start += shape.length;
                }
                Err(error) => {
                    outcomes.push(Outcome::Error(error));
                    return outcomes;
                }
            }
        }
    }
    outcomes.push(Outcome::Rest(end - start));
    outcomes
}

/// The arguments of a frame, read in every way there is.
fn arguments(frame: &[u8], shape: &Shape) -> Vec<Vec<u8>> {
    let canonical = canonical(frame, shape).unwrap();
    if shape.form == Form::Canonical {
        assert_eq!(canonical, frame);
    }
    let Ok(Scanned::Request(again)) = Scanner::default().scan(&canonical, &generous()) else {
        panic!("not a request: {}", canonical.escape_ascii());
    };
    assert_eq!(again.form, Form::Canonical);
    assert_eq!(
        (again.length, again.arguments),
        (canonical.len(), shape.arguments)
    );
    let request = Request::new(&canonical, &again);
    let arguments: Vec<_> = request.arguments().map(<[u8]>::to_vec).collect();
    assert_eq!(request.len(), arguments.len());
    assert_eq!(request.name(), arguments[0]);
    for (index, argument) in arguments.iter().enumerate() {
        assert_eq!(
            request.argument(index),
            Some(&argument[..]),
            "argument {index}"
        );
    }
    assert_eq!(request.argument(arguments.len()), None);
    arguments
}

/// Limits that nothing here reaches.
fn generous() -> Limits {
    Limits {
        bulk_bytes: u64::MAX,
        arguments: u32::MAX,
        inline_bytes: usize::MAX,
    }
}

/// The outcomes of a stream that arrives at once, and byte by byte.
#[track_caller]
fn check_within(limits: &Limits, stream: &[u8], expected: &[Outcome]) {
    assert_eq!(
        play(stream, &[], limits),
        expected,
        "whole: {}",
        stream.escape_ascii()
    );
    assert_eq!(
        play(stream, &[1], limits),
        expected,
        "in bytes: {}",
        stream.escape_ascii()
    );
}

#[track_caller]
fn check(stream: &[u8], expected: &[Outcome]) {
    check_within(&Limits::redis(), stream, expected);
}

#[track_caller]
fn check_error(stream: &[u8], expected: ProtocolError) {
    check(stream, &[Outcome::Error(expected)]);
}

fn request(form: Form, arguments: &[&[u8]]) -> Outcome {
    Outcome::Request(
        form,
        arguments.iter().map(|argument| argument.to_vec()).collect(),
    )
}

#[test]
fn an_array_of_bulk_strings_is_canonical() {
    check(
        b"*2\r\n$3\r\nGET\r\n$0\r\n\r\n*1\r\n$4\r\nPING\r\n",
        &[
            request(Form::Canonical, &[b"GET", b""]),
            request(Form::Canonical, &[b"PING"]),
            Outcome::Rest(0),
        ],
    );
}

#[test]
fn wrong_line_ends_are_accepted_as_loose() {
    for stream in [
        &b"*1\rX$4\r\nPING\r\n"[..],
        b"*1\r\n$4\rXPING\r\n",
        b"*1\r\n$4\r\nPINGXX",
        b"*1\r\n$4\r\nPING\n\r",
    ] {
        check(
            stream,
            &[request(Form::Loose, &[b"PING"]), Outcome::Rest(0)],
        );
    }
}

#[test]
fn a_loose_request_does_not_make_the_next_one_loose() {
    check(
        b"*1\rX$1\r\na\r\n*0\rX*1\r\n$1\r\nb\r\n",
        &[
            request(Form::Loose, &[b"a"]),
            Outcome::Empty(4),
            request(Form::Canonical, &[b"b"]),
            Outcome::Rest(0),
        ],
    );
}

#[test]
fn a_line_of_words_is_inline() {
    check(
        b"PING\r\nSET k \"a b\"\n*1\r\n$1\r\na\r\n",
        &[
            request(Form::Inline, &[b"PING"]),
            request(Form::Inline, &[b"SET", b"k", b"a b"]),
            request(Form::Canonical, &[b"a"]),
            Outcome::Rest(0),
        ],
    );
}

#[test]
fn nothing_is_answered_to_what_asks_nothing() {
    let empty = |lengths: &[usize]| {
        let mut outcomes: Vec<_> = lengths.iter().copied().map(Outcome::Empty).collect();
        outcomes.push(Outcome::Rest(0));
        outcomes
    };
    check(b"\r\n\n \t\r\n", &empty(&[2, 1, 4]));
    check(
        b"*0\r\n*-1\r\n*-9223372036854775808\r\n",
        &empty(&[4, 5, 23]),
    );
}

#[test]
fn lengths_are_as_strict_as_redis() {
    for count in [
        "",
        "x",
        "01",
        "+1",
        " 1",
        "1 ",
        "2147483648",
        "99999999999999999999",
        "3\n$3",
    ] {
        check_error(
            format!("*{count}\r\n").as_bytes(),
            ProtocolError::InvalidMultibulkLength,
        );
    }
    for length in [
        "",
        "x",
        "01",
        "+1",
        "-1",
        "-0",
        "536870913",
        "9223372036854775808",
    ] {
        check_error(
            format!("*1\r\n${length}\r\n").as_bytes(),
            ProtocolError::InvalidBulkLength,
        );
    }
    check(b"*1\r\n$536870912\r\n", &[Outcome::Rest(16)]);
    check(b"*2147483647\r\n", &[Outcome::Rest(13)]);
}

#[test]
fn a_mistake_is_noticed_when_it_is_reached() {
    check(b"*2\r\n$1\r\na\r\n:1\r", &[Outcome::Rest(14)]);
    check_error(
        b"*2\r\n$1\r\na\r\n:1\r\n",
        ProtocolError::ExpectedDollar(b':'),
    );
    check_error(b"*1\r\n\r\n", ProtocolError::ExpectedDollar(b'\r'));
    check(
        b"*1\r\n$1\r\na\r\n*x\r\n",
        &[
            request(Form::Canonical, &[b"a"]),
            Outcome::Error(ProtocolError::InvalidMultibulkLength),
        ],
    );
    check_error(b"PING \"a\r\n", ProtocolError::UnbalancedQuotes);
}

#[test]
fn a_line_without_end_is_too_big_at_its_first_byte_past_the_limit() {
    let check_line = |prefix: &[u8], error: ProtocolError| {
        let limit = Limits::redis().inline_bytes;
        let mut stream = prefix.to_vec();
        let line = prefix
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        stream.resize(line + limit, b'1');
        let waiting = [Outcome::Rest(stream.len())];
        assert_eq!(play(&stream, &[777], &Limits::redis()), waiting);
        stream.push(b'1');
        let refused = [Outcome::Error(error)];
        assert_eq!(play(&stream, &[777], &Limits::redis()), refused);
        assert_eq!(play(&stream, &[], &Limits::redis()), refused);
    };
    check_line(b"PING", ProtocolError::TooBigInlineRequest);
    check_line(b"*", ProtocolError::TooBigMultibulkCount);
    check_line(b"*1\r\n$", ProtocolError::TooBigBulkCount);
}

#[test]
fn a_line_with_a_zero_byte_does_not_end() {
    check(b"PI\0NG\r\n", &[Outcome::Rest(7)]);
    check(b"*1\0\r\n$4\r\n", &[Outcome::Rest(9)]);
    check(b"*1\r\n$4\0\r\nPING\r\n", &[Outcome::Rest(15)]);
    check(
        b"*1\r\n$4\r\nP\0NG\r\n",
        &[request(Form::Canonical, &[b"P\0NG"]), Outcome::Rest(0)],
    );
}

#[test]
fn a_client_that_has_not_authenticated_may_send_little() {
    let refused = |stream: &[u8], error| {
        check_within(&Limits::unauthenticated(), stream, &[Outcome::Error(error)]);
    };
    refused(b"*11\r\n", ProtocolError::UnauthenticatedMultibulkLength);
    refused(b"*2147483648\r\n", ProtocolError::InvalidMultibulkLength);
    refused(
        b"*1\r\n$16385\r\n",
        ProtocolError::UnauthenticatedBulkLength,
    );
    refused(b"*1\r\n$536870913\r\n", ProtocolError::InvalidBulkLength);
    check_within(
        &Limits::unauthenticated(),
        b"*10\r\n$16384\r\n",
        &[Outcome::Rest(13)],
    );
}

#[test]
fn errors_are_worded_as_redis_words_them() {
    let check = |error: ProtocolError, text: &[u8]| assert_eq!(error.client_text(), text);
    check(
        ProtocolError::InvalidBulkLength,
        b"-ERR Protocol error: invalid bulk length\r\n",
    );
    check(
        ProtocolError::ExpectedDollar(0xff),
        b"-ERR Protocol error: expected '$', got '\xff'\r\n",
    );
    check(
        ProtocolError::ExpectedDollar(b'\r'),
        b"-ERR Protocol error: expected '$', got ' '\r\n",
    );
}

#[test]
fn what_was_understood_is_not_read_again() {
    const ARGUMENTS: usize = 1000;
    let header = format!("*{ARGUMENTS}\r\n").into_bytes();
    let argument = b"$4\r\nabcd\r\n";
    let mut scanner = Scanner::default();
    let mut input = header;
    for _ in 1..ARGUMENTS {
        input.extend_from_slice(argument);
        assert!(matches!(
            scanner.scan(&input, &Limits::redis()),
            Ok(Scanned::Incomplete)
        ));
        // Whoever reads from the start again stumbles over this.
        input[1..].fill(b'!');
    }
    input.extend_from_slice(argument);
    let Ok(Scanned::Request(shape)) = scanner.scan(&input, &Limits::redis()) else {
        panic!("not a request");
    };
    assert_eq!(
        (shape.length, shape.arguments as usize),
        (input.len(), ARGUMENTS)
    );
}

#[test]
fn a_line_is_not_searched_again() {
    let mut scanner = Scanner::default();
    let mut input = Vec::new();
    for _ in 0..100 {
        input.extend_from_slice(b"word ");
        assert!(matches!(
            scanner.scan(&input, &Limits::redis()),
            Ok(Scanned::Incomplete)
        ));
        input.fill(b'\n');
    }
    input.fill(b'x');
    input.extend_from_slice(b"\r\n");
    let Ok(Scanned::Request(shape)) = scanner.scan(&input, &Limits::redis()) else {
        panic!("not a request");
    };
    assert_eq!((shape.length, shape.arguments), (502, 1));
}

/// Bytes that the grammar cares about, more often than chance would have them.
fn hostile_bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => proptest::sample::select(vec![
            &b"*1\r\n"[..], b"*2\r\n", b"$1\r\na\r\n", b"$3\r\nGET\r\n", b"$0\r\n\r\n", b"$2\r\n\r\n\r\n", b"*0\r\n",
            b"*-1\r\n", b"PING\r\n", b"\r\n", b"\n", b"\r", b"\"", b"'", b"\\x4", b"\0", b"*", b"$", b"1", b"0", b"-",
            b" ", b"$20\r\n", b"*12\r\n",
        ]).prop_map(<[u8]>::to_vec),
        1 => vec(any::<u8>(), 0..6),
    ];
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn what_the_oracle_writes_is_read(
        requests in vec(vec(vec(any::<u8>(), 0..40), 1..12), 1..5),
        pieces in vec(1_usize..30, 0..5),
    ) {
        let mut stream = Vec::new();
        for request in &requests {
            let bulk = |argument: &Vec<u8>| resp2::types::OwnedFrame::BulkString(argument.clone());
            let frame = resp2::types::OwnedFrame::Array(request.iter().map(bulk).collect());
            let mut encoded = vec![0; frame.encode_len(false)];
            resp2::encode::encode(&mut encoded, &frame, false).unwrap();
            stream.extend_from_slice(&encoded);
        }
        let mut expected: Vec<_> = requests
            .into_iter()
            .map(|arguments| Outcome::Request(Form::Canonical, arguments))
            .collect();
        expected.push(Outcome::Rest(0));
        prop_assert_eq!(play(&stream, &pieces, &Limits::redis()), expected);
    }

    #[test]
    fn splits_change_nothing(stream in hostile_bytes(), pieces in vec(1_usize..9, 1..5)) {
        for limits in [Limits::redis(), Limits::unauthenticated(), Limits { inline_bytes: 5, ..generous() }] {
            let whole = play(&stream, &[], &limits);
            prop_assert_eq!(&play(&stream, &pieces, &limits), &whole);
            prop_assert_eq!(&play(&stream, &[1], &limits), &whole);
        }
    }

    #[test]
    fn a_canonical_request_is_one_to_the_oracle_too(stream in hostile_bytes()) {
        let Ok(Scanned::Request(shape)) = Scanner::default().scan(&stream, &Limits::redis()) else {
            return Ok(());
        };
        if shape.form == Form::Canonical {
            let (frame, length) = resp2::decode::decode(&stream).unwrap().unwrap();
            prop_assert_eq!(length, shape.length);
            let bulk = |argument| resp2::types::OwnedFrame::BulkString(argument);
            let arguments = arguments(&stream[..length], &shape);
            prop_assert_eq!(frame, resp2::types::OwnedFrame::Array(arguments.into_iter().map(bulk).collect()));
        }
    }
}
