//! The part of a worker's lanes in a change of sides: for every lane that is in use, one to the other side is opened
//! ahead, so that no session pays for it inside the pause; afterwards the old ones are closed.

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use super::CredentialMapping;
use super::audit::printable;
use super::reply::Client;
use super::scripts::Scripts;
use super::tracking::Redirects;
use super::who::twin;
use crate::gate::{Local, Obligation, Participant, Policy, Stage};
use crate::terms::{Identity, Side};
use crate::upstream::{Lane, LaneState, Lanes};

/// Takes part for all lanes of a worker.
pub(super) struct LanesPart {
    gate: Rc<Local>,
    lanes: Rc<Lanes<Client>>,
    credentials: Vec<CredentialMapping>,
    /// The side that was active when no change was under way.
    active: Cell<Side>,
    /// When another became active.
    crossed_at: Rc<Cell<Option<Instant>>>,
    /// What one worker does for all: scripts are loaded on the other side, and what connections are called there is
    /// forgotten in the end.
    for_all: Option<(Arc<Scripts>, Arc<Redirects>)>,
    /// The first script that has not been loaded there.
    script: Cell<u64>,
}

impl LanesPart {
    pub(super) fn new(
        gate: &Rc<Local>,
        lanes: &Rc<Lanes<Client>>,
        credentials: Vec<CredentialMapping>,
        for_all: Option<(Arc<Scripts>, Arc<Redirects>)>,
    ) -> Rc<LanesPart> {
        let active = Cell::new(gate.policy().active);
        Rc::new(LanesPart {
            gate: Rc::clone(gate),
            lanes: Rc::clone(lanes),
            credentials,
            active,
            crossed_at: Rc::default(),
            for_all,
            script: Cell::new(0),
        })
    }

    /// When the active side last changed, for whoever wants to look.
    pub(super) fn crossed_at(&self) -> Rc<Cell<Option<Instant>>> {
        Rc::clone(&self.crossed_at)
    }

    /// Loads the scripts that came since the last time.
    fn load_scripts(&self, other: Side) {
        let Some((scripts, _)) = &self.for_all else {
            return;
        };
        let next = scripts.next();
        let first = self.script.replace(next);
        if first == next {
            return;
        }
        let (scripts, gate) = (Arc::clone(scripts), Rc::clone(&self.gate));
        let server = Rc::clone(self.lanes.server(other));
        let obligation = self.gate.oblige();
        tokio::task::spawn_local(async move {
            if let Err(error) = scripts.load(first, &server).await {
                gate.complain(format!(
                    "scripts cannot be loaded on the {other} ({error}); limit script_bytes = 0 does without"
                ));
            }
            drop(obligation);
        });
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
            "the {} cannot be prepared for sessions of {}: {error}",
            lane.key().side,
            called(&lane.key().setup.identity)
        ));
    }
    drop(obligation);
}

/// Whom a person looks for on the server.
fn called(identity: &Identity) -> String {
    match identity {
        Identity::Anonymous => "clients without a password".to_owned(),
        Identity::Password(_) | Identity::User { .. } => {
            format!("the user {}", printable(identity.user()))
        }
    }
}

impl Participant for LanesPart {
    fn stage_changed(&self, policy: Policy) {
        match policy.stage {
            Stage::Arming => {
                self.script.set(0);
                self.load_scripts(policy.active.other());
                self.open_ahead(policy.active.other());
            }
            // Writes are held: no further script can come.
            Stage::Aligning => self.load_scripts(policy.active.other()),
            Stage::Moving => self.crossed_at.set(Some(Instant::now())),
            Stage::Open => {
                if let Some((_, redirects)) = &self.for_all {
                    redirects.clear();
                }
                let left = self.active.replace(policy.active);
                if left != policy.active {
                    self.lanes.leave(left);
                }
            }
            Stage::Draining | Stage::Releasing => {}
        }
    }
}
