//! The rounds: a first one over everything, further ones over what differed. What is remembered between them is bounded.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::{Duration, Instant};

use super::batch::{self, Pair};
use super::large::scanned;
use super::side::{Request, Side, request, request_with};
use super::{Difference, Error, Options, Progress, Summary, What};
use crate::upstream::Server;
use crate::upstream::control;
use crate::upstream::control::Value;

/// Keys of a batch: large enough to hide the way to the server, small enough that a busy one answers others between.
const BATCH_KEYS: usize = 512;

/// Where a key is: its database on the source, and itself.
type Place = (u32, Vec<u8>);

/// What a look at a key that differed before says now.
enum Now {
    /// It differs, and did not change meanwhile.
    Differs(What),
    /// It differs, and changed on the source while it was compared.
    Changes,
}

/// See [`super::compare`].
pub(super) async fn run(
    source: &Server,
    target: &Server,
    options: Options,
    progress: impl FnMut(Progress),
) -> Result<Summary, Error> {
    let (source_side, target_side) =
        tokio::try_join!(Side::connect(source), Side::connect(target))?;
    let mut rounds = Rounds {
        pair: Pair {
            source: source_side,
            target: target_side,
        },
        remembered: BTreeMap::new(),
        forgotten: 0,
        keys: 0,
        in_round: Progress {
            round: 1,
            keys_done: 0,
            keys_expected: 0,
            differing: 0,
            elapsed: Duration::ZERO,
        },
        begun: Instant::now(),
        options,
        progress,
    };
    let databases = rounds.databases(source.database, target.database).await?;
    rounds.first(&databases).await?;
    while !rounds.remembered.is_empty() && rounds.in_round.round < rounds.options.rounds {
        tokio::time::sleep(rounds.options.pause).await;
        rounds.again(&databases).await?;
    }
    Ok(rounds.summary())
}

struct Rounds<P> {
    pair: Pair,
    /// What differed in the newest round. Invariant: never more than [`Options::remembered_max`].
    remembered: BTreeMap<Place, Now>,
    /// Keys that differed beyond that.
    forgotten: u64,
    /// Keys looked at in the first round.
    keys: u64,
    in_round: Progress,
    begun: Instant,
    options: Options,
    progress: P,
}

impl<P: FnMut(Progress)> Rounds<P> {
    /// Which database of the source is compared with which of the target.
    async fn databases(
        &mut self,
        source: u32,
        target: u32,
    ) -> Result<BTreeMap<u32, u32>, control::Error> {
        if source != target {
            return Ok(BTreeMap::from([(source, target)]));
        }
        let (on_source, on_target) =
            tokio::try_join!(in_use(&mut self.pair.source), in_use(&mut self.pair.target))?;
        Ok(on_source
            .union(&on_target)
            .map(|number| (*number, *number))
            .collect())
    }

    async fn select(&mut self, source: u32, target: u32) -> Result<(), control::Error> {
        tokio::try_join!(
            self.pair.source.select(source),
            self.pair.target.select(target)
        )?;
        Ok(())
    }

