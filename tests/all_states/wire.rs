//! What is on the wire at the crossing: requests without a reply, halves of requests, pipelines.

#![allow(unreachable_pub)] // a module of a test binary

use super::course::{Row, Turn};
use super::kit::{Client, Reply};

/// Requests in one pipeline.
const DEEP: usize = 5;

/// CLIENT REPLY OFF: no reply before ON, and every write is there. SKIP: the next request has none, behind the crossing
/// too.
pub fn muted(row: &Row<'_>, ten: &mut [Client]) {
    for turn in Turn::BOTH {
        let write_on = |number: usize, session: &mut Client| {
            let key = row.key(turn, number);
            if number % 2 == 1 {
                session.send(&["CLIENT", "REPLY", "SKIP"]);
                row.wait(turn);
                session.send(&["INCR", &key]);
                return 1;
            }
            session.send(&["CLIENT", "REPLY", "OFF"]);
            let mut written = 0;
            while !row.is_over(turn) || written < DEEP {
                session.send(&["INCR", &key]);
                written += 1;
                row.pace();
                if written % DEEP == 0 {
                    // An answer now and then keeps the session from running far ahead.
                    let reply = session.call(&["CLIENT", "REPLY", "ON"]);
                    row.claim(number, "CLIENT REPLY ON", &reply, &Reply::ok());
                    session.send(&["CLIENT", "REPLY", "OFF"]);
                }
            }
            let reply = session.call(&["CLIENT", "REPLY", "ON"]);
            row.claim(number, "CLIENT REPLY ON", &reply, &Reply::ok());
            written
        };
        let (written, ()) = row.together(ten, write_on, || row.cross(turn));
        for (number, session) in ten.iter_mut().enumerate() {
            let there = session.call(&["GET", &row.key(turn, number)]);
            let expected = Reply::bulk(&written[number].to_string());
            row.claim(number, "its writes", &there, &expected);
        }
    }
}

/// The rest of a request that began before the crossing arrives behind it: it is executed whole, on the side that is
/// active then.
pub fn half_a_request(row: &Row<'_>, ten: &mut [Client]) {
    // The larger ones get a connection of their own.
    let sizes = [100, 20 << 10, 300 << 10, 3 << 20, 5 << 20];
    for turn in Turn::BOTH {
        let mut rests = Vec::new();
        for (number, session) in ten.iter_mut().enumerate() {
            let (key, size) = (row.key(turn, number), sizes[number % sizes.len()]);
            let value = "x".repeat(size);
            let head = format!("*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n${size}\r\n", key.len());
            let whole = format!("{head}{value}\r\n");
            // Cut in the head or in the value; a whole request before it for some.
            let cut = if number < 5 {
                head.len() + size / 2
            } else {
                number
            };
            if number % 2 == 0 {
                session.send(&["SET", &row.key(turn, "whole"), "v"]);
                assert_eq!(session.read_reply(), Reply::ok());
            }
            session.send_raw(&whole.as_bytes()[..cut]);
            rests.push((whole.into_bytes().split_off(cut), value));
        }
        row.cross(turn);
        for (number, (session, (rest, value))) in ten.iter_mut().zip(rests).enumerate() {
            let key = row.key(turn, number);
            session.send_raw(&rest);
            row.claim(number, "SET", &session.read_reply(), &Reply::ok());
            let there = row.after(turn).client().call(&["GET", &key]);
            row.claim(number, "value", &(there == Reply::bulk(&value)), &true);
            assert_eq!(session.call(&["DEL", &key]), Reply::Integer(1));
        }
    }
}

/// Pipelines without a break: each reply in its place, each write there, once, in order.
pub fn pipelines(row: &Row<'_>, ten: &mut [Client]) {
    for turn in Turn::BOTH {
        let write_on = |number: usize, session: &mut Client| {
            let key = row.key(turn, number);
            let mut written = 0;
            let mut send = |session: &mut Client| {
                let mut bytes = Vec::new();
                for _ in 0..DEEP {
                    let item = written.to_string();
                    let push = format!("*3\r\n$5\r\nRPUSH\r\n${}\r\n{key}\r\n", key.len());
                    bytes.extend_from_slice(push.as_bytes());
                    bytes.extend_from_slice(format!("${}\r\n{item}\r\n", item.len()).as_bytes());
                    let read = format!(
                        "*3\r\n$6\r\nLINDEX\r\n${}\r\n{key}\r\n$2\r\n-1\r\n",
                        key.len()
                    );
                    bytes.extend_from_slice(read.as_bytes());
                    written += 1;
                }
                session.send_raw(&bytes);
                written
            };
            let mut sent = send(session);
            let mut answered = 0;
            while answered < sent {
                let over = row.is_over(turn);
                // The next is on its way before this one is answered.
                let goal = sent;
                if !over {
                    sent = send(session);
                }
                for item in answered..goal {
                    let reply = session.read_reply();
                    row.claim(number, "RPUSH", &reply, &Reply::Integer(item + 1));
                    let reply = session.read_reply();
                    row.claim(number, "LINDEX", &reply, &Reply::bulk(&item.to_string()));
                }
                answered = goal;
                row.pace();
            }
            answered
        };
        let (written, ()) = row.together(ten, write_on, || row.cross(turn));
        let mut server = row.after(turn).client();
        for (number, written) in written.iter().enumerate() {
            let there = server.call(&["LRANGE", &row.key(turn, number), "0", "-1"]);
            let items = (0..*written).map(|item| Reply::bulk(&item.to_string()));
            let expected = Reply::Array(items.collect());
            row.claim(number, "its list", &(there == expected), &true);
        }
    }
}
