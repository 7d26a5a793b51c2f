//! The URLs by which a cluster finds a source. The scheme is always `redis://`: TLS has fields of its own. Pure.
//!
//! Not documented is a named ACL user of an open-source server; the form with a user is documented for the sources that
//! are Redis Enterprise databases, and is used for both. The default user is left out, as the documentation writes it.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode, utf8_percent_encode};

use super::failure::Error;
use super::settings::SourceServer;
use crate::link::follow::address_of;
use crate::net::Endpoint;
use crate::terms::{Identity, Secret};
use crate::upstream::Server;

/// All but what RFC 3986 calls unreserved.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The user whose name a URL leaves out.
const DEFAULT_USER: &[u8] = b"default";

/// The user by which one Redis Enterprise database reads another.
const INTERNAL_USER: &str = "admin";

impl SourceServer {
    /// The configured source, as the cluster is to find it.
    pub(super) fn of(server: &Server) -> Result<SourceServer, Error> {
        let (host, port) = address_of(server).map_err(|_| Error::NoSourceAddress {
            source_name: server.name.clone(),
        })?;
        let (user, password) = match &server.identity {
            Identity::Anonymous => (None, None),
            Identity::Password(password) => (None, Some(password.clone())),
            Identity::User { name, password } => (Some(name.clone()), Some(password.clone())),
        };
        Ok(SourceServer {
            host,
            port,
            user,
            password,
        })
    }

    /// A Redis Enterprise database, by an endpoint and its internal password.
    pub(super) fn of_database(host: String, port: u16, password: Secret) -> SourceServer {
        SourceServer {
            host,
            port,
            user: Some(Secret::new(INTERNAL_USER)),
            password: Some(password),
        }
    }

    /// Who Handover is there.
    pub(super) fn identity(&self) -> Identity {
        match (&self.user, &self.password) {
            (None, None) => Identity::Anonymous,
            (None, Some(password)) => Identity::Password(password.clone()),
            (Some(name), password) => Identity::User {
                name: name.clone(),
                password: password.clone().unwrap_or_else(|| Secret::new("")),
            },
        }
    }

    /// Whether it is read by a user other than the default one.
    pub(super) fn names_a_user(&self) -> bool {
        self.user
            .as_ref()
            .is_some_and(|user| user.expose() != DEFAULT_USER)
    }

    /// Where it is.
    pub(super) fn endpoint(&self) -> Endpoint {
        Endpoint::Tcp {
            host: self.host.clone(),
            port: self.port,
        }
    }

    /// The URL, with its password: for the request that sets it, and nothing else.
    pub(super) fn url(&self) -> String {
        let escape = |secret: &Secret| percent_encode(secret.expose(), ESCAPED).to_string();
        let user = self.user.as_ref().filter(|_| self.names_a_user());
        let credentials = match (user, &self.password) {
            (None, None) => String::new(),
            (user, password) => format!(
                "{}:{}@",
                user.map(escape).unwrap_or_default(),
                password.as_ref().map(escape).unwrap_or_default()
            ),
        };
        format!("redis://{credentials}{}", self.endpoint())
    }
}

/// The place in a URL that the API shows: `host:port`, without what stands before the `@`.
pub(super) fn place_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    rest.split('/').next().unwrap_or(rest)
}

/// A part of a path.
pub(super) fn path_part(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(user: Option<&str>, password: Option<&str>) -> SourceServer {
        SourceServer {
            host: "10.0.0.7".to_owned(),
            port: 6379,
            user: user.map(Secret::new),
            password: password.map(Secret::new),
        }
    }

    #[track_caller]
    fn check(source: &SourceServer, expected: &str) {
        assert_eq!(source.url(), expected);
    }

    #[test]
    fn every_documented_form_is_written() {
        check(&server(None, None), "redis://10.0.0.7:6379");
        check(&server(None, Some("plain")), "redis://:plain@10.0.0.7:6379");
        check(
            &SourceServer::of_database(
                "redis-1.old.example".into(),
                12000,
                Secret::new("internal"),
            ),
            "redis://admin:internal@redis-1.old.example:12000",
        );
    }

    #[test]
    fn what_is_special_in_a_password_is_escaped() {
        check(
            &server(None, Some("p@s:s/w#r?d%&+ \"ä")),
            "redis://:p%40s%3As%2Fw%23r%3Fd%25%26%2B%20%22%C3%A4@10.0.0.7:6379",
        );
    }

    #[test]
    fn the_default_user_is_left_out_and_another_is_named() {
        check(
            &server(Some("default"), Some("pw")),
            "redis://:pw@10.0.0.7:6379",
        );
        check(
            &server(Some("re:pl"), Some("pw")),
            "redis://re%3Apl:pw@10.0.0.7:6379",
        );
    }

    #[test]
    fn an_address_of_ipv6_has_brackets() {
        let source = SourceServer {
            host: "2001:db8::1".to_owned(),
            ..server(None, None)
        };
        check(&source, "redis://[2001:db8::1]:6379");
    }

    #[test]
    fn a_shown_url_is_its_place() {
        assert_eq!(place_of("redis://admin:p@w@host:1"), "host:1");
        assert_eq!(place_of("redis://host:1/0"), "host:1");
        assert_eq!(place_of("orders: redis://host:1"), "host:1");
        assert_eq!(place_of("host:1"), "host:1");
    }
}
