//! A worker's view of the gate: the policy it has acknowledged, the permits it has given, the sessions that take part
//! in a change of sides. Everything here lives on the worker's thread; nothing is shared but the acknowledgement.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::Waker;

use super::control::Gate;
use super::policy::{Decision, Intent, Policy, Routes, Stage};
use crate::terms::{Epoch, Side};

/// What the gate says about a request.
#[derive(Debug)]
pub enum Admission {
    /// Send it to this side and keep the permit until its reply is there.
    Forward(Side, Permit),
    /// Ask again when the policy changes; see [`Local::wait`].
    Hold,
    /// Answer that this listener does not take writes.
    Refuse,
}

/// Somebody on this worker's thread with a part in a change of sides: a session with state, or the set of lanes.
pub trait Participant {
    /// A policy was acknowledged by this worker. What must be finished before the stage counts as settled takes an
    /// [`Obligation`] here, synchronously.
    fn stage_changed(&self, policy: Policy);
}

/// One worker's view.
pub struct Local {
    /// Where acknowledgements go.
    gate: Arc<Gate>,
    /// This worker's slot there.
    worker: usize,
    /// The policy this worker acts on.
    policy: Cell<Policy>,
    /// Permits of writes in flight.
    writes: Cell<usize>,
    /// Permits of commands that wait on the active side.
    waits: Cell<usize>,
    /// Obligations of the present stage.
    obligations: Cell<usize>,
    /// Who is told of a change, in the order in which they joined.
    participants: RefCell<BTreeMap<u64, Weak<dyn Participant>>>,
    /// The next participant's key.
    next_key: Cell<u64>,
    /// Sessions whose request is held, in the order in which they came.
    waiting: RefCell<Vec<Waker>>,
    /// What could not be prepared at this stage, for the operator.
    complaints: RefCell<Vec<String>>,
    /// The newest epoch that was reported as settled.
    reported: Cell<Epoch>,
}

impl std::fmt::Debug for Local {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Local")
            .field("worker", &self.worker)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

impl Local {
    /// The view of worker number `worker`, with the policy of this moment.
    pub fn new(gate: &Arc<Gate>, worker: usize) -> Rc<Local> {
        Rc::new(Local {
            gate: Arc::clone(gate),
            worker,
            policy: Cell::new(gate.policy()),
            writes: Cell::new(0),
            waits: Cell::new(0),
            obligations: Cell::new(0),
            participants: RefCell::default(),
            next_key: Cell::new(0),
            waiting: RefCell::default(),
            complaints: RefCell::default(),
            reported: Cell::new(Epoch(0)),
        })
    }

    /// Follows the published policy for as long as the worker lives.
    pub async fn follow(self: Rc<Self>) {
        let mut published = self.gate.subscribe();
        loop {
            let policy = *published.borrow_and_update();
            if policy != self.policy.get() {
                self.adopt(policy);
            }
            self.report();
            if published.changed().await.is_err() {
                return;
            }
        }
    }

    /// A permit for a command that was admitted before and goes on waiting on the active side: it was released from a
    /// side that it had to leave, or that was to be left.
    pub fn readmit(self: &Rc<Self>) -> Permit {
        self.permit(Intent::WaitAndWrite)
    }

    /// The policy this worker acts on.
    pub fn policy(&self) -> Policy {
        self.policy.get()
    }

    /// Decides about one request. The fast path: two reads and one addition, all local to the worker.
    pub fn admit(self: &Rc<Self>, routes: Routes, intent: Intent) -> Admission {
        match self.policy.get().decide(routes, intent) {
            Decision::Forward(side) => Admission::Forward(side, self.permit(intent)),
            Decision::Hold => Admission::Hold,
            Decision::Refuse => Admission::Refuse,
        }
    }

    /// Wakes `waker` at the next change of policy, in the order of the calls.
    pub fn wait(&self, waker: Waker) {
        self.waiting.borrow_mut().push(waker);
    }

    /// Has `participant` told of every change for as long as the membership lives. It is not told of the present one.
    pub fn join(self: &Rc<Self>, participant: &Rc<impl Participant + 'static>) -> Membership {
        let key = self.next_key.get();
        self.next_key.set(key + 1);
        let weak: Weak<dyn Participant> =
            Rc::<_>::downgrade(&(Rc::clone(participant) as Rc<dyn Participant>));
        self.participants.borrow_mut().insert(key, weak);
        Membership {
            local: Rc::clone(self),
            key,
        }
    }

