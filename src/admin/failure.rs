//! Why an order was not carried out, and how that looks to the client.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// Why an order was not carried out, or a question not answered. Written for the operator: no secrets.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// Whose turn it is.
    pub kind: FailureKind,
    /// A word for programs, in snake case.
    pub code: &'static str,
    /// A sentence for people: what is wrong, and what to do.
    pub message: String,
    /// Every reason by itself, where there are several; texts, or objects with `code` and `message`.
    pub reasons: Vec<Value>,
}

/// What kind of failure it is; decides the HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// Refused, or not ready: 409.
    Refused,
    /// The arguments are wrong: 422.
    Arguments,
    /// Nobody knows who asks: 401.
    Unauthenticated,
    /// Whoever asks must not: 403.
    Forbidden,
    /// There is no such path: 404.
    NoSuchPath,
    /// The path does not take this method: 405.
    WrongMethod,
    /// The body is larger than any order: 413.
    TooLarge,
    /// A mistake of this program: 500.
    Internal,
    /// Not in this version, or not with this link: 501.
    NotAvailable,
    /// A database is out of reach: 503.
    OutOfReach,
}

impl Failure {
    /// One without separate reasons.
    pub fn new(kind: FailureKind, code: &'static str, message: impl Into<String>) -> Failure {
        Failure {
            kind,
            code,
            message: message.into(),
            reasons: Vec::new(),
        }
    }

    /// The same with its reasons.
    #[must_use]
    pub fn because(mut self, reasons: Vec<Value>) -> Failure {
        self.reasons = reasons;
        self
    }
}

impl FailureKind {
    fn status(self) -> StatusCode {
        match self {
            FailureKind::Refused => StatusCode::CONFLICT,
            FailureKind::Arguments => StatusCode::UNPROCESSABLE_ENTITY,
            FailureKind::Unauthenticated => StatusCode::UNAUTHORIZED,
            FailureKind::Forbidden => StatusCode::FORBIDDEN,
            FailureKind::NoSuchPath => StatusCode::NOT_FOUND,
            FailureKind::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            FailureKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            FailureKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            FailureKind::NotAvailable => StatusCode::NOT_IMPLEMENTED,
            FailureKind::OutOfReach => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body =
            json!({"error": {"code": self.code, "message": self.message, "reasons": self.reasons}});
        let mut response = (self.kind.status(), Json(body)).into_response();
        if self.kind == FailureKind::Unauthenticated {
            let scheme = axum::http::HeaderValue::from_static("Bearer");
            response
                .headers_mut()
                .insert(axum::http::header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}
