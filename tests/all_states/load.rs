//! What the application does meanwhile: writers with lists and counters, in pipelines and transactions, and readers. Each
//! checks every reply; at the end the database must hold what was acknowledged, no more and no less.

#![allow(unreachable_pub)] // a module of a test binary

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use super::course::PACE;
use super::kit::{Client, RedisServer, Reply};
use super::world::World;

/// Connections that write.
const WRITERS: usize = 8;
/// Connections that read.
const READERS: usize = 4;
/// Items in one piece of a writer that sends long pipelines.
const PIPELINE: usize = 4;
/// Times between two replies shorter than this are not kept.
const NOTABLE: Duration = Duration::from_millis(3);

/// The load, running.
pub struct Load<'scope> {
    stop: Arc<Stop>,
    writers: Vec<ScopedJoinHandle<'scope, i64>>,
    readers: Vec<ScopedJoinHandle<'scope, ()>>,
    writes: Arc<Gaps>,
    reads: Arc<Gaps>,
}

/// Long times between two replies to one client, with the moment at which each ended.
#[derive(Default)]
struct Gaps(Mutex<Vec<(Instant, Duration)>>);

/// The longest of them.
pub struct Longest {
    pub writes: Duration,
    pub reads: Duration,
}

/// The word that ends it.
#[derive(Default)]
struct Stop {
    said: Mutex<bool>,
    changed: Condvar,
}

/// How often each writer wrote.
pub struct Written(Vec<i64>);

impl<'scope> Load<'scope> {
    pub fn start(scope: &'scope Scope<'scope, '_>, world: &'scope World) -> Load<'scope> {
        let stop = Arc::new(Stop::default());
        let (writes, reads): (Arc<Gaps>, Arc<Gaps>) = Default::default();
        let writer = |number| {
            let (mut app, stop) = (world.app(), Arc::clone(&stop));
            let writes = Arc::clone(&writes);
            scope.spawn(move || {
                let mut written = 0;
                writes.watch(&stop, || {
                    written += write(&mut app, number, written);
                });
                written
            })
        };
        let reader = |number| {
            let (mut app, stop) = (world.app(), Arc::clone(&stop));
            let reads = Arc::clone(&reads);
            scope.spawn(move || {
                let mut seen = 0;
                reads.watch(&stop, || {
                    let now = count(&app.call(&["GET", &counter(number)]));
                    assert!(now >= seen, "read {now} after {seen}");
                    seen = now;
                });
            })
        };
        Load {
            writers: (0..WRITERS).map(writer).collect(),
            readers: (0..READERS).map(reader).collect(),
            stop,
            writes,
            reads,
        }
    }

    pub fn sessions(&self) -> usize {
        self.writers.len() + self.readers.len()
    }

    /// The longest times between two replies of those that ended since.
    pub fn gaps_since(&self, from: Instant) -> Longest {
        Longest {
            writes: self.writes.longest_since(from),
            reads: self.reads.longest_since(from),
        }
    }

    /// The longest times between two replies while nothing happens.
    pub fn gaps_while_nothing_happens(&self, time: Duration) -> Longest {
        let from = Instant::now();
        self.stop.is_said_within(time);
        self.gaps_since(from)
    }

    /// Ends it; fails if a reply was not what it should have been.
    pub fn stop(mut self) -> Written {
        self.stop.say();
        for reader in self.readers.drain(..) {
            reader.join().expect("a reader of the load failed");
        }
        let writers = self.writers.drain(..);
        Written(
            writers
                .map(|writer| writer.join().expect("a writer of the load failed"))
                .collect(),
        )
    }
}

impl Drop for Load<'_> {
    fn drop(&mut self) {
        self.stop.say();
    }
}

