//! What a web page may do here with the browser of somebody who can reach this: a page from elsewhere nothing at all,
//! our own everything that its user may.
//!
//! Two ways are closed. A page of another site can send simple requests to any address, though it does not see the
//! answers: browsers say on whose behalf they act, in `Origin` and `Sec-Fetch-Site`. And a page can have the name it came
//! from point to this machine afterwards, and is then of one origin with us: so what needs no token is asked for under a
//! name that nobody else's name server decides.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName, header};

use super::access::Right;
use super::{Failure, FailureKind};
use crate::net::Bind;

/// On whose behalf a browser acts: `same-origin`, `same-site`, `cross-site`, or `none` for its user.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// What for: `navigate` where its user goes there.
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// The names under which we are known.
#[derive(Debug, Clone)]
pub(super) struct Pages {
    /// Those of the configuration, beside addresses and `localhost`.
    hosts: Vec<String>,
    /// Whether a browser can connect at all.
    browsers: Browsers,
}

/// Whether a browser can connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Browsers {
    /// Over TCP.
    Connect,
    /// Not to a unix socket, whose clients call the host what they like.
    Cannot,
}

impl Pages {
    pub(super) fn new(bind: &Bind, hosts: &[String]) -> Pages {
        Pages {
            hosts: hosts.to_vec(),
            browsers: match bind {
                Bind::Tcp(_) => Browsers::Connect,
                Bind::Unix { .. } => Browsers::Cannot,
            },
        }
    }

    /// Refuses what a browser sends for a page that is not ours. Its user may follow a link here.
    pub(super) fn refuse_foreign(&self, right: Right, headers: &HeaderMap) -> Result<(), Failure> {
        let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or(""));
        let follows_link = right == Right::Read && text(SEC_FETCH_MODE) == Some("navigate");
        let from_elsewhere = matches!(text(SEC_FETCH_SITE), Some("cross-site" | "same-site"));
        let of_foreign_origin = text(header::ORIGIN)
            .is_some_and(|origin| !self.is_ours(origin, text(header::HOST).unwrap_or("")));
        if (from_elsewhere && !follows_link) || of_foreign_origin {
            return Err(Failure::new(
                FailureKind::Forbidden,
                "foreign_origin",
                "this request comes from another site's page",
            ));
        }
        Ok(())
    }

    /// Refuses a `Host` that could be a foreign name which was pointed here. What sends none is no browser.
    pub(super) fn refuse_foreign_host(&self, headers: &HeaderMap) -> Result<(), Failure> {
        let Some(host) = headers.get(header::HOST) else {
            return Ok(());
        };
        let host = host.to_str().unwrap_or("");
        let name = name_of(host);
        let known = self.browsers == Browsers::Cannot
            || name.eq_ignore_ascii_case("localhost")
            || name.parse::<IpAddr>().is_ok()
            || self.is_configured(name);
        if known {
            return Ok(());
        }
        Err(Failure::new(
            FailureKind::Forbidden,
            "foreign_host",
            format!(
                "{name:?} is not known to be a name of this sidecar: use its address, send a token, or add the name to \
                 [admin] hosts"
            ),
        ))
    }

    /// Whether the page was served by us: under the host that it now asks, or under a configured name.
    fn is_ours(&self, origin: &str, host: &str) -> bool {
        origin.split_once("://").is_some_and(|(_, authority)| {
            authority == host || self.is_configured(name_of(authority))
        })
    }

    fn is_configured(&self, name: &str) -> bool {
        self.hosts
            .iter()
            .any(|host| host.eq_ignore_ascii_case(name))
    }
}

/// A host without its port, and an address without its brackets.
fn name_of(authority: &str) -> &str {
    let name = match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => authority,
    };
    name.trim_start_matches('[').trim_end_matches(']')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(hosts: &[&str]) -> Pages {
        let bind = Bind::Tcp("127.0.0.1:9600".parse().unwrap());
        let hosts: Vec<_> = hosts.iter().map(ToString::to_string).collect();
        Pages::new(&bind, &hosts)
    }

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.clone(), value.parse().unwrap()))
            .collect()
    }

    fn code(outcome: Result<(), Failure>) -> &'static str {
        outcome.map_or_else(|failure| failure.code, |()| "ok")
    }

    #[test]
    fn a_page_of_another_origin_may_do_nothing() {
        let from = |origin, host| {
            let headers = headers(&[(header::ORIGIN, origin), (header::HOST, host)]);
            let pages = pages(&["handover.example"]);
            let [read, act] =
                [Right::Read, Right::Act].map(|right| code(pages.refuse_foreign(right, &headers)));
            assert_eq!(read, act);
            act
        };
        assert_eq!(from("http://127.0.0.1:9600", "127.0.0.1:9600"), "ok");
        assert_eq!(from("https://localhost:9600", "localhost:9600"), "ok");
        assert_eq!(from("http://[::1]:9600", "[::1]:9600"), "ok");
        assert_eq!(from("https://handover.example", "127.0.0.1:9600"), "ok");
        let refused = "foreign_origin";
        assert_eq!(from("http://evil.example", "127.0.0.1:9600"), refused);
        assert_eq!(from("http://127.0.0.1:3000", "127.0.0.1:9600"), refused);
        assert_eq!(from("null", "127.0.0.1:9600"), refused);
        assert_eq!(from("null", "null"), refused);
    }

    #[test]
    fn a_browser_that_acts_for_another_site_is_refused_unless_its_user_follows_a_link() {
        let from = |right, site, mode| {
            let headers = headers(&[(SEC_FETCH_SITE, site), (SEC_FETCH_MODE, mode)]);
            code(pages(&[]).refuse_foreign(right, &headers))
        };
        assert_eq!(from(Right::Act, "same-origin", "cors"), "ok");
        assert_eq!(from(Right::Read, "none", "navigate"), "ok");
        assert_eq!(from(Right::Read, "cross-site", "navigate"), "ok");
        let refused = "foreign_origin";
        assert_eq!(from(Right::Act, "cross-site", "navigate"), refused);
        assert_eq!(from(Right::Read, "cross-site", "no-cors"), refused);
        assert_eq!(from(Right::Read, "same-site", "cors"), refused);
    }

    #[test]
    fn a_name_that_could_have_been_pointed_here_is_refused() {
        let host = |name: &str| {
            let headers = headers(&[(header::HOST, name)]);
            code(pages(&["handover.example"]).refuse_foreign_host(&headers))
        };
        for known in [
            "127.0.0.1:9600",
            "10.1.2.3",
            "[::1]:9600",
            "localhost:9600",
            "LOCALHOST",
            "handover.example:9600",
            "Handover.Example",
        ] {
            assert_eq!(host(known), "ok", "{known}");
        }
        for foreign in [
            "evil.example:9600",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "handover.example.evil.example",
            "",
            ":9600",
        ] {
            assert_eq!(host(foreign), "foreign_host", "{foreign}");
        }
        assert_eq!(
            code(pages(&[]).refuse_foreign_host(&HeaderMap::new())),
            "ok"
        );
        let socket = Bind::Unix {
            path: "/run/admin.sock".into(),
            mode: 0o600,
            owner: crate::net::Owner::default(),
        };
        let of_curl = headers(&[(header::HOST, "anything")]);
        assert_eq!(
            code(Pages::new(&socket, &[]).refuse_foreign_host(&of_curl)),
            "ok"
        );
    }
}
