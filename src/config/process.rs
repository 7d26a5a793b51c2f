//! The sections about the process itself: `[proxy]`, `[state]`, `[admin]`, `[log]`.

use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use super::bind::{self, SocketMode};
use super::section::Section;
use super::tls;
use super::{Lanes, Log, LogFormat, Proxy};
use crate::admin::{self, Tokens};
use crate::net::Bind;
use crate::session::{Audit, Limits};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// What one client may make a worker hold, at the most: beyond it a limit limits nothing.
const BYTES_MAX: u64 = 16 * GIB;
/// Things counted in one place, at the most, for the same reason.
const COUNT_MAX: usize = 1_000_000;
/// More threads than this are no sidecar.
const WORKERS_MAX: usize = 64;

/// Reads `[proxy]`.
pub(super) fn read_proxy(root: &mut Section<'_>) -> Proxy {
    let mut section = root.section("proxy");
    Proxy {
        workers: section
            .number("workers", 1..=WORKERS_MAX)
            .unwrap_or_else(default_workers),
        lanes: section
            .choice("lanes", &[("auto", Lanes::Auto), ("off", Lanes::Off)])
            .unwrap_or_default(),
        lane_stall: section
            .duration(
                "lane_stall",
                Duration::from_millis(1)..=Duration::from_hours(1),
            )
            .unwrap_or(Duration::from_millis(50)),
        connect_timeout: section
            .duration(
                "connect_timeout",
                Duration::from_millis(10)..=Duration::from_mins(1),
            )
            .unwrap_or(Duration::from_secs(2)),
        drain_timeout: section
            .duration("drain_timeout", Duration::ZERO..=Duration::from_hours(1))
            .unwrap_or(Duration::from_secs(10)),
        limits: read_limits(&mut section.section("limits")),
    }
}

fn read_limits(section: &mut Section<'_>) -> Limits {
    let default = Limits::default();
    Limits {
        bulk_bytes: section
            .size("bulk_bytes", KIB..=BYTES_MAX)
            .unwrap_or(default.bulk_bytes),
        arguments: section
            .number("arguments", 16..=i32::MAX as u32)
            .unwrap_or(default.arguments),
        inline_bytes: section
            .size("inline_bytes", KIB..=GIB)
            .unwrap_or(default.inline_bytes),
        request_bytes: section
            .size("request_bytes", 64 * KIB..=BYTES_MAX)
            .unwrap_or(default.request_bytes),
        session_requests: section
            .number("session_requests", 1..=COUNT_MAX)
            .unwrap_or(default.session_requests),
        session_reply_bytes: section
            .size("session_reply_bytes", 64 * KIB..=BYTES_MAX)
            .unwrap_or(default.session_reply_bytes),
        held_bytes: section
            .size("held_bytes", MIB..=BYTES_MAX)
            .unwrap_or(default.held_bytes),
        lane_requests: section
            .number("lane_requests", 1..=COUNT_MAX)
            .unwrap_or(default.lane_requests),
        sessions: section
            .number("sessions", 1..=COUNT_MAX)
            .unwrap_or(default.sessions),
        transaction_bytes: section
            .size("transaction_bytes", 0..=BYTES_MAX)
            .unwrap_or(default.transaction_bytes),
        subscriptions: section
            .number("subscriptions", 0..=COUNT_MAX)
            .unwrap_or(default.subscriptions),
        subscription_bytes: section
            .size("subscription_bytes", 0..=BYTES_MAX)
            .unwrap_or(default.subscription_bytes),
        upstream_bytes: section
            .size("upstream_bytes", 64 * KIB..=BYTES_MAX)
            .unwrap_or(default.upstream_bytes),
        large_request_bytes: section
            .size("large_request_bytes", 16 * KIB..=BYTES_MAX)
            .unwrap_or(default.large_request_bytes),
        idle_private_connections: section
            .number("idle_private_connections", 0..=10_000)
            .unwrap_or(default.idle_private_connections),
        script_bytes: section
            .size("script_bytes", 0..=GIB)
            .unwrap_or(default.script_bytes),
        cursors: section
            .number("cursors", 0..=COUNT_MAX)
            .unwrap_or(default.cursors),
    }
}