    /// Every key of the source, and every key that only the target has; or a sample of both.
    async fn first(&mut self, databases: &BTreeMap<u32, u32>) -> Result<(), control::Error> {
        for (source, target) in databases {
            self.select(*source, *target).await?;
            self.in_round.keys_expected += self.expected(databases.len() as u64).await?;
        }
        for (source, target) in databases {
            self.select(*source, *target).await?;
            let mut walk = Walk::new(self.options.sample, databases.len() as u64);
            while let Some(keys) = walk.next(&mut self.pair.source).await? {
                self.keys += keys.len() as u64;
                let found =
                    batch::differing(&mut self.pair, &keys, self.options.ttl_tolerance).await?;
                self.remember(*source, &keys, found);
                self.tell(keys.len());
            }
            let mut walk = Walk::new(self.options.sample, databases.len() as u64);
            while let Some(keys) = walk.next(&mut self.pair.target).await? {
                let found = missing(&mut self.pair.source, &keys).await?;
                self.remember(*source, &keys, found);
                self.tell(keys.len());
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

    /// What differed in the round before.
    async fn again(&mut self, databases: &BTreeMap<u32, u32>) -> Result<(), control::Error> {
        let before = std::mem::take(&mut self.remembered);
        self.in_round = Progress {
            round: self.in_round.round + 1,
            keys_done: 0,
            keys_expected: before.len() as u64,
            differing: 0,
            elapsed: self.begun.elapsed(),
        };
        for (source, target) in databases {
            self.select(*source, *target).await?;
            let range = (*source, Vec::new())..;
            let keys = before
                .range(range)
                .map(|(place, _)| place)
                .take_while(|(database, _)| database == source);
            let keys: Vec<Vec<u8>> = keys.map(|(_, key)| key.clone()).collect();
            for keys in keys.chunks(BATCH_KEYS) {
                let first = batch::fingerprints(&mut self.pair.source, keys).await?;
                let found =
                    batch::differing(&mut self.pair, keys, self.options.ttl_tolerance).await?;
                let second = batch::fingerprints(&mut self.pair.source, keys).await?;
                for (at, what) in found {
                    self.in_round.differing += 1;
                    let now = if first[at] == second[at] {
                        Now::Differs(what)
                    } else {
                        Now::Changes
                    };
                    self.remembered.insert((*source, keys[at].clone()), now);
                }
                self.tell(keys.len());
            }
        }
        Ok(())
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
        (self.progress)(self.in_round);
    }

    fn summary(self) -> Summary {
        let mut differing = self.forgotten;
        let mut unsettled = 0;
        let mut sample = Vec::new();
        for ((database, key), now) in self.remembered {
            match now {
                Now::Changes => unsettled += 1,
                Now::Differs(what) => {
                    differing += 1;
                    if sample.len() < self.options.named_max {
                        let key = key.escape_ascii().to_string();
                        sample.push(Difference {
                            database,
                            key,
                            what,
                        });
                    }
                }
            }
        }
        Summary {
            keys: self.keys,
            differing,
            unsettled,
            overflowed: self.forgotten > 0,
            rounds: self.in_round.round,
            seconds: self.begun.elapsed().as_secs_f64(),
            sample,
        }
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
    let replies = side.pipeline(&requests).await?;
    let absent = replies
        .iter()
        .enumerate()
        .filter(|(_, reply)| **reply == Ok(Value::Integer(0)));
    Ok(absent.map(|(at, _)| (at, What::MissingOnSource)).collect())
}

/// A way through the keys of one database.
enum Walk {
    /// By SCAN, from this cursor.
    All { cursor: Vec<u8>, ended: bool },
    /// By RANDOMKEY, this often still.
    Sample { left: u64 },
}

impl Walk {
    /// A sample is spread evenly over the databases.
    fn new(sample: Option<u64>, databases: u64) -> Walk {
        match sample {
            None => Walk::All {
                cursor: b"0".to_vec(),
                ended: false,
            },
            Some(keys) => Walk::Sample {
                left: keys.div_ceil(databases),
            },
        }
    }

    /// The next keys; none at the end.
    async fn next(&mut self, side: &mut Side) -> Result<Option<Vec<Vec<u8>>>, control::Error> {
        match self {
            Walk::All { ended: true, .. } | Walk::Sample { left: 0 } => Ok(None),
            Walk::All { cursor, ended } => {
                let count = BATCH_KEYS.to_string();
                let reply = side
                    .call(&[b"SCAN", cursor, b"COUNT", count.as_bytes()])
                    .await?;
                let Some((next, keys)) = scanned(reply) else {
                    return Err(side.unexpected("SCAN"));
                };
                *ended = next == b"0";
                *cursor = next;
                Ok(Some(keys))
            }
            Walk::Sample { left } => {
                let draws = (*left).min(BATCH_KEYS as u64);
                *left -= draws;
                let requests: Vec<Request> = (0..draws).map(|_| request("RANDOMKEY")).collect();
                let replies = side.pipeline(&requests).await?;
                let keys: HashSet<Vec<u8>> = replies
                    .into_iter()
                    .filter_map(|reply| match reply {
                        Ok(Value::Bulk(key)) => Some(key),
                        Ok(
                            Value::Null | Value::Simple(_) | Value::Integer(_) | Value::Array(_),
                        )
                        | Err(_) => None,
                    })
                    .collect();
                Ok(Some(keys.into_iter().collect()))
            }
        }
    }
}
