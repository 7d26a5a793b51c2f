//! Whether a key changed on the side that owns the writes between two looks.

use std::time::{Duration, Instant};

use super::batch::{Dump, Pair, dumps, groups, look};
use super::content::{self, digest};
use super::large;
use crate::upstream::control::Error;

/// What a key was at one moment, in a few bytes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Print {
    /// Not there.
    Gone,
    /// There, with contents that cannot be read.
    Unreadable,
    /// There.
    Held {
        /// The same as long as the value is.
        digest: u64,
        /// When it ends, about.
        expires: Option<Instant>,
    },
}

impl Print {
    /// Whether the key seems not to have changed in between.
    pub(super) fn same(self, later: Print, ttl_tolerance: Duration) -> bool {
        match (self, later) {
            (Print::Gone, Print::Gone) | (Print::Unreadable, Print::Unreadable) => true,
            (
                Print::Held { digest, expires },
                Print::Held {
                    digest: digest_later,
                    expires: expires_later,
                },
            ) => {
                digest == digest_later
                    && match (expires, expires_later) {
                        (None, None) => true,
                        // Half of it: a change that is passed over must not become a difference.
                        (Some(one), Some(other)) => {
                            one.max(other) - one.min(other) <= ttl_tolerance / 2
                        }
                        (None, Some(_)) | (Some(_), None) => false,
                    }
            }
            (Print::Gone | Print::Unreadable | Print::Held { .. }, _) => false,
        }
    }
}

/// Of all keys, on the side that owns the writes.
pub(super) async fn prints(pair: &mut Pair, keys: &[Vec<u8>]) -> Result<Vec<Print>, Error> {
    let looks = look(&mut pair.source, keys).await?;
    let now = Instant::now();
    let mut digests: Vec<Option<u64>> = vec![None; keys.len()];
    let mut small = Vec::new();
    for (at, look) in looks.iter().enumerate().filter(|(_, look)| look.exists) {
        if let Some(bytes) = look.small() {
            small.push((at, bytes));
        } else {
            digests[at] = large::digest_of(pair, &keys[at], look.bytes_about()).await?;
        }
    }
    for group in groups(&small) {
        let found = match dumps(&mut pair.source, keys, group).await {
            Ok(found) => found,
            Err(Error::Unexpected { .. }) => {
                for (at, bytes) in group {
                    digests[*at] = large::digest_of(pair, &keys[*at], *bytes).await?;
                }
                continue;
            }
            Err(error) => return Err(error),
        };
        for ((at, _), dump) in group.iter().zip(found) {
            digests[*at] = match dump {
                Dump::Bytes(bytes) => Some(digest(&bytes)),
                Dump::Gone => Some(0),
                Dump::Refused => {
                    let read = content::read(&mut pair.source, &[&keys[*at]]).await?;
                    read.first()
                        .and_then(|contents| Some(contents.value.as_ref()?.digest()))
                }
            };
        }
    }
    Ok(looks
        .iter()
        .zip(digests)
        .map(|(look, digest)| match (look.exists, digest) {
            (false, _) => Print::Gone,
            (true, None) => Print::Unreadable,
            (true, Some(digest)) => Print::Held {
                digest,
                expires: look.ttl.map(|ttl| now + Duration::from_millis(ttl)),
            },
        })
        .collect())
}
