//! What the application begins before the cutover and ends after it.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, Value, cmd, pipe};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{sleep, timeout};

use super::messages::{Messages, listen, listen_to_pushes};
use super::{App, all_items, eventually};
use crate::kit::LIMIT;

/// Between two rounds of load.
const PAUSE: Duration = Duration::from_millis(2);

/// Waiting pops and reads, an open lock, an iteration.
pub(super) struct Standing {
    worker: JoinHandle<()>,
    patient: JoinHandle<()>,
    consumer: JoinHandle<usize>,
    lock: MultiplexedConnection,
    scanner: MultiplexedConnection,
    cursor: u64,
    seen: BTreeSet<String>,
}

/// Transactions, pipelines and numbered messages without a break, from before the cutover to after it.
pub(super) struct Load {
    sent: Rc<Cell<usize>>,
    over: Rc<Cell<bool>>,
    tasks: Vec<JoinHandle<()>>,
    listener: oneshot::Receiver<Messages>,
}

impl Standing {
    pub(super) async fn begin(app: &App) -> Standing {
        let mut lock = app.connect().await;
        cmd("WATCH")
            .arg("count:lock")
            .exec_async(&mut lock)
            .await
            .unwrap();
        let mut standing = Standing {
            worker: spawn_local(app.clone().work_off("late-jobs", 1)),
            patient: spawn_local(app.clone().lose_patience()),
            consumer: spawn_local(app.clone().handle_messages("parcels")),
            lock,
            scanner: app.connect().await,
            cursor: 0,
            seen: BTreeSet::new(),
        };
        standing.scan().await;
        assert_ne!(standing.cursor, 0);
        eventually(async || {
            let mut con = app.shared.clone();
            let info: String = cmd("INFO")
                .arg("clients")
                .query_async(&mut con)
                .await
                .unwrap();
            info.contains("blocked_clients:3\r")
        })
        .await;
        standing
    }

    async fn scan(&mut self) {
        let mut scan = cmd("SCAN");
        scan.arg(self.cursor)
            .arg("MATCH")
            .arg("item:*")
            .arg("COUNT")
            .arg(20);
        let (cursor, keys): (u64, Vec<String>) = scan.query_async(&mut self.scanner).await.unwrap();
        self.cursor = cursor;
        self.seen.extend(keys);
    }

    pub(super) async fn finish(mut self, app: &App) {
        let mut con = app.shared.clone();
        assert!(
            !self.patient.is_finished(),
            "the cutover took longer than its patience"
        );
        con.rpush::<_, _, ()>("late-jobs", 0).await.unwrap();
        (&mut self.worker).await.unwrap();
        con.xadd::<_, _, _, _, ()>("parcels", "*", &[("parts", 2)])
            .await
            .unwrap();
        assert_eq!((&mut self.consumer).await.unwrap(), 1);
        (&mut self.patient).await.unwrap();
        let mut late = pipe();
        late.atomic().set("count:lock", "wrong");
        let outcome: Value = late.query_async(&mut self.lock).await.unwrap();
        assert_eq!(outcome, Value::Nil, "a lock from before the cutover held");
        app.optimistic_lock().await;
        while self.cursor != 0 {
            self.scan().await;
        }
        assert_eq!(self.seen, all_items());
    }
}

impl Load {
    /// How many messages have been published.
    pub(super) fn sent(&self) -> usize {
        self.sent.get()
    }

    pub(super) async fn begin(app: &App, resp3: bool) -> Load {
        let (sent, over) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
        let listener = if resp3 {
            listen_to_pushes(app).await
        } else {
            listen(app).await
        };
        let (transactions, pipelines, publisher) = (app.clone(), app.clone(), app.clone());
        let count = Rc::clone(&sent);
        let tasks = vec![
            again(&over, async move || {
                transactions.transaction("load", 1).await;
            }),
            again(&over, async move || {
                pipelines.pipeline("stream-through").await;
            }),
            again(&over, async move || {
                publish(&publisher, &count.get().to_string()).await;
                count.set(count.get() + 1);
            }),
        ];
        Load {
            sent,
            over,
            tasks,
            listener,
        }
    }

    pub(super) async fn finish(self, app: &App) {
        self.over.set(true);
        for task in self.tasks {
            task.await.unwrap();
        }
        publish(app, "end").await;
        let received = timeout(LIMIT, self.listener).await.unwrap().unwrap();
        let numbers = (0..self.sent.get()).map(|number| number.to_string());
        let expected: Vec<String> = numbers.chain(["end".to_owned()]).collect();
        assert!(
            received.iter().all(|messages| *messages == expected),
            "lost or repeated"
        );
    }
}

async fn publish(app: &App, message: &str) {
    let receivers: i64 = app
        .shared
        .clone()
        .publish("numbers", message)
        .await
        .unwrap();
    assert_eq!(receivers, 2, "a channel and a pattern");
}

/// Does something again and again until it is over.
fn again(over: &Rc<Cell<bool>>, work: impl AsyncFn() + 'static) -> JoinHandle<()> {
    let over = Rc::clone(over);
    spawn_local(async move {
        while !over.get() {
            work().await;
            sleep(PAUSE).await;
        }
    })
}
