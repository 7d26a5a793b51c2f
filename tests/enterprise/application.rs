//! The application: clients that write all the time and remember what each write was answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::kit::{Client, LIMIT, RedisServer, Reply, eventually};
use crate::ledger::{Fate, Ledger, judge_list};

/// Clients that write at the same time.
const WRITERS: usize = 4;
/// What each list of a writer is called, with the writer's number behind it.
pub const LIST: &str = "application:";
/// The longest that a write may wait for its answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);

/// A running application.
pub struct Application {
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    writers: Vec<JoinHandle<Written>>,
}

/// What one writer did.
struct Written {
    ledger: Ledger,
    longest_wait: Duration,
}

impl Application {
    /// Connects, and writes from now on.
    pub fn start(address: SocketAddr) -> Application {
        let stop = Arc::new(AtomicBool::new(false));
        let written = Arc::new(AtomicU64::new(0));
        let writers = (0..WRITERS).map(|writer| {
            let (stop, written) = (Arc::clone(&stop), Arc::clone(&written));
            std::thread::spawn(move || write(address, writer, &stop, &written))
        });
        Application {
            writers: writers.collect(),
            stop,
            written,
        }
    }

    /// Waits until it has written some more.
    pub fn writes_on(&self) {
        let before = self.written.load(Ordering::Relaxed);
        let more = || self.written.load(Ordering::Relaxed) > before + 100;
        assert!(eventually(LIMIT, more), "the application does not write");
    }

    /// Ends it, and holds what it was told against what `server` has. Gives the longest time that a write waited.
    pub fn end_on(self, server: &RedisServer) -> Duration {
        self.stop.store(true, Ordering::Relaxed);
        let mut database = server.client();
        let mut longest = Duration::ZERO;
        for (writer, thread) in self.writers.into_iter().enumerate() {
            let Written {
                ledger,
                longest_wait,
            } = thread.join().unwrap();
            let list = format!("{LIST}{writer}");
            let Reply::Array(items) = database.call(&["LRANGE", &list, "0", "-1"]) else {
                panic!("{list} is no list");
            };
            let items: Vec<String> = items.into_iter().map(Reply::into_text).collect();
            judge_list(&list, &ledger, &items).unwrap_or_else(|breach| panic!("{breach}"));
            assert!(ledger.count(Fate::Done) > 0, "{list}: nothing was written");
            assert_eq!(
                ledger.count(Fate::Refused),
                0,
                "{list}: a write was refused"
            );
            longest = longest.max(longest_wait);
        }
        longest
    }
}

fn write(address: SocketAddr, writer: usize, stop: &AtomicBool, written: &AtomicU64) -> Written {
    let list = format!("{LIST}{writer}");
    let mut client = Client::connect(address);
    client.set_limit(ANSWER_LIMIT);
    let mut done = Written {
        ledger: Ledger::default(),
        longest_wait: Duration::ZERO,
    };
    while !stop.load(Ordering::Relaxed) {
        let number = done.ledger.next().to_string();
        let sent = Instant::now();
        let fate = match client.try_call(&["RPUSH", &list, &number]) {
            Ok(Reply::Integer(_)) => Fate::Done,
            Ok(_) => Fate::Refused,
            Err(_) => Fate::Unknown,
        };
        done.longest_wait = done.longest_wait.max(sent.elapsed());
        done.ledger.note(fate);
        written.fetch_add(1, Ordering::Relaxed);
        if fate == Fate::Unknown {
            client = Client::connect(address);
            client.set_limit(ANSWER_LIMIT);
        }
    }
    done
}
