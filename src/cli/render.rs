//! Documents as prose. Pure: a document in, a text out.

mod comparison;
mod findings;

use std::fmt::Write;

pub(super) use comparison::{in_a_line as comparison_line, summary, verify_progress};
pub(super) use findings::report;

use super::view::{Outcome, Preflight, Status, reason_text};

/// The width of the names on the left.
const LABEL_WIDTH: usize = 14;

/// `status`, in some ten lines.
pub(super) fn status(status: &Status) -> String {
    let mut page = Page::default();
    page.line("phase", &status.phase);
    page.line("active side", &status.active_side);
    page.line(
        "cutover",
        if status.can_cut_over {
            "possible"
        } else {
            "not possible now"
        },
    );
    for reason in &status.reasons {
        page.line("", &format!("- {}", reason_text(reason)));
    }
    page.line(
        "rollback",
        if status.can_roll_back {
            "possible"
        } else {
            "not possible now"
        },
    );
    let link = &status.link;
    page.line(
        "link",
        &format!(
            "{}, {}, {}",
            link.driver,
            link.phase,
            behind(link.lag_bytes, link.lag_ms)
        ),
    );
    if let Some(error) = &link.last_error {
        page.line("", &format!("last error: {error}"));
    }
    if let Some(waiting_for) = &link.waiting_for {
        page.line("", &format!("waiting for {waiting_for}"));
    }
    if status.phase == "syncing" {
        page.line("copied", &copied(link.bytes_done, link.bytes_total));
    }
    let sessions = &status.sessions;
    page.line(
        "sessions",
        &format!(
            "{} open, {} private connections, {} blocked, {} in a transaction, {} subscribed",
            sessions.open,
            sessions.private,
            sessions.blocked,
            sessions.in_transaction,
            sessions.subscribed
        ),
    );
    if let Some(last) = &status.last_cutover {
        page.line("last cutover", &format!("{}{}", last.outcome, pauses(last)));
        for reason in &last.reasons {
            page.line("", &format!("- {}", reason_text(reason)));
        }
    }
    if let Some(verify) = &status.verify {
        page.line("comparison", &comparison_line(verify));
    }
    for alarm in &status.alarms {
        page.line("alarm", &reason_text(alarm));
    }
    page.line("next", next_step(status));
    page.0
}

/// `status` in one line, for a log; without what changes all the time.
pub(super) fn status_line(status: &Status) -> String {
    let cutover = if status.can_cut_over {
        "cutover possible"
    } else {
        "cutover not possible"
    };
    let mut line = format!(
        "{}, {} is active, link {}, {cutover}",
        status.phase, status.active_side, status.link.phase
    );
    for reason in status.reasons.iter().chain(&status.alarms) {
        let _ = write!(line, "; {}", reason_text(reason));
    }
    line
}

/// What a person would do next.
fn next_step(status: &Status) -> &'static str {
    match status.phase.as_str() {
        "idle" | "rolled_back" => {
            "`handover preflight`, then `handover migrate` to fill the target"
        }
        "preparing" | "syncing" => {
            "wait until the target has everything: `handover status --watch`"
        }
        "in_sync" if status.can_cut_over && status.verify.is_none() => {
            "`handover verify` compares the sides first; `handover cutover` when you are ready, `--dry-run` tries it"
        }
        "in_sync" if status.can_cut_over => {
            "`handover cutover` when you are ready; `--dry-run` tries it first"
        }
        "in_sync" => "see to the reasons above, then `handover cutover`",
        "arming" | "holding" | "draining" | "catching_up" | "detaching" => {
            "wait; `handover abort` undoes it"
        }
        "committed" if status.can_roll_back => {
            "`handover rollback` goes back; `handover finalize` gives up the way back"
        }
        "committed" => "`handover finalize` when all is well",
        "finalized" => "point the application at the target, and take the sidecar away",
        "aborting" | "rolling_back" => "wait",
        _ => {
            "this sidecar speaks of a phase that this command does not know: use the command of its version"
        }
    }
}

