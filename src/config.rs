//! The file, turned into each room's checked settings. What comes out needs no further check; what is wrong comes out
//! all at once, each mistake with its place, its value (never a secret) and what would be right.
//!
//! Refuses to know: what the settings do. `config/handover.toml` shows every key; a file per group of sections reads
//! it, on top of `section`.

mod bind;
mod certificates;
mod enterprise;
mod listener;
mod migration;
mod mistake;
mod notation;
mod process;
mod reload;
mod section;
mod server;
mod spelling;
#[cfg(test)]
mod tests;
mod tls;
mod url;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::net::{Bind, Endpoint};
use crate::terms::Side;
use crate::{admin, cutover, link, session, traffic, upstream, verify};
use section::{Reading, Section};

pub use certificates::{Certificates, Found, Look};
pub use mistake::{Mistake, Mistakes};
pub use reload::{Change, Effect};

/// A whole configuration, checked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `[proxy]`: the data path.
    pub proxy: Proxy,
    /// `[[listener]]`: where clients connect. At least one; names and addresses differ.
    pub listeners: Vec<session::ListenerSettings>,
    /// `[source]`.
    pub source: upstream::Server,
    /// `[target]`; not the same endpoint as the source.
    pub target: upstream::Server,
    /// `[target] profile`: what kind of database it is.
    pub profile: traffic::Profile,
    /// `[[credentials]]`: clients whose identity differs on the target.
    pub credentials: Vec<session::CredentialMapping>,
    /// `[link]`: who replicates.
    pub link: link::Settings,
    /// `[cutover]`.
    pub bounds: cutover::Bounds,
    /// `[verify]`: how the sides are compared.
    pub comparison: verify::Options,
    /// `[state] dir`: where the journal is.
    pub state_dir: PathBuf,
    /// `[admin]`.
    pub admin: admin::Settings,
    /// `[log]`.
    pub log: Log,
    /// What of `[log]` concerns refused writes.
    pub audit: session::Audit,
}

/// `[proxy]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proxy {
    /// Worker threads. Default: one up to four cores, then a quarter of the cores, at most eight.
    pub workers: usize,
    /// Whether sessions share connections to the databases.
    pub lanes: Lanes,
    /// How long a shared connection may owe a reply before others use a fresh one. Default 50 ms.
    pub lane_stall: Duration,
    /// How long one attempt to reach a database may take. Default 2 s.
    pub connect_timeout: Duration,
    /// How long sessions may take to finish when the process is told to end. Default 10 s.
    pub drain_timeout: Duration,
    /// `[proxy.limits]`.
    pub limits: session::Limits,
}

/// Whether sessions share connections to the databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lanes {
    /// As long as they do nothing that needs one of their own.
    #[default]
    Auto,
    /// Each session has its own.
    Off,
}

/// `[log]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// How lines are written.
    pub format: LogFormat,
    /// The least severe lines that are written. Default info.
    pub level: tracing::Level,
    /// Keys are left out wherever they would be written: logs, the audit log, reports. Default false.
    pub redact_keys: bool,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON document a line.
    Json,
}

impl Settings {
    /// Reads and checks a file, with the process's environment.
    pub fn load(path: &Path) -> Result<Settings, Mistakes> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Mistakes(vec![Mistake {
                path: path.display().to_string(),
                value: None,
                wanted: format!("the file must be readable: {error}"),
            }])
        })?;
        Settings::parse(&text, &|name| std::env::var(name).ok())
    }

    /// Checks a file's text. Secrets and certificates are read from the files it names; `env` gives what `${NAME}`
    /// stands for.
    pub fn parse(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Settings, Mistakes> {
        let table = parse_toml(text)?;
        let reading = Reading::new(env);
        let settings = read(&mut reading.root(table));
        match (settings, reading.into_parts().0) {
            (Some(settings), mistakes) if mistakes.is_empty() => Ok(settings),
            (_, mistakes) => Err(Mistakes(mistakes)),
        }
    }

    /// What is allowed and may not be what was meant, a sentence each: for who checks the file, and for the log of a start.
    pub fn cautions(&self) -> Vec<String> {
        let in_the_clear = self.admin.in_the_clear().map(|address| {
            format!(
                "admin.bind: {address} can be reached from elsewhere, and without [admin.tls] whoever can listen on the way reads the token and may act with it: set [admin.tls], or bind to loopback or a unix socket"
            )
        });
        in_the_clear.into_iter().collect()
    }

    /// The two databases, in the order of [`Side::index`].
    pub fn servers(&self) -> [&upstream::Server; 2] {
        [&self.source, &self.target]
    }
}

