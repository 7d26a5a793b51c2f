//! What the sessions of one worker share, and the task that takes sockets in.
//!
//! A worker is a thread with a runtime of its own; everything here lives on it, so sharing costs no lock.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, watch};

use super::audit::AuditLog;
use super::cursor::Cursors;
use super::holding::Holding;
use super::lanes_part::LanesPart;
use super::leaving::{Guest, Guests, Remaining};
use super::relay::Session;
use super::reply::Client;
use super::scripts::{Known, Scripts};
use super::tracking::Redirects;
use super::turn::Turn;
use super::users::Users;
use super::{CredentialMapping, Limits, ListenerSettings, Tuning};
use crate::command::{Lookout, Lookouts, Table};
use crate::gate::{Gate, Local};
use crate::metrics::{ClientError, Shard};
use crate::net::{Accepted, Stream};
use crate::shutdown::Signal;
use crate::terms::ListenerId;
use crate::upstream::{Lanes, Scratch, Server};

/// Whether sessions without state share connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sharing {
    /// They share lanes until they need a connection of their own.
    #[default]
    Lanes,
    /// Every session has a connection of its own from its first request on.
    Off,
}

/// What every worker is given.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The listeners, by [`ListenerId`].
    pub listeners: Vec<ListenerSettings>,
    /// The two databases, by side.
    pub servers: [Server; 2],
    /// Whether sessions share connections.
    pub sharing: Sharing,
    /// How long a shared connection may owe a reply before others use a fresh one.
    pub lane_stall: Duration,
    /// Identities that differ on the target.
    pub credentials: Vec<CredentialMapping>,
    /// What may change meanwhile.
    pub tuning: watch::Receiver<Tuning>,
}

/// What a worker shares with the rest of the process.
#[derive(Debug, Clone)]
pub struct Shared {
    /// Admission.
    pub gate: Arc<Gate>,
    /// What commands are; replaced when a server says more about its own.
    pub table: Arc<ArcSwap<Table>>,
    /// The log of refused writes.
    pub audit: Arc<AuditLog>,
    /// Scripts to be loaded on the other side before a change.
    pub scripts: Arc<Scripts>,
    /// Where iterations go on.
    pub cursors: Arc<Cursors>,
    /// Where invalidations go on.
    pub redirects: Arc<Redirects>,
    /// Who looks at requests as they pass.
    pub lookouts: Arc<dyn Lookouts>,
    /// Who clients are.
    pub users: Arc<Users>,
}

/// An accepted connection on its way to a worker.
#[derive(Debug)]
pub struct Arrival {
    /// The socket.
    pub accepted: Accepted,
    /// Which listener took it in.
    pub listener: ListenerId,
}

/// What a worker hears of the end of the process. It comes after the acceptor's, which ends the arrivals.
#[derive(Debug, Clone)]
pub struct Farewell {
    /// Sessions finish what they are in the middle of, and leave, by the limit that it carries.
    pub leave: Signal,
    /// Whoever is still there is cut off.
    pub cut: Signal,
}

/// What the sessions of one worker share.
pub(super) struct Worker {
    pub(super) gate: Rc<Local>,
    pub(super) lanes: Rc<Lanes<Client>>,
    pub(super) table: Arc<ArcSwap<Table>>,
    pub(super) metrics: Arc<Shard>,
    pub(super) audit: Arc<AuditLog>,
    pub(super) scripts: Arc<Scripts>,
    pub(super) known_scripts: Known,
    pub(super) cursors: Arc<Cursors>,
    pub(super) redirects: Arc<Redirects>,
    pub(super) users: Arc<Users>,
    /// Is shown the requests whose commands are worth a look.
    pub(super) lookout: Box<dyn Lookout>,
    /// When the active side last changed.
    pub(super) crossed_at: Rc<Cell<Option<Instant>>>,
    /// What sessions keep while writes are held.
    pub(super) holding: Holding,
    pub(super) sharing: Sharing,
    pub(super) lane_stall: Duration,
    pub(super) credentials: Vec<CredentialMapping>,
    /// What sockets are read into; nobody keeps it across an await.
    pub(super) scratch: Scratch,
    /// Its sessions.
    pub(super) guests: Rc<Guests>,
    /// When they are told to leave.
    leave: Signal,
    /// The present turn of the worker's loop.
    turn: Rc<Turn>,
    listeners: Vec<Rc<ListenerSettings>>,
    /// Connections by listener, of this worker: sessions, and who is still shaking hands.
    open: Vec<Rc<Cell<usize>>>,
    /// What may change meanwhile.
    tuning: Cell<Tuning>,
    /// So many share what the limits allow the process.
    workers: usize,
}

