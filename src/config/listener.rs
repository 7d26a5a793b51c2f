//! `[[listener]]` and `[[credentials]]`: where clients connect, and who they are on the target.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use super::section::Section;
use super::tls::note;
use crate::gate::{ReadRoute, Routes, WriteRoute};
use crate::net::Bind;
use crate::net::tls::{Server, ServerFiles};
use crate::session::{Auth, CredentialMapping, ListenerSettings};
use crate::terms::{Identity, ListenerId, Secret};

/// Characters of a listener's name: it is a label of metrics.
const NAME_MAX: usize = 64;

const BIND_WANTED: &str =
    "must be an address and a port such as 127.0.0.1:6380, or unix:/path/of/socket";

/// Whether and by whom a new unix socket can be used by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SocketMode {
    /// The owner and the group: applications seldom run as the same user.
    Group,
    /// The owner alone.
    Owner,
}

impl SocketMode {
    fn bits(self) -> u32 {
        match self {
            SocketMode::Group => 0o660,
            SocketMode::Owner => 0o600,
        }
    }
}

/// Reads all listeners, and holds their names and addresses against one another.
pub(super) fn read(root: &mut Section<'_>) -> Vec<ListenerSettings> {
    if !root.has("listener") {
        root.mistake(
            "listener",
            "is missing: at least one [[listener]] is needed",
        );
    }
    let mut listeners: Vec<ListenerSettings> = Vec::new();
    for (at, mut section) in root.sections("listener").into_iter().enumerate() {
        let Some(listener) = read_one(&mut section, ListenerId(at)) else {
            continue;
        };
        for earlier in &listeners {
            let ListenerId(other) = earlier.id;
            if earlier.name == listener.name {
                section.mistake_with(
                    "name",
                    &listener.name,
                    format!("must differ from that of listener[{other}]"),
                );
            }
            if collide(&earlier.bind, &listener.bind) {
                section.mistake_with(
                    "bind",
                    &written(&listener.bind),
                    format!("must differ from that of listener[{other}]"),
                );
            }
        }
        listeners.push(listener);
    }
    listeners
}

fn read_one(section: &mut Section<'_>, id: ListenerId) -> Option<ListenerSettings> {
    section.require("bind", BIND_WANTED);
    let bind = read_bind(section, SocketMode::Group);
    let name = section.parsed(
        "name",
        format!("must be a text of 1 to {NAME_MAX} printable characters"),
        |value| {
            let fits = |name: &&str| {
                (1..=NAME_MAX).contains(&name.chars().count()) && !name.contains(char::is_control)
            };
            value.as_str().filter(fits).map(str::to_owned)
        },
    );
    let routes = Routes {
        reads: section
            .choice(
                "reads",
                &[("active", ReadRoute::Active), ("target", ReadRoute::Target)],
            )
            .unwrap_or_default(),
        writes: section
            .choice(
                "writes",
                &[
                    ("active", WriteRoute::Active),
                    ("refuse", WriteRoute::Refuse),
                ],
            )
            .unwrap_or_default(),
    };
    let auth = section
        .choice("auth", &[("client", Auth::Client), ("proxy", Auth::Proxy)])
        .unwrap_or_default();
    let tls = read_tls(section);
    let bind = bind?;
    let name = name.unwrap_or_else(|| written(&bind));
    Some(ListenerSettings {
        id,
        name,
        bind,
        routes,
        auth,
        tls,
    })
}

/// `bind`, and the `mode` of a unix socket.
pub(super) fn read_bind(section: &mut Section<'_>, default: SocketMode) -> Option<Bind> {
    let bind = section.parsed("bind", BIND_WANTED, |value| {
        parse_bind(value.as_str()?, default)
    });
    let mode = section.parsed(
        "mode",
        r#"must be permission bits in octal, such as "0660""#,
        |value| {
            u32::from_str_radix(value.as_str()?, 8)
                .ok()
                .filter(|mode| (1..=0o777).contains(mode))
        },
    );
    match (bind, mode) {
        (Some(Bind::Unix { path, .. }), Some(mode)) => Some(Bind::Unix { path, mode }),
        (bind @ Some(Bind::Tcp(_)), Some(_)) => {
            section.mistake(
                "mode",
                "has no effect on a TCP address: only unix sockets have one",
            );
            bind
        }
        (bind, _) => bind,
    }
}

