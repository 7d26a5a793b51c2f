//! Copies keys as they are from the side that changed to the one that was left. By state: what a key holds there now
//! replaces what it holds here, so that neither order nor repetition matters.
//!
//! Refuses to know: which keys, and why.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Mutex;

use super::rebuild;
use crate::link::connection::{Connection, Connections, Reply};
use crate::link::info::Info;
use crate::terms::{OWN_KEYS, Side};
use crate::upstream::control::{Error, Value};

/// Values that are read at once, by the server's own estimate of their size. A single larger one is read all the same.
const VALUES_BYTES_MAX: u64 = 4 << 20;

/// What a value is taken to weigh where the server does not say: few are then read at once.
const UNKNOWN_VALUE_BYTES: u64 = 256 << 10;

/// Both ends of the copy.
#[derive(Debug)]
pub(super) struct Copier {
    /// Connections of its own, so that a large value stands in nobody's way.
    pub(super) ends: Connections,
    /// The side that changes.
    pub(super) from: Side,
    /// What it has written.
    pub(super) wrote: Arc<Mutex<Wrote>>,
}

/// What this process has written to the side that was left. Whoever holds it keeps the copy from writing.
#[derive(Debug, Default)]
pub(in crate::link) struct Wrote {
    /// Commands that write, as the server counts them.
    pub(in crate::link) calls: u64,
    /// Whether some may have run that are not counted, or the other way round, since this was last reset.
    pub(in crate::link) unsure: bool,
}

/// What a copy came to.
#[derive(Debug, Default)]
pub(super) struct Copied {
    /// How many keys, from the first on: the rest would have been too much at once.
    pub(super) count: usize,
    /// Those among them that hold a stream now.
    pub(super) streams: Vec<Bytes>,
}

/// Whether what is there already is looked at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// The key has changed: it is written.
    Changed,
    /// It may have: it is written if it differs.
    Perhaps,
}

/// Why a copy did not come to its end. It can be tried again.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// A server could not be asked.
    #[error(transparent)]
    Control(#[from] Error),
    /// A key cannot be brought over, and why. Its name is left out: it may be of the kind that no log should show.
    #[error("a key cannot be copied back to {server}: {reason}")]
    Key {
        /// The server that was to take it.
        server: String,
        /// What stands in the way.
        reason: String,
    },
}

/// One key's value, as the server serialises it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Held {
    /// The serialised value, or the server's refusal to serialise it.
    dump: Result<Vec<u8>, String>,
    /// What is left of its time, in milliseconds; none where it does not expire.
    left_ms: Option<i64>,
    /// Its type.
    kind: String,
}

impl Copier {
    /// Copies `keys` in every database that either side uses, as many from the first on as are not too much at once, and
    /// at least one.
    ///
    /// Cancel safety: what was written may not be counted in [`Wrote`]; the keys can be copied again.
    pub(super) async fn copy(&mut self, keys: &[Bytes], known: Known) -> Result<Copied, Trouble> {
        let databases = self.databases().await?;
        let mut copied = Copied {
            count: self.fitting(keys, &databases).await?,
            streams: vec![],
        };
        for database in &databases {
            let keys: Vec<Bytes> = keys[..copied.count]
                .iter()
                .filter(|key| !key.starts_with(OWN_KEYS.as_bytes()))
                .cloned()
                .collect();
            let streams = self.copy_in(*database, &keys, known).await?;
            copied.streams.extend(streams);
        }
        Ok(copied)
    }

    /// The databases in use on either side, now; the configured one always.
    pub(super) async fn databases(&mut self) -> Result<BTreeSet<u32>, Error> {
        let (from, to) = self.ends.pair(self.from);
        let ask = &["INFO", "keyspace"];
        let (there, here) = tokio::try_join!(from.call(ask), to.call(ask))?;
        let mut databases = BTreeSet::from([from.server.database]);
        for reply in [there, here] {
            databases.extend(
                Info::from_reply(&reply)
                    .databases()
                    .map(|(number, _)| number),
            );
        }
        Ok(databases)
    }

    /// How many of `keys` are not too much to be read at once.
    async fn fitting(&mut self, keys: &[Bytes], databases: &BTreeSet<u32>) -> Result<usize, Error> {
        let mut sizes = vec![0_u64; keys.len()];
        for database in databases {
            let requests = keys.iter().map(|key| words(&[b"MEMORY", b"USAGE", key]));
            let from = self.ends.of(self.from);
            let replies = in_database(from, *database, requests.collect()).await?;
            for (size, reply) in sizes.iter_mut().zip(replies) {
                *size += match reply {
                    Ok(Value::Integer(bytes)) => u64::try_from(bytes).unwrap_or(0),
                    Ok(Value::Null) => 0,
                    Ok(Value::Simple(_) | Value::Bulk(_) | Value::Array(_)) | Err(_) => {
                        UNKNOWN_VALUE_BYTES
                    }
                };
            }
        }
        let mut sum = 0;
        let fitting = sizes.iter().take_while(|size| {
            sum += **size;
            sum <= VALUES_BYTES_MAX
        });
        Ok(fitting.count().max(1).min(keys.len()))
    }

