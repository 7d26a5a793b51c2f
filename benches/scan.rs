//! How fast frames are found: requests and replies, small, large, deep, flat and pipelined.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use handover::resp::encode::command_vec;
use handover::resp::reply::{self, Progress};
use handover::resp::request::{Limits, Request, Scanned, Scanner, canonical};

/// A pipeline that about fills one read.
const PIPELINED: usize = 400;

/// What one read brings at most, in the benches of values that arrive in pieces.
const READ_BYTES: usize = 16 * 1024;

fn requests(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("request");
    let set = command_vec(&[b"SET", b"key:000000000042", b"xxx"]);
    let mget_keys: Vec<Vec<u8>> = (0..1000)
        .map(|key| format!("key:{key}").into_bytes())
        .collect();
    let mut mget: Vec<&[u8]> = vec![b"MGET"];
    mget.extend(mget_keys.iter().map(Vec::as_slice));
    for (name, stream) in [
        ("get", command_vec(&[b"GET", b"key:000000000042"])),
        ("set", set.clone()),
        (
            "set 1 MiB",
            command_vec(&[b"SET", b"key", &vec![b'x'; 1 << 20]]),
        ),
        ("mget 1000", command_vec(&mget)),
        ("set pipelined", set.repeat(PIPELINED)),
        (
            "inline pipelined",
            b"SET key:000000000042 \"x x\"\r\n".repeat(PIPELINED),
        ),
    ] {
        group.throughput(Throughput::Bytes(stream.len() as u64));
        let mut scanner = Scanner::default();
        group.bench_function(name, |bencher| {
            bencher.iter(|| scan_requests(&mut scanner, black_box(&stream)));
        });
    }
    let large = command_vec(&[b"SET", b"key", &vec![b'x'; 1 << 20]]);
    group.throughput(Throughput::Bytes(large.len() as u64));
    group.bench_function("set 1 MiB in reads", |bencher| {
        bencher.iter(|| {
            let mut scanner = Scanner::default();
            for end in (READ_BYTES..large.len()).step_by(READ_BYTES) {
                let _ = black_box(scanner.scan(&large[..end], &Limits::redis()));
            }
            black_box(scanner.scan(&large, &Limits::redis()))
        });
    });
    let loose = b"*3\rX$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nvalueXX".to_vec();
    let Ok(Scanned::Request(shape)) = Scanner::default().scan(&loose, &Limits::redis()) else {
        unreachable!("the frame is whole");
    };
    group.bench_function("re-encode", |bencher| {
        bencher.iter_batched(
            || loose.clone(),
            |frame| canonical(&frame, &shape),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

/// Scans a stream of whole requests; looks at each one's name and first key, as the data path does.
fn scan_requests(scanner: &mut Scanner, mut rest: &[u8]) {
    let limits = Limits::redis();
    while let Ok(Scanned::Request(shape)) = scanner.scan(rest, &limits) {
        let (frame, after) = rest.split_at(shape.length);
        if shape.form == handover::resp::request::Form::Canonical {
            let request = Request::new(frame, &shape);
            black_box((request.name(), request.argument(1)));
        }
        rest = after;
    }
}

fn replies(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("reply");
    let bulk = |length: usize| {
        [
            format!("${length}\r\n").as_bytes(),
            &vec![b'x'; length],
            b"\r\n",
        ]
        .concat()
    };
    let flat = [b"*1000\r\n".to_vec(), bulk(16).repeat(1000)].concat();
    let deep = [b"*1\r\n".repeat(1000), b":1\r\n".to_vec()].concat();
    for (name, stream) in [
        ("ok", b"+OK\r\n".to_vec()),
        ("integer", b":1234567\r\n".to_vec()),
        ("bulk 3", bulk(3)),
        ("bulk 1 MiB", bulk(1 << 20)),
        ("array 1000", flat),
        ("array depth 1000", deep),
        ("ok pipelined", b"+OK\r\n".repeat(PIPELINED)),
        ("bulk 3 pipelined", bulk(3).repeat(PIPELINED)),
    ] {
        group.throughput(Throughput::Bytes(stream.len() as u64));
        for (how, read) in [
            ("", stream.len()),
            (" in reads", 64.min(stream.len() / 2 + 1)),
        ] {
            let mut scanner = reply::Scanner::default();
            group.bench_function(format!("{name}{how}"), |bencher| {
                bencher.iter(|| {
                    for piece in black_box(&stream).chunks(read) {
                        scan_replies(&mut scanner, piece);
                    }
                });
            });
        }
    }
    group.finish();
}

/// Scans what one read brought.
fn scan_replies(scanner: &mut reply::Scanner, mut rest: &[u8]) {
    while !rest.is_empty() {
        match scanner.scan(rest) {
            Ok(Progress::Frame { length, kind }) => {
                black_box(kind);
                rest = &rest[length..];
            }
            Ok(Progress::Partial) | Err(_) => return,
        }
    }
}

criterion_group!(benches, requests, replies);
criterion_main!(benches);
