//! The contents of small values, in a form in which equal values are equal: hashes and sets in order of their fields and
//! members, scores as numbers.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::side::{Reply, Request, Side, bulks, request_with};
use super::stream;
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
#[derive(Debug, PartialEq, Hash)]
pub(super) enum Canonical {
    /// The key is gone.
    Nothing,
    /// A string.
    Bytes(Vec<u8>),
    /// The elements of a list as they stand.
    Elements(Vec<Value>),
    /// Fields with their values, or members, sorted.
    Sorted(Vec<Vec<Vec<u8>>>),
    /// Members with their scores' bits, sorted.
    Scored(Vec<(Vec<u8>, u64)>),
    /// A stream's entries, and what else it has.
    Stream(Vec<Value>, Vec<Value>),
}

impl Canonical {
    /// Bytes of a string, elements of anything else.
    pub(super) fn length(&self) -> usize {
        match self {
            Canonical::Nothing => 0,
            Canonical::Bytes(bytes) => bytes.len(),
            Canonical::Elements(elements) => elements.len(),
            Canonical::Sorted(entries) => entries.len(),
            Canonical::Scored(members) => members.len(),
            Canonical::Stream(entries, _) => entries.len(),
        }
    }

    /// The same for equal contents.
    pub(super) fn digest(&self) -> u64 {
        digest(self)
    }
}

/// A number that is the same for the same value, in every process.
pub(super) fn digest(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Reads types and contents of all keys in a few pipelines.
pub(super) async fn read(side: &mut Side, keys: &[&[u8]]) -> Result<Vec<Contents>, Error> {
    let types: Vec<Request> = keys.iter().map(|key| request_with("TYPE", key)).collect();
    let kinds: Vec<String> = side.pipeline(&types).await?.into_iter().map(kind).collect();

    let reads: Vec<Option<Request>> = keys
        .iter()
        .zip(&kinds)
        .map(|(key, kind)| request(key, kind))
        .collect();
    let requests: Vec<Request> = reads.iter().flatten().cloned().collect();
    let mut replies = side.pipeline(&requests).await?.into_iter();
    let mut all: Vec<Contents> = kinds
        .into_iter()
        .zip(&reads)
        .map(|(kind, read)| {
            let reply = read.as_ref().and_then(|_| replies.next());
            Contents {
                value: canonical(&kind, reply),
                kind,
            }
        })
        .collect();

    let streams: Vec<usize> = (0..all.len())
        .filter(|at| matches!(all[*at].value, Some(Canonical::Stream(..))))
        .collect();
    let stream_keys: Vec<&[u8]> = streams.iter().map(|at| keys[*at]).collect();
    for (at, state) in streams
        .into_iter()
        .zip(stream::states(side, &stream_keys).await?)
    {
        let contents = &mut all[at];
        contents.value = match (contents.value.take(), state) {
            (Some(Canonical::Stream(entries, _)), Some(state)) => {
                Some(Canonical::Stream(entries, state))
            }
            (_, _) => None,
        };
    }
    Ok(all)
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

/// The bits of a score as the server writes it; servers write the same number in more than one way.
pub(super) fn score(text: &[u8]) -> Option<u64> {
    let number: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    // -0 and 0 are the same score.
    Some(if number == 0.0 { 0 } else { number.to_bits() })
}

/// What brings the contents; none where the type is not known.
fn request(key: &[u8], kind: &str) -> Option<Request> {
    let (command, range): (&str, &[&str]) = match kind {
        "string" => ("GET", &[]),
        "list" => ("LRANGE", &["0", "-1"]),
        "hash" => ("HGETALL", &[]),
        "set" => ("SMEMBERS", &[]),
        "zset" => ("ZRANGE", &["0", "-1", "WITHSCORES"]),
        "stream" => ("XRANGE", &["-", "+"]),
        _ => return None,
    };
    let mut request = request_with(command, key);
    request.extend(range.iter().map(|word| word.as_bytes().to_vec()));
    Some(request)
}

fn canonical(kind: &str, reply: Option<Reply>) -> Option<Canonical> {
    if kind == "none" {
        return Some(Canonical::Nothing);
    }
    match (kind, reply?.ok()?) {
        (_, Value::Null) => Some(Canonical::Nothing),
        ("string", Value::Bulk(bytes)) => Some(Canonical::Bytes(bytes)),
        ("list", Value::Array(elements)) => Some(Canonical::Elements(elements)),
        ("hash", fields) => Some(Canonical::Sorted(sorted(&bulks(fields), 2))),
        ("set", members) => Some(Canonical::Sorted(sorted(&bulks(members), 1))),
        ("zset", members) => {
            let mut members = bulks(members)
                .chunks_exact(2)
                .map(|pair| Some((pair[0].clone(), score(&pair[1])?)))
                .collect::<Option<Vec<_>>>()?;
            members.sort_unstable();
            Some(Canonical::Scored(members))
        }
        ("stream", Value::Array(entries)) => Some(Canonical::Stream(entries, Vec::new())),
        (_, _) => None,
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

    fn array(items: &[&str]) -> Value {
        let items = items
            .iter()
            .map(|item| Value::Bulk(item.as_bytes().to_vec()));
        Value::Array(items.collect())
    }

    fn same(kind: &str, one: &[&str], other: &[&str]) -> bool {
        let one = canonical(kind, Some(Ok(array(one))));
        assert!(one.is_some());
        one == canonical(kind, Some(Ok(array(other))))
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
        assert_eq!(canonical("set", Some(Err("WRONGTYPE".into()))), None);
        assert_eq!(canonical("MBbloom--", None), None);
    }
}
