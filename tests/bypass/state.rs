//! Everything about a server that nobody may change, as texts that can be compared.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::catalogue::Entry;
use super::data::Planted;
use super::kit::{Client, Reply};
use super::permitted::forbidden_calls;

/// Lines of INFO that tell of changes: of data, of what is saved, of replication.
const INFO: &[&str] = &[
    "aof_enabled",
    "aof_rewrite_in_progress",
    "connected_slaves",
    "master_host",
    "master_replid",
    "paused_reason",
    "rdb_bgsave_in_progress",
    "rdb_changes_since_last_save",
    "rdb_last_save_time",
    "role",
    "run_id",
];
/// What the connections are called that nobody may end or disturb.
pub const KEEPER: &str = "keeper-";

/// What was seen, by what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State(BTreeMap<String, String>);

impl State {
    /// Looks, as the `looks`th look over this connection. An error: the server does not answer.
    pub fn of(
        client: &mut Client,
        catalogue: &[Entry],
        planted: &Planted,
        looks: i64,
    ) -> io::Result<State> {
        let mut seen = BTreeMap::new();
        let mut note = |what: &str, text: String| seen.insert(what.to_owned(), text);
        for (what, request) in [
            ("data", &["DEBUG", "DIGEST"][..]),
            ("configuration", &["CONFIG", "GET", "*"]),
            ("users", &["ACL", "LIST"]),
            ("functions", &["FUNCTION", "DUMP"]),
            (
                "scripts",
                &["SCRIPT", "EXISTS", &planted.hashes[0], &planted.hashes[1]],
            ),
        ] {
            note(what, text(client.try_call(request)?));
        }
        let clients = client.try_call(&["CLIENT", "LIST"])?.into_text();
        note("connections", keepers(&clients));
        let info = client.try_call(&["INFO", "everything"])?.into_text();
        for line in info.lines() {
            if let Some((name, value)) = line.split_once(':')
                && INFO.contains(&name)
            {
                note(name, value.to_owned());
            }
        }
        let mut calls = forbidden_calls(catalogue, &info);
        if let Some(debug) = calls.get_mut("DEBUG") {
            // The looks themselves.
            *debug -= looks;
        }
        for (name, calls) in calls {
            note(&format!("calls of {name}"), calls.to_string());
        }
        Ok(State(seen))
    }

    /// What is different now, a line each.
    pub fn changes(&self, now: &State) -> Vec<String> {
        let names = self.0.keys().chain(now.0.keys());
        let mut changes: Vec<String> = names
            .filter_map(|name| {
                let [before, after] = [self, now].map(|state| state.0.get(name));
                let text = |it: Option<&String>| it.map_or("none", String::as_str).to_owned();
                (before != after).then(|| {
                    let (before, after) = apart(&text(before), &text(after));
                    format!("{name}: {before} is now {after}")
                })
            })
            .collect();
        changes.dedup();
        changes.sort();
        changes.dedup();
        changes
    }
}

/// What `CLIENT LIST` says of the keepers: who they are and what they do. Its order is the server's own.
fn keepers(list: &str) -> String {
    let lines = list.lines().filter_map(|line| {
        let field = |name: &str| {
            line.split(' ')
                .find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
        };
        let name = field("name").filter(|name| name.starts_with(KEEPER))?;
        Some(format!(
            "{name} {} {} {}",
            field("id")?,
            field("flags")?,
            field("psub")?
        ))
    });
    lines
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect::<Vec<_>>()
        .join(", ")
}

fn text(reply: Reply) -> String {
    match reply {
        Reply::Array(parts) => parts.into_iter().map(text).collect::<Vec<_>>().join(" "),
        Reply::Bulk(bytes) => bytes.escape_ascii().to_string(),
        Reply::Simple(text) => text,
        other => format!("{other:?}"),
    }
}

/// Longest part of a text that is shown.
const SHOWN_CHARS: usize = 120;

/// Both texts from shortly before they differ.
fn apart(before: &str, after: &str) -> (String, String) {
    let alike = before.chars().zip(after.chars());
    let from = alike.take_while(|(a, b)| a == b).count().saturating_sub(20);
    let shown = |text: &str| text.chars().skip(from).take(SHOWN_CHARS).collect();
    (shown(before), shown(after))
}
