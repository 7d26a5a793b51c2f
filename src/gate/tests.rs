//! The gate as its users see it: permits on one side, a change of sides on the other.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::LocalSet;
use tokio::time::timeout;

use super::*;
use crate::terms::Side;

/// Long enough for anything that happens at all.
const SOON: Duration = Duration::from_secs(5);
/// Long enough to believe that something does not happen. Time is paused in these tests.
const NEVER: Duration = Duration::from_mins(1);

/// A gate with one worker that follows it, on paused time.
fn world<F: Future<Output = ()>>(test: impl FnOnce(Arc<Gate>, Rc<Local>) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, async {
        let gate = Gate::new(Side::Source, 1);
        let local = Local::new(&gate, 0);
        tokio::task::spawn_local(Rc::clone(&local).follow());
        test(gate, local).await;
    });
}

fn admit(local: &Rc<Local>, intent: Intent) -> Admission {
    local.admit(Routes::default(), intent)
}

fn permit(local: &Rc<Local>, intent: Intent) -> Permit {
    match admit(local, intent) {
        Admission::Forward(_, permit) => permit,
        Admission::Hold | Admission::Refuse => panic!("not admitted"),
    }
}

#[test]
fn a_drain_waits_for_the_permit_of_every_write_in_flight() {
    world(|gate, local| async move {
        let write = permit(&local, Intent::Write);
        let read = permit(&local, Intent::Read);
        let mut armed = gate.arm().unwrap();
        assert!(timeout(SOON, armed.prepared()).await.unwrap().is_empty());
        let mut closed = armed.close();
        assert!(
            timeout(NEVER, closed.drained()).await.is_err(),
            "a write is in flight"
        );
        assert!(matches!(admit(&local, Intent::Write), Admission::Hold));
        drop(write);
        timeout(SOON, closed.drained()).await.unwrap();
        drop(read);
    });
}

#[test]
fn a_run_of_writes_is_in_flight_until_the_last_has_its_reply() {
    world(|gate, local| async move {
        let mut run = permit(&local, Intent::Write);
        run.absorb(permit(&local, Intent::Write)).unwrap();
        run.absorb(permit(&local, Intent::Read)).unwrap();
        let mut closed = gate.arm().unwrap().close();
        assert!(timeout(NEVER, closed.drained()).await.is_err());
        drop(run);
        timeout(SOON, closed.drained()).await.unwrap();
    });
}

#[test]
fn a_blocked_command_does_not_hinder_the_drain_but_the_release() {
    world(|gate, local| async move {
        let blocked = permit(&local, Intent::WaitAndWrite);
        let mut closed = gate.arm().unwrap().close();
        timeout(SOON, closed.drained()).await.unwrap();
        assert!(timeout(NEVER, closed.released()).await.is_err());
        drop(blocked);
        timeout(SOON, closed.released()).await.unwrap();
    });
}

#[test]
fn dropping_a_closed_gate_reopens_the_side_it_belongs_to() {
    world(|gate, local| async move {
        let mut closed = gate.arm().unwrap().close();
        timeout(SOON, closed.drained()).await.unwrap();
        drop(closed);
        tokio::task::yield_now().await;
        assert!(matches!(
            admit(&local, Intent::Write),
            Admission::Forward(Side::Source, _)
        ));
        assert!(gate.arm().is_ok(), "the next attempt can begin");
    });
}

#[test]
fn a_commit_flips_the_side_once_and_holds_writes_until_the_release() {
    world(|gate, local| async move {
        let mut closed = gate.arm().unwrap().close();
        timeout(SOON, closed.drained()).await.unwrap();
        let mut committing = closed.commit();
        timeout(SOON, committing.moved()).await.unwrap();
        assert!(matches!(admit(&local, Intent::Write), Admission::Hold));
        assert!(matches!(
            admit(&local, Intent::Read),
            Admission::Forward(Side::Target, _)
        ));
        committing.release();
        tokio::task::yield_now().await;
        assert!(matches!(
            admit(&local, Intent::Write),
            Admission::Forward(Side::Target, _)
        ));
    });
}

#[test]
fn only_one_change_of_sides_is_under_way() {
    world(|gate, _| async move {
        let armed = gate.arm().unwrap();
        assert_eq!(gate.arm().unwrap_err(), Busy);
        drop(armed);
        assert!(gate.arm().is_ok());
    });
}

#[test]
fn a_stage_settles_when_the_last_obligation_is_met() {
    struct Reluctant(Rc<Local>, RefCell<Vec<Obligation>>);
    impl Participant for Reluctant {
        fn stage_changed(&self, _: Policy) {
            self.1.borrow_mut().push(self.0.oblige());
        }
    }
    world(|gate, local| async move {
        let reluctant = Rc::new(Reluctant(Rc::clone(&local), RefCell::default()));
        let membership = local.join(&reluctant);
        let mut armed = gate.arm().unwrap();
        assert!(timeout(NEVER, armed.prepared()).await.is_err());
        local.complain("no connection".to_owned());
        reluctant.1.borrow_mut().clear();
        assert_eq!(
            timeout(SOON, armed.prepared()).await.unwrap(),
            ["no connection"]
        );
        drop(membership);
    });
}

#[test]
fn waiting_requests_are_woken_when_the_policy_changes() {
    world(|gate, local| async move {
        let closed = gate.arm().unwrap().close();
        while !matches!(admit(&local, Intent::Write), Admission::Hold) {
            tokio::task::yield_now().await;
        }
        let waiting = Rc::clone(&local);
        let held = tokio::task::spawn_local(async move {
            std::future::poll_fn(|cx| match waiting.admit(Routes::default(), Intent::Write) {
                Admission::Forward(side, _) => std::task::Poll::Ready(side),
                Admission::Hold | Admission::Refuse => {
                    waiting.wait(cx.waker().clone());
                    std::task::Poll::Pending
                }
            })
            .await
        });
        tokio::task::yield_now().await;
        drop(closed);
        assert_eq!(timeout(SOON, held).await.unwrap().unwrap(), Side::Source);
    });
}
