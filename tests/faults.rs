//! The cutover under fire: real servers, a real sidecar, more than fifty clients, and whatever can go wrong with any of
//! them at any step. What each client was told is held against what the databases have in the end.
//!
//! `HANDOVER_FAULTS=300 dev/test --test faults` makes three hundred attempts in a row; a run that fails prints the seed
//! that makes it again.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)] // a panic in a helper is the failing assertion
#![allow(clippy::cast_possible_wrap)] // small numbers
#![allow(clippy::print_stderr)] // the figures, for who runs this with --nocapture
#![allow(unreachable_pub)] // modules of a test binary

#[path = "faults/bounds.rs"]
mod bounds;
#[path = "faults/campaign.rs"]
mod campaign;
#[path = "faults/fault.rs"]
mod fault;
#[path = "faults/heard.rs"]
mod heard;
mod kit;
#[path = "faults/ledger.rs"]
mod ledger;
#[path = "faults/load.rs"]
mod load;
#[path = "faults/machine.rs"]
mod machine;
#[path = "bounds/memory.rs"]
mod memory;
#[path = "faults/pause.rs"]
mod pause;
#[path = "differential/random.rs"]
#[allow(dead_code)] // the other test uses more of it
mod random;
#[path = "faults/round.rs"]
mod round;
#[path = "faults/shim.rs"]
mod shim;
#[path = "faults/steps.rs"]
mod steps;
#[path = "faults/world.rs"]
mod world;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Held by the test that runs: waits are measured.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn nothing_acknowledged_is_lost_whatever_goes_wrong_by_chance() {
    let _alone = alone();
    campaign::by_chance();
}

#[test]
fn the_sidecar_may_die_at_every_place() {
    let _alone = alone();
    campaign::at_every_place();
}
