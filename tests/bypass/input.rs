//! One hostile input: what a connection is sent, and in which packets. A seed decides all of it.

use std::fmt;

use super::catalogue::Entry;
use super::data::Planted;
use super::random::Random;
use super::{arguments, framing, mutate, surroundings};

/// Longer inputs are not sent byte by byte.
const SINGLE_BYTES_MAX: usize = 400;
/// What grows past this by mutation is cut.
const BYTES_MAX: usize = 16 << 10;

/// What one connection is sent.
#[derive(Debug, Clone)]
pub struct Input {
    pub bytes: Vec<u8>,
    /// Where packets end, ascending.
    pub cuts: Vec<usize>,
}

/// What inputs are made of.
pub struct Generator<'a> {
    /// Commands to be tried for their own sake.
    hostile: Vec<&'a Entry>,
    /// Every command.
    all: Vec<&'a Entry>,
    planted: &'a Planted,
}

impl<'a> Generator<'a> {
    /// Of every command of a server but those that `leave_out` names.
    pub fn new(catalogue: &'a [Entry], planted: &'a Planted, leave_out: &[&str]) -> Generator<'a> {
        let all: Vec<&Entry> = catalogue
            .iter()
            .filter(|entry| {
                let name = entry.name();
                !leave_out
                    .iter()
                    .any(|out| name == *out || entry.command.words[0] == *out)
            })
            .collect();
        Generator {
            hostile: all.iter().copied().filter(|it| is_hostile(it)).collect(),
            all,
            planted,
        }
    }

    /// The input of this seed.
    pub fn input(&self, seed: u64) -> Input {
        let mut random = Random::new(seed);
        let (before, behind) = surroundings::around(&mut random);
        let mut requests = before;
        for _ in 0..[1, 1, 1, 2, 3][random.below(5)] {
            requests.push(self.request(&mut random));
        }
        requests.extend(behind);
        let mut bytes = Vec::new();
        for words in requests {
            bytes.extend_from_slice(&framing::framed(&mut random, &words));
        }
        if random.once_in(3) {
            mutate::mutate(&mut random, &mut bytes);
            bytes.truncate(BYTES_MAX);
        }
        let cuts = cuts(&mut random, bytes.len());
        Input { bytes, cuts }
    }

    fn request(&self, random: &mut Random) -> Vec<Vec<u8>> {
        let from = if random.once_in(8) {
            &self.all
        } else {
            &self.hostile
        };
        let entry = from[random.below(from.len())];
        arguments::request(random, self.planted, entry)
    }
}

/// Whether a server says of a command that it writes, or belongs to the administration, or it is known for it.
fn is_hostile(entry: &Entry) -> bool {
    const KNOWN: &[&str] = &[
        "EVAL",
        "EVALSHA",
        "EVAL_RO",
        "EVALSHA_RO",
        "FCALL",
        "FCALL_RO",
        "PFCOUNT",
        "PUBLISH",
        "SPUBLISH",
        "SCRIPT",
        "FUNCTION",
        "CLIENT",
        "MEMORY",
    ];
    entry.has_flag("write")
        || entry.has_flag("admin")
        || KNOWN.contains(&entry.command.words[0].as_str())
}

/// Packets: mostly one, or a few; sometimes single bytes.
fn cuts(random: &mut Random, length: usize) -> Vec<usize> {
    let mut cuts: Vec<usize> = match random.below(10) {
        0..6 => Vec::new(),
        6..9 => (0..=random.below(4))
            .map(|_| random.below(length + 1))
            .collect(),
        _ => (1..length.min(SINGLE_BYTES_MAX)).collect(),
    };
    cuts.retain(|at| (1..length).contains(at));
    cuts.sort_unstable();
    cuts.dedup();
    cuts
}

impl Input {
    /// The packets.
    pub fn packets(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.cuts.iter().copied());
        let ends = self.cuts.iter().copied().chain([self.bytes.len()]);
        starts.zip(ends).map(|(start, end)| &self.bytes[start..end])
    }

    /// Without some of its bytes.
    pub fn without(&self, gap: std::ops::Range<usize>) -> Input {
        let mut bytes = self.bytes.clone();
        bytes.drain(gap.clone());
        let moved = |at: &usize| match *at {
            at if at <= gap.start => at,
            at if at >= gap.end => at - gap.len(),
            _ => gap.start,
        };
        let mut cuts: Vec<usize> = self.cuts.iter().map(moved).collect();
        cuts.retain(|at| (1..bytes.len()).contains(at));
        cuts.dedup();
        Input { bytes, cuts }
    }

    /// In one packet.
    pub fn whole(&self) -> Input {
        Input {
            bytes: self.bytes.clone(),
            cuts: Vec::new(),
        }
    }
}

impl fmt::Display for Input {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "b\"{}\"", self.bytes.escape_ascii())?;
        match self.cuts.as_slice() {
            [] => write!(out, " in one packet"),
            cuts if cuts.len() + 1 >= self.bytes.len() => write!(out, " in single bytes"),
            cuts => write!(out, " in packets that end at {cuts:?}"),
        }
    }
}

#[test]
fn an_input_without_some_bytes_has_its_packets_where_they_were() {
    let input = Input {
        bytes: b"abcdefgh".to_vec(),
        cuts: vec![2, 4, 6],
    };
    let parts = |input: &Input| -> Vec<String> {
        let packets = input.packets().map(|part| part.escape_ascii().to_string());
        packets.collect()
    };
    assert_eq!(parts(&input), ["ab", "cd", "ef", "gh"]);
    assert_eq!(parts(&input.without(1..3)), ["a", "d", "ef", "gh"]);
    assert_eq!(parts(&input.without(0..4)), ["ef", "gh"]);
    assert_eq!(parts(&input.whole()), ["abcdefgh"]);
}
