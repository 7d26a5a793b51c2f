//! What the sides hold under the keys that differ, in a few words each.

use super::Held;
use super::batch::{groups, look};
use super::content;
use super::large::length_command;
use super::side::{Request, Side, request_with};
use crate::upstream::control::{Error, Value};

/// Of each key; none where the side does not have it.
pub(super) async fn held(side: &mut Side, keys: &[Vec<u8>]) -> Result<Vec<Option<Held>>, Error> {
    let looks = look(side, keys).await?;
    let types: Vec<Request> = keys.iter().map(|key| request_with("TYPE", key)).collect();
    let kinds: Vec<String> = side
        .pipeline(&types)
        .await?
        .into_iter()
        .map(content::kind)
        .collect();
    // A type that is not known is asked for its type once more, to keep its place.
    let lengths: Vec<Request> = keys
        .iter()
        .zip(&kinds)
        .map(|(key, kind)| request_with(length_command(kind).unwrap_or("TYPE"), key))
        .collect();
    let lengths = side.pipeline(&lengths).await?;
    let mut all: Vec<Option<Held>> = looks
        .iter()
        .zip(kinds.into_iter().zip(lengths))
        .map(|(look, (kind, length))| {
            look.exists.then(|| Held {
                kind,
                length: match length {
                    Ok(Value::Integer(length)) => u64::try_from(length).ok(),
                    Ok(Value::Bulk(_) | Value::Simple(_) | Value::Array(_) | Value::Null)
                    | Err(_) => None,
                },
                ttl_ms: look.ttl,
                digest: None,
            })
        })
        .collect();

    let small: Vec<(usize, u64)> = looks
        .iter()
        .enumerate()
        .filter(|(_, look)| look.exists)
        .filter_map(|(at, look)| Some((at, look.small()?)))
        .collect();
    for group in groups(&small) {
        let group_keys: Vec<&[u8]> = group.iter().map(|(at, _)| keys[*at].as_slice()).collect();
        let contents = match content::read(side, &group_keys).await {
            Ok(contents) => contents,
            // An estimate was wrong, and they are too large after all.
            Err(Error::Unexpected { .. }) => continue,
            Err(error) => return Err(error),
        };
        for ((at, _), contents) in group.iter().zip(contents) {
            if let (Some(held), Some(value)) = (&mut all[*at], &contents.value) {
                held.digest = Some(format!("{:016x}", value.digest()));
            }
        }
    }
    Ok(all)
}
