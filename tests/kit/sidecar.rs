//! The real binary as a child process, with a configuration of the test's making.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rustix::process::Signal;
use tempfile::TempDir;
use toml::{Table, Value};

use super::admin::Admin;
use super::log::complaints;
use super::process::{Process, free_address_beside};
use super::redis::RedisServer;
use super::wait::{LIMIT, eventually};

/// A free address may be taken before the sidecar listens there; so often a start is tried.
const START_ATTEMPTS: usize = 5;
/// What it says then.
const ADDRESS_TAKEN: &str = "Address already in use";

/// The binary under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_handover");

/// How a listener routes; `active`/`active` unless said otherwise.
#[derive(Debug, Clone, Default)]
pub struct Listener(Table);

/// A sidecar that has not been started.
#[derive(Debug, Clone, Default)]
pub struct SidecarBuilder {
    table: Table,
    listeners: Vec<(String, Table)>,
    expected: Vec<String>,
    any_warning: bool,
    environment: Vec<(String, String)>,
}

/// A running sidecar. Dropping it ends it, and fails the test if it logged what the test did not announce.
#[derive(Debug)]
pub struct Sidecar {
    directory: TempDir,
    listeners: BTreeMap<String, SocketAddr>,
    admin: Admin,
    expected: Vec<String>,
    any_warning: bool,
    environment: Vec<(String, String)>,
    process: Process,
}

/// The end of a sidecar that was to end by itself.
#[derive(Debug)]
pub struct Exit {
    pub code: Option<i32>,
    /// Everything it wrote, to either output.
    pub log: String,
}

impl Listener {
    pub fn new() -> Listener {
        Listener::default()
    }

    /// `active` or `target`
    #[must_use]
    pub fn reads(self, route: &str) -> Self {
        self.set("reads", route)
    }

    /// `active` or `refuse`
    #[must_use]
    pub fn writes(self, route: &str) -> Self {
        self.set("writes", route)
    }

    /// `client` or `proxy`
    #[must_use]
    pub fn auth(self, auth: &str) -> Self {
        self.set("auth", auth)
    }

    /// Any key of `[[listener]]`.
    #[must_use]
    pub fn set(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.0.insert(key.to_owned(), value.into());
        self
    }
}

impl SidecarBuilder {
    #[must_use]
    pub fn source(self, server: &RedisServer) -> Self {
        self.set("source.url", server.url())
            .set("source.name", "source")
    }

    #[must_use]
    pub fn target(self, server: &RedisServer) -> Self {
        self.set("target.url", server.url())
            .set("target.name", "target")
    }

    /// A listener on a free port; without any there is one that is called `app`.
    #[must_use]
    pub fn listener(mut self, name: &str, listener: Listener) -> Self {
        self.listeners.push((name.to_owned(), listener.0));
        self
    }

    /// Any other key, by its path in the file: `set("cutover.max_pause", "250ms")`.
    #[must_use]
    pub fn set(mut self, path: &str, value: impl Into<Value>) -> Self {
        let mut sections: Vec<&str> = path.split('.').collect();
        let key = sections.pop().unwrap();
        let section = sections
            .into_iter()
            .fold(&mut self.table, |table, section| {
                let entry = table
                    .entry(section)
                    .or_insert_with(|| Value::Table(Table::new()));
                entry.as_table_mut().unwrap()
            });
        section.insert(key.to_owned(), value.into());
        self
    }

    /// A text that at least one WARN or ERROR line must contain; such lines are then allowed.
    #[must_use]
    pub fn expect_warning(mut self, text: &str) -> Self {
        self.expected.push(text.to_owned());
        self
    }

    /// Any warning is allowed, and there may be none: for a test whose faults are random. Errors are not, nor panics.
    #[must_use]
    pub fn any_warning(mut self) -> Self {
        self.any_warning = true;
        self
    }

    /// An environment variable of the sidecar.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts it and waits until it is ready.
    pub fn start(self) -> Sidecar {
        for _ in 1..START_ATTEMPTS {
            let mut sidecar = self.clone().spawn();
            if sidecar.has_its_addresses() {
                sidecar.wait_until_ready();
                return sidecar;
            }
            sidecar.expected = vec![ADDRESS_TAKEN.to_owned()];
        }
        let mut sidecar = self.spawn();
        sidecar.wait_until_ready();
        sidecar
    }

    /// Starts it, does not wait: for a sidecar whose active side is out of reach.
    pub fn spawn(self) -> Sidecar {
        let directory = tempfile::tempdir().unwrap();
        let (listeners, admin) = self.write_configuration(directory.path());
        let process = spawn(directory.path(), &self.environment);
        let SidecarBuilder {
            expected,
            any_warning,
            environment,
            ..
        } = self;
        Sidecar {
            directory,
            listeners,
            admin: Admin { address: admin },
            expected,
            any_warning,
            environment,
            process,
        }
    }

    /// Starts it and waits until it has ended by itself.
    pub fn exit(self) -> Exit {
        let directory = tempfile::tempdir().unwrap();
        self.write_configuration(directory.path());
        let mut process = spawn(directory.path(), &self.environment);
        let code = process.wait(LIMIT).code();
        Exit {
            code,
            log: read_log(directory.path()),
        }
    }

