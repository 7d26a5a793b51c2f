//! A value, read and written anew with the commands of its type, in parts of bounded size: for two servers that do not
//! read each other's serialised values, as an Active-Active database and an open-source server.
//!
//! A value that changes between two parts is not torn for long: the change is told, and it is copied again.
//!
//! What is not brought over this way: the encoding, and values of modules, which are refused.

use bytes::Bytes;

use super::copier::words;
use crate::link::connection::{Connection, Reply};
use crate::upstream::control::{Error, Value};

/// Elements of a part.
const PART: usize = 500;

/// Requests, each a command with its arguments.
type Requests = Vec<Vec<Vec<u8>>>;

/// Where the next part begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// At the beginning, the type not known.
    First,
    /// Behind the element with this cursor, number or name, which means something to the type.
    From {
        /// The type.
        kind: Kind,
        /// The place.
        cursor: Vec<u8>,
    },
    /// At what is left for the end: the time to live, and what a stream knows beside its entries.
    Last(Kind),
}

/// The types that have their own commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    List,
    Set,
    SortedSet,
    Hash,
    Stream,
}

impl Part {
    pub(super) fn first() -> Part {
        Part::First
    }
}

/// What is to be written for this part, and the part after it. The inner error says why it cannot be.
pub(super) async fn read(
    connection: &mut Connection,
    key: &Bytes,
    part: Part,
) -> Result<Result<(Requests, Option<Part>), String>, Error> {
    let mut source = Source { connection, key };
    match part {
        Part::First => source.first().await,
        Part::From { kind, cursor } => source.elements(kind, cursor).await,
        Part::Last(kind) => source.last(kind).await,
    }
}

/// The key that is read.
struct Source<'a> {
    connection: &'a mut Connection,
    key: &'a Bytes,
}