/// The parser's own message would quote the line, which may hold a secret.
fn parse_toml(text: &str) -> Result<toml::Table, Mistakes> {
    text.parse().map_err(|error: toml::de::Error| {
        let start = error.span().map_or(0, |span| span.start);
        let line = 1 + text
            .bytes()
            .take(start)
            .filter(|byte| *byte == b'\n')
            .count();
        let wanted = format!("must be TOML: {}", error.message());
        Mistakes(vec![Mistake {
            path: format!("line {line}"),
            value: None,
            wanted,
        }])
    })
}

/// Reads every section, whatever is wrong with the ones before. What a reader gives after it has noted a mistake is
/// never used, so it may be anything.
fn read(root: &mut Section<'_>) -> Option<Settings> {
    // A file that counts on a fleet must not start a lone sidecar.
    root.later("fleet");
    let proxy = process::read_proxy(root);
    let listeners = listener::read(root);
    let source = server::read(
        root.section(Side::Source.as_str()),
        Side::Source,
        proxy.connect_timeout,
    );
    let mut target = root.section(Side::Target.as_str());
    let profile = server::read_profile(&mut target);
    let target = server::read(target, Side::Target, proxy.connect_timeout);
    let credentials = listener::read_credentials(root);
    let link = migration::read_link(root);
    let bounds = migration::read_bounds(root, link.as_ref());
    let comparison = migration::read_comparison(root);
    let state_dir = process::read_state_dir(root);
    let admin = process::read_admin(root);
    let (log, audit) = process::read_log(root);
    check_addresses(
        root,
        &listeners,
        &admin.bind,
        [source.as_ref(), target.as_ref()],
    );
    let (source, target, link) = (source?, target?, link?);
    let profile = profile.unwrap_or(match link {
        link::Settings::ReplicaOf | link::Settings::External { .. } => traffic::Profile::Redis,
        // Whether the database is an Active-Active one is seen at run time only: the stricter rules.
        link::Settings::Enterprise(_) => traffic::Profile::ActiveActive,
    });
    Some(Settings {
        proxy,
        listeners,
        source,
        target,
        profile,
        credentials,
        link,
        bounds,
        comparison,
        state_dir,
        admin,
        log,
        audit,
    })
}

/// The rules between sections: no two listen at one address, no side is the other side or this proxy itself. Names are
/// compared as they are written; whether two names mean one server is seen at run time.
fn check_addresses(
    root: &Section<'_>,
    listeners: &[session::ListenerSettings],
    admin: &Bind,
    servers: [Option<&upstream::Server>; 2],
) {
    if let [Some(source), Some(target)] = servers
        && same_endpoint(&source.dial.endpoint, &target.dial.endpoint)
    {
        let endpoint = target.dial.endpoint.to_string();
        root.mistake_with(
            "target.url",
            &endpoint,
            "must not be the source: the target would be flushed",
        );
    }
    for (at, listener) in listeners.iter().enumerate() {
        let key = format!("listener[{at}].bind");
        let written = bind::written(&listener.bind);
        if bind::collide(&listener.bind, admin) {
            root.mistake_with(&key, &written, "must differ from that of [admin]");
        }
        for server in servers.into_iter().flatten() {
            if leads_to(&server.dial.endpoint, &listener.bind) {
                root.mistake_with(
                    &key,
                    &written,
                    format!("must differ from the url of [{}]", server.side),
                );
            }
        }
    }
}

fn same_endpoint(a: &Endpoint, b: &Endpoint) -> bool {
    match (a, b) {
        (
            Endpoint::Tcp {
                host: a,
                port: a_port,
            },
            Endpoint::Tcp {
                host: b,
                port: b_port,
            },
        ) => a_port == b_port && a.eq_ignore_ascii_case(b),
        (a, b) => a == b,
    }
}

fn leads_to(endpoint: &Endpoint, bind: &Bind) -> bool {
    match (endpoint, bind) {
        (Endpoint::Tcp { host, port }, Bind::Tcp(address)) => {
            let host = if host.eq_ignore_ascii_case("localhost") {
                "127.0.0.1"
            } else {
                host
            };
            *port == address.port() && host.parse() == Ok(address.ip())
        }
        (Endpoint::Unix(a), Bind::Unix { path: b, .. }) => a == b,
        (Endpoint::Tcp { .. }, Bind::Unix { .. }) | (Endpoint::Unix(_), Bind::Tcp(_)) => false,
    }
}
