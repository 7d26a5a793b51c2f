//! The rounds: a first one over everything, further ones over what differed. What is remembered between them is bounded.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::again::look_again;
use super::batch::{self, Pair};
use super::describe::held;
use super::settle::CaughtUp;
use super::side::{Request, Side, request_with};
use super::throttle::Throttle;
use super::walk::{BATCH_KEYS, Walk};
use super::{Difference, Error, Key, Options, Progress, Summary, What};
use crate::terms::Side as Name;
use crate::upstream::Server;
use crate::upstream::control;
use crate::upstream::control::Value;

/// Keys that differed and stood still are looked at again so many at once: for each such part the other side is waited
/// for.
const PART_KEYS: usize = 4096;

/// Keys that changed while they were compared are looked at in up to so many parts, and no fewer keys at once than
/// [`PART_KEYS_LEAST`]: the fewer they are, the shorter is the time in which they must stand still.
const PARTS_MAX: usize = 16;
const PART_KEYS_LEAST: usize = 4;

/// A group in which something was written to is split into so many, and so often in a round: each costs a wait for the
/// other side. What is left then counts as changing.
const SPLIT_INTO: usize = 8;
const SPLITS_MAX: usize = 16;

/// Where a key is: its database on the side that owns the writes, and itself.
type Place = (u32, Vec<u8>);

/// What a look at a key that differed before says now.
enum Now {
    /// It differs, and did not change meanwhile.
    Differs(What),
    /// It differs, and changed while it was compared.
    Changes,
}

/// See [`super::compare`].
pub(super) async fn run(
    active: &Server,
    other: &Server,
    options: Options,
    progress: impl FnMut(Progress),
) -> Result<Summary, Error> {
    let (source, target) = tokio::try_join!(Side::connect(active), Side::connect(other))?;
    let begun = Instant::now();
    let mut rounds = Rounds {
        pair: Pair {
            source,
            target,
            throttle: Throttle::new(options.rate, begun),
            ttl_tolerance: options.ttl_tolerance,
            fields_expire: true,
        },
        databases: BTreeMap::new(),
        remembered: BTreeMap::new(),
        forgotten: 0,
        keys: 0,
        splits: 0,
        caught_up: None,
        in_round: Progress {
            round: 1,
            keys_done: 0,
            keys_expected: 0,
            differing: 0,
            elapsed: Duration::ZERO,
            in_round: Duration::ZERO,
        },
        begun,
        round_begun: begun,
        options,
        progress,
    };
    rounds
        .find_databases(active.database, other.database)
        .await?;
    rounds.first().await?;
    while rounds.in_round.round < rounds.options.rounds && !rounds.nothing_is_open() {
        tokio::time::sleep(rounds.options.pause).await;
        rounds.again().await?;
    }
    Ok(rounds.summary(active.side).await?)
}

struct Rounds<P> {
    pair: Pair,
    /// Which database of the active side is compared with which of the other.
    databases: BTreeMap<u32, u32>,
    /// What differed in the newest round. Invariant: never more than [`Options::remembered_max`].
    remembered: BTreeMap<Place, Now>,
    /// Keys that differed beyond that.
    forgotten: u64,
    /// Keys looked at in the first round.
    keys: u64,
    /// Groups that were split in the newest round.
    splits: usize,
    /// Whether the other side caught up in the newest round; none before the second.
    caught_up: Option<CaughtUp>,
    in_round: Progress,
    begun: Instant,
    round_begun: Instant,
    options: Options,
    progress: P,
}

impl<P: FnMut(Progress)> Rounds<P> {
    async fn find_databases(&mut self, source: u32, target: u32) -> Result<(), control::Error> {
        if source != target {
            self.databases = BTreeMap::from([(source, target)]);
            return Ok(());
        }
        let (on_source, on_target) =
            tokio::try_join!(in_use(&mut self.pair.source), in_use(&mut self.pair.target))?;
        self.databases = on_source
            .union(&on_target)
            .map(|number| (*number, *number))
            .collect();
        Ok(())
    }

    async fn select(&mut self, source: u32, target: u32) -> Result<(), control::Error> {
        tokio::try_join!(
            self.pair.source.select(source),
            self.pair.target.select(target)
        )?;
        Ok(())
    }