impl Source<'_> {
    async fn ask(&mut self, requests: Requests) -> Result<Vec<Reply>, Error> {
        self.connection.pipeline_bytes(&requests).await
    }

    async fn ask_one(&mut self, request: &[&[u8]]) -> Result<Result<Value, String>, Error> {
        let reply = self.ask(vec![words(request)]).await?.pop();
        Ok(reply.unwrap_or_else(|| Err("no reply at all".to_owned())))
    }

    async fn first(&mut self) -> Result<Result<(Requests, Option<Part>), String>, Error> {
        let kind = match self.ask_one(&[b"TYPE", self.key]).await? {
            Ok(Value::Simple(kind)) => kind,
            Ok(_) => return Ok(Err("TYPE gave no type".to_owned())),
            Err(text) => return Ok(Err(text)),
        };
        let remove = vec![words(&[b"UNLINK", self.key])];
        let (kind, cursor) = match kind.as_str() {
            "none" => return Ok(Ok((remove, None))),
            "string" => (Kind::Text, &b"0"[..]),
            "list" => (Kind::List, &b"0"[..]),
            "set" => (Kind::Set, &b"0"[..]),
            "zset" => (Kind::SortedSet, &b"0"[..]),
            "hash" => (Kind::Hash, &b"0"[..]),
            "stream" => (Kind::Stream, &b"-"[..]),
            other => {
                return Ok(Err(format!(
                    "values of type {other} can be copied only between servers that read each other's DUMP"
                )));
            }
        };
        let next = Part::From {
            kind,
            cursor: cursor.to_vec(),
        };
        Ok(Ok((remove, Some(next))))
    }

    async fn elements(
        &mut self,
        kind: Kind,
        cursor: Vec<u8>,
    ) -> Result<Result<(Requests, Option<Part>), String>, Error> {
        let key = self.key.clone();
        let count = PART.to_string();
        let request = match kind {
            Kind::Text => words(&[b"GET", &key]),
            Kind::List | Kind::SortedSet => {
                let first = number(&cursor);
                let last = (first + PART - 1).to_string();
                let mut request = match kind {
                    Kind::SortedSet => words(&[b"ZRANGE", &key]),
                    _ => words(&[b"LRANGE", &key]),
                };
                request.extend(words(&[&cursor, last.as_bytes()]));
                if kind == Kind::SortedSet {
                    request.push(b"WITHSCORES".to_vec());
                }
                request
            }
            Kind::Set => words(&[b"SSCAN", &key, &cursor, b"COUNT", count.as_bytes()]),
            Kind::Hash => words(&[b"HSCAN", &key, &cursor, b"COUNT", count.as_bytes()]),
            Kind::Stream => words(&[b"XRANGE", &key, &cursor, b"+", b"COUNT", count.as_bytes()]),
        };
        let reply = match self.ask(vec![request]).await?.pop() {
            Some(Ok(reply)) => reply,
            Some(Err(text)) => return Ok(Err(text)),
            None => return Ok(Err("no reply at all".to_owned())),
        };
        Ok(written(kind, &key, &cursor, reply)
            .ok_or_else(|| "a value is not what its type gives, or changed its type".to_owned()))
    }

    async fn last(
        &mut self,
        kind: Kind,
    ) -> Result<Result<(Requests, Option<Part>), String>, Error> {
        let mut writes = match kind {
            Kind::Stream => match self.stream().await? {
                Ok(writes) => writes,
                Err(text) => return Ok(Err(text)),
            },
            Kind::Hash => match self.field_times().await? {
                Ok(writes) => writes,
                Err(text) => return Ok(Err(text)),
            },
            Kind::Text | Kind::List | Kind::Set | Kind::SortedSet => vec![],
        };
        match self.ask_one(&[b"PTTL", self.key]).await? {
            Ok(Value::Integer(left)) if left >= 0 => {
                let left = left.max(1).to_string();
                writes.push(words(&[b"PEXPIRE", self.key, left.as_bytes()]));
            }
            Ok(_) => {}
            Err(text) => return Ok(Err(text)),
        }
        Ok(Ok((writes, None)))
    }

    /// Times to live of a hash's fields, where the server has such.
    async fn field_times(&mut self) -> Result<Result<Requests, String>, Error> {
        let names = match self.ask_one(&[b"HKEYS", self.key]).await? {
            Ok(Value::Array(names)) => names.into_iter().filter_map(bulk).collect::<Vec<_>>(),
            Ok(_) => vec![],
            Err(text) => return Ok(Err(text)),
        };
        let mut writes = vec![];
        for names in names.chunks(PART) {
            let count = names.len().to_string();
            let mut request = words(&[b"HPTTL", self.key, b"FIELDS", count.as_bytes()]);
            request.extend(names.iter().cloned());
            let Some(Ok(Value::Array(times))) = self.ask(vec![request]).await?.pop() else {
                // The server has no such times.
                return Ok(Ok(writes));
            };
            for (name, left) in names.iter().zip(times) {
                if let Value::Integer(left) = left
                    && left >= 0
                {
                    let left = left.max(1).to_string();
                    let arguments: [&[u8]; 6] = [
                        b"HPEXPIRE",
                        self.key,
                        left.as_bytes(),
                        b"FIELDS",
                        b"1",
                        name,
                    ];
                    writes.push(words(&arguments));
                }
            }
        }
        Ok(Ok(writes))
    }

    /// What a stream knows beside its entries: its last id, its groups, and what they have delivered and not heard of.
    async fn stream(&mut self) -> Result<Result<Requests, String>, Error> {
        let key = self.key.clone();
        let about = match self.ask_one(&[b"XINFO", b"STREAM", &key]).await? {
            Ok(about) => about,
            Err(text) => return Ok(Err(text)),
        };
        let groups = match self.ask_one(&[b"XINFO", b"GROUPS", &key]).await? {
            Ok(Value::Array(groups)) => groups,
            Ok(_) => vec![],
            Err(text) => return Ok(Err(text)),
        };
        let mut writes = vec![];
        let last_id = field(&about, "last-generated-id").and_then(bulk);
        for group in &groups {
            let name = field(group, "name").and_then(bulk).unwrap_or_default();
            let delivered = field(group, "last-delivered-id")
                .and_then(bulk)
                .unwrap_or_else(|| b"0".to_vec());
            let create: [&[u8]; 6] = [b"XGROUP", b"CREATE", &key, &name, &delivered, b"MKSTREAM"];
            writes.push(words(&create));
            match self.pending(&name).await? {
                Ok(claims) => writes.extend(claims),
                Err(text) => return Ok(Err(text)),
            }
        }
        if let Some(last_id) = last_id.filter(|id| id != b"0-0") {
            // Needs the stream: where it is empty and has no group, one is made by an entry that goes again.
            if groups.is_empty() && field(&about, "length") == Some(Value::Integer(0)) {
                writes.push(words(&[b"XADD", &key, &last_id, b"-", b"-"]));
                writes.push(words(&[b"XDEL", &key, &last_id]));
            }
            writes.push(words(&[b"XSETID", &key, &last_id]));
        }
        Ok(Ok(writes))
    }

    /// What a group has delivered and not heard of.
    async fn pending(&mut self, group: &[u8]) -> Result<Result<Requests, String>, Error> {
        let (key, count) = (self.key.clone(), PART.to_string());
        let mut writes = vec![];
        let mut from = b"-".to_vec();
        loop {
            let request: [&[u8]; 6] = [b"XPENDING", &key, group, &from, b"+", count.as_bytes()];
            let entries = match self.ask_one(&request).await? {
                Ok(Value::Array(entries)) => entries,
                Ok(_) => vec![],
                Err(text) => return Ok(Err(text)),
            };
            for entry in &entries {
                let Value::Array(parts) = entry else { continue };
                let [
                    Value::Bulk(id),
                    Value::Bulk(consumer),
                    Value::Integer(idle),
                    Value::Integer(deliveries),
                ] = &parts[..]
                else {
                    return Ok(Err("XPENDING gave no entries".to_owned()));
                };
                let (idle, deliveries) = (idle.to_string(), deliveries.to_string());
                let mut claim = words(&[b"XCLAIM", &key, group, consumer, b"0", id]);
                claim.extend(words(&[b"IDLE", idle.as_bytes()]));
                claim.extend(words(&[b"RETRYCOUNT", deliveries.as_bytes()]));
                claim.extend(words(&[b"FORCE", b"JUSTID"]));
                writes.push(claim);
                from = [&b"("[..], id].concat();
            }
            if entries.len() < PART {
                return Ok(Ok(writes));
            }
        }
    }
}