    /// Gives those that hold a stream.
    async fn copy_in(
        &mut self,
        database: u32,
        keys: &[Bytes],
        known: Known,
    ) -> Result<Vec<Bytes>, Trouble> {
        let (from, to) = self.ends.pair(self.from);
        let (there, here) = match known {
            Known::Changed => (read(from, database, keys).await?, vec![]),
            Known::Perhaps => {
                tokio::try_join!(read(from, database, keys), read(to, database, keys))?
            }
        };
        let mut here = here.into_iter();
        let (mut writes, mut written, mut streams) = (vec![], vec![], vec![]);
        for (key, held) in keys.iter().zip(there) {
            let same = here
                .next()
                .is_some_and(|here| same(held.as_ref(), here.as_ref()));
            if held.as_ref().is_some_and(|held| held.kind == "stream") {
                streams.push(key.clone());
            }
            if same {
                continue;
            }
            match held {
                None => writes.push(words(&[b"UNLINK", key])),
                Some(Held {
                    dump: Ok(dump),
                    left_ms,
                    ..
                }) => {
                    let left = left_ms.map_or(0, |left| left.max(1)).to_string();
                    writes.push(words(&[
                        b"RESTORE",
                        key,
                        left.as_bytes(),
                        &dump,
                        b"REPLACE",
                    ]));
                }
                Some(Held { dump: Err(_), .. }) => {
                    self.rebuild(database, key).await?;
                    continue;
                }
            }
            written.push(key);
        }
        let replies = self.write(database, writes).await?;
        for (key, reply) in written.into_iter().zip(replies) {
            match reply {
                Ok(_) => {}
                Err(text) if is_about_the_value(&text) => self.rebuild(database, key).await?,
                Err(text) => return Err(self.refused(text)),
            }
        }
        Ok(streams)
    }

    /// Writes the value anew with commands of its type: for servers that do not read each other's serialised values.
    async fn rebuild(&mut self, database: u32, key: &Bytes) -> Result<(), Trouble> {
        let mut part = rebuild::Part::first();
        loop {
            let from = self.ends.of(self.from);
            let (writes, next) = rebuild::read(from, database, key, part)
                .await?
                .map_err(|reason| self.refused(reason))?;
            for reply in self.write(database, writes).await? {
                reply.map_err(|text| self.refused(text))?;
            }
            match next {
                Some(next) => part = next,
                None => return Ok(()),
            }
        }
    }

    /// Writes to the side that was left, and counts it.
    async fn write(
        &mut self,
        database: u32,
        writes: Vec<Vec<Vec<u8>>>,
    ) -> Result<Vec<Reply>, Error> {
        if writes.is_empty() {
            return Ok(vec![]);
        }
        let mut wrote = self.wrote.lock().await;
        let calls = writes.len() as u64;
        // Set before, for the case that this is dropped half-way.
        let sure_before = !std::mem::replace(&mut wrote.unsure, true);
        let to = self.ends.of(self.from.other());
        let replies = in_database(to, database, writes).await?;
        wrote.calls += calls;
        // One that is refused before it runs is not counted by the server.
        wrote.unsure = !(sure_before && replies.iter().all(Result::is_ok));
        Ok(replies)
    }

    fn refused(&mut self, reason: String) -> Trouble {
        Trouble::Key {
            server: self.ends.of(self.from.other()).server.name.clone(),
            reason,
        }
    }

    /// One step through the keys of a side's database: the names, and the cursor that goes on from there.
    pub(super) async fn scan(
        &mut self,
        side: Side,
        database: u32,
        cursor: &[u8],
        of: Scan,
    ) -> Result<(Vec<Bytes>, Vec<u8>), Error> {
        let mut request = words(&[b"SCAN", cursor, b"COUNT", b"256"]);
        match of {
            Scan::Everything => {}
            Scan::Streams => request.extend(words(&[b"TYPE", b"stream"])),
        }
        let connection = self.ends.of(side);
        let reply = in_database(connection, database, vec![request])
            .await?
            .pop();
        let parts = match reply {
            Some(Ok(Value::Array(parts))) => parts,
            Some(Err(text)) => return Err(connection.refused("SCAN", text)),
            Some(Ok(_)) | None => return Err(connection.unexpected("SCAN", "no array")),
        };
        let [Value::Bulk(next), Value::Array(names)] = &parts[..] else {
            return Err(connection.unexpected("SCAN", "no cursor and names"));
        };
        let names = names.iter().filter_map(|name| match name {
            Value::Bulk(name) => Some(Bytes::copy_from_slice(name)),
            Value::Null | Value::Simple(_) | Value::Integer(_) | Value::Array(_) => None,
        });
        Ok((names.collect(), next.clone()))
    }

