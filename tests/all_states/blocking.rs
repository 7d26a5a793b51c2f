//! Blocked commands: nobody is served twice or not at all, those who wait on one list are served in the order in which
//! they came, and time runs out when it should.

#![allow(unreachable_pub)] // a module of a test binary

use std::time::{Duration, Instant};

use super::course::{Row, Turn};
use super::kit::{Client, LIMIT, RedisServer, Reply, eventually, let_pass};
use super::who::client_list;

/// Time limits begin here: long enough for a crossing of everybody.
const FIRST_LIMIT: Duration = Duration::from_secs(4);
/// How long they wait before the crossing at least: a limit that counted anew from there would be late by so much, and not
/// by what a busy machine adds.
const WAIT_BEFORE: Duration = Duration::from_millis(1600);
/// How much earlier: the server counts whole milliseconds.
const EARLY_MAX: Duration = Duration::from_millis(5);
/// Where the sessions wait whose time runs out: nobody else is there, so they can be counted.
const DATABASE: &str = "4";

/// Ten wait on one list. They are served in the order in which they blocked.
pub fn in_line(row: &Row<'_>, ten: &mut [Client]) {
    let mut helper = row.helper();
    for turn in Turn::BOTH {
        let list = row.key(turn, "list");
        for (number, session) in ten.iter_mut().enumerate() {
            session.send(&["BRPOP", &list, "0"]);
            wait_for_blocked(row, row.before(turn), "brpop", "0", number + 1);
        }
        row.cross(turn);
        let left = blocked(row.before(turn), "brpop", "0");
        row.claim(0, "blocked on the side that was left", &left, &0);
        wait_for_blocked(row, row.after(turn), "brpop", "0", ten.len());
        for number in 0..ten.len() {
            let pushed = helper.call(&["LPUSH", &list, &number.to_string()]);
            row.claim(number, "LPUSH", &pushed, &Reply::Integer(1));
        }
        for (number, session) in ten.iter_mut().enumerate() {
            let expected = Reply::bulks(&[&list, &number.to_string()]);
            row.claim(number, "BRPOP", &session.read_reply(), &expected);
            let pong = Reply::Simple("PONG".to_owned());
            row.claim(number, "PING", &session.call(&["PING"]), &pong);
        }
    }
}

/// Whoever waits at the crossing is served by a write behind it, with what it would have got.
pub fn served_afterwards(row: &Row<'_>, ten: &mut [Client]) {
    let mut helper = row.helper();
    for turn in Turn::BOTH {
        let key = |number| row.key(turn, number);
        let to = |number| row.key(turn, format!("{number}:to"));
        for (number, session) in ten.iter_mut().enumerate() {
            let (key, to) = (key(number), to(number));
            match number % 5 {
                0 => session.send(&["BLMOVE", &key, &to, "LEFT", "RIGHT", "0"]),
                1 => session.send(&["BZPOPMIN", &key, "0"]),
                2 => session.send(&["BLMPOP", "0", "2", &to, &key, "LEFT", "COUNT", "2"]),
                3 => session.send(&["BZMPOP", "0", "1", &key, "MAX"]),
                // With a limit, and served before it is over.
                _ => session.send(&["BRPOPLPUSH", &key, &to, "60"]),
            }
        }
        for command in ["blmove", "bzpopmin", "blmpop", "bzmpop", "brpoplpush"] {
            wait_for_blocked(row, row.before(turn), command, "0", 2);
        }
        row.cross(turn);
        for (number, session) in ten.iter_mut().enumerate() {
            let (key, to) = (key(number), to(number));
            let scored = Reply::Array(vec![Reply::bulks(&["member", "7"])]);
            let expected = match number % 5 {
                0 | 4 => {
                    helper.call(&["RPUSH", &key, "item"]);
                    Reply::bulk("item")
                }
                1 => {
                    helper.call(&["ZADD", &key, "7", "member"]);
                    Reply::bulks(&[&key, "member", "7"])
                }
                2 => {
                    helper.call(&["RPUSH", &key, "item", "second"]);
                    let items = Reply::bulks(&["item", "second"]);
                    Reply::Array(vec![Reply::bulk(&key), items])
                }
                _ => {
                    helper.call(&["ZADD", &key, "7", "member"]);
                    Reply::Array(vec![Reply::bulk(&key), scored])
                }
            };
            row.claim(number, "its reply", &session.read_reply(), &expected);
            let mut server = row.after(turn).client();
            let left = server.call(&["EXISTS", &key]);
            row.claim(number, "nothing left behind", &left, &Reply::Integer(0));
            if matches!(number % 5, 0 | 4) {
                let moved = server.call(&["LRANGE", &to, "0", "-1"]);
                row.claim(number, "what it moved", &moved, &Reply::bulks(&["item"]));
            }
        }
    }
}

