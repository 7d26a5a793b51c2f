//! The command line: a thin client of the admin API, and the way into what runs by itself.
//!
//! Refuses to know: databases, the cutover, anything that the admin API does not say.
//!
//! Read next: `cli/arguments.rs` for what can be typed, `cli/orders.rs` for what becomes of it.

mod address;
mod arguments;
mod client;
mod exit;
mod follow;
mod local;
mod orders;
mod output;
mod progress;
mod render;
mod view;
mod watch;

pub use exit::{Exit, Unable};

use std::path::Path;

use clap::Parser;

use arguments::{Arguments, Command};
use output::Output;

use crate::config::Settings;

/// Runs the sidecar until it is told to end; given the file that the settings came from, to be read again on SIGHUP.
/// It comes from outside: the command line does not know what it runs.
pub type RunSidecar = fn(&Path, Settings) -> Result<(), Unable>;

/// Reads the arguments, does what they say, and tells how it ended.
pub fn main(run: RunSidecar) -> Exit {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return misunderstood(&error),
    };
    let output = Output::new(arguments.json);
    match arguments.command {
        Command::Run { config } => local::run(&config, run, output),
        Command::Check { config } => local::check(&config, output),
        Command::Demo(options) => local::demo(options, output),
        Command::Completions { shell } => local::completions(shell, output),
        Command::Sidecar(command) => orders::carry_out(command, output),
    }
}

/// Help and version are asked for; everything else is a mistake, of which a program that asked for JSON hears in JSON.
fn misunderstood(error: &clap::Error) -> Exit {
    // Nobody is left to be told where the terminal is gone.
    let _ = error.print();
    if !error.use_stderr() {
        return Exit::Done;
    }
    if std::env::args_os().any(|argument| argument == "--json") {
        Output::new(true).failure("usage", error.to_string().trim_end(), &[]);
    }
    Exit::Usage
}
