//! The scripts that clients gave to EVAL and SCRIPT LOAD, so that the other side has them before a client calls one by its
//! digest there: servers do not replicate what is in their script caches.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustc_hash::FxHashSet;

use super::relay::Session;
use crate::command::Effect;
use crate::resp::request::{self, Request, Scanned};
use crate::upstream::Server;
use crate::upstream::control::{Control, Error};

/// Scripts seen by the sessions of all workers. Its lock is taken for a script that a worker has not seen before.
#[derive(Debug)]
pub struct Scripts {
    seen: Mutex<Seen>,
    /// Bytes remembered.
    bytes_max: AtomicUsize,
    /// Grows when something is forgotten: workers forget what they know.
    generation: AtomicU64,
}

#[derive(Debug, Default)]
struct Seen {
    /// Every script, and whether SCRIPT LOAD brought it.
    all: HashMap<Arc<[u8]>, bool>,
    /// What SCRIPT LOAD brought, oldest first: somebody means to call it by its digest.
    loaded: VecDeque<Script>,
    /// What EVAL brought, oldest first: it may have been meant for one call. Forgotten first.
    evaluated: VecDeque<Script>,
    bytes: usize,
    /// Numbers scripts.
    next: u64,
}

#[derive(Debug, Clone)]
struct Script {
    number: u64,
    body: Arc<[u8]>,
}

/// What one worker knows to be remembered.
#[derive(Debug, Default)]
pub(super) struct Known {
    hashes: RefCell<FxHashSet<u64>>,
    hasher: std::hash::RandomState,
    generation: Cell<u64>,
}

/// A request that concerns scripts.
enum Meaning<'a> {
    Load(&'a [u8]),
    Eval(&'a [u8]),
    Flush,
}

impl Scripts {
    /// Remembers up to `bytes_max` of them; 0 for none.
    pub fn new(bytes_max: usize) -> Scripts {
        Scripts {
            seen: Mutex::default(),
            bytes_max: AtomicUsize::new(bytes_max),
            generation: AtomicU64::new(0),
        }
    }

    /// Remembers up to so many from the next one on.
    pub(super) fn set_bytes_max(&self, bytes_max: usize) {
        self.bytes_max.store(bytes_max, Ordering::Relaxed);
    }

    fn add(&self, body: &[u8], was_loaded: bool) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match seen.all.get_mut(body) {
            Some(known_as_loaded) if was_loaded && !*known_as_loaded => {
                *known_as_loaded = true;
                let at = seen
                    .evaluated
                    .iter()
                    .position(|script| *script.body == *body);
                let script = at.and_then(|at| seen.evaluated.remove(at));
                seen.loaded.extend(script);
            }
            Some(_) => {}
            None => {
                let script = Script {
                    number: seen.next,
                    body: body.into(),
                };
                seen.next += 1;
                seen.bytes += body.len();
                seen.all.insert(Arc::clone(&script.body), was_loaded);
                if was_loaded {
                    seen.loaded.push_back(script);
                } else {
                    seen.evaluated.push_back(script);
                }
            }
        }
        while seen.bytes > self.bytes_max.load(Ordering::Relaxed) {
            let oldest = seen.evaluated.pop_front();
            let Some(forgotten) = oldest.or_else(|| seen.loaded.pop_front()) else {
                break;
            };
            seen.bytes -= forgotten.body.len();
            seen.all.remove(&forgotten.body);
            self.generation.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn forget_all(&self) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = Seen {
            next: seen.next,
            ..Seen::default()
        };
        self.generation.fetch_add(1, Ordering::Relaxed);
    }

    /// The number that the next script will have.
    pub(super) fn next(&self) -> u64 {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.next
    }

    /// Every script from number `first` on.
    fn since(&self, first: u64) -> Vec<Arc<[u8]>> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.loaded
            .iter()
            .chain(&seen.evaluated)
            .filter(|script| script.number >= first)
            .map(|script| Arc::clone(&script.body))
            .collect()
    }

    /// Loads every script from number `first` on into `server`.
    ///
    /// Cancel safety: may be dropped; what has been loaded stays.
    pub(super) async fn load(&self, first: u64, server: &Server) -> Result<(), Error> {
        let bodies = self.since(first);
        if bodies.is_empty() {
            return Ok(());
        }
        let mut control = Control::connect(server).await?;
        for some in bodies.chunks(LOADED_AT_ONCE) {
            let requests: Vec<Vec<Vec<u8>>> = some
                .iter()
                .map(|body| vec![b"SCRIPT".to_vec(), b"LOAD".to_vec(), body.to_vec()])
                .collect();
            for reply in control.pipeline(&requests, LOAD_LIMIT).await? {
                match reply {
                    // A script that does not compile there did not compile here.
                    Err(text) if !text.contains("rror compiling") => {
                        return Err(Error::Refused {
                            server: server.name.clone(),
                            command: "SCRIPT LOAD".to_owned(),
                            text,
                        });
                    }
                    Ok(_) | Err(_) => {}
                }
            }
        }
        Ok(())
    }
}

