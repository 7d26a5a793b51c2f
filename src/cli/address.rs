//! Where the sidecar's admin API is.

use std::path::PathBuf;
use std::str::FromStr;

use crate::net::Endpoint;

/// Where the admin API is unless told otherwise; the default of `[admin] bind`.
pub(super) const DEFAULT: &str = "http://127.0.0.1:9600";
/// The port of a URL that names none.
const PORT_DEFAULT: u16 = 80;

/// What `--admin` takes: `http://HOST:PORT` or `unix:PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    /// Where to connect.
    pub(super) endpoint: Endpoint,
    /// What `Host` says.
    pub(super) host: String,
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Address, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            // `unix:///path` is how some write it.
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() {
                return Err("a path must follow `unix:`".to_owned());
            }
            return Ok(Address {
                endpoint: Endpoint::Unix(PathBuf::from(path)),
                host: "localhost".to_owned(),
            });
        }
        if text.starts_with("https://") {
            return Err("https is not available in this version: use the sidecar's own machine, or a tunnel".to_owned());
        }
        let authority = text
            .strip_prefix("http://")
            .unwrap_or(text)
            .trim_end_matches('/');
        let (host, port) = split(authority).ok_or("write http://HOST:PORT or unix:PATH")?;
        Ok(Address {
            endpoint: Endpoint::Tcp {
                host: host.to_owned(),
                port,
            },
            host: authority.to_owned(),
        })
    }
}

/// Host and port of `host`, `host:port`, `[v6]` or `[v6]:port`.
fn split(authority: &str) -> Option<(&str, u16)> {
    if authority.is_empty() || authority.contains(['/', '@', '?', '#', ' ']) {
        return None;
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let port = match port.strip_prefix(':') {
        Some(digits) => digits.parse().ok()?,
        None if port.is_empty() => PORT_DEFAULT,
        None => return None,
    };
    (!host.is_empty()).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_url_or_a_socket() {
        let tcp = |text: &str| match text.parse::<Address>().map(|address| address.endpoint) {
            Ok(Endpoint::Tcp { host, port }) => format!("{host} {port}"),
            other => format!("{other:?}"),
        };
        assert_eq!(tcp(DEFAULT), "127.0.0.1 9600");
        assert_eq!(tcp("http://sidecar.local:81/"), "sidecar.local 81");
        assert_eq!(tcp("http://sidecar"), "sidecar 80");
        assert_eq!(tcp("localhost:9600"), "localhost 9600");
        assert_eq!(tcp("http://[::1]:9600"), "::1 9600");
        assert_eq!(tcp("[::1]"), "::1 80");
        for unix in ["unix:/run/admin.sock", "unix:///run/admin.sock"] {
            assert_eq!(
                unix.parse::<Address>().unwrap().endpoint,
                Endpoint::Unix("/run/admin.sock".into())
            );
        }
        for wrong in [
            "",
            "http://",
            "http://:9600",
            "http://host:port",
            "https://host",
            "unix:",
            "http://a/b",
            "::1",
        ] {
            assert!(wrong.parse::<Address>().is_err(), "{wrong}");
        }
    }
}
