//! Rules about what must be alike on both sides.

use super::{Pair, Verdict};
use crate::link::functions::missing;
use crate::link::info::Info;

/// Times to live are absolute times in the stream, so a clock that is off changes when keys expire. Measured over two
/// connections one after the other, smaller differences mean nothing.
const CLOCKS_APART_MS_MAX: i128 = 1000;

/// The first RDB version that Valkey gave to a format of its own. It refuses what Redis wrote in between, from 12 on.
const RDB_OF_VALKEY: u32 = 80;

/// The newest RDB version that Redis and Valkey share.
const RDB_SHARED: u32 = 11;

pub(super) fn not_the_same_server(pair: &Pair<'_>) -> Verdict {
    match (
        pair.copied.info.text("run_id"),
        pair.filled.info.text("run_id"),
    ) {
        (Some(one), Some(other)) if one != other => {
            Verdict::ok("source and target are two servers")
        }
        (Some(_), Some(_)) => Verdict::error(
            "source and target are the same server",
            "check [source] url and [target] url",
        ),
        (None, _) | (_, None) => Verdict::error(
            "a side does not tell its run_id",
            "INFO server must be allowed on both sides",
        ),
    }
}

/// The filled side must read the copied side's snapshot.
pub(super) fn versions(pair: &Pair<'_>) -> Verdict {
    let described = format!(
        "{} is {}, {} is {}",
        pair.copied.name,
        product(&pair.copied.info),
        pair.filled.name,
        product(&pair.filled.info)
    );
    let (Some(written), Some(read)) = (
        rdb_version(&pair.copied.info),
        rdb_version(&pair.filled.info),
    ) else {
        return Verdict::warning(
            format!("{described}: whether the snapshot can be read is not known"),
            "try the pair with other servers first",
        );
    };
    if !reads(read, written) {
        return Verdict::error(
            format!(
                "{described}: it cannot read the snapshot (RDB version {written}, it knows {read})"
            ),
            "choose a target that is not older, or of the same family",
        );
    }
    Verdict::ok(described)
}

/// A rollback goes on from where the two stand, which needs no snapshot; but should it ever need one, the old server must
/// read the new one's, and it must know the commands that the application uses by then.
pub(super) fn way_back(pair: &Pair<'_>) -> Verdict {
    match (
        rdb_version(&pair.filled.info),
        rdb_version(&pair.copied.info),
    ) {
        (Some(written), Some(read)) if reads(read, written) => {
            Verdict::ok("the source can follow the target after the cutover")
        }
        (Some(_), Some(_)) | (None, _) | (_, None) => Verdict::warning(
            format!(
                "{} is older or of another family: after the cutover it follows {} only as long as no full copy is needed",
                pair.copied.name, pair.filled.name
            ),
            format!(
                "raise repl-backlog-size on {} so that a break does not need one",
                pair.filled.name
            ),
        ),
    }
}

pub(super) fn databases(pair: &Pair<'_>) -> Verdict {
    let highest = pair
        .copied
        .info
        .databases()
        .map(|(number, _)| number)
        .max()
        .unwrap_or(0);
    let room: Option<u32> = pair
        .filled
        .settings
        .get("databases")
        .and_then(|count| count.parse().ok());
    match room {
        _ if highest == 0 => Verdict::ok("only database 0 is in use"),
        Some(count) if highest < count => {
            Verdict::ok(format!("databases up to {highest} are in use"))
        }
        Some(count) => Verdict::error(
            format!(
                "database {highest} is in use, and {} has only {count}",
                pair.filled.name
            ),
            format!("set databases to {} there", highest + 1),
        ),
        None => Verdict::warning(
            format!(
                "database {highest} is in use, and {} does not tell how many it has",
                pair.filled.name
            ),
            "see that it has as many",
        ),
    }
}

pub(super) fn modules(pair: &Pair<'_>) -> Verdict {
    let Some(needed) = &pair.copied.modules else {
        return Verdict::warning(
            format!("{} does not tell its modules", pair.copied.name),
            "see that the target has every module whose types or commands are in use",
        );
    };
    let there = pair.filled.modules.as_ref();
    let mut missing: Vec<&str> = needed
        .iter()
        .filter(|name| !there.is_some_and(|modules| modules.contains(*name)))
        .map(String::as_str)
        .collect();
    missing.sort_unstable();
    if missing.is_empty() {
        return Verdict::ok("no module is missing");
    }
    let message = format!(
        "{} is not known to have the modules {}",
        pair.filled.name,
        missing.join(", ")
    );
    let what_to_do = "load them there; their keys cannot be copied otherwise";
    match there {
        Some(_) => Verdict::error(message, what_to_do),
        None => Verdict::warning(message, what_to_do),
    }
}

