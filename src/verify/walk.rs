//! The ways through the keys of one database.

use std::collections::HashSet;

use super::large::scanned;
use super::side::{Request, Side, request};
use crate::terms::OWN_KEYS;
use crate::upstream::control::{Error, Value};

/// Keys of a batch: large enough to hide the way to the server, small enough that others are served in between.
pub(super) const BATCH_KEYS: usize = 64;

/// A way through the keys of one database.
pub(super) enum Walk {
    /// By SCAN, from this cursor.
    All { cursor: Vec<u8>, ended: bool },
    /// By RANDOMKEY, this often still.
    Sample { left: u64 },
}

impl Walk {
    /// A sample is spread evenly over the databases.
    pub(super) fn new(sample: Option<u64>, databases: u64) -> Walk {
        match sample {
            None => Walk::All {
                cursor: b"0".to_vec(),
                ended: false,
            },
            Some(keys) => Walk::Sample {
                left: keys.div_ceil(databases),
            },
        }
    }

    /// The next keys, each once, without Handover's own; none at the end.
    pub(super) async fn next(&mut self, side: &mut Side) -> Result<Option<Vec<Vec<u8>>>, Error> {
        match self {
            Walk::All { ended: true, .. } | Walk::Sample { left: 0 } => Ok(None),
            Walk::All { cursor, ended } => {
                let count = BATCH_KEYS.to_string();
                let reply = side
                    .call(&[b"SCAN", cursor, b"COUNT", count.as_bytes()])
                    .await?;
                let Some((next, mut keys)) = scanned(reply) else {
                    return Err(side.unexpected("SCAN"));
                };
                *ended = next == b"0";
                *cursor = next;
                keys.retain(|key| !key.starts_with(OWN_KEYS.as_bytes()));
                Ok(Some(keys))
            }
            Walk::Sample { left } => {
                let draws = (*left).min(BATCH_KEYS as u64);
                *left -= draws;
                let requests: Vec<Request> = (0..draws).map(|_| request("RANDOMKEY")).collect();
                let mut keys = HashSet::new();
                for reply in side.pipeline(&requests).await? {
                    match reply {
                        Ok(Value::Bulk(key)) if key.starts_with(OWN_KEYS.as_bytes()) => {}
                        Ok(Value::Bulk(key)) => {
                            keys.insert(key);
                        }
                        // The database is empty.
                        Ok(Value::Null) => {}
                        Ok(Value::Simple(_) | Value::Integer(_) | Value::Array(_)) => {
                            return Err(side.unexpected("RANDOMKEY"));
                        }
                        Err(text) => return Err(side.refused("RANDOMKEY", text)),
                    }
                }
                Ok(Some(keys.into_iter().collect()))
            }
        }
    }
}
