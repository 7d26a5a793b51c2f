//! A session's connections: the lanes it shares, the private ones it owns, and the one it prepares on the other side.
//!
//! A session moves to a private connection when it needs one, after everything it sent on the lane is answered, and
//! goes back when it no longer does.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::crossing::Part;
use super::relay::{End, Park, Session, Watch};
use super::reply::Client;
use super::ticket::{Handling, Ticket};
use super::worker::Sharing;
use crate::metrics::Gauge;
use crate::resp::encode::Protocol;
use crate::terms::Side;
use crate::upstream::{Lane, LaneKey, LaneState, Mode, OpenError, Pipeline};

/// A session's connections, by side.
#[derive(Default)]
pub(super) struct Sides {
    lanes: [Option<Rc<Lane<Client>>>; 2],
    /// The shared connections it used last: what it sends stays on one as long as something is outstanding there.
    last: [Option<Rc<Pipeline<Client>>>; 2],
    private: [Option<Box<Private>>; 2],
    opening: [Option<Box<Opening>>; 2],
    /// Prepared on the side that is not active, for a change of sides.
    ahead: Option<Box<Private>>,
    /// The client has set something on its connection that only the connection has.
    pub(super) pinned: bool,
}

/// A connection of the session's own.
pub(super) struct Private {
    pub(super) pipeline: Rc<Pipeline<Client>>,
    pub(super) key: LaneKey,
    _gauge: Gauge,
}

/// What became of an attempt, once it has ended, and when.
type Outcome = Rc<RefCell<Option<(Instant, Result<Rc<Pipeline<Client>>, OpenError>)>>>;

/// Whoever asked for a connection looks at once when there is one, or none; what was not looked at by then was asked for
/// by somebody who went the other way.
const OUTCOME_KEPT: Duration = Duration::from_secs(1);

/// One on its way.
pub(super) struct Opening {
    key: LaneKey,
    /// Whether it is prepared for a change of sides, and no request waits for it.
    ahead: bool,
    outcome: Outcome,
    task: JoinHandle<()>,
}

impl Opening {
    /// What it will be.
    pub(super) fn key(&self) -> &LaneKey {
        &self.key
    }

    /// What became of it, once it has ended.
    pub(super) fn take_outcome(&self) -> Option<Result<Rc<Pipeline<Client>>, OpenError>> {
        self.outcome.borrow_mut().take().map(|(_, outcome)| outcome)
    }

