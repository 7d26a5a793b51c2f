//! The journal reader: it opens what was written and says what is wrong with anything else, leaves a broken file as it
//! is, loses nothing but a torn last line, and notices every flipped byte.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use handover::cutover::journal::{Error, FILE, Journal, Record, Resumed};
use handover::terms::Side;

use super::plan;

/// Plan: whether lines get a checksum that matches, where the file is cut, which byte is flipped.
pub fn check(input: &[u8]) {
    let ([seal, cut, flip_at, flip], text) = plan(input);
    let bytes = if seal % 2 == 0 {
        text.to_vec()
    } else {
        sealed(text)
    };
    let directory = scratch();
    let dir = directory.path();
    let Some(resumed) = opened(dir, &bytes) else {
        return;
    };
    // Opening may have cut off a torn line, or appended whose journal it is.
    let rested = fs::read(dir.join(FILE)).expect("the journal is there");
    let whole = bytes
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |end| end + 1);
    assert!(rested.starts_with(&bytes[..whole]));
    append(dir, &resumed);
    if whole > 0 {
        let at = scaled(cut, whole);
        let _ = opened_or_other_pair(dir, &bytes[..at]);
        let mut flipped = bytes[..whole].to_vec();
        let at = scaled(flip_at, whole - 1);
        flipped[at] ^= flip;
        if let Some(Ok(other)) = opened_or_broken(dir, &flipped) {
            assert!(
                flip == 0 || other == resumed,
                "byte {at} of a line was changed, and it was read as {other:?}, not {resumed:?}"
            );
        }
    }
}

/// In memory where there is such a place: every opening waits for the disk otherwise.
fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .expect("a temporary directory")
}

/// What a start makes of these bytes; none if it is refused, and then the file is as it was.
fn opened(dir: &Path, bytes: &[u8]) -> Option<Resumed> {
    fs::write(dir.join(FILE), bytes).expect("the journal can be written");
    match Journal::open(dir, "a", "b") {
        Ok((_, resumed)) => Some(resumed),
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert!(
                matches!(error, Error::Broken { .. } | Error::OtherPair { .. }),
                "{error}"
            );
            let left = fs::read(dir.join(FILE)).expect("the journal is there");
            // A torn line may be gone.
            assert!(bytes.starts_with(&left), "a refused journal was changed");
            None
        }
    }
}

/// The beginning of a good journal is a good one, though it may tell of another pair of databases.
fn opened_or_other_pair(dir: &Path, bytes: &[u8]) -> Option<Resumed> {
    fs::write(dir.join(FILE), bytes).expect("the journal can be written");
    match Journal::open(dir, "a", "b") {
        Ok((_, resumed)) => Some(resumed),
        Err(Error::OtherPair { .. }) => None,
        Err(error) => panic!("{error}, at the beginning of a journal that was read whole"),
    }
}

fn opened_or_broken(dir: &Path, bytes: &[u8]) -> Option<Result<Resumed, Error>> {
    fs::write(dir.join(FILE), bytes).expect("the journal can be written");
    match Journal::open(dir, "a", "b") {
        Ok((_, resumed)) => Some(Ok(resumed)),
        Err(Error::OtherPair { .. }) => None,
        Err(error) => Some(Err(error)),
    }
}

/// What is appended is found again.
fn append(dir: &Path, resumed: &Resumed) {
    let (mut journal, again) = Journal::open(dir, "a", "b").expect("it was opened before");
    assert_eq!(again, *resumed);
    let record = Record::Committed {
        number: 3,
        active: Side::Target,
        reverse: true,
    };
    journal.append(&record).expect("it can be appended to");
    drop(journal);
    let (_, again) = Journal::open(dir, "a", "b").expect("it was appended to");
    assert_eq!(again, resumed.clone().and_then(&record));
}

/// Each line with the checksum that it should have; one that has none gets one.
fn sealed(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let Some(line) = line.strip_suffix(b"\n") else {
            bytes.extend_from_slice(line);
            continue;
        };
        let line = String::from_utf8_lossy(line);
        let head = line.split(",\"crc32\"").next().unwrap_or_default();
        let mut tail = String::new();
        let checksum = crc32fast::hash(head.as_bytes());
        let _ = writeln!(tail, ",\"crc32\":\"{checksum:08x}\"}}");
        bytes.extend_from_slice(head.as_bytes());
        bytes.extend_from_slice(tail.as_bytes());
    }
    bytes
}

/// A place in `length` bytes, the first for 0 and the last for 255.
fn scaled(at: u8, length: usize) -> usize {
    (usize::from(at) * length / 255).min(length.saturating_sub(1))
}
