//! The `handover` command: joins the command line to what it runs.

use std::path::Path;
use std::process::ExitCode;

use handover::app::{self, Fault};
use handover::cli::{self, Exit, Unable};
use handover::config::Settings;

fn main() -> ExitCode {
    cli::main(run).into()
}

fn run(config: &Path, settings: Settings) -> Result<(), Unable> {
    app::run(config, settings).map_err(|error| Unable {
        exit: match error.fault() {
            Fault::Refused => Exit::Refused,
            Fault::Usage => Exit::Usage,
            Fault::Broken => Exit::Failed,
        },
        message: error.to_string(),
    })
}
