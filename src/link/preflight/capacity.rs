//! Rules about room: memory, connections, and the buffers that a full copy needs while writes go on.

use super::{Pair, Verdict};
use crate::link::info::Info;

/// How fast a snapshot is taken to travel when the time of a full copy is estimated: what a slow disk or a busy network
/// gives. A faster one only makes the estimate careful.
const COPY_BYTES_PER_SECOND: u64 = 50 << 20;

/// How long a break of the link is to cost no full copy.
const BREAK_SECONDS: u64 = 10;

/// The filled side needs this much more than the copied side uses, in percent: fragmentation and buffers.
const MEMORY_MARGIN_PERCENT: u64 = 10;

/// Connections kept free for people, replicas and control work.
const SPARE_CLIENTS: u64 = 32;

pub(super) fn memory(pair: &Pair<'_>) -> Verdict {
    let Some(used) = pair.copied.info.number::<u64>("used_memory") else {
        return Verdict::warning(
            format!("{} does not tell how much memory it uses", pair.copied.name),
            "see that the target has room",
        );
    };
    let needed = used.saturating_add(used / 100 * MEMORY_MARGIN_PERCENT);
    let filled = &pair.filled.info;
    let limit = filled.number::<u64>("maxmemory").filter(|limit| *limit > 0);
    let machine = filled.number::<u64>("total_system_memory");
    let what_to_do = format!("give {} room for {needed} bytes", pair.filled.name);
    match (limit, machine) {
        (Some(limit), _) if limit < needed => Verdict::error(
            format!(
                "maxmemory of {} is {limit} bytes, and {needed} are needed",
                pair.filled.name
            ),
            what_to_do,
        ),
        (None, Some(machine)) if machine < needed => Verdict::error(
            format!(
                "the machine of {} has {machine} bytes, and {needed} are needed",
                pair.filled.name
            ),
            what_to_do,
        ),
        (None, None) => Verdict::warning(
            format!("{} does not tell how much memory it has", pair.filled.name),
            what_to_do,
        ),
        (Some(_), _) | (None, Some(_)) => Verdict::ok(format!("room for {needed} bytes")),
    }
}

pub(super) fn maxclients(pair: &Pair<'_>) -> Verdict {
    let filled = &pair.filled.info;
    let (Some(limit), Some(connected)) = (
        filled.number::<u64>("maxclients"),
        filled.number::<u64>("connected_clients"),
    ) else {
        return Verdict::warning(
            format!("{} does not tell its maxclients", pair.filled.name),
            format!("see that it takes {} connections more", pair.sessions),
        );
    };
    let needed = connected + pair.sessions + SPARE_CLIENTS;
    if limit < needed {
        return Verdict::error(
            format!(
                "maxclients of {} is {limit}, and {needed} may be needed",
                pair.filled.name
            ),
            format!("raise maxclients to {needed} or more"),
        );
    }
    Verdict::ok(format!(
        "{limit} connections allowed, {needed} may be needed"
    ))
}

/// Writes that come during a full copy wait in the output buffer for the replica; past its limit the copied side drops
/// the link and the copy begins again, without end.
pub(super) fn output_buffer(pair: &Pair<'_>) -> Verdict {
    let copied = &pair.copied.info;
    let setting = pair.copied.settings.get("client-output-buffer-limit");
    let (Some(limits), Some(rate), Some(used)) = (
        setting.and_then(|text| BufferLimits::of_replicas(text)),
        write_bytes_per_second_max(copied),
        copied.number::<u64>("used_memory"),
    ) else {
        return Verdict::warning(
            format!(
                "{} does not tell its client-output-buffer-limit or its load",
                pair.copied.name
            ),
            "see that the limit for replicas holds the writes of a full copy",
        );
    };
    let seconds = used / COPY_BYTES_PER_SECOND + 1;
    let waiting = rate.saturating_mul(seconds);
    if limits.allow(waiting, seconds) {
        return Verdict::ok(format!(
            "a full copy of about {seconds} s lets at most {waiting} bytes wait, within the limit"
        ));
    }
    Verdict::warning(
        format!(
            "during a full copy of about {seconds} s up to {waiting} bytes may wait at {rate} bytes a second, above \
             client-output-buffer-limit: the copy would begin again without end"
        ),
        format!(
            "CONFIG SET client-output-buffer-limit \"replica {0} {0} 60\" on {1}",
            waiting * 2,
            pair.copied.name
        ),
    )
}

