//! Lanes: connections that the sessions of one worker share. Requests that several sessions append in one turn of the
//! worker's loop leave in one write, and their replies come in one read.
//!
//! A lane belongs to a side, an identity, a protocol version and a database number; it never mixes any of them. It
//! reconnects by itself when somebody wants to use it, never otherwise.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use super::line::{Asks, InLine};
use super::open::{OpenError, Opened, Setup, open};
use super::pipeline::Pipeline;
use super::scratch::Scratch;
use super::server::Server;
use super::sink::Sink;
use crate::metrics::{Shard, UpstreamError};
use crate::terms::Side;

/// What the sessions of a lane have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LaneKey {
    /// Where it goes.
    pub side: Side,
    /// Identity, protocol, database.
    pub setup: Setup,
}

/// A worker's connections to both sides.
pub struct Lanes<S: Sink> {
    /// The two databases, by [`Side::index`].
    servers: [Rc<Server>; 2],
    scratch: Scratch,
    by_key: RefCell<FxHashMap<LaneKey, Rc<Lane<S>>>>,
    /// Idle private connections.
    pool: RefCell<FxHashMap<LaneKey, Vec<Rc<Pipeline<S>>>>>,
    /// How many idle ones are kept for each key.
    pool_max: Cell<usize>,
    /// Numbers connections.
    next_number: Cell<u64>,
    /// A sweep is on its way.
    sweeping: Cell<bool>,
    metrics: Arc<Shard>,
}

/// One shared connection, over all its reconnects.
pub struct Lane<S: Sink> {
    key: LaneKey,
    state: RefCell<Inner<S>>,
    /// Sessions that wait for it to be up, or to have failed.
    waiting: RefCell<Vec<Waker>>,
    /// A fresh connection in place of one that is stalled.
    relief: Cell<Relief>,
    /// Connections that were set aside and may still be open.
    aside: RefCell<Vec<Weak<Pipeline<S>>>>,
}

/// A fresh connection in place of one that is stalled.
#[derive(Debug, Clone, Copy)]
enum Relief {
    None,
    Connecting,
    /// There was none, then.
    Failed(Instant),
}

enum Inner<S: Sink> {
    /// Nobody has asked for it since it was last up.
    Idle,
    Connecting,
    Up(Rc<Pipeline<S>>),
    /// The attempts of one round failed, then.
    Failed(OpenError, Instant),
}

/// What a session finds when it looks.
pub enum LaneState<S: Sink> {
    /// Append to this.
    Up(Rc<Pipeline<S>>),
    /// Wait; see [`Lane::wait`].
    Connecting,
    /// It could not be opened. A look after [`FAILED_FOR`] begins a new round.
    Failed(OpenError),
}

impl<S: Sink> Lanes<S> {
    /// No connections yet.
    pub fn new(
        servers: [Rc<Server>; 2],
        scratch: Scratch,
        pool_max: usize,
        metrics: Arc<Shard>,
    ) -> Rc<Lanes<S>> {
        Rc::new(Lanes {
            servers,
            scratch,
            by_key: RefCell::default(),
            pool: RefCell::default(),
            pool_max: Cell::new(pool_max),
            next_number: Cell::new(1),
            sweeping: Cell::new(false),
            metrics,
        })
    }

    /// The database on `side`.
    pub fn server(&self, side: Side) -> &Rc<Server> {
        &self.servers[side.index()]
    }

    /// The lane with this key, connected or not.
    pub fn lane(&self, key: &LaneKey) -> Rc<Lane<S>> {
        let mut lanes = self.by_key.borrow_mut();
        if let Some(lane) = lanes.get(key) {
            return Rc::clone(lane);
        }
        let lane = Rc::new(Lane {
            key: key.clone(),
            state: RefCell::new(Inner::Idle),
            waiting: RefCell::default(),
            relief: Cell::new(Relief::None),
            aside: RefCell::default(),
        });
        lanes.insert(key.clone(), Rc::clone(&lane));
        lane
    }

