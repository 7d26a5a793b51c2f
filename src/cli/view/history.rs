//! `GET /v1/history`: the last ten minutes, for who looks only once something is going on.

use serde::Deserialize;

use super::Status;

/// What the sidecar remembers.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::cli) struct History {
    /// The oldest first, one a second.
    pub(in crate::cli) samples: Vec<Sample>,
}

/// How it stood at one moment; counts are those since the start of the sidecar.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(in crate::cli) struct Sample {
    /// Milliseconds since 1970, by the sidecar's clock.
    pub(in crate::cli) at_unix_ms: u64,
    pub(in crate::cli) lag_bytes: Option<u64>,
    pub(in crate::cli) lag_ms: Option<u64>,
    pub(in crate::cli) bytes_done: Option<u64>,
    /// Requests sent to the source.
    pub(in crate::cli) source: u64,
    /// Requests sent to the target.
    pub(in crate::cli) target: u64,
    /// Writes refused.
    pub(in crate::cli) refused: u64,
}

impl Sample {
    /// What a status says, at that time.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a lag is no negative number
    pub(in crate::cli) fn of(status: &Status, at_unix_ms: u64) -> Sample {
        Sample {
            at_unix_ms,
            lag_bytes: status.link.lag_bytes,
            lag_ms: status.link.lag_ms.map(|ms| ms as u64),
            bytes_done: status.link.bytes_done,
            source: status.traffic.source.values().sum(),
            target: status.traffic.target.values().sum(),
            refused: status.traffic.refused.iter().map(|it| it.count).sum(),
        }
    }
}
