//! Calls to the API as a person with curl would make them, for the tests of the stand-in and for looking at what became
//! of a migration.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use serde_json::Value;

use super::access::{User, base64};
use super::node::certificate;
use crate::kit::{LIMIT, eventually};

/// Somebody at one node.
#[derive(Debug, Clone)]
pub struct Caller {
    pub node: SocketAddr,
    pub user: Option<User>,
}

/// An answer of the API.
#[derive(Debug)]
pub struct Answered {
    pub status: u16,
    pub location: Option<String>,
    pub json: Value,
}

impl Caller {
    pub fn get(&self, path: &str) -> Answered {
        self.send("GET", path, "")
    }

    pub fn put(&self, path: &str, body: &Value) -> Answered {
        self.send("PUT", path, &body.to_string())
    }

    pub fn post(&self, path: &str, body: &Value) -> Answered {
        self.send("POST", path, &body.to_string())
    }

    /// Asks until the answer satisfies `condition`; fails the test with the last one.
    pub fn wait(&self, path: &str, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let came = eventually(LIMIT, || {
            last = self.get(path).json;
            condition(&last)
        });
        assert!(came, "waited for {what} in vain: {last:#}");
        last
    }

    /// HTTP/1.0, so that the end of the answer is the end of the connection.
    fn send(&self, method: &str, path: &str, body: &str) -> Answered {
        let mut stream = connect(self.node);
        let identity = self.user.map_or(String::new(), |user| {
            let pair = format!("{}:{}", user.name, user.password);
            format!("authorization: Basic {}\r\n", base64(pair.as_bytes()))
        });
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nhost: {}\r\n{identity}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.node,
            body.len()
        )
        .unwrap();
        let mut text = String::new();
        // The far end does not always say farewell.
        let _ = stream.read_to_string(&mut text);
        let (head, body) = text
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("{method} {path}: not HTTP: {text:?}"));
        let location = head
            .lines()
            .find_map(|line| line.strip_prefix("location: "));
        Answered {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            location: location.map(ToOwned::to_owned),
            json: serde_json::from_str(body).unwrap_or_default(),
        }
    }
}

fn connect(node: SocketAddr) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(certificate("ca.pem")).unwrap())
        .unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let socket = TcpStream::connect_timeout(&node, LIMIT).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    StreamOwned::new(
        ClientConnection::new(Arc::new(config), name).unwrap(),
        socket,
    )
}