    /// Every lane to `side` that is up.
    pub fn up(&self, side: Side) -> Vec<Rc<Lane<S>>> {
        self.by_key
            .borrow()
            .values()
            .filter(|lane| lane.key.side == side && lane.is_up())
            .map(Rc::clone)
            .collect()
    }

    /// Looks at a lane, and begins to connect it where it is not.
    pub fn look(self: &Rc<Self>, lane: &Rc<Lane<S>>) -> LaneState<S> {
        let mut state = lane.state.borrow_mut();
        match &*state {
            Inner::Up(pipeline) if pipeline.is_up() => return LaneState::Up(Rc::clone(pipeline)),
            Inner::Connecting => return LaneState::Connecting,
            Inner::Failed(error, at) if at.elapsed() < FAILED_FOR => {
                return LaneState::Failed(error.clone());
            }
            Inner::Idle | Inner::Up(_) | Inner::Failed(..) => {}
        }
        *state = Inner::Connecting;
        drop(state);
        tokio::task::spawn_local(Rc::clone(self).connect(Rc::clone(lane)));
        LaneState::Connecting
    }

    /// `pipeline`, the lane's connection, has owed a reply for long: opens a fresh one for those who have nothing
    /// outstanding on it. True where there is something to wait for, of which `waker` is told; false where they have to
    /// wait behind the others.
    pub fn relieve(
        self: &Rc<Self>,
        lane: &Rc<Lane<S>>,
        pipeline: &Rc<Pipeline<S>>,
        asks: Asks,
        waker: Waker,
        in_line: &mut Option<InLine>,
    ) -> bool {
        match lane.relief.get() {
            Relief::Connecting => {}
            Relief::Failed(at) if at.elapsed() < RELIEF_AGAIN => return false,
            Relief::None | Relief::Failed(_) => {
                let mut aside = lane.aside.borrow_mut();
                aside.retain(|pipeline| pipeline.upgrade().is_some_and(|it| it.is_up()));
                if aside.len() >= ASIDE_MAX {
                    return false;
                }
                lane.relief.set(Relief::Connecting);
                let (lanes, lane) = (Rc::clone(self), Rc::clone(lane));
                tokio::task::spawn_local(lanes.replace(lane, Rc::clone(pipeline)));
            }
        }
        lane.wait(waker.clone());
        pipeline.wait(asks, waker, in_line);
        true
    }

    async fn replace(self: Rc<Self>, lane: Rc<Lane<S>>, stalled: Rc<Pipeline<S>>) {
        match open(self.server(lane.key.side), &lane.key.setup).await {
            Ok(opened) => {
                lane.relief.set(Relief::None);
                let fresh = self.pipeline(lane.key.side, opened);
                fresh.share();
                stalled.set_aside();
                lane.aside.borrow_mut().push(Rc::downgrade(&stalled));
                *lane.state.borrow_mut() = Inner::Up(fresh);
            }
            Err(error) => {
                tracing::debug!(side = %lane.key.side, %error, "no connection beside one that is stalled");
                lane.relief.set(Relief::Failed(Instant::now()));
            }
        }
        for waker in lane.waiting.take() {
            waker.wake();
        }
    }

    /// Opens a connection of its own for one session.
    ///
    /// Cancel safety: dropping it drops the attempt.
    pub async fn open(self: &Rc<Self>, key: &LaneKey) -> Result<Rc<Pipeline<S>>, OpenError> {
        let opened = self.open_with_retries(key).await?;
        Ok(self.pipeline(key.side, opened))
    }

    /// Makes a private connection that nobody needs any more the lane of its key, or an idle one where there is a lane.
    /// The caller vouches for it as in [`Lanes::keep_idle`].
    pub fn adopt(&self, key: &LaneKey, pipeline: Rc<Pipeline<S>>) {
        let lane = self.lane(key);
        let mut state = lane.state.borrow_mut();
        if pipeline.is_up() && matches!(&*state, Inner::Idle | Inner::Failed(..)) {
            pipeline.share();
            *state = Inner::Up(pipeline);
        } else {
            drop(state);
            self.keep_idle(key, pipeline);
        }
    }

