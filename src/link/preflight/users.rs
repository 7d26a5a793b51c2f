//! Whether the application's users exist on the side that is filled, let their clients in, and may do there what they may
//! do where they are.
//!
//! Refuses to know: where the users were seen, and who says what they are called.

use std::collections::BTreeMap;

use super::counters::Counter;
use super::rights::{Categories, Rights};
use super::{Finding, Verdict};
use crate::link::connection::{Connection, Reply};
use crate::terms::{Identity, Side};
use crate::upstream::Server;
use crate::upstream::control::{Control, Value};

/// Users and commands that a message names; more help nobody.
const NAMED_MAX: usize = 12;

/// What the proxy knows of its clients.
#[derive(Debug, Clone, Default)]
pub struct Clients {
    /// Connections that the proxy will open on the filled side.
    pub sessions: u64,
    /// Who clients are, and those that the configuration names.
    pub users: Vec<User>,
    /// There were more users than are remembered.
    pub has_forgotten_users: bool,
    /// What the application counts with, where that has to be looked at.
    pub counters: Vec<Counter>,
    /// There were more counters than are remembered.
    pub has_forgotten_counters: bool,
}

/// A user of the application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// What it is called, by side.
    pub names: [String; 2],
    /// How its clients are let in.
    pub entry: Entry,
}

/// How a user's clients are let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// They give a password, which a database has judged.
    Password,
    /// They give none.
    NoPassword,
    /// The configuration has the passwords, by side.
    Configured(Box<[Identity; 2]>),
}

/// What one side tells of a user.
#[derive(Debug)]
enum Told {
    Has(Rights),
    /// There is none.
    None,
    /// It does not tell; its own words.
    Nothing(String),
}

/// Looks at every user on both sides.
pub(super) async fn check(
    copied: &mut Connection,
    filled: &mut Connection,
    clients: &Clients,
) -> [Finding; 2] {
    let mut entry = Complaints::default();
    let mut rights = Complaints::default();
    for user in &clients.users {
        if let Entry::Configured(identities) = &user.entry {
            for server in [&copied.server, &filled.server] {
                let identity = &identities[server.side.index()];
                if let Err(text) = log_in(server, identity).await {
                    entry.errors.push(text);
                }
            }
        }
    }
    let (here, there) = tokio::join!(ask(copied, clients), ask(filled, clients));
    let told: Vec<(Told, Told)> = here.into_iter().zip(there).collect();
    let categories = if told.iter().any(needs_categories) {
        match tokio::join!(list(copied), list(filled)) {
            (Ok(here), Ok(there)) => Ok((here, there)),
            (Err(text), _) | (_, Err(text)) => Err(text),
        }
    } else {
        Ok(Default::default())
    };
    let sides = [&*copied.server.name, &*filled.server.name];
    for (user, (here, there)) in clients.users.iter().zip(&told) {
        let name = &user.names[filled.server.side.index()];
        match against_entry(name, &user.entry, there, sides[1]) {
            Some(text) => entry.errors.push(text),
            None => compare(name, [here, there], sides, &categories, &mut rights),
        }
    }
    [
        entry_verdict(&entry, clients).of("users"),
        rights_verdict(&rights, clients).of("user_rights"),
    ]
}

fn needs_categories(told: &(Told, Told)) -> bool {
    matches!(told, (Told::Has(_), Told::Has(there)) if !there.calls_everything())
}

/// What keeps a user's clients out of the side that is filled.
fn against_entry(name: &str, entry: &Entry, there: &Told, side: &str) -> Option<String> {
    match there {
        Told::None => Some(format!("{side} has no user {name}")),
        Told::Has(there) if !there.is_on => {
            Some(format!("the user {name} is switched off on {side}"))
        }
        Told::Has(there) if *entry == Entry::NoPassword && !there.needs_no_password => Some(
            format!("clients come without a password, and {side} asks the user {name} for one"),
        ),
        Told::Has(_) | Told::Nothing(_) => None,
    }
}

/// What a user loses on the side that is filled.
fn compare(
    name: &str,
    told: [&Told; 2],
    sides: [&str; 2],
    categories: &Result<(Categories, Categories), String>,
    complaints: &mut Complaints,
) {
    let (here, there) = match told {
        [Told::Has(here), Told::Has(there)] => (here, there),
        [Told::Nothing(text), _] => {
            complaints.unknown.push(format!("{}: {text}", sides[0]));
            return;
        }
        [_, Told::Nothing(text)] => {
            complaints.unknown.push(format!("{}: {text}", sides[1]));
            return;
        }
        // Nobody comes in as such any more, or nobody can.
        [Told::None, _] | [_, Told::None] => return,
    };
    let lost = match categories {
        Ok((own, others)) => here.lost_as(own, there, others),
        Err(text) => {
            complaints.unknown.push(text.clone());
            return;
        }
    };
    let mut parts = vec![];
    if !lost.commands.is_empty() {
        parts.push(format!("to call {}", listed(lost.commands.iter())));
    }
    if !lost.patterns.is_empty() {
        parts.push(format!("to use {}", listed(lost.patterns.iter())));
    }
    if lost.selectors {
        parts.push("what its selectors give it, which are not compared".to_owned());
    }
    if !parts.is_empty() {
        complaints.errors.push(format!(
            "{name} is not known to be allowed on {} what it is on {}: {}",
            sides[1],
            sides[0],
            parts.join(", ")
        ));
    }
}

