//! What a connection costs for each request that several sessions append in one turn: into its buffer, to a real server
//! and back, and to whom the reply belongs. The server's and the kernel's part is in it; what differs between the cases
//! is how many requests share it.

#![allow(clippy::unwrap_used, clippy::panic)] // a bench that cannot go on says why and ends

#[path = "../tests/kit/mod.rs"]
mod kit;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use handover::metrics::Registry;
use handover::net::{Dial, Endpoint};
use handover::resp::encode::{Protocol, command_vec};
use handover::resp::reply::Kind;
use handover::terms::{Identity, Side};
use handover::upstream::{LaneKey, Lanes, Loss, Pipeline, Scratch, Server, Setup, Sink, Times};
use kit::RedisServer;
use tokio::runtime::{Builder, LocalOptions};

/// Requests of one turn, each of another session.
const BATCHES: [usize; 3] = [1, 16, 128];

/// Counts the replies, and wakes whoever waits for the last.
#[derive(Default)]
struct Counter {
    missing: Cell<usize>,
    waker: RefCell<Option<Waker>>,
}

impl Sink for Counter {
    type Ticket = ();

    fn wants_whole((): &(), _begins: &[u8]) -> bool {
        false
    }

    fn piece(&self, (): &mut (), _bytes: &[u8], _completed: u32, _ends: bool) {}

    fn whole(&self, (): &mut (), _kind: Kind, _reply: BytesMut) {}

    fn finished(&self, (): (), _at: Times) {
        self.missing.set(self.missing.get() - 1);
        if self.missing.get() == 0
            && let Some(waker) = self.waker.take()
        {
            waker.wake();
        }
    }

    fn frame(&self, _connection: u64, _kind: Kind, _frame: BytesMut) {}

    fn whole_bytes_max(&self) -> usize {
        usize::MAX
    }

    fn takes_pieces(&self, _kind: Kind) -> bool {
        false
    }

    fn frame_piece(&self, _connection: u64, _bytes: &[u8], _ends: bool) {}

    fn bytes(&self, _bytes: &[u8]) {}

    fn has_room(&self, _waker: &Waker) -> bool {
        true
    }

    fn lost(&self, (): (), loss: &Loss) {
        panic!("{loss}");
    }

    fn ended(&self, _connection: u64, loss: &Loss) {
        panic!("{loss}");
    }
}

fn pipeline(bench: &mut Criterion) {
    let redis = RedisServer::start();
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
        .unwrap();
    let pipeline = runtime.block_on(connect(&redis));
    let request = command_vec(&[b"GET", b"key:000000000042"]);
    let counter = Rc::new(Counter::default());
    let mut group = bench.benchmark_group("pipeline");
    for batch in BATCHES {
        group.throughput(Throughput::Elements(batch as u64));
        group.bench_function(format!("{batch} requests in a turn"), |bencher| {
            bencher.iter(|| {
                runtime.block_on(async {
                    counter.missing.set(batch);
                    for _ in 0..batch {
                        pipeline.append(&request, &counter, (), 1);
                    }
                    pipeline.flush_later();
                    poll_fn(|cx| {
                        if counter.missing.get() == 0 {
                            return Poll::Ready(());
                        }
                        *counter.waker.borrow_mut() = Some(cx.waker().clone());
                        Poll::Pending
                    })
                    .await;
                });
            });
        });
    }
    group.finish();
}

async fn connect(redis: &RedisServer) -> Rc<Pipeline<Counter>> {
    let servers = Side::BOTH.map(|side| {
        Rc::new(Server {
            side,
            name: "bench".to_owned(),
            dial: Dial {
                endpoint: Endpoint::Tcp {
                    host: redis.addr().ip().to_string(),
                    port: redis.addr().port(),
                },
                tls: None,
            },
            identity: Identity::Anonymous,
            database: 0,
            replication_address: None,
            connect_timeout: Duration::from_secs(5),
            own: Arc::default(),
        })
    });
    let metrics = Registry::new(Vec::new(), Vec::new(), 1).shard(0);
    let lanes = Lanes::new(servers, Scratch::new(), 1, metrics);
    let key = LaneKey {
        side: Side::Source,
        setup: Setup {
            identity: Identity::Anonymous,
            protocol: Protocol::Resp2,
            database: 0,
            library: Vec::new(),
            name: None,
        },
    };
    lanes
        .open(&key)
        .await
        .unwrap_or_else(|error| panic!("{error}"))
}

criterion_group!(benches, pipeline);
criterion_main!(benches);
