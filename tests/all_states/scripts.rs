//! Scripts and functions: what the application made known before the crossing is known after it, to every session.

#![allow(unreachable_pub)] // a module of a test binary

use super::course::{Row, Turn};
use super::kit::{Client, Reply};

/// A script that one session sent with EVAL or SCRIPT LOAD is executed by its digest in another session.
pub fn by_digest(row: &Row<'_>, ten: &mut [Client]) {
    for turn in Turn::BOTH {
        let script = |number| format!("return redis.call('INCRBY', KEYS[1], {number}) -- {turn:?}");
        let mut digests = Vec::new();
        for (number, session) in ten.iter_mut().enumerate() {
            let (script, key) = (script(number), row.key(turn, number));
            if number % 2 == 0 {
                let reply = session.call(&["EVAL", &script, "1", &key]);
                row.claim(number, "EVAL", &reply, &Reply::Integer(number as i64));
                digests.push(digest(row, turn, &script));
            } else {
                digests.push(session.call(&["SCRIPT", "LOAD", &script]).into_text());
            }
        }
        row.cross(turn);
        for (number, session) in ten.iter_mut().enumerate() {
            let neighbour = (number + 1) % digests.len();
            let key = row.key(turn, neighbour);
            let reply = session.call(&["EVALSHA", &digests[neighbour], "1", &key]);
            let executions = if neighbour % 2 == 0 { 2 } else { 1 };
            let sum = Reply::Integer((executions * neighbour) as i64);
            row.claim(number, "EVALSHA of its neighbour's script", &reply, &sum);
        }
    }
}

/// A function that was loaded before is called after.
pub fn functions(row: &Row<'_>, ten: &mut [Client]) {
    let mut helper = row.helper();
    for turn in Turn::BOTH {
        let library = format!(
            "#!lua name=library_{turn:?}\n\
             redis.register_function('count_{turn:?}', function(keys)\n\
             return redis.call('INCR', keys[1])\nend)"
        );
        let loaded = helper.call(&["FUNCTION", "LOAD", &library]);
        assert_eq!(loaded, Reply::bulk(&format!("library_{turn:?}")));
        let call = |number, session: &mut Client| {
            session.call(&[
                "FCALL",
                &format!("count_{turn:?}"),
                "1",
                &row.key(turn, number),
            ])
        };
        for (number, session) in ten.iter_mut().enumerate().take(5) {
            assert_eq!(call(number, session), Reply::Integer(1));
        }
        row.cross(turn);
        for (number, session) in ten.iter_mut().enumerate() {
            let expected = Reply::Integer(if number < 5 { 2 } else { 1 });
            row.claim(number, "FCALL", &call(number, session), &expected);
        }
    }
}

/// What EVALSHA calls a script, as a server says that sessions do not use.
fn digest(row: &Row<'_>, turn: Turn, script: &str) -> String {
    row.before(turn)
        .client()
        .call(&["EVAL", "return redis.sha1hex(ARGV[1])", "0", script])
        .into_text()
}