/// Applications that listen for keyspace events would hear nothing after the cutover.
/// Replication brings the functions along; the other server must know what a function is.
pub(super) fn functions_replicated(pair: &Pair<'_>) -> Verdict {
    match (&pair.copied.functions, &pair.filled.functions) {
        (None, _) => Verdict::ok("no functions are known"),
        (Some(copied), _) if copied.is_empty() => Verdict::ok("no functions are in use"),
        (Some(copied), Some(_)) => Verdict::ok(format!(
            "replication carries {} function libraries",
            copied.len()
        )),
        (Some(_), None) => Verdict::error(
            format!(
                "{} has functions, and {} does not tell any",
                pair.copied.name, pair.filled.name
            ),
            "choose a target that has functions (Redis 7.0, Valkey), and see that its user may call FUNCTION LIST",
        ),
    }
}

/// The replication knows only keys: libraries are loaded when writes are held.
pub(super) fn functions_loaded(pair: &Pair<'_>) -> Verdict {
    let Some(copied) = &pair.copied.functions else {
        return Verdict::ok("no functions are known");
    };
    match &pair.filled.functions {
        _ if copied.is_empty() => Verdict::ok("no functions are in use"),
        Some(filled) => match &missing(copied, filled)[..] {
            [] => Verdict::ok("the function libraries are on both sides"),
            missing => Verdict::warning(
                format!(
                    "function libraries are not on {} as they are on {}: {}",
                    pair.filled.name,
                    pair.copied.name,
                    missing.join(", ")
                ),
                "nothing: the cutover loads them there; or load them now, to see that it takes them",
            ),
        },
        None => Verdict::error(
            format!(
                "{} has functions, and {} does not tell any",
                pair.copied.name, pair.filled.name
            ),
            "see that the target has functions, and that its user may call FUNCTION LIST and FUNCTION LOAD",
        ),
    }
}

pub(super) fn keyspace_events(pair: &Pair<'_>) -> Verdict {
    let flags = |facts: &super::Facts| {
        let mut flags: Vec<char> = facts
            .settings
            .get("notify-keyspace-events")?
            .chars()
            .collect();
        flags.sort_unstable();
        Some(flags.into_iter().collect::<String>())
    };
    match (flags(pair.copied), flags(pair.filled)) {
        (Some(one), Some(other)) if one == other => Verdict::ok("the same on both sides"),
        (Some(one), Some(_)) if one.is_empty() => Verdict::ok("not in use on the copied side"),
        (Some(one), Some(other)) => Verdict::warning(
            format!(
                "notify-keyspace-events is \"{one}\" there and \"{other}\" on {}",
                pair.filled.name
            ),
            "set it alike if the application listens for keyspace events",
        ),
        (None, _) | (_, None) => Verdict::warning(
            "a side does not tell notify-keyspace-events",
            "see that it is set alike if the application listens for keyspace events",
        ),
    }
}

pub(super) fn eviction(pair: &Pair<'_>) -> Verdict {
    let policy = |facts: &super::Facts| facts.info.text("maxmemory_policy").map(str::to_owned);
    match (policy(pair.copied), policy(pair.filled)) {
        (Some(one), Some(other)) if one == other => Verdict::ok(format!("{one} on both sides")),
        (Some(one), Some(other)) => Verdict::warning(
            format!(
                "maxmemory-policy is {one} on {} and {other} on {}",
                pair.copied.name, pair.filled.name
            ),
            "set it alike, or keys go, or writes fail, that did not before",
        ),
        (None, _) | (_, None) => Verdict::warning(
            "a side does not tell its maxmemory-policy",
            "see that it is the same on both",
        ),
    }
}

pub(super) fn clocks(pair: &Pair<'_>) -> Verdict {
    let (Some(one), Some(other)) = (pair.copied.clock_ahead_ms, pair.filled.clock_ahead_ms) else {
        return Verdict::warning(
            "a side does not tell the time",
            "TIME must be allowed on both sides",
        );
    };
    let apart = (one - other).abs();
    if apart > CLOCKS_APART_MS_MAX {
        return Verdict::warning(
            format!(
                "the clocks are {apart} ms apart, and keys will expire that much too early or too late"
            ),
            "synchronise them",
        );
    }
    Verdict::ok("the clocks agree")
}

