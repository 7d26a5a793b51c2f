//! The part of a worker's lanes in a change of sides: for every lane that is in use, one to the other side is opened
//! ahead, so that no session pays for it inside the pause; afterwards the old ones are closed.

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use super::CredentialMapping;
use super::reply::Client;
use super::who::twin;
use crate::gate::{Local, Obligation, Participant, Policy, Stage};
use crate::terms::Side;
use crate::upstream::{Lane, LaneState, Lanes};

/// Takes part for all lanes of a worker.
pub(super) struct LanesPart {
    gate: Rc<Local>,
    lanes: Rc<Lanes<Client>>,
    credentials: Vec<CredentialMapping>,
    /// The side that was active when no change was under way.
    active: Cell<Side>,
}

impl LanesPart {
    pub(super) fn new(
        gate: &Rc<Local>,
        lanes: &Rc<Lanes<Client>>,
        credentials: Vec<CredentialMapping>,
    ) -> Rc<LanesPart> {
        let active = Cell::new(gate.policy().active);
        Rc::new(LanesPart {
            gate: Rc::clone(gate),
            lanes: Rc::clone(lanes),
            credentials,
            active,
        })
    }

    fn open_ahead(&self, other: Side) {
        let (here, there) = (self.lanes.server(other.other()), self.lanes.server(other));
        for lane in self.lanes.up(other.other()) {
            let twin = self
                .lanes
                .lane(&twin(lane.key(), here, there, &self.credentials));
            let obligation = self.gate.oblige();
            tokio::task::spawn_local(settle(
                Rc::clone(&self.gate),
                Rc::clone(&self.lanes),
                twin,
                obligation,
            ));
        }
    }
}

/// Holds `obligation` until `lane` is up or has failed.
async fn settle(
    gate: Rc<Local>,
    lanes: Rc<Lanes<Client>>,
    lane: Rc<Lane<Client>>,
    obligation: Obligation,
) {
    let outcome = poll_fn(|cx| match lanes.look(&lane) {
        LaneState::Up(_) => Poll::Ready(Ok(())),
        LaneState::Failed(error) => Poll::Ready(Err(error)),
        LaneState::Connecting => {
            lane.wait(cx.waker().clone());
            Poll::Pending
        }
    })
    .await;
    if let Err(error) = outcome {
        gate.complain(format!(
            "the {} cannot be prepared for sessions: {error}",
            lane.key().side
        ));
    }
    drop(obligation);
}

impl Participant for LanesPart {
    fn stage_changed(&self, policy: Policy) {
        match policy.stage {
            Stage::Arming => self.open_ahead(policy.active.other()),
            Stage::Open => {
                let left = self.active.replace(policy.active);
                if left != policy.active {
                    self.lanes.leave(left);
                }
            }
            Stage::Draining | Stage::Releasing | Stage::Aligning | Stage::Moving => {}
        }
    }
}
