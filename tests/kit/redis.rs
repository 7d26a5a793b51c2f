//! Real `redis-server` processes.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use super::client::Client;
use super::process::{Process, free_address};
use super::reply::Reply;
use super::wait::{LIMIT, eventually};

/// Another process may take the free port first; so often a start is tried.
const START_ATTEMPTS: usize = 5;

/// What a server is started with.
#[derive(Debug, Clone)]
pub struct RedisOptions {
    program: OsString,
    password: Option<String>,
    users: Vec<String>,
    arguments: Vec<String>,
    port: Option<u16>,
}

/// A running server. Dropping it kills it and removes its files.
#[derive(Debug)]
pub struct RedisServer {
    options: RedisOptions,
    address: SocketAddr,
    directory: TempDir,
    process: Process,
}

impl Default for RedisOptions {
    fn default() -> RedisOptions {
        RedisOptions {
            program: "redis-server".into(),
            password: None,
            users: Vec::new(),
            arguments: Vec::new(),
            port: None,
        }
    }
}

impl RedisOptions {
    /// Another server program than `redis-server` from PATH.
    #[must_use]
    pub fn program(mut self, path: impl Into<OsString>) -> Self {
        self.program = path.into();
        self
    }

    /// The password of the default user (`requirepass`, and `masterauth` for replication).
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// An ACL user, in the words of ACL SETUSER: `alice on >secret ~* +@all`.
    #[must_use]
    pub fn user(mut self, rule: &str) -> Self {
        self.users.push(rule.to_owned());
        self
    }

    /// Further arguments: `["--maxmemory", "1mb"]`.
    #[must_use]
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments
            .extend(arguments.iter().map(ToString::to_string));
        self
    }

    /// At this port, and no free one instead.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Starts it, waits until it answers.
    pub fn start(self) -> RedisServer {
        let directory = tempfile::tempdir().unwrap();
        for _ in 0..START_ATTEMPTS {
            let address = self.port.map_or_else(free_address, |port| {
                SocketAddr::from((Ipv4Addr::LOCALHOST, port))
            });
            let mut process = self.spawn(address, &directory);
            if self.answers(address, &mut process) {
                return RedisServer {
                    options: self,
                    address,
                    directory,
                    process,
                };
            }
        }
        let log = std::fs::read_to_string(directory.path().join("log")).unwrap_or_default();
        panic!("{} does not start:\n{log}", self.program.to_string_lossy());
    }

    fn spawn(&self, address: SocketAddr, directory: &TempDir) -> Process {
        let mut command = Command::new(&self.program);
        command
            .args([
                "--port",
                &address.port().to_string(),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--appendonly",
                "no",
            ])
            .args([
                "--repl-diskless-sync-delay",
                "0",
                "--logfile",
                "log",
                "--enable-debug-command",
                "yes",
                "--dir",
            ])
            .arg(directory.path())
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .current_dir(directory.path());
        if let Some(password) = &self.password {
            command.args(["--requirepass", password, "--masterauth", password]);
        }
        for user in &self.users {
            command.arg("--user").args(user.split(' '));
        }
        let child = command.spawn().unwrap_or_else(|error| {
            panic!(
                "cannot start {}: {error}; install it (Debian, Ubuntu: apt-get install redis-server)",
                self.program.to_string_lossy()
            )
        });
        Process::new(child)
    }

    /// Whether *this* process answers there: an answer from a server of another test is none.
    fn answers(&self, address: SocketAddr, process: &mut Process) -> bool {
        let own = format!("process_id:{}", process.id());
        let mut answered = false;
        let settled = eventually(LIMIT, || {
            answered = self
                .info(address)
                .is_some_and(|info| info.lines().any(|line| line == own));
            answered || process.ended().is_some()
        });
        settled && answered
    }

    fn info(&self, address: SocketAddr) -> Option<String> {
        let mut client = Client::try_connect(address).ok()?;
        if let Some(password) = &self.password {
            client.try_call(&["AUTH", password]).ok()?;
        }
        match client.try_call(&["INFO", "server"]).ok()? {
            Reply::Bulk(bytes) => String::from_utf8(bytes).ok(),
            _ => None,
        }
    }
}

impl RedisServer {
    /// `redis-server` from PATH, empty, without a password.
    pub fn start() -> RedisServer {
        RedisServer::options().start()
    }

    /// What else can be said about it, ending with [`RedisOptions::start`].
    pub fn options() -> RedisOptions {
        RedisOptions::default()
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// `redis://…` with the password, for a configuration.
    pub fn url(&self) -> String {
        match &self.options.password {
            Some(password) => format!("redis://:{password}@{}", self.address),
            None => format!("redis://{}", self.address),
        }
    }

    /// A connection past the sidecar, authenticated.
    pub fn client(&self) -> Client {
        let mut client = Client::connect(self.address);
        if let Some(password) = &self.options.password {
            assert_eq!(client.call(&["AUTH", password]), Reply::ok());
        }
        client
    }

    /// One line of INFO: `info("replication", "role")`.
    pub fn info(&self, section: &str, field: &str) -> Option<String> {
        let info = self.client().call(&["INFO", section]).into_text();
        info.lines()
            .find_map(|line| Some(line.strip_prefix(field)?.strip_prefix(':')?.to_owned()))
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// kill -9.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.process.ended().is_some()
    }

    /// Freezes it (SIGSTOP): connections stay, nothing answers.
    pub fn stop(&self) {
        self.process.signal(Signal::STOP);
    }

    /// Thaws it (SIGCONT).
    pub fn cont(&self) {
        self.process.signal(Signal::CONT);
    }

    /// kill -9, then a new process at the same address, with what the old one has put on the disk (by default nothing).
    pub fn restart(&mut self) {
        self.kill();
        // The port is free at once but for a moment in which the kernel still closes the old sockets.
        let restarted = eventually(Duration::from_secs(10), || {
            self.process = self.options.spawn(self.address, &self.directory);
            self.options.answers(self.address, &mut self.process)
        });
        assert!(restarted, "no restart at {}", self.address);
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // A frozen process dies of SIGKILL as well; nothing more is needed than what `Process` does.
        self.process.kill();
    }
}
