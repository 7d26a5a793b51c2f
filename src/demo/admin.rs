//! The admin API, as a user's script speaks it: one request, one JSON answer.
//!
//! Refuses to know: what is asked for.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long an answer may take. `POST /v1/cutover` answers when the cutover has ended, which its own bounds (10 s to
/// arm, 1 s of pause) limit.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// An answer: the status code, and the JSON document (null where there is none).
#[derive(Debug)]
pub(super) struct Answer {
    /// HTTP status code.
    pub(super) status: u16,
    /// What came with it.
    pub(super) json: Value,
}

impl Answer {
    /// Whether the status says so.
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The error's message and reasons in one line.
    pub(super) fn refusal(&self) -> String {
        let error = &self.json["error"];
        let reasons = error["reasons"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str);
        let message = error["message"].as_str().unwrap_or("no message");
        std::iter::once(message)
            .chain(reasons)
            .collect::<Vec<_>>()
            .join("; ")
    }
}

/// One request on a connection of its own. `body` makes it a POST.
pub(super) async fn request(
    address: SocketAddr,
    path: &str,
    body: Option<&Value>,
) -> Result<Answer, String> {
    timeout(ANSWER_LIMIT, exchange(address, path, body))
        .await
        .map_err(|_| format!("did not answer {path} within {ANSWER_LIMIT:?}"))?
        .map_err(|why| format!("did not answer {path}: {why}"))
}

async fn exchange(
    address: SocketAddr,
    path: &str,
    body: Option<&Value>,
) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::builder()
        .method(if body.is_some() {
            Method::POST
        } else {
            Method::GET
        })
        .uri(path)
        .header("host", address.to_string())
        .header("content-type", "application/json")
        .body(Full::new(
            body.map(|json| Bytes::from(json.to_string()))
                .unwrap_or_default(),
        ))?;
    let answer = async {
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await?.to_bytes();
        Ok::<_, hyper::Error>(Answer {
            status,
            json: serde_json::from_slice(&bytes).unwrap_or_default(),
        })
    };
    // The connection makes progress only while it is polled; it ends with the answer, or before it with an error.
    tokio::pin!(answer, connection);
    tokio::select! {
        answer = &mut answer => Ok(answer?),
        ended = &mut connection => {
            ended?;
            Ok(answer.await?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// Answers one request with `response`; gives what was asked.
    async fn serve_once(response: &'static str) -> (SocketAddr, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let served = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = vec![0; 4096];
            let length = stream.read(&mut buffer).await.unwrap();
            stream.write_all(response.as_bytes()).await.unwrap();
            String::from_utf8_lossy(&buffer[..length]).into_owned()
        });
        (address, served)
    }

    #[tokio::test]
    async fn an_answer_is_its_status_and_its_document() {
        let body = "HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{\"phase\":1}";
        let (address, served) = serve_once(body).await;
        let answer = request(address, "/v1/status", None).await.unwrap();
        assert!(answer.is_success());
        assert_eq!(answer.json["phase"], 1);
        assert!(
            served
                .await
                .unwrap()
                .starts_with("GET /v1/status HTTP/1.1\r\n")
        );
    }

    #[tokio::test]
    async fn a_refusal_is_told_with_every_reason() {
        let body = "HTTP/1.1 409 Conflict\r\nconnection: close\r\n\r\n\
                    {\"error\":{\"code\":\"not_ready\",\"message\":\"not ready\",\"reasons\":[\"lag\",\"resync\"]}}";
        let (address, served) = serve_once(body).await;
        let answer = request(address, "/v1/cutover", Some(&serde_json::json!({})))
            .await
            .unwrap();
        assert!(!answer.is_success());
        assert_eq!(answer.refusal(), "not ready; lag; resync");
        assert!(
            served
                .await
                .unwrap()
                .starts_with("POST /v1/cutover HTTP/1.1\r\n")
        );
    }

    #[tokio::test]
    async fn a_sidecar_that_closes_without_an_answer_is_an_error() {
        let (address, _served) = serve_once("").await;
        let why = request(address, "/v1/status", None).await.unwrap_err();
        assert!(why.contains("did not answer /v1/status"), "{why}");
    }
}
