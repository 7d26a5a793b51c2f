//! Templates of requests, and what stands for what in them.
//!
//! A template is words with blanks between them; `a|b|c` is one of the three, where an empty one is no word at all,
//! `a&b` is two words, `<name>` stands for a random word, `<name>..` for one to four of them.

use super::{Generator, Role};
use crate::world::Guard;

/// Longest of the values that are not meant to be long.
const SHORT_BYTES_MAX: usize = 40;
/// Longest value: beyond what one read takes, and beyond what one packet takes.
const LONG_BYTES_MAX: usize = 150_000;

const WEIRD: &[&[u8]] = &[
    b"",
    b" ",
    b"\r\n",
    b"\0",
    b"a\0b",
    b"\xff\xfe\x00\x01",
    b"$3\r\nfoo\r\n",
    b"*1\r\n$4\r\nQUIT\r\n",
    b"\"quoted\"",
    b"0",
    b"-0",
    b"007",
    b"+1",
    b" 1",
    b"1 ",
    b"-1",
    b"1e3",
    b"nan",
    b"-inf",
    b"0x10",
    b"2147483648",
    b"4294967296",
    b"9223372036854775807",
    b"9223372036854775808",
    b"-9223372036854775808",
    b"18446744073709551616",
    b"340282366920938463463374607431768211456",
    b"1.7976931348623157e309",
    "ключ".as_bytes(),
    b"<k>{tag}",
];

