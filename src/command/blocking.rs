//! How long a blocking command waits, and the same command with the time that is left.
//!
//! Reads time-outs as Redis does (`getTimeoutFromObject` in its `timeout.c`), so that what blocks there blocks here.

use std::time::Duration;

use super::options::{OF_XREAD, is, options};
use crate::resp::encode;
use crate::resp::request::Request;

/// How long a request waits at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Until it is served.
    Forever,
    /// At most so long.
    For(Duration),
}

/// Where a command has its time-out.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// At this position.
    At(usize),
    /// The last argument.
    Last,
    /// Behind the word BLOCK, before STREAMS.
    Option,
}

/// What a time-out counts.
#[derive(Debug, Clone, Copy)]
enum Unit {
    /// Seconds, with fractions.
    Seconds,
    /// Whole milliseconds.
    Milliseconds,
}

const COMMANDS: [(&[u8], Place, Unit); 12] = [
    (b"BLPOP", Place::Last, Unit::Seconds),
    (b"BRPOP", Place::Last, Unit::Seconds),
    (b"BZPOPMIN", Place::Last, Unit::Seconds),
    (b"BZPOPMAX", Place::Last, Unit::Seconds),
    (b"BRPOPLPUSH", Place::At(3), Unit::Seconds),
    (b"BLMOVE", Place::At(5), Unit::Seconds),
    (b"BLMPOP", Place::At(1), Unit::Seconds),
    (b"BZMPOP", Place::At(1), Unit::Seconds),
    (b"XREAD", Place::Option, Unit::Milliseconds),
    (b"XREADGROUP", Place::Option, Unit::Milliseconds),
    (b"WAIT", Place::At(2), Unit::Milliseconds),
    (b"WAITAOF", Place::At(3), Unit::Milliseconds),
];

/// How long `request` waits. None where it does not, as written: it is no blocking command, it has no time-out, or one
/// that the server answers with an error.
pub fn time_limit(request: &Request<'_>) -> Option<Limit> {
    let (at, unit) = time_out(request)?;
    let argument = request.argument(at)?;
    match unit {
        Unit::Seconds => seconds(argument),
        Unit::Milliseconds => milliseconds(argument),
    }
}

/// The same request, waiting `left` at most: rounded up to a millisecond and never zero, which would mean for ever. A
/// request that does not wait is as it was.
pub fn with_time_left(request: &Request<'_>, left: Duration) -> Vec<u8> {
    /// Time-outs are 64 bits signed and added to a clock in milliseconds: half of them is still 146 million years.
    const MS_MAX: u128 = (i64::MAX / 2) as u128;
    let place = time_limit(request).and_then(|_| time_out(request));
    let Some((at, unit)) = place else {
        return request.frame().to_vec();
    };
    let ms = left.as_nanos().div_ceil(1_000_000).clamp(1, MS_MAX);
    let shortened = match unit {
        Unit::Seconds => format!("{}.{:03}", ms / 1000, ms % 1000),
        Unit::Milliseconds => ms.to_string(),
    };
    let mut arguments: Vec<&[u8]> = request.arguments().collect();
    arguments[at] = shortened.as_bytes();
    encode::command_vec(&arguments)
}

/// The position of the time-out and what it counts.
fn time_out(request: &Request<'_>) -> Option<(usize, Unit)> {
    let (_, place, unit) = COMMANDS
        .iter()
        .find(|(name, ..)| is(request.name(), name))?;
    let at = match place {
        Place::At(at) => *at,
        Place::Last => request.len() - 1,
        Place::Option => {
            let block = options(request, 1, OF_XREAD)
                .take_while(|(_, word)| !is(word, b"STREAMS"))
                .filter(|(_, word)| is(word, b"BLOCK"))
                .last()?;
            block.0 + 1
        }
    };
    Some((at, *unit))
}

fn seconds(argument: &[u8]) -> Option<Limit> {
    let text = std::str::from_utf8(argument).ok()?;
    let Ok(seconds) = text.parse::<f64>() else {
        // C reads hexadecimal fractions too. Whoever writes one waits, for a time that nobody will ask about.
        return is_hexadecimal(text).then_some(Limit::Forever);
    };
    if seconds > -0.001 && seconds <= 0.0 {
        return Some(Limit::Forever); // Redis rounds up to a millisecond, and that is 0
    }
    let ms = Duration::try_from_secs_f64(seconds)
        .ok()?
        .as_nanos()
        .div_ceil(1_000_000);
    i64::try_from(ms).ok().and_then(limit)
}

fn is_hexadecimal(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    digits
        .get(..2)
        .is_some_and(|prefix| prefix.eq_ignore_ascii_case("0x"))
}

fn milliseconds(argument: &[u8]) -> Option<Limit> {
    std::str::from_utf8(argument)
        .ok()?
        .parse()
        .ok()
        .and_then(limit)
}

