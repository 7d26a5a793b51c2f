//! Splits an inline request into its arguments, as Redis does (`sdssplitargs` in its `sds.c`).

use super::ProtocolError;

/// How the words of a line are quoted at the moment.
#[derive(Clone, Copy)]
enum Quotes {
    None,
    Single,
    Double,
}

/// Calls `each` with every argument of `line`, quotes and escapes resolved; returns how many there were.
///
/// The line's own end may be part of `line`: it is white space like any other.
pub(super) fn split(line: &[u8], mut each: impl FnMut(&[u8])) -> Result<u32, ProtocolError> {
    let mut count = 0;
    let mut argument = Vec::new();
    let mut rest = skip_space(line);
    while !rest.is_empty() {
        argument.clear();
        rest = skip_space(take_argument(rest, &mut argument)?);
        each(&argument);
        count += 1;
    }
    Ok(count)
}

/// Puts the first argument of `text` into `argument`; returns what follows it.
fn take_argument<'a>(text: &'a [u8], argument: &mut Vec<u8>) -> Result<&'a [u8], ProtocolError> {
    let mut quotes = Quotes::None;
    let mut rest = text;
    loop {
        let (byte, after) = match (quotes, rest) {
            (Quotes::None, [] | [b' ' | b'\n' | b'\r' | b'\t', ..]) => return Ok(rest),
            (Quotes::None, [b'"', after @ ..]) => {
                quotes = Quotes::Double;
                rest = after;
                continue;
            }
            (Quotes::None, [b'\'', after @ ..]) => {
                quotes = Quotes::Single;
                rest = after;
                continue;
            }
            (Quotes::Single, [b'\'', after @ ..]) | (Quotes::Double, [b'"', after @ ..]) => {
                return match after.first() {
                    Some(next) if !is_space(*next) => Err(ProtocolError::UnbalancedQuotes),
                    _ => Ok(after),
                };
            }
            (Quotes::Single, [b'\\', b'\'', after @ ..]) => (b'\'', after),
            (Quotes::Double, [b'\\', escaped, ..]) => unescape(*escaped, &rest[2..]),
            (Quotes::Single | Quotes::Double, []) => return Err(ProtocolError::UnbalancedQuotes),
            (_, [byte, after @ ..]) => (*byte, after),
        };
        argument.push(byte);
        rest = after;
    }
}

/// What a backslash and `escaped` stand for between double quotes; `after` is what follows the two.
fn unescape(escaped: u8, after: &[u8]) -> (u8, &[u8]) {
    match (escaped, after) {
        (b'x', [high, low, rest @ ..]) => match (hex(*high), hex(*low)) {
            (Some(high), Some(low)) => (high * 16 + low, rest),
            _ => (b'x', after),
        },
        (b'n', _) => (b'\n', after),
        (b'r', _) => (b'\r', after),
        (b't', _) => (b'\t', after),
        (b'b', _) => (0x08, after),
        (b'a', _) => (0x07, after),
        (itself, _) => (itself, after),
    }
}

/// The value of a hexadecimal digit.
fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

fn skip_space(text: &[u8]) -> &[u8] {
    let blank = text.iter().take_while(|byte| is_space(**byte)).count();
    &text[blank..]
}

/// White space to C's `isspace`. Between words it counts whole; a word itself ends only at a part of it.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &[u8]) -> Result<Vec<Vec<u8>>, ProtocolError> {
        let mut found = Vec::new();
        let count = split(line, |word| found.push(word.to_vec()))?;
        assert_eq!(count as usize, found.len());
        Ok(found)
    }

    #[track_caller]
    fn check(line: &[u8], expected: &[&[u8]]) {
        assert_eq!(words(line).unwrap(), expected, "{}", line.escape_ascii());
    }

    #[test]
    fn words_are_parted_by_white_space() {
        check(b"", &[]);
        check(b" \t\x0b\x0c\r\n", &[]);
        check(b"PING", &[b"PING"]);
        check(b"  SET k\tv \r\n", &[b"SET", b"k", b"v"]);
        check(b"a\x0bb \x0bc", &[b"a\x0bb", b"c"]);
        check(b"a\rb", &[b"a", b"b"]);
    }

    #[test]
    fn quotes_keep_words_together() {
        check(b"SET 'a b' \"c d\"", &[b"SET", b"a b", b"c d"]);
        check(b"SET '' \"\"", &[b"SET", b"", b""]);
        check(b"pre\"fix ed\" it's' x", &[b"prefix ed", b"its", b"x"]);
    }

    #[test]
    fn escapes_count_between_double_quotes() {
        check(br#""\n\r\t\b\a\\\"\q""#, &[b"\n\r\t\x08\x07\\\"q"]);
        check(br#""\x41\xfF\x4""#, &[b"A\xffx4"]);
        check(br"'\n\'\x41'", &[br"\n'\x41"]);
        check(br"\n\x41", &[br"\n\x41"]);
    }

    #[test]
    fn a_quote_that_does_not_close_before_a_space_is_an_error() {
        for line in [
            &b"\""[..],
            b"'",
            b"a \"b",
            b"a 'b\r\n",
            b"\"a\"b",
            b"'a'b",
            b"\"a\\\"",
            b"\"\\",
        ] {
            assert_eq!(
                words(line),
                Err(ProtocolError::UnbalancedQuotes),
                "{}",
                line.escape_ascii()
            );
        }
    }
}
