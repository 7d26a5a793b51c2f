//! One call of the admin API: a connection, a request, an answer.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::time::timeout;

use super::Exit;
use super::address::{Address, Transport};
use super::arguments::Sidecar;
use super::output::Output;
use crate::net::tls::{self, ClientFiles};
use crate::net::{Dial, Endpoint, Io};
use crate::terms::Secret;

/// How long a connection may take; sidecars are near.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long an answer to a question may take: a preflight asks two databases many things.
const QUESTION_LIMIT: Duration = Duration::from_mins(1);
/// Bytes of an answer; a report over many commands has some hundred kilobytes.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// A way to one sidecar.
#[derive(Debug)]
pub(super) struct Client {
    /// The way.
    dial: Dial,
    /// What `Host` says.
    host: String,
    /// The token, if there is one.
    token: Option<Secret>,
}

/// Why a call brought nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    /// Nothing was asked, or the question changes nothing.
    #[error("cannot reach the sidecar: {0}: is it running, and is --admin right?")]
    Unreachable(String),
    /// An order was sent, and its answer never came.
    #[error(
        "the sidecar was lost before it answered ({0}): what became of the order is not known, see `handover status`"
    )]
    Lost(String),
    /// What answered is no sidecar, or of another version.
    #[error("the answer is not a sidecar's: {0}")]
    Strange(String),
    /// It said no.
    #[error("{message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Its word for programs.
        code: String,
        /// Its sentence for people.
        message: String,
        /// Every reason by itself.
        reasons: Vec<Value>,
    },
    /// The token's file cannot be read.
    #[error("cannot read the token file: {0}")]
    Token(String),
    /// The certificates that https needs are absent or of no use, or there is no https that they could serve.
    #[error("{0}")]
    Tls(String),
}

impl CallError {
    /// Tells it, and how the command ends with it.
    pub(super) fn tell(&self, output: Output) -> Exit {
        let (code, reasons, exit) = match self {
            CallError::Unreachable(_) => ("unreachable", &[][..], Exit::Unreachable),
            CallError::Lost(_) => ("lost", &[][..], Exit::Failed),
            CallError::Strange(_) => ("strange_answer", &[][..], Exit::Failed),
            CallError::Token(_) => ("token_file", &[][..], Exit::Usage),
            CallError::Tls(_) => ("tls", &[][..], Exit::Usage),
            CallError::Refused {
                status,
                code,
                reasons,
                ..
            } => (code.as_str(), reasons.as_slice(), Exit::of_status(*status)),
        };
        output.failure(code, &self.to_string(), reasons);
        exit
    }
}

impl Client {
    /// Reads the token and the certificates, if there are any; connects to nothing yet.
    pub(super) fn new(sidecar: &Sidecar) -> Result<Client, CallError> {
        let read = |path: &Path| {
            std::fs::read(path)
                .map_err(|error| CallError::Token(format!("{}: {error}", path.display())))
        };
        let token = sidecar
            .token_file
            .as_deref()
            .map(read)
            .transpose()?
            .map(|token| Secret::new(token.trim_ascii()));
        Ok(Client {
            dial: Dial {
                endpoint: sidecar.admin.endpoint.clone(),
                tls: trust(sidecar)?,
            },
            host: sidecar.admin.host.clone(),
            token,
        })
    }

    /// Asks a question.
    pub(super) async fn get(&self, path: &str) -> Result<Value, CallError> {
        timeout(QUESTION_LIMIT, self.call(Method::GET, path, Bytes::new()))
            .await
            .unwrap_or_else(|_| {
                Err(CallError::Unreachable(format!(
                    "no answer within {QUESTION_LIMIT:?}"
                )))
            })
    }

    /// Gives an order, and waits for its end however long that takes: the sidecar bounds what it does.
    pub(super) async fn post(&self, path: &str, arguments: &Value) -> Result<Value, CallError> {
        self.call(Method::POST, path, arguments.to_string().into())
            .await
    }

