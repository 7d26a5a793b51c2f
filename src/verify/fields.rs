//! Times to live of single fields of hashes, where the servers know such a thing (Redis 7.4, Valkey 9).

use super::batch::{Pair, alike};
use super::side::{Reply, Request, request_with};
use crate::upstream::control::{Error, Value};

/// Whether any of these fields lives longer on one side than on the other, or is on one side only.
pub(super) async fn differ(pair: &mut Pair, key: &[u8], fields: &[Vec<u8>]) -> Result<bool, Error> {
    if !pair.fields_expire || fields.is_empty() {
        return Ok(false);
    }
    let mut request: Request = request_with("HPTTL", key);
    request.extend([b"FIELDS".to_vec(), fields.len().to_string().into_bytes()]);
    request.extend_from_slice(fields);
    let request = [request];
    let (source, target) = tokio::try_join!(
        pair.source.pipeline(&request),
        pair.target.pipeline(&request)
    )?;
    let source = times(source).map_err(|text| pair.source.refused("HPTTL", text))?;
    let target = times(target).map_err(|text| pair.target.refused("HPTTL", text))?;
    match (source, target) {
        (Times::Unheard, Times::Unheard) => {
            pair.fields_expire = false;
            Ok(false)
        }
        (Times::Unheard, Times::Of(times)) | (Times::Of(times), Times::Unheard) => {
            Ok(times.iter().any(|time| *time >= 0))
        }
        (Times::Of(source), Times::Of(target)) => {
            let tolerance = pair.ttl_tolerance;
            let same =
                |(one, other): (&i64, &i64)| match (u64::try_from(*one), u64::try_from(*other)) {
                    (Ok(one), Ok(other)) => alike(Some(one), Some(other), tolerance),
                    _ => one == other,
                };
            Ok(source.len() != target.len() || !source.iter().zip(&target).all(same))
        }
        (Times::NoHash, _) | (_, Times::NoHash) => Ok(true),
    }
}

/// What a side says.
enum Times {
    /// The server does not know the command.
    Unheard,
    /// The key is no hash any more.
    NoHash,
    /// Of each field, in milliseconds: -1 where it never expires, -2 where it is not there.
    Of(Vec<i64>),
}

fn times(replies: Vec<Reply>) -> Result<Times, String> {
    match replies.into_iter().next() {
        Some(Ok(Value::Array(times))) => Ok(Times::Of(
            times
                .into_iter()
                .map(|time| match time {
                    Value::Integer(time) => time,
                    Value::Bulk(_) | Value::Simple(_) | Value::Array(_) | Value::Null => -2,
                })
                .collect(),
        )),
        Some(Err(text)) if text.starts_with("ERR unknown command") => Ok(Times::Unheard),
        Some(Err(text)) if !text.starts_with("WRONGTYPE") => Err(text),
        Some(_) | None => Ok(Times::NoHash),
    }
}
