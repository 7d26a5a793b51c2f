//! Which of a request's arguments are keys.
//!
//! Refuses to know: what the command does with them. Key patterns (KEYS, SCAN MATCH, SORT BY and GET) are not keys.

use super::Command;
use super::options::{OF_MIGRATE, OF_STORE, OF_XREAD, is, options};
use crate::resp::request::Request;

/// Where a command has its keys. Positions count the command's name as 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// It has none, or nobody knows.
    None,
    /// At `first`, then every `step`, up to and with `last`.
    Range {
        /// Position of the first key.
        first: u8,
        /// Position of the last one; negative: from the end, -1 is the last argument.
        last: i8,
        /// Distance from one key to the next.
        step: u8,
    },
    /// As many as the argument at `position` says, behind it: EVAL, LMPOP, ZUNIONSTORE.
    Counted {
        /// Position of the number of keys.
        position: u8,
        /// Distance from one key to the next: 2 where each is followed by its value.
        step: u8,
        /// Whether one more key, at 1, takes the result.
        target: bool,
    },
    /// The first half of what follows the word STREAMS: XREAD, XREADGROUP.
    Streams,
    /// At 1, and behind the words STORE or STOREDIST (the last one counts): SORT, GEORADIUS.
    Store,
    /// At 3, or, where that is empty, behind the word KEYS: MIGRATE.
    Migrate,
}

/// The keys of `request`, in the order in which they stand. None where it is malformed: the server will say so.
pub fn keys<'a>(command: &Command, request: &Request<'a>) -> impl Iterator<Item = &'a [u8]> {
    let positions = Positions::of(command.keys, request);
    request
        .arguments()
        .enumerate()
        .filter(move |(at, _)| positions.contain(*at))
        .map(|(_, key)| key)
}

/// The positions of a request's keys.
#[derive(Debug, Clone, Copy)]
struct Positions {
    /// The first of a regular row of them.
    first: usize,
    /// Behind its last one.
    end: usize,
    /// From one to the next; at least 1.
    step: usize,
    /// One that stands apart.
    apart: Option<usize>,
}

impl Positions {
    const NONE: Positions = Positions {
        first: 0,
        end: 0,
        step: 1,
        apart: None,
    };

    fn of(keys: Keys, request: &Request<'_>) -> Positions {
        let len = request.len();
        match keys {
            Keys::None => Positions::NONE,
            Keys::Range { first, last, step } => {
                let from_end = usize::from(last.unsigned_abs());
                let end = if last < 0 {
                    (len + 1).saturating_sub(from_end)
                } else {
                    from_end + 1
                };
                Positions {
                    first: usize::from(first),
                    end,
                    step: usize::from(step).max(1),
                    apart: None,
                }
            }
            Keys::Counted {
                position,
                step,
                target,
            } => {
                let first = usize::from(position) + 1;
                let step = usize::from(step).max(1);
                let count = request.argument(first - 1).and_then(count).unwrap_or(0);
                let end = first.saturating_add(count.saturating_mul(step));
                Positions {
                    first,
                    end,
                    step,
                    apart: target.then_some(1),
                }
            }
            Keys::Streams => {
                match options(request, 1, OF_XREAD).find(|(_, word)| is(word, b"STREAMS")) {
                    Some((streams, _)) => Positions::row(streams + 1, (len - streams - 1) / 2),
                    None => Positions::NONE,
                }
            }
            Keys::Store => {
                let store = options(request, 2, OF_STORE)
                    .filter(|(_, word)| is(word, b"STORE") || is(word, b"STOREDIST"))
                    .last();
                Positions {
                    apart: store.map(|(at, _)| at + 1),
                    ..Positions::row(1, 1)
                }
            }
            Keys::Migrate if request.argument(3).is_some_and(<[u8]>::is_empty) => {
                match options(request, 6, OF_MIGRATE).find(|(_, word)| is(word, b"KEYS")) {
                    Some((word, _)) => Positions::row(word + 1, len - word - 1),
                    None => Positions::NONE,
                }
            }
            Keys::Migrate => Positions::row(3, 1),
        }
    }