    /// Whether it is of no use to a session that wants a connection of this key now: it was to be another, it has ended
    /// again, or it came when nobody wanted it, and what was found then may not be so any more.
    fn is_stale(&self, key: &LaneKey) -> bool {
        let ended = self.outcome.borrow();
        self.key != *key
            || ended
                .as_ref()
                .is_some_and(|(at, _)| at.elapsed() > OUTCOME_KEPT)
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a session gets when it asks for a connection.
pub(super) enum Got {
    /// Append to it.
    Connection(Rc<Pipeline<Client>>),
    /// Not yet.
    Park(Park),
    /// There is none; the reply that says so.
    None(Vec<u8>),
}

impl Sides {
    /// Whether it is not known yet which connections serve the session.
    pub(super) fn are_unknown(&self) -> bool {
        self.lanes.iter().all(Option::is_none)
    }

    /// Whether the server is known to want AUTH from this session first.
    pub(super) fn is_unauthenticated(&self) -> bool {
        let lanes = self.lanes.iter().flatten();
        let private = self.private.iter().flatten();
        lanes.into_iter().any(|lane| lane.is_unauthenticated())
            || private
                .into_iter()
                .any(|private| private.pipeline.is_unauthenticated())
    }

    /// Whether `connection` is the one that was prepared.
    pub(super) fn is_ahead(&self, connection: u64) -> bool {
        self.ahead
            .as_ref()
            .is_some_and(|ahead| ahead.pipeline.number() == connection)
    }

    /// Whether `connection` is one of the session's own.
    pub(super) fn is_private(&self, connection: u64) -> bool {
        self.private
            .iter()
            .flatten()
            .any(|private| private.pipeline.number() == connection)
    }

    /// The private connection to `side`.
    pub(super) fn private(&self, side: Side) -> Option<&Private> {
        self.private[side.index()].as_deref()
    }

    /// The prepared connection.
    pub(super) fn ahead(&self) -> Option<&Private> {
        self.ahead.as_deref()
    }

    /// Closes the prepared connection, or gives it up on its way: it is not needed, or it is gone.
    pub(super) fn drop_ahead(&mut self) {
        for opening in &mut self.opening {
            opening.take_if(|opening| opening.ahead);
        }
        if let Some(ahead) = self.ahead.take() {
            ahead.pipeline.abandon();
        }
    }

    /// Forgets the lanes: the session is somebody else now.
    pub(super) fn forget_lanes(&mut self) {
        self.lanes = [None, None];
        self.last = [None, None];
    }

    /// The private connection to `side` is another one to the server now.
    pub(super) fn set_key(&mut self, side: Side, key: LaneKey) {
        if let Some(private) = &mut self.private[side.index()] {
            private.key = key;
        }
    }

    /// Takes the private connection to `side` away from the session.
    pub(super) fn take_private(&mut self, side: Side) -> Option<Box<Private>> {
        self.private[side.index()].take()
    }

    /// Gives the session a private connection to its key's side.
    pub(super) fn set_private(&mut self, private: Box<Private>) {
        let side = private.key.side;
        self.private[side.index()] = Some(private);
    }

    /// The session is over: whatever it waits for upstream ends too.
    pub(super) fn abandon(self) {
        let Sides { private, ahead, .. } = self;
        for private in private.into_iter().flatten().chain(ahead) {
            private.pipeline.abandon();
        }
    }
}

impl Session {
    /// The key of the connections that serve this session on `side`.
    pub(super) fn key(&self, side: Side) -> LaneKey {
        self.who
            .lane(self.worker.lanes.server(side), &self.worker.credentials)
    }

    /// The lane that will serve the session's next request on the active side; connected or not.
    pub(super) fn seat(&mut self) {
        let side = self.worker.gate.policy().active;
        self.sides.lanes[side.index()] = Some(self.worker.lanes.lane(&self.key(side)));
    }

    /// A connection to `side` for a request that needs nothing of it. The fast path.
    pub(super) fn connection(&mut self, side: Side) -> Result<Got, End> {
        if self.sides.private[side.index()].is_some() || self.worker.sharing == Sharing::Off {
            return self.private_connection(side);
        }
        if self.client.unanswered() > 0
            && let Some(last) = &self.sides.last[side.index()]
            && last.is_up()
        {
            return Ok(Got::Connection(Rc::clone(last)));
        }
        if self.sides.lanes[side.index()].is_none() {
            self.sides.lanes[side.index()] = Some(self.worker.lanes.lane(&self.key(side)));
        }
        let Some(lane) = &self.sides.lanes[side.index()] else {
            return Ok(Got::Park(Park::Connection));
        };
        let lanes = &self.worker.lanes;
        if let Some(pipeline) = lane.pipeline() {
            if self.is_stalled(&pipeline)
                && let Some(waker) = self.client.waker()
                && lanes.relieve(lane, &pipeline, self.asks, waker, &mut self.in_line)
            {
                return Ok(Got::Park(Park::Connection));
            }
            let last = &mut self.sides.last[side.index()];
            if !last
                .as_ref()
                .is_some_and(|last| Rc::ptr_eq(last, &pipeline))
            {
                *last = Some(Rc::clone(&pipeline));
                if !pipeline.is_unauthenticated() {
                    self.note_user();
                }
            }
            return Ok(Got::Connection(pipeline));
        }
        Ok(match self.worker.lanes.look(lane) {
            LaneState::Up(pipeline) => Got::Connection(pipeline),
            LaneState::Failed(error) => Got::None(unreachable_text(side, &error)),
            LaneState::Connecting => {
                if let Some(waker) = self.client.waker() {
                    lane.wait(waker);
                }
                Got::Park(Park::Connection)
            }
        })
    }

    /// Whether a shared connection has owed its oldest reply for too long.
    fn is_stalled(&self, pipeline: &Pipeline<Client>) -> bool {
        pipeline.outstanding() > 0
            && pipeline.waits_since().is_some_and(|since| {
                self.read_at.saturating_duration_since(since) > self.worker.lane_stall
            })
    }

    /// What is on its way to `side` and will do, if anything.
    fn kept_opening(&mut self, side: Side) -> Option<&mut Box<Opening>> {
        let key = self.key(side);
        let opening = &mut self.sides.opening[side.index()];
        opening.take_if(|opening| opening.is_stale(&key));
        opening.as_mut()
    }

    /// Notes who the session is, once.
    fn note_user(&mut self) {
        if self.is_user_noted {
            return;
        }
        self.is_user_noted = true;
        if let Some(identity) = &self.who.identity {
            self.worker.users.note(identity);
        }
    }

    /// A connection to `side` of the session's own, to be used as who the session is.
    pub(super) fn private_connection(&mut self, side: Side) -> Result<Got, End> {
        let got = self.unused_connection(side)?;
        if let Got::Connection(pipeline) = &got
            && !pipeline.is_unauthenticated()
        {
            self.note_user();
        }
        Ok(got)
    }

    /// A connection to `side` of the session's own, whoever the session will be on it.
    pub(super) fn unused_connection(&mut self, side: Side) -> Result<Got, End> {
        if let Some(private) = &self.sides.private[side.index()] {
            if private.pipeline.is_up() {
                return Ok(Got::Connection(Rc::clone(&private.pipeline)));
            }
            if self.has_state() {
                return Err(End::Lost(crate::upstream::Loss::Closed));
            }
            self.sides.private[side.index()] = None;
        }
        let Some(opening) = self.kept_opening(side) else {
            if self.client.unanswered() > 0 {
                self.client.signal_when_answered();
                return Ok(Got::Park(Park::Order));
            }
            let key = self.key(side);
            if let Some(pipeline) = self.worker.lanes.take_idle(&key) {
                return Ok(Got::Connection(self.own(pipeline, key)));
            }
            self.sides.opening[side.index()] = Some(Box::new(self.start_opening(key)));
            return Ok(Got::Park(Park::Connection));
        };
        opening.ahead = false;
        let Some(outcome) = opening.take_outcome() else {
            return Ok(Got::Park(Park::Connection));
        };
        let Some(opening) = self.sides.opening[side.index()].take() else {
            return Ok(Got::Park(Park::Connection));
        };
        Ok(match outcome {
            Ok(pipeline) => Got::Connection(self.own(pipeline, opening.key.clone())),
            Err(error) => Got::None(unreachable_text(side, &error)),
        })
    }

    /// Whether only a private connection has what this session has told the server.
    pub(super) fn has_state(&self) -> bool {
        self.transaction.is_some()
            || self.watch == Watch::On
            || self.sides.pinned
            || self.frames.is_on()
            || self.replica_of.is_some()
    }

    /// Whether the session must keep a private connection.
    fn needs_private(&self) -> bool {
        self.has_state()
            || self.blocked.is_some()
            // What comes next decides whether there will be state.
            || self.park == Some(Park::Reply)
            || self.worker.sharing == Sharing::Off
    }

    /// Gives a private connection back that is no longer needed.
    pub(super) fn release_private(&mut self) {
        if self.needs_private() {
            return;
        }
        for side in Side::BOTH {
            if let Some(private) = self.sides.take_private(side) {
                private.pipeline.set_owner(None);
                self.worker.lanes.keep_idle(&private.key, private.pipeline);
            }
        }
        self.sides.drop_ahead();
        self.part = None;
    }

    /// Opens a connection ahead, on the side that is not active.
    pub(super) fn open_ahead(&mut self, side: Side) -> Result<Option<Box<Private>>, OpenError> {
        let Some(opening) = self.kept_opening(side) else {
            let mut opening = self.start_opening(self.key(side));
            opening.ahead = true;
            self.sides.opening[side.index()] = Some(Box::new(opening));
            return Ok(None);
        };
        let Some(outcome) = opening.take_outcome() else {
            return Ok(None);
        };
        let key = self.sides.opening[side.index()]
            .take()
            .map(|opening| opening.key.clone());
        let pipeline = outcome?;
        Ok(key.map(|key| self.owned(pipeline, key)))
    }

    /// Keeps what [`Session::open_ahead`] gave.
    pub(super) fn set_ahead(&mut self, ahead: Box<Private>) {
        self.sides.ahead = Some(ahead);
    }

    /// Takes the prepared connection.
    pub(super) fn take_ahead(&mut self) -> Option<Box<Private>> {
        self.sides
            .ahead
            .take()
            .filter(|ahead| ahead.pipeline.is_up())
    }

    /// A ticket for a request that the proxy sends for itself.
    pub(super) fn own_ticket(&self, handling: Handling) -> Ticket {
        Ticket {
            number: 0,
            handling,
            permit: None,
            read_at: self.read_at,
            head: Vec::new(),
        }
    }

    fn own(&mut self, pipeline: Rc<Pipeline<Client>>, key: LaneKey) -> Rc<Pipeline<Client>> {
        let private = self.owned(pipeline, key);
        let pipeline = Rc::clone(&private.pipeline);
        pipeline.set_owner(Some(&self.client));
        self.sides.set_private(private);
        if self.part.is_none() {
            self.part = Some(Part::join(&self.worker.gate, &self.client));
        }
        pipeline
    }

    fn owned(&self, pipeline: Rc<Pipeline<Client>>, key: LaneKey) -> Box<Private> {
        let gauge = self.worker.metrics.private_opened(key.side);
        Box::new(Private {
            pipeline,
            key,
            _gauge: gauge,
        })
    }

    pub(super) fn start_opening(&self, key: LaneKey) -> Opening {
        let outcome = Rc::new(RefCell::new(None));
        let task = tokio::task::spawn_local({
            let (lanes, client) = (Rc::clone(&self.worker.lanes), Rc::clone(&self.client));
            let (key, outcome) = (key.clone(), Rc::clone(&outcome));
            async move {
                let opened = lanes.open(&key).await;
                *outcome.borrow_mut() = Some((Instant::now(), opened));
                client.signal();
            }
        });
        Opening {
            key,
            ahead: false,
            outcome,
            task,
        }
    }

    /// Has the frames of `pipeline` handed to the session one by one.
    pub(super) fn watch_frames(&self, pipeline: &Pipeline<Client>) {
        self.client.set_resp3(self.who.protocol == Protocol::Resp3);
        pipeline.set_mode(Mode::Frames(Rc::clone(&self.client)));
    }
}

/// What a client is told when a side cannot be reached: the server's own words where it said something.
pub(super) fn unreachable_text(side: Side, error: &OpenError) -> Vec<u8> {
    match error {
        OpenError::Refused { text, .. } => format!("-{text}\r\n"),
        OpenError::Connect(_) | OpenError::Broken(_) | OpenError::TimedOut(_) => {
            format!(
                "-ERR handover: the {side} database cannot be reached; nothing was sent to it\r\n"
            )
        }
    }
    .into_bytes()
}
