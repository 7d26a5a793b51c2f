//! Who may do what.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;

use super::{Failure, FailureKind, Settings};
use crate::net::Bind;
use crate::terms::Secret;

/// The rules, made from the settings.
#[derive(Debug, Clone)]
pub(super) struct Access {
    /// What acting needs, and reading where `reading_needs_token`.
    token: Option<Secret>,
    /// Whether people from elsewhere can reach the listener.
    reach: Reach,
}

/// From where the listener can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// From this machine.
    Machine,
    /// From the network.
    Network,
}

/// What a request wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Right {
    /// To look.
    Read,
    /// To change something.
    Act,
}

impl Access {
    /// None where the settings would let anybody on the network act.
    pub(super) fn new(settings: &Settings) -> Option<Access> {
        let reach = match &settings.bind {
            Bind::Tcp(address) if !address.ip().to_canonical().is_loopback() => Reach::Network,
            Bind::Tcp(_) | Bind::Unix { .. } => Reach::Machine,
        };
        (reach == Reach::Machine || settings.token.is_some()).then(|| Access {
            token: settings.token.clone(),
            reach,
        })
    }

    fn check(&self, right: Right, headers: &HeaderMap) -> Result<(), Failure> {
        if right == Right::Act {
            refuse_foreign_pages(headers)?;
        }
        match (&self.token, self.reach, right) {
            (None, _, _) | (Some(_), Reach::Machine, Right::Read) => Ok(()),
            (Some(token), Reach::Network, _) | (Some(token), Reach::Machine, Right::Act) => {
                refuse_without(token, headers)
            }
        }
    }
}

/// The layer in front of every path under it.
pub(super) async fn guard(State(access): State<Access>, request: Request, next: Next) -> Response {
    let right = match *request.method() {
        Method::GET | Method::HEAD => Right::Read,
        _ => Right::Act,
    };
    match access.check(right, request.headers()) {
        Ok(()) => next.run(request).await,
        Err(failure) => failure.into_response(),
    }
}

fn refuse_without(token: &Secret, headers: &HeaderMap) -> Result<(), Failure> {
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.as_bytes().split_at_checked("Bearer ".len()))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"Bearer "));
    match given {
        None => Err(Failure::new(
            FailureKind::Unauthenticated,
            "token_missing",
            "a token is needed: send it as `Authorization: Bearer TOKEN` (--token-file FILE on the command line)",
        )),
        Some((_, given)) if bool::from(given.ct_eq(token.expose())) => Ok(()),
        Some(_) => Err(Failure::new(
            FailureKind::Unauthenticated,
            "token_wrong",
            "the token is not the right one",
        )),
    }
}

/// A page that the operator's browser shows can send simple requests to this machine, and needs no token where none is
/// configured. Browsers say on whose behalf they act in `Origin`: only our own page may, and under a name of this
/// machine (a foreign name could have been pointed here for the purpose).
fn refuse_foreign_pages(headers: &HeaderMap) -> Result<(), Failure> {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Ok(());
    };
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    let origin = origin.to_str().unwrap_or_default();
    let ours = origin
        .split_once("://")
        .is_some_and(|(_, authority)| authority == host)
        && names_an_address(host);
    if ours {
        return Ok(());
    }
    Err(Failure::new(
        FailureKind::Forbidden,
        "foreign_origin",
        "this request comes from another site's page",
    ))
}

/// Whether a `Host` is `localhost` or an address, with or without a port: nothing that a name server decides.
fn names_an_address(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(bind: &str, token: Option<&str>) -> Option<Access> {
        Access::new(&Settings {
            bind: Bind::Tcp(bind.parse().unwrap()),
            tls: None,
            token: token.map(Secret::new),
        })
    }

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.clone(), value.parse().unwrap()))
            .collect()
    }

    fn code(access: &Access, right: Right, pairs: &[(header::HeaderName, &str)]) -> &'static str {
        access
            .check(right, &headers(pairs))
            .map_or_else(|failure| failure.code, |()| "ok")
    }

    #[test]
    fn a_network_without_a_token_is_refused() {
        assert!(access("0.0.0.0:9600", None).is_none());
        assert!(access("10.0.0.1:9600", None).is_none());
        assert!(access("127.0.0.1:9600", None).is_some());
        assert!(access("[::1]:9600", None).is_some());
        assert!(access("0.0.0.0:9600", Some("secret")).is_some());
    }

    #[test]
    fn acting_needs_the_token_everywhere_and_reading_on_the_network() {
        let right = [(header::AUTHORIZATION, "Bearer secret")];
        let wrong = [(header::AUTHORIZATION, "Bearer secreT")];
        let machine = access("127.0.0.1:0", Some("secret")).unwrap();
        assert_eq!(code(&machine, Right::Read, &[]), "ok");
        assert_eq!(code(&machine, Right::Act, &[]), "token_missing");
        assert_eq!(code(&machine, Right::Act, &wrong), "token_wrong");
        assert_eq!(
            code(
                &machine,
                Right::Act,
                &[(header::AUTHORIZATION, "Basic secret")]
            ),
            "token_missing"
        );
        assert_eq!(code(&machine, Right::Act, &right), "ok");

        let network = access("0.0.0.0:0", Some("secret")).unwrap();
        assert_eq!(code(&network, Right::Read, &[]), "token_missing");
        assert_eq!(code(&network, Right::Read, &wrong), "token_wrong");
        assert_eq!(code(&network, Right::Read, &right), "ok");
    }

    #[test]
    fn another_sites_page_may_not_act() {
        let open = access("127.0.0.1:0", None).unwrap();
        let code = |origin, host| {
            code(
                &open,
                Right::Act,
                &[(header::ORIGIN, origin), (header::HOST, host)],
            )
        };
        assert_eq!(code("http://127.0.0.1:9600", "127.0.0.1:9600"), "ok");
        assert_eq!(code("http://localhost:9600", "localhost:9600"), "ok");
        assert_eq!(code("http://[::1]:9600", "[::1]:9600"), "ok");
        assert_eq!(
            code("http://evil.example", "127.0.0.1:9600"),
            "foreign_origin"
        );
        assert_eq!(
            code("http://evil.example:9600", "evil.example:9600"),
            "foreign_origin"
        );
        assert_eq!(code("null", "127.0.0.1:9600"), "foreign_origin");
    }
}