/// One up to four cores, then a quarter of them, at most eight: a sidecar is a guest.
fn default_workers() -> usize {
    workers_for(std::thread::available_parallelism().map_or(1, NonZero::get))
}

fn workers_for(cores: usize) -> usize {
    (cores / 4).clamp(1, 8)
}

/// Reads `[state]`.
pub(super) fn read_state_dir(root: &mut Section<'_>) -> PathBuf {
    root.section("state")
        .file("dir")
        .unwrap_or_else(|| PathBuf::from("/var/lib/handover"))
}

/// Reads `[admin]`.
pub(super) fn read_admin(root: &mut Section<'_>) -> admin::Settings {
    let mut section = root.section("admin");
    let tls = tls::read_server(&mut section);
    let has_token = section.has("token_file");
    let tokens = read_tokens(&mut section);
    let hosts = section.parsed(
        "hosts",
        r#"must be names without ports, such as ["handover.example"]"#,
        host_names,
    );
    let bind = bind::read(&mut section, SocketMode::Owner).unwrap_or_else(|| {
        Bind::Tcp(std::net::SocketAddr::from((
            std::net::Ipv4Addr::LOCALHOST,
            9600,
        )))
    });
    if let Bind::Tcp(address) = bind
        && !address.ip().is_loopback()
        && !has_token
    {
        section.mistake(
            "token_file",
            format!("is missing: {address} can be reached from elsewhere, so acting needs a token"),
        );
    }
    admin::Settings {
        bind,
        tls,
        tokens,
        hosts: hosts.unwrap_or_default(),
    }
}

fn read_tokens(section: &mut Section<'_>) -> Tokens {
    let has_acting = section.has("token_file");
    let acting = section.secret("token_file");
    let reading = section.secret("read_token_file");
    match (acting, reading) {
        (Some(acting), Some(reading)) => {
            if acting == reading {
                section.mistake(
                    "read_token_file",
                    "must hold another token than token_file: this one would act",
                );
            }
            Tokens::Both { acting, reading }
        }
        (Some(acting), None) => Tokens::Acting(acting),
        (None, Some(_)) if !has_acting => {
            section.mistake(
                "token_file",
                "is missing: where looking needs a token, acting needs one of its own",
            );
            Tokens::None
        }
        (None, _) => Tokens::None,
    }
}

fn host_names(value: &toml::Value) -> Option<Vec<String>> {
    let names = value.as_array()?.iter().map(|name| {
        let name = name.as_str()?;
        let is_name =
            !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || "/:@".contains(c));
        is_name.then(|| name.to_owned())
    });
    names.collect()
}

/// Reads `[log]`, and what of it concerns the audit log.
pub(super) fn read_log(root: &mut Section<'_>) -> (Log, Audit) {
    use tracing::Level;
    let mut section = root.section("log");
    let levels = [
        ("error", Level::ERROR),
        ("warn", Level::WARN),
        ("info", Level::INFO),
        ("debug", Level::DEBUG),
        ("trace", Level::TRACE),
    ];
    let redact_keys = section.flag("redact_keys").unwrap_or_default();
    let log = Log {
        format: section
            .choice(
                "format",
                &[("text", LogFormat::Text), ("json", LogFormat::Json)],
            )
            .unwrap_or_default(),
        level: section.choice("level", &levels).unwrap_or(Level::INFO),
        redact_keys,
    };
    let lines_per_second = section
        .number("audit_lines_per_second", 0..=100_000)
        .unwrap_or(10);
    (
        log,
        Audit {
            redact_keys,
            lines_per_second,
        },
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_sidecar_takes_a_quarter_of_the_cores_and_at_most_eight() {
        let workers: Vec<_> = [1, 2, 4, 7, 8, 16, 32, 128]
            .map(super::workers_for)
            .to_vec();
        assert_eq!(workers, [1, 1, 1, 1, 2, 4, 8, 8]);
    }
}
