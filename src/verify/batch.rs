//! Compares the keys of one batch: first whether they are there, how long they live and how large they are; then the
//! serialised values, equal bytes being a fast yes; then, for what is left, the contents, since one value can be
//! serialised in several ways.

use std::time::Duration;

use super::What;
use super::content::{self, Contents};
use super::large;
use super::side::{Reply, Request, Side, request_with};
use crate::upstream::control::{Error, Value};

/// Values that take more memory than this are compared piece by piece.
const LARGE_BYTES: u64 = 1 << 20;

/// How much one pipeline of values may bring, about: bounds the memory.
const PIPELINE_BYTES: u64 = 8 << 20;

/// DUMP ends with the format's version (2 bytes) and a checksum over it (8 bytes), which differ between versions.
const DUMP_FOOTER_BYTES: usize = 10;

/// Both sides.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) source: Side,
    pub(super) target: Side,
}

/// What a first look says about a key on one side.
#[derive(Debug, Clone, Copy)]
struct Look {
    /// Milliseconds; none where it never expires.
    ttl: Option<u64>,
    /// Whether it is there.
    exists: bool,
    /// Its size in memory, where the server tells.
    bytes: u64,
}

/// The keys of `keys` that differ, by their place there.
pub(super) async fn differing(
    pair: &mut Pair,
    keys: &[Vec<u8>],
    ttl_tolerance: Duration,
) -> Result<Vec<(usize, What)>, Error> {
    let (source, target) =
        tokio::try_join!(look(&mut pair.source, keys), look(&mut pair.target, keys))?;
    let mut found = Vec::new();
    let mut small = Vec::new();
    let mut large_ones = Vec::new();
    for (at, (on_source, on_target)) in source.iter().zip(&target).enumerate() {
        match (on_source.exists, on_target.exists) {
            (false, false) => {}
            (true, false) => found.push((at, What::MissingOnTarget)),
            (false, true) => found.push((at, What::MissingOnSource)),
            (true, true) => {
                let bytes = on_source.bytes.max(on_target.bytes);
                if bytes > LARGE_BYTES {
                    large_ones.push(at);
                } else {
                    small.push((at, bytes));
                }
            }
        }
    }

    let mut values = Vec::new();
    for group in groups(&small) {
        values.extend(differing_small(pair, keys, group).await?);
    }
    for at in large_ones {
        let bytes = source[at].bytes.max(target[at].bytes);
        if let Some(what) = large::difference(pair, &keys[at], bytes).await? {
            values.push((at, what));
        }
    }

    // A value that differs says more than its time to live.
    for at in 0..keys.len() {
        let both = source[at].exists && target[at].exists;
        if both
            && !values.iter().any(|(other, _)| *other == at)
            && !alike(source[at].ttl, target[at].ttl, ttl_tolerance)
        {
            found.push((
                at,
                What::TimeToLive {
                    source: source[at].ttl,
                    target: target[at].ttl,
                },
            ));
        }
    }
    found.extend(values);
    Ok(found)
}

/// The serialised values of small keys, to see whether they change; none for keys that are gone or large.
pub(super) async fn fingerprints(
    side: &mut Side,
    keys: &[Vec<u8>],
) -> Result<Vec<Option<Vec<u8>>>, Error> {
    let looks = look(side, keys).await?;
    let small: Vec<(usize, u64)> = looks
        .iter()
        .enumerate()
        .filter(|(_, look)| look.exists && look.bytes <= LARGE_BYTES)
        .map(|(at, look)| (at, look.bytes))
        .collect();
    let mut fingerprints = vec![None; keys.len()];
    for group in groups(&small) {
        for ((at, _), dumped) in group.iter().zip(dumps(side, keys, group).await?) {
            fingerprints[*at] = dumped;
        }
    }
    Ok(fingerprints)
}

/// Runs of keys whose values together stay within [`PIPELINE_BYTES`].
fn groups(keys: &[(usize, u64)]) -> impl Iterator<Item = &[(usize, u64)]> {
    let mut rest = keys;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fitting = rest
            .iter()
            .take_while(|(_, size)| {
                bytes += size;
                bytes <= PIPELINE_BYTES
            })
            .count()
            // One that is too large for any group goes alone.
            .max(1)
            .min(rest.len());
        let (group, behind) = rest.split_at(fitting);
        rest = behind;
        (!group.is_empty()).then_some(group)
    })
}

