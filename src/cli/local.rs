//! What needs no running sidecar: the sidecar itself, the check of its configuration, the demo, completions.

use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;
use serde_json::{Value, json};

use super::arguments::{Arguments, Demo};
use super::output::Output;
use super::{Exit, RunSidecar, Unable};
use crate::config::{Mistakes, Settings};
use crate::demo;

/// `run`: until it is told to end.
pub(super) fn run(config: &Path, sidecar: RunSidecar, output: Output) -> Exit {
    let settings = match Settings::load(config) {
        Ok(settings) => settings,
        Err(mistakes) => return mistaken(config, &mistakes, output),
    };
    match sidecar(config, settings) {
        Ok(()) => {
            output.result(&json!({"outcome": "stopped"}), String::new);
            Exit::Done
        }
        Err(Unable { exit, message }) => {
            output.failure(exit.word(), &message, &[]);
            exit
        }
    }
}

/// `check`: all mistakes at once; and what is no mistake, and may not be meant.
pub(super) fn check(config: &Path, output: Output) -> Exit {
    match Settings::load(config) {
        Ok(settings) => {
            let cautions = settings.cautions();
            for caution in &cautions {
                output.note(&format!("caution: {caution}"));
            }
            let words = || format!("{} is in order", config.display());
            output.result(&json!({"ok": true, "cautions": cautions}), words);
            Exit::Done
        }
        Err(mistakes) => mistaken(config, &mistakes, output),
    }
}

fn mistaken(config: &Path, mistakes: &Mistakes, output: Output) -> Exit {
    let reasons = mistakes
        .0
        .iter()
        .map(|mistake| Value::from(mistake.to_string()))
        .collect::<Vec<_>>();
    let count = match reasons.len() {
        1 => "one mistake".to_owned(),
        n => format!("{n} mistakes"),
    };
    output.failure(
        "configuration",
        &format!("{} has {count}", config.display()),
        &reasons,
    );
    Exit::Usage
}

/// `demo`: the main job with nothing configured.
pub(super) fn demo(asked: Demo, output: Output) -> Exit {
    let default = demo::Options::default();
    let options = demo::Options {
        keys: asked.keys.unwrap_or(default.keys),
        clients: asked.clients.unwrap_or(default.clients),
        seconds: asked.seconds.unwrap_or(default.seconds),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return cannot_begin(&error, output),
    };
    match runtime.block_on(Box::pin(demo::run(options))) {
        Ok(report) => {
            output.result(&json!(report), || report.to_string());
            if report.clean() {
                Exit::Done
            } else {
                Exit::Failed
            }
        }
        Err(error) => {
            let exit = match error.fault() {
                demo::Fault::Usage => Exit::Usage,
                demo::Fault::Machine => Exit::Refused,
                demo::Fault::Handover => Exit::Failed,
                demo::Fault::Nobody => Exit::Aborted,
            };
            output.failure(exit.word(), &error.to_string(), &[]);
            exit
        }
    }
}

/// `completions`: the script, as it is sourced.
pub(super) fn completions(shell: Shell, output: Output) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "handover", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    output.result(
        &json!({"shell": shell.to_string(), "script": script}),
        || script.clone(),
    );
    Exit::Done
}

/// There is no runtime: descriptors are short.
pub(super) fn cannot_begin(error: &std::io::Error, output: Output) -> Exit {
    output.failure("no_runtime", &format!("cannot begin: {error}"), &[]);
    Exit::Failed
}
