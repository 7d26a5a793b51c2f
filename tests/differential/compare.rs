//! Replies, byte for byte; what may differ; and how a difference is told.

use std::fmt;

use super::schedule::{Nature, shortened};

/// What two servers are told apart by.
#[derive(Debug, Clone)]
pub struct Difference {
    /// The step after which it showed; none at the end of the schedule.
    pub step: Option<usize>,
    pub what: String,
    pub direct: Vec<u8>,
    pub proxied: Vec<u8>,
}

/// How far two streams agree.
#[derive(Debug, PartialEq, Eq)]
pub enum Agreement {
    Same,
    /// One is the beginning of the other, or may yet be.
    ProxiedIsBehind,
    ProxiedIsAhead,
    Different,
}

/// Compares what came in so far, with the names of connections masked.
pub fn agreement(direct: &[u8], proxied: &[u8], nature: Nature) -> Agreement {
    if direct == proxied {
        return Agreement::Same;
    }
    let (direct, proxied) = (masked(direct, nature), masked(proxied, nature));
    let alike = alike(&direct, &proxied);
    if direct == proxied {
        Agreement::Same
    } else if alike + UNSETTLED_BYTES >= proxied.len() && proxied.len() <= direct.len() {
        Agreement::ProxiedIsBehind
    } else if alike + UNSETTLED_BYTES >= direct.len() {
        Agreement::ProxiedIsAhead
    } else {
        Agreement::Different
    }
}

/// What stands at the end of a stream may be half of what is masked.
const UNSETTLED_BYTES: usize = 24;

/// The reply of HELLO holds the number of the connection, which the proxy does not choose: it becomes 0. So does every
/// integer of a step that asks for such a number; nothing else does.
pub fn masked(bytes: &[u8], nature: Nature) -> Vec<u8> {
    let before: &[u8] = match nature {
        Nature::NamesConnection => b":",
        Nature::Usual | Nature::Harmless | Nature::EndsSoon => b"$2\r\nid\r\n:",
    };
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = rest
        .windows(before.len())
        .position(|window| window == before)
    {
        let (head, tail) = rest.split_at(at + before.len());
        let digits = tail.iter().take_while(|byte| byte.is_ascii_digit()).count();
        out.extend_from_slice(head);
        out.extend_from_slice(if digits > 0 { b"0" } else { b"" });
        rest = &tail[digits..];
    }
    out.extend_from_slice(rest);
    out
}

/// Bytes that two streams begin with alike.
fn alike(one: &[u8], other: &[u8]) -> usize {
    let pairs = one.iter().zip(other);
    pairs.take_while(|(one, other)| one == other).count()
}

impl Difference {
    /// What two occurrences of one difference have in common: the first words of the lines that differ.
    pub fn kind(&self) -> [Vec<u8>; 2] {
        let at = alike(&self.direct, &self.proxied);
        [&self.direct, &self.proxied].map(|bytes| {
            let start = bytes[..at].iter().rposition(|byte| *byte == b'\n');
            let line = &bytes[start.map_or(0, |start| start + 1)..];
            let word = line.iter().take_while(|byte| !b" \r".contains(byte));
            // A digest of data is another one for every schedule.
            word.filter(|byte| !matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
                .copied()
                .collect()
        })
    }
}

/// What is shown of two streams before their first difference.
const CONTEXT_BYTES: usize = 120;

impl fmt::Display for Difference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.step {
            Some(step) => writeln!(out, "after step {step}: {}", self.what)?,
            None => writeln!(out, "at the end: {}", self.what)?,
        }
        let at = alike(&self.direct, &self.proxied);
        let from = at.saturating_sub(CONTEXT_BYTES);
        for (who, bytes) in [("direct", &self.direct), ("proxied", &self.proxied)] {
            writeln!(
                out,
                "  {who:8} {}{} >>> {}",
                if from > 0 { "[…]" } else { "" },
                bytes[from..at].escape_ascii(),
                shortened(&bytes[at..])
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(direct: &[u8], proxied: &[u8], expected: &Agreement) {
        assert_eq!(agreement(direct, proxied, Nature::Usual), *expected);
    }

    #[test]
    fn one_byte_makes_a_difference() {
        check(b"+OK\r\n", b"+OK\r\n", &Agreement::Same);
        check(b"+OK\r\n", b"", &Agreement::ProxiedIsBehind);
        check(b"+OK\r\n", b"+OK\r\n:1\r\n", &Agreement::ProxiedIsAhead);
        let long = [b"+OK\r\n".repeat(10), b":1\r\n".to_vec()].concat();
        let other = [b"+OK\r\n", b"-OK\r\n", &long[10..]].concat();
        check(&long, &other, &Agreement::Different);
        check(b":1\r\n", b":2\r\n", &Agreement::ProxiedIsBehind);
    }

    #[test]
    fn numbers_of_connections_are_masked_and_no_others() {
        check(
            b"$2\r\nid\r\n:7\r\n:1\r\n",
            b"$2\r\nid\r\n:123\r\n:1\r\n",
            &Agreement::Same,
        );
        assert_ne!(
            agreement(b"$2\r\nix\r\n:7\r\n", b"$2\r\nix\r\n:8\r\n", Nature::Usual),
            Agreement::Same
        );
        let named = Nature::NamesConnection;
        assert_eq!(agreement(b":7\r\n", b":1234\r\n", named), Agreement::Same);
        assert_ne!(agreement(b":7\r\n", b"$1\r\n7\r\n", named), Agreement::Same);
    }

    #[test]
    fn a_report_marks_the_first_difference() {
        let difference = Difference {
            step: Some(3),
            what: "connection 1".to_owned(),
            direct: b"+OK\r\n:1\r\n".to_vec(),
            proxied: b"+OK\r\n:2\r\n".to_vec(),
        };
        let text = difference.to_string();
        assert!(text.contains(r"direct   +OK\r\n: >>> 1\r\n"), "{text}");
        assert!(text.contains(r"proxied  +OK\r\n: >>> 2\r\n"), "{text}");
    }
}
