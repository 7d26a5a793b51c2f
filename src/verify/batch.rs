//! Compares the keys of one batch: first whether they are there, how long they live and how large they are; then the
//! serialised values, equal bytes being a fast yes; then, for what is left, the contents, since one value can be
//! serialised in several ways.

use std::time::Duration;

use super::What;
use super::content::{self, Canonical, Contents};
use super::side::{Reply, Request, Side, request_with};
use super::throttle::Throttle;
use super::{fields, large};
use crate::upstream::control::{Error, Value};

/// Values that take more memory than this are compared piece by piece.
const LARGE_BYTES: u64 = 1 << 20;

/// How much one pipeline of values may bring, about: bounds the memory.
const PIPELINE_BYTES: u64 = 4 << 20;

/// DUMP ends with the format's version (2 bytes) and a checksum over it (8 bytes), which differ between versions.
const DUMP_FOOTER_BYTES: usize = 10;

/// Both sides: the source is the one that owns the writes.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) source: Side,
    pub(super) target: Side,
    /// How fast they are asked.
    pub(super) throttle: Throttle,
    /// How far times to live may be apart.
    pub(super) ttl_tolerance: Duration,
    /// Whether a server knows times to live of fields; true until both have said no.
    pub(super) fields_expire: bool,
}

/// What a first look says about a key on one side.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    /// Milliseconds; none where it never expires.
    pub(super) ttl: Option<u64>,
    /// Whether it is there.
    pub(super) exists: bool,
    /// Its size in memory; none where the server does not tell.
    bytes: Option<u64>,
}

impl Look {
    /// The size of what may be read whole; none where it is large, or may be.
    pub(super) fn small(&self) -> Option<u64> {
        self.bytes.filter(|bytes| *bytes <= LARGE_BYTES)
    }

    /// The size to divide a large value by; where it is not known, pieces have their greatest number of elements.
    pub(super) fn bytes_about(&self) -> u64 {
        self.bytes.unwrap_or(0)
    }
}

/// The keys of `keys` that differ, by their place there.
pub(super) async fn differing(
    pair: &mut Pair,
    keys: &[Vec<u8>],
) -> Result<Vec<(usize, What)>, Error> {
    let (source, target) =
        tokio::try_join!(look(&mut pair.source, keys), look(&mut pair.target, keys))?;
    let mut found: Vec<Option<What>> = keys.iter().map(|_| None).collect();
    let mut small = Vec::new();
    for (at, (on_source, on_target)) in source.iter().zip(&target).enumerate() {
        match (on_source.exists, on_target.exists) {
            (false, false) => {}
            (true, false) => found[at] = Some(What::MissingOnTarget),
            (false, true) => found[at] = Some(What::MissingOnSource),
            (true, true) => {
                if let (Some(one), Some(other)) = (on_source.small(), on_target.small()) {
                    small.push((at, one.max(other)));
                } else {
                    let bytes = on_source.bytes_about().max(on_target.bytes_about());
                    found[at] = large::difference(pair, &keys[at], bytes).await?;
                }
            }
        }
    }
    for group in groups(&small) {
        match differing_small(pair, keys, group).await {
            Ok(differing) => {
                for (at, what) in differing {
                    found[at] = Some(what);
                }
            }
            // The sizes are estimates: what they were wrong about is read in pieces.
            Err(Error::Unexpected { .. }) => {
                for (at, bytes) in group {
                    found[*at] = large::difference(pair, &keys[*at], *bytes).await?;
                }
            }
            Err(error) => return Err(error),
        }
    }

    // A value that differs says more than its time to live.
    for (at, (on_source, on_target)) in source.iter().zip(&target).enumerate() {
        if on_source.exists
            && on_target.exists
            && !alike(on_source.ttl, on_target.ttl, pair.ttl_tolerance)
        {
            found[at].get_or_insert(What::TimeToLive);
        }
    }
    let found = found.into_iter().enumerate();
    Ok(found.filter_map(|(at, what)| Some((at, what?))).collect())
}

