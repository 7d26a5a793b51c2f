//! What the application does before the cutover and again after it. Whatever it writes, it accounts for: under each name
//! a counter and a list grow together, and each reply is compared at once.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use redis::aio::{MultiplexedConnection, transaction_async};
use redis::streams::{StreamReadOptions, StreamReadReply};
use redis::{AsyncCommands, Direction, Pipeline, ScanOptions, Script, cmd, pipe};
use tokio::task::spawn_local;

use super::{App, all_items};

/// A blocking pop with this time limit begins before the cutover and runs out after it.
const PATIENCE: Duration = Duration::from_secs(3);
/// What is written with one pipeline.
const PIPELINE: usize = 20;
const SCRIPT: &str = r"
local count = redis.call('INCR', KEYS[1])
return {count, redis.call('RPUSH', KEYS[2], ARGV[1])}
";

impl App {
    pub(super) async fn prepare(&self) {
        let mut con = self.shared.clone();
        let items: Vec<_> = all_items().into_iter().map(|item| (item, 1)).collect();
        con.mset::<_, _, ()>(&items).await.unwrap();
        for stream in ["orders", "parcels"] {
            con.xgroup_create_mkstream::<_, _, _, ()>(stream, "workers", "$")
                .await
                .unwrap();
        }
    }

    pub(super) async fn everything_once(&self, named: &mut MultiplexedConnection) {
        let mut con = self.shared.clone();
        self.pipeline("pipeline").await;
        self.transaction("transaction", 2).await;
        self.optimistic_lock().await;
        self.blocking_pops().await;
        self.script().await;
        self.stream("orders", 5).await;
        self.iterate().await;
        con.hset_multiple::<_, _, _, ()>("hash", &[("a", 1), ("b", 2)])
            .await
            .unwrap();
        let hash: Vec<(String, i64)> = con.hgetall("hash").await.unwrap();
        assert_eq!(hash, [("a".to_owned(), 1), ("b".to_owned(), 2)]);
        let name: String = named.client_getname().await.unwrap();
        assert_eq!(name, "planning");
        let info: String = cmd("CLIENT").arg("INFO").query_async(named).await.unwrap();
        assert!(info.contains(" db=3 "), "{info}");
    }

    /// The next writes under a name, queued.
    pub(super) fn queue(&self, pipe: &mut Pipeline, name: &str, times: usize) {
        let first = self.written(name);
        for number in (first..).take(times) {
            pipe.incr(format!("count:{name}"), 1);
            pipe.rpush(format!("list:{name}"), number);
        }
    }

    /// Both the counter and the length of the list are what they must be now.
    pub(super) fn settle(&self, name: &str, replies: &[i64]) {
        let first = self.written(name);
        let expected = (first + 1..).flat_map(|count| [count, count]);
        let expected: Vec<i64> = expected.take(replies.len()).collect();
        assert!(
            !replies.is_empty() && replies == expected,
            "{name}: {replies:?}"
        );
        let written = *expected.last().unwrap();
        self.account
            .borrow_mut()
            .written
            .insert(name.to_owned(), written);
    }

    pub(super) fn written(&self, name: &str) -> i64 {
        let account = self.account.borrow();
        account.written.get(name).copied().unwrap_or_default()
    }

    pub(super) async fn pipeline(&self, name: &str) {
        let mut pipe = pipe();
        self.queue(&mut pipe, name, PIPELINE);
        let replies: Vec<i64> = pipe.query_async(&mut self.shared.clone()).await.unwrap();
        self.settle(name, &replies);
    }

    pub(super) async fn transaction(&self, name: &str, times: usize) {
        let mut pipe = pipe();
        self.queue(pipe.atomic(), name, times);
        let replies: Vec<i64> = pipe.query_async(&mut self.shared.clone()).await.unwrap();
        self.settle(name, &replies);
    }