fn limit(ms: i64) -> Option<Limit> {
    match u64::try_from(ms) {
        Ok(0) => Some(Limit::Forever),
        Ok(ms) => Some(Limit::For(Duration::from_millis(ms))),
        Err(_) => None, // negative
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::kit;
    use super::*;

    /// 46 days: as far as a fraction of seconds in 64 bits is exact to the nanosecond.
    const NANOS_MAX: u64 = 4_000_000_000_000_000;

    fn check(line: &str, expected: Option<Limit>) {
        assert_eq!(kit::line(line, time_limit), expected, "{line}");
    }

    fn check_ms(line: &str, ms: u64) {
        check(line, Some(Limit::For(Duration::from_millis(ms))));
    }

    #[test]
    fn each_command_has_its_time_out_in_its_place() {
        check_ms("BLPOP a b 5", 5000);
        check_ms("brpop a 0.25", 250);
        check_ms("BZPOPMIN a 1", 1000);
        check_ms("BZPOPMAX a 1", 1000);
        check_ms("BRPOPLPUSH a b 2", 2000);
        check_ms("BLMOVE a b LEFT RIGHT 2", 2000);
        check_ms("BLMPOP 3 1 a LEFT", 3000);
        check_ms("BZMPOP 3 1 a MIN", 3000);
        check_ms("XREAD COUNT 1 BLOCK 70 STREAMS a $", 70);
        check_ms("XREADGROUP GROUP BLOCK c BLOCK 70 NOACK STREAMS a >", 70);
        check_ms("XREAD BLOCK 1 BLOCK 2 STREAMS a $", 2);
        check_ms("WAIT 1 50", 50);
        check_ms("WAITAOF 1 1 50", 50);
    }

    #[test]
    fn zero_is_for_ever() {
        for line in [
            "BLPOP a 0",
            "BLPOP a 0.0",
            "BLPOP a -0",
            "BLPOP a -0.0001",
            "XREAD BLOCK 0 STREAMS a $",
            "WAIT 1 0",
        ] {
            check(line, Some(Limit::Forever));
        }
    }

    #[test]
    fn fractions_are_rounded_up() {
        check_ms("BLPOP a 0.0001", 1);
        check_ms("BLPOP a 1.0001", 1001);
        check_ms("BLPOP a 1e1", 10_000);
        check_ms("BLPOP a .5", 500);
    }

    #[test]
    fn what_the_server_answers_with_an_error_does_not_wait() {
        for line in [
            "GET a",
            "BLPOP a x",
            "BLPOP a -1",
            "BLPOP a inf",
            "BLPOP a nan",
            "BLPOP a 1e30",
            "BLPOP a ",
            "BLMOVE a b LEFT RIGHT",
            "BLMPOP",
            "BLPOP",
            "XREAD STREAMS a $",
            "XREAD BLOCK -1 STREAMS a $",
            "XREAD BLOCK 1.5 STREAMS a $",
            "XREAD BLOCK",
            "XREAD STREAMS BLOCK 0",
            "WAIT 1",
            "WAIT 1 -1",
        ] {
            check(line, None);
        }
    }

    #[test]
    fn a_hexadecimal_time_out_waits() {
        check("BLPOP a 0x10", Some(Limit::Forever));
    }

    #[test]
    fn only_the_time_out_is_replaced() {
        let check = |line: &str, left: Duration, expected: &str| {
            let frame = kit::line(line, |request| with_time_left(request, left));
            kit::framed(&frame, |request| {
                let words: Vec<_> = request
                    .arguments()
                    .map(|word| std::str::from_utf8(word).unwrap())
                    .collect();
                assert_eq!(words.join(" "), expected);
            });
        };
        check(
            "BLPOP a b 5",
            Duration::from_millis(1500),
            "BLPOP a b 1.500",
        );
        check("BLPOP a b 5", Duration::ZERO, "BLPOP a b 0.001");
        check(
            "blmpop 9 1 a LEFT",
            Duration::from_micros(1001),
            "blmpop 0.002 1 a LEFT",
        );
        check(
            "XREAD BLOCK 90 STREAMS a $",
            Duration::ZERO,
            "XREAD BLOCK 1 STREAMS a $",
        );
        check("WAIT 1 90", Duration::from_millis(7), "WAIT 1 7");
        check("GET a", Duration::from_millis(7), "GET a");
    }

    proptest! {
        #[test]
        fn the_time_left_is_read_back(nanos in 1_u64..=NANOS_MAX, seconds in any::<bool>()) {
            let left = Duration::from_nanos(nanos);
            let line = if seconds { "BLPOP a 0" } else { "WAIT 1 0" };
            let frame = kit::line(line, |request| with_time_left(request, left));
            let rounded = Duration::from_millis(nanos.div_ceil(1_000_000));
            prop_assert_eq!(kit::framed(&frame, time_limit), Some(Limit::For(rounded)));
        }

        #[test]
        fn no_time_left_is_for_ever(left in any::<Duration>()) {
            for line in ["BLPOP a 5", "WAIT 1 5"] {
                let frame = kit::line(line, |request| with_time_left(request, left));
                prop_assert!(matches!(kit::framed(&frame, time_limit), Some(Limit::For(_))));
            }
        }
    }
}
