//! The contents of small values, in a form in which equal values are equal: hashes and sets in order of their fields and
//! members, scores as numbers.

use super::side::{Reply, Request, Side, bulks, request_with};
use crate::upstream::control::{Error, Value};

/// A key's type and contents.
#[derive(Debug)]
pub(super) struct Contents {
    /// `TYPE`; `none` where the key is gone.
    pub(super) kind: String,
    /// The contents; none where the type is not known or changed meanwhile.
    pub(super) value: Option<Canonical>,
}

/// Contents, comparable.
#[derive(Debug, PartialEq)]
pub(super) enum Canonical {
    /// The key is gone.
    Nothing,
    /// Bytes, elements or entries as they stand.
    AsItStands(Vec<Value>),
    /// Fields with their values, or members, sorted.
    Sorted(Vec<Vec<Vec<u8>>>),
    /// Members with their scores' bits, sorted.
    Scored(Vec<(Vec<u8>, u64)>),
}

/// Reads types and contents of all keys in two pipelines.
pub(super) async fn read(side: &mut Side, keys: &[&[u8]]) -> Result<Vec<Contents>, Error> {
    let types: Vec<Request> = keys.iter().map(|key| request_with("TYPE", key)).collect();
    let kinds: Vec<String> = side.pipeline(&types).await?.into_iter().map(kind).collect();

    let reads: Vec<Vec<Request>> = keys
        .iter()
        .zip(&kinds)
        .map(|(key, kind)| requests(key, kind))
        .collect();
    let mut replies = side.pipeline(&reads.concat()).await?.into_iter();
    Ok(kinds
        .into_iter()
        .zip(&reads)
        .map(|(kind, reads)| {
            let own: Vec<Reply> = replies.by_ref().take(reads.len()).collect();
            Contents {
                value: canonical(&kind, own),
                kind,
            }
        })
        .collect())
}

/// The name in a reply of TYPE.
pub(super) fn kind(reply: Reply) -> String {
    match reply {
        Ok(Value::Simple(name)) => name,
        Ok(Value::Bulk(_) | Value::Integer(_) | Value::Array(_) | Value::Null) | Err(_) => {
            "unknown".to_owned()
        }
    }
}

/// What the consumer groups of a stream have in common with their copy: names, positions, what is pending. Idle times
/// and the like differ.
pub(super) fn groups(reply: Value) -> Vec<Value> {
    let fields = ["name", "pending", "last-delivered-id"];
    let Value::Array(groups) = reply else {
        return Vec::new();
    };
    groups
        .into_iter()
        .map(|group| match group {
            Value::Array(parts) => Value::Array(
                parts
                    .chunks_exact(2)
                    .filter(|pair| matches!(&pair[0], Value::Bulk(name) if fields.iter().any(|field| field.as_bytes() == name)))
                    .flatten()
                    .cloned()
                    .collect(),
            ),
            other => other,
        })
        .collect()
}

/// The bits of a score as the server writes it; servers write the same number in more than one way.
pub(super) fn score(text: &[u8]) -> Option<u64> {
    let number: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    // -0 and 0 are the same score.
    Some(if number == 0.0 { 0 } else { number.to_bits() })
}

fn requests(key: &[u8], kind: &str) -> Vec<Request> {
    let with_range = |command: &str, range: [&str; 2]| {
        let mut request = request_with(command, key);
        request.extend(range.map(|end| end.as_bytes().to_vec()));
        request
    };
    match kind {
        "string" => vec![request_with("GET", key)],
        "list" => vec![with_range("LRANGE", ["0", "-1"])],
        "hash" => vec![request_with("HGETALL", key)],
        "set" => vec![request_with("SMEMBERS", key)],
        "zset" => {
            let mut request = with_range("ZRANGE", ["0", "-1"]);
            request.push(b"WITHSCORES".to_vec());
            vec![request]
        }
        "stream" => vec![
            with_range("XRANGE", ["-", "+"]),
            request_with("XINFO GROUPS", key),
        ],
        _ => Vec::new(),
    }
}

fn canonical(kind: &str, replies: Vec<Reply>) -> Option<Canonical> {
    if kind == "none" {
        return Some(Canonical::Nothing);
    }
    let mut replies = replies
        .into_iter()
        .collect::<Result<Vec<Value>, String>>()
        .ok()?
        .into_iter();
    let first = replies.next()?;
    match kind {
        "hash" => Some(Canonical::Sorted(sorted(&bulks(first), 2))),
        "set" => Some(Canonical::Sorted(sorted(&bulks(first), 1))),
        "zset" => {
            let mut members = bulks(first)
                .chunks_exact(2)
                .map(|pair| Some((pair[0].clone(), score(&pair[1])?)))
                .collect::<Option<Vec<_>>>()?;
            members.sort_unstable();
            Some(Canonical::Scored(members))
        }
        "stream" => {
            let mut parts = groups(replies.next()?);
            parts.push(first);
            Some(Canonical::AsItStands(parts))
        }
        _ => Some(Canonical::AsItStands(vec![first])),
    }
}

fn sorted(parts: &[Vec<u8>], together: usize) -> Vec<Vec<Vec<u8>>> {
    let mut entries: Vec<Vec<Vec<u8>>> = parts.chunks_exact(together).map(<[_]>::to_vec).collect();
    entries.sort_unstable();
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(items: &[&str]) -> Vec<Reply> {
        let items = items
            .iter()
            .map(|item| Value::Bulk(item.as_bytes().to_vec()));
        vec![Ok(Value::Array(items.collect()))]
    }

    fn same(kind: &str, one: &[&str], other: &[&str]) -> bool {
        let one = canonical(kind, array(one));
        assert!(one.is_some());
        one == canonical(kind, array(other))
    }

    #[test]
    fn order_does_not_count_where_the_type_has_none() {
        assert!(same("set", &["a", "b"], &["b", "a"]));
        assert!(same("hash", &["f", "1", "g", "2"], &["g", "2", "f", "1"]));
        assert!(!same("hash", &["f", "1", "g", "2"], &["f", "2", "g", "1"]));
        assert!(!same("list", &["a", "b"], &["b", "a"]));
    }

    #[test]
    fn scores_are_compared_as_numbers() {
        assert!(same("zset", &["m", "0.1"], &["m", "0.10000000000000001"]));
        assert!(same("zset", &["m", "-0"], &["m", "0"]));
        assert!(same("zset", &["m", "inf"], &["m", "inf"]));
        assert!(!same("zset", &["m", "1"], &["m", "2"]));
    }

    #[test]
    fn an_error_in_place_of_contents_is_not_comparable() {
        assert_eq!(canonical("set", vec![Err("WRONGTYPE".into())]), None);
        assert_eq!(canonical("MBbloom--", vec![]), None);
    }
}
