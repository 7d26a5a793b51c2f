//! What is asked of a side before the rules judge it: a pipeline and its list of clients, and nothing that changes it.

use std::collections::{HashMap, HashSet};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::link::connection::{Connection, Reply};
use crate::link::follow::address_of;
use crate::link::functions::{self, Libraries};
use crate::link::info::Info;
use crate::link::writers::{self, OtherClient};
use crate::net::Endpoint;
use crate::terms::Identity;
use crate::upstream::control::{Error, Value};

/// The settings that rules look at.
const SETTINGS: [&str; 4] = [
    "client-output-buffer-limit",
    "databases",
    "notify-keyspace-events",
    "repl-backlog-size",
];

/// What one side says about itself.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// The side's name.
    pub(super) name: String,
    /// Its `INFO`.
    pub(super) info: Info,
    /// The settings that it told; a managed service may tell none.
    pub(super) settings: HashMap<&'static str, String>,
    /// The names of its modules; none where it does not tell.
    pub(super) modules: Option<HashSet<String>>,
    /// Its function libraries; none where it has no functions, or does not tell.
    pub(super) functions: Option<Libraries>,
    /// How far its clock is ahead of ours, in milliseconds.
    pub(super) clock_ahead_ms: Option<i128>,
    /// Where the other side is to reach it; none where that is not configured.
    pub(super) replication_address: Option<(String, u16)>,
    /// The host by which we reach it; none for a unix socket.
    pub(super) host: Option<String>,
    /// How many masters the open-source cluster has of which it is a node; none where it is in none, or does not tell.
    pub(super) cluster_masters: Option<usize>,
    /// Whether we reach it over TLS.
    pub(super) is_encrypted: bool,
    /// Why its user may not replicate, in the server's words; none where it may, or where the server cannot say.
    pub(super) replication_refused: Option<String>,
    /// Clients that are not this process and may have written; none where they cannot be told from this process's.
    pub(super) other_writers: Option<Vec<OtherClient>>,
}

/// Asks a side. The first answer decides whether it can be asked at all; what it does not tell otherwise is left out.
pub(super) async fn gather(connection: &mut Connection) -> Result<Facts, Error> {
    let mut requests: Vec<Vec<Vec<u8>>> = vec![
        words(&["INFO"]),
        words(&["TIME"]),
        words(&["MODULE", "LIST"]),
        functions::request(),
        words(&["CLUSTER", "INFO"]),
    ];
    requests.extend(SETTINGS.map(|name| words(&["CONFIG", "GET", name])));
    if let Identity::User { name, .. } = &connection.server.identity {
        let mut dry_run = words(&["ACL", "DRYRUN"]);
        dry_run.push(name.expose().to_vec());
        dry_run.extend(words(&["PSYNC", "?", "-1"]));
        requests.push(dry_run);
    }

    let mut replies = connection.pipeline_bytes(&requests).await?.into_iter();
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let info = match replies.next() {
        Some(Ok(reply)) => Info::from_reply(&reply),
        Some(Err(text)) => return Err(connection.refused("INFO", text)),
        None => return Err(connection.unexpected("INFO", "no reply at all")),
    };
    let clock_ahead_ms = replies
        .next()
        .and_then(clock_ms)
        .map(|clock| clock - i128::try_from(now.as_millis()).unwrap_or(i128::MAX));
    let modules = replies.next().and_then(module_names);
    let functions = replies.next().and_then(functions::of_reply);
    let cluster_masters = replies
        .next()
        .and_then(Result::ok)
        .and_then(|reply| Info::from_reply(&reply).number("cluster_size"));
    let settings = SETTINGS
        .into_iter()
        .zip(replies.by_ref())
        .filter_map(|(name, reply)| Some((name, second_text(&reply.ok()?)?)))
        .collect();
    let replication_refused = replies.next().and_then(dry_run_refusal);
    let other_writers = writers::other_writers(connection).await.ok().flatten();
    Ok(Facts {
        name: connection.server.name.clone(),
        info,
        settings,
        modules,
        functions,
        clock_ahead_ms,
        replication_address: address_of(&connection.server).ok(),
        host: match &connection.server.dial.endpoint {
            Endpoint::Tcp { host, .. } => Some(host.clone()),
            Endpoint::Unix(_) => None,
        },
        cluster_masters,
        is_encrypted: connection.server.dial.tls.is_some(),
        replication_refused,
        other_writers,
    })
}

fn words(words: &[&str]) -> Vec<Vec<u8>> {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::Bulk(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Value::Simple(text) => Some(text.clone()),
        Value::Integer(_) | Value::Array(_) | Value::Null => None,
    }
}

/// The second element of an array: the value in a reply of CONFIG GET, the name in one of a module.
fn second_text(reply: &Value) -> Option<String> {
    match reply {
        Value::Array(items) => text(items.get(1)?),
        Value::Bulk(_) | Value::Simple(_) | Value::Integer(_) | Value::Null => None,
    }
}

/// TIME gives seconds and microseconds.
fn clock_ms(reply: Reply) -> Option<i128> {
    let Ok(Value::Array(parts)) = reply else {
        return None;
    };
    let number = |at: usize| text(parts.get(at)?)?.parse::<i128>().ok();
    Some(number(0)? * 1000 + number(1)? / 1000)
}

/// MODULE LIST gives an array of `name, NAME, ver, …`.
fn module_names(reply: Reply) -> Option<HashSet<String>> {
    match reply.ok()? {
        Value::Array(modules) => Some(modules.iter().filter_map(second_text).collect()),
        Value::Bulk(_) | Value::Simple(_) | Value::Integer(_) | Value::Null => None,
    }
}

/// ACL DRYRUN answers `OK`, or a sentence that says what is missing; servers before 7.0 do not have it.
fn dry_run_refusal(reply: Reply) -> Option<String> {
    text(&reply.ok()?).filter(|answer| answer != "OK")
}
