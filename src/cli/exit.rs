//! How a command ended, for the shell.

use std::process::ExitCode;

/// Why the sidecar does not run, or not any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unable {
    /// How the command ends.
    pub exit: Exit,
    /// For the operator.
    pub message: String,
}

/// The exit codes, part of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done: 0.
    Done,
    /// Refused or not ready, with reasons: 1.
    Refused,
    /// The arguments or the configuration are wrong: 2.
    Usage,
    /// The sidecar or a database cannot be reached: 3.
    Unreachable,
    /// Aborted, nothing changed: 4.
    Aborted,
    /// Failed, a person must look: 5.
    Failed,
}

impl Exit {
    /// The number.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Refused => 1,
            Exit::Usage => 2,
            Exit::Unreachable => 3,
            Exit::Aborted => 4,
            Exit::Failed => 5,
        }
    }

    /// A word for programs, where nobody has a better one.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Exit::Done => "done",
            Exit::Refused => "refused",
            Exit::Usage => "usage",
            Exit::Unreachable => "unreachable",
            Exit::Aborted => "aborted",
            Exit::Failed => "failed",
        }
    }

    /// What an error status of the admin API means.
    pub(super) const fn of_status(status: u16) -> Exit {
        match status {
            409 | 501 => Exit::Refused,
            400..=499 => Exit::Usage,
            503 => Exit::Unreachable,
            _ => Exit::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_statuses_have_the_exit_codes_of_the_interface() {
        let code = |status| Exit::of_status(status).code();
        assert_eq!([409, 501].map(code), [1, 1]);
        assert_eq!([401, 403, 404, 405, 413, 422].map(code), [2; 6]);
        assert_eq!([503, 500].map(code), [3, 5]);
    }
}