async fn look(side: &mut Side, keys: &[Vec<u8>]) -> Result<Vec<Look>, Error> {
    let requests: Vec<Request> = keys
        .iter()
        .flat_map(|key| [request_with("PTTL", key), request_with("MEMORY USAGE", key)])
        .collect();
    let replies = side.pipeline(&requests).await?;
    replies
        .chunks_exact(2)
        .map(|replies| match replies {
            [Ok(Value::Integer(ttl)), usage] => Ok(Look {
                ttl: u64::try_from(*ttl).ok(),
                exists: *ttl != -2,
                bytes: match usage {
                    Ok(Value::Integer(bytes)) => u64::try_from(*bytes).unwrap_or(0),
                    // Not there, or a server that does not tell: it is read whole.
                    Ok(_) | Err(_) => 0,
                },
            }),
            _ => Err(side.unexpected("PTTL")),
        })
        .collect()
}

fn alike(one: Option<u64>, other: Option<u64>, tolerance: Duration) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => u128::from(one.abs_diff(other)) <= tolerance.as_millis(),
        (None, Some(_)) | (Some(_), None) => false,
    }
}

async fn differing_small(
    pair: &mut Pair,
    keys: &[Vec<u8>],
    group: &[(usize, u64)],
) -> Result<Vec<(usize, What)>, Error> {
    let (source, target) = tokio::try_join!(
        dumps(&mut pair.source, keys, group),
        dumps(&mut pair.target, keys, group)
    )?;
    let unequal: Vec<usize> = group
        .iter()
        .zip(source.iter().zip(&target))
        .filter(|(_, (source, target))| source != target)
        .map(|((at, _), _)| *at)
        .collect();
    if unequal.is_empty() {
        return Ok(Vec::new());
    }

    let unequal_keys: Vec<&[u8]> = unequal.iter().map(|at| keys[*at].as_slice()).collect();
    let (source, target) = tokio::try_join!(
        content::read(&mut pair.source, &unequal_keys),
        content::read(&mut pair.target, &unequal_keys)
    )?;
    let found = unequal
        .into_iter()
        .zip(source.into_iter().zip(target))
        .filter_map(|(at, (source, target))| Some((at, difference(source, target)?)));
    Ok(found.collect())
}

fn difference(source: Contents, target: Contents) -> Option<What> {
    if source.kind != target.kind {
        return Some(What::Type {
            source: source.kind,
            target: target.kind,
        });
    }
    match (source.value, target.value) {
        (Some(one), Some(other)) => (one != other).then_some(What::Value),
        (None, _) | (_, None) => Some(What::NotComparable {
            reason: format!(
                "its type {} is not known, and its serialised values differ",
                source.kind
            ),
        }),
    }
}

/// The serialised values without their footer; none for keys that are gone.
async fn dumps(
    side: &mut Side,
    keys: &[Vec<u8>],
    group: &[(usize, u64)],
) -> Result<Vec<Option<Vec<u8>>>, Error> {
    let requests: Vec<Request> = group
        .iter()
        .map(|(at, _)| request_with("DUMP", &keys[*at]))
        .collect();
    let replies = side.pipeline(&requests).await?;
    Ok(replies.into_iter().map(without_footer).collect())
}

fn without_footer(reply: Reply) -> Option<Vec<u8>> {
    match reply {
        Ok(Value::Bulk(mut bytes)) => {
            bytes.truncate(bytes.len().saturating_sub(DUMP_FOOTER_BYTES));
            Some(bytes)
        }
        Ok(Value::Null | Value::Simple(_) | Value::Integer(_) | Value::Array(_)) | Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_stay_within_the_bound_and_leave_no_key_out() {
        let third = PIPELINE_BYTES / 3;
        let keys = [
            (0, third),
            (1, third),
            (2, third),
            (3, 3),
            (4, PIPELINE_BYTES),
            (5, PIPELINE_BYTES * 2),
            (6, 0),
        ];
        let sizes: Vec<usize> = groups(&keys).map(<[_]>::len).collect();
        assert_eq!(sizes, [3, 1, 1, 1, 1]);
        assert_eq!(groups(&[]).count(), 0);
    }

    #[test]
    fn times_to_live_are_alike_within_the_tolerance() {
        let second = Duration::from_secs(1);
        assert!(alike(Some(5000), Some(4000), second));
        assert!(!alike(Some(5000), Some(3999), second));
        assert!(!alike(None, Some(1), second));
        assert!(alike(None, None, second));
    }
}
