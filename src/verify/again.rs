//! A second look, which tells what differs from what is on its way: the side that owns the writes is watched from before
//! the other one is waited for until after both were compared. What differs then, and was not written to, does.

use std::time::Duration;

use super::What;
use super::batch::{self, Pair};
use super::print::prints;
use super::settle::{CaughtUp, settle};
use super::side::Touched;
use super::walk::BATCH_KEYS;
use crate::upstream::control::Error;

/// What a look at some keys told.
#[derive(Debug)]
pub(super) struct Seen {
    /// Differ, and were not written to.
    pub(super) differing: Vec<(Vec<u8>, What)>,
    /// Differ, and changed.
    pub(super) changing: Vec<Vec<u8>>,
    /// Differ and were the same before and after, but something among all keys was written to: it may have been they,
    /// there and back.
    pub(super) suspects: Vec<Vec<u8>>,
    /// Whether the other side had everything.
    pub(super) caught_up: CaughtUp,
}

/// Looks; `pause` is how long the other side is waited for where positions tell nothing.
pub(super) async fn look_again(
    pair: &mut Pair,
    keys: &[Vec<u8>],
    pause: Duration,
) -> Result<Seen, Error> {
    let watched = pair.source.watch(keys).await?;
    let mut before = Vec::with_capacity(keys.len());
    for keys in keys.chunks(BATCH_KEYS) {
        pair.throttle.pass(keys.len() as u64).await;
        before.extend(prints(pair, keys).await?);
    }
    let caught_up = settle(pair, pause).await?;
    let mut found = Vec::new();
    for (keys, before) in keys.chunks(BATCH_KEYS).zip(before.chunks(BATCH_KEYS)) {
        pair.throttle.pass(keys.len() as u64).await;
        let differing = batch::differing(pair, keys).await?;
        let differing_keys: Vec<Vec<u8>> =
            differing.iter().map(|(at, _)| keys[*at].clone()).collect();
        let after = prints(pair, &differing_keys).await?;
        for (((at, what), key), after) in differing.into_iter().zip(differing_keys).zip(after) {
            let same = before[at].same(after, pair.ttl_tolerance);
            found.push((key, what, same));
        }
    }
    let touched = pair.source.touched(watched).await?;

    let mut seen = Seen {
        differing: Vec::new(),
        changing: Vec::new(),
        suspects: Vec::new(),
        caught_up,
    };
    for (key, what, same) in found {
        match (touched, same) {
            // Not written to: where it looks otherwise, its representation changed.
            (Touched::None, _) | (Touched::Unknown, true) => seen.differing.push((key, what)),
            (Touched::Some, true) => seen.suspects.push(key),
            (Touched::Some | Touched::Unknown, false) => seen.changing.push(key),
        }
    }
    Ok(seen)
}
