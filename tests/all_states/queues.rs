//! Queue workers: blocked, served, and blocked again, all through the crossing.

#![allow(unreachable_pub)] // a module of a test binary

use super::course::{Row, Turn};
use super::kit::{Client, Reply};

/// Items that are still put into the queues once the crossing is over.
const ITEMS_AFTERWARDS: usize = 100;
/// Where the queues are.
const DATABASE: &str = "9";
/// What tells a worker to stop.
const STOP: &str = "stop";

/// Each item of a queue is consumed once, whatever consumes it, and none is lost.
pub fn workers(row: &Row<'_>, ten: &mut [Client]) {
    let mut producer = row.helper();
    // In a database of their own, so that other rows can count who is blocked in theirs.
    for session in ten.iter_mut().chain([&mut *producer]) {
        assert_eq!(session.call(&["SELECT", DATABASE]), Reply::ok());
    }
    for turn in Turn::BOTH {
        let queues = Queues::new(row, turn);
        let group = ["XGROUP", "CREATE", &queues.stream, "group", "0", "MKSTREAM"];
        assert_eq!(producer.call(&group), Reply::ok());
        let work = |number, session: &mut Client| queues.consume(number, session);
        let (consumed, produced) = row.together(ten, work, || {
            let mut produced = 0;
            let mut afterwards = 0;
            while afterwards < ITEMS_AFTERWARDS {
                afterwards += usize::from(row.is_over(turn));
                queues.put(&mut producer, &produced.to_string());
                produced += 1;
                row.pace();
                if produced == ITEMS_AFTERWARDS {
                    row.ready();
                }
            }
            for _ in 0..5 {
                queues.put(&mut producer, STOP);
            }
            produced
        });
        for which in 0..3 {
            let mut all: Vec<usize> = consumed
                .iter()
                .skip(which)
                .step_by(3)
                .flatten()
                .copied()
                .collect();
            all.sort_unstable();
            row.claim(
                which,
                "what the workers consumed",
                &all,
                &(0..produced).collect(),
            );
        }
        let mut server = row.after(turn).client();
        assert_eq!(server.call(&["SELECT", DATABASE]), Reply::ok());
        let moved = server.call(&["LRANGE", &queues.moved_to, "0", &(produced - 1).to_string()]);
        let expected = (0..produced)
            .map(|item| Reply::bulk(&item.to_string()))
            .collect();
        row.claim(
            1,
            "the list that BLMOVE made",
            &moved,
            &Reply::Array(expected),
        );
    }
}

/// Three queues that are given the same items.
struct Queues {
    list: String,
    moved_from: String,
    moved_to: String,
    stream: String,
}

impl Queues {
    fn new(row: &Row<'_>, turn: Turn) -> Queues {
        Queues {
            list: row.key(turn, "list"),
            moved_from: row.key(turn, "from"),
            moved_to: row.key(turn, "to"),
            stream: row.key(turn, "stream"),
        }
    }

    fn put(&self, producer: &mut Client, item: &str) {
        producer.pipeline(&[
            &["RPUSH", &self.list, item],
            &["RPUSH", &self.moved_from, item],
            &["XADD", &self.stream, "*", "item", item],
        ]);
    }

    /// Consumes until told to stop.
    fn consume(&self, number: usize, session: &mut Client) -> Vec<usize> {
        let name = format!("consumer-{number}");
        let mut items = Vec::new();
        loop {
            let item = match number % 3 {
                0 => session.call(&["BLPOP", &self.list, "0"]),
                1 => session.call(&[
                    "BLMOVE",
                    &self.moved_from,
                    &self.moved_to,
                    "LEFT",
                    "RIGHT",
                    "0",
                ]),
                _ => session.call(&[
                    "XREADGROUP",
                    "GROUP",
                    "group",
                    &name,
                    "COUNT",
                    "1",
                    "BLOCK",
                    "0",
                    "STREAMS",
                    &self.stream,
                    ">",
                ]),
            };
            match last_text(&item).as_str() {
                STOP => return items,
                item => items.push(item.parse().unwrap_or_else(|_| panic!("consumed {item:?}"))),
            }
        }
    }
}

/// The innermost last string: the item, however it is wrapped.
fn last_text(reply: &Reply) -> String {
    match reply {
        Reply::Array(parts) => last_text(parts.last().expect("an empty reply")),
        reply => reply.clone().into_text(),
    }
}
