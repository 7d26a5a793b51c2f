//! Copies keys as they are from the side that changed to the one that was left. By state: what a key holds there now
//! replaces what it holds here, so that neither order nor repetition matters.
//!
//! Refuses to know: which keys, and why.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Mutex;

use super::rebuild;
use crate::link::connection::{Connection, Connections, Reply};
use crate::link::info::Info;
use crate::link::marker::MARKER_KEY;
use crate::terms::{OWN_KEYS, Side};
use crate::upstream::Server;
use crate::upstream::control::{Error, Value};

/// Values that are read at once, by the server's own estimate of their size. A single larger one is read all the same.
const VALUES_BYTES_MAX: u64 = 4 << 20;

/// What a value is taken to weigh where the server does not say: few are then read at once.
const UNKNOWN_VALUE_BYTES: u64 = 256 << 10;

/// Databases that are copied, at most: each has connections of its own, so that nothing is ever written to another one than
/// was meant, whatever becomes of a SELECT or of a connection.
const DATABASES_MAX: usize = 64;

/// Both ends of the copy.
#[derive(Debug)]
pub(super) struct Copier {
    /// Source and target.
    servers: [Server; 2],
    /// Connections of its own, by database, so that a large value stands in nobody's way.
    open: BTreeMap<u32, Connections>,
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
    /// A copy from a side to the other, not connected yet.
    pub(super) fn new(servers: [Server; 2], from: Side, wrote: Arc<Mutex<Wrote>>) -> Copier {
        Copier {
            servers,
            open: BTreeMap::new(),
            from,
            wrote,
        }
    }

    /// The side that changes, as the configuration has it.
    pub(super) fn changing(&self) -> &Server {
        &self.servers[self.from.index()]
    }

    /// The connections in a database.
    fn ends(&mut self, database: u32) -> &mut Connections {
        ends(&mut self.open, &self.servers, database)
    }

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
                .filter(|key| !stays(key))
                .cloned()
                .collect();
            let streams = self.copy_in(*database, &keys, known).await?;
            copied.streams.extend(streams);
        }
        Ok(copied)
    }

    /// The databases in use on either side, now; the configured one always.
    pub(super) async fn databases(&mut self) -> Result<BTreeSet<u32>, Trouble> {
        let (side, configured) = (self.from, self.changing().database);
        let (from, to) = self.ends(configured).pair(side);
        let ask = &["INFO", "keyspace"];
        let (there, here) = tokio::try_join!(from.call(ask), to.call(ask))?;
        let mut databases = BTreeSet::from([configured]);
        for reply in [there, here] {
            let info = Info::from_reply(&reply);
            databases.extend(info.databases().map(|(number, _)| number));
        }
        if databases.len() > DATABASES_MAX {
            return Err(self.refused(format!("more than {DATABASES_MAX} databases are in use")));
        }
        Ok(databases)
    }

    /// How many of `keys` are not too much to be read at once.
    async fn fitting(&mut self, keys: &[Bytes], databases: &BTreeSet<u32>) -> Result<usize, Error> {
        let mut sizes = vec![0_u64; keys.len()];
        for database in databases {
            let requests = keys.iter().map(|key| words(&[b"MEMORY", b"USAGE", key]));
            let requests: Vec<_> = requests.collect();
            let side = self.from;
            let from = self.ends(*database).of(side);
            let replies = from.pipeline_bytes(&requests).await?;
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
        let side = self.from;
        let (from, to) = self.ends(database).pair(side);
        let (there, here) = match known {
            Known::Changed => (read(from, keys).await?, vec![]),
            Known::Perhaps => tokio::try_join!(read(from, keys), read(to, keys))?,
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
            let side = self.from;
            let from = self.ends(database).of(side);
            let (writes, next) = rebuild::read(from, key, part)
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
        let (wrote_to, servers) = (self.from.other(), &self.servers);
        let to = ends(&mut self.open, servers, database).of(wrote_to);
        let replies = to.pipeline_bytes(&writes).await?;
        wrote.calls += calls;
        // One that is refused before it runs is not counted by the server.
        wrote.unsure = !(sure_before && replies.iter().all(Result::is_ok));
        Ok(replies)
    }

    fn refused(&self, reason: String) -> Trouble {
        Trouble::Key {
            server: self.servers[self.from.other().index()].name.clone(),
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
        let connection = self.ends(database).of(side);
        let reply = connection.pipeline_bytes(&[request]).await?.pop();
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
        let requests: Vec<_> = keys.iter().map(|key| words(&[b"EXISTS", key])).collect();
        let side = self.from;
        let from = self.ends(database).of(side);
        let replies = from.pipeline_bytes(&requests).await?;
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

fn ends<'a>(
    open: &'a mut BTreeMap<u32, Connections>,
    servers: &[Server; 2],
    database: u32,
) -> &'a mut Connections {
    open.entry(database).or_insert_with(|| {
        let [source, target] = servers.clone().map(|server| Server { database, ..server });
        Connections::new(source, target)
    })
}

async fn read(connection: &mut Connection, keys: &[Bytes]) -> Result<Vec<Option<Held>>, Error> {
    let requests = keys.iter().flat_map(|key| {
        [
            words(&[b"TYPE", key]),
            words(&[b"DUMP", key]),
            words(&[b"PTTL", key]),
        ]
    });
    let requests: Vec<_> = requests.collect();
    let replies = connection.pipeline_bytes(&requests).await?;
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

/// Whether a key is one of Handover's own that mean something only where they are. The marker of an attempt is not: it is to
/// arrive.
fn stays(key: &[u8]) -> bool {
    key.starts_with(OWN_KEYS.as_bytes()) && key != MARKER_KEY.as_bytes()
}

pub(super) fn words(words: &[&[u8]]) -> Vec<Vec<u8>> {
    words.iter().map(|word| word.to_vec()).collect()
}
