//! Who may do what: looking and acting are rights of their own, each with its token.
//!
//! Read next: `pages` for what web pages may do with a browser that can reach this.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;

use super::pages::Pages;
use super::{Failure, FailureKind, Settings, Tokens};
use crate::net::Bind;
use crate::terms::Secret;

/// The rules, made from the settings.
#[derive(Debug, Clone)]
pub(super) struct Access {
    /// What the rights need.
    tokens: Tokens,
    /// Whether people from elsewhere can reach the listener.
    reach: Reach,
    /// What web pages may do.
    pages: Pages,
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
pub(super) enum Right {
    /// To look.
    Read,
    /// To change something.
    Act,
}

/// What the token of a request gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// There is none.
    Unknown,
    /// It is not one of ours.
    Wrong,
    /// It may look.
    Reads,
    /// It may do everything.
    Acts,
}

impl Access {
    /// None where the settings would let anybody on the network act.
    pub(super) fn new(settings: &Settings) -> Option<Access> {
        let reach = match &settings.bind {
            Bind::Tcp(address) if !address.ip().to_canonical().is_loopback() => Reach::Network,
            Bind::Tcp(_) | Bind::Unix { .. } => Reach::Machine,
        };
        (reach == Reach::Machine || settings.tokens != Tokens::None).then(|| Access {
            tokens: settings.tokens.clone(),
            reach,
            pages: Pages::new(&settings.bind, &settings.hosts),
        })
    }

    fn check(&self, right: Right, headers: &HeaderMap) -> Result<(), Failure> {
        self.pages.refuse_foreign(right, headers)?;
        match (self.needs_token(right), self.standing(headers), right) {
            (true, Standing::Unknown, _) => Err(Failure::new(
                FailureKind::Unauthenticated,
                "token_missing",
                "a token is needed: send it as `Authorization: Bearer TOKEN` (--token-file FILE on the command line)",
            )),
            (true, Standing::Wrong, _) => Err(Failure::new(
                FailureKind::Unauthenticated,
                "token_wrong",
                "the token is not the right one",
            )),
            (true, Standing::Reads, Right::Act) => Err(Failure::new(
                FailureKind::Forbidden,
                "token_reads_only",
                "this token may look, and not act: that needs the one of [admin] token_file",
            )),
            // Who has a token is no page that was led here under a name of its own.
            (true, Standing::Reads, Right::Read)
            | (false, Standing::Reads, _)
            | (_, Standing::Acts, _) => Ok(()),
            (false, Standing::Unknown | Standing::Wrong, _) => {
                self.pages.refuse_foreign_host(headers)
            }
        }
    }

    fn needs_token(&self, right: Right) -> bool {
        match (&self.tokens, self.reach, right) {
            (Tokens::None, _, _) | (Tokens::Acting(_), Reach::Machine, Right::Read) => false,
            (Tokens::Acting(_), Reach::Network, _)
            | (Tokens::Acting(_), Reach::Machine, Right::Act)
            | (Tokens::Both { .. }, _, _) => true,
        }
    }

    fn standing(&self, headers: &HeaderMap) -> Standing {
        let Some(given) = bearer(headers) else {
            return Standing::Unknown;
        };
        match &self.tokens {
            Tokens::Acting(acting) | Tokens::Both { acting, .. } if same(given, acting) => {
                Standing::Acts
            }
            Tokens::Both { reading, .. } if same(given, reading) => Standing::Reads,
            Tokens::None | Tokens::Acting(_) | Tokens::Both { .. } => Standing::Wrong,
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

/// The token that a request brings.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.as_bytes().split_at_checked("Bearer ".len()))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"Bearer "))
        .map(|(_, given)| given)
}

/// In constant time, so that the time which an answer takes tells nothing of how near a guess was.
fn same(given: &[u8], token: &Secret) -> bool {
    given.ct_eq(token.expose()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(bind: &str, tokens: Tokens) -> Option<Access> {
        Access::new(&Settings {
            tokens,
            ..Settings::at(Bind::Tcp(bind.parse().unwrap()))
        })
    }

    fn acting() -> Tokens {
        Tokens::Acting(Secret::new("act"))
    }

    fn both() -> Tokens {
        Tokens::Both {
            acting: Secret::new("act"),
            reading: Secret::new("read"),
        }
    }

    /// What becomes of a question and of an order with this token.
    fn answers(access: &Access, authorization: &str) -> [&'static str; 2] {
        [Right::Read, Right::Act].map(|right| {
            let mut headers = HeaderMap::new();
            if !authorization.is_empty() {
                headers.insert(header::AUTHORIZATION, authorization.parse().unwrap());
            }
            access
                .check(right, &headers)
                .map_or_else(|failure| failure.code, |()| "ok")
        })
    }

    #[test]
    fn a_network_without_a_token_is_refused() {
        assert!(access("0.0.0.0:9600", Tokens::None).is_none());
        assert!(access("10.0.0.1:9600", Tokens::None).is_none());
        assert!(access("127.0.0.1:9600", Tokens::None).is_some());
        assert!(access("[::1]:9600", Tokens::None).is_some());
        assert!(access("0.0.0.0:9600", acting()).is_some());
        assert!(access("0.0.0.0:9600", both()).is_some());
    }

    #[test]
    fn on_this_machine_everybody_may_do_everything_where_there_is_no_token() {
        let open = access("127.0.0.1:0", Tokens::None).unwrap();
        assert_eq!(answers(&open, ""), ["ok", "ok"]);
        assert_eq!(answers(&open, "Bearer unasked"), ["ok", "ok"]);
    }

    #[test]
    fn acting_needs_the_token_everywhere_and_looking_on_the_network() {
        let machine = access("127.0.0.1:0", acting()).unwrap();
        assert_eq!(answers(&machine, ""), ["ok", "token_missing"]);
        assert_eq!(answers(&machine, "Bearer acT"), ["ok", "token_wrong"]);
        assert_eq!(answers(&machine, "Basic act"), ["ok", "token_missing"]);
        assert_eq!(answers(&machine, "Bearer act"), ["ok", "ok"]);
        assert_eq!(answers(&machine, "bearer act"), ["ok", "ok"]);

        let network = access("0.0.0.0:0", acting()).unwrap();
        assert_eq!(answers(&network, ""), ["token_missing", "token_missing"]);
        assert_eq!(
            answers(&network, "Bearer acts"),
            ["token_wrong", "token_wrong"]
        );
        assert_eq!(answers(&network, "Bearer act"), ["ok", "ok"]);
    }

    #[test]
    fn a_token_to_look_with_is_asked_for_everywhere_and_never_acts() {
        for bind in ["127.0.0.1:0", "0.0.0.0:0"] {
            let access = access(bind, both()).unwrap();
            assert_eq!(answers(&access, ""), ["token_missing", "token_missing"]);
            assert_eq!(
                answers(&access, "Bearer wrong"),
                ["token_wrong", "token_wrong"]
            );
            assert_eq!(answers(&access, "Bearer read"), ["ok", "token_reads_only"]);
            assert_eq!(answers(&access, "Bearer act"), ["ok", "ok"]);
        }
    }
}
