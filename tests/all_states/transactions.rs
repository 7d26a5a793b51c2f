//! Transactions: open ones, watched keys, and what a transaction changes about its session.

#![allow(unreachable_pub)] // a module of a test binary

use super::course::{Row, Turn};
use super::kit::{Client, Reply};

/// What was queued before is executed behind what is queued after, once, on the side that is active then.
pub fn open(row: &Row<'_>, ten: &mut [Client]) {
    for turn in Turn::BOTH {
        for (number, session) in ten.iter_mut().enumerate() {
            let list = row.key(turn, number);
            let multi: &[&str] = &["MULTI"];
            let push: &[&str] = &["RPUSH", &list, "item"];
            match number % 5 {
                0 => claim_queued(row, number, &session.pipeline(&[multi, push])),
                1 => {
                    let all = [&[multi] as &[&[&str]], &[push; 100]].concat();
                    claim_queued(row, number, &session.pipeline(&all));
                }
                // Nothing is queued yet.
                2 => assert_eq!(session.call(multi), Reply::ok()),
                3 => {
                    session.pipeline(&[multi, push]);
                    // Spoilt before: EXEC must say so after.
                    assert!(session.call(&["RPUSH", &list]).is_error("ERR wrong number"));
                }
                _ => {
                    for request in [multi, push, &["GET", &list], push] {
                        session.call(request);
                    }
                }
            }
        }
        row.cross(turn);
        let mut server = row.after(turn).client();
        for (number, session) in ten.iter_mut().enumerate() {
            let list = row.key(turn, number);
            let reply = session.call(&["RPUSH", &list, "last"]);
            row.claim(number, "RPUSH", &reply, &Reply::Simple("QUEUED".to_owned()));
            let before = match number % 5 {
                0 => 1,
                1 => 100,
                _ => 0,
            };
            let lengths = (1..=before + 1).map(Reply::Integer).collect();
            let (end, expected, length) = match number % 5 {
                3 => ("EXEC", None, 0),
                // Given up after the crossing: nothing of it may happen.
                4 => ("DISCARD", Some(Reply::ok()), 0),
                _ => ("EXEC", Some(Reply::Array(lengths)), before + 1),
            };
            let reply = session.call(&[end]);
            match expected {
                Some(expected) => row.claim(number, end, &reply, &expected),
                None => row.claim(number, end, &reply.is_error("EXECABORT"), &true),
            }
            let there = server.call(&["LLEN", &list]);
            row.claim(
                number,
                "length of the list",
                &there,
                &Reply::Integer(length),
            );
            let next = session.call(&["RPUSH", &list, "behind"]);
            row.claim(number, "next RPUSH", &next, &Reply::Integer(length + 1));
        }
    }
}

/// The same in RESP3 and in another database, where the server's replies look different.
pub fn open_elsewhere(row: &Row<'_>, ten: &mut [Client]) {
    for session in ten.iter_mut() {
        assert!(matches!(session.call(&["HELLO", "3"]), Reply::Map(_)));
        assert_eq!(session.call(&["SELECT", "5"]), Reply::ok());
    }
    for turn in Turn::BOTH {
        for (number, session) in ten.iter_mut().enumerate() {
            let hash = row.key(turn, number);
            let replies = session.pipeline(&[&["MULTI"], &["HSET", &hash, "field", "value"]]);
            claim_queued(row, number, &replies);
        }
        row.cross(turn);
        let mut server = row.after(turn).client();
        assert_eq!(server.call(&["SELECT", "5"]), Reply::ok());
        for (number, session) in ten.iter_mut().enumerate() {
            let hash = row.key(turn, number);
            session.call(&["HGETALL", &hash]);
            let map = Reply::Map(vec![(Reply::bulk("field"), Reply::bulk("value"))]);
            let expected = Reply::Array(vec![Reply::Integer(1), map]);
            row.claim(number, "EXEC", &session.call(&["EXEC"]), &expected);
            let there = server.call(&["HGET", &hash, "field"]);
            row.claim(
                number,
                "its write in database 5",
                &there,
                &Reply::bulk("value"),
            );
        }
    }
}

