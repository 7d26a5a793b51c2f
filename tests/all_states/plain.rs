//! Sessions without a state of their own: idle, reading, writing.

#![allow(unreachable_pub)] // a module of a test binary

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::course::{Row, Turn};
use super::kit::{Client, Reply};

/// An idle session goes on where writes are owned now, whether or not it had ever sent anything.
pub fn idle(row: &Row<'_>, ten: &mut [Client]) {
    let written = row.key(Turn::Forth, "before");
    for session in &mut ten[..5] {
        assert_eq!(session.call(&["SET", &written, "v"]), Reply::ok());
    }
    for turn in Turn::BOTH {
        row.cross(turn);
        let mut server = row.after(turn).client();
        for (number, session) in ten.iter_mut().enumerate() {
            let key = row.key(turn, number);
            let read = session.call(&["GET", &written]);
            row.claim(number, "GET", &read, &Reply::bulk("v"));
            row.claim(
                number,
                "SET",
                &session.call(&["SET", &key, "v"]),
                &Reply::ok(),
            );
            let there = server.call(&["GET", &key]);
            row.claim(number, "its write", &there, &Reply::bulk("v"));
        }
    }
}

/// Who only reads gets every reply, and the right one, all along.
pub fn only_reads(row: &Row<'_>, ten: &mut [Client]) {
    let mut helper = row.helper();
    for number in 0..ten.len() {
        let key = row.key(Turn::Forth, number);
        assert_eq!(
            helper.call(&["SET", &key, &number.to_string()]),
            Reply::ok()
        );
    }
    for turn in Turn::BOTH {
        let read_on = |number: usize, session: &mut Client| {
            let (key, value) = (
                row.key(Turn::Forth, number),
                Reply::bulk(&number.to_string()),
            );
            let mut reads = 0;
            loop {
                let over = row.is_over(turn);
                row.claim(number, "GET", &session.call(&["GET", &key]), &value);
                reads += 1;
                if over {
                    return reads;
                }
                row.pace();
            }
        };
        let (reads, ()) = row.together(ten, read_on, || row.cross(turn));
        assert!(
            reads.iter().all(|reads| *reads > 1),
            "{}: nothing was read meanwhile: {reads:?}",
            row.name
        );
    }
}

/// Who writes without a break gets each reply once, in order, and every write is there.
pub fn writes_all_the_time(row: &Row<'_>, ten: &mut [Client]) {
    for turn in Turn::BOTH {
        let write_on = |number: usize, session: &mut Client| {
            let key = row.key(turn, number);
            let mut written = 0;
            loop {
                let over = row.is_over(turn);
                written += 1;
                let reply = session.call(&["INCR", &key]);
                row.claim(number, "INCR", &reply, &Reply::Integer(written));
                if over {
                    return written;
                }
                row.pace();
            }
        };
        let (written, ()) = row.together(ten, write_on, || row.cross(turn));
        let mut server = row.after(turn).client();
        for (number, written) in written.iter().enumerate() {
            let there = server.call(&["GET", &row.key(turn, number)]);
            row.claim(
                number,
                "its writes",
                &there,
                &Reply::bulk(&written.to_string()),
            );
            assert!(*written > 2, "{}: nothing was written meanwhile", row.name);
        }
    }
}

/// A write that arrives while writes are held is answered after the release, and was executed once, on the other side.
pub fn write_during_the_hold(row: &Row<'_>, ten: &mut [Client]) {
    let requests: [&[&str]; 5] = [
        &["INCR"],
        &["RPUSH", "item"],
        &["HSET", "field", "value"],
        &["PFADD", "element"],
        &["EVAL"],
    ];
    for turn in Turn::BOTH {
        for session in ten.iter_mut() {
            assert_eq!(session.call(&["PING"]), Reply::Simple("PONG".to_owned()));
        }
        let (crossed, held) = (AtomicBool::new(false), AtomicBool::new(false));
        let write_once = |number: usize, session: &mut Client| {
            row.wait_for_the_hold(turn);
            let key = row.key(turn, number);
            let sent = Instant::now();
            let request = requests[number % requests.len()];
            let reply = match request {
                ["EVAL"] => session.call(&["EVAL", SCRIPT, "1", &key]),
                [command, arguments @ ..] => {
                    session.call(&[&[*command, &key] as &[&str], arguments].concat())
                }
                [] => unreachable!("each request has a name"),
            };
            held.fetch_or(!crossed.load(Ordering::Relaxed), Ordering::Relaxed);
            row.claim(number, "its write", &reply, &Reply::Integer(1));
            sent.elapsed()
        };
        let (waited, ()) = row.together(ten, write_once, || {
            row.cross(turn);
            crossed.store(true, Ordering::Relaxed);
        });
        eprintln!(
            "{turn:?}: writes sent during the hold waited {:?}",
            waited.iter().max()
        );
        let mut server = row.after(turn).client();
        for (number, session) in ten.iter_mut().enumerate() {
            let key = row.key(turn, number);
            let expected = match requests[number % requests.len()] {
                ["RPUSH", ..] => ("LLEN", 1),
                ["HSET", ..] => ("HLEN", 1),
                ["PFADD", ..] => ("PFCOUNT", 1),
                _ => ("GET", 1),
            };
            for client in [&mut server, session] {
                let there = client.call(&[expected.0, &key]).number();
                row.claim(number, "its write, once", &there, &expected.1);
            }
        }
    }
}

const SCRIPT: &str = "return redis.call('INCR', KEYS[1])";