/// What the backlog does not hold, a break of the link costs a full copy for.
pub(super) fn backlog(pair: &Pair<'_>) -> Verdict {
    let size: Option<u64> = pair
        .copied
        .settings
        .get("repl-backlog-size")
        .and_then(|text| text.parse().ok());
    let (Some(size), Some(rate)) = (size, write_bytes_per_second_max(&pair.copied.info)) else {
        return Verdict::warning(
            format!(
                "{} does not tell its repl-backlog-size or its load",
                pair.copied.name
            ),
            format!("see that it holds the writes of {BREAK_SECONDS} s"),
        );
    };
    let needed = rate.saturating_mul(BREAK_SECONDS);
    if size < needed {
        return Verdict::warning(
            format!(
                "repl-backlog-size is {size} bytes; a break of {BREAK_SECONDS} s may need {needed}"
            ),
            format!(
                "CONFIG SET repl-backlog-size {needed} on {}",
                pair.copied.name
            ),
        );
    }
    Verdict::ok(format!("{size} bytes hold a break of {BREAK_SECONDS} s"))
}

/// All that comes in, reads' requests too: a server without a replica does not count its stream, so this is the bound.
fn write_bytes_per_second_max(info: &Info) -> Option<u64> {
    let kilobytes: f64 = info.number("instantaneous_input_kbps")?;
    #[allow(clippy::cast_sign_loss)] // a rate; a negative one becomes zero
    Some((kilobytes * 1024.0) as u64)
}

/// The limits of one class of clients; zero is no limit.
#[derive(Debug, PartialEq, Eq)]
struct BufferLimits {
    hard_bytes: u64,
    soft_bytes: u64,
    soft_seconds: u64,
}

impl BufferLimits {
    /// Reads `normal 0 0 0 slave 268435456 67108864 60 pubsub …`.
    fn of_replicas(setting: &str) -> Option<BufferLimits> {
        let mut words = setting
            .split_whitespace()
            .skip_while(|word| !matches!(*word, "slave" | "replica"))
            .skip(1);
        let mut number = || words.next()?.parse().ok();
        Some(BufferLimits {
            hard_bytes: number()?,
            soft_bytes: number()?,
            soft_seconds: number()?,
        })
    }

    /// Whether `bytes` may wait, gathered evenly over `seconds`.
    fn allow(&self, bytes: u64, seconds: u64) -> bool {
        let hard = self.hard_bytes == 0 || bytes <= self.hard_bytes;
        let soft = self.soft_bytes == 0 || bytes <= self.soft_bytes || seconds <= self.soft_seconds;
        hard && soft
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Facts, Level};
    use super::*;
    use crate::upstream::control::Value;

    fn of(text: &str, settings: &[(&'static str, &str)]) -> Facts {
        Facts {
            info: Info::from_reply(&Value::Bulk(text.replace(' ', "\r\n").into_bytes())),
            settings: settings
                .iter()
                .map(|(name, value)| (*name, (*value).to_owned()))
                .collect(),
            ..Facts::default()
        }
    }

    fn level(rule: fn(&Pair<'_>) -> Verdict, copied: &Facts, filled: &Facts) -> Level {
        rule(&Pair {
            copied,
            filled,
            sessions: 100,
        })
        .level
    }

    #[test]
    fn a_target_needs_more_memory_than_the_source_uses() {
        let copied = of("used_memory:1000", &[]);
        let filled = |text| of(text, &[]);
        assert_eq!(
            level(memory, &copied, &filled("maxmemory:1099")),
            Level::Error
        );
        assert_eq!(level(memory, &copied, &filled("maxmemory:1100")), Level::Ok);
        assert_eq!(
            level(
                memory,
                &copied,
                &filled("maxmemory:0 total_system_memory:500")
            ),
            Level::Error
        );
        assert_eq!(
            level(memory, &copied, &filled("maxmemory:0")),
            Level::Warning
        );
    }

    #[test]
    fn a_target_takes_the_sessions_and_some_more() {
        let filled = |limit| of(&format!("maxclients:{limit} connected_clients:2"), &[]);
        assert_eq!(level(maxclients, &of("", &[]), &filled(133)), Level::Error);
        assert_eq!(level(maxclients, &of("", &[]), &filled(134)), Level::Ok);
    }

    #[test]
    fn buffers_are_judged_by_the_write_rate() {
        let limit = "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60";
        let settings = [
            ("client-output-buffer-limit", limit),
            ("repl-backlog-size", "1048576"),
        ];
        let idle = of("used_memory:1000 instantaneous_input_kbps:0.05", &settings);
        let busy = of(
            "used_memory:10000000000 instantaneous_input_kbps:20000.5",
            &settings,
        );
        let any = of("", &[]);
        assert_eq!(level(output_buffer, &idle, &any), Level::Ok);
        assert_eq!(level(output_buffer, &busy, &any), Level::Warning);
        assert_eq!(level(backlog, &idle, &any), Level::Ok);
        assert_eq!(level(backlog, &busy, &any), Level::Warning);
        assert_eq!(level(backlog, &any, &any), Level::Warning);
    }

    #[test]
    fn a_limit_of_zero_is_none() {
        let limits = BufferLimits::of_replicas("replica 0 0 0").expect("limits");
        assert!(limits.allow(u64::MAX, u64::MAX));
        assert_eq!(BufferLimits::of_replicas("normal 0 0 0"), None);
    }
}
