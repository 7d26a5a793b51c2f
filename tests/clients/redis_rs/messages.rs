//! What comes without being asked for: published messages, and word that a cached key has changed.

use std::future::pending;

use futures_util::StreamExt;
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, AsyncConnectionConfig, PushInfo, PushKind, Value, cmd};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::spawn_local;
use tokio::time::timeout;

use super::App;
use crate::kit::LIMIT;

/// The messages of a channel, and those of a pattern that matches it.
pub(super) type Messages = [Vec<String>; 2];

/// A connection whose keys are cached on this side, as far as the protocol goes: it is told what to forget.
pub(super) struct Tracking {
    con: MultiplexedConnection,
    pushes: UnboundedReceiver<PushInfo>,
}

/// Subscribes to both; gives what comes, up to the end of both.
pub(super) async fn listen(app: &App) -> oneshot::Receiver<Messages> {
    let mut pubsub = app.client.get_async_pubsub().await.unwrap();
    pubsub.subscribe("numbers").await.unwrap();
    pubsub.psubscribe("num*").await.unwrap();
    let (heard, all) = oneshot::channel();
    spawn_local(async move {
        let mut received = [Vec::new(), Vec::new()];
        let mut messages = pubsub.on_message();
        while !is_over(&received) {
            let message = messages.next().await.expect("the subscription ended");
            received[usize::from(message.from_pattern())].push(message.get_payload().unwrap());
        }
        heard.send(received).unwrap();
        // Stays connected to the end.
        pending::<()>().await;
    });
    all
}

/// The same with RESP3, where messages come as pushes on a connection that can do everything else as well.
pub(super) async fn listen_to_pushes(app: &App) -> oneshot::Receiver<Messages> {
    let (sender, mut pushes) = unbounded_channel();
    let config = AsyncConnectionConfig::new().set_push_sender(sender);
    let mut con = app.connect_with(config).await;
    con.subscribe("numbers").await.unwrap();
    con.psubscribe("num*").await.unwrap();
    let (heard, all) = oneshot::channel();
    spawn_local(async move {
        let mut received = [Vec::new(), Vec::new()];
        while !is_over(&received) {
            let push = pushes.recv().await.expect("the connection ended");
            match push.kind {
                PushKind::Message => received[0].push(payload(&push)),
                PushKind::PMessage => received[1].push(payload(&push)),
                PushKind::Subscribe | PushKind::PSubscribe => {}
                other => panic!("a push that nobody asked for: {other:?}"),
            }
        }
        assert_eq!(con.ping::<String>().await.unwrap(), "PONG");
        heard.send(received).unwrap();
        // Stays connected to the end.
        pending::<()>().await;
    });
    all
}

fn payload(push: &PushInfo) -> String {
    redis::from_redis_value(push.data.last().unwrap().clone()).unwrap()
}

fn is_over(received: &Messages) -> bool {
    received
        .iter()
        .all(|messages| messages.last().is_some_and(|last| last == "end"))
}

impl Tracking {
    pub(super) async fn begin(app: &App) -> Tracking {
        let (sender, pushes) = unbounded_channel();
        let config = AsyncConnectionConfig::new().set_push_sender(sender);
        let mut con = app.connect_with(config).await;
        let mut tracking = cmd("CLIENT");
        tracking.arg("TRACKING").arg("ON");
        tracking.exec_async(&mut con).await.unwrap();
        let cached: Option<String> = con.get("cached").await.unwrap();
        assert_eq!(cached, None);
        Tracking { con, pushes }
    }

    /// It was told to forget everything, and is told of each change from then on.
    pub(super) async fn must_follow_changes(&mut self, app: &App) {
        assert_eq!(self.forgotten().await, Value::Nil);
        for value in ["after", "later"] {
            let _: Option<String> = self.con.get("cached").await.unwrap();
            let mut writer = app.shared.clone();
            writer.set::<_, _, ()>("cached", value).await.unwrap();
            let cached = Value::BulkString(b"cached".to_vec());
            assert_eq!(self.forgotten().await, Value::Array(vec![cached]));
            let read: String = self.con.get("cached").await.unwrap();
            assert_eq!(read, value);
        }
    }

    /// The keys that are to be forgotten; nil for all of them.
    async fn forgotten(&mut self) -> Value {
        let push = timeout(LIMIT, self.pushes.recv()).await.unwrap().unwrap();
        assert_eq!(push.kind, PushKind::Invalidate);
        push.data[0].clone()
    }
}
