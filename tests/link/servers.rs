//! Real servers of a test's own, and what a test asks of them.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use handover::net::{Dial, Endpoint};
use handover::terms::{Identity, Side};
use handover::upstream::Server;
use handover::upstream::control::{Control, Value};

pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// A redis-server of its own, in a directory of its own, gone when dropped.
pub(crate) struct Redis {
    pub(crate) process: Child,
    pub(crate) port: u16,
    pub(crate) directory: tempfile::TempDir,
}

impl Redis {
    pub(crate) fn start() -> Redis {
        Redis::start_with(&[])
    }

    pub(crate) fn start_with(options: &[&str]) -> Redis {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let port = free_port();
        let process = spawn(port, directory.path(), options);
        wait_until_listening(port);
        Redis {
            process,
            port,
            directory,
        }
    }

    pub(crate) fn server(&self, side: Side) -> Server {
        self.server_as(side, Identity::Anonymous)
    }

    pub(crate) fn server_as(&self, side: Side, identity: Identity) -> Server {
        Server {
            side,
            name: side.to_string(),
            dial: Dial {
                endpoint: Endpoint::Tcp {
                    host: "127.0.0.1".into(),
                    port: self.port,
                },
                tls: None,
            },
            identity,
            database: 0,
            replication_address: None,
            connect_timeout: Duration::from_secs(2),
            own: Arc::default(),
        }
    }

    pub(crate) async fn client(&self) -> Control {
        Control::connect(&self.server(Side::Source))
            .await
            .expect("connects")
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill().expect("kills");
        self.process.wait().expect("ends");
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    listener.local_addr().expect("has an address").port()
}

pub(crate) fn spawn(port: u16, directory: &Path, options: &[&str]) -> Child {
    Command::new("redis-server")
        .args([
            "--port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ])
        .args(["--repl-diskless-sync-delay", "0"])
        .args(options)
        .current_dir(directory)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-server is on PATH: install the package redis-server")
}

pub(crate) fn wait_until_listening(port: u16) {
    let end = Instant::now() + LIMIT;
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(
            Instant::now() < end,
            "redis-server does not listen on {port}"
        );
        std::thread::yield_now();
    }
}

pub(crate) async fn ask(client: &mut Control, request: &str) -> Value {
    try_ask(client, request).await.expect("is answered")
}

pub(crate) async fn try_ask(client: &mut Control, request: &str) -> Result<Value, String> {
    let words: Vec<&[u8]> = request.split(' ').map(str::as_bytes).collect();
    client
        .call(&words, LIMIT)
        .await
        .map_err(|error| error.to_string())
}

/// A field of INFO.
pub(crate) async fn info(client: &mut Control, field: &str) -> String {
    let Value::Bulk(text) = ask(client, "INFO everything").await else {
        panic!("INFO gives text");
    };
    let text = String::from_utf8(text).expect("INFO is UTF-8");
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{field}:")));
    line.unwrap_or_else(|| panic!("INFO has {field}"))
        .to_owned()
}

pub(crate) fn bulk(text: &str) -> Value {
    Value::Bulk(text.as_bytes().to_vec())
}

pub(crate) async fn wait_for(client: &mut Control, field: &str, value: &str) {
    let end = Instant::now() + LIMIT;
    while info(client, field).await != value {
        assert!(Instant::now() < end, "{field} never became {value}");
    }
}
