//! What must be so in every world, and what must be possible at all.

use handover::cutover::action::Action;
use handover::cutover::event::Event;
use handover::cutover::journal::Record;
use handover::cutover::state::{Committed, Idle, State, WayBack};
use handover::cutover::step::step;
use handover::terms::Side;
use stateright::Property;

use super::Cutover;
use super::database::{FreedBy, Write};
use super::rules::{MAX_PAUSE, Rules};
use super::world::{Breach, Grip, World};

pub(crate) const NOTHING_LOST: &str = "no acknowledged write is lost or out of order";
pub(crate) const NOTHING_TWICE: &str = "no write is twice on a side";
pub(crate) const ONE_SIDE: &str = "never two sides writable through the proxy";
pub(crate) const ACTIVE_REPLIES: &str = "only the active side acknowledges a client's write";
pub(crate) const HOLD_ENDS: &str = "a hold always ends";
pub(crate) const IN_TIME: &str = "a pause that ran over leads neither to detach nor to commit";
pub(crate) const JOURNAL_DECIDES: &str = "writes run only on the side that the journal names";
pub(crate) const FLUSH_CONFIRMED: &str = "the target is flushed by a confirmed migrate alone";
pub(crate) const ACTIVE_STAYS: &str = "the active side is never replaced";
pub(crate) const BYPASS_KEPT: &str = "what bypasses the proxy is carried over or kept out";
pub(crate) const FENCE_LIFTED: &str = "no fence is left behind";
pub(crate) const WAY_BACK_KEPT: &str = "a rollback that is undone keeps the way back";
pub(crate) const GATE_AGREES: &str = "state machine and gate agree";

/// What is promised, always.
pub(crate) fn promises() -> Vec<Property<Cutover>> {
    vec![
        Property::always(NOTHING_LOST, |_, world: &World| {
            in_order(&world.known.acknowledged, held_by_active(world))
        }),
        Property::always(NOTHING_TWICE, |_, world: &World| {
            world.databases.iter().all(|one| all_differ(&one.data))
        }),
        Property::always(ONE_SIDE, |_, world: &World| {
            let mut sides = world.in_flight.iter().map(|(_, side)| *side);
            let admits = world.gate.admits();
            let one = admits.or_else(|| sides.next());
            sides.all(|side| Some(side) == one)
        }),
        Property::always(ACTIVE_REPLIES, |_, world: &World| {
            world.known.breach != Some(Breach::RepliedByPassiveSide)
        }),
        Property::always(HOLD_ENDS, |_, world: &World| hold_ends(world)),
        Property::always(IN_TIME, |_, world: &World| {
            world.known.breach != Some(Breach::WentOnTooLate)
        }),
        Property::always(JOURNAL_DECIDES, |_, world: &World| {
            let admits = world.gate.admits();
            admits.is_none_or(|side| side == world.on_disk.active())
        }),
        Property::always(FLUSH_CONFIRMED, |_, world: &World| {
            world.known.breach != Some(Breach::FlushedUnasked)
        }),
        Property::always(ACTIVE_STAYS, |_, world: &World| {
            world.known.breach != Some(Breach::ActiveSideReplaced)
        }),
        Property::always(BYPASS_KEPT, |_, world: &World| {
            let held = held_by_active(world);
            world.known.promised.iter().all(|one| held.contains(one))
        }),
        Property::always(FENCE_LIFTED, |_, world: &World| fence_lifted(world)),
        Property::always(WAY_BACK_KEPT, |_, world: &World| {
            world.known.confused || !gives_up_the_way_back(world)
        }),
        Property::always(GATE_AGREES, |_, world: &World| {
            world.known.breach != Some(Breach::GateMisused)
                && world.state.active() == world.gate.active
                && (world.gate.grip == Grip::None) == world.state.step().is_none()
        }),
    ]
}

