//! What stands below the track: each part takes the board and writes its lines. Pure.

use std::fmt::Write;

use super::board::{Board, Tone};
use super::chart;
use super::sheet::{Sheet, unbroken};
use super::words::{count, names, outcome, seconds, step};
use crate::cli::render::{self, size};
use crate::cli::view::{RefusedClient, Sample, reason_text};

/// Clients and commands that are named of those whose writes were refused.
const REFUSED_SHOWN: usize = 5;
/// Findings about the application's commands that are named; `handover report` has all.
const FINDINGS_SHOWN: usize = 5;

/// The full copy, while one is made: a bar, the rate, the time left.
pub(super) fn copy(board: &Board, sheet: &mut Sheet) {
    let link = &board.status.link;
    if !matches!(board.status.phase.as_str(), "preparing" | "syncing") {
        return;
    }
    let Some(done) = link.bytes_done else {
        sheet.row("copy", Tone::Plain, "waiting for the source to begin");
        return;
    };
    let total = link.bytes_total.filter(|&total| total > 0);
    if let Some(total) = total {
        let width = sheet.text_width().min(50);
        let full = usize::try_from(u128::from(done.min(total)) * width as u128 / u128::from(total));
        let full = full.unwrap_or(width);
        let bar = "█".repeat(full) + &"░".repeat(width - full);
        sheet.row("copy", Tone::Good, &bar);
    }
    let mut words = render::copied(link.bytes_done, total);
    let rate = chart::rate(&board.samples, |sample| sample.bytes_done).filter(|&rate| rate > 0);
    if let Some(rate) = rate {
        let _ = write!(words, ", {} a second", size(rate));
        if let Some(total) = total.filter(|&total| total > done) {
            let _ = write!(words, ", about {} left", seconds((total - done) / rate));
        }
    }
    sheet.row(
        if total.is_some() { "" } else { "copy" },
        Tone::Plain,
        &words,
    );
}

/// The replication, and how far behind it was over the last minutes.
pub(super) fn link(board: &Board, sheet: &mut Sheet) {
    let link = &board.status.link;
    sheet.row(
        "link",
        Tone::Plain,
        &format!("{}, {}", link.driver, link.phase),
    );
    if let Some(waiting_for) = &link.waiting_for {
        sheet.item(Tone::Warning, &format!("waiting for {waiting_for}"));
    }
    if let Some(error) = &link.last_error {
        sheet.item(Tone::Bad, &format!("last error: {error}"));
    }
    let in_time = link.lag_bytes.is_none() && link.lag_ms.is_some();
    let lag = |sample: &Sample| {
        if in_time {
            sample.lag_ms
        } else {
            sample.lag_bytes
        }
    };
    let values = board.samples.iter().map(lag).collect::<Vec<_>>();
    if values.iter().all(Option::is_none) {
        return;
    }
    let write = |value: u64| {
        if in_time {
            format!("{value} ms")
        } else {
            size(value)
        }
    };
    let now = values.last().copied().flatten();
    let now = now.map_or_else(|| "not known".to_owned(), write);
    let most = write(values.iter().flatten().max().copied().unwrap_or(0));
    sheet.row(
        "behind",
        Tone::Plain,
        &format!("{now}; at most {most} in the last minutes"),
    );
    for line in chart::lines(&values, sheet.text_width(), sheet.chart_lines) {
        sheet.row("", Tone::Good, &unbroken(&line));
    }
}

/// Requests by side and class, and what is held.
pub(super) fn traffic(board: &Board, sheet: &mut Sheet) {
    let (source, target) = names(&board.status);
    let traffic = &board.status.traffic;
    for (label, name, classes, rate) in [
        (
            "traffic",
            source,
            &traffic.source,
            chart::rate(&board.samples, |it| Some(it.source)),
        ),
        (
            "",
            target,
            &traffic.target,
            chart::rate(&board.samples, |it| Some(it.target)),
        ),
    ] {
        let rate = rate.map_or_else(|| "?".to_owned(), count);
        let mut words = format!("{name} {rate}/s");
        let passed = classes.iter().filter(|(_, n)| **n > 0);
        for (at, (class, &n)) in passed.enumerate() {
            let _ = write!(
                words,
                "{} {class} {}",
                if at == 0 { ";" } else { "," },
                count(n)
            );
        }
        sheet.row(label, Tone::Plain, &words);
    }
    if traffic.held > 0 {
        let words = format!("{} requests wait for the switch to end", traffic.held);
        sheet.row("held", Tone::Warning, &words);
    }
}

/// Who writes where it must not yet.
pub(super) fn refused(board: &Board, sheet: &mut Sheet) {
    let status = &board.status;
    let commands = &status.traffic.refused;
    let total: u64 = commands.iter().map(|it| it.count).sum();
    if total == 0 {
        return;
    }
    let past = board.samples.len().saturating_sub(61);
    let before = board
        .samples
        .get(past)
        .map_or(total, |sample| sample.refused);
    let lately = total.saturating_sub(before);
    let named = commands.iter().take(REFUSED_SHOWN);
    let named = named.map(|it| format!("{} {}", it.command, count(it.count)));
    let words = format!(
        "{} {}, {} in the last minute: {}",
        count(total),
        if total == 1 { "write" } else { "writes" },
        count(lately),
        named.collect::<Vec<_>>().join(", ")
    );
    sheet.row("refused", Tone::Warning, &words);
    for RefusedClient {
        name,
        address,
        command,
        count: n,
    } in status.refused_clients.iter().take(REFUSED_SHOWN)
    {
        let name = name
            .as_ref()
            .map(|name| format!("{name} at "))
            .unwrap_or_default();
        sheet.item(
            Tone::Plain,
            &format!("{name}{address}: {command}, {} refused", count(*n)),
        );
    }
}

