//! What can go wrong in a world, each time at a cost: a history has only so many of these.

use handover::cutover::action::Action;
use handover::terms::Side;

use super::database::{Role, Stream};
use super::link::acts;
use super::world::{Awaiting, World};

/// What goes wrong, or is late, or is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The process dies and starts again; whether the record that it was writing is there.
    Crash { written: bool },
    /// The first order fails, and does nothing.
    Fails,
    /// The first order is carried out, and its reply is lost.
    ReplyLost,
    /// The first order is taken for failed, and is carried out later.
    CarriedOutLate,
    /// The first answer reaches the state machine, and will again.
    AnsweredTwice,
    /// Sessions cannot prepare.
    NotPrepared,
    /// The first record cannot be written.
    RecordFails,
    /// An operator stops what is under way.
    Abort,
    /// A write is carried out, and its client's connection is lost.
    WriteUnanswered(usize),
    /// The follower's connection is cut.
    Cut(Side),
    /// The follower starts over with a full copy.
    StartsOver(Side),
    /// Somebody else ends the link.
    Meddle(Side),
}

/// Everything that can go wrong now.
pub(crate) fn troubles(world: &World) -> Vec<Trouble> {
    let mut troubles = vec![Trouble::Crash { written: false }, Trouble::Abort];
    if !world.records.is_empty() {
        troubles.extend([Trouble::Crash { written: true }, Trouble::RecordFails]);
    }
    if let Some(order) = world.orders.first() {
        troubles.push(Trouble::Fails);
        if changes_something(order) {
            troubles.extend([Trouble::ReplyLost, Trouble::CarriedOutLate]);
        }
    }
    if !world.answers.is_empty() {
        troubles.push(Trouble::AnsweredTwice);
    }
    if matches!(world.gate.awaiting, Some((_, Awaiting::Prepared))) {
        troubles.push(Trouble::NotPrepared);
    }
    for (index, (_, side)) in world.in_flight.iter().enumerate() {
        if world.databases[side.index()].takes_writes() {
            troubles.push(Trouble::WriteUnanswered(index));
        }
    }
    for side in Side::BOTH {
        match world.databases[side.index()].role {
            Role::Master => {}
            Role::Replica(stream) => {
                troubles.extend([Trouble::StartsOver(side), Trouble::Meddle(side)]);
                if stream == Stream::Flowing {
                    troubles.push(Trouble::Cut(side));
                }
            }
        }
    }
    troubles
}

fn changes_something(order: &Action) -> bool {
    match order {
        Action::ObserveLink { .. } => false,
        Action::Link { step, .. } => acts(*step),
        _ => true,
    }
}