    /// Every key of the source, and every key that only the target has; or a sample of both.
    async fn first(&mut self) -> Result<(), control::Error> {
        let databases = self.databases.clone();
        let count = databases.len() as u64;
        for (source, target) in &databases {
            self.select(*source, *target).await?;
            self.in_round.keys_expected += self.expected(count).await?;
        }
        for (source, target) in &databases {
            self.select(*source, *target).await?;
            let mut on_source = Walk::new(self.options.sample, count);
            let mut on_target = Walk::new(self.options.sample, count);
            // In turns, so that the rate of the whole is that of its beginning.
            loop {
                let pair = &mut self.pair;
                let (ours, theirs) = tokio::try_join!(
                    on_source.next(&mut pair.source),
                    on_target.next(&mut pair.target)
                )?;
                if ours.is_none() && theirs.is_none() {
                    break;
                }
                let (ours, theirs) = (ours.unwrap_or_default(), theirs.unwrap_or_default());
                pair.throttle
                    .pass(ours.len().max(theirs.len()).max(1) as u64)
                    .await;
                let found = batch::differing(pair, &ours).await?;
                let extra = missing(&mut pair.source, &theirs).await?;
                self.keys += ours.len() as u64;
                self.remember(*source, &ours, found);
                self.remember(*source, &theirs, extra);
                self.tell(ours.len() + theirs.len());
            }
        }
        Ok(())
    }

    /// What both walks through the selected databases will come by.
    async fn expected(&mut self, databases: u64) -> Result<u64, control::Error> {
        let (source, target) = tokio::try_join!(
            self.pair.source.call(&[b"DBSIZE"]),
            self.pair.target.call(&[b"DBSIZE"])
        )?;
        let of = |size: Value| match size {
            Value::Integer(keys) => u64::try_from(keys).unwrap_or(0),
            Value::Bulk(_) | Value::Simple(_) | Value::Array(_) | Value::Null => 0,
        };
        Ok(match self.options.sample {
            None => of(source) + of(target),
            Some(sample) => sample.div_ceil(databases) * 2,
        })
    }

    /// Whether a further round would tell nothing new: all is alike, or what differs has been seen twice to stand still
    /// on the one side while the other one had caught up with it.
    fn nothing_is_open(&self) -> bool {
        let seen_twice = self.in_round.round >= 3 && self.caught_up == Some(CaughtUp::Yes);
        let moving = |now: &Now| matches!(now, Now::Changes);
        self.remembered.is_empty() || (seen_twice && !self.remembered.values().any(moving))
    }

    /// What differed in the round before.
    async fn again(&mut self) -> Result<(), control::Error> {
        let before = std::mem::take(&mut self.remembered);
        self.caught_up = None;
        self.splits = 0;
        self.round_begun = Instant::now();
        self.in_round = Progress {
            round: self.in_round.round + 1,
            keys_done: 0,
            keys_expected: before.len() as u64,
            differing: 0,
            elapsed: self.begun.elapsed(),
            in_round: Duration::ZERO,
        };
        let mut moving: BTreeMap<u32, Vec<Vec<u8>>> = BTreeMap::new();
        let mut still: BTreeMap<u32, Vec<Vec<u8>>> = BTreeMap::new();
        for ((database, key), now) in before {
            match now {
                Now::Changes => moving.entry(database).or_default().push(key),
                Now::Differs(_) => still.entry(database).or_default().push(key),
            }
        }
        for (source, target) in self.databases.clone() {
            self.select(source, target).await?;
            for keys in still.remove(&source).unwrap_or_default().chunks(PART_KEYS) {
                self.part(source, keys).await?;
            }
            let moving = moving.remove(&source).unwrap_or_default();
            let at_once = moving.len().div_ceil(PARTS_MAX).max(PART_KEYS_LEAST);
            for keys in moving.chunks(at_once) {
                self.part(source, keys).await?;
            }
        }
        Ok(())
    }

    /// Compares keys such that what is found to differ does. Where others among them were written to meanwhile, what
    /// differs is looked at again in smaller and smaller groups.
    async fn part(&mut self, database: u32, keys: &[Vec<u8>]) -> Result<(), control::Error> {
        let mut groups = vec![keys.to_vec()];
        while let Some(keys) = groups.pop() {
            let looked_at_before = keys.len();
            let seen = look_again(&mut self.pair, &keys, self.options.pause).await?;
            self.caught_up = Some(
                self.caught_up
                    .map_or(seen.caught_up, |so_far| so_far.and(seen.caught_up)),
            );
            for (key, what) in seen.differing {
                self.settled(database, key, Now::Differs(what));
            }
            for key in seen.changing {
                self.settled(database, key, Now::Changes);
            }
            let suspects = seen.suspects;
            if looked_at_before == 1 || self.splits >= SPLITS_MAX {
                for key in suspects {
                    self.settled(database, key, Now::Changes);
                }
            } else if !suspects.is_empty() {
                self.splits += 1;
                let at_once = suspects
                    .len()
                    .min(looked_at_before - 1)
                    .div_ceil(SPLIT_INTO);
                groups.extend(suspects.chunks(at_once).map(<[_]>::to_vec));
            }
        }
        self.tell(keys.len());
        Ok(())
    }

    fn settled(&mut self, database: u32, key: Vec<u8>, now: Now) {
        self.in_round.differing += 1;
        self.remembered.insert((database, key), now);
    }

