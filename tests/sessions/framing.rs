//! The request scanner against a real redis-server: the same bytes, the same requests, the same errors.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use handover::resp::reply;
use handover::resp::request::{Limits, Request, Scanned, Scanner, canonical};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

/// How long the server may take for a few commands, on a machine that does other things too.
const REPLY_LIMIT: Duration = Duration::from_secs(20);

/// A redis-server on a unix socket in a directory of its own; both go when it is dropped.
struct Server {
    process: Child,
    directory: tempfile::TempDir,
}

impl Server {
    fn start(options: &[&str]) -> Server {
        let directory = tempfile::tempdir().unwrap();
        let mut process = Command::new("redis-server")
            .current_dir(&directory)
            .args([
                "--port",
                "0",
                "--unixsocket",
                "socket",
                "--save",
                "",
                "--appendonly",
                "no",
            ])
            .args(options)
            .stdout(Stdio::piped())
            .spawn()
            .expect("redis-server is needed on PATH: apt-get install redis-server");
        let log = BufReader::new(process.stdout.take().unwrap());
        let ready = log
            .lines()
            .map_while(Result::ok)
            .any(|line| line.contains("ready to accept connections"));
        assert!(ready, "redis-server ended before it was ready");
        Server { process, directory }
    }

    /// Every reply to `stream`, until the server closes: because of an error in it, or because it is over.
    fn replies(&self, stream: &[u8]) -> Vec<Vec<u8>> {
        let mut socket = UnixStream::connect(self.directory.path().join("socket")).unwrap();
        socket.set_read_timeout(Some(REPLY_LIMIT)).unwrap();
        // The server may have closed already; what it said before is what counts.
        let _ = socket.write_all(stream);
        let _ = socket.shutdown(Shutdown::Write);
        let mut bytes = Vec::new();
        if let Err(error) = socket.read_to_end(&mut bytes) {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        }
        let mut scanner = reply::Scanner::default();
        let mut replies = Vec::new();
        let mut rest = &bytes[..];
        while let reply::Progress::Frame { length, .. } = scanner.scan(rest).unwrap() {
            replies.push(rest[..length].to_vec());
            rest = &rest[length..];
        }
        assert!(rest.is_empty(), "half a reply: {}", rest.escape_ascii());
        replies
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What the scanner makes of a stream.
struct Scan {
    /// Every request, re-encoded where it must be.
    requests: Vec<Vec<u8>>,
    /// The reply to what is no request, if it came to that.
    error: Option<Vec<u8>>,
}

fn scan(stream: &[u8], limits: &Limits) -> Scan {
    let mut scan = Scan {
        requests: Vec::new(),
        error: None,
    };
    let mut scanner = Scanner::default();
    let mut rest = stream;
    loop {
        match scanner.scan(rest, limits) {
            Ok(Scanned::Incomplete) => return scan,
            Ok(Scanned::Empty { length }) => rest = &rest[length..],
            Ok(Scanned::Request(shape)) => {
                let (frame, after) = rest.split_at(shape.length);
                scan.requests.push(canonical(frame, &shape).unwrap());
                rest = after;
            }
            Err(error) => {
                scan.error = Some(error.client_text());
                return scan;
            }
        }
    }
}

/// The argument of `frame`, an `ECHO` with one argument; none for anything else.
fn echoed(frame: &[u8]) -> Option<Vec<u8>> {
    let Ok(Scanned::Request(shape)) = Scanner::default().scan(frame, &Limits::redis()) else {
        panic!("not a request: {}", frame.escape_ascii());
    };
    let request = Request::new(frame, &shape);
    let argument = request.argument(1)?;
    (request.name().eq_ignore_ascii_case(b"ECHO") && request.len() == 2).then(|| {
        [
            format!("${}\r\n", argument.len()).as_bytes(),
            argument,
            b"\r\n",
        ]
        .concat()
    })
}

/// The server answers as many requests as the scanner finds, echoes the arguments that it finds, and ends with the same
/// error or with none; and gives the same answers to what would be forwarded.
fn check(server: &Server, limits: &Limits, stream: &[u8]) {
    let stream_text = stream.escape_ascii();
    let replies = server.replies(stream);
    let Scan { requests, error } = scan(stream, limits);
    let (answers, refusal) = replies.split_at(requests.len().min(replies.len()));
    assert_eq!(
        answers.len(),
        requests.len(),
        "{stream_text}: {}",
        replies.concat().escape_ascii()
    );
    assert_eq!(
        refusal,
        Vec::from_iter(error),
        "{stream_text}: {}",
        replies.concat().escape_ascii()
    );
    for (request, answer) in requests.iter().zip(answers) {
        if let Some(echo) = echoed(request) {
            assert_eq!(&echo, answer, "{stream_text}");
        }
    }
    assert_eq!(
        server.replies(&requests.concat()),
        answers,
        "forwarded: {stream_text}"
    );
}

#[test]
fn malformed_requests_get_the_servers_own_errors() {
    let server = Server::start(&[]);
    let check = |stream: &[u8]| check(&server, &Limits::redis(), stream);
    for count in [
        "",
        "x",
        "01",
        "+1",
        " 1",
        "1 ",
        "0",
        "-1",
        "-2",
        "-0",
        "2147483648",
        "99999999999999999999",
        "2\n$4",
    ] {
        check(format!("*{count}\r\n$4\r\nPING\r\n").as_bytes());
    }
    for length in [
        "",
        "x",
        "04",
        "+4",
        "4 ",
        "-1",
        "536870912",
        "536870913",
        "9223372036854775808",
        "4\n",
    ] {
        check(format!("*2\r\n$4\r\nECHO\r\n${length}\r\nPING\r\n").as_bytes());
    }
    for lead in 0..=u8::MAX {
        check(&[b"*2\r\n$4\r\nECHO\r\n", &[lead][..], b"4\r\nPING\r\n"].concat());
    }
    for stream in [
        &b""[..],
        b"\r\n",
        b"*1\r\n",
        b"*1\r\n\r\n",
        b"*2\r\n$4\r\nECHO\r\n:",
        b"*2\r\n$4\r\nECHO\r\n:1\r",
        b"*1\rX$4\rXPINGXX",
        b"*0\rX*1\r\n$4\r\nPING\r\n",
        b"*2\r\n$4\r\nECHO\n\n$1\r\n\r\r\nPING\r\n",
        b"PING\nECHO 'a b'\r\n",
        b"ECHO \"\\x41\\n\"\r\n",
        b"ECHO \"a\r\n",
        b"ECHO 'a'b\r\n",
        b"ECHO a\x0bb\r\n",
        b"PI\0NG\r\n",
        b"*1\0\r\n$4\r\nPING\r\n",
        b"*1\r\n$4\0\r\nPING\r\n",
        b" *1\r\n$4\r\nPING\r\n",
    ] {
        check(stream);
    }
}

#[test]
fn lines_without_end_get_the_servers_own_errors() {
    let server = Server::start(&[]);
    for prefix in [
        &b"PING"[..],
        b"*",
        b"*1\r\n$",
        b"*1\r\n",
        b"PING\0\r\n",
        b"*1\0\r\n",
    ] {
        for length in [
            Limits::redis().inline_bytes,
            Limits::redis().inline_bytes + 1,
        ] {
            let start = if prefix.starts_with(b"*1\r") { 4 } else { 0 };
            let mut stream = prefix.to_vec();
            stream.resize(start + length, b'1');
            check(&server, &Limits::redis(), &stream);
        }
    }
}

#[test]
fn a_client_that_has_not_authenticated_gets_the_servers_own_errors() {
    let server = Server::start(&["--requirepass", "secret"]);
    for stream in [
        &b"*10\r\n"[..],
        b"*11\r\n",
        b"*2147483648\r\n",
        b"*1\r\n$16384\r\n",
        b"*1\r\n$16385\r\n",
        b"*1\r\n$536870913\r\n",
        b"*1\r\n$-1\r\n",
        b"*x\r\n",
        b"PING a b c\r\n",
    ] {
        check(&server, &Limits::unauthenticated(), stream);
    }
}

#[test]
fn any_stream_means_the_same_to_the_server() {
    let server = Server::start(&[]);
    let piece = prop_oneof![
        4 => proptest::sample::select(vec![
            &b"*2\r\n$4\r\nECHO\r\n$3\r\nabc\r\n"[..], b"ECHO abc\r\n", b"*1\r\n$4\r\nPING\r\n", b"PING\n", b"*2\r\n",
            b"*1\r\n", b"$4\r\nECHO\r\n", b"$4\r\nEC", b"HO\r\n", b"$1\r\na\r\n", b"$0\r\n\r\n", b"$2\rX\r\nXX", b"*2\rX",
            b"*0\r\n", b"*-1\r\n", b"ECHO ", b"\"a b\"", b"'a b'", b"\"\\x41\\", b"\"\r\n", b"\r\n",
        ]).prop_map(<[u8]>::to_vec),
        2 => proptest::sample::select(b"\r\n\0*$0123-+ \t\x0b\"'\\xa".to_vec()).prop_map(|byte| vec![byte]),
        1 => vec(any::<u8>(), 0..4),
    ];
    let streams = vec(piece, 0..10).prop_map(|pieces| pieces.concat());
    let outcome = TestRunner::default().run(&streams, |stream| {
        check(&server, &Limits::redis(), &stream);
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}
