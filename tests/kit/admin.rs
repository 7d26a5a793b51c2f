//! The admin API of a sidecar under test.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

use super::wait::{LIMIT, eventually};

/// How long an answer may take: a cutover may wait 10 s to arm.
const ANSWER_LIMIT: Duration = Duration::from_secs(40);

/// Calls to one sidecar. Cheap; holds no connection.
#[derive(Debug, Clone, Copy)]
pub struct Admin {
    pub address: SocketAddr,
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub status: u16,
    /// The document; null where there is none.
    pub json: Value,
    /// The body as it came.
    pub text: String,
}

impl Admin {
    pub fn get(&self, path: &str) -> Answer {
        self.try_request("GET", path, "")
            .unwrap_or_else(|error| panic!("GET {path}: {error}"))
    }

    /// The body of an answer, if somebody answers.
    pub fn try_get(&self, path: &str) -> Option<String> {
        self.try_request("GET", path, "")
            .ok()
            .map(|answer| answer.text)
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.try_request("POST", path, &body.to_string())
            .unwrap_or_else(|error| panic!("POST {path}: {error}"))
    }

    /// As [`Admin::post`], for a sidecar that may die of it.
    pub fn try_post(&self, path: &str, body: &Value) -> std::io::Result<Answer> {
        self.try_request("POST", path, &body.to_string())
    }

    /// The status, if somebody answers.
    pub fn try_status(&self) -> Option<Value> {
        self.try_request("GET", "/v1/status", "")
            .ok()
            .map(|answer| answer.json)
    }

    /// `GET /v1/status`
    pub fn status(&self) -> Value {
        self.get("/v1/status").json
    }

    /// `phase` of the status.
    pub fn phase(&self) -> String {
        self.status()["phase"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    pub fn migrate(&self) -> Answer {
        self.post("/v1/migrate", &json!({}))
    }

    pub fn cutover(&self) -> Answer {
        self.post("/v1/cutover", &json!({}))
    }

    pub fn abort(&self) -> Answer {
        self.post("/v1/abort", &json!({}))
    }

    pub fn rollback(&self) -> Answer {
        self.post("/v1/rollback", &json!({}))
    }

    pub fn finalize(&self) -> Answer {
        self.post("/v1/finalize", &json!({}))
    }

    pub fn verify(&self) -> Answer {
        self.post("/v1/verify", &json!({}))
    }

    pub fn metrics(&self) -> String {
        self.get("/metrics").text
    }

    /// Whether `/readyz` says so; false also when nobody answers.
    pub fn is_ready(&self) -> bool {
        self.is_well("/readyz")
    }

    /// Whether a path answers 200; false also when nobody answers.
    pub fn is_well(&self, path: &str) -> bool {
        self.try_request("GET", path, "")
            .is_ok_and(|answer| answer.status == 200)
    }

    /// Waits for a phase, fails the test with the whole status.
    pub fn wait_for_phase(&self, phase: &str) {
        self.wait_for(phase, |status| status["phase"] == phase);
    }

    /// Waits until a status satisfies `condition`, fails the test with the last one.
    pub fn wait_for(&self, what: &str, mut condition: impl FnMut(&Value) -> bool) {
        let mut last = Value::Null;
        let came = eventually(LIMIT, || {
            last = self.status();
            condition(&last)
        });
        assert!(came, "waited for {what} in vain: {last:#}");
    }

    /// `migrate`, and waits until a cutover is possible.
    pub fn migrate_until_ready(&self) {
        let answer = self.migrate();
        assert_eq!(answer.status, 202, "{}", answer.text);
        self.wait_for("can_cut_over", |status| status["can_cut_over"] == true);
    }

    /// `cutover`, which must commit.
    pub fn must_cut_over(&self) -> Value {
        let answer = self.cutover();
        assert_eq!(
            (answer.status, &answer.json["outcome"]),
            (200, &json!("committed")),
            "{}",
            answer.text
        );
        answer.json
    }

    /// HTTP/1.0, so that the end of the answer is the end of the connection.
    fn try_request(&self, method: &str, path: &str, body: &str) -> std::io::Result<Answer> {
        let mut stream = TcpStream::connect_timeout(&self.address, LIMIT)?;
        stream.set_read_timeout(Some(ANSWER_LIMIT))?;
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let malformed = || std::io::Error::other(format!("not HTTP: {answer:?}"));
        let (head, text) = answer.split_once("\r\n\r\n").ok_or_else(malformed)?;
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .ok_or_else(malformed)?;
        Ok(Answer {
            status,
            json: serde_json::from_str(text).unwrap_or_default(),
            text: text.to_owned(),
        })
    }
}