/// Major and minor.
pub(super) fn version(info: &Info, field: &str) -> Option<(u32, u32)> {
    let mut numbers = info.text(field)?.split('.').map(str::parse::<u32>);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// Whether a server of the RDB version `read` reads a snapshot of version `written`.
pub(super) fn reads(read: u32, written: u32) -> bool {
    let foreign = read >= RDB_OF_VALKEY && written > RDB_SHARED && written < RDB_OF_VALKEY;
    written <= read && !foreign
}

fn product(info: &Info) -> String {
    match (info.text("valkey_version"), info.text("redis_version")) {
        (Some(version), _) => format!("Valkey {version}"),
        (None, Some(version)) => format!("Redis {version}"),
        (None, None) => "of unknown version".to_owned(),
    }
}

/// The version of the snapshot format, by the `RDB_VERSION` in the servers' `rdb.h`. A newer server than these is taken
/// to write what the newest of its family here writes or later: the order is what counts.
pub(super) fn rdb_version(info: &Info) -> Option<u32> {
    if let Some(version) = version(info, "valkey_version") {
        return Some(if version >= (9, 0) {
            RDB_OF_VALKEY
        } else {
            RDB_SHARED
        });
    }
    Some(match version(info, "redis_version")? {
        (..=4, _) => 8,
        (5 | 6, _) => 9,
        (7, 0 | 1) => 10,
        (7, 2 | 3) => RDB_SHARED,
        (7 | 8, _) => 12,
        (major, _) => major.saturating_add(4),
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Facts, Level};
    use super::*;
    use crate::upstream::control::Value;

    fn of(text: &str) -> Facts {
        Facts {
            info: Info::from_reply(&Value::Bulk(text.replace(' ', "\r\n").into_bytes())),
            ..Facts::default()
        }
    }

    fn level(rule: fn(&Pair<'_>) -> Verdict, copied: &Facts, filled: &Facts) -> Level {
        rule(&Pair {
            copied,
            filled,
            sessions: 0,
        })
        .level
    }

    #[test]
    fn a_target_must_read_the_sources_snapshots() {
        let redis = |version| of(&format!("redis_version:{version}"));
        let valkey = |version| of(&format!("redis_version:7.2.4 valkey_version:{version}"));
        for (copied, filled, expected) in [
            (redis("7.0.15"), redis("7.0.15"), Level::Ok),
            (redis("6.2.1"), redis("7.4.0"), Level::Ok),
            (redis("7.2.0"), redis("7.0.0"), Level::Error),
            (redis("7.2.5"), valkey("8.1.0"), Level::Ok),
            (redis("7.4.0"), valkey("8.1.0"), Level::Error),
            (redis("8.2.0"), valkey("9.0.0"), Level::Error),
            (valkey("8.1.0"), valkey("9.0.0"), Level::Ok),
            (valkey("9.0.0"), redis("8.2.0"), Level::Error),
            (redis("odd"), redis("7.0.0"), Level::Warning),
        ] {
            let verdict = versions(&Pair {
                copied: &copied,
                filled: &filled,
                sessions: 0,
            });
            assert_eq!(verdict.level, expected, "{verdict:?}");
        }
    }

    #[test]
    fn an_older_source_is_warned_about_its_way_back() {
        let redis = |version| of(&format!("redis_version:{version}"));
        assert_eq!(
            level(way_back, &redis("7.0.15"), &redis("7.0.11")),
            Level::Ok
        );
        assert_eq!(
            level(way_back, &redis("7.0.15"), &redis("8.2.0")),
            Level::Warning
        );
    }

    #[test]
    fn a_server_without_a_run_id_is_not_taken_for_another() {
        let (one, other) = (of("run_id:a"), of("run_id:b"));
        assert_eq!(level(not_the_same_server, &one, &other), Level::Ok);
        assert_eq!(level(not_the_same_server, &one, &one), Level::Error);
        assert_eq!(level(not_the_same_server, &one, &of("")), Level::Error);
    }

    #[test]
    fn a_database_that_the_target_does_not_have_is_an_error() {
        let copied = of("db0:keys=1,expires=0 db9:keys=1,expires=0");
        let mut filled = of("");
        assert_eq!(level(databases, &copied, &filled), Level::Warning);
        filled.settings.insert("databases", "9".into());
        assert_eq!(level(databases, &copied, &filled), Level::Error);
        filled.settings.insert("databases", "10".into());
        assert_eq!(level(databases, &copied, &filled), Level::Ok);
    }

    #[test]
    fn a_module_that_is_missing_is_an_error() {
        let with = |names: &[&str]| Facts {
            modules: Some(names.iter().map(ToString::to_string).collect()),
            ..Facts::default()
        };
        assert_eq!(
            level(modules, &with(&["search"]), &with(&["search", "bf"])),
            Level::Ok
        );
        assert_eq!(level(modules, &with(&["search"]), &with(&[])), Level::Error);
        assert_eq!(level(modules, &with(&["search"]), &of("")), Level::Warning);
    }
}
