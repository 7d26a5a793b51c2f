//! Values that are too large to be read whole: compared, and watched for changes, piece by piece.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::What;
use super::batch::Pair;
use super::content::{digest, kind, score};
use super::side::{Request, Side, bulks, request_with};
use super::throttle::Throttle;
use super::{fields, stream};
use crate::upstream::control::{Error, Value};

/// How much one piece brings, about.
const PIECE_BYTES: u64 = 128 << 10;

/// Elements of a piece, however small they are: a server answers nobody else meanwhile.
const PIECE_ELEMENTS_MAX: u64 = 250;

/// In what the key differs; `bytes` is its size in memory.
///
/// Where a single element is larger than a reply may be, the key is not comparable.
pub(super) async fn difference(
    pair: &mut Pair,
    key: &[u8],
    bytes: u64,
) -> Result<Option<What>, Error> {
    match try_difference(pair, key, bytes).await {
        Err(Error::Refused { text, .. }) => {
            // It changed its type or went away between two pieces: the next round sees what became of it.
            Ok(Some(What::NotComparable { reason: text }))
        }
        Err(Error::Unexpected { reason, .. }) => Ok(Some(What::NotComparable { reason })),
        answered => answered,
    }
}

async fn try_difference(pair: &mut Pair, key: &[u8], bytes: u64) -> Result<Option<What>, Error> {
    let request = [b"TYPE", key];
    let (source, target) =
        tokio::try_join!(pair.source.call(&request), pair.target.call(&request))?;
    let (source, target) = (kind(Ok(source)), kind(Ok(target)));
    if source != target {
        return Ok(Some(What::Type));
    }
    let Some(length_command) = length_command(&source) else {
        let reason =
            format!("its type {source} is not known, and it is too large to be read whole");
        return Ok(Some(What::NotComparable { reason }));
    };
    let (length, other_length) = tokio::try_join!(
        integer(&mut pair.source, length_command, key),
        integer(&mut pair.target, length_command, key)
    )?;
    if length != other_length {
        return Ok(Some(What::Length));
    }
    let elements = elements(length, bytes);
    let same = match source.as_str() {
        "string" => same_ranges(pair, "GETRANGE", key, length, PIECE_BYTES).await?,
        "list" => same_ranges(pair, "LRANGE", key, length, elements).await?,
        "stream" => same_stream(pair, key, elements).await?,
        scanned => return scanned_difference(pair, scanned, key, elements).await,
    };
    Ok((!same).then_some(What::Value))
}

/// The command that tells the length; none for types that are not known.
pub(super) fn length_command(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "string" => "STRLEN",
        "list" => "LLEN",
        "hash" => "HLEN",
        "set" => "SCARD",
        "zset" => "ZCARD",
        "stream" => "XLEN",
        _ => return None,
    })
}

fn elements(length: u64, bytes: u64) -> u64 {
    (length.saturating_mul(PIECE_BYTES) / bytes.max(1)).clamp(1, PIECE_ELEMENTS_MAX)
}

/// A number for what the source holds under the key, which changes with it; none where it cannot be read.
pub(super) async fn digest_of(
    pair: &mut Pair,
    key: &[u8],
    bytes: u64,
) -> Result<Option<u64>, Error> {
    match try_digest_of(&mut pair.source, &mut pair.throttle, key, bytes).await {
        Err(Error::Refused { .. } | Error::Unexpected { .. }) => Ok(None),
        answered => answered,
    }
}

