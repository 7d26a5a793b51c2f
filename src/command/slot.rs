//! The hash slot of a key: as Redis Cluster has it, and as Redis Enterprise has it, whose rule about braces differs where a
//! key has several of them.

/// Slots of a cluster.
const SLOTS: u16 = 16_384;

/// The part of a key that decides its slot, and nothing else of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagRule {
    /// Redis Cluster: from the first `{` to the first `}` behind it, unless nothing stands between them.
    Cluster,
    /// Redis Enterprise's standard policy, which is a greedy expression, `.*\{(?<tag>.*)\}.*`: from the last `{` that a
    /// `}` follows, to the last `}`. What it makes of an empty tag is not documented; the whole key is taken, as in a
    /// cluster.
    Enterprise,
}

/// Where the keys seen so far lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Span {
    /// None was seen.
    #[default]
    Nowhere,
    /// All of them in this slot.
    One(u16),
    /// In more than one.
    Several,
}

impl Span {
    /// With one more key, under `rule`.
    #[must_use]
    pub fn with(self, key: &[u8], rule: TagRule) -> Span {
        let slot = slot(key, rule);
        match self {
            Span::Nowhere => Span::One(slot),
            Span::One(other) if other == slot => self,
            Span::One(_) | Span::Several => Span::Several,
        }
    }
}

/// The slot of a key.
pub fn slot(key: &[u8], rule: TagRule) -> u16 {
    crc16(tag(key, rule)) % SLOTS
}

fn tag(key: &[u8], rule: TagRule) -> &[u8] {
    let found = match rule {
        TagRule::Cluster => memchr::memchr(b'{', key).and_then(|open| {
            let inside = &key[open + 1..];
            memchr::memchr(b'}', inside).map(|close| &inside[..close])
        }),
        TagRule::Enterprise => memchr::memrchr(b'}', key).and_then(|close| {
            let before = &key[..close];
            memchr::memrchr(b'{', before).map(|open| &before[open + 1..])
        }),
    };
    found.filter(|tag| !tag.is_empty()).unwrap_or(key)
}

/// CRC-16/XMODEM, as the Redis Cluster specification has it.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        crc << 8 ^ CRC16[usize::from(crc >> 8 ^ u16::from(*byte))]
    })
}

const CRC16: [u16; 256] = table();

const fn table() -> [u16; 256] {
    /// x^16 + x^12 + x^5 + 1
    const POLYNOMIAL: u16 = 0x1021;
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 {
                crc << 1
            } else {
                crc << 1 ^ POLYNOMIAL
            };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_cluster_specification() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        for (key, expected) in [("foo", 12_182), ("bar", 5_061), ("somekey", 11_058)] {
            assert_eq!(slot(key.as_bytes(), TagRule::Cluster), expected, "{key}");
            assert_eq!(slot(key.as_bytes(), TagRule::Enterprise), expected, "{key}");
        }
    }

    #[test]
    fn the_two_rules_differ_where_there_are_several_braces() {
        for (key, cluster, enterprise) in [
            ("{user1000}.following", "user1000", "user1000"),
            ("foo{}{bar}", "foo{}{bar}", "bar"),
            ("foo{{bar}}zap", "{bar", "bar}"),
            ("foo{bar}{zap}", "bar", "zap"),
            ("{a}b}", "a", "a}b"),
            ("}a{", "}a{", "}a{"),
            ("{}", "{}", "{}"),
            ("", "", ""),
        ] {
            let of = |rule| std::str::from_utf8(tag(key.as_bytes(), rule)).unwrap();
            assert_eq!(of(TagRule::Cluster), cluster, "{key}");
            assert_eq!(of(TagRule::Enterprise), enterprise, "{key}");
        }
    }

    #[test]
    fn a_span_is_one_slot_until_a_key_lies_elsewhere() {
        let of = |keys: &[&str]| {
            keys.iter().fold(Span::Nowhere, |span, key| {
                span.with(key.as_bytes(), TagRule::Cluster)
            })
        };
        assert_eq!(of(&[]), Span::Nowhere);
        assert_eq!(of(&["foo", "x{foo}", "{foo}y"]), Span::One(12_182));
        assert_eq!(of(&["foo", "bar", "foo"]), Span::Several);
    }
}
