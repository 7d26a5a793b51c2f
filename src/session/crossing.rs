//! A session's part in a change of sides. Sessions without a connection of their own have none: they find the new
//! policy with their next request. A session with one prepares its twin, waits, and moves.
//!
//! What is left to do follows from the policy and the session's own state alone, so it is looked at again at every turn
//! until nothing is left; then the obligation is dropped, and the gate counts the session as settled.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use super::private::Private;
use super::relay::{End, Session, Watch};
use super::reply::Client;
use crate::gate::{Local, Membership, Obligation, Participant, Policy, Stage};
use crate::terms::Side;

/// A session's place among the gate's participants.
pub(super) struct Part {
    seat: Rc<Seat>,
    _membership: Membership,
}

/// What the gate talks to.
struct Seat {
    gate: Rc<Local>,
    client: Rc<Client>,
    /// Kept until the session has done its part of the present stage.
    obligation: RefCell<Option<Obligation>>,
}

impl Participant for Seat {
    fn stage_changed(&self, _policy: Policy) {
        let kept = self.obligation.replace(Some(self.gate.oblige()));
        drop(kept);
        self.client.signal();
    }
}

impl Part {
    /// Takes part from now on.
    pub(super) fn join(gate: &Rc<Local>, client: &Rc<Client>) -> Part {
        let seat = Rc::new(Seat {
            gate: Rc::clone(gate),
            client: Rc::clone(client),
            obligation: RefCell::new(None),
        });
        let membership = gate.join(&seat);
        Part {
            seat,
            _membership: membership,
        }
    }

    fn done(&self) {
        let kept = self.seat.obligation.take();
        drop(kept);
    }
}

/// How soon it is looked again whether a command that was not found blocked is by now, and the like.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

impl Session {
    /// Does what is left to do for the present policy.
    pub(super) fn advance(&mut self) -> Result<(), End> {
        if self.part.is_none() {
            return Ok(());
        }
        let Policy { active, stage, .. } = self.worker.gate.policy();
        if let Some(side) = self.replica_of {
            // Nothing can be moved: the replica connects again, and asks the new side for a copy.
            if side != active {
                return Err(End::Client);
            }
            if let Some(part) = &self.part {
                part.done();
            }
            return Ok(());
        }
        // What others wait for must not wait for a client that does not read.
        self.client.hurry(stage.holds_writes());
        let done = match stage {
            Stage::Arming => self.prepare(active.other()),
            Stage::Draining => true,
            Stage::Releasing => {
                self.release_blocked();
                true
            }
            Stage::Aligning => !self.frames.is_on() || self.sides.ahead().is_none() || self.align(),
            Stage::Moving => self.move_to(active)?,
            Stage::Open => self.settle_on(active)?,
        };
        if done && let Some(part) = &self.part {
            part.done();
        }
        Ok(())
    }

    /// Has the session look again after a moment: what it waits for tells nobody when it comes about.
    pub(super) fn look_again(&self) {
        let client = Rc::clone(&self.client);
        tokio::task::spawn_local(async move {
            tokio::time::sleep(LOOK_AGAIN).await;
            client.signal();
        });
    }

    /// Whether the session still stands on the other side than `side`.
    pub(super) fn is_left_behind(&self, side: Side) -> bool {
        self.part.is_some() && self.is_to_move_to(side)
    }

    /// Whether it has a connection to the other side than `side` that must not stay there. One that serves the reads of
    /// a session whose reads and writes go to different sides may: what the session has told a server is on `side`, or
    /// it has told nothing.
    fn is_to_move_to(&self, side: Side) -> bool {
        let only_reads_there = self.side_of_reads_alone() == Some(side.other())
            && (self.sides.private(side).is_some() || !self.has_state() && self.blocked.is_none());
        self.sides.private(side.other()).is_some() && !only_reads_there
    }

    /// Opens the twin of the session's connection on `side`. True when there is nothing left to prepare.
    fn prepare(&mut self, side: Side) -> bool {
        if self.sides.private(side.other()).is_none() {
            return true;
        }
        if self.sides.ahead().is_none() {
            match self.open_ahead(side) {
                Ok(Some(ahead)) => {
                    self.set_ahead(ahead);
                    self.announce_twin(side);
                }
                Ok(None) => return false,
                Err(error) => {
                    self.worker.gate.complain(format!(
                        "a session's connection to the {side} cannot be prepared: {error}"
                    ));
                    return true;
                }
            }
        }
        !self.frames.is_on() || self.prepare_frames()
    }

    /// Moves to `side`. True when everything the session had on the other side is there.
    fn move_to(&mut self, side: Side) -> Result<bool, End> {
        if self.is_to_move_to(side) {
            if !self.prepare(side) || self.frames.owes() {
                // What is owed on a connection with messages is awaited here: it is told apart by its order alone.
                return Ok(false);
            }
            let Some(new) = self.take_ahead() else {
                return Err(End::Failed(format!(
                    "its state could not be moved to the {side}"
                )));
            };
            self.cross(side, new)?;
        }
        Ok(self.wait_on(side))
    }

    fn cross(&mut self, side: Side, new: Box<Private>) -> Result<(), End> {
        let old = self.sides.take_private(side.other());
        if self.frames.is_on() {
            self.cross_frames(&new)?;
        }
        let left = old.as_ref().and_then(|old| old.pipeline.client_id());
        self.tell_to_invalidate(side, left);
        let pipeline = Rc::clone(&new.pipeline);
        pipeline.set_owner(Some(&self.client));
        // Its reads may have had a connection there already; what they are owed still comes.
        if let Some(for_reads) = self.sides.take_private(side) {
            for_reads.pipeline.retire();
        }
        self.sides.set_private(new);
        if self.watch == Watch::On {
            // The watched keys must be taken as changed: the other side has not seen them watched.
            self.watch = Watch::Tainted;
        }
        self.requeue(side, &pipeline);
        if let Some(old) = old {
            old.pipeline.retire();
        }
        Ok(())
    }

    /// Has a released command wait on `side`, where the session has its connection.
    fn wait_on(&mut self, side: Side) -> bool {
        if self.blocked.is_none() {
            self.release_private();
            return true;
        }
        let Some(private) = self.sides.private(side) else {
            return true;
        };
        let pipeline = Rc::clone(&private.pipeline);
        self.block_again(side, &pipeline)
    }

    /// No change is under way: what was prepared in vain is dropped, what was released goes on.
    fn settle_on(&mut self, active: Side) -> Result<bool, End> {
        if self.is_to_move_to(active) && self.sides.private(active).is_none() {
            // It joined too late to move with the others.
            return self.move_to(active);
        }
        self.sides.drop_ahead();
        self.frames.forget_line();
        self.wait_on(active);
        Ok(true)
    }
}
