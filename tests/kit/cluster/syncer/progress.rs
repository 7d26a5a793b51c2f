//! What a syncer knows of itself, and what a test makes it suffer; shared by its tasks and whoever answers for them.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// The states of one source, as the API writes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceStatus {
    OutOfSync,
    Syncing,
    InSync,
}

impl SourceStatus {
    pub fn name(self) -> &'static str {
        match self {
            SourceStatus::OutOfSync => "out-of-sync",
            SourceStatus::Syncing => "syncing",
            SourceStatus::InSync => "in-sync",
        }
    }
}

/// One source.
#[derive(Debug, Clone)]
pub struct SourceProgress {
    pub status: SourceStatus,
    pub last_error: Option<String>,
    /// Bytes of the snapshot, once it is here.
    pub snapshot_bytes: Option<u64>,
    /// Bytes of it that have been carried on to the target.
    pub carried_bytes: u64,
    /// The stream that is followed; none before the snapshot is on the target.
    pub replication_id: Option<String>,
    /// How far it has been read.
    pub read: u64,
    /// How far the target has acknowledged it.
    pub applied: u64,
    /// When the oldest command came that the target has not acknowledged.
    pub behind_since: Option<Instant>,
}

impl SourceProgress {
    fn new() -> SourceProgress {
        SourceProgress {
            status: SourceStatus::OutOfSync,
            last_error: None,
            snapshot_bytes: None,
            carried_bytes: 0,
            replication_id: None,
            read: 0,
            applied: 0,
            behind_since: None,
        }
    }

    /// How long the target has been behind; none unless synced.
    pub fn lag(&self) -> Option<Duration> {
        (self.status == SourceStatus::InSync).then(|| {
            self.behind_since
                .map_or(Duration::ZERO, |since| since.elapsed())
        })
    }
}

/// All sources of one syncer.
#[derive(Debug)]
pub struct Progress {
    sources: Mutex<Vec<SourceProgress>>,
    /// How often the target was flushed and a full copy begun by this syncer, with the identity of the present one.
    run: Mutex<Run>,
    /// Why it gave up, where it has.
    stopped: Mutex<Option<String>>,
}

/// One full copy and the stream behind it.
#[derive(Debug, Clone, Default)]
pub struct Run {
    pub id: String,
    pub flushes: u64,
}

impl Progress {
    pub fn new(sources: usize) -> Progress {
        Progress {
            sources: Mutex::new(vec![SourceProgress::new(); sources]),
            run: Mutex::default(),
            stopped: Mutex::default(),
        }
    }

    pub fn sources(&self) -> Vec<SourceProgress> {
        lock(&self.sources).clone()
    }

    pub fn change(&self, source: usize, change: impl FnOnce(&mut SourceProgress)) {
        change(&mut lock(&self.sources)[source]);
    }

    pub fn run(&self) -> Run {
        lock(&self.run).clone()
    }

    /// A full copy begins: nothing of the former one counts any more.
    pub fn begin(&self, id: String) {
        for source in lock(&self.sources).iter_mut() {
            *source = SourceProgress {
                last_error: source.last_error.take(),
                ..SourceProgress::new()
            };
        }
        let mut run = lock(&self.run);
        run.flushes += 1;
        run.id = id;
    }

    /// It has given up.
    pub fn stop(&self, source: usize, why: &str) {
        self.change(source, |it| {
            it.status = SourceStatus::OutOfSync;
            it.last_error = Some(why.to_owned());
        });
        *lock(&self.stopped) = Some(why.to_owned());
    }

    pub fn stopped(&self) -> Option<String> {
        lock(&self.stopped).clone()
    }

    /// Whether every source is in sync.
    pub fn is_in_sync(&self) -> bool {
        let sources = lock(&self.sources);
        sources
            .iter()
            .all(|source| source.status == SourceStatus::InSync)
    }
}

/// What a test makes the syncers of a database suffer, now and later.
#[derive(Debug)]
pub struct Hardship {
    now: watch::Sender<Suffering>,
}

/// See [`Hardship`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Suffering {
    /// Each piece of the snapshot waits so long.
    pub per_piece: Duration,
    /// Nothing of the stream is applied; it is still read.
    pub stalled: bool,
    /// How often the connections to the sources were lost.
    pub losses: u64,
    /// How often a full copy was made necessary.
    pub full_copies: u64,
}

impl Default for Hardship {
    fn default() -> Hardship {
        Hardship {
            now: watch::Sender::new(Suffering::default()),
        }
    }
}

impl Hardship {
    pub fn change(&self, change: impl FnOnce(&mut Suffering)) {
        self.now.send_modify(change);
    }

    pub fn now(&self) -> Suffering {
        *self.now.borrow()
    }

    pub fn watch(&self) -> watch::Receiver<Suffering> {
        self.now.subscribe()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
