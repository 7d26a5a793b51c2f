//! What can be typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use super::address::{self, Address};
use crate::admin::duration;

/// Moves a running application from one Redis to another in one short write pause.
#[derive(Debug, Parser)]
#[command(name = "handover", version, arg_required_else_help = true, after_help = EXITS)]
pub(super) struct Arguments {
    /// Print one JSON document on standard output; everything else goes to standard error.
    #[arg(long, global = true)]
    pub(super) json: bool,
    #[command(subcommand)]
    pub(super) command: Command,
}

const EXITS: &str = "Exit codes: 0 done, 1 refused or not ready, 2 usage or configuration, 3 cannot reach the sidecar \
                     or a database, 4 aborted and nothing changed, 5 failed and a person must look.";

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the sidecar.
    Run {
        /// Its configuration (TOML).
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Check a configuration, and show all its mistakes at once.
    Check {
        /// The configuration (TOML).
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Show the main job with nothing configured: two Redis servers, traffic, a migration and a cutover.
    Demo(Demo),
    /// Print a completion script.
    Completions {
        /// For this shell.
        shell: Shell,
    },
    #[command(flatten)]
    Sidecar(SidecarCommand),
}

/// What a running sidecar is asked for.
#[derive(Debug, Subcommand)]
pub(super) enum SidecarCommand {
    /// Find out what would stand in the way of a migration or a cutover.
    Preflight {
        #[command(flatten)]
        sidecar: Sidecar,
    },
    /// Fill the target, and wait until it follows the source.
    Migrate {
        #[command(flatten)]
        sidecar: Sidecar,
        /// The target's name, as a sign that what it holds may be deleted.
        #[arg(long, value_name = "NAME")]
        confirm_flush: Option<String>,
        /// Return once the migration runs.
        #[arg(long)]
        no_wait: bool,
    },
    /// Show where the migration stands.
    Status {
        #[command(flatten)]
        sidecar: Sidecar,
        /// Go on showing it: on a terminal with keys that act, elsewhere a line for each change.
        #[arg(long, conflicts_with = "json")]
        watch: bool,
    },
    /// Show what the application's commands mean for the target.
    Report {
        #[command(flatten)]
        sidecar: Sidecar,
    },
    /// Compare the two sides, key by key.
    Verify {
        #[command(flatten)]
        sidecar: Sidecar,
        /// Only about so many keys.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        sample: Option<u64>,
        /// All keys: the default.
        #[arg(long, conflicts_with = "sample")]
        full: bool,
        /// Keys of each side to look at in a second at most, this once, instead of the configured number; 0 is as many
        /// as the databases bear.
        #[arg(long, value_name = "N")]
        rate: Option<u64>,
    },
    /// Make the target the active side.
    Cutover {
        #[command(flatten)]
        sidecar: Sidecar,
        /// Only find out whether it would be refused.
        #[arg(long)]
        dry_run: bool,
        /// Bound of the write pause, this once, instead of the configured one.
        #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
        max_pause: Option<Duration>,
        /// A finding of the report, by its name there, that is not to stand in the way, this once. May be repeated.
        #[arg(long, value_name = "NAME")]
        accept: Vec<String>,
    },
    /// Undo what is under way and not yet committed.
    Abort {
        #[command(flatten)]
        sidecar: Sidecar,
    },
    /// Make the source the active side again.
    Rollback {
        #[command(flatten)]
        sidecar: Sidecar,
    },
    /// Give up the way back, and end the reverse link.
    Finalize {
        #[command(flatten)]
        sidecar: Sidecar,
    },
}

/// Which sidecar.
#[derive(Debug, Args)]
pub(super) struct Sidecar {
    /// Where its admin API is: http://HOST:PORT, https://HOST:PORT or unix:PATH.
    #[arg(long, value_name = "URL", env = "HANDOVER_ADMIN", default_value = address::DEFAULT)]
    pub(super) admin: Address,
    /// A file with the token that the sidecar asks for.
    #[arg(long, value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,
    /// With https: the authority that signed the sidecar's certificate (PEM); the system's authorities are not used.
    #[arg(long, value_name = "FILE", env = "HANDOVER_CA")]
    pub(super) ca: Option<PathBuf>,
    /// With https: the name in the sidecar's certificate, where it is not the host of the URL.
    #[arg(long, value_name = "NAME")]
    pub(super) server_name: Option<String>,
    /// With https: a certificate (PEM), where the sidecar asks for one.
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(super) cert: Option<PathBuf>,
    /// The key of --cert (PEM).
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(super) key: Option<PathBuf>,
}

/// How large the demo is.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Demo {
    /// Keys in the source before the traffic begins.
    #[arg(long, value_name = "N")]
    pub(super) keys: Option<u64>,
    /// Connections of the traffic.
    #[arg(long, value_name = "N")]
    pub(super) clients: Option<usize>,
    /// How long the traffic runs.
    #[arg(long, value_name = "N")]
    pub(super) seconds: Option<u64>,
}

