//! What is said of a status, in the words of the console page. Pure.

use std::borrow::Cow;

use crate::cli::view::Status;

/// The stations of the track, with the phases in which the migration is there.
pub(super) const STATIONS: [(&str, &[&str]); 6] = [
    ("Start", &["idle", "rolled_back"]),
    ("Copy", &["preparing", "syncing"]),
    ("In sync", &["in_sync"]),
    (
        "Switch",
        &[
            "arming",
            "holding",
            "draining",
            "catching_up",
            "detaching",
            "rolling_back",
        ],
    ),
    ("On the target", &["committed"]),
    ("Finished", &["finalized"]),
];

/// At which station, from zero; none for a phase that is not known. An undoing is where the thing is that it undoes.
pub(super) fn station(status: &Status) -> Option<usize> {
    match (status.phase.as_str(), status.active_side.as_str()) {
        ("aborting", "target") => Some(4),
        ("aborting", _) => Some(3),
        (phase, _) => STATIONS
            .iter()
            .position(|(_, phases)| phases.contains(&phase)),
    }
}

/// A step as people read it.
pub(super) fn step(name: &str) -> Cow<'static, str> {
    Cow::Borrowed(match name {
        "arm" => "preparing sessions",
        "hold" => "holding writes",
        "drain" => "waiting for writes in flight",
        "release_blocked" => "releasing blocked commands",
        "mark" => "writing the marker",
        "fence" => "closing the side that is left to writers",
        "sample" => "reading the position",
        "catch_up" => "waiting for the last bytes",
        "await_marker" => "waiting for the marker",
        "align" => "aligning subscriptions",
        "detach" => "ending the replication",
        "commit" => "writing the decision to disk",
        "move" => "moving sessions",
        "reverse" => "turning the replication round",
        "release" => "letting writes go on",
        "unfence" => "opening the side again",
        other => return Cow::Owned(other.replace('_', " ")),
    })
}

/// Headline, and what comes next.
pub(super) fn saying(status: &Status) -> (String, String) {
    let (source, target) = names(status);
    let under_way = || match &status.step {
        Some(name) => format!("Now: {}.", step(name)),
        None => "It takes milliseconds.".to_owned(),
    };
    match status.phase.as_str() {
        "idle" => (
            format!("The application runs on {source}"),
            format!("Migrate copies everything to {target}; the application goes on meanwhile."),
        ),
        "rolled_back" => (
            format!("Back on {source}"),
            "The copy must be made anew before the next switch.".to_owned(),
        ),
        "preparing" => (
            format!("Preparing the copy to {target}"),
            "The application does not notice.".to_owned(),
        ),
        "syncing" => (
            format!("Copying {source} to {target}"),
            "The application goes on as before. Wait until everything is there.".to_owned(),
        ),
        "in_sync" if status.can_cut_over => (
            format!("Ready to switch to {target}"),
            "The switch takes milliseconds, and can be undone.".to_owned(),
        ),
        "in_sync" => (
            format!("{target} follows {source}; not ready to switch"),
            "The reasons are below. Most pass by themselves.".to_owned(),
        ),
        "arming" | "holding" | "draining" | "catching_up" | "detaching" => {
            (format!("Switching to {target}"), under_way())
        }
        "committed" if status.can_roll_back => (
            format!("The application runs on {target}"),
            format!("{source} follows it: roll back returns there; finalize gives up that way."),
        ),
        "committed" => (
            format!("The application runs on {target}"),
            "There is no way back at the moment; the reasons are below.".to_owned(),
        ),
        "finalized" => (
            "Finished".to_owned(),
            format!("Point the application at {target} itself, then take the sidecar away."),
        ),
        "aborting" => ("Undoing".to_owned(), under_way()),
        "rolling_back" => (format!("Going back to {source}"), under_way()),
        other => (
            other.to_owned(),
            "This command does not know this phase: use the one of the sidecar's version."
                .to_owned(),
        ),
    }
}

/// What the sides are called.
pub(super) fn names(status: &Status) -> (&str, &str) {
    (
        or(&status.source.name, "the source"),
        or(&status.target.name, "the target"),
    )
}

fn or<'a>(given: &'a str, otherwise: &'a str) -> &'a str {
    if given.is_empty() { otherwise } else { given }
}

/// An outcome, in a sentence.
pub(super) fn outcome(word: &str) -> &str {
    match word {
        "committed" => "Switched: the target is active",
        "aborted" => "Called off: nothing has changed",
        "rolled_back" => "Rolled back: the source is active",
        "finalized" => "Finalized: the way back is given up",
        "migrating" => "The copy has begun",
        "dry_run" => "Dry run",
        other => other,
    }
}

/// A number of requests, in at most six places.
#[allow(clippy::cast_precision_loss)] // one decimal is shown
pub(super) fn count(value: u64) -> String {
    match value {
        0..10_000 => value.to_string(),
        10_000..1_000_000 => format!("{:.1}k", value as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1}M", value as f64 / 1e6),
        _ => format!("{:.1}G", value as f64 / 1e9),
    }
}

/// A time that something takes.
pub(super) fn seconds(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{} s", seconds.max(1)),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}
