//! What is counted and timed. Each worker counts into a [`Shard`] of its own, without contention; a scrape merges them
//! into the Prometheus text format. The control side, which has no shard, states its values in [`ControlMetrics`].
//!
//! Refuses to know: HTTP, who reads it, what the numbers mean to a cutover.

mod cell;
mod control;
mod histogram;
mod labels;
mod registry;
mod render;
mod shard;
mod traffic;

pub use control::{ALARMS, ControlMetrics, ControlValues, LINK_PHASES, PHASES};
pub use labels::{
    ClassLabel, ClientError, CutoverOutcome, Direction, FindingSeverity, UpstreamError,
};
pub use registry::{Registry, SessionCounts};
pub use shard::{Gauge, Shard};
pub use traffic::{RefusedCommand, Traffic};

#[cfg(test)]
mod tests;