    fn row(first: usize, count: usize) -> Positions {
        Positions {
            first,
            end: first + count,
            step: 1,
            apart: None,
        }
    }

    fn contain(&self, at: usize) -> bool {
        let in_row =
            (self.first..self.end).contains(&at) && (at - self.first).is_multiple_of(self.step);
        in_row || self.apart == Some(at)
    }
}

fn count(argument: &[u8]) -> Option<usize> {
    std::str::from_utf8(argument).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::{Table, kit};
    use super::*;

    fn check(line: &str, expected: &[&str]) {
        let table = Table::builtin();
        kit::line(line, |request| {
            let command = table.classify(request).command.unwrap();
            let found: Vec<_> = keys(command, request)
                .map(|key| std::str::from_utf8(key).unwrap())
                .collect();
            assert_eq!(found, expected, "{line}");
        });
    }

    #[test]
    fn keys_at_fixed_places_are_found() {
        check("GET a", &["a"]);
        check("PING", &[]);
        check("DEL a b c", &["a", "b", "c"]);
        check("MSET a 1 b 2", &["a", "b"]);
        check("RENAME a b", &["a", "b"]);
        check("BLPOP a b 0", &["a", "b"]);
        check("BITOP AND d a b", &["d", "a", "b"]);
        check("OBJECT ENCODING a", &["a"]);
        check("XGROUP CREATE a g $", &["a"]);
        check("JSON.MGET a b $", &["a", "b"]);
        check("JSON.MSET a $ 1 b $ 2", &["a", "b"]);
        check("TS.MADD a 1 1 b 1 1", &["a", "b"]);
    }

    #[test]
    fn counted_keys_are_found() {
        check("EVAL x 2 a b c", &["a", "b"]);
        check("EVALSHA_RO x 0 a", &[]);
        check("FCALL f 1 a b", &["a"]);
        check("LMPOP 2 a b LEFT", &["a", "b"]);
        check("BLMPOP 0 2 a b LEFT", &["a", "b"]);
        check("BZMPOP 0 1 a MIN", &["a"]);
        check("SINTERCARD 2 a b LIMIT 1", &["a", "b"]);
        check("ZUNIONSTORE d 2 a b WEIGHTS 1 2", &["d", "a", "b"]);
        check("ZDIFF 1 a WITHSCORES", &["a"]);
        check("CMS.MERGE d 2 a b", &["d", "a", "b"]);
        check("MSETEX 2 a 1 b 2 EX 5", &["a", "b"]);
    }

    #[test]
    fn a_count_that_lies_gives_what_is_there() {
        check("EVAL x 9 a b", &["a", "b"]);
        check("EVAL x 18446744073709551615 a", &["a"]);
        check("EVAL x -1 a", &[]);
        check("EVAL x y a", &[]);
        check("EVAL x", &[]);
    }

    #[test]
    fn keys_behind_a_word_are_found() {
        check("XREAD STREAMS a b 0 0", &["a", "b"]);
        check("XREAD COUNT 5 BLOCK 0 streams a $", &["a"]);
        check(
            "XREADGROUP GROUP STREAMS c NOACK STREAMS a b > >",
            &["a", "b"],
        );
        check("XREADGROUP GROUP g c CLAIM 5 STREAMS a >", &["a"]);
        check("XREAD COUNT 5", &[]);
        check("XREAD STREAMS", &[]);
        check("SORT a", &["a"]);
        check("SORT a BY w GET store LIMIT 0 5 STORE d", &["a", "d"]);
        check("SORT a STORE x STORE d", &["a", "d"]);
        check("GEORADIUS a 1 2 3 km STOREDIST d", &["a", "d"]);
        check("GEORADIUSBYMEMBER a m 3 km STORE d", &["a", "d"]);
        check("MIGRATE h 1 a 0 5", &["a"]);
        check("MIGRATE h 1  0 5 COPY AUTH2 u KEYS KEYS a b", &["a", "b"]);
    }
}
