//! The way through all keys of both sides, for when nobody knows which have changed; or through all streams.
//!
//! Refuses to know: what is told meanwhile.

use std::collections::VecDeque;

use bytes::Bytes;

use super::copier::{Copier, Known, Scan, Trouble};
use crate::terms::Side;

/// A walk through the keys.
#[derive(Debug, Clone)]
pub(super) struct Walk {
    /// Which keys it is for.
    pub(super) of: Scan,
    /// Sides and databases to go; none before they are known.
    pub(super) places: Option<VecDeque<(Side, u32)>>,
    /// Where the present one goes on.
    cursor: Vec<u8>,
    /// Which of the worker's walks it is: a step of one that was begun anew meanwhile is a step of nothing.
    pub(super) number: u64,
    /// Keys looked at.
    pub(super) compared: u64,
}

impl Walk {
    pub(super) fn new(of: Scan, number: u64) -> Walk {
        Walk {
            of,
            places: None,
            cursor: b"0".to_vec(),
            number,
            compared: 0,
        }
    }
}

/// One step of a walk: what a SCAN gives is compared and, where it differs, copied. First the side that changes, then the
/// one that was left, for what the first has not.
pub(super) async fn step(
    mut copier: Copier,
    mut walk: Walk,
) -> (Copier, Walk, Result<Vec<Bytes>, Trouble>) {
    let result = try_step(&mut copier, &mut walk).await;
    (copier, walk, result)
}

async fn try_step(copier: &mut Copier, walk: &mut Walk) -> Result<Vec<Bytes>, Trouble> {
    let mut places = match walk.places.take() {
        Some(places) => places,
        None => places(copier, walk.of).await?,
    };
    let Some((side, database)) = places.front().copied() else {
        walk.places = Some(places);
        return Ok(vec![]);
    };
    let (names, next) = copier.scan(side, database, &walk.cursor, walk.of).await?;
    let found = names.len() as u64;
    let streams = match walk.of {
        Scan::Streams => names,
        Scan::Everything => {
            let mut names = if side == copier.from {
                names
            } else {
                copier.missing(database, names).await?
            };
            let mut streams = vec![];
            while !names.is_empty() {
                let copied = copier.copy(&names, Known::Perhaps).await?;
                names.drain(..copied.count);
                streams.extend(copied.streams);
            }
            streams
        }
    };
    walk.compared += found;
    if next == b"0" {
        places.pop_front();
    }
    walk.cursor = next;
    walk.places = Some(places);
    Ok(streams)
}

async fn places(copier: &mut Copier, of: Scan) -> Result<VecDeque<(Side, u32)>, Trouble> {
    let databases = copier.databases().await?;
    let on = |side| databases.iter().map(move |database| (side, *database));
    let mut places: VecDeque<_> = on(copier.from).collect();
    if of == Scan::Everything {
        places.extend(on(copier.from.other()));
    }
    Ok(places)
}
