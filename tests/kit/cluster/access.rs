//! What stands before every handler: the record of the request, the faults, who asks and what they may, the body's type.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State as Extract};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::fault::Deed;
use super::refusal::Refusal;
use super::state::{Request as Recorded, Shared};

/// The largest body that is read.
const BODY_BYTES_MAX: usize = 1 << 20;

/// Somebody who may ask.
#[derive(Debug, Clone, Copy)]
pub struct User {
    pub name: &'static str,
    pub password: &'static str,
}

/// May everything.
pub const ADMINISTRATOR: User = User {
    name: "admin@cluster.test",
    password: "p@ss:word/€",
};
/// May read only (`db_viewer`).
pub const VIEWER: User = User {
    name: "viewer@cluster.test",
    password: "looks-only",
};

/// Lets a request through, or answers it here.
pub async fn guard(
    Extract(cluster): Extract<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else {
        return Refusal::malformed("the body ends early, or never").into_response();
    };
    let user = user_of(&parts.headers);
    let path = parts
        .uri
        .path_and_query()
        .map_or("/", |path| path.as_str())
        .to_owned();
    let deed = {
        let mut state = cluster.state();
        state.requests.push(Recorded {
            method: parts.method.to_string(),
            path: path.clone(),
            user: user.map(|user| user.name.to_owned()),
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        });
        state.faults.deed_for(parts.method.as_str(), &path)
    };
    let changes = parts.method != Method::GET;
    let refusal = match user {
        None => Some((
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "wrong user or password",
        )),
        Some(user) if changes && user.name == VIEWER.name => Some((
            StatusCode::FORBIDDEN,
            "insufficient_permissions",
            "the role may only read",
        )),
        Some(_) if changes && !is_json(&parts.headers) => Some((
            StatusCode::BAD_REQUEST,
            "invalid_content_type",
            "not application/json",
        )),
        Some(_) => None,
    };
    if let Some((status, code, text)) = refusal {
        return Refusal::new(status, code, text).into_response();
    }
    match deed {
        None => next.run(Request::from_parts(parts, Body::from(body))).await,
        Some(Deed::Status(status)) => wrong_answer(status),
        Some(Deed::Silence) => std::future::pending().await,
        Some(Deed::DoneInSilence) => {
            next.run(Request::from_parts(parts, Body::from(body))).await;
            std::future::pending().await
        }
    }
}

/// A node that has no quorum answers by itself, in no particular form.
fn wrong_answer(status: u16) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    match status {
        StatusCode::CONFLICT => Refusal::busy().into_response(),
        StatusCode::SERVICE_UNAVAILABLE => (status, "service unavailable").into_response(),
        _ => Refusal::new(status, "error", "something is wrong").into_response(),
    }
}

fn user_of(headers: &axum::http::HeaderMap) -> Option<User> {
    let given = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let given = given.strip_prefix("Basic ")?;
    [ADMINISTRATOR, VIEWER].into_iter().find(|user| {
        let expected = format!("{}:{}", user.name, user.password);
        base64(expected.as_bytes()) == given
    })
}

fn is_json(headers: &axum::http::HeaderMap) -> bool {
    let given = headers
        .get(header::CONTENT_TYPE)
        .and_then(|it| it.to_str().ok());
    given.is_some_and(|it| it.split(';').next() == Some("application/json"))
}

/// RFC 4648.
pub fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |bits: u32| char::from(ALPHABET[(bits & 63) as usize]);
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let byte = |place: usize| u32::from(group.get(place).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        text.extend([digit(bits >> 18), digit(bits >> 12)]);
        text.push(if group.len() > 1 {
            digit(bits >> 6)
        } else {
            '='
        });
        text.push(if group.len() > 2 { digit(bits) } else { '=' });
    }
    text
}

#[test]
fn credentials_are_written_as_the_standard_writes_them() {
    for (bytes, text) in [
        ("", ""),
        ("f", "Zg=="),
        ("fo", "Zm8="),
        ("foobar", "Zm9vYmFy"),
    ] {
        assert_eq!(base64(bytes.as_bytes()), text);
    }
}