/// A limit that runs out after the crossing counts from where the command began to wait.
pub fn time_runs_out(row: &Row<'_>, ten: &mut [Client]) {
    for session in ten.iter_mut() {
        assert_eq!(session.call(&["SELECT", DATABASE]), Reply::ok());
    }
    for turn in Turn::BOTH {
        let stream = row.key(turn, "stream");
        let made = ten[0].call(&["XGROUP", "CREATE", &stream, "group", "$", "MKSTREAM"]);
        assert_eq!(made, Reply::ok());
        row.wait_for_the_others();
        let wait_once = |number: usize, session: &mut Client| {
            let limit = FIRST_LIMIT + Duration::from_millis(100 * number as u64);
            let (seconds, ms) = (
                limit.as_secs_f64().to_string(),
                limit.as_millis().to_string(),
            );
            let key = row.key(turn, "none");
            let request: &[&str] = match number {
                0 => &["BLPOP", &key, &seconds],
                1 => &["BLMOVE", &key, &key, "LEFT", "RIGHT", &seconds],
                2 => &["BZPOPMIN", &key, &seconds],
                3 => &["BZPOPMAX", &key, &seconds],
                4 => &["BLMPOP", &seconds, "1", &key, "LEFT"],
                5 => &["BZMPOP", &seconds, "1", &key, "MIN"],
                6 => &["BRPOPLPUSH", &key, &key, &seconds],
                7 => &["XREAD", "BLOCK", &ms, "STREAMS", &stream, "$"],
                8 => {
                    let group = [
                        "GROUP", "group", "one", "BLOCK", &ms, "STREAMS", &stream, ">",
                    ];
                    &[&["XREADGROUP"], &group as &[&str]].concat()
                }
                _ => &["BLPOP", &key, "none", &seconds],
            };
            let begun = Instant::now();
            let reply = session.call(request);
            let took = begun.elapsed();
            row.claim(number, request[0], &reply, &Reply::Null);
            assert!(
                took + EARLY_MAX >= limit,
                "{}, session {number}, {}: answered after {took:?}, limit {limit:?}",
                row.name,
                request[0]
            );
            took.saturating_sub(limit)
        };
        let begun = Instant::now();
        let (late, crossed_after) = row.together(ten, wait_once, || {
            let all = || blocked_in(row.before(turn), DATABASE) == 10;
            assert!(eventually(LIMIT, all), "{}: not all block", row.name);
            let_pass(WAIT_BEFORE.saturating_sub(begun.elapsed()));
            row.cross(turn);
            begun.elapsed()
        });
        assert!(
            crossed_after < FIRST_LIMIT,
            "{}: the crossing took {crossed_after:?}; nothing was tested",
            row.name
        );
        let latest = late.iter().max().copied().unwrap_or_default();
        assert!(
            latest <= crossed_after / 2,
            "{}: a limit ran out {latest:?} late, and the crossing was after {crossed_after:?}",
            row.name
        );
        eprintln!("{turn:?}: limits ran out {latest:?} late at the most");
    }
}