async fn try_digest_of(
    side: &mut Side,
    throttle: &mut Throttle,
    key: &[u8],
    bytes: u64,
) -> Result<Option<u64>, Error> {
    let kind = kind(Ok(side.call(&[b"TYPE", key]).await?));
    let Some(length_command) = length_command(&kind) else {
        return Ok(None);
    };
    let length = integer(side, length_command, key).await?;
    let elements = elements(length, bytes);
    let mut hasher = DefaultHasher::new();
    (&kind, length).hash(&mut hasher);
    match kind.as_str() {
        "string" | "list" => {
            let (command, step): (&[u8], u64) = match kind.as_str() {
                "string" => (b"GETRANGE", PIECE_BYTES),
                _ => (b"LRANGE", elements),
            };
            let mut from = 0;
            while from < length {
                throttle.pass_bytes(PIECE_BYTES).await;
                let (first, last) = (from.to_string(), (from + step - 1).to_string());
                let request = [command, key, first.as_bytes(), last.as_bytes()];
                side.call(&request).await?.hash(&mut hasher);
                from += step;
            }
        }
        "stream" => {
            let mut from = b"-".to_vec();
            loop {
                throttle.pass_bytes(PIECE_BYTES).await;
                let count = elements.to_string();
                let request = [b"XRANGE", key, &from, b"+", b"COUNT", count.as_bytes()];
                let entries = side.call(&request).await?;
                entries.hash(&mut hasher);
                match last_id(&entries) {
                    Some(id) => from = [b"(", id].concat(),
                    None => break,
                }
            }
            stream::states(side, &[key]).await?.hash(&mut hasher);
        }
        scanned => {
            // Elements come in any order.
            let mut sum = 0_u64;
            let mut scan = Scan::new(scanned, elements);
            while let Some(parts) = scan.next(side, key).await? {
                throttle.pass_bytes(PIECE_BYTES).await;
                for entry in parts.chunks(scan.width) {
                    sum = sum.wrapping_add(digest(&entry));
                }
            }
            sum.hash(&mut hasher);
        }
    }
    Ok(Some(hasher.finish()))
}

pub(super) async fn integer(side: &mut Side, command: &str, key: &[u8]) -> Result<u64, Error> {
    match side.call(&[command.as_bytes(), key]).await? {
        Value::Integer(number) => Ok(u64::try_from(number).unwrap_or(0)),
        Value::Bulk(_) | Value::Simple(_) | Value::Array(_) | Value::Null => {
            Err(side.unexpected(command))
        }
    }
}

/// Strings and lists: the same places on both sides.
async fn same_ranges(
    pair: &mut Pair,
    command: &str,
    key: &[u8],
    length: u64,
    step: u64,
) -> Result<bool, Error> {
    let mut from = 0;
    while from < length {
        pair.throttle.pass_bytes(PIECE_BYTES).await;
        let (first, last) = (from.to_string(), (from + step - 1).to_string());
        let request = [command.as_bytes(), key, first.as_bytes(), last.as_bytes()];
        let (source, target) =
            tokio::try_join!(pair.source.call(&request), pair.target.call(&request))?;
        if source != target {
            return Ok(false);
        }
        from += step;
    }
    Ok(true)
}

/// Streams: the same entries, and groups that stand where they should.
async fn same_stream(pair: &mut Pair, key: &[u8], elements: u64) -> Result<bool, Error> {
    let count = elements.to_string();
    let mut from = b"-".to_vec();
    loop {
        pair.throttle.pass_bytes(PIECE_BYTES).await;
        let request = [b"XRANGE", key, &from, b"+", b"COUNT", count.as_bytes()];
        let (source, target) =
            tokio::try_join!(pair.source.call(&request), pair.target.call(&request))?;
        if source != target {
            return Ok(false);
        }
        match last_id(&source) {
            Some(id) => from = [b"(", id].concat(),
            None => break,
        }
    }
    let keys = [key];
    let (source, target) = tokio::try_join!(
        stream::states(&mut pair.source, &keys),
        stream::states(&mut pair.target, &keys)
    )?;
    Ok(source == target)
}

fn last_id(entries: &Value) -> Option<&[u8]> {
    let Value::Array(entries) = entries else {
        return None;
    };
    match entries.last()? {
        Value::Array(entry) => match entry.first()? {
            Value::Bulk(id) => Some(id),
            Value::Simple(_) | Value::Integer(_) | Value::Array(_) | Value::Null => None,
        },
        Value::Bulk(_) | Value::Simple(_) | Value::Integer(_) | Value::Null => None,
    }
}

