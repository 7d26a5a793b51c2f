//! `bind`, with the `mode` and `owner` of a unix socket: where something listens.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use nix::unistd::{Group, User};

use super::section::Section;
use crate::net::{Bind, Owner};

/// What `bind` takes.
pub(super) const WANTED: &str =
    "must be an address and a port such as 127.0.0.1:6380, or unix:/path/of/socket";
/// What `owner` takes.
const OWNER_WANTED: &str =
    r#"must be a user, a user and a group, or a group: "app", "app:redis", ":redis""#;

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

/// `bind`, and the `mode` and `owner` of a unix socket.
pub(super) fn read(section: &mut Section<'_>, default: SocketMode) -> Option<Bind> {
    let bind = section.parsed("bind", WANTED, |value| parse_bind(value.as_str()?, default));
    let mode = section.parsed(
        "mode",
        r#"must be permission bits in octal, such as "0660""#,
        |value| {
            u32::from_str_radix(value.as_str()?, 8)
                .ok()
                .filter(|mode| (1..=0o777).contains(mode))
        },
    );
    let owner = section.checked("owner", |value| {
        value
            .as_str()
            .ok_or(OWNER_WANTED.to_owned())
            .and_then(owner)
    });
    match bind? {
        Bind::Unix {
            path, mode: usual, ..
        } => Some(Bind::Unix {
            path,
            mode: mode.unwrap_or(usual),
            owner: owner.unwrap_or_default(),
        }),
        tcp @ Bind::Tcp(_) => {
            let given = [("mode", mode.is_some()), ("owner", owner.is_some())];
            for (key, _) in given.iter().filter(|(_, given)| *given) {
                section.mistake(
                    key,
                    "has no effect on a TCP address: only unix sockets have one",
                );
            }
            Some(tcp)
        }
    }
}

fn parse_bind(text: &str, mode: SocketMode) -> Option<Bind> {
    if let Some(path) = text.strip_prefix("unix:") {
        // Both `unix:/path` and `unix:///path`.
        let path = path.strip_prefix("//").unwrap_or(path);
        return (!path.is_empty()).then(|| Bind::Unix {
            path: PathBuf::from(path),
            mode: mode.bits(),
            owner: Owner::default(),
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

/// `user`, `user:group` or `:group`, each by name or number.
fn owner(text: &str) -> Result<Owner, String> {
    let (user, group) = text.split_once(':').unwrap_or((text, ""));
    if (user.is_empty() && group.is_empty()) || group.contains(':') {
        return Err(OWNER_WANTED.to_owned());
    }
    Ok(Owner {
        user: number(user, "user", |name| {
            User::from_name(name).map(|found| found.map(|user| user.uid.as_raw()))
        })?,
        group: number(group, "group", |name| {
            Group::from_name(name).map(|found| found.map(|group| group.gid.as_raw()))
        })?,
    })
}

/// The number of a user or group; none where no name is given.
fn number(
    name: &str,
    kind: &str,
    look_up: impl FnOnce(&str) -> nix::Result<Option<u32>>,
) -> Result<Option<u32>, String> {
    if name.is_empty() {
        return Ok(None);
    }
    if let Ok(number) = name.parse() {
        return Ok(Some(number));
    }
    match look_up(name) {
        Ok(Some(number)) => Ok(Some(number)),
        Ok(None) => Err(format!(
            "must name a user and group of this system: there is no {kind} {name:?}"
        )),
        Err(error) => Err(format!(
            "must name a user and group of this system: the {kind} {name:?} cannot be looked up: {error}"
        )),
    }
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
