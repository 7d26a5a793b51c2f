//! What each target does with its input: a function of bytes that panics where a promise is broken. cargo-fuzz calls it
//! from `fuzz_targets`, the ordinary test suite from `tests/fuzz.rs`; both mean the same promise.
//!
//! The first bytes of an input are its plan (how a stream is split, what is done to a file), so that a fuzzer learns
//! what a plan does as it learns everything else.

mod classify;
mod config;
mod journal;
mod reply;
mod request;

/// A target: its name, and what is done with an input.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 5] = [
    ("request", request::check),
    ("reply", reply::check),
    ("classify", classify::check),
    ("journal", journal::check),
    ("config", config::check),
];

/// Takes the plan from the front of an input: as many bytes as `N`, zeros where there are none.
fn plan<const N: usize>(input: &[u8]) -> ([u8; N], &[u8]) {
    let mut plan = [0; N];
    let (head, rest) = input.split_at(input.len().min(N));
    plan[..head.len()].copy_from_slice(head);
    (plan, rest)
}

/// The sizes of the pieces that a stream arrives in: as the byte says, over and over.
fn pieces(seed: u8) -> impl Iterator<Item = usize> {
    let mut state = u32::from(seed) + 1;
    std::iter::repeat_with(move || {
        state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        1 + (state >> 16) as usize % (1 + usize::from(seed % 16))
    })
}

/// One input of the target that is called `name`.
pub fn run(name: &str, input: &[u8]) {
    let target = TARGETS.iter().find(|(target, _)| *target == name);
    let (_, check) = target.expect("the name of a target");
    check(input);
}