/// Scripts that are sent to a server in one write.
const LOADED_AT_ONCE: usize = 64;
/// How long a server may take to compile as many.
const LOAD_LIMIT: Duration = Duration::from_secs(5);

impl Known {
    fn see(&self, scripts: &Scripts, body: &[u8], was_loaded: bool) {
        if body.len() > scripts.bytes_max.load(Ordering::Relaxed) {
            return;
        }
        let generation = scripts.generation.load(Ordering::Relaxed);
        if self.generation.replace(generation) != generation {
            self.hashes.borrow_mut().clear();
        }
        let hash = self.hasher.hash_one((body, was_loaded));
        if self.hashes.borrow_mut().insert(hash) {
            scripts.add(body, was_loaded);
        }
    }
}

impl Session {
    /// Remembers what the request says of scripts.
    pub(super) fn note_script(&self, request: &Request<'_>, effect: Effect) {
        let scripts = &self.worker.scripts;
        match meaning(request, effect) {
            Some(Meaning::Load(body)) => self.worker.known_scripts.see(scripts, body, true),
            Some(Meaning::Eval(body)) => self.worker.known_scripts.see(scripts, body, false),
            Some(Meaning::Flush) => scripts.forget_all(),
            None => {}
        }
    }

    /// The same for each of several whole requests.
    pub(super) fn note_scripts(&self, mut requests: &[u8]) {
        let table = self.worker.table.load();
        let mut scanner = request::Scanner::default();
        while let Ok(Scanned::Request(shape)) = scanner.scan(requests, &request::Limits::redis()) {
            let request = Request::new(&requests[..shape.length], &shape);
            self.note_script(&request, table.classify(&request).effect);
            requests = &requests[shape.length..];
        }
    }
}

fn meaning<'a>(request: &Request<'a>, effect: Effect) -> Option<Meaning<'a>> {
    if effect != Effect::Script {
        return None;
    }
    if !request.name().eq_ignore_ascii_case(b"SCRIPT") {
        return request.argument(1).map(Meaning::Eval);
    }
    if request.argument(1)?.eq_ignore_ascii_case(b"FLUSH") {
        return Some(Meaning::Flush);
    }
    request.argument(2).map(Meaning::Load)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remembered(scripts: &Scripts) -> Vec<String> {
        let bodies = scripts.since(0);
        bodies
            .iter()
            .map(|body| String::from_utf8_lossy(body).into_owned())
            .collect()
    }

    #[test]
    fn scripts_that_were_loaded_are_forgotten_last() {
        let (scripts, known) = (Scripts::new(10), Known::default());
        known.see(&scripts, b"load", true);
        known.see(&scripts, b"one", false);
        known.see(&scripts, b"two", false);
        assert_eq!(remembered(&scripts), ["load", "one", "two"]);
        known.see(&scripts, b"six", false);
        assert_eq!(remembered(&scripts), ["load", "two", "six"]);
        known.see(&scripts, b"one", false);
        assert_eq!(remembered(&scripts), ["load", "six", "one"], "seen anew");
        known.see(&scripts, b"longer than the bound", true);
        assert_eq!(remembered(&scripts).len(), 3);
    }

    #[test]
    fn a_flush_forgets_all_for_every_worker() {
        let (scripts, one, other) = (Scripts::new(100), Known::default(), Known::default());
        one.see(&scripts, b"a", false);
        other.see(&scripts, b"a", false);
        let first = scripts.next();
        scripts.forget_all();
        assert_eq!(remembered(&scripts), [] as [&str; 0]);
        other.see(&scripts, b"a", true);
        assert_eq!(remembered(&scripts), ["a"]);
        assert_eq!(scripts.since(first).len(), 1);
    }
}