impl SidecarCommand {
    /// Which sidecar it is for.
    pub(super) fn sidecar(&self) -> &Sidecar {
        match self {
            SidecarCommand::Preflight { sidecar }
            | SidecarCommand::Migrate { sidecar, .. }
            | SidecarCommand::Status { sidecar, .. }
            | SidecarCommand::Report { sidecar }
            | SidecarCommand::Verify { sidecar, .. }
            | SidecarCommand::Cutover { sidecar, .. }
            | SidecarCommand::Abort { sidecar }
            | SidecarCommand::Rollback { sidecar }
            | SidecarCommand::Finalize { sidecar } => sidecar,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;

    fn parse(line: &str) -> Result<Arguments, ErrorKind> {
        Arguments::try_parse_from(std::iter::once("handover").chain(line.split_whitespace()))
            .map_err(|e| e.kind())
    }

    #[test]
    fn the_definition_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_takes_json_before_and_behind_it() {
        for command in [
            "run --config f",
            "check --config f",
            "preflight",
            "migrate",
            "status",
            "report",
            "verify",
            "cutover",
            "abort",
            "rollback",
            "finalize",
            "demo",
            "completions bash",
        ] {
            assert!(
                parse(&format!("--json {command}")).is_ok_and(|arguments| arguments.json),
                "{command}"
            );
            assert!(
                parse(&format!("{command} --json")).is_ok_and(|arguments| arguments.json),
                "{command}"
            );
            assert!(
                parse(command).is_ok_and(|arguments| !arguments.json),
                "{command}"
            );
        }
    }

    #[test]
    fn options_reach_their_command() {
        let Ok(Command::Sidecar(command)) =
            parse("cutover --dry-run --max-pause 250ms --admin unix:/a.sock --token-file t")
                .map(|a| a.command)
        else {
            panic!("not understood");
        };
        assert_eq!(command.sidecar().token_file.as_deref(), Some("t".as_ref()));
        assert_eq!(command.sidecar().admin, "unix:/a.sock".parse().unwrap());
        let SidecarCommand::Cutover {
            dry_run: true,
            max_pause,
            ..
        } = command
        else {
            panic!("{command:?}")
        };
        assert_eq!(max_pause, Some(Duration::from_millis(250)));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert_eq!(parse("run").err(), Some(ErrorKind::MissingRequiredArgument));
        assert_eq!(
            parse("verify --sample 10 --full").err(),
            Some(ErrorKind::ArgumentConflict)
        );
        assert_eq!(
            parse("verify --sample 0").err(),
            Some(ErrorKind::ValueValidation)
        );
        assert_eq!(
            parse("status --watch --json").err(),
            Some(ErrorKind::ArgumentConflict)
        );
        assert_eq!(
            parse("cutover --max-pause 5").err(),
            Some(ErrorKind::ValueValidation)
        );
        assert_eq!(
            parse("status --admin ftp://host").err(),
            Some(ErrorKind::ValueValidation)
        );
        assert_eq!(
            parse("status --admin https://host --cert c").err(),
            Some(ErrorKind::MissingRequiredArgument)
        );
        assert_eq!(parse("cut-over").err(), Some(ErrorKind::InvalidSubcommand));
    }
}
