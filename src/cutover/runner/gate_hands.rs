//! Holds the gate's value, so that whatever happens to the runner, dropping it lets the traffic go.
//!
//! Refuses to know: why anything is held.

use std::sync::Arc;

use super::super::event::Fact;
use crate::gate::{Armed, Closed, Committing, Gate};

/// The gate and the present hold on it.
#[derive(Debug)]
pub(super) struct GateHands {
    gate: Arc<Gate>,
    grip: Grip,
    /// What the attempt with this number waits for.
    awaiting: Option<(u64, Awaiting)>,
}

/// The present hold on the gate.
#[derive(Debug)]
enum Grip {
    None,
    Armed(Armed),
    Closed(Closed),
    Committing(Committing),
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Awaiting {
    Prepared,
    Drained,
    Released,
    Aligned,
    Moved,
    /// Somebody else has the gate: told at once.
    Busy,
}

impl GateHands {
    pub(super) fn new(gate: Arc<Gate>) -> GateHands {
        GateHands {
            gate,
            grip: Grip::None,
            awaiting: None,
        }
    }

    pub(super) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Step 2.
    pub(super) fn arm(&mut self, number: u64) {
        self.awaiting = Some((number, Awaiting::Prepared));
        match self.gate.arm() {
            Ok(armed) => self.grip = Grip::Armed(armed),
            Err(_busy) => self.awaiting = Some((number, Awaiting::Busy)),
        }
    }

    /// Step 3. Whether writes are held now.
    pub(super) fn close(&mut self) -> bool {
        self.awaiting = None;
        match std::mem::replace(&mut self.grip, Grip::None) {
            Grip::Armed(armed) => {
                self.grip = Grip::Closed(armed.close());
                true
            }
            Grip::None | Grip::Closed(_) | Grip::Committing(_) => false,
        }
    }

    /// Step 9. Whether the other side is active now.
    pub(super) fn commit(&mut self) -> bool {
        self.awaiting = None;
        match std::mem::replace(&mut self.grip, Grip::None) {
            Grip::Closed(closed) => {
                self.grip = Grip::Committing(closed.commit());
                true
            }
            Grip::None | Grip::Armed(_) | Grip::Committing(_) => false,
        }
    }

    /// Lets the traffic go: where nothing is committed on the side it ran on, else on the new one.
    pub(super) fn let_go(&mut self) {
        self.awaiting = None;
        match std::mem::replace(&mut self.grip, Grip::None) {
            Grip::Committing(committing) => committing.release(),
            Grip::None | Grip::Armed(_) | Grip::Closed(_) => {}
        }
    }

    pub(super) fn expect(&mut self, number: u64, awaiting: Awaiting) {
        self.awaiting = Some((number, awaiting));
    }

    /// The next fact about the gate; never, while nothing is awaited.
    ///
    /// Cancel safety: may be dropped and called again.
    pub(super) async fn next(&mut self) -> (u64, Fact) {
        let Some((number, awaiting)) = self.awaiting else {
            return std::future::pending().await;
        };
        let fact = match (awaiting, &mut self.grip) {
            (Awaiting::Busy, _) => Fact::SessionsPrepared(vec![
                "another change of the active side is under way".to_owned(),
            ]),
            (Awaiting::Prepared, Grip::Armed(armed)) => {
                Fact::SessionsPrepared(armed.prepared().await)
            }
            (Awaiting::Drained, Grip::Closed(closed)) => {
                closed.drained().await;
                Fact::WritesDrained
            }
            (Awaiting::Released, Grip::Closed(closed)) => {
                closed.released().await;
                Fact::BlockedReleased
            }
            (Awaiting::Aligned, Grip::Closed(closed)) => {
                closed.aligned().await;
                Fact::Aligned
            }
            (Awaiting::Moved, Grip::Committing(committing)) => {
                committing.moved().await;
                Fact::SessionsMoved
            }
            (
                Awaiting::Prepared
                | Awaiting::Drained
                | Awaiting::Released
                | Awaiting::Aligned
                | Awaiting::Moved,
                Grip::None | Grip::Armed(_) | Grip::Closed(_) | Grip::Committing(_),
            ) => std::future::pending().await,
        };
        self.awaiting = None;
        (number, fact)
    }
}