/// What must be reached, so that a promise is not kept by nothing ever happening.
pub(crate) fn reached(rules: &Rules) -> Vec<Property<Cutover>> {
    let mut reached = vec![
        Property::sometimes(
            "a cutover commits with every write on the target",
            |model: &Cutover, world: &World| {
                let all = world.known.acknowledged.len() == usize::from(model.0.writes);
                all && matches!(world.state, State::Committed(Committed::Settled(_)))
            },
        ),
        Property::sometimes(
            "an attempt is undone after it ended the link",
            |_, world: &World| world.state == State::Idle(Idle::DetachedByAttempt),
        ),
        Property::sometimes("the way back is given up", |_, world: &World| {
            world.state == State::Finalized
        }),
    ];
    if rules.bypass > 0 {
        reached.push(Property::sometimes(
            "a write that bypassed the proxy is carried over",
            |_, world: &World| {
                let held = held_by_active(world);
                let promised = &world.known.promised;
                world.gate.active == Side::Target && promised.iter().any(|one| held.contains(one))
            },
        ));
    }
    reached
}

/// The same where there is more than one attempt.
pub(crate) fn reached_by_two_attempts() -> Vec<Property<Cutover>> {
    vec![
        Property::sometimes(
            "a rollback commits and the link is turned",
            |_, world: &World| world.on_disk.rolled_back && matches!(world.state, State::InSync(_)),
        ),
        Property::sometimes("a rollback ends without a link", |_, world: &World| {
            matches!(world.state, State::RolledBack(_))
        }),
        Property::sometimes("an attempt is repeated", |_, world: &World| {
            let number = world.on_disk.last_number;
            number == 2 && matches!(world.state, State::Committed(Committed::Settled(_)))
        }),
    ]
}

fn held_by_active(world: &World) -> &[Write] {
    &world.databases[world.gate.active.index()].data
}

/// Whether `held` has all of `acknowledged`, in that order.
fn in_order(acknowledged: &[Write], held: &[Write]) -> bool {
    let mut held = held.iter();
    acknowledged
        .iter()
        .all(|one| held.any(|other| other == one))
}

fn all_differ(data: &[Write]) -> bool {
    let later = |index: usize| &data[index + 1..];
    data.iter()
        .enumerate()
        .all(|(index, one)| !later(index).contains(one))
}

/// While writes are held there is a bound, it is the pause's, and whoever is woken at it lets them go. The one hold
/// without a bound is the commit on its way to the disk: while nobody knows whether it is there, neither side may be
/// written to; there the disk's answer must be under way.
fn hold_ends(world: &World) -> bool {
    let Some(since) = world.gate.held_since() else {
        return true;
    };
    if world.is_committing_to_disk() {
        let number = world.state.attempt_number();
        return world.records.iter().any(|record| {
            matches!(record, Record::Committed { number: one, .. } if Some(*one) == number)
        });
    }
    let bound = since.plus(MAX_PAUSE);
    let Some(deadline) = world.state.deadline().filter(|at| *at <= bound) else {
        return false;
    };
    let woken_at = deadline.max(world.now);
    let (_, actions) = step(world.state.clone(), Event::TimeReached, woken_at);
    actions
        .iter()
        .any(|action| matches!(action, Action::ReopenGate | Action::ReleaseGate))
}

/// Where no attempt is under way or being undone, the active side is closed to nobody.
fn fence_lifted(world: &World) -> bool {
    let settled = world.state.step().is_none() && !matches!(world.state, State::Aborting(_));
    let active = &world.databases[world.gate.active.index()];
    let excused = world.known.fence_excused || world.known.confused;
    !settled || excused || active.fenced_until.is_none()
}

/// Whether a reverse link that an attempt ended is taken for lost, though it could be made again.
fn gives_up_the_way_back(world: &World) -> bool {
    let lost = State::Committed(Committed::Settled(WayBack::Lost));
    world.state == lost && world.databases[Side::Source.index()].freed_by == FreedBy::Attempt
}