    /// Writes the file; gives the addresses of the listeners and of the admin API.
    fn write_configuration(&self, directory: &Path) -> (BTreeMap<String, SocketAddr>, SocketAddr) {
        let mut addresses = BTreeMap::new();
        let mut listeners = self.listeners.clone();
        if listeners.is_empty() {
            listeners.push(("app".to_owned(), Table::new()));
        }
        let mut array = Vec::new();
        for (name, mut listener) in listeners {
            let address = free_address_beside(addresses.values());
            listener
                .entry("bind")
                .or_insert_with(|| address.to_string().into());
            listener.insert("name".to_owned(), name.clone().into());
            addresses.insert(name, address);
            array.push(Value::Table(listener));
        }
        let admin = free_address_beside(addresses.values());
        let mut table = self.table.clone();
        table.insert("listener".to_owned(), array.into());
        let mut default = |section: &str, key: &str, value: String| {
            let section = table
                .entry(section)
                .or_insert_with(|| Value::Table(Table::new()));
            section
                .as_table_mut()
                .unwrap()
                .entry(key)
                .or_insert(value.into());
        };
        default("admin", "bind", admin.to_string());
        default(
            "state",
            "dir",
            directory.join("state").to_string_lossy().into_owned(),
        );
        default("log", "format", "json".to_owned());
        default("log", "level", "debug".to_owned());
        // Tests have no time to wait for a calm that they make themselves.
        default("cutover", "stable_for", "100ms".to_owned());
        default("cutover", "min_interval", "10ms".to_owned());
        std::fs::create_dir_all(directory.join("state")).unwrap();
        std::fs::write(directory.join("handover.toml"), table.to_string()).unwrap();
        (addresses, admin)
    }
}

impl Sidecar {
    #[allow(clippy::new_ret_no_self)] // `Sidecar::new()…start()` is how a test draws its topology
    pub fn new() -> SidecarBuilder {
        SidecarBuilder::default()
    }

    /// Where a listener listens.
    pub fn addr(&self, listener: &str) -> SocketAddr {
        *self
            .listeners
            .get(listener)
            .unwrap_or_else(|| panic!("no listener {listener}"))
    }

    pub fn admin(&self) -> Admin {
        self.admin
    }

    /// The command line against this sidecar: `cli(&["status", "--json"])`.
    pub fn cli(&self, arguments: &[&str]) -> Output {
        let admin = format!("http://{}", self.admin.address);
        Command::new(PROGRAM)
            .args(arguments)
            .args(["--admin", &admin])
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// As [`SidecarBuilder::expect_warning`], for what is decided later.
    pub fn expect_warning(&mut self, text: &str) {
        self.expected.push(text.to_owned());
    }

    /// As [`SidecarBuilder::any_warning`], for what is decided later.
    pub fn any_warning(&mut self) {
        self.any_warning = true;
    }

    /// Everything it has written so far.
    pub fn log(&self) -> String {
        read_log(self.directory.path())
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The configuration file, to be changed before a reload or a restart.
    pub fn configuration(&self) -> PathBuf {
        self.directory.path().join("handover.toml")
    }

    pub fn state_directory(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    /// False where another process, or a connection, took one of its addresses before it did.
    fn has_its_addresses(&mut self) -> bool {
        let settled = eventually(LIMIT, || {
            self.admin.is_ready() || self.process.ended().is_some()
        });
        !settled || self.process.ended().is_none() || !self.log().contains(ADDRESS_TAKEN)
    }

    pub fn wait_until_ready(&mut self) {
        let ready = eventually(LIMIT, || {
            self.admin.is_ready() || self.process.ended().is_some()
        });
        assert!(
            ready && self.process.ended().is_none(),
            "the sidecar is not ready:\n{}",
            self.log()
        );
    }

    /// SIGHUP.
    pub fn reload(&self) {
        self.process.signal(Signal::HUP);
    }

    /// SIGTERM, and waits for the end; gives the exit code.
    pub fn terminate(&mut self) -> Option<i32> {
        self.process.signal(Signal::TERM);
        self.process.wait(LIMIT).code()
    }

    /// kill -9.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.process.ended().is_some()
    }

    /// Waits until it ends by itself.
    pub fn wait_for_exit(&mut self) -> Option<i32> {
        self.process.wait(LIMIT).code()
    }

    /// The same configuration and state in a new process, ready. End the old one first.
    pub fn start_again(&mut self) {
        self.process = spawn(self.directory.path(), &self.environment);
        self.wait_until_ready();
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        self.process.kill();
        if std::thread::panicking() {
            let _ = writeln!(
                std::io::stderr(),
                "--- log of the sidecar ---\n{}",
                self.log()
            );
            return;
        }
        let complaints = complaints(&self.log(), &self.expected, self.any_warning);
        assert!(
            complaints.is_empty(),
            "the sidecar's log:\n{}",
            complaints.join("\n")
        );
    }
}

/// The log is appended to, so that it tells of every process of this sidecar.
fn spawn(directory: &Path, environment: &[(String, String)]) -> Process {
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(directory.join("log"))
        .unwrap();
    let child = Command::new(PROGRAM)
        .arg("run")
        .arg("--config")
        .arg(directory.join("handover.toml"))
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    Process::new(child)
}

fn read_log(directory: &Path) -> String {
    std::fs::read_to_string(directory.join("log")).unwrap_or_default()
}
