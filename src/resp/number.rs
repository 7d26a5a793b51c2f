//! Decimal numbers as RESP writes them. As strict as Redis: no plus, no leading zeros, no spaces, 64 bits signed.

use bytes::BufMut;

/// More digits than this may not fit 64 bits; [`length_line`] leaves them to the slow path.
const SAFE_DIGITS: usize = 18;

/// The number that `text` spells, if it is one to Redis (`string2ll` in its `util.c`).
pub(super) fn parse(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    match digits {
        [b'0'] if !negative => return Some(0),
        [b'1'..=b'9', ..] => {}
        _ => return None,
    }
    // Summed up below zero, where the one number without a positive counterpart fits too.
    let mut value: i64 = 0;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value
            .checked_mul(10)?
            .checked_sub(i64::from(digit - b'0'))?;
    }
    if negative {
        Some(value)
    } else {
        value.checked_neg()
    }
}

/// The usual case of a header, read in one go: the value and the length of `<digits>\r\n` at the start of `bytes`. `None`
/// says only that the line is unusual or not whole yet.
#[inline]
pub(super) fn length_line(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value: u64 = 0;
    for (index, &byte) in bytes.iter().take(SAFE_DIGITS + 1).enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit < 10 {
            value = value * 10 + u64::from(digit);
            continue;
        }
        let leading_zero = index > 1 && bytes[0] == b'0';
        let ends = byte == b'\r' && bytes.get(index + 1) == Some(&b'\n');
        return (ends && index > 0 && index <= SAFE_DIGITS && !leading_zero)
            .then_some((value, index + 2));
    }
    None
}

/// Writes `value` in decimal.
pub(super) fn put(mut value: u64, out: &mut impl BufMut) {
    /// Digits of the largest 64-bit number.
    const DIGITS_MAX: usize = 20;
    let mut text = [b'0'; DIGITS_MAX];
    let mut first = DIGITS_MAX;
    loop {
        first -= 1;
        text[first] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.put_slice(&text[first..]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_shortest_spelling_is_a_number() {
        let check = |text: &str, expected| assert_eq!(parse(text.as_bytes()), expected, "{text:?}");
        check("0", Some(0));
        check("10", Some(10));
        check("-1", Some(-1));
        check("9223372036854775807", Some(i64::MAX));
        check("-9223372036854775808", Some(i64::MIN));
        for wrong in [
            "",
            "-",
            "+1",
            "-0",
            "00",
            "01",
            "-01",
            " 1",
            "1 ",
            "1x",
            "0x1",
            "1\n",
            "?",
            "9223372036854775808",
            "-9223372036854775809",
            "99999999999999999999999",
        ] {
            check(wrong, None);
        }
    }

    #[test]
    fn a_length_line_is_taken_only_whole_and_plain() {
        assert_eq!(length_line(b"0\r\n"), Some((0, 3)));
        assert_eq!(length_line(b"512\r\nrest"), Some((512, 5)));
        assert_eq!(
            length_line(b"999999999999999999\r\n"),
            Some((999_999_999_999_999_999, 20))
        );
        for other in [
            &b""[..],
            b"1",
            b"1\r",
            b"\r\n",
            b"01\r\n",
            b"-1\r\n",
            b"?\r\n",
            b"1\rx",
            b"1\n",
            b"1x\r\n",
            b"1999999999999999999\r\n",
        ] {
            assert_eq!(
                length_line(other),
                None,
                "{:?}",
                String::from_utf8_lossy(other)
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(value in 0..=i64::MAX as u64) {
            let mut text = Vec::new();
            put(value, &mut text);
            prop_assert_eq!(String::from_utf8_lossy(&text), value.to_string());
            prop_assert_eq!(parse(&text), i64::try_from(value).ok());
        }
    }
}