fn parse_bind(text: &str, mode: SocketMode) -> Option<Bind> {
    if let Some(path) = text.strip_prefix("unix:") {
        // Both `unix:/path` and `unix:///path`.
        let path = path.strip_prefix("//").unwrap_or(path);
        return (!path.is_empty()).then(|| Bind::Unix {
            path: PathBuf::from(path),
            mode: mode.bits(),
        });
    }
    if let Some(port) = text.strip_prefix("localhost:") {
        return Some(Bind::Tcp(SocketAddr::from((
            Ipv4Addr::LOCALHOST,
            port.parse().ok()?,
        ))));
    }
    text.parse().ok().map(Bind::Tcp)
}

fn read_tls(section: &mut Section<'_>) -> Option<Arc<Server>> {
    let present = section.has("tls");
    let mut tls = section.section("tls");
    if present {
        tls.require("cert", "a certificate chain is needed");
        tls.require("key", "the key of cert is needed");
    }
    let (cert, key, client_ca) = (tls.file("cert"), tls.file("key"), tls.file("client_ca"));
    let files = ServerFiles {
        cert: cert?,
        key: key?,
        client_ca,
    };
    Server::load(&files)
        .map(Arc::new)
        .map_err(|errors| note(&tls, &errors))
        .ok()
}

/// Reads `[[credentials]]`; who has no user name is the default user.
pub(super) fn read_credentials(root: &mut Section<'_>) -> Vec<CredentialMapping> {
    let mut mappings: Vec<CredentialMapping> = Vec::new();
    for mut section in root.sections("credentials") {
        section.require(
            "client_password_file",
            "a file with the client's password is needed",
        );
        section.require(
            "target_password_file",
            "a file with the password on the target is needed",
        );
        let client = read_identity(&mut section, "client_user", "client_password_file");
        let target = read_identity(&mut section, "target_user", "target_password_file");
        let (Some(client), Some(target)) = (client, target) else {
            continue;
        };
        if mappings.iter().any(|earlier| earlier.client == client) {
            section.mistake("", "maps the same user and password as an earlier one");
        }
        mappings.push(CredentialMapping { client, target });
    }
    mappings
}

fn read_identity(
    section: &mut Section<'_>,
    user: &'static str,
    password: &'static str,
) -> Option<Identity> {
    let name = section
        .text(user)
        .map(|name| Secret::new(name.into_bytes()));
    let password = section.secret(password)?;
    Some(match name {
        Some(name) => Identity::User { name, password },
        None => Identity::Password(password),
    })
}

/// Whether the second bind would fail. Port 0 is a free port each time.
pub(super) fn collide(a: &Bind, b: &Bind) -> bool {
    match (a, b) {
        (Bind::Tcp(a), Bind::Tcp(b)) => {
            let wild = |ip: IpAddr| ip.is_unspecified();
            a.port() != 0
                && a.port() == b.port()
                && (a.ip() == b.ip() || wild(a.ip()) || wild(b.ip()))
        }
        (Bind::Unix { path: a, .. }, Bind::Unix { path: b, .. }) => a == b,
        (Bind::Tcp(_), Bind::Unix { .. }) | (Bind::Unix { .. }, Bind::Tcp(_)) => false,
    }
}

/// As it stands in the file.
pub(super) fn written(bind: &Bind) -> String {
    match bind {
        Bind::Tcp(address) => address.to_string(),
        Bind::Unix { path, .. } => format!("unix:{}", path.display()),
    }
}
