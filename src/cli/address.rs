//! Where the sidecar's admin API is.

use std::path::PathBuf;
use std::str::FromStr;

use crate::net::Endpoint;

/// Where the admin API is unless told otherwise; the default of `[admin] bind`.
pub(super) const DEFAULT: &str = "http://127.0.0.1:9600";
/// The port of an `http` URL that names none.
const PORT_DEFAULT: u16 = 80;
/// The port of an `https` URL that names none.
const TLS_PORT_DEFAULT: u16 = 443;

/// What `--admin` takes: `http://HOST:PORT`, `https://HOST:PORT` or `unix:PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    /// Where to connect.
    pub(super) endpoint: Endpoint,
    /// How.
    pub(super) transport: Transport,
    /// What `Host` says.
    pub(super) host: String,
}

/// Whether the connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    /// It is not.
    Plain,
    /// With TLS.
    Tls,
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
                transport: Transport::Plain,
                host: "localhost".to_owned(),
            });
        }
        let (transport, rest) = match text.strip_prefix("https://") {
            Some(rest) => (Transport::Tls, rest),
            None => (
                Transport::Plain,
                text.strip_prefix("http://").unwrap_or(text),
            ),
        };
        let authority = rest.trim_end_matches('/');
        let (host, port) = split(authority, transport)
            .ok_or("write http://HOST:PORT, https://HOST:PORT or unix:PATH")?;
        Ok(Address {
            endpoint: Endpoint::Tcp {
                host: host.to_owned(),
                port,
            },
            transport,
            host: authority.to_owned(),
        })
    }
}

/// Host and port of `host`, `host:port`, `[v6]` or `[v6]:port`.
fn split(authority: &str, transport: Transport) -> Option<(&str, u16)> {
    if authority.is_empty() || authority.contains(['/', '@', '?', '#', ' ']) {
        return None;
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let port = match port.strip_prefix(':') {
        Some(digits) => digits.parse().ok()?,
        None if port.is_empty() => match transport {
            Transport::Plain => PORT_DEFAULT,
            Transport::Tls => TLS_PORT_DEFAULT,
        },
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
        assert_eq!(tcp("https://sidecar"), "sidecar 443");
        assert_eq!(tcp("https://[::1]:9600/"), "::1 9600");
        let transport = |text: &str| text.parse::<Address>().unwrap().transport;
        assert_eq!(transport("https://sidecar"), Transport::Tls);
        assert_eq!(transport("http://sidecar"), Transport::Plain);
        assert_eq!(transport("unix:/run/admin.sock"), Transport::Plain);
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
            "https://",
            "ftp://host",
            "unix:",
            "http://a/b",
            "::1",
        ] {
            assert!(wrong.parse::<Address>().is_err(), "{wrong}");
        }
    }
}
