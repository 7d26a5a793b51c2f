//! Waits until the side that follows has what the other one has now. Where the servers tell their positions they are
//! believed; elsewhere a fixed time has to do.

use std::time::{Duration, Instant};

use super::batch::Pair;
use super::side::Side;
use crate::upstream::control::{Error, Value};

/// A side that is further behind than this says so in the summary.
const LIMIT: Duration = Duration::from_secs(10);

/// The first wait between two looks at the position; each further one is twice as long, up to the last.
const LOOK_FIRST: Duration = Duration::from_millis(1);
const LOOK_LAST: Duration = Duration::from_millis(64);

/// Whether the side that follows has everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CaughtUp {
    /// All that there was on the other when this was asked.
    Yes,
    /// Not within the limit.
    No,
    /// The servers do not tell.
    Unknown,
}

impl CaughtUp {
    /// Of two, what can be said of both.
    pub(super) fn and(self, other: CaughtUp) -> CaughtUp {
        match (self, other) {
            (CaughtUp::No, _) | (_, CaughtUp::No) => CaughtUp::No,
            (CaughtUp::Unknown, _) | (_, CaughtUp::Unknown) => CaughtUp::Unknown,
            (CaughtUp::Yes, CaughtUp::Yes) => CaughtUp::Yes,
        }
    }
}

/// What a server says about its place in replication.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    replica: bool,
    history: String,
    /// Bytes of the history: written by a master, applied by a replica.
    offset: u64,
}

/// Waits; `pause` where the positions tell nothing.
pub(super) async fn settle(pair: &mut Pair, pause: Duration) -> Result<CaughtUp, Error> {
    let Some(goal) = place(&mut pair.source).await? else {
        tokio::time::sleep(pause).await;
        return Ok(CaughtUp::Unknown);
    };
    let end = Instant::now() + LIMIT;
    let mut wait = LOOK_FIRST;
    loop {
        match place(&mut pair.target).await? {
            Some(seen) if seen.replica && seen.history == goal.history => {
                if seen.offset >= goal.offset {
                    return Ok(CaughtUp::Yes);
                }
            }
            Some(_) | None => {
                tokio::time::sleep(pause).await;
                return Ok(CaughtUp::Unknown);
            }
        }
        if Instant::now() >= end {
            return Ok(CaughtUp::No);
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LOOK_LAST);
    }
}

/// None where the server does not tell, or may not be asked.
async fn place(side: &mut Side) -> Result<Option<Place>, Error> {
    match side.call(&[b"INFO", b"replication"]).await {
        Ok(Value::Bulk(text)) => Ok(read(&String::from_utf8_lossy(&text))),
        Ok(Value::Simple(_) | Value::Integer(_) | Value::Array(_) | Value::Null)
        | Err(Error::Refused { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn read(info: &str) -> Option<Place> {
    let field = |name: &str| {
        info.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .map(str::trim_end)
    };
    let replica = field("role")? == "slave";
    let offset = if replica {
        "slave_repl_offset"
    } else {
        "master_repl_offset"
    };
    Some(Place {
        replica,
        history: field("master_replid")?.to_owned(),
        offset: field(offset)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_only_where_it_is_whole() {
        let master = "role:master\r\nmaster_replid:abc\r\nmaster_repl_offset:12\r\n";
        let place = |replica, offset| Place {
            replica,
            history: "abc".to_owned(),
            offset,
        };
        assert_eq!(read(master), Some(place(false, 12)));
        let replica =
            "role:slave\r\nslave_repl_offset:9\r\nmaster_replid:abc\r\nmaster_repl_offset:12\r\n";
        assert_eq!(read(replica), Some(place(true, 9)));
        assert_eq!(read("role:master\r\nmaster_repl_offset:12\r\n"), None);
        assert_eq!(read(""), None);
    }
}
