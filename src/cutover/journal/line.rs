//! One line of the journal: JSON, the last member of which is the checksum of everything before it.

use serde::{Deserialize, Serialize};

use super::Record;

/// A record with what tells that it is whole and in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Line {
    /// Grows by one with each line, from 1.
    pub(super) sequence: u64,
    /// When it was written, for people; nothing is decided by it.
    pub(super) at_unix_ms: u64,
    /// The record.
    pub(super) record: Record,
}

/// What stands before the eight hexadecimal digits of the checksum.
const BEFORE_CHECKSUM: &str = ",\"crc32\":\"";
/// What stands behind them.
const BEHIND_CHECKSUM: &str = "\"}";
/// Bytes of the checksum member.
const CHECKSUM_BYTES: usize = BEFORE_CHECKSUM.len() + 8 + BEHIND_CHECKSUM.len();

impl Line {
    /// The line, its end included.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut text = serde_json::to_string(self).unwrap_or_default();
        // The closing brace comes again behind the checksum.
        text.pop();
        let checksum = crc32fast::hash(text.as_bytes());
        format!("{text}{BEFORE_CHECKSUM}{checksum:08x}{BEHIND_CHECKSUM}\n").into_bytes()
    }

    /// Reads a line without its end; the error says what is wrong with it.
    pub(super) fn decode(bytes: &[u8]) -> Result<Line, String> {
        let Some(length) = bytes.len().checked_sub(CHECKSUM_BYTES) else {
            return Err("too short for a record".to_owned());
        };
        let (head, tail) = bytes.split_at(length);
        let checksum = std::str::from_utf8(tail)
            .ok()
            .and_then(|tail| {
                tail.strip_prefix(BEFORE_CHECKSUM)?
                    .strip_suffix(BEHIND_CHECKSUM)
            })
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .ok_or("no checksum at its end")?;
        if crc32fast::hash(head) != checksum {
            return Err("the checksum does not match".to_owned());
        }
        serde_json::from_slice(bytes)
            .map_err(|error| format!("not a record of this version: {error}"))
    }
}