    async fn call(&self, method: Method, path: &str, body: Bytes) -> Result<Value, CallError> {
        let is_order = method == Method::POST;
        let request = self.request(method, path, body)?;
        let unreachable = |error: &dyn std::error::Error| CallError::Unreachable(error.to_string());
        let stream = self
            .dial
            .connect(CONNECT_LIMIT)
            .await
            .map_err(|error| unreachable(&error))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(Io(stream)))
            .await
            .map_err(|error| unreachable(&error))?;
        let exchange = async {
            let response = sender.send_request(request).await?;
            let status = response.status();
            let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX)
                .collect()
                .await?
                .to_bytes();
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>((status, body))
        };
        // The connection does the reading and writing; its errors reach the exchange.
        let exchanged = tokio::select! {
            exchanged = exchange => exchanged,
            Err(error) = connection => Err(error.into()),
        };
        // An order may have been carried out all the same.
        let failed = if is_order {
            CallError::Lost
        } else {
            CallError::Unreachable
        };
        let (status, body) = exchanged.map_err(|error| failed(error.to_string()))?;
        read_answer(status.as_u16(), &body)
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, CallError> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &self.host);
        request = request.header(header::CONTENT_TYPE, "application/json");
        if let Some(token) = &self.token {
            let mut bearer =
                header::HeaderValue::from_bytes(&[b"Bearer ", token.expose()].concat()).map_err(
                    |_| CallError::Token("it holds bytes that cannot be in a header".to_owned()),
                )?;
            bearer.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, bearer);
        }
        request
            .body(Full::new(body))
            .map_err(|error| CallError::Unreachable(error.to_string()))
    }
}

/// What the command line says about TLS, ready to use; none for an address without it.
fn trust(sidecar: &Sidecar) -> Result<Option<Arc<tls::Client>>, CallError> {
    let Sidecar {
        admin,
        ca,
        server_name,
        cert,
        key,
        ..
    } = sidecar;
    let host = match (admin, &admin.endpoint) {
        (
            Address {
                transport: Transport::Tls,
                ..
            },
            Endpoint::Tcp { host, .. },
        ) => host,
        (_, Endpoint::Tcp { .. } | Endpoint::Unix(_)) => {
            // One in the environment may be there for other commands.
            let unused = [
                ("--cert", cert.is_some()),
                ("--server-name", server_name.is_some()),
            ];
            return match unused.iter().find(|(_, given)| *given) {
                None => Ok(None),
                Some((option, _)) => Err(CallError::Tls(format!(
                    "{option} has no effect without TLS: --admin must begin with https://"
                ))),
            };
        }
    };
    if ca.is_none() {
        return Err(CallError::Tls(
            "https needs --ca FILE, the authority that signed the sidecar's certificate".to_owned(),
        ));
    }
    let files = ClientFiles {
        ca: ca.clone(),
        cert: cert.clone(),
        key: key.clone(),
        fingerprint: None,
        server_name: server_name.clone(),
        insecure_skip_verify: false,
    };
    let unusable = |errors: Vec<tls::Error>| {
        let told = errors.iter().map(|error| match error {
            tls::Error::File { key, .. } => format!("--{key} {error}"),
            tls::Error::Missing { .. } | tls::Error::ServerName { .. } => error.to_string(),
        });
        CallError::Tls(told.collect::<Vec<_>>().join("; "))
    };
    tls::Client::load(&files, host)
        .map(|tls| Some(Arc::new(tls)))
        .map_err(unusable)
}

fn read_answer(status: u16, body: &[u8]) -> Result<Value, CallError> {
    let document = serde_json::from_slice::<Value>(body)
        .map_err(|_| CallError::Strange(format!("status {status}, and not a JSON document")))?;
    if (200..300).contains(&status) {
        return Ok(document);
    }
    let error = document
        .get("error")
        .ok_or_else(|| CallError::Strange(format!("status {status} without an error")))?;
    let text = |key: &str| {
        error
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or("unknown")
            .to_owned()
    };
    let reasons = error
        .get("reasons")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    Err(CallError::Refused {
        status,
        code: text("code"),
        message: text("message"),
        reasons,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_document_or_a_refusal() {
        assert_eq!(
            read_answer(202, br#"{"a":1}"#).unwrap(),
            serde_json::json!({"a": 1})
        );
        let refusal = br#"{"error":{"code":"not_ready","message":"wait","reasons":["lag"]}}"#;
        match read_answer(409, refusal).unwrap_err() {
            CallError::Refused {
                status: 409,
                code,
                message,
                reasons,
            } => {
                assert_eq!((code.as_str(), message.as_str()), ("not_ready", "wait"));
                assert_eq!(reasons, vec![Value::from("lag")]);
            }
            other => panic!("{other}"),
        }
        assert!(matches!(
            read_answer(200, b"<html>"),
            Err(CallError::Strange(_))
        ));
        assert!(matches!(
            read_answer(500, b"{}"),
            Err(CallError::Strange(_))
        ));
    }
}
