//! Iterations by cursor: each element that was there all the time is delivered, wherever the cursor is presented.

#![allow(unreachable_pub)] // a module of a test binary

use std::collections::BTreeSet;

use super::course::{Row, Turn};
use super::kit::{Client, Reply};

/// Elements of each collection: enough for many calls.
const ELEMENTS: usize = 3000;
/// Asked for with each call.
const COUNT: &str = "50";
/// Calls before the crossing.
const CALLS_BEFORE: usize = 10;

/// What is iterated over.
const KEYS: &str = "scanned:";
const HASH: &str = "scanned-hash";
const SET: &str = "scanned-set";
const SORTED_SET: &str = "scanned-sorted-set";

/// Puts there what is iterated over, and left alone.
pub fn fill(server: &mut Client) {
    for element in 0..ELEMENTS {
        let (name, number) = (format!("element-{element}"), element.to_string());
        server.pipeline(&[
            &["SET", &format!("{KEYS}{name}"), "v"],
            &["HSET", HASH, &name, "v"],
            &["SADD", SET, &name],
            &["ZADD", SORTED_SET, &number, &name],
        ]);
    }
}

/// Each session goes on with its own cursor.
pub fn same_session(row: &Row<'_>, ten: &mut [Client]) {
    for turn in Turn::BOTH {
        let mut iterations: Vec<Iteration> = (0..ten.len()).map(Iteration::new).collect();
        for (session, iteration) in ten.iter_mut().zip(&mut iterations) {
            (0..CALLS_BEFORE).for_each(|_| iteration.step(row, session));
        }
        row.cross(turn);
        for (session, mut iteration) in ten.iter_mut().zip(iterations) {
            while iteration.cursor != "0" {
                iteration.step(row, session);
            }
            iteration.claim_complete(row);
        }
    }
}

/// A pool presents each cursor in whichever session is at hand.
pub fn another_session(row: &Row<'_>, ten: &mut [Client]) {
    for turn in Turn::BOTH {
        let mut iterations: Vec<Iteration> = (0..ten.len()).map(Iteration::new).collect();
        let mut at_hand = 0;
        let mut next = || {
            at_hand = (at_hand + 7) % 10;
            at_hand
        };
        for iteration in &mut iterations {
            (0..CALLS_BEFORE).for_each(|_| iteration.step(row, &mut ten[next()]));
        }
        row.cross(turn);
        for mut iteration in iterations {
            while iteration.cursor != "0" {
                iteration.step(row, &mut ten[next()]);
            }
            iteration.claim_complete(row);
        }
    }
}

/// One iteration.
struct Iteration {
    number: usize,
    cursor: String,
    seen: BTreeSet<String>,
}

impl Iteration {
    fn new(number: usize) -> Iteration {
        Iteration {
            number,
            cursor: "0".to_owned(),
            seen: BTreeSet::new(),
        }
    }

    fn step(&mut self, row: &Row<'_>, session: &mut Client) {
        let cursor = &self.cursor;
        let reply = match self.number % 5 {
            0 => session.call(&["HSCAN", HASH, cursor, "COUNT", COUNT]),
            1 => session.call(&["SSCAN", SET, cursor, "COUNT", COUNT]),
            2 => session.call(&["ZSCAN", SORTED_SET, cursor, "COUNT", COUNT]),
            _ => session.call(&["SCAN", cursor, "COUNT", COUNT, "MATCH", &format!("{KEYS}*")]),
        };
        let (cursor, elements) = match &reply {
            Reply::Array(parts) => match parts.as_slice() {
                [Reply::Bulk(cursor), Reply::Array(elements)] => (cursor, elements),
                _ => panic!("{}, iteration {}: {reply:?}", row.name, self.number),
            },
            _ => panic!("{}, iteration {}: {reply:?}", row.name, self.number),
        };
        self.cursor = String::from_utf8(cursor.clone()).unwrap();
        // Fields come with values, members with scores.
        let step = if matches!(self.number % 5, 0 | 2) {
            2
        } else {
            1
        };
        let names = elements.iter().step_by(step).cloned().map(Reply::into_text);
        self.seen.extend(names);
    }

    fn claim_complete(&self, row: &Row<'_>) {
        let prefix = if self.number % 5 > 2 { KEYS } else { "" };
        let missing = (0..ELEMENTS)
            .filter(|element| !self.seen.contains(&format!("{prefix}element-{element}")))
            .count();
        row.claim(self.number, "elements not delivered", &missing, &0);
    }
}
