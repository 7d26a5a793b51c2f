//! Which input it was, and as little of it as still does it.

use super::input::Input;
use super::world::{Setup, World};

/// Tries while an input is made smaller; each that changes something costs two servers and a sidecar.
const TRIES_MAX: usize = 400;

/// An input that changes something by itself, and what.
#[derive(Debug)]
pub struct Culprit {
    pub input: Input,
    pub changes: Vec<String>,
}

/// The first of `inputs` that changes a server when it is sent alone, made small. None where it takes several of them.
pub fn culprit(setup: &Setup, inputs: &[Input]) -> Option<Culprit> {
    let mut world = World::start(setup);
    let mut try_alone = |input: &Input| {
        world.play(std::slice::from_ref(input));
        let changes = world.changes();
        if changes.is_empty() {
            return None;
        }
        world = World::start(setup);
        Some(changes)
    };
    let (input, changes) = inputs
        .iter()
        .find_map(|input| Some((input.clone(), try_alone(input)?)))?;
    Some(shrunk(Culprit { input, changes }, try_alone))
}

/// In one packet if that will do, then without ever shorter parts of its bytes.
fn shrunk(
    mut smallest: Culprit,
    mut try_alone: impl FnMut(&Input) -> Option<Vec<String>>,
) -> Culprit {
    let whole = smallest.input.whole();
    if let Some(changes) = try_alone(&whole) {
        smallest = Culprit {
            input: whole,
            changes,
        };
    }
    let mut tries = 0;
    let mut part = smallest.input.bytes.len() / 2;
    while part > 0 {
        let mut at = 0;
        while at < smallest.input.bytes.len() && tries < TRIES_MAX {
            tries += 1;
            let end = (at + part).min(smallest.input.bytes.len());
            let input = smallest.input.without(at..end);
            match try_alone(&input) {
                Some(changes) => smallest = Culprit { input, changes },
                None => at += part,
            }
        }
        part /= 2;
    }
    smallest
}
