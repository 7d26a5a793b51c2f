//! Subscriptions and MONITOR: each message once, in order, whenever it was published.

#![allow(unreachable_pub)] // a module of a test binary

use std::sync::mpsc;
use std::thread;

use super::TEN;
use super::course::{Row, Turn};
use super::kit::{Client, Reply};

/// Messages before the crossing and after it, at least.
const MESSAGES: usize = 50;
/// How far the publisher may be ahead of the subscribers.
const AHEAD_MAX: usize = 64;

/// SUBSCRIBE in RESP2.
pub fn channel(row: &Row<'_>, ten: &mut [Client]) {
    let channel = row.key(Turn::Forth, "channel");
    for session in ten.iter_mut() {
        let expected = Reply::Array(vec![
            Reply::bulk("subscribe"),
            Reply::bulk(&channel),
            Reply::Integer(1),
        ]);
        assert_eq!(session.call(&["SUBSCRIBE", &channel]), expected);
    }
    every_message_once(row, ten, ["PUBLISH", &channel], |_, text| {
        Reply::bulks(&["message", &channel, text])
    });
    for (number, session) in ten.iter_mut().enumerate() {
        let refused = session
            .call(&["GET", "k"])
            .is_error("ERR Can't execute 'get'");
        row.claim(number, "GET while subscribed refused", &refused, &true);
        session.call(&["UNSUBSCRIBE"]);
        let read = session.call(&["GET", &row.key(Turn::Forth, "none")]);
        row.claim(number, "GET when no longer subscribed", &read, &Reply::Null);
    }
}

/// PSUBSCRIBE in RESP2.
pub fn pattern(row: &Row<'_>, ten: &mut [Client]) {
    let channel = row.key(Turn::Forth, "channel");
    let pattern = format!("{}*", row.key(Turn::Forth, "chan"));
    for session in ten.iter_mut() {
        assert!(matches!(
            session.call(&["PSUBSCRIBE", &pattern]),
            Reply::Array(_)
        ));
    }
    every_message_once(row, ten, ["PUBLISH", &channel], |_, text| {
        Reply::bulks(&["pmessage", &pattern, &channel, text])
    });
}

/// SUBSCRIBE in RESP3, where a session can do other things meanwhile.
pub fn channel_resp3(row: &Row<'_>, ten: &mut [Client]) {
    let channel = row.key(Turn::Forth, "channel");
    for session in ten.iter_mut() {
        assert!(matches!(session.call(&["HELLO", "3"]), Reply::Map(_)));
        assert!(matches!(
            session.call(&["SUBSCRIBE", &channel]),
            Reply::Push(_)
        ));
        assert_eq!(session.call(&["GET", "none"]), Reply::Null);
    }
    every_message_once(row, ten, ["PUBLISH", &channel], |_, text| {
        Reply::Push(["message", &channel, text].map(Reply::bulk).to_vec())
    });
    for (number, session) in ten.iter_mut().enumerate() {
        let key = row.key(Turn::Back, number);
        row.claim(
            number,
            "INCR",
            &session.call(&["INCR", &key]),
            &Reply::Integer(1),
        );
    }
}

/// SSUBSCRIBE, in both protocols.
pub fn shard_channel(row: &Row<'_>, ten: &mut [Client]) {
    let channel = row.key(Turn::Forth, "channel");
    for (number, session) in ten.iter_mut().enumerate() {
        if number % 2 == 1 {
            assert!(matches!(session.call(&["HELLO", "3"]), Reply::Map(_)));
        }
        session.call(&["SSUBSCRIBE", &channel]);
    }
    every_message_once(row, ten, ["SPUBLISH", &channel], |number, text| {
        let words = ["smessage", &channel, text];
        match number % 2 {
            0 => Reply::bulks(&words),
            _ => Reply::Push(words.map(Reply::bulk).to_vec()),
        }
    });
}

/// Publishes numbered messages through both crossings; each of the ten must get each, once, in order.
fn every_message_once(
    row: &Row<'_>,
    ten: &mut [Client],
    publish: [&str; 2],
    expected: impl Fn(usize, &str) -> Reply,
) {
    let mut publisher = row.helper();
    let mut published = 0;
    for turn in Turn::BOTH {
        let (sender, messages) = mpsc::sync_channel(AHEAD_MAX);
        published = thread::scope(|scope| {
            let publisher = &mut *publisher;
            let publishing = scope.spawn(move || {
                let mut afterwards = 0;
                for number in published.. {
                    let text = number.to_string();
                    let receivers = publisher.call(&[publish[0], publish[1], &text]);
                    row.claim(number, publish[0], &receivers, &Reply::Integer(TEN as i64));
                    afterwards += usize::from(row.is_over(turn));
                    row.pace();
                    if sender.send(text).is_err() || afterwards == MESSAGES {
                        return number + 1;
                    }
                }
                unreachable!("there is no last number")
            });
            for (count, text) in messages.iter().enumerate() {
                for (number, session) in ten.iter_mut().enumerate() {
                    let message = session.read_reply();
                    row.claim(number, "message", &message, &expected(number, &text));
                }
                if count == MESSAGES {
                    row.ready();
                }
            }
            publishing
                .join()
                .unwrap_or_else(|_| panic!("{}: no publisher", row.name))
        });
    }
    eprintln!("{}: {published} messages", row.name);
}

/// Who monitors sees what the active side executes: before, between and after the crossings, each command once.
pub fn monitor(row: &Row<'_>, ten: &mut [Client]) {
    let mut helper = row.helper();
    let mark = |what: &str| format!("{}-{what}", row.name);
    let watch = |_, session: &mut Client| {
        assert_eq!(session.call(&["MONITOR"]), Reply::ok());
        let mut seen = Vec::new();
        while seen.last().is_none_or(|last| *last != mark("end")) {
            let line = session.read_reply().into_text();
            let marks = ["before", "Forth", "Back", "end"].map(mark);
            seen.extend(
                marks
                    .into_iter()
                    .filter(|mark| line.contains(mark.as_str())),
            );
        }
        seen
    };
    let (seen, ()) = row.together(ten, watch, || {
        let monitoring = || {
            let list = super::who::client_list(row.before(Turn::Forth));
            list.lines()
                .filter(|line| line.contains(" cmd=monitor "))
                .count()
                == TEN
        };
        assert!(
            super::kit::eventually(super::kit::LIMIT, monitoring),
            "{}: not all monitor",
            row.name
        );
        helper.call(&["ECHO", &mark("before")]);
        for turn in Turn::BOTH {
            row.cross(turn);
            helper.call(&["ECHO", &mark(&format!("{turn:?}"))]);
        }
        helper.call(&["ECHO", &mark("end")]);
    });
    for (number, seen) in seen.iter().enumerate() {
        let expected = ["before", "Forth", "Back", "end"].map(mark).to_vec();
        row.claim(number, "commands seen", seen, &expected);
    }
}
