//! Arguments for a command, from the server's own description of it: mostly such that the server would do something.

use super::catalogue::{Argument, Entry, Kind};
use super::data::{self, KEYS, Planted};
use super::random::Random;

/// So often one argument is repeated where it may be, at most.
const TIMES_MAX: usize = 3;

/// One request under way.
struct Writing<'a> {
    random: &'a mut Random,
    planted: &'a Planted,
    group: &'a str,
    words: Vec<Vec<u8>>,
    /// Where the number of keys stands, until they are there.
    number_of_keys: Option<usize>,
}

/// The whole request: the command's words and its arguments.
pub fn request(random: &mut Random, planted: &Planted, entry: &Entry) -> Vec<Vec<u8>> {
    let mut writing = Writing {
        random,
        planted,
        group: &entry.group,
        words: Vec::new(),
        number_of_keys: None,
    };
    for word in &entry.command.words {
        writing.words.push(word.clone().into_bytes());
    }
    for argument in &entry.arguments {
        writing.write(argument);
    }
    let mut words = writing.words;
    spoil(random, &mut words);
    words
}

impl Writing<'_> {
    fn write(&mut self, argument: &Argument) {
        let is = |flag: &str| argument.flags.contains(flag);
        if is("optional") && self.random.once_in(2) {
            return;
        }
        let times = if is("multiple") {
            1 + self.random.below(TIMES_MAX)
        } else {
            1
        };
        if let (Some(at), Kind::Key) = (self.number_of_keys, argument.kind) {
            self.words[at] = times.to_string().into_bytes();
            self.number_of_keys = None;
        }
        for time in 0..times {
            if let Some(token) = &argument.token
                && (time == 0 || is("multiple_token"))
                && !token.is_empty()
            {
                self.words.push(token.clone().into_bytes());
            }
            self.write_once(argument);
        }
    }

    fn write_once(&mut self, argument: &Argument) {
        let word = match argument.kind {
            Kind::Token => return,
            Kind::OneOf => {
                if !argument.parts.is_empty() {
                    let part = self.random.below(argument.parts.len());
                    self.write(&argument.parts[part]);
                }
                return;
            }
            Kind::Block => {
                for part in &argument.parts {
                    self.write(part);
                }
                return;
            }
            Kind::Key => self.key(),
            Kind::Integer if argument.name == "numkeys" => {
                self.number_of_keys = Some(self.words.len());
                b"0".to_vec()
            }
            Kind::Integer => self.integer(&argument.name),
            Kind::Double => self.random.pick(&["1.5", "0", "-2", "13.3", "3e1"]).into(),
            Kind::UnixTime => b"4102444800000".to_vec(),
            Kind::Text => data::text(self.random, self.planted, &argument.name),
        };
        self.words.push(word);
    }

    /// A key that there is, of the right type; now and then of another, or none.
    fn key(&mut self) -> Vec<u8> {
        let fitting: Vec<&str> = KEYS
            .iter()
            .filter(|(group, _)| *group == self.group)
            .map(|(_, key)| *key)
            .collect();
        let key = match self.random.below(10) {
            0 => "new",
            1..8 if !fitting.is_empty() => self.random.pick(&fitting),
            _ => KEYS[self.random.below(KEYS.len())].1,
        };
        key.as_bytes().to_vec()
    }

    fn integer(&mut self, name: &str) -> Vec<u8> {
        let choices: &[&str] = match name {
            "milliseconds" | "seconds" | "ttl" => &["100000", "200000000"],
            "bit" => &["0", "1"],
            _ => &["0", "1", "2", "-1", "10", "100"],
        };
        self.random.pick(choices).into()
    }
}

/// Now and then a word too few, too many, or one that has no place there.
fn spoil(random: &mut Random, words: &mut Vec<Vec<u8>>) {
    if words.len() < 2 || !random.once_in(12) {
        return;
    }
    let at = 1 + random.below(words.len() - 1);
    match random.below(4) {
        0 => drop(words.remove(at)),
        1 => words.insert(at, words[at].clone()),
        2 => words.insert(at, b"STORE".to_vec()),
        _ => words[at] = random.pick(&["", "STORE", "x\r\ny", "\0", "GET"]).into(),
    }
}
