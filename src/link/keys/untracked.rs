//! Changes that a server does not tell of, seen in its counters of commands: what consumer groups do to a stream, and
//! databases that change places.
//!
//! A server that does not show the counters is taken to have changed.

use crate::link::connection::Connection;
use crate::link::info::Info;
use crate::upstream::control::Error;

/// Commands after which a stream differs though none of its entries does; subcommands are counted as `xgroup|create`.
const GROUP_COMMANDS: [&str; 6] = [
    "xack",
    "xautoclaim",
    "xclaim",
    "xgroup",
    "xreadgroup",
    "xsetid",
];

/// How often they have run since the server started; none where it does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counters {
    groups: Option<u64>,
    swaps: Option<u64>,
}

impl Counters {
    /// Reads them.
    pub(super) async fn read(connection: &mut Connection) -> Result<Counters, Error> {
        let reply = connection.call(&["INFO", "commandstats"]).await?;
        Ok(Counters::of(&Info::from_reply(&reply)))
    }

    fn of(statistics: &Info) -> Counters {
        let mut told = false;
        let (mut groups, mut swaps) = (0, 0);
        for (command, counters) in statistics.with_prefix("cmdstat_") {
            told = true;
            let calls = counters
                .split(',')
                .find_map(|pair| pair.strip_prefix("calls="))
                .and_then(|calls| calls.parse::<u64>().ok())
                .unwrap_or(0);
            let name = command.split('|').next().unwrap_or(command);
            if GROUP_COMMANDS.contains(&name) {
                groups += calls;
            } else if name == "swapdb" {
                swaps += calls;
            }
        }
        Counters {
            groups: told.then_some(groups),
            swaps: told.then_some(swaps),
        }
    }

    /// Whether a consumer group may have done something between these and `later`.
    pub(super) fn groups_worked(&self, later: &Counters) -> bool {
        later.groups.is_none() || self.groups != later.groups
    }

    /// Whether databases have changed places between these and `later`. Where that cannot be known there is one database
    /// only: servers without these counters are managed ones, which have no SWAPDB.
    pub(super) fn swapped(&self, later: &Counters) -> bool {
        self.swaps != later.swaps
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::control::Value;

    fn of(text: &str) -> Counters {
        Counters::of(&Info::from_reply(&Value::Bulk(text.as_bytes().to_vec())))
    }

    #[test]
    fn work_of_groups_and_swaps_are_told_from_other_commands() {
        let before = of("cmdstat_xadd:calls=1,usec=1\r\ncmdstat_xack:calls=1,usec=9");
        let others = of("cmdstat_xadd:calls=5,usec=1\r\ncmdstat_xack:calls=1,usec=12");
        assert!(!before.groups_worked(&others) && !before.swapped(&others));
        let created = of("cmdstat_xgroup|create:calls=1,usec=1\r\ncmdstat_xack:calls=1,usec=1");
        assert!(before.groups_worked(&created));
        assert!(before.swapped(&of("cmdstat_swapdb:calls=1,usec=1")));
    }

    #[test]
    fn a_server_that_does_not_tell_may_have_changed() {
        assert!(of("").groups_worked(&of("")));
        assert!(!of("").swapped(&of("")));
    }
}