/// An outcome: how it ended, the pauses, the steps.
pub(super) fn outcome(outcome: &Outcome) -> String {
    let said = match outcome.outcome.as_str() {
        "committed" => "committed: the target is the active side",
        "aborted" => "aborted: nothing changed",
        "rolled_back" => "rolled back: the source is the active side",
        "dry_run" if outcome.reasons.is_empty() => "dry run: a cutover would be accepted now",
        "dry_run" => "dry run: a cutover would be refused now",
        "finalized" => "finalized: the way back is given up",
        other => other,
    };
    let mut text = format!("{said}{}\n", pauses(outcome));
    for reason in &outcome.reasons {
        let _ = writeln!(text, "  - {}", reason_text(reason));
    }
    let width = outcome
        .steps
        .iter()
        .map(|step| step.name.len())
        .max()
        .unwrap_or_default();
    for step in &outcome.steps {
        let _ = writeln!(
            text,
            "  {:width$}  {:>9} ms",
            step.name,
            format!("{:.1}", step.ms)
        );
    }
    text
}

/// The findings of a preflight, the worst last, where the eye is.
pub(super) fn preflight(preflight: &Preflight) -> String {
    let mut findings = preflight.findings.iter().collect::<Vec<_>>();
    findings.sort_by_key(|finding| severity(&finding.level));
    let mut text = String::new();
    for finding in &findings {
        let _ = writeln!(
            text,
            "{:7}  {}: {}",
            finding.level, finding.check, finding.message
        );
        if let Some(what_to_do) = &finding.what_to_do {
            let _ = writeln!(text, "{:7}  -> {what_to_do}", "");
        }
    }
    let count = |level: &str| {
        findings
            .iter()
            .filter(|finding| finding.level == level)
            .count()
    };
    let _ = writeln!(
        text,
        "{} ok, {} warnings, {} errors",
        count("ok"),
        count("warning"),
        count("error")
    );
    text
}

fn severity(level: &str) -> u8 {
    match level {
        "ok" => 0,
        "warning" => 1,
        _ => 2,
    }
}

/// The pauses, where something was held.
fn pauses(outcome: &Outcome) -> String {
    match (outcome.write_pause_ms, outcome.read_pause_ms) {
        (None | Some(0.0), None | Some(0.0)) => String::new(),
        (write, read) => format!(
            "; writes paused {}, reads {}",
            milliseconds(write),
            milliseconds(read)
        ),
    }
}

fn behind(bytes: Option<u64>, ms: Option<f64>) -> String {
    match (bytes, ms) {
        (None, None) => "how far behind is not known".to_owned(),
        (Some(bytes), None) => format!("{} behind", size(bytes)),
        (None, Some(_)) => format!("{} behind", milliseconds(ms)),
        (Some(bytes), Some(_)) => format!("{} ({}) behind", size(bytes), milliseconds(ms)),
    }
}

/// How much of the full copy is done.
#[allow(clippy::cast_precision_loss)] // a percentage
pub(super) fn copied(done: Option<u64>, total: Option<u64>) -> String {
    match (done, total) {
        (None, _) => "not known yet".to_owned(),
        (Some(done), None | Some(0)) => size(done),
        (Some(done), Some(total)) => {
            format!(
                "{} of {} ({:.0} %)",
                size(done),
                size(total),
                100.0 * done as f64 / total as f64
            )
        }
    }
}

fn milliseconds(ms: Option<f64>) -> String {
    ms.map_or_else(|| "an unknown time".to_owned(), |ms| format!("{ms:.1} ms"))
}

/// Bytes, in the unit that gives one to four digits.
#[allow(clippy::cast_precision_loss)] // one decimal is shown
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let unit = ((bytes.ilog2() / 10) as usize).min(UNITS.len());
    format!(
        "{:.1} {}",
        bytes as f64 / (1_u64 << (10 * unit)) as f64,
        UNITS[unit - 1]
    )
}

