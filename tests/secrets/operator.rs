//! Somebody at the admin API, with a token.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::kit::LIMIT;

/// Calls with one token, or none.
#[derive(Debug, Clone)]
pub(crate) struct Operator {
    address: SocketAddr,
    token: Option<String>,
}

impl Operator {
    pub(crate) fn new(address: SocketAddr, token: &str) -> Operator {
        Operator {
            address,
            token: Some(token.to_owned()),
        }
    }

    pub(crate) fn with(&self, token: Option<&str>) -> Operator {
        Operator {
            token: token.map(str::to_owned),
            ..self.clone()
        }
    }

    pub(crate) fn status(&self) -> String {
        self.get("/v1/status")
    }

    pub(crate) fn get(&self, path: &str) -> String {
        self.ask("GET", path, "")
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> String {
        self.ask("POST", path, body)
    }

    /// The whole answer, with its head.
    fn ask(&self, method: &str, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect_timeout(&self.address, LIMIT).unwrap();
        stream.set_read_timeout(Some(2 * LIMIT)).unwrap();
        let token = self.token.as_ref();
        let token = token.map_or(String::new(), |it| {
            format!("authorization: Bearer {it}\r\n")
        });
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nhost: {}\r\n{token}content-length: {length}\r\n\r\n{body}",
            self.address
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}