    /// Those of `keys` that the side which changes does not have.
    pub(super) async fn missing(
        &mut self,
        database: u32,
        keys: Vec<Bytes>,
    ) -> Result<Vec<Bytes>, Error> {
        let requests = keys.iter().map(|key| words(&[b"EXISTS", key])).collect();
        let from = self.ends.of(self.from);
        let replies = in_database(from, database, requests).await?;
        let exists = replies
            .into_iter()
            .map(|reply| reply.map_err(|text| from.refused("EXISTS", text)))
            .collect::<Result<Vec<_>, _>>()?;
        let missing = keys.into_iter().zip(exists);
        Ok(missing
            .filter(|(_, exists)| *exists == Value::Integer(0))
            .map(|(key, _)| key)
            .collect())
    }
}

/// Which keys a scan is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scan {
    /// All.
    Everything,
    /// Those that hold a stream.
    Streams,
}

/// A pipeline in a database. Where only one is in use, which the connection begins in, none is selected: a managed service
/// may have no other, and no command for it.
pub(super) async fn in_database(
    connection: &mut Connection,
    database: u32,
    mut requests: Vec<Vec<Vec<u8>>>,
) -> Result<Vec<Reply>, Error> {
    if requests.is_empty() {
        return Ok(vec![]);
    }
    let own = connection.server.database;
    if database == own {
        return connection.pipeline_bytes(&requests).await;
    }
    requests.insert(0, words(&[b"SELECT", database.to_string().as_bytes()]));
    requests.push(words(&[b"SELECT", own.to_string().as_bytes()]));
    let mut replies = connection.pipeline_bytes(&requests).await?;
    for selected in [replies.pop(), Some(replies.remove(0))] {
        if let Some(Err(text)) = selected {
            return Err(connection.refused("SELECT", text));
        }
    }
    Ok(replies)
}

async fn read(
    connection: &mut Connection,
    database: u32,
    keys: &[Bytes],
) -> Result<Vec<Option<Held>>, Error> {
    let requests = keys.iter().flat_map(|key| {
        [
            words(&[b"TYPE", key]),
            words(&[b"DUMP", key]),
            words(&[b"PTTL", key]),
        ]
    });
    let replies = in_database(connection, database, requests.collect()).await?;
    replies
        .chunks_exact(3)
        .map(|replies| match replies {
            [Ok(Value::Simple(kind)), dump, Ok(Value::Integer(left_ms))] => {
                Ok(held(kind, dump, *left_ms))
            }
            _ => Err(connection.unexpected("PTTL", "a key does not tell its type and its time")),
        })
        .collect()
}

fn held(kind: &str, dump: &Reply, left_ms: i64) -> Option<Held> {
    let dump = match dump {
        Ok(Value::Bulk(dump)) => Ok(dump.clone()),
        Ok(_) => return None,
        Err(text) => Err(text.clone()),
    };
    // It is gone, or went between two of the commands.
    if kind == "none" || left_ms == -2 {
        return None;
    }
    Some(Held {
        dump,
        left_ms: (left_ms >= 0).then_some(left_ms),
        kind: kind.to_owned(),
    })
}

/// Whether nothing needs to be written. Times to live have gone on between the two looks.
fn same(there: Option<&Held>, here: Option<&Held>) -> bool {
    const TOLERANCE_MS: i64 = 500;
    match (there, here) {
        (None, None) => true,
        (Some(there), Some(here)) => {
            there.dump.is_ok()
                && there.dump == here.dump
                && match (there.left_ms, here.left_ms) {
                    (None, None) => true,
                    (Some(there), Some(here)) => there.abs_diff(here) <= TOLERANCE_MS as u64,
                    (Some(_), None) | (None, Some(_)) => false,
                }
        }
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// Whether a refusal of RESTORE is about the value, which can then be written in another way. Others are about the server:
/// that it is full, or read-only, or does not let us.
fn is_about_the_value(text: &str) -> bool {
    text.starts_with("ERR ")
}

pub(super) fn words(words: &[&[u8]]) -> Vec<Vec<u8>> {
    words.iter().map(|word| word.to_vec()).collect()
}
