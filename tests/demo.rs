//! `handover demo`, as a newcomer and as a script call it.

#![allow(clippy::unwrap_used)] // a panic is the failing assertion

mod kit;

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use kit::{Process, Signal, eventually};
use serde_json::Value;

/// A small demo must end within this on a busy machine.
const DEMO_LIMIT: Duration = Duration::from_mins(2);

/// A small demo whose temporary files go to `directory`.
fn demo(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_handover"));
    command
        .args(["demo", "--keys", "3000", "--seconds", "4"])
        .args(arguments)
        .env("TMPDIR", directory)
        .stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    let directory = tempfile::tempdir().unwrap();
    let output = demo(directory.path(), arguments).output().unwrap();
    assert!(is_empty(directory.path()), "something was left behind");
    output
}

fn is_empty(directory: &Path) -> bool {
    std::fs::read_dir(directory).unwrap().next().is_none()
}

/// Processes that work in `directory` (the servers) or name it on their command line (the sidecar).
fn processes_of(directory: &Path) -> usize {
    let name = directory.to_string_lossy();
    let of_demo = |process: &Path| {
        let works_there =
            std::fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(directory));
        let command_line = std::fs::read(process.join("cmdline")).unwrap_or_default();
        works_there || String::from_utf8_lossy(&command_line).contains(name.as_ref())
    };
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    processes.filter(|process| of_demo(&process.path())).count()
}

#[test]
fn the_demo_loses_nothing_doubles_nothing_and_says_so_in_json() {
    let output = run(&["--clients", "20", "--json"]);
    let prose = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{}\n{prose}",
        String::from_utf8_lossy(&output.stdout)
    );
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    for count in ["errors", "lost_writes", "double_writes"] {
        assert_eq!(report[count], 0, "{count}: {report:#}\n{prose}");
    }
    assert_eq!(report["verified"]["differing"], 0, "{report:#}");
    assert!(
        report["verified"]["keys"].as_u64() >= Some(3000),
        "{report:#}"
    );
    assert!(report["operations"].as_u64() > Some(1000), "{report:#}");
    for figure in ["write_pause_ms", "read_pause_ms", "seconds"] {
        assert!(report[figure].as_f64() > Some(0.0), "{figure}: {report:#}");
    }
    for quantile in ["p50", "p99", "p999"] {
        assert!(
            report["overhead_us"][quantile].is_number(),
            "{quantile}: {report:#}"
        );
    }
}

#[test]
fn an_interrupted_demo_leaves_no_process_and_no_file() {
    for signal in [Signal::INT, Signal::TERM] {
        let directory = tempfile::tempdir().unwrap();
        let child = demo(directory.path(), &["--clients", "20"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut child = Process::new(child);
        // Two servers and a sidecar.
        assert!(
            eventually(DEMO_LIMIT, || processes_of(directory.path()) == 3),
            "nothing to interrupt"
        );
        child.signal(signal);
        let status = child.wait(DEMO_LIMIT);
        assert!(!status.success());
        assert!(
            eventually(DEMO_LIMIT, || processes_of(directory.path()) == 0),
            "a process was left behind"
        );
        assert!(is_empty(directory.path()), "a file was left behind");
    }
}

#[test]
fn too_few_clients_are_a_usage_error() {
    let output = run(&["--clients", "3", "--json"]);
    assert_eq!(output.status.code(), Some(2));
    let text = [output.stdout, output.stderr].concat();
    assert!(
        String::from_utf8_lossy(&text).contains("too few"),
        "{}",
        String::from_utf8_lossy(&text)
    );
}
