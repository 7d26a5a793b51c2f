//! Compares values that are too large to be read whole, piece by piece.

use super::What;
use super::batch::Pair;
use super::content::{groups, kind, score};
use super::side::{Request, Side, bulks, request_with};
use crate::upstream::control::{Error, Value};

/// How much one piece brings, about.
const PIECE_BYTES: u64 = 1 << 20;

/// Elements of a piece, however small they are: a server answers nobody else meanwhile.
const PIECE_ELEMENTS_MAX: u64 = 1000;

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
        return Ok(Some(What::Type { source, target }));
    }
    let length_command = match source.as_str() {
        "string" => "STRLEN",
        "list" => "LLEN",
        "hash" => "HLEN",
        "set" => "SCARD",
        "zset" => "ZCARD",
        "stream" => "XLEN",
        _ => {
            let reason =
                format!("its type {source} is not known, and it is too large to be read whole");
            return Ok(Some(What::NotComparable { reason }));
        }
    };
    let (length, other_length) = tokio::try_join!(
        integer(&mut pair.source, length_command, key),
        integer(&mut pair.target, length_command, key)
    )?;
    if length != other_length {
        return Ok(Some(What::Value));
    }
    let elements = (length * PIECE_BYTES / bytes.max(1)).clamp(1, PIECE_ELEMENTS_MAX);
    let same = match source.as_str() {
        "string" => same_ranges(pair, "GETRANGE", key, length, PIECE_BYTES).await?,
        "list" => same_ranges(pair, "LRANGE", key, length, elements).await?,
        "stream" => same_stream(pair, key, elements).await?,
        scanned => same_scanned(pair, scanned, key, elements).await?,
    };
    Ok((!same).then_some(What::Value))
}

async fn integer(side: &mut Side, command: &str, key: &[u8]) -> Result<u64, Error> {
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
    let request = [&b"XINFO"[..], b"GROUPS", key];
    let (source, target) =
        tokio::try_join!(pair.source.call(&request), pair.target.call(&request))?;
    Ok(groups(source) == groups(target))
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
async fn same_scanned(
    pair: &mut Pair,
    kind: &str,
    key: &[u8],
    elements: u64,
) -> Result<bool, Error> {
    let scan: &[u8] = match kind {
        "hash" => b"HSCAN",
        "set" => b"SSCAN",
        _ => b"ZSCAN",
    };
    let count = elements.to_string();
    let mut cursor = b"0".to_vec();
    loop {
        let reply = pair
            .source
            .call(&[scan, key, &cursor, b"COUNT", count.as_bytes()])
            .await?;
        let Some((next, parts)) = scanned(reply) else {
            return Err(pair.source.unexpected("SCAN"));
        };
        if !target_has(&mut pair.target, kind, key, &parts).await? {
            return Ok(false);
        }
        if next == b"0" {
            return Ok(true);
        }
        cursor = next;
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
