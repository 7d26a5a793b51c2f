//! Changes bytes as a fuzzer does: flips, cuts, doubles, swaps, and words and numbers that parsers care about.

use super::random::Random;

/// What parsers care about.
const WORDS: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b"\"",
    b"'",
    b"\\x",
    b" ",
    b"*",
    b"$",
    b"-1",
    b"+",
    b":",
    b"%1\r\n",
    b">1\r\n",
    b"|1\r\n",
    b"*?\r\n",
    b".\r\n",
    b"$?\r\n",
    b";1\r\nx\r\n",
    b"*0\r\n",
    b"*-1\r\n",
    b"$-1\r\n",
    b"$0\r\n\r\n",
    b"*1\r\n$4\r\nPING\r\n",
    b"STORE",
    b"[",
    b"]",
    b"=",
    b"{",
    b"}",
    b",",
];
/// Numbers at the edge of something.
const NUMBERS: &[&[u8]] = &[
    b"0",
    b"1",
    b"-1",
    b"00",
    b"+1",
    b"16",
    b"127",
    b"128",
    b"255",
    b"256",
    b"16384",
    b"65536",
    b"1048577",
    b"536870913",
    b"2147483647",
    b"2147483648",
    b"4294967296",
    b"9223372036854775807",
    b"-9223372036854775808",
    b"18446744073709551616",
];

/// One to four changes.
pub fn mutate(random: &mut Random, bytes: &mut Vec<u8>) {
    for _ in 0..=random.below(4) {
        change(random, bytes);
    }
}

fn change(random: &mut Random, bytes: &mut Vec<u8>) {
    let length = bytes.len();
    let at = random.below(length + 1);
    if at == length {
        // Behind the last byte, or in nothing, only an insertion is possible.
        let word = *random.pick(&WORDS.iter().collect::<Vec<_>>());
        bytes.extend_from_slice(word);
        return;
    }
    let some = at..(at + 1 + random.below(12)).min(length);
    match random.below(9) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[at] = random.byte(),
        2 => bytes.truncate(at),
        3 => drop(bytes.drain(some)),
        4 => {
            let doubled = bytes[some].to_vec();
            insert(bytes, at, &doubled);
        }
        5 => insert(bytes, at, WORDS[random.below(WORDS.len())]),
        6 => {
            let moved: Vec<u8> = bytes.drain(some).collect();
            let to = random.below(bytes.len() + 1);
            insert(bytes, to, &moved);
        }
        7 => {
            let other = random.below(length);
            bytes.swap(at, other);
        }
        _ => number(random, bytes, at),
    }
}

/// Another number in the place of the next one behind `at`.
fn number(random: &mut Random, bytes: &mut Vec<u8>, at: usize) {
    let Some(begin) = bytes[at..].iter().position(u8::is_ascii_digit) else {
        return;
    };
    let begin = at + begin;
    let digits = bytes[begin..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit());
    let end = begin + digits.count();
    bytes.splice(
        begin..end,
        NUMBERS[random.below(NUMBERS.len())].iter().copied(),
    );
}

fn insert(bytes: &mut Vec<u8>, at: usize, what: &[u8]) {
    bytes.splice(at..at, what.iter().copied());
}