/// What is wrong with users, each said once.
#[derive(Debug, Default)]
struct Complaints {
    errors: Vec<String>,
    unknown: Vec<String>,
}

fn entry_verdict(complaints: &Complaints, clients: &Clients) -> Verdict {
    if complaints.errors.is_empty() {
        return match clients.users.len() {
            0 => Verdict::ok("no client has come yet, and no user is configured"),
            count => Verdict::ok(format!("nothing speaks against the {count} users in use")),
        };
    }
    Verdict::error(
        said_once(&complaints.errors),
        "create the users there with the passwords that their clients give, or map them ([[credentials]]); clients without \
         a password need a listener with auth = \"proxy\"; on Redis Enterprise a user is one of the cluster, with a role \
         that has a Redis ACL on the database, on every participating cluster",
    )
}

fn rights_verdict(complaints: &Complaints, clients: &Clients) -> Verdict {
    if !complaints.errors.is_empty() {
        return Verdict::warning(
            said_once(&complaints.errors),
            "give them these rights there, as far as the application needs them (on Redis Enterprise: the Redis ACL of the \
             role, on every participating cluster)",
        );
    }
    if !complaints.unknown.is_empty() {
        return Verdict::warning(
            format!(
                "whether users may do there what they may do here is not known: {}",
                said_once(&complaints.unknown)
            ),
            "allow the user in [source] and [target] to call ACL GETUSER and ACL CAT, or compare by hand (on Redis \
             Enterprise: Access Control in the console, or GET /v1/roles and /v1/redis_acls)",
        );
    }
    if clients.has_forgotten_users {
        return Verdict::warning(
            "there are more users than are remembered, and not all were compared",
            "compare the others by hand",
        );
    }
    Verdict::ok("no user is known to lose a right")
}

fn said_once(texts: &[String]) -> String {
    let mut once: Vec<&String> = vec![];
    for text in texts {
        if !once.contains(&text) {
            once.push(text);
        }
    }
    let more = once.len().saturating_sub(NAMED_MAX);
    let mut said: Vec<String> = once.into_iter().take(NAMED_MAX).cloned().collect();
    if more > 0 {
        said.push(format!("{more} more"));
    }
    said.join("; ")
}

fn listed<'a>(names: impl ExactSizeIterator<Item = &'a String>) -> String {
    let more = names.len().saturating_sub(NAMED_MAX);
    let mut named: Vec<&str> = names.take(NAMED_MAX).map(String::as_str).collect();
    let rest = format!("{more} more");
    if more > 0 {
        named.push(&rest);
    }
    named.join(", ")
}

/// What a side tells of each user, in their order.
async fn ask(connection: &mut Connection, clients: &Clients) -> Vec<Told> {
    let side = connection.server.side;
    let requests: Vec<Vec<Vec<u8>>> = clients
        .users
        .iter()
        .map(|user| request(&["ACL", "GETUSER", &user.names[side.index()]]))
        .collect();
    match connection.pipeline_bytes(&requests).await {
        Ok(replies) => replies.into_iter().map(told).collect(),
        Err(error) => clients
            .users
            .iter()
            .map(|_| Told::Nothing(error.to_string()))
            .collect(),
    }
}

fn told(reply: Reply) -> Told {
    match reply {
        Ok(Value::Null) => Told::None,
        Ok(reply) => Rights::of_reply(&reply).map_or_else(
            || Told::Nothing("ACL GETUSER does not answer as it does elsewhere".to_owned()),
            Told::Has,
        ),
        Err(text) => Told::Nothing(text),
    }
}

/// A server's categories.
async fn list(connection: &mut Connection) -> Result<Categories, String> {
    let names = |reply: Reply| match reply? {
        Value::Array(names) => Ok(names.iter().filter_map(super::facts::text).collect()),
        Value::Bulk(_) | Value::Simple(_) | Value::Integer(_) | Value::Null => {
            Err("ACL CAT does not answer as it does elsewhere".to_owned())
        }
    };
    let name = connection.server.name.clone();
    let of_the_server = |text: String| format!("{name}: {text}");
    let first = connection
        .call(&["ACL", "CAT"])
        .await
        .map_err(|error| error.to_string())?;
    let categories: Vec<String> = names(Ok(first)).map_err(of_the_server)?;
    let requests: Vec<Vec<Vec<u8>>> = categories
        .iter()
        .map(|category| request(&["ACL", "CAT", category]))
        .collect();
    let replies = connection
        .pipeline_bytes(&requests)
        .await
        .map_err(|error| error.to_string())?;
    let mut listed = BTreeMap::new();
    for (category, reply) in categories.into_iter().zip(replies) {
        let commands: Vec<String> = names(reply).map_err(of_the_server)?;
        listed.insert(category, commands.into_iter().collect());
    }
    Ok(Categories(listed))
}

/// Whether a side lets a configured identity in.
async fn log_in(server: &Server, identity: &Identity) -> Result<(), String> {
    let server = Server {
        identity: identity.clone(),
        database: 0,
        ..server.clone()
    };
    let file = match server.side {
        Side::Source => "client_password_file",
        Side::Target => "target_password_file",
    };
    match Control::connect(&server).await {
        Ok(_) => Ok(()),
        Err(error) => Err(format!(
            "{error} (the user {} with its {file})",
            String::from_utf8_lossy(identity.user())
        )),
    }
}

fn request(words: &[&str]) -> Vec<Vec<u8>> {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}
