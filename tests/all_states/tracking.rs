//! CLIENT TRACKING: after the crossing a client is told to forget everything, and is told of changes as before.

#![allow(unreachable_pub)] // a module of a test binary

use super::course::{Row, Turn};
use super::kit::{Client, Reply};

/// The default mode in RESP3: what was read is tracked.
pub fn default_mode(row: &Row<'_>, ten: &mut [Client]) {
    let mut helper = row.helper();
    for session in ten.iter_mut() {
        assert!(matches!(session.call(&["HELLO", "3"]), Reply::Map(_)));
        assert_eq!(session.call(&["CLIENT", "TRACKING", "ON"]), Reply::ok());
    }
    for turn in Turn::BOTH {
        for (number, session) in ten.iter_mut().enumerate() {
            let key = row.key(turn, number);
            assert_eq!(session.call(&["GET", &key]), Reply::Null);
        }
        row.cross(turn);
        for (number, session) in ten.iter_mut().enumerate() {
            let key = row.key(turn, number);
            row.claim(
                number,
                "told to forget",
                &session.read_reply(),
                &forget_all(),
            );
            row.claim(number, "GET", &session.call(&["GET", &key]), &Reply::Null);
            assert_eq!(helper.call(&["SET", &key, "v"]), Reply::ok());
            row.claim(
                number,
                "told of a change",
                &session.read_reply(),
                &forget(&key),
            );
            row.claim(
                number,
                "GET",
                &session.call(&["GET", &key]),
                &Reply::bulk("v"),
            );
        }
    }
}

/// BCAST tells of everything with a prefix, OPTIN of what was read behind CLIENT CACHING YES and of nothing else.
pub fn other_modes(row: &Row<'_>, ten: &mut [Client]) {
    let mut helper = row.helper();
    let prefix = |number| format!("{}:{number}:", row.name);
    for (number, session) in ten.iter_mut().enumerate() {
        assert!(matches!(session.call(&["HELLO", "3"]), Reply::Map(_)));
        let prefix = prefix(number);
        let mode: &[&str] = match number % 2 {
            0 => &["BCAST", "PREFIX", &prefix],
            _ => &["OPTIN"],
        };
        let on = [&["CLIENT", "TRACKING", "ON"], mode].concat();
        assert_eq!(session.call(&on), Reply::ok());
    }
    for turn in Turn::BOTH {
        row.cross(turn);
        for (number, session) in ten.iter_mut().enumerate() {
            let tracked = format!("{}{turn:?}", prefix(number));
            let ignored = row.key(turn, format!("ignored:{number}"));
            row.claim(
                number,
                "told to forget",
                &session.read_reply(),
                &forget_all(),
            );
            if number % 2 == 1 {
                session.call(&["GET", &ignored]);
                let reply = session.call(&["CLIENT", "CACHING", "YES"]);
                row.claim(number, "CLIENT CACHING YES", &reply, &Reply::ok());
                assert_eq!(session.call(&["GET", &tracked]), Reply::Null);
            }
            for key in [&ignored, &tracked] {
                assert_eq!(helper.call(&["SET", key, "v"]), Reply::ok());
            }
            row.claim(
                number,
                "told of a change",
                &session.read_reply(),
                &forget(&tracked),
            );
            let pong = Reply::Simple("PONG".to_owned());
            row.claim(
                number,
                "and of nothing else",
                &session.call(&["PING"]),
                &pong,
            );
        }
    }
}

/// REDIRECT in RESP2: the session that subscribed to the invalidations is told, five pairs of them.
pub fn redirected(row: &Row<'_>, ten: &mut [Client]) {
    let mut helper = row.helper();
    let (told, caching) = ten.split_at_mut(5);
    for (told, caching) in told.iter_mut().zip(caching.iter_mut()) {
        let id = told.call(&["CLIENT", "ID"]).number().to_string();
        told.call(&["SUBSCRIBE", CHANNEL]);
        let on = caching.call(&["CLIENT", "TRACKING", "ON", "REDIRECT", &id]);
        assert_eq!(on, Reply::ok());
    }
    let message = |keys| Reply::Array(vec![Reply::bulk("message"), Reply::bulk(CHANNEL), keys]);
    for turn in Turn::BOTH {
        row.cross(turn);
        for (number, (told, caching)) in told.iter_mut().zip(caching.iter_mut()).enumerate() {
            let key = row.key(turn, number);
            let forget_all = message(Reply::Null);
            row.claim(number, "told to forget", &told.read_reply(), &forget_all);
            row.claim(number, "GET", &caching.call(&["GET", &key]), &Reply::Null);
            assert_eq!(helper.call(&["SET", &key, "v"]), Reply::ok());
            let changed = message(Reply::bulks(&[&key]));
            row.claim(number, "told of a change", &told.read_reply(), &changed);
            row.claim(
                number,
                "GET",
                &caching.call(&["GET", &key]),
                &Reply::bulk("v"),
            );
        }
    }
}

/// Where RESP2 clients are told.
const CHANNEL: &str = "__redis__:invalidate";

fn forget_all() -> Reply {
    Reply::Push(vec![Reply::bulk("invalidate"), Reply::Null])
}

fn forget(key: &str) -> Reply {
    Reply::Push(vec![Reply::bulk("invalidate"), Reply::bulks(&[key])])
}