/// Runs of keys whose values together stay within [`PIPELINE_BYTES`].
pub(super) fn groups(keys: &[(usize, u64)]) -> impl Iterator<Item = &[(usize, u64)]> {
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

/// Whether each key is there, how long it lives, how large it is.
pub(super) async fn look(side: &mut Side, keys: &[Vec<u8>]) -> Result<Vec<Look>, Error> {
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
                    Ok(Value::Integer(bytes)) => u64::try_from(*bytes).ok(),
                    // Gone since.
                    Ok(Value::Null) => Some(0),
                    Ok(Value::Bulk(_) | Value::Simple(_) | Value::Array(_)) | Err(_) => None,
                },
            }),
            [Err(text), ..] => Err(side.refused("PTTL", text.clone())),
            _ => Err(side.unexpected("PTTL")),
        })
        .collect()
}

/// Whether two times to live are the same.
pub(super) fn alike(one: Option<u64>, other: Option<u64>, tolerance: Duration) -> bool {
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
        .filter(|(_, (source, target))| !source.equals(target))
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
    let mut found = Vec::new();
    for (at, (source, target)) in unequal.into_iter().zip(source.into_iter().zip(target)) {
        if let Some(what) = difference(&source, &target) {
            found.push((at, what));
        } else if let ("hash", Some(Canonical::Sorted(entries))) =
            (source.kind.as_str(), &source.value)
        {
            let names: Vec<Vec<u8>> = entries.iter().map(|entry| entry[0].clone()).collect();
            if fields::differ(pair, &keys[at], &names).await? {
                found.push((at, What::TimeToLive));
            }
        }
    }
    Ok(found)
}

fn difference(source: &Contents, target: &Contents) -> Option<What> {
    // A key that went away between two looks is of no other type: it is missing.
    match (&source.value, &target.value) {
        (Some(Canonical::Nothing), Some(Canonical::Nothing)) => None,
        (Some(Canonical::Nothing), _) => Some(What::MissingOnSource),
        (_, Some(Canonical::Nothing)) => Some(What::MissingOnTarget),
        _ if source.kind != target.kind => Some(What::Type),
        (Some(one), Some(other)) if one == other => None,
        (Some(one), Some(other)) if one.length() != other.length() => Some(What::Length),
        (Some(_), Some(_)) => Some(What::Value),
        (None, _) | (_, None) => Some(What::NotComparable {
            reason: format!(
                "its contents (type {}) cannot be read, and its serialised values differ or are refused",
                source.kind
            ),
        }),
    }
}

/// A serialised value without its footer.
#[derive(Debug)]
pub(super) enum Dump {
    /// The key is gone.
    Gone,
    /// The bytes.
    Bytes(Vec<u8>),
    /// The server does not give it. Equal to nothing: two refusals are no evidence.
    Refused,
}

impl Dump {
    fn equals(&self, other: &Dump) -> bool {
        match (self, other) {
            (Dump::Gone, Dump::Gone) => true,
            (Dump::Bytes(one), Dump::Bytes(other)) => one == other,
            (Dump::Gone | Dump::Bytes(_) | Dump::Refused, _) => false,
        }
    }
}

/// The serialised values.
pub(super) async fn dumps(
    side: &mut Side,
    keys: &[Vec<u8>],
    group: &[(usize, u64)],
) -> Result<Vec<Dump>, Error> {
    let requests: Vec<Request> = group
        .iter()
        .map(|(at, _)| request_with("DUMP", &keys[*at]))
        .collect();
    let replies = side.pipeline(&requests).await?;
    Ok(replies.into_iter().map(without_footer).collect())
}

fn without_footer(reply: Reply) -> Dump {
    match reply {
        Ok(Value::Bulk(mut bytes)) => {
            bytes.truncate(bytes.len().saturating_sub(DUMP_FOOTER_BYTES));
            Dump::Bytes(bytes)
        }
        Ok(Value::Null) => Dump::Gone,
        Ok(Value::Simple(_) | Value::Integer(_) | Value::Array(_)) | Err(_) => Dump::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_refusals_are_not_equal() {
        assert!(
            !without_footer(Err("NOPERM".into())).equals(&without_footer(Err("NOPERM".into())))
        );
        assert!(without_footer(Ok(Value::Null)).equals(&Dump::Gone));
        let bytes = |text: &[u8]| without_footer(Ok(Value::Bulk(text.to_vec())));
        assert!(bytes(b"same0123456789").equals(&bytes(b"same9876543210")));
        assert!(!bytes(b"same0123456789").equals(&bytes(b"some0123456789")));
    }

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