/// Runs a worker: takes arrivals in until no more can come, and then lives until every session has left, or until those
/// that have not are cut off; gives these.
///
/// Must be called on a `LocalRuntime`.
pub async fn run_worker(
    number: usize,
    workers: usize,
    settings: Settings,
    shared: Shared,
    metrics: Arc<Shard>,
    mut arrivals: mpsc::Receiver<Arrival>,
    farewell: Farewell,
) -> Remaining {
    let gate = Local::new(&shared.gate, number);
    let tuning = *settings.tuning.borrow();
    let scratch = Scratch::new();
    let servers = settings.servers.map(Rc::new);
    let lanes = Lanes::new(
        servers,
        scratch.clone(),
        tuning.limits.idle_private_connections,
        Arc::clone(&metrics),
    );
    // One worker does for all what need not be done by each.
    let for_all =
        (number == 0).then(|| (Arc::clone(&shared.scripts), Arc::clone(&shared.redirects)));
    let lanes_part = LanesPart::new(&gate, &lanes, settings.credentials.clone(), for_all);
    let _membership = gate.join(&lanes_part);
    let turn = Turn::new(Arc::clone(&metrics));
    let Farewell { mut leave, mut cut } = farewell;
    let worker = Rc::new(Worker {
        gate: Rc::clone(&gate),
        lanes,
        table: shared.table,
        metrics,
        audit: shared.audit,
        scripts: shared.scripts,
        known_scripts: Known::default(),
        cursors: shared.cursors,
        redirects: shared.redirects,
        users: shared.users,
        lookout: shared.lookouts.of_worker(number),
        crossed_at: lanes_part.crossed_at(),
        holding: Holding::new(tuning.limits.held_bytes.div_ceil(workers)),
        sharing: settings.sharing,
        lane_stall: settings.lane_stall,
        credentials: settings.credentials,
        scratch,
        guests: Rc::default(),
        leave: leave.clone(),
        turn: Rc::clone(&turn),
        open: settings.listeners.iter().map(|_| Rc::default()).collect(),
        listeners: settings.listeners.into_iter().map(Rc::new).collect(),
        tuning: Cell::new(tuning),
        workers,
    });
    tokio::task::spawn_local(Rc::clone(&worker).follow_tuning(settings.tuning));
    tokio::task::spawn_local(gate.follow());
    tokio::task::spawn_local(turn.follow());
    let orderly = async {
        while let Some(arrival) = arrivals.recv().await {
            let guest = worker.guests.enter();
            tokio::task::spawn_local(Rc::clone(&worker).serve(arrival, guest));
        }
        leave.wait().await;
        let limit = leave.limit().unwrap_or_else(Instant::now);
        worker.guests.see_out(limit).await;
        Remaining::default()
    };
    tokio::select! {
        remaining = orderly => remaining,
        () = cut.wait() => worker.guests.remaining(),
    }
}

impl Worker {
    /// The bounds as they are now.
    #[inline]
    pub(super) fn limits(&self) -> Limits {
        self.tuning.get().limits
    }

    /// How long an iteration that began on the source may go on there after the cutover.
    pub(super) fn scan_grace(&self) -> Duration {
        self.tuning.get().scan_grace
    }

    /// Takes over what changes, for as long as the process can change it.
    async fn follow_tuning(self: Rc<Self>, mut changes: watch::Receiver<Tuning>) {
        while changes.changed().await.is_ok() {
            let tuning = *changes.borrow_and_update();
            let limits = tuning.limits;
            self.tuning.set(tuning);
            self.holding
                .set_bytes_max(limits.held_bytes.div_ceil(self.workers));
            self.lanes.set_pool_max(limits.idle_private_connections);
            // Shared by all workers: each says the same.
            self.scripts.set_bytes_max(limits.script_bytes);
            self.cursors.set_max(limits.cursors);
        }
    }

    async fn serve(self: Rc<Self>, Arrival { accepted, listener }: Arrival, guest: Guest) {
        let Some(settings) = self.listeners.get(listener.0).map(Rc::clone) else {
            return;
        };
        let secret = settings.tls.is_some();
        // Counted from here on: who never finishes a handshake takes a place too.
        let Some(_seat) = self.seat(listener) else {
            self.metrics.client_error(ClientError::TooManyClients);
            // Without a handshake there is nothing to be told over TLS; the connection is closed, as Redis does.
            if !secret && let Ok(stream) = accepted.adopt(None).await {
                let client = self.client(stream);
                client.answer(client.number(1), b"-ERR max number of clients reached\r\n");
                client.finish().await;
            }
            return;
        };
        // Boxed, so that what a handshake needs is not kept as long as the session lives.
        let adopted = Box::pin(accepted.adopt(settings.tls.clone()));
        let mut leave = self.leave.clone();
        let adopted = tokio::select! {
            biased;
            adopted = adopted => adopted,
            // Whoever is still shaking hands has asked for nothing yet.
            () = leave.wait() => return,
        };
        let stream = match adopted {
            Ok(stream) => stream,
            Err(error) => {
                tracing::debug!(listener = %settings.name, %error, "a client did not finish connecting");
                self.metrics.client_error(if secret {
                    ClientError::Tls
                } else {
                    ClientError::Closed
                });
                return;
            }
        };
        let client = self.client(stream);
        let gauge = self.metrics.session_opened(listener);
        guest.introduce(&client);
        let session = Box::new(Session::new(Rc::clone(&self), settings, client, guest));
        session.run().await;
        drop(gauge);
        self.lanes.sweep_later();
    }

    fn client(&self, stream: Stream) -> Rc<Client> {
        Client::new(
            stream,
            Rc::clone(&self.turn),
            self.limits().session_reply_bytes,
        )
    }

    /// A place among the connections of a listener, if there is one.
    fn seat(&self, listener: ListenerId) -> Option<Seat> {
        let open = &self.open[listener.0];
        if open.get() >= self.limits().sessions.div_ceil(self.workers) {
            return None;
        }
        open.set(open.get() + 1);
        Some(Seat(Rc::clone(open)))
    }
}

/// One of the connections that a listener may have; given up when it is dropped.
struct Seat(Rc<Cell<usize>>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}