    /// An idle private connection with this key, if one is kept.
    pub fn take_idle(&self, key: &LaneKey) -> Option<Rc<Pipeline<S>>> {
        let mut pool = self.pool.borrow_mut();
        let idle = pool.get_mut(key)?;
        while let Some(pipeline) = idle.pop() {
            if pipeline.is_up() {
                return Some(pipeline);
            }
        }
        None
    }

    /// Keeps a private connection for the next session that needs one. The caller vouches that it is as its handshake
    /// left it: no transaction, no subscription, no name.
    pub fn keep_idle(&self, key: &LaneKey, pipeline: Rc<Pipeline<S>>) {
        let mut pool = self.pool.borrow_mut();
        if !pool.contains_key(key) {
            pool.insert(key.clone(), Vec::new());
        }
        let Some(idle) = pool.get_mut(key) else {
            return;
        };
        if pipeline.is_up() && pipeline.outstanding() == 0 && idle.len() < self.pool_max.get() {
            idle.push(pipeline);
        } else {
            pipeline.retire();
        }
    }

    /// Keeps so many idle private connections from now on.
    pub fn set_pool_max(&self, pool_max: usize) {
        self.pool_max.set(pool_max);
    }

    /// Closes what no session uses any more, in a while. To be called when a session may have left something unused. A
    /// worker whose sessions stay has no timer, which would cost each of its waits for events a little.
    pub fn sweep_later(self: &Rc<Self>) {
        if self.sweeping.replace(true) {
            return;
        }
        let lanes = Rc::clone(self);
        tokio::task::spawn_local(async move {
            tokio::time::sleep(SWEEP_AFTER).await;
            lanes.sweeping.set(false);
            lanes.sweep();
        });
    }

    /// Closes lanes that nobody holds, forgets idle connections that are gone, and gives spare memory back.
    fn sweep(self: &Rc<Self>) {
        self.scratch.forget();
        let mut kept_busy = false;
        self.by_key.borrow_mut().retain(|_, lane| {
            let used = Rc::strong_count(lane) > 1 || lane.is_busy();
            if !used {
                lane.retire();
            }
            kept_busy |= used && Rc::strong_count(lane) == 1;
            used
        });
        self.pool.borrow_mut().retain(|_, idle| {
            idle.retain(|pipeline| pipeline.is_up());
            !idle.is_empty()
        });
        if kept_busy {
            self.sweep_later();
        }
    }

    /// Closes every idle connection to `side`, and its lanes once they owe nothing: sessions have moved away from it.
    pub fn leave(&self, side: Side) {
        for (key, lane) in &*self.by_key.borrow() {
            if key.side == side {
                lane.retire();
            }
        }
        let mut pool = self.pool.borrow_mut();
        for (_, idle) in pool.iter_mut().filter(|(key, _)| key.side == side) {
            for pipeline in idle.drain(..) {
                pipeline.retire();
            }
        }
    }

    async fn connect(self: Rc<Self>, lane: Rc<Lane<S>>) {
        let outcome = self.open_with_retries(&lane.key).await;
        *lane.state.borrow_mut() = match outcome {
            Ok(opened) => {
                let pipeline = self.pipeline(lane.key.side, opened);
                pipeline.share();
                Inner::Up(pipeline)
            }
            Err(error) => {
                tracing::warn!(side = %lane.key.side, %error, "no connection; requests get an error until there is one");
                Inner::Failed(error, Instant::now())
            }
        };
        for waker in lane.waiting.take() {
            waker.wake();
        }
    }