impl Stop {
    fn say(&self) {
        *self.said.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    fn is_said_within(&self, limit: Duration) -> bool {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(said, limit, |said| !*said);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Gaps {
    /// Repeats `exchange` until it is told to stop, and keeps the long times between two ends of it.
    fn watch(&self, stop: &Stop, mut exchange: impl FnMut()) {
        let mut last = Instant::now();
        while !stop.is_said_within(PACE) {
            exchange();
            let now = Instant::now();
            if now - last > NOTABLE {
                self.0.lock().unwrap().push((now, now - last));
            }
            last = now;
        }
    }

    fn longest_since(&self, from: Instant) -> Duration {
        let gaps = self.0.lock().unwrap();
        let since = gaps.iter().filter(|(end, _)| *end >= from);
        since.map(|(_, gap)| *gap).max().unwrap_or_default()
    }
}

impl Written {
    /// Every acknowledged write is there, once, in its place, and nothing else is.
    pub fn claim_complete(&self, server: &RedisServer) {
        let mut server = server.client();
        for (number, written) in self.0.iter().enumerate() {
            assert_eq!(count(&server.call(&["GET", &counter(number)])), *written);
            let items: Vec<Reply> = (0..*written)
                .map(|item| Reply::bulk(&item.to_string()))
                .collect();
            for list in [list(number, "one"), list(number, "other")] {
                let found = server.call(&["LRANGE", &list, "0", "-1"]);
                assert!(
                    found == Reply::Array(items.clone()),
                    "{list} is not 0 to {written} in order"
                );
            }
        }
        eprintln!(
            "{} writes of the load, all there",
            self.0.iter().sum::<i64>()
        );
    }
}

/// Puts the next items into both lists of writer `number` and counts them; gives how many.
fn write(app: &mut Client, number: usize, next: i64) -> i64 {
    let (one, other, counter) = (list(number, "one"), list(number, "other"), counter(number));
    let (item, after) = (next.to_string(), Reply::Integer(next + 1));
    let put: [&[&str]; 3] = [
        &["RPUSH", &one, &item],
        &["RPUSH", &other, &item],
        &["INCR", &counter],
    ];
    let queued = Reply::Simple("QUEUED".to_owned());
    let executed = Reply::Array(vec![after.clone(); 3]);
    match number % 4 {
        0 => assert_eq!(app.pipeline(&put), vec![after; 3]),
        1 => {
            let whole = [&[&["MULTI"] as &[&str]] as &[&[&str]], &put, &[&["EXEC"]]].concat();
            let replies = app.pipeline(&whole);
            assert_eq!(replies[1..4], vec![queued; 3]);
            assert_eq!(replies[4], executed);
        }
        2 => {
            assert_eq!(app.call(&["MULTI"]), Reply::ok());
            for command in put {
                assert_eq!(app.call(command), queued);
            }
            assert_eq!(app.call(&["EXEC"]), executed);
        }
        _ => {
            let items: Vec<String> = (next..)
                .take(PIPELINE)
                .map(|item| item.to_string())
                .collect();
            let by = PIPELINE.to_string();
            let mut long: Vec<[&str; 3]> = Vec::new();
            for item in &items {
                long.extend([["RPUSH", &one, item], ["RPUSH", &other, item]]);
            }
            long.push(["INCRBY", &counter, &by]);
            let long: Vec<&[&str]> = long.iter().map(<[&str; 3]>::as_slice).collect();
            let replies = app.pipeline(&long);
            let expected = (next + 1..).take(PIPELINE).flat_map(|length| [length; 2]);
            let expected = expected.chain([next + PIPELINE as i64]);
            assert_eq!(replies, expected.map(Reply::Integer).collect::<Vec<_>>());
            return PIPELINE as i64;
        }
    }
    1
}

fn counter(number: usize) -> String {
    format!("load:{number}:counter")
}

fn list(number: usize, which: &str) -> String {
    format!("load:{number}:{which}")
}

/// A counter's value; one that is not there is 0.
fn count(reply: &Reply) -> i64 {
    match reply {
        Reply::Null => 0,
        value => value.number(),
    }
}