    /// A connection of its own; the first attempt meets a rival, then again until nobody came between.
    pub(super) async fn optimistic_lock(&self) {
        let attempts = Cell::new(0);
        let attempt = async |mut con: MultiplexedConnection, mut pipe: Pipeline| {
            attempts.set(attempts.get() + 1);
            let seen: Option<i64> = con.get("count:lock").await?;
            assert_eq!(seen.unwrap_or_default(), self.written("lock"));
            if attempts.get() == 1 {
                let mut rival = self.shared.clone();
                rival
                    .set::<_, _, ()>("count:lock", seen.unwrap_or_default())
                    .await?;
            }
            self.queue(&mut pipe, "lock", 1);
            pipe.query_async::<Option<Vec<i64>>>(&mut con).await
        };
        let locker = self.connect().await;
        let replies = transaction_async(locker, &["count:lock"], attempt).await;
        assert!(attempts.get() > 1, "the rival went unnoticed");
        self.settle("lock", &replies.unwrap());
    }

    /// One that is served while it waits, one that finds something, one whose time runs out.
    pub(super) async fn blocking_pops(&self) {
        let waiting = spawn_local(self.clone().work_off("jobs", 2));
        let next = self.written("jobs");
        let mut con = self.shared.clone();
        con.rpush::<_, _, ()>("jobs", &[next, next + 1])
            .await
            .unwrap();
        waiting.await.unwrap();
        let mut worker = self.connect().await;
        let (from, to) = (Direction::Left, Direction::Right);
        let moved: Option<String> = worker
            .blmove("nothing", "nowhere", from, to, 0.2)
            .await
            .unwrap();
        assert_eq!(moved, None);
    }

    /// Takes jobs, which are numbers, in the order in which they were given.
    pub(super) async fn work_off(self, queue: &'static str, jobs: usize) {
        let mut worker = self.connect().await;
        for _ in 0..jobs {
            let (_, number): (String, i64) = worker.blpop(queue, 15.0).await.unwrap();
            assert_eq!(number, self.written(queue));
            self.transaction(queue, 1).await;
        }
    }

    pub(super) async fn lose_patience(self) {
        let mut worker = self.connect().await;
        let began = Instant::now();
        let popped: Option<(String, String)> = worker
            .blpop("nothing", PATIENCE.as_secs_f64())
            .await
            .unwrap();
        let waited = began.elapsed();
        assert_eq!(popped, None);
        let expected = PATIENCE..PATIENCE + Duration::from_secs(1);
        assert!(expected.contains(&waited), "waited {waited:?}");
    }

    /// EVALSHA, and where the server does not know the script, SCRIPT LOAD and again.
    pub(super) async fn script(&self) {
        let script = Script::new(SCRIPT);
        let mut invocation = script.prepare_invoke();
        invocation
            .key("count:script")
            .key("list:script")
            .arg(self.written("script"));
        let replies: Vec<i64> = invocation
            .invoke_async(&mut self.shared.clone())
            .await
            .unwrap();
        self.settle("script", &replies);
    }

    /// Messages are added, read by a consumer of a group, handled and acknowledged.
    pub(super) async fn stream(&self, name: &'static str, messages: usize) {
        let mut con = self.shared.clone();
        for _ in 0..messages {
            con.xadd::<_, _, _, _, ()>(name, "*", &[("parts", 2)])
                .await
                .unwrap();
        }
        let mut handled = 0;
        while handled < messages {
            handled += self.clone().handle_messages(name).await;
        }
    }

    pub(super) async fn handle_messages(self, name: &'static str) -> usize {
        let mut worker = self.connect().await;
        let options = StreamReadOptions::default();
        let options = options.group("workers", "worker-1").count(2).block(15_000);
        let reply: StreamReadReply = worker
            .xread_options(&[name], &[">"], &options)
            .await
            .unwrap();
        let messages = &reply.keys[0].ids;
        for message in messages {
            assert_eq!(message.get::<i64>("parts"), Some(2));
            self.transaction(name, 1).await;
            let acknowledged: i64 = worker.xack(name, "workers", &[&message.id]).await.unwrap();
            assert_eq!(acknowledged, 1);
            *self
                .account
                .borrow_mut()
                .streams
                .entry(name.to_owned())
                .or_default() += 1;
        }
        messages.len()
    }

    pub(super) async fn iterate(&self) {
        let mut con = self.shared.clone();
        let options = ScanOptions::default().with_pattern("item:*").with_count(20);
        let keys = con.scan_options::<String>(options).await.unwrap();
        let keys: BTreeSet<String> = keys.map(Result::unwrap).collect().await;
        assert_eq!(keys, all_items());
    }
}