/// A SELECT, a name, a protocol that wait in the queue take effect with EXEC, and not before.
pub fn changing(row: &Row<'_>, ten: &mut [Client]) {
    for turn in Turn::BOTH {
        for (number, session) in ten.iter_mut().enumerate() {
            let key = row.key(turn, number);
            let name = format!("in-{turn:?}-{number}");
            let replies = session.pipeline(&[
                &["MULTI"],
                &["SELECT", if turn == Turn::Forth { "6" } else { "7" }],
                &["CLIENT", "SETNAME", &name],
                &["SET", &key, "v"],
            ]);
            claim_queued(row, number, &replies);
        }
        row.cross(turn);
        let mut server = row.after(turn).client();
        let database = if turn == Turn::Forth { "6" } else { "7" };
        assert_eq!(server.call(&["SELECT", database]), Reply::ok());
        for (number, session) in ten.iter_mut().enumerate() {
            let key = row.key(turn, number);
            let expected = Reply::Array(vec![Reply::ok(); 3]);
            row.claim(number, "EXEC", &session.call(&["EXEC"]), &expected);
            let there = server.call(&["GET", &key]);
            row.claim(
                number,
                "its write in the new database",
                &there,
                &Reply::bulk("v"),
            );
            row.claim(
                number,
                "GET",
                &session.call(&["GET", &key]),
                &Reply::bulk("v"),
            );
            let name = Reply::bulk(&format!("in-{turn:?}-{number}"));
            row.claim(number, "name", &session.call(&["CLIENT", "GETNAME"]), &name);
        }
    }
}

/// Watched keys count as changed, once; the usual second attempt succeeds. UNWATCH forgets them as ever.
pub fn watching(row: &Row<'_>, ten: &mut [Client]) {
    for turn in Turn::BOTH {
        for (number, session) in ten.iter_mut().enumerate() {
            let key = row.key(turn, number);
            assert_eq!(session.call(&["WATCH", &key]), Reply::ok());
            assert_eq!(session.call(&["GET", &key]), Reply::Null);
        }
        row.cross(turn);
        for (number, session) in ten.iter_mut().enumerate() {
            let key = row.key(turn, number);
            if number % 5 == 4 {
                assert_eq!(session.call(&["UNWATCH"]), Reply::ok());
            } else {
                let first = attempt(session, &key);
                row.claim(number, "first EXEC", &first, &Reply::Null);
                let there = session.call(&["GET", &key]);
                row.claim(number, "nothing written", &there, &Reply::Null);
                assert_eq!(session.call(&["WATCH", &key]), Reply::ok());
            }
            let again = attempt(session, &key);
            row.claim(
                number,
                "next EXEC",
                &again,
                &Reply::Array(vec![Reply::ok()]),
            );
            let there = row.after(turn).client().call(&["GET", &key]);
            row.claim(number, "its write", &there, &Reply::bulk("v"));
        }
    }
}

/// The same with the transaction open already.
pub fn watching_open(row: &Row<'_>, ten: &mut [Client]) {
    for turn in Turn::BOTH {
        for (number, session) in ten.iter_mut().enumerate() {
            let key = row.key(turn, number);
            assert_eq!(session.call(&["WATCH", &key]), Reply::ok());
            let replies = session.pipeline(&[&["MULTI"], &["INCR", &key]]);
            claim_queued(row, number, &replies);
        }
        row.cross(turn);
        let mut server = row.after(turn).client();
        for (number, session) in ten.iter_mut().enumerate() {
            let key = row.key(turn, number);
            session.call(&["INCR", &key]);
            row.claim(number, "EXEC", &session.call(&["EXEC"]), &Reply::Null);
            let there = server.call(&["GET", &key]);
            row.claim(number, "nothing written", &there, &Reply::Null);
            assert_eq!(session.call(&["WATCH", &key]), Reply::ok());
            let again = attempt(session, &key);
            row.claim(
                number,
                "next EXEC",
                &again,
                &Reply::Array(vec![Reply::ok()]),
            );
        }
    }
}

fn attempt(session: &mut Client, key: &str) -> Reply {
    assert_eq!(session.call(&["MULTI"]), Reply::ok());
    let queued = Reply::Simple("QUEUED".to_owned());
    assert_eq!(session.call(&["SET", key, "v"]), queued);
    session.call(&["EXEC"])
}

fn claim_queued(row: &Row<'_>, number: usize, replies: &[Reply]) {
    let queued = Reply::Simple("QUEUED".to_owned());
    let expected = [&[Reply::ok()] as &[Reply], &vec![queued; replies.len() - 1]].concat();
    row.claim(
        number,
        "MULTI and its queue",
        &replies,
        &expected.as_slice(),
    );
}