/// Whether the next step may be taken, and every reason why not.
pub(super) fn ready(board: &Board, sheet: &mut Sheet) {
    let status = &board.status;
    let (tone, words) = match status.phase.as_str() {
        "in_sync" if status.can_cut_over => (Tone::Good, "yes: a cutover is possible"),
        "in_sync" => (Tone::Warning, "not now"),
        "committed" if status.can_roll_back => (Tone::Good, "a rollback is possible"),
        "committed" => (Tone::Warning, "no rollback at the moment"),
        "finalized" => (Tone::Plain, "there is nothing left to switch"),
        _ => (Tone::Plain, "not yet"),
    };
    sheet.row("ready", tone, words);
    for reason in &status.reasons {
        sheet.item(Tone::Warning, &reason_text(reason));
    }
}

/// The newest attempt that was felt, step by step.
pub(super) fn cutover(board: &Board, sheet: &mut Sheet) {
    let Some(last) = &board.status.last_cutover else {
        return;
    };
    let tone = if last.outcome == "aborted" {
        Tone::Warning
    } else {
        Tone::Good
    };
    sheet.row("cutover", tone, outcome(&last.outcome));
    let ms = |ms: Option<f64>| ms.map_or_else(|| "unknown".to_owned(), |ms| format!("{ms:.1} ms"));
    let (writes, reads) = (ms(last.write_pause_ms), ms(last.read_pause_ms));
    sheet.row(
        "",
        Tone::Plain,
        &format!("writes waited {writes}, reads {reads}"),
    );
    for reason in &last.reasons {
        sheet.item(Tone::Warning, &reason_text(reason));
    }
    for one in &last.steps {
        let time = unbroken(&format!("{:>10}  ", format!("{:.1} ms", one.ms)));
        sheet.row("", Tone::Plain, &format!("{time}{}", step(&one.name)));
    }
}

/// The comparison of the sides.
pub(super) fn comparison(board: &Board, sheet: &mut Sheet) {
    let Some(verify) = &board.status.verify else {
        return;
    };
    let differing = verify
        .summary
        .as_ref()
        .map_or(verify.differing, |found| found.differing);
    let tone = if differing > 0 || verify.error.is_some() {
        Tone::Bad
    } else {
        Tone::Good
    };
    sheet.row("verify", tone, &render::comparison_line(verify));
}

/// What the newest preflight found, but for what is in order.
pub(super) fn preflight(board: &Board, sheet: &mut Sheet) {
    let findings = board.preflight.iter().flat_map(|it| &it.findings);
    for (at, finding) in findings.filter(|it| it.level != "ok").enumerate() {
        let tone = if finding.level == "error" {
            Tone::Bad
        } else {
            Tone::Warning
        };
        let label = if at == 0 { "preflight" } else { "" };
        sheet.row(
            label,
            tone,
            &format!("{}: {}", finding.level, finding.message),
        );
        if let Some(what_to_do) = &finding.what_to_do {
            sheet.row("", Tone::Plain, &format!("-> {what_to_do}"));
        }
    }
}

/// What the target would take differently of what the application has sent, but for what is accepted.
pub(super) fn compatibility(board: &Board, sheet: &mut Sheet) {
    let Some(report) = &board.report else {
        return;
    };
    let kind = report.profile.replace('_', " ");
    let open = report.findings.iter().filter(|found| !found.accepted);
    let (shown, more): (Vec<_>, Vec<_>) =
        open.enumerate().partition(|&(at, _)| at < FINDINGS_SHOWN);
    if shown.is_empty() {
        let words = format!("none in what was sent so far, for a target of the kind {kind}");
        sheet.row("findings", Tone::Good, &words);
    }
    for (at, found) in shown {
        let tone = if found.severity == "error" {
            Tone::Bad
        } else {
            Tone::Warning
        };
        let label = if at == 0 { "findings" } else { "" };
        let words = format!(
            "{}: {}, {} times: {}",
            found.severity,
            found.name,
            count(found.count),
            found.message
        );
        sheet.row(label, tone, &words);
        sheet.row("", Tone::Plain, &format!("-> {}", found.what_to_do));
    }
    let unlisted = u64::try_from(more.len()).unwrap_or(u64::MAX);
    if unlisted > 0 {
        let words = format!("and {} more: `handover report` has all", count(unlisted));
        sheet.row("", Tone::Warning, &words);
    }
    if !report.target_commands_known {
        let words = "the target has not said yet which commands it has";
        sheet.row("", Tone::Warning, words);
    }
}

/// Clients, and the sidecars of the fleet.
pub(super) fn who(board: &Board, sheet: &mut Sheet) {
    let sessions = &board.status.sessions;
    let words = format!(
        "{} open, {} in a transaction, {} blocked, {} subscribed, {} private",
        sessions.open,
        sessions.in_transaction,
        sessions.blocked,
        sessions.subscribed,
        sessions.private
    );
    sheet.row("sessions", Tone::Plain, &words);
    let members = &board.status.members;
    if members.is_empty() {
        sheet.row(
            "members",
            Tone::Plain,
            "this sidecar is alone: it has no fleet",
        );
    }
    for (at, member) in members.iter().enumerate() {
        let text = |key: &str| member.get(key).and_then(serde_json::Value::as_str);
        let name = member
            .as_str()
            .or(text("name"))
            .or(text("member"))
            .unwrap_or("?");
        let state = text("state").or(text("phase")).unwrap_or_default();
        sheet.row(
            if at == 0 { "members" } else { "" },
            Tone::Plain,
            &format!("{name} {state}"),
        );
    }
}
