//! What belongs to a stream beside its entries: the last id it gave, its consumer groups, what is pending.

use super::side::{Reply, Request, Side, request_with};
use crate::upstream::control::{Error, Value};

/// Of a group, what it has in common with its copy; counters that servers estimate differ.
const OF_A_GROUP: [&[u8]; 3] = [b"name", b"pending", b"last-delivered-id"];
/// Of the stream itself.
const OF_A_STREAM: [&[u8]; 1] = [b"last-generated-id"];

/// The state of each stream in comparable form; none where the key is no stream, or not any more.
pub(super) async fn states(
    side: &mut Side,
    keys: &[&[u8]],
) -> Result<Vec<Option<Vec<Value>>>, Error> {
    let requests: Vec<Request> = keys
        .iter()
        .flat_map(|key| {
            [
                request_with("XINFO STREAM", key),
                request_with("XINFO GROUPS", key),
            ]
        })
        .collect();
    let replies = side.pipeline(&requests).await?;
    let mut states: Vec<Option<Vec<Value>>> = replies.chunks_exact(2).map(state).collect();

    let pending: Vec<(usize, Request)> = keys
        .iter()
        .zip(&states)
        .enumerate()
        .flat_map(|(at, (key, state))| {
            let names = state.iter().flatten().filter_map(group_name);
            names.map(move |name| {
                let mut request = request_with("XPENDING", key);
                request.push(name.to_vec());
                (at, request)
            })
        })
        .collect();
    let requests: Vec<Request> = pending.iter().map(|(_, request)| request.clone()).collect();
    for ((at, _), reply) in pending.iter().zip(side.pipeline(&requests).await?) {
        states[*at] = states[*at].take().and_then(|mut state| {
            state.push(reply.ok()?);
            Some(state)
        });
    }
    Ok(states)
}

fn state(replies: &[Reply]) -> Option<Vec<Value>> {
    let [Ok(stream), Ok(Value::Array(groups))] = replies else {
        return None;
    };
    let mut state = vec![fields(stream, &OF_A_STREAM)];
    state.extend(groups.iter().map(|group| fields(group, &OF_A_GROUP)));
    Some(state)
}

/// These fields of a flattened map, with their values.
fn fields(map: &Value, wanted: &[&[u8]]) -> Value {
    let Value::Array(parts) = map else {
        return Value::Null;
    };
    let pairs = parts
        .chunks_exact(2)
        .filter(|pair| matches!(&pair[0], Value::Bulk(name) if wanted.contains(&name.as_slice())));
    Value::Array(pairs.flatten().cloned().collect())
}

fn group_name(state: &Value) -> Option<&[u8]> {
    match state {
        Value::Array(parts) => match parts.as_slice() {
            [Value::Bulk(field), Value::Bulk(name), ..] if field == b"name" => Some(name),
            _ => None,
        },
        Value::Bulk(_) | Value::Simple(_) | Value::Integer(_) | Value::Null => None,
    }
}
