//! An answer that refuses, in the shape that the API documents: a status, a code, a text.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// A refusal.
#[derive(Debug)]
pub struct Refusal {
    pub status: StatusCode,
    pub code: &'static str,
    pub text: String,
}

/// What a handler gives.
pub type Answer = Result<Json<serde_json::Value>, Refusal>;

impl Refusal {
    pub fn new(status: StatusCode, code: &'static str, text: impl Into<String>) -> Refusal {
        Refusal {
            status,
            code,
            text: text.into(),
        }
    }

    pub fn not_found(what: impl std::fmt::Display) -> Refusal {
        Refusal::new(
            StatusCode::NOT_FOUND,
            "not_exist",
            format!("{what} does not exist"),
        )
    }

    /// The body's form is wrong.
    pub fn malformed(text: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::BAD_REQUEST, "invalid_schema", text)
    }

    /// The body's content is.
    pub fn invalid(text: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::NOT_ACCEPTABLE, "invalid_configuration", text)
    }

    /// Another change is under way.
    pub fn busy() -> Refusal {
        let text = "another configuration change is in progress";
        Refusal::new(StatusCode::CONFLICT, "db_busy", text)
    }
}

impl IntoResponse for Refusal {
    /// The documents name the text `message` here and `description` there; this cluster says `description`.
    fn into_response(self) -> Response {
        let body = json!({ "error_code": self.code, "description": self.text });
        (self.status, Json(body)).into_response()
    }
}
