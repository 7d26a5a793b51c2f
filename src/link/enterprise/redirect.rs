//! Where a redirect may lead. A node that does not lead the cluster answers with the address of the one that does, often
//! an internal one, and wants the same method, body and credentials there. Pure.
//!
//! The safe reading: over TLS only, a few in a row, and never to a host that could not show the cluster's own certificate.
//! The last is seen to by the connection: whatever the address, the far end must prove to be the configured cluster (its
//! pinned certificate, or one for the configured name that the configured CA signed) before anything is sent to it.

use hyper::Uri;

use crate::net::Endpoint;

/// How many in a row. One is what a cluster needs; a second covers a leader that changes meanwhile.
pub(super) const REDIRECTS_MAX: usize = 3;

/// Statuses that mean "ask there". 303 does not: it asks for another method.
pub(super) const STATUSES: [u16; 4] = [301, 302, 307, 308];

/// A place to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Where to connect.
    pub(super) endpoint: Endpoint,
    /// `host:port` as the `Host` header has it.
    pub(super) authority: String,
}

impl Place {
    /// A place by its URL's parts.
    pub(super) fn new(host: &str, port: u16) -> Place {
        let endpoint = Endpoint::Tcp {
            host: host.to_owned(),
            port,
        };
        Place {
            authority: endpoint.to_string(),
            endpoint,
        }
    }
}

/// Where `location` leads from `from`: the place, and the path to ask for there. The error says what is wrong with it.
pub(super) fn follow(location: &str, from: &Place) -> Result<(Place, String), &'static str> {
    let uri: Uri = location.parse().map_err(|_| "it is not a URL")?;
    let path = uri
        .path_and_query()
        .map_or("/", hyper::http::uri::PathAndQuery::as_str)
        .to_owned();
    match (uri.scheme_str(), uri.host()) {
        (None, None) if location.starts_with('/') && !location.starts_with("//") => {
            Ok((from.clone(), path))
        }
        (Some("https"), Some(host)) => {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            let carries_user = uri.authority().is_some_and(|it| it.as_str().contains('@'));
            if carries_user || host.is_empty() {
                return Err("it names a user, or no host");
            }
            let port = uri.port_u16().unwrap_or(HTTPS_PORT);
            Ok((Place::new(host, port), path))
        }
        (Some("http"), _) => Err("it leads away from TLS, and the credentials with it"),
        (Some(_) | None, _) => Err("it does not begin with https://"),
    }
}

/// What a URL without a port means.
const HTTPS_PORT: u16 = 443;

#[cfg(test)]
mod tests {
    use super::*;

    fn from() -> Place {
        Place::new("cluster.example", 9443)
    }

    #[test]
    fn a_redirect_names_a_place_and_a_path_or_a_path_alone() {
        assert_eq!(
            follow("https://10.0.0.2:9443/v1/bdbs/1?fields=uid", &from()),
            Ok((
                Place::new("10.0.0.2", 9443),
                "/v1/bdbs/1?fields=uid".to_owned()
            ))
        );
        assert_eq!(
            follow("https://[2001:db8::1]/v1", &from()),
            Ok((Place::new("2001:db8::1", 443), "/v1".to_owned()))
        );
        assert_eq!(
            follow("/v1/other", &from()),
            Ok((from(), "/v1/other".to_owned()))
        );
    }

    #[test]
    fn credentials_never_leave_tls() {
        let refused = follow("http://cluster.example:8080/v1/bdbs/1", &from());
        assert!(refused.is_err_and(|why| why.contains("TLS")));
        for wrong in [
            "ftp://cluster.example/",
            "//evil.example/v1",
            "https://user:pw@evil.example/",
            "https://",
            "evil.example:443",
            "",
        ] {
            assert!(follow(wrong, &from()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_address_of_ipv6_is_written_with_brackets() {
        assert_eq!(
            Place::new("2001:db8::1", 9443).authority,
            "[2001:db8::1]:9443"
        );
    }
}