/// XREAD with `$` gets what was added after it began to wait, be it during the hold or behind the crossing, and not what
/// was there before.
pub fn newest_of_a_stream(row: &Row<'_>, ten: &mut [Client]) {
    let mut helper = row.helper();
    for turn in Turn::BOTH {
        let stream = |number| row.key(turn, number);
        for (number, session) in ten.iter_mut().enumerate() {
            let stream = stream(number);
            helper.call(&["XADD", &stream, "1-1", "n", "old"]);
            session.send(&["XREAD", "BLOCK", "0", "STREAMS", &stream, "$"]);
        }
        wait_for_blocked(row, row.before(turn), "xread", "0", ten.len());
        row.ready();
        row.wait_for_the_hold(turn);
        for number in 0..5 {
            // Nobody waits for the reply of one before the next is sent.
            helper.send(&["XADD", &stream(number), "2-1", "n", "new"]);
        }
        for number in 0..5 {
            row.claim(number, "XADD", &helper.read_reply(), &Reply::bulk("2-1"));
        }
        row.wait(turn);
        wait_for_blocked(row, row.after(turn), "xread", "0", 5);
        for number in 5..10 {
            helper.call(&["XADD", &stream(number), "2-1", "n", "new"]);
        }
        for (number, session) in ten.iter_mut().enumerate() {
            let expected = entries(&stream(number), "2-1");
            row.claim(number, "XREAD", &session.read_reply(), &expected);
            let pong = Reply::Simple("PONG".to_owned());
            row.claim(number, "PING", &session.call(&["PING"]), &pong);
        }
    }
}

/// Consumers of a group each get an entry of their own, which is then pending for them.
pub fn consumer_group(row: &Row<'_>, ten: &mut [Client]) {
    let mut helper = row.helper();
    for turn in Turn::BOTH {
        let stream = row.key(turn, "stream");
        let made = helper.call(&["XGROUP", "CREATE", &stream, "group", "0", "MKSTREAM"]);
        assert_eq!(made, Reply::ok());
        for (number, session) in ten.iter_mut().enumerate() {
            let name = format!("consumer-{number}");
            session.send(&[
                "XREADGROUP",
                "GROUP",
                "group",
                &name,
                "COUNT",
                "1",
                "BLOCK",
                "0",
                "STREAMS",
                &stream,
                ">",
            ]);
            wait_for_blocked(row, row.before(turn), "xreadgroup", "0", number + 1);
        }
        row.cross(turn);
        wait_for_blocked(row, row.after(turn), "xreadgroup", "0", ten.len());
        for number in 1..=ten.len() {
            helper.call(&["XADD", &stream, &format!("2-{number}"), "n", "new"]);
        }
        for (number, session) in ten.iter_mut().enumerate() {
            let id = format!("2-{}", number + 1);
            row.claim(
                number,
                "XREADGROUP",
                &session.read_reply(),
                &entries(&stream, &id),
            );
            let name = format!("consumer-{number}");
            let pending = ["XPENDING", &stream, "group", "-", "+", "10", &name];
            let Reply::Array(pending) = session.call(&pending) else {
                panic!("{}: XPENDING gives no array", row.name)
            };
            row.claim(number, "pending entries", &pending.len(), &1);
            let acknowledged = session.call(&["XACK", &stream, "group", &id]);
            row.claim(number, "XACK", &acknowledged, &Reply::Integer(1));
        }
    }
}

/// What XREAD gives for one new entry.
fn entries(stream: &str, id: &str) -> Reply {
    let entry = Reply::Array(vec![Reply::bulk(id), Reply::bulks(&["n", "new"])]);
    let of_stream = Reply::Array(vec![Reply::bulk(stream), Reply::Array(vec![entry])]);
    Reply::Array(vec![of_stream])
}

fn wait_for_blocked(row: &Row<'_>, server: &RedisServer, command: &str, database: &str, n: usize) {
    let came = eventually(LIMIT, || blocked(server, command, database) == n);
    assert!(
        came,
        "{}: not {n} sessions blocked in {command}, but {}",
        row.name,
        blocked(server, command, database)
    );
}

/// How many connections are blocked in a command.
fn blocked(server: &RedisServer, command: &str, database: &str) -> usize {
    let command = format!(" cmd={command} ");
    let list = blocked_lines(server, database);
    list.iter().filter(|line| line.contains(&command)).count()
}

/// How many are blocked in a database.
fn blocked_in(server: &RedisServer, database: &str) -> usize {
    blocked_lines(server, database).len()
}

fn blocked_lines(server: &RedisServer, database: &str) -> Vec<String> {
    let database = format!(" db={database} ");
    let is_blocked = |line: &&str| {
        let flags = line
            .split(' ')
            .find_map(|field| field.strip_prefix("flags="));
        line.contains(&database) && flags.is_some_and(|flags| flags.contains('b'))
    };
    let list = client_list(server);
    list.lines()
        .filter(is_blocked)
        .map(ToOwned::to_owned)
        .collect()
}