/// Lines with a name on the left.
#[derive(Default)]
struct Page(String);

impl Page {
    fn line(&mut self, label: &str, text: &str) {
        let _ = writeln!(self.0, "{label:LABEL_WIDTH$}{text}");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::view::view;

    #[test]
    fn a_status_is_shown_with_what_to_do_next() {
        let document = json!({
            "phase": "in_sync", "active_side": "source", "epoch": 3, "can_cut_over": false,
            "reasons": ["3 MiB remain", {"code": "not_stable", "message": "ready for 1 s of 2 s"}],
            "can_roll_back": false,
            "link": {"driver": "replicaof", "phase": "streaming", "lag_bytes": 3_145_728, "lag_ms": null,
                     "bytes_done": null, "bytes_total": null, "last_error": null},
            "sessions": {"open": 50, "private": 3, "blocked": 1, "in_transaction": 0, "subscribed": 2},
            "last_cutover": {"outcome": "aborted", "write_pause_ms": 12.34, "read_pause_ms": 0.0, "steps": []},
            "listeners": [], "members": [],
        });
        assert_eq!(
            status(&view(&document)),
            "\
phase         in_sync
active side   source
cutover       not possible now
              - 3 MiB remain
              - ready for 1 s of 2 s
rollback      not possible now
link          replicaof, streaming, 3.0 MiB behind
sessions      50 open, 3 private connections, 1 blocked, 0 in a transaction, 2 subscribed
last cutover  aborted; writes paused 12.3 ms, reads 0.0 ms
next          see to the reasons above, then `handover cutover`
"
        );
    }

    #[test]
    fn every_phase_has_a_next_step() {
        for phase in crate::metrics::PHASES {
            let known = Status {
                phase: phase.to_owned(),
                ..Status::default()
            };
            assert!(!next_step(&known).contains("does not know"), "{phase}");
        }
    }

    #[test]
    fn an_outcome_shows_its_steps_in_milliseconds() {
        let document = json!({
            "outcome": "committed", "write_pause_ms": 8.21, "read_pause_ms": 0.0,
            "steps": [{"name": "drain", "ms": 0.42}, {"name": "catch_up", "ms": 3.0}],
        });
        assert_eq!(
            outcome(&view(&document)),
            "\
committed: the target is the active side; writes paused 8.2 ms, reads 0.0 ms
  drain           0.4 ms
  catch_up        3.0 ms
"
        );
    }

    #[test]
    fn errors_of_a_preflight_come_last() {
        let document = json!({"findings": [
            {"check": "target_empty", "level": "error", "message": "it holds 5 keys", "what_to_do": "confirm"},
            {"check": "versions", "level": "ok", "message": "7.0.15 and 7.0.15", "what_to_do": null},
        ]});
        assert_eq!(
            preflight(&view(&document)),
            "\
ok       versions: 7.0.15 and 7.0.15
error    target_empty: it holds 5 keys
         -> confirm
1 ok, 0 warnings, 1 errors
"
        );
    }

    #[test]
    fn sizes_have_a_fitting_unit() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1 << 20, "1.0 MiB"),
            (1536 << 20, "1.5 GiB"),
            (1 << 40, "1.0 TiB"),
            (u64::MAX, "16777216.0 TiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
        assert_eq!(copied(Some(512), Some(1024)), "512 B of 1.0 KiB (50 %)");
        assert_eq!(copied(Some(512), Some(0)), "512 B");
    }

    #[test]
    fn a_comparison_is_offered_before_the_cutover() {
        let status = |verify: serde_json::Value| -> Status {
            view(&json!({"phase": "in_sync", "can_cut_over": true, "verify": verify}))
        };
        assert!(next_step(&status(json!(null))).contains("`handover verify`"));
        assert!(!next_step(&status(json!({"running": false}))).contains("`handover verify`"));
    }
}
