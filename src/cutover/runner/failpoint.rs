//! Lets a test kill this process at an exact place of the control path: before each order is carried out, and at each
//! event before it is taken in, which is everywhere between two of them. A place is named by the text that `Debug` gives
//! of the order or event, so that none can be forgotten when an order is added.
//!
//! Only builds with debug assertions have it, which every test run is and no release is: nobody can leave it out of the
//! tests by forgetting a feature, nor find it in what runs in production. The data path has no such place.

use std::fmt::Debug;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use rustix::process::{Signal, getpid, kill_process};

/// The environment variable with the path of the file that names the place, read anew each time so that a test can name
/// one while the process runs. Parts divided by `*` must come in this order, the first at the beginning: `before
/// FlushJournal(Committed`, `at Happened(*Drained`.
const FILE_IN: &str = "HANDOVER_DIES_AT";
/// Where there is a file of that name with this ending, every place that is passed is written to it, one a line.
const PASSED: &str = "passed";

/// Dies, as by kill -9, if this is the place.
pub(super) fn place(when: &str, what: &impl Debug) {
    if !cfg!(debug_assertions) {
        return;
    }
    let Some(file) = std::env::var_os(FILE_IN).map(PathBuf::from) else {
        return;
    };
    let text = format!("{when} {what:?}");
    if let Ok(mut passed) = File::options()
        .append(true)
        .open(file.with_extension(PASSED))
    {
        let _ = writeln!(passed, "{text}");
    }
    let named = std::fs::read_to_string(&file).unwrap_or_default();
    if !is_named(named.trim(), &text) {
        return;
    }
    // Once: the process that comes after this one goes on.
    let _ = std::fs::write(&file, "");
    let _ = kill_process(getpid(), Signal::KILL);
}

fn is_named(named: &str, text: &str) -> bool {
    let mut parts = named.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first).filter(|_| !named.is_empty()) else {
        return false;
    };
    for part in parts {
        match rest.split_once(part) {
            Some((_, behind)) => rest = behind,
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::is_named;

    #[test]
    fn a_place_is_named_by_its_beginning_and_by_parts() {
        let text = "at Happened(3, WritesDrained)";
        assert!(is_named("at Happened(3", text));
        assert!(is_named("at Happened(*Drained", text));
        assert!(!is_named("Happened", text));
        assert!(!is_named("at Happened(*Fenced", text));
        assert!(!is_named("", text), "an empty file names no place");
    }
}
