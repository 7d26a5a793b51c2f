//! How long it takes to find out what a request is.

use criterion::{Criterion, criterion_group, criterion_main};
use handover::command::{Table, keys};
use handover::resp::encode;
use handover::resp::request::{Limits, Request, Scanned, Scanner};
use std::hint::black_box;

/// One of each way through the classifier.
const REQUESTS: [(&str, &str); 6] = [
    ("a plain name", "get user:1000"),
    ("a subcommand", "CLIENT SETINFO LIB-NAME x"),
    (
        "arguments that decide",
        "SORT list BY nosort GET # LIMIT 0 10 ALPHA",
    ),
    ("a read that could wait", "XREAD COUNT 10 STREAMS stream 0"),
    ("a blocking pop", "BLPOP list 5"),
    ("an unknown name", "NOSUCHCOMMAND a b"),
];

fn classify(bench: &mut Criterion) {
    let table = Table::builtin();
    for (case, line) in REQUESTS {
        with(line, |request| {
            bench.bench_function(&format!("classify {case}"), |bench| {
                bench.iter(|| table.classify(black_box(request)).class);
            });
        });
    }
}

fn find_keys(bench: &mut Criterion) {
    let table = Table::builtin();
    for line in [
        "GET user:1000",
        "ZUNIONSTORE d 2 a b WEIGHTS 1 2",
        "XREAD COUNT 10 STREAMS a b 0 0",
    ] {
        with(line, |request| {
            let Some(command) = table.classify(request).command else {
                return;
            };
            bench.bench_function(&format!("keys of {}", command.name), |bench| {
                bench.iter(|| keys::keys(command, black_box(request)).count());
            });
        });
    }
}

fn with(line: &str, deed: impl FnOnce(&Request<'_>)) {
    let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    let frame = encode::command_vec(&words);
    if let Ok(Scanned::Request(shape)) = Scanner::default().scan(&frame, &Limits::redis()) {
        deed(&Request::new(&frame, &shape));
    }
}

criterion_group!(benches, classify, find_keys);
criterion_main!(benches);
