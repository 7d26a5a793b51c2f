//! A served admin API, somebody to be in control of, and a client that speaks plain HTTP.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::admin::*;
use crate::net::{Dial, Endpoint};
use crate::shutdown;
use crate::terms::{Identity, Side};
use crate::upstream;

/// Nothing here takes longer on a busy machine.
pub(super) const LIMIT: Duration = Duration::from_secs(20);

/// Remembers its orders and answers as it was told to.
#[derive(Default)]
pub(super) struct Fake {
    pub(super) orders: Mutex<Vec<Order>>,
    /// What the next order ends with; an empty document otherwise.
    pub(super) answer: Mutex<Option<Answer>>,
    /// The next order does not end before this comes.
    pub(super) hold: Mutex<Option<oneshot::Receiver<()>>>,
    /// Told when an order has ended.
    pub(super) ended: Mutex<Option<oneshot::Sender<()>>>,
    pub(super) unready: Mutex<Option<String>>,
}

impl Control for Fake {
    fn order(&self, order: Order) -> BoxFuture<'static, Answer> {
        self.orders.lock().unwrap().push(order);
        let answer = self
            .answer
            .lock()
            .unwrap()
            .take()
            .unwrap_or_else(|| Ok(json!({})));
        let (hold, ended) = (
            self.hold.lock().unwrap().take(),
            self.ended.lock().unwrap().take(),
        );
        async move {
            if let Some(hold) = hold {
                let _ = hold.await;
            }
            if let Some(ended) = ended {
                let _ = ended.send(());
            }
            answer
        }
        .boxed()
    }

    fn preflight(&self) -> BoxFuture<'static, Answer> {
        async { Ok(json!({"findings": []})) }.boxed()
    }

    fn report(&self) -> BoxFuture<'static, Answer> {
        async {
            Err(Failure::new(
                FailureKind::NotAvailable,
                "not_available",
                "not available in this version",
            ))
        }
        .boxed()
    }

    fn status(&self) -> Value {
        json!({"phase": "in_sync"})
    }

    fn ready(&self) -> BoxFuture<'static, Result<(), String>> {
        let unready = self.unready.lock().unwrap().clone();
        async move { unready.map_or(Ok(()), Err) }.boxed()
    }

    fn metrics(&self) -> String {
        "handover_build_info 1\n".to_owned()
    }

    fn sides(&self) -> [upstream::Server; 2] {
        // Nobody listens on port 1.
        Side::BOTH.map(|side| upstream::Server {
            side,
            name: side.to_string(),
            dial: Dial {
                endpoint: Endpoint::Tcp {
                    host: "127.0.0.1".to_owned(),
                    port: 1,
                },
                tls: None,
            },
            identity: Identity::Anonymous,
            database: 0,
            replication_address: None,
            connect_timeout: Duration::from_secs(1),
            own: Arc::default(),
        })
    }
}

/// A served admin API.
pub(super) struct World {
    pub(super) control: Arc<Fake>,
    pub(super) events: Events,
    pub(super) address: String,
    pub(super) stop: shutdown::Trigger,
    pub(super) served: tokio::task::JoinHandle<()>,
}

/// An answer's status and body.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Reply {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Status and code of an error in its one shape.
    pub(super) fn error(&self) -> (u16, String) {
        let error = &self.json()["error"];
        assert!(
            error["message"]
                .as_str()
                .is_some_and(|message| !message.is_empty()),
            "{self:?}"
        );
        assert!(error["reasons"].is_array(), "{self:?}");
        (self.status, error["code"].as_str().unwrap().to_owned())
    }
}

impl World {
    pub(super) fn start(token: Option<&str>) -> World {
        let bind = Bind::Tcp(([127, 0, 0, 1], 0).into());
        let server = Server::bind(&Settings {
            tokens: token.map_or(Tokens::None, |token| Tokens::Acting(Secret::new(token))),
            ..Settings::at(bind)
        })
        .unwrap();
        let (control, events, address) =
            (Arc::new(Fake::default()), Events::default(), server.local());
        let (stop, signal) = shutdown::channel();
        let served = tokio::spawn(server.run(control.clone(), events.clone(), signal));
        World {
            control,
            events,
            address,
            stop,
            served,
        }
    }

    pub(super) async fn send(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    pub(super) async fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> Reply {
        let length = body.len();
        let host = if headers.starts_with("Host: ") {
            String::new()
        } else {
            format!("Host: {}\r\n", self.address)
        };
        let request = format!(
            "{method} {path} HTTP/1.1\r\n{host}Connection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        );
        let mut stream = self.send(&request).await;
        let mut text = String::new();
        timeout(LIMIT, stream.read_to_string(&mut text))
            .await
            .unwrap()
            .unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Reply {
            status,
            head: head.to_lowercase(),
            body: body.to_owned(),
        }
    }

    pub(super) async fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, "", "").await
    }

    pub(super) async fn post(&self, path: &str, body: &str) -> Reply {
        self.ask("POST", path, "", body).await
    }

    pub(super) fn orders(&self) -> Vec<Order> {
        self.control.orders.lock().unwrap().clone()
    }
}

/// Reads until `wanted` has come.
pub(super) async fn read_until(stream: &mut TcpStream, wanted: &str) {
    let mut text = String::new();
    while !text.contains(wanted) {
        let mut buffer = [0; 1024];
        let read = timeout(LIMIT, stream.read(&mut buffer))
            .await
            .unwrap()
            .unwrap();
        assert!(read > 0, "{text}");
        text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
    }
}
