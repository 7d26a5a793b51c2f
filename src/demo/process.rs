//! A child process that cannot outlive the demo: ended politely where there is time, killed on every other path.
//!
//! Refuses to know: what it runs.

use std::ffi::OsStr;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// How long a child may take to end after it has been asked to, before it is killed.
const END_LIMIT: Duration = Duration::from_secs(5);
/// Lines of a log that an error shows.
const LOG_LINES: usize = 12;

/// A running child. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program`; both its outputs go to the file `log`.
    pub(super) fn start<I, S>(program: &Path, arguments: I, log: PathBuf) -> io::Result<Process>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let output = std::fs::File::create(&log)?;
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            // A Ctrl-C of the terminal reaches the demo alone, which then ends its children in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        Ok(Process { child, log })
    }

    /// Its process id, while it runs.
    pub(super) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Whether it has ended by itself; in words.
    pub(super) fn ended(&mut self) -> Option<String> {
        self.child
            .try_wait()
            .ok()
            .flatten()
            .map(|status| status.to_string())
    }

    /// The end of its log.
    pub(super) fn log_tail(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }

    /// Asks it to end (SIGTERM), waits, kills it if it does not.
    pub(super) async fn end(mut self) {
        let pid = self
            .child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        let asked = pid.is_some_and(|pid| kill_process(pid, Signal::TERM).is_ok());
        if !asked || timeout(END_LIMIT, self.child.wait()).await.is_err() {
            // It is gone already, or the drop kills it as well.
            let _ = self.child.kill().await;
        }
    }
}

/// A port of the loopback interface that nobody listens on. Another process may take it before its user does; who
/// starts a server there must notice.
pub(super) fn free_address() -> io::Result<SocketAddr> {
    std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
