//! Probes: marker keys that are written all the time and looked for on the other side, so that their age tells how far it is
//! behind, whatever replicates.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Direction;
use super::connection::Connections;
use super::marker::{self, PROBE_KEY};
use crate::upstream::control;

/// How many are remembered: at a look each 100 ms they cover a lag of some seconds, and where the lag is longer the answer
/// is "unknown", which is never "go".
const PROBES_MAX: usize = 64;

/// What has been written.
#[derive(Debug)]
pub(super) struct Probes {
    /// Their values, with the time before which each was written: the oldest first.
    written: VecDeque<(String, Instant)>,
    /// Number of the next one.
    next: u64,
    /// Keeps those of an earlier run apart from ours.
    run: String,
}

impl Probes {
    pub(super) fn new(run: String) -> Probes {
        Probes {
            written: VecDeque::new(),
            next: 0,
            run,
        }
    }

    /// Writes one and reads what has arrived. The lag is the age of the newest that has, or zero where it is the one just
    /// written: everything written before that moment is there. None where none of ours has.
    pub(super) async fn lag(
        &mut self,
        connections: &mut Connections,
        direction: Direction,
    ) -> Result<Option<Duration>, control::Error> {
        let value = format!("{}:{}", self.run, self.next);
        self.next += 1;
        if self.written.len() == PROBES_MAX {
            self.written.pop_front();
        }
        self.written.push_back((value.clone(), Instant::now()));
        marker::write(connections, direction, PROBE_KEY, &value).await?;
        let Some(arrived) = marker::read(connections, direction, PROBE_KEY).await? else {
            return Ok(None);
        };
        if arrived == value {
            return Ok(Some(Duration::ZERO));
        }
        let known = self.written.iter().find(|(value, _)| *value == arrived);
        Ok(known.map(|(_, written)| written.elapsed()))
    }
}