/// The commands for a part of a value, and where the next begins; none where the reply is not one.
fn written(
    kind: Kind,
    key: &Bytes,
    cursor: &[u8],
    reply: Value,
) -> Option<(Requests, Option<Part>)> {
    let from = |cursor: Vec<u8>| Some(Part::From { kind, cursor });
    let (command, elements, next): (&[u8], Vec<Vec<u8>>, Option<Part>) = match (kind, reply) {
        (Kind::Text, Value::Bulk(value)) => (b"SET", vec![value], Some(Part::Last(kind))),
        // Gone meanwhile, which is told.
        (Kind::Text, Value::Null) => return Some((vec![], None)),
        (Kind::List, Value::Array(items)) => {
            let items: Vec<_> = items.into_iter().filter_map(bulk).collect();
            let next = next_after(items.len(), kind, cursor);
            (b"RPUSH", items, Some(next))
        }
        (Kind::SortedSet, Value::Array(items)) => {
            let items: Vec<_> = items.into_iter().filter_map(bulk).collect();
            let next = next_after(items.len() / 2, kind, cursor);
            let swapped = items
                .chunks_exact(2)
                .flat_map(|pair| [pair[1].clone(), pair[0].clone()]);
            (b"ZADD", swapped.collect(), Some(next))
        }
        (Kind::Set | Kind::Hash, Value::Array(parts)) => {
            let mut parts = parts.into_iter();
            let (Some(Value::Bulk(next)), Some(Value::Array(items))) = (parts.next(), parts.next())
            else {
                return None;
            };
            let next = if next == b"0" {
                Some(Part::Last(kind))
            } else {
                from(next)
            };
            let command: &[u8] = if kind == Kind::Set { b"SADD" } else { b"HSET" };
            (command, items.into_iter().filter_map(bulk).collect(), next)
        }
        (Kind::Stream, Value::Array(entries)) => return stream_entries(key, entries),
        (_, _) => return None,
    };
    if elements.is_empty() {
        return Some((vec![], next));
    }
    let mut request = words(&[command, key]);
    request.extend(elements);
    Some((vec![request], next))
}

fn next_after(elements: usize, kind: Kind, cursor: &[u8]) -> Part {
    if elements < PART {
        return Part::Last(kind);
    }
    Part::From {
        kind,
        cursor: (number(cursor) + elements).to_string().into_bytes(),
    }
}

fn stream_entries(key: &Bytes, entries: Vec<Value>) -> Option<(Requests, Option<Part>)> {
    let count = entries.len();
    let (mut writes, mut last) = (vec![], vec![]);
    for entry in entries {
        let Value::Array(parts) = entry else {
            return None;
        };
        let [Value::Bulk(id), Value::Array(fields)] = &parts[..] else {
            return None;
        };
        let mut add = words(&[b"XADD", key, id]);
        add.extend(fields.iter().cloned().filter_map(bulk));
        writes.push(add);
        last.clone_from(id);
    }
    let next = if count < PART {
        Part::Last(Kind::Stream)
    } else {
        Part::From {
            kind: Kind::Stream,
            cursor: [&b"("[..], &last].concat(),
        }
    };
    Some((writes, Some(next)))
}

fn bulk(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::Bulk(bytes) => Some(bytes),
        Value::Null | Value::Simple(_) | Value::Integer(_) | Value::Array(_) => None,
    }
}

/// A field of an array of names and values.
fn field(of: &Value, wanted: &str) -> Option<Value> {
    let Value::Array(items) = of else {
        return None;
    };
    let pair = items
        .chunks_exact(2)
        .find(|pair| matches!(&pair[0], Value::Bulk(name) if name[..] == *wanted.as_bytes()))?;
    Some(pair[1].clone())
}

fn number(cursor: &[u8]) -> usize {
    std::str::from_utf8(cursor)
        .ok()
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0)
}