    /// The present stage does not settle while the value lives.
    pub fn oblige(self: &Rc<Self>) -> Obligation {
        self.obligations.set(self.obligations.get() + 1);
        Obligation {
            local: Rc::clone(self),
        }
    }

    /// Notes for the operator what could not be prepared. Carries no secrets.
    pub fn complain(&self, text: String) {
        let mut complaints = self.complaints.borrow_mut();
        if complaints.len() < COMPLAINTS_MAX {
            // Who arms is told. Later stages have nobody who is: they end in time, or not. Where the gate is open, a session
            // is in the way of its own end at most.
            if !matches!(self.policy.get().stage, Stage::Arming | Stage::Open) {
                tracing::warn!(reason = text, "a session is in the way of the cutover");
            }
            complaints.push(text);
        }
    }

    fn permit(self: &Rc<Self>, intent: Intent) -> Permit {
        let kind = match intent {
            Intent::Read | Intent::Stay => {
                return Permit {
                    local: None,
                    kind: Kind::Write,
                    count: 0,
                };
            }
            Intent::Write => Kind::Write,
            Intent::Wait | Intent::WaitAndWrite => Kind::Wait,
        };
        let counter = self.counter(kind);
        counter.set(counter.get() + 1);
        Permit {
            local: Some(Rc::clone(self)),
            kind,
            count: 1,
        }
    }

    fn counter(&self, kind: Kind) -> &Cell<usize> {
        match kind {
            Kind::Write => &self.writes,
            Kind::Wait => &self.waits,
        }
    }

    fn adopt(self: &Rc<Self>, policy: Policy) {
        self.policy.set(policy);
        self.complaints.borrow_mut().clear();
        // Participants may join or leave while they are told.
        let keys: Vec<u64> = self.participants.borrow().keys().copied().collect();
        for key in keys {
            let participant = self.participants.borrow().get(&key).and_then(Weak::upgrade);
            if let Some(participant) = participant {
                participant.stage_changed(policy);
            }
        }
        for waker in self.waiting.take() {
            waker.wake();
        }
    }

    /// Tells the control side when this worker has nothing left to do for the present stage.
    fn report(&self) {
        let policy = self.policy.get();
        if self.reported.get() == policy.epoch {
            return;
        }
        let settled = match policy.stage {
            Stage::Open => true,
            Stage::Draining => self.writes.get() == 0 && self.obligations.get() == 0,
            Stage::Releasing => {
                self.writes.get() == 0 && self.waits.get() == 0 && self.obligations.get() == 0
            }
            Stage::Arming | Stage::Aligning | Stage::Moving => self.obligations.get() == 0,
        };
        if settled {
            self.reported.set(policy.epoch);
            self.gate
                .settled(self.worker, policy.epoch, &self.complaints.borrow());
        }
    }
}

/// Texts kept for the operator; more would only repeat them.
const COMPLAINTS_MAX: usize = 8;

/// Which counter a permit stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Write,
    Wait,
}

/// The proof of an admission. While it lives, the requests it stands for are in flight.
#[derive(Debug)]
pub struct Permit {
    /// Where it is counted; none for what need not be drained.
    local: Option<Rc<Local>>,
    kind: Kind,
    /// How many requests it stands for.
    count: usize,
}

impl Permit {
    /// One permit for both, so that a run of requests carries one. Gives `other` back where the kinds differ.
    pub fn absorb(&mut self, mut other: Permit) -> Result<(), Permit> {
        if other.local.is_none() {
            return Ok(());
        }
        if self.local.is_none() {
            std::mem::swap(self, &mut other);
            return Ok(());
        }
        if self.kind != other.kind {
            return Err(other);
        }
        self.count += std::mem::take(&mut other.count);
        Ok(())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(local) = self.local.take() else {
            return;
        };
        if self.count == 0 {
            return;
        }
        let counter = local.counter(self.kind);
        counter.set(counter.get() - self.count);
        if counter.get() == 0 && local.policy.get().stage != Stage::Open {
            local.report();
        }
    }
}

/// A place among the participants; leaving is dropping it.
#[derive(Debug)]
pub struct Membership {
    local: Rc<Local>,
    key: u64,
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.local.participants.borrow_mut().remove(&self.key);
    }
}

/// Something that must be finished before the present stage counts as settled.
#[derive(Debug)]
pub struct Obligation {
    local: Rc<Local>,
}

impl Drop for Obligation {
    fn drop(&mut self) {
        let left = self.local.obligations.get() - 1;
        self.local.obligations.set(left);
        if left == 0 {
            self.local.report();
        }
    }
}