/// Hashes, sets and sorted sets: with as many elements on both sides, they are the same when the target has each of the
/// source's.
async fn scanned_difference(
    pair: &mut Pair,
    kind: &str,
    key: &[u8],
    elements: u64,
) -> Result<Option<What>, Error> {
    let mut scan = Scan::new(kind, elements);
    let mut ttl_differs = false;
    while let Some(parts) = scan.next(&mut pair.source, key).await? {
        pair.throttle.pass_bytes(PIECE_BYTES).await;
        if !target_has(&mut pair.target, kind, key, &parts).await? {
            return Ok(Some(What::Value));
        }
        if kind == "hash" && !ttl_differs {
            let names: Vec<Vec<u8>> = parts.chunks(2).map(|entry| entry[0].clone()).collect();
            ttl_differs = fields::differ(pair, key, &names).await?;
        }
    }
    Ok(ttl_differs.then_some(What::TimeToLive))
}

/// A way through the elements of one key.
struct Scan {
    command: &'static [u8],
    /// Parts of an element: a field and its value, a member and its score, a member.
    width: usize,
    count: String,
    cursor: Vec<u8>,
    ended: bool,
}

impl Scan {
    fn new(kind: &str, elements: u64) -> Scan {
        let (command, width): (&[u8], usize) = match kind {
            "hash" => (b"HSCAN", 2),
            "set" => (b"SSCAN", 1),
            _ => (b"ZSCAN", 2),
        };
        Scan {
            command,
            width,
            count: elements.to_string(),
            cursor: b"0".to_vec(),
            ended: false,
        }
    }

    /// The next elements; none at the end.
    async fn next(&mut self, side: &mut Side, key: &[u8]) -> Result<Option<Vec<Vec<u8>>>, Error> {
        if self.ended {
            return Ok(None);
        }
        let request = [
            self.command,
            key,
            &self.cursor,
            b"COUNT",
            self.count.as_bytes(),
        ];
        let Some((next, parts)) = scanned(side.call(&request).await?) else {
            return Err(side.unexpected("SCAN"));
        };
        self.ended = next == b"0";
        self.cursor = next;
        Ok(Some(parts))
    }
}

/// The cursor and the elements in a reply of the SCAN family.
pub(super) fn scanned(reply: Value) -> Option<(Vec<u8>, Vec<Vec<u8>>)> {
    let Value::Array(parts) = reply else {
        return None;
    };
    match <[Value; 2]>::try_from(parts) {
        Ok([Value::Bulk(cursor), elements]) => Some((cursor, bulks(elements))),
        Ok(_) | Err(_) => None,
    }
}

async fn target_has(
    target: &mut Side,
    kind: &str,
    key: &[u8],
    parts: &[Vec<u8>],
) -> Result<bool, Error> {
    let ask = |command: &str, element: &[u8]| -> Request {
        let mut request = request_with(command, key);
        request.push(element.to_vec());
        request
    };
    let (command, width) = match kind {
        "hash" => ("HGET", 2),
        "set" => ("SISMEMBER", 1),
        _ => ("ZSCORE", 2),
    };
    let requests: Vec<Request> = parts
        .chunks_exact(width)
        .map(|entry| ask(command, &entry[0]))
        .collect();
    let replies = target.pipeline(&requests).await?;
    Ok(parts
        .chunks_exact(width)
        .zip(replies)
        .all(|(entry, reply)| match (entry, reply) {
            ([_], Ok(Value::Integer(found))) => found == 1,
            ([_, value], Ok(Value::Bulk(other))) if kind == "hash" => *value == other,
            ([_, value], Ok(Value::Bulk(other))) => score(value) == score(&other),
            _ => false,
        }))
}
