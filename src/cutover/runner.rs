//! The only driver of the state machine: carries out what [`step`](super::step) orders, feeds what came of it back, and
//! answers operators. One task; everything else it asks, and is told.
//!
//! Refuses to know: what to do next. Read on in [`desk`] (events in, orders out), [`handle`] (the way in for
//! operators), and the hands that do the work: [`gate_hands`], [`link_hands`], [`journal_hands`].

mod desk;
mod failpoint;
mod gate_hands;
mod handle;
mod journal_hands;
mod link_hands;
mod polls;
mod port;
mod status;
mod timeline;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::{broadcast, mpsc, watch};

use self::desk::{Desk, Duties};
use self::link_hands::{LinkHands, Seen};
use super::Bounds;
use super::journal::{Journal, Resumed};
use crate::gate::Gate;
use crate::link::Direction;
use crate::link::preflight::Clients;
use crate::shutdown;
use crate::traffic::Traffic;

pub use handle::{CutoverRequest, Handle};
pub use port::Replication;
pub use status::{LinkStatus, Notice, Outcome, Refusal, RefusalKind, Status, StepTime};

/// What a runner is made of.
pub struct Parts<L> {
    /// The gate, opened on [`Resumed::active`].
    pub gate: Arc<Gate>,
    /// The link between the two sides.
    pub link: L,
    /// The journal, locked.
    pub journal: Journal,
    /// What was found in it.
    pub resumed: Resumed,
    /// The bounds; an attempt keeps those it began with.
    pub bounds: watch::Receiver<Bounds>,
    /// What an operator types to have the target flushed.
    pub target_name: String,
    /// Who clients are, and how many connections the proxy would open on a side, for the preflight.
    pub clients: Box<dyn Fn() -> Clients + Send>,
    /// What the application was seen to send.
    pub traffic: Arc<Traffic>,
}

/// Drives the cutover. Dropping it, at whatever moment, lets held traffic go.
pub struct Runner<L> {
    desk: Desk,
    link: LinkHands<L>,
}

impl<L: Replication> Runner<L> {
    /// A runner at the place where the last process was, and the way to ask things of it.
    pub fn new(parts: Parts<L>) -> (Runner<L>, Handle) {
        let (orders, orders_taken) = mpsc::channel(link_hands::ORDERS_MAX);
        let (answers, answers_taken) = mpsc::channel(link_hands::ORDERS_MAX);
        let (commands, commands_taken) = mpsc::channel(handle::COMMANDS_MAX);
        let (notices, _) = broadcast::channel(handle::NOTICES_MAX);
        let link = LinkHands {
            orders: orders_taken,
            answers,
            run: run_name(),
            seen: Seen::default(),
            link: parts.link,
        };
        let desk = Desk::new(Duties {
            gate: parts.gate,
            journal: parts.journal,
            resumed: parts.resumed,
            bounds: parts.bounds,
            target_name: parts.target_name,
            clients: parts.clients,
            traffic: parts.traffic,
            driver: link.link.driver_name(),
            abilities: [Direction::FORWARD, Direction::REVERSE]
                .map(|direction| link.link.abilities(direction)),
            orders,
            answers: answers_taken,
            commands: commands_taken,
            notices: notices.clone(),
        });
        let handle = Handle {
            commands,
            status: desk.watch(),
            notices,
        };
        (Runner { desk, link }, handle)
    }

    /// Works until `shutdown`; then undoes what is under way and not committed, finishes what is, and ends. Nothing is
    /// sent to the databases while no migration runs.
    pub async fn run(self, shutdown: shutdown::Signal) {
        let Runner { desk, link } = self;
        tokio::select! {
            () = desk.work(shutdown) => {}
            () = link.work() => {}
        }
    }
}

/// Tells this process's markers from those of another.
fn run_name() -> String {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    format!("{}-{}", std::process::id(), since.as_nanos())
}

#[cfg(test)]
mod tests;
