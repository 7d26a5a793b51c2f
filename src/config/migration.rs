//! The sections about the migration: `[link]`, `[cutover]` and `[verify]`.

use std::num::NonZero;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::enterprise;
use super::section::{Section, flag};
use crate::cutover::{Bounds, Marker};
use crate::link;
use crate::traffic::Accepted;
use crate::verify;

/// A pause that is shorter cannot be kept, and one that is longer is no pause.
const MAX_PAUSE: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_mins(1);
/// The bounds that people wait for.
const MINUTES: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_mins(10);
/// The bounds that may be switched off.
const HOURS: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_hours(24);
/// Bytes of lag, at the most: a larger backlog is not "behind", it is a copy.
const LAG_BYTES_MAX: u64 = 1 << 40;
/// More than any server answers.
const RATE_MAX: u64 = 1_000_000_000;
/// Keys that may be held in memory because they differ.
const DIFFERENCES_MAX: usize = 10_000_000;

/// `max_pause` where a cluster's REST API ends the replication: a change of a database takes it seconds.
const MAX_PAUSE_OF_A_CLUSTER: Duration = Duration::from_secs(15);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Driver {
    ReplicaOf,
    Enterprise,
    External,
}

/// Reads `[link]`; none where the section of its driver is wrong.
pub(super) fn read_link(root: &mut Section<'_>) -> Option<link::Settings> {
    let mut section = root.section("link");
    section.later_values("driver", &["builtin"]);
    let drivers = [
        ("replicaof", Driver::ReplicaOf),
        ("enterprise", Driver::Enterprise),
        ("external", Driver::External),
    ];
    let driver = section
        .choice("driver", &drivers)
        .unwrap_or(Driver::ReplicaOf);
    let detach_hook = section.command("detach_hook");
    if detach_hook.is_some() && driver != Driver::External {
        section.mistake(
            "detach_hook",
            r#"has no effect with this driver: only "external" needs one"#,
        );
    }
    if section.has("enterprise") && driver != Driver::Enterprise {
        section.mistake(
            "enterprise",
            r#"has no effect with this driver: set driver = "enterprise""#,
        );
        section.skip("enterprise");
    }
    match driver {
        Driver::External => Some(link::Settings::External { detach_hook }),
        Driver::Enterprise => {
            let settings = enterprise::read(&mut section)?;
            Some(link::Settings::Enterprise(Box::new(settings)))
        }
        Driver::ReplicaOf => Some(link::Settings::ReplicaOf),
    }
}

/// Reads `[cutover]`, whose defaults depend on the link.
pub(super) fn read_bounds(root: &mut Section<'_>, link: Option<&link::Settings>) -> Bounds {
    let mut section = root.section("cutover");
    let mut default = Bounds::default();
    if let Some(link::Settings::Enterprise(_)) = link {
        default.max_pause = MAX_PAUSE_OF_A_CLUSTER;
    }
    let marker = section.parsed(
        "marker",
        r#"must be "auto", true or false"#,
        |value| match (value.as_str(), flag(value)) {
            (Some("auto"), _) => Some(Marker::Auto),
            (_, Some(true)) => Some(Marker::Always),
            (_, Some(false)) => Some(Marker::Never),
            (_, None) => None,
        },
    );
    let accept_findings = section.checked("accept_findings", |value| {
        let names = value
            .as_array()
            .map(|names| names.iter().map(toml::Value::as_str));
        let names: Option<Vec<&str>> = names.and_then(Iterator::collect);
        names
            .ok_or_else(|| "must be names of findings, such as [\"several_slots:DEL\"]".to_owned())
            .and_then(|names| Accepted::parse(names).map_err(|wrong| wrong.to_string()))
    });
    Bounds {
        max_pause: section
            .duration("max_pause", MAX_PAUSE)
            .unwrap_or(default.max_pause),
        max_lag: section
            .duration("max_lag", MINUTES)
            .unwrap_or(default.max_lag),
        max_lag_bytes: section
            .size("max_lag_bytes", 0..=LAG_BYTES_MAX)
            .unwrap_or(default.max_lag_bytes),
        stable_for: section
            .duration("stable_for", HOURS)
            .unwrap_or(default.stable_for),
        hold_below_bytes: section
            .size("hold_below_bytes", 0..=LAG_BYTES_MAX)
            .unwrap_or(default.hold_below_bytes),
        arm_timeout: section
            .duration("arm_timeout", MINUTES)
            .unwrap_or(default.arm_timeout),
        min_interval: section
            .duration("min_interval", HOURS)
            .unwrap_or(default.min_interval),
        auto: section.flag("auto").unwrap_or(default.auto),
        marker: marker.unwrap_or(default.marker),
        scan_grace: section
            .duration("scan_grace", HOURS)
            .unwrap_or(default.scan_grace),
        reverse: section.flag("reverse").unwrap_or(default.reverse),
        accept_findings: accept_findings.unwrap_or_default(),
    }
}

/// Reads `[verify]`.
pub(super) fn read_comparison(root: &mut Section<'_>) -> verify::Options {
    let mut section = root.section("verify");
    let default = verify::Options::default();
    verify::Options {
        sample: None,
        rate: section
            .number("rate", 0..=RATE_MAX)
            .map_or(default.rate, NonZero::new),
        rounds: section.number("rounds", 1..=100).unwrap_or(default.rounds),
        pause: section.duration("pause", HOURS).unwrap_or(default.pause),
        ttl_tolerance: section
            .duration("ttl_tolerance", HOURS)
            .unwrap_or(default.ttl_tolerance),
        remembered_max: section
            .number("remembered", 1..=DIFFERENCES_MAX)
            .unwrap_or(default.remembered_max),
        named_max: section
            .number("named", 0..=100_000)
            .unwrap_or(default.named_max),
    }
}
