//! Tests: requests as a worker shows them, and the report that comes of them.

use std::time::Instant;

use super::*;
use crate::command::{Sender, Sighting, Span};
use crate::resp::encode;
use crate::resp::request::{Limits, Request, Scanned, Scanner};

/// What is found with requests of these lines' words, one after the other; those of a transaction where `span` is given.
fn found(profile: Profile, lines: &[&str], mut span: Option<Span>) -> Vec<String> {
    let traffic = Traffic::new(profile, Keys::Shown, 1, Registry::new(vec![], vec![], 1));
    let mut table = Table::builtin();
    traffic.mark(&mut table);
    let lookout = traffic.of_worker(0);
    for line in lines {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let frame = encode::command_vec(&words);
        let Ok(Scanned::Request(shape)) = Scanner::default().scan(&frame, &Limits::redis()) else {
            panic!("no request: {line}");
        };
        let request = Request::new(&frame, &shape);
        let sighting = Sighting {
            request: &request,
            verdict: table.classify(&request),
            sender: Sender {
                address: "10.0.0.1:4000",
                name: None,
                library: &[],
            },
            at: Instant::now(),
        };
        match &mut span {
            Some(span) => lookout.saw_queued(&sighting, span),
            None => lookout.saw(&sighting),
        }
    }
    let mut names: Vec<_> = traffic.seen().findings.iter().map(Finding::name).collect();
    names.sort();
    names
}

fn check(line: &str, expected: &[&str]) {
    assert_eq!(
        found(Profile::ActiveActive, &[line], None),
        expected,
        "{line}"
    );
}

#[test]
fn identifiers_of_streams_are_found_behind_every_option() {
    for line in [
        "XADD s 1-1 f v",
        "XADD s NOMKSTREAM 1-1 f v",
        "XADD s NOMKSTREAM MAXLEN ~ 10 LIMIT 5 1-1 f v",
        "XADD s maxlen 10 1-1 f v",
        "XADD s MINID = 5-5 1-1 f v",
    ] {
        check(line, &["explicit_stream_id:XADD"]);
    }
    for line in [
        "XADD s * 1-1 v",
        "XADD s 1 f v",
        "XADD s 1-* f v",
        "XADD s MINID 5-5 * f v",
    ] {
        check(line, &[]);
    }
}

#[test]
fn counters_are_measured_in_both_directions() {
    check("INCRBY c -288230376151711744", &["counter_overflow:INCRBY"]);
    check(
        "HINCRBY h f 144115188075855872",
        &["counter_near_limit:HINCRBY"],
    );
    check("DECRBY c 144115188075855871", &[]);
    check("INCRBY c many", &[]);
}

#[test]
fn a_request_that_no_server_accepts_is_no_finding() {
    check("WAIT", &[]);
    check("RENAME a b c", &[]);
}

#[test]
fn a_transaction_is_one_span() {
    let in_one = |lines: &[&str]| found(Profile::Enterprise, lines, Some(Span::default()));
    assert_eq!(in_one(&["SET {t}a 1", "GET {t}b", "PING"]), [""; 0]);
    assert_eq!(
        in_one(&["SET a 1", "GET b", "GET c"]),
        ["transaction_slots:GET"]
    );
    assert_eq!(in_one(&["SINTER a b"]), ["several_slots:SINTER"]);
    assert_eq!(
        found(Profile::Redis, &["SET a 1", "GET b"], Some(Span::default())),
        [""; 0]
    );
}

#[test]
fn names_of_findings_are_accepted_in_any_case_and_no_others() {
    let accepted = |names: &[&str]| Accepted::parse(names.iter().copied());
    for wrong in ["", "several", "several_slots:", ":DEL"] {
        assert!(accepted(&[wrong]).is_err(), "{wrong}");
    }
    assert!(accepted(&["Several_Slots:del", "missing"]).is_ok());
}