impl Generator<'_> {
    /// The words of `template`.
    pub(super) fn filled(&mut self, template: &str) -> Vec<Vec<u8>> {
        let mut words = Vec::new();
        for (at, token) in template.split(' ').enumerate() {
            let choices: Vec<&str> = token.split('|').collect();
            let choice = self.random.pick(&choices);
            for piece in choice.split('&').filter(|piece| !piece.is_empty()) {
                let (piece, times) = match piece.strip_suffix("..") {
                    Some(piece) => (piece, 1 + self.random.below(4)),
                    None => (piece, 1),
                };
                for _ in 0..times {
                    self.word(piece, &mut words);
                }
            }
            if at == 0 && self.random.once_in(12) {
                self.change_case(&mut words[0]);
            }
        }
        words
    }

    fn word(&mut self, piece: &str, words: &mut Vec<Vec<u8>>) {
        let Some(name) = (piece.strip_prefix('<')).and_then(|piece| piece.strip_suffix('>')) else {
            words.push(piece.as_bytes().to_vec());
            return;
        };
        let number = self.random.below(100);
        let text = match name {
            // Keys: few of each type, so that they meet.
            "str" | "lst" | "hsh" | "zst" | "stm" | "geo" | "hll" if number < 4 => self.key(),
            "str" => format!("str:{}", number % 5),
            "lst" | "hsh" | "zst" | "stm" => format!("{name}:{}", number % 3),
            "int" | "set" | "geo" | "hll" | "blk" | "bzs" => format!("{name}:{}", number % 2),
            "key" => self.key(),
            "miss" => format!("missing:{}", number % 3),
            // Values.
            "v" | "sv" => {
                words.push(self.value(name == "v"));
                return;
            }
            "weird" => {
                words.push(WEIRD[self.random.below(WEIRD.len())].to_vec());
                return;
            }
            "i" => self
                .random
                .pick(&["0", "1", "2", "3", "-1", "-2", "5", "10", "-100", "100"])
                .into(),
            "n" => (number % 5).to_string(),
            "bit" => (number % 2).to_string(),
            "f" => self
                .random
                .pick(&[
                    "0",
                    "1",
                    "-1.5",
                    "3.25",
                    "1e5",
                    "inf",
                    "-inf",
                    "2.5e-3",
                    "0.1",
                    "17179869184",
                ])
                .into(),
            "m" => char::from(b'a' + u8::try_from(number % 8).unwrap_or(0)).into(),
            "im" => format!(
                "{}{}",
                if number.is_multiple_of(5) { "-" } else { "" },
                1 + number % 12
            ),
            "fld" => format!("f{}", number % 8),
            "pair" => {
                words.push(format!("f{}", number % 8).into_bytes());
                words.push(self.value(false));
                return;
            }
            "score" => self
                .random
                .pick(&["0", "1", "(1", "-inf", "+inf", "2.5", "(x", "3"])
                .into(),
            "lex" => self.random.pick(&["-", "+", "[a", "(c", "[f", "x"]).into(),
            "id" => format!("{}-{}", number % 9, number % 3),
            // See [`Generator::reset`].
            "reset" if self.guard == Guard::Password => "PING".into(),
            "reset" => "RESET".into(),
            "range" => self
                .random
                .pick(&["-", "+", "0", "3-1", "(2-0", "5", "$x"])
                .into(),
            "lon" => format!("{}.{}", number % 30, number % 7),
            "ch" => format!("ch:{}", number % 3),
            "sch" => format!("shard:{}", number % 2),
            "pat" => format!("{}:*", self.random.pick(&["ch", "none"])),
            "kpat" if self.role != Role::Listening => "none:*".into(),
            "kpat" => format!("__{}*", self.random.pick(&["keyspace", "keyevent"])),
            "db" => self
                .random
                .pick(&[
                    "0",
                    "0",
                    "0",
                    "1",
                    "2",
                    "00",
                    " 1",
                    "+1",
                    "16",
                    "-1",
                    "x",
                    "1.0",
                    "2147483648",
                ])
                .into(),
            // Times that nobody lives to see, those long gone, and those that are none.
            "at" => self
                .random
                .pick(&["4102444800", "4102444801", "1", "0", "-1", "never"])
                .into(),
            "atms" => self
                .random
                .pick(&["4102444800000", "4102444800001", "1", "0", "never"])
                .into(),
            // Without those long gone: a key that is set with one is there until the server gets round to it, and says
            // so then.
            "far" => self
                .random
                .pick(&["4102444800", "4102444801", "0", "-1", "never"])
                .into(),
            "farms" => self
                .random
                .pick(&["4102444800000", "4102444800001", "0", "never"])
                .into(),
            "rel" => self
                .random
                .pick(&[
                    "100000",
                    "200000",
                    "100000",
                    "0",
                    "-1",
                    "never",
                    "9223372036854775807",
                ])
                .into(),
            "sha" => self
                .random
                .pick(&[
                    "e0e1f9fabfc9d4800c877a703b823ac0578ff8db",
                    "E0E1F9FABFC9D4800C877A703B823AC0578FF8DB",
                    "ffffffffffffffffffffffffffffffffffffffff",
                    "short",
                ])
                .into(),
            other => panic!("<{other}> stands for nothing"),
        };
        words.push(text.into_bytes());
    }

    /// A key of any type; but never one of a set that is no set of numbers, whose order is its server's own.
    fn key(&mut self) -> String {
        let family = self.random.pick(&[
            "str", "lst", "hsh", "zst", "stm", "geo", "hll", "int", "other",
        ]);
        format!("{family}:{}", self.random.below(2))
    }

    pub(super) fn value(&mut self, may_be_long: bool) -> Vec<u8> {
        match self.random.below(40) {
            0..12 => self.random.below(1000).to_string().into_bytes(),
            12..16 => WEIRD[self.random.below(WEIRD.len())].to_vec(),
            16..20 => (0..self.random.below(SHORT_BYTES_MAX))
                .map(|_| self.random.byte())
                .collect(),
            39 if may_be_long => {
                let length = 1 + self.random.below(LONG_BYTES_MAX);
                let shape = self.random.next();
                (0..length)
                    .map(|at| (at as u64 ^ shape).to_le_bytes()[0])
                    .collect()
            }
            _ => (0..self.random.below(SHORT_BYTES_MAX))
                .map(|_| b'a' + self.random.byte() % 26)
                .collect(),
        }
    }

    fn change_case(&mut self, word: &mut [u8]) {
        for byte in word {
            if self.random.once_in(2) {
                *byte ^= u8::from(byte.is_ascii_alphabetic()) << 5;
            }
        }
    }

    /// Now and then a word too few, too many, or one that has no place there.
    pub(super) fn spoiled(&mut self, mut words: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        if words.len() < 2 || !self.random.once_in(25) {
            return words;
        }
        let at = 1 + self.random.below(words.len() - 1);
        match self.random.below(4) {
            0 => drop(words.remove(at)),
            1 => words.insert(at, words[at].clone()),
            _ => words[at] = WEIRD[self.random.below(WEIRD.len())].to_vec(),
        }
        words
    }
}