    /// Attempts with a growing, jittered pause between them, for as long as `connect_timeout` altogether.
    async fn open_with_retries(&self, key: &LaneKey) -> Result<Opened, OpenError> {
        let server = self.server(key.side);
        let deadline = Instant::now() + server.connect_timeout;
        let mut pause = BACK_OFF_MIN;
        loop {
            let error = match open(server, &key.setup).await {
                Ok(opened) => return Ok(opened),
                Err(error) => error,
            };
            let next = Instant::now() + jittered(pause, self.next_number.get());
            self.metrics.upstream_error(key.side, label(&error));
            if !error.retry() || next >= deadline {
                return Err(error);
            }
            tokio::time::sleep_until(next.into()).await;
            pause = (pause * 2).min(BACK_OFF_MAX);
        }
    }

    fn pipeline(&self, side: Side, opened: Opened) -> Rc<Pipeline<S>> {
        let number = self.next_number.get();
        self.next_number.set(number + 1);
        let (scratch, metrics) = (self.scratch.clone(), Arc::clone(&self.metrics));
        let pipeline = Pipeline::new(number, side, opened, scratch, metrics);
        tokio::task::spawn_local(Rc::clone(&pipeline).drive());
        pipeline
    }
}

impl<S: Sink> Lane<S> {
    /// What its sessions have in common.
    pub fn key(&self) -> &LaneKey {
        &self.key
    }

    /// Whether the server wants AUTH from this lane's identity, as far as is known.
    pub fn is_unauthenticated(&self) -> bool {
        match &*self.state.borrow() {
            Inner::Up(pipeline) => pipeline.is_unauthenticated(),
            Inner::Idle | Inner::Connecting | Inner::Failed(..) => false,
        }
    }

    /// The connection, if it is up. The fast path.
    pub fn pipeline(&self) -> Option<Rc<Pipeline<S>>> {
        match &*self.state.borrow() {
            Inner::Up(pipeline) if pipeline.is_up() => Some(Rc::clone(pipeline)),
            _ => None,
        }
    }

    /// Wakes `waker` when the present attempt to connect has ended, either way.
    pub fn wait(&self, waker: Waker) {
        self.waiting.borrow_mut().push(waker);
    }

    fn is_up(&self) -> bool {
        self.pipeline().is_some()
    }

    fn is_busy(&self) -> bool {
        match &*self.state.borrow() {
            Inner::Connecting => true,
            Inner::Up(pipeline) => pipeline.is_up() && pipeline.outstanding() > 0,
            Inner::Idle | Inner::Failed(..) => false,
        }
    }

    fn retire(&self) {
        if let Inner::Up(pipeline) = &*self.state.borrow() {
            pipeline.retire();
        }
    }
}

/// Connections of one lane that may be set aside at a time: beyond that it is the database that is slow.
const ASIDE_MAX: usize = 4;
/// How long after a session left something it is looked for: somebody else may want it.
const SWEEP_AFTER: Duration = Duration::from_secs(10);
/// How long after a fresh connection could not be had another is tried for.
const RELIEF_AGAIN: Duration = Duration::from_secs(1);
/// How long a failed round answers for those who ask: everyone who waited for it, and whoever would knock at once.
const FAILED_FOR: Duration = Duration::from_millis(100);
/// The first pause between two attempts.
const BACK_OFF_MIN: Duration = Duration::from_millis(20);
/// The longest.
const BACK_OFF_MAX: Duration = Duration::from_millis(500);

fn label(error: &OpenError) -> UpstreamError {
    match error {
        OpenError::Connect(_) => UpstreamError::Connect,
        OpenError::Refused { .. } => UpstreamError::Refused,
        OpenError::Broken(_) => UpstreamError::Closed,
        OpenError::TimedOut(_) => UpstreamError::TimedOut,
    }
}

/// Half to all of `pause`, so that workers and sidecars do not knock in step. The salt is any number that differs.
fn jittered(pause: Duration, salt: u64) -> Duration {
    use std::hash::{BuildHasher, RandomState};
    let thousandths = (RandomState::new().hash_one(salt) % 1000) as u32;
    pause / 2 + pause / 2 * thousandths / 1000
}