    fn remember(&mut self, database: u32, keys: &[Vec<u8>], found: Vec<(usize, What)>) {
        for (at, what) in found {
            let place = (database, keys[at].clone());
            if self.remembered.len() < self.options.remembered_max {
                self.remembered.insert(place, Now::Differs(what));
                self.in_round.differing = self.remembered.len() as u64 + self.forgotten;
            } else if !self.remembered.contains_key(&place) {
                self.forgotten += 1;
                self.in_round.differing += 1;
            }
        }
    }

    fn tell(&mut self, keys: usize) {
        self.in_round.keys_done += keys as u64;
        self.in_round.elapsed = self.begun.elapsed();
        self.in_round.in_round = self.round_begun.elapsed();
        (self.progress)(self.in_round);
    }

    async fn summary(mut self, active: Name) -> Result<Summary, control::Error> {
        let mut differing = self.forgotten;
        let mut unsettled = 0;
        let mut named: BTreeMap<u32, Vec<(Vec<u8>, What)>> = BTreeMap::new();
        let mut named_count = 0;
        let mut unsettled_sample = Vec::new();
        for ((database, key), now) in std::mem::take(&mut self.remembered) {
            match now {
                Now::Changes => {
                    unsettled += 1;
                    if unsettled_sample.len() < self.options.named_max {
                        unsettled_sample.push(written(database, &key));
                    }
                }
                Now::Differs(what) => {
                    differing += 1;
                    if named_count < self.options.named_max {
                        named_count += 1;
                        named.entry(database).or_default().push((key, what));
                    }
                }
            }
        }
        let mut sample = Vec::with_capacity(named_count);
        for (database, found) in named {
            self.select(database, self.databases[&database]).await?;
            for found in found.chunks(BATCH_KEYS) {
                sample.extend(self.described(database, found, active).await?);
            }
        }
        Ok(Summary {
            keys: self.keys,
            differing,
            unsettled,
            overflowed: self.forgotten > 0,
            caught_up: match self.caught_up {
                Some(CaughtUp::Yes) => Some(true),
                Some(CaughtUp::No) => Some(false),
                Some(CaughtUp::Unknown) | None => None,
            },
            rounds: self.in_round.round,
            seconds: self.begun.elapsed().as_secs_f64(),
            sample,
            unsettled_sample,
        })
    }

    async fn described(
        &mut self,
        database: u32,
        found: &[(Vec<u8>, What)],
        active: Name,
    ) -> Result<Vec<Difference>, control::Error> {
        let keys: Vec<Vec<u8>> = found.iter().map(|(key, _)| key.clone()).collect();
        let (here, there) = tokio::try_join!(
            held(&mut self.pair.source, &keys),
            held(&mut self.pair.target, &keys)
        )?;
        let sides = here.into_iter().zip(there);
        Ok(found
            .iter()
            .zip(sides)
            .map(|((key, what), (here, there))| {
                let difference = Difference {
                    key: written(database, key),
                    what: what.clone(),
                    source: here,
                    target: there,
                };
                match active {
                    Name::Source => difference,
                    Name::Target => exchanged(difference),
                }
            })
            .collect())
    }
}

/// A difference found with the target as the side that owns the writes.
fn exchanged(difference: Difference) -> Difference {
    let what = match difference.what {
        What::MissingOnTarget => What::MissingOnSource,
        What::MissingOnSource => What::MissingOnTarget,
        what @ (What::Type
        | What::Length
        | What::Value
        | What::TimeToLive
        | What::NotComparable { .. }) => what,
    };
    Difference {
        key: difference.key,
        what,
        source: difference.target,
        target: difference.source,
    }
}

fn written(database: u32, key: &[u8]) -> Key {
    Key {
        database,
        key: key.escape_ascii().to_string(),
    }
}

/// The databases that hold keys.
async fn in_use(side: &mut Side) -> Result<BTreeSet<u32>, control::Error> {
    let Value::Bulk(text) = side.call(&[b"INFO", b"keyspace"]).await? else {
        return Err(side.unexpected("INFO"));
    };
    Ok(String::from_utf8_lossy(&text)
        .lines()
        .filter_map(|line| line.strip_prefix("db")?.split_once(':')?.0.parse().ok())
        .collect())
}

/// The keys that a side does not have.
async fn missing(side: &mut Side, keys: &[Vec<u8>]) -> Result<Vec<(usize, What)>, control::Error> {
    let requests: Vec<Request> = keys.iter().map(|key| request_with("EXISTS", key)).collect();
    let mut absent = Vec::new();
    for (at, reply) in side.pipeline(&requests).await?.into_iter().enumerate() {
        match reply {
            Ok(Value::Integer(0)) => absent.push((at, What::MissingOnSource)),
            Ok(Value::Integer(_)) => {}
            Ok(Value::Bulk(_) | Value::Simple(_) | Value::Array(_) | Value::Null) => {
                return Err(side.unexpected("EXISTS"));
            }
            Err(text) => return Err(side.refused("EXISTS", text)),
        }
    }
    Ok(absent)
}
