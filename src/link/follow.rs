//! Telling one server to follow the other: the address it finds it at, the credentials and TLS it needs there, and
//! REPLICAOF.
//!
//! Refuses to know: directions, what the link is for.

use super::Error;
use super::connection::Connection;
use super::info::{Info, Role};
use crate::net::Endpoint;
use crate::terms::Identity;
use crate::upstream::Server;
use crate::upstream::control::Value;

/// A setting of the follower: its name, and the value it needs.
type Setting = (&'static str, Vec<u8>);

/// Makes `follower` a replica of `leader`, and sees that it took the order. What it holds is replaced by the full copy
/// that follows, unless it can go on from where it stands.
pub(super) async fn follow(follower: &mut Connection, leader: &Server) -> Result<(), Error> {
    let (host, port) = address_of(leader)?;
    hand_over_credentials(follower, leader).await?;
    let port = port.to_string();
    let replies = follower
        .pipeline(&[&["REPLICAOF", &host, &port], &["INFO", "replication"]])
        .await?;
    let mut replies = replies.into_iter();
    if let Some(Err(text)) = replies.next() {
        return Err(follower.refused("REPLICAOF", text).into());
    }
    let role = match replies.next() {
        Some(Ok(reply)) => Info::from_reply(&reply).role(),
        Some(Err(_)) | None => Role::Unknown,
    };
    match role {
        Role::Replica(_) => Ok(()),
        Role::Master | Role::Unknown => Err(follower
            .unexpected("REPLICAOF", "accepted, yet the server is not a replica")
            .into()),
    }
}

/// Where the other side reaches this server.
pub(super) fn address_of(server: &Server) -> Result<(String, u16), Error> {
    if let Some(address) = &server.replication_address {
        return Ok(address.clone());
    }
    match &server.dial.endpoint {
        Endpoint::Tcp { host, port } => Ok((host.clone(), *port)),
        Endpoint::Unix(_) => Err(Error::NoReplicationAddress {
            server: server.name.clone(),
        }),
    }
}

/// What the follower must be told so that `leader` lets it in.
fn settings_for(leader: &Server) -> [Setting; 3] {
    let (user, password) = match &leader.identity {
        Identity::Anonymous => (Vec::new(), Vec::new()),
        Identity::Password(password) => (Vec::new(), password.expose().to_vec()),
        Identity::User { name, password } => (name.expose().to_vec(), password.expose().to_vec()),
    };
    let tls = if leader.dial.tls.is_some() {
        "yes"
    } else {
        "no"
    };
    [
        ("masteruser", user),
        ("masterauth", password),
        ("tls-replication", tls.as_bytes().to_vec()),
    ]
}

/// Sets what differs from what the follower has. A server that does not tell its settings is left as it is, unless the
/// leader needs something that is not the default.
async fn hand_over_credentials(follower: &mut Connection, leader: &Server) -> Result<(), Error> {
    let wanted = settings_for(leader);
    let reads: Vec<[&str; 3]> = wanted
        .iter()
        .map(|(name, _)| ["CONFIG", "GET", *name])
        .collect();
    let reads: Vec<&[&str]> = reads.iter().map(<[&str; 3]>::as_slice).collect();
    let current = follower.pipeline(&reads).await?;

    let mut changes: Vec<Setting> = Vec::new();
    for ((name, value), current) in wanted.into_iter().zip(current) {
        match current.as_ref().ok().and_then(value_of_setting) {
            Some(current) if *current == value => continue,
            Some(current) => follower.remember(name, current),
            None if value.is_empty() || value == b"no" => continue,
            None => {}
        }
        changes.push((name, value));
    }
    if changes.is_empty() {
        return Ok(());
    }

    let writes: Vec<Vec<Vec<u8>>> = changes
        .iter()
        .map(|(name, value)| config_set(name, value.clone()))
        .collect();
    let replies = follower.pipeline_bytes(&writes).await?;
    for ((setting, _), reply) in changes.iter().zip(replies) {
        if let Err(text) = reply {
            return Err(Error::CannotHandOver {
                server: follower.server.name.clone(),
                setting,
                text,
            });
        }
    }
    Ok(())
}

/// Sets what [`follow`] changed back to what it was, unless the server is a replica still.
pub(super) async fn hand_back(server: &mut Connection) -> Result<(), Error> {
    if server.former.is_empty() {
        return Ok(());
    }
    let seen = server.call(&["INFO", "replication"]).await?;
    match Info::from_reply(&seen).role() {
        Role::Master => {}
        Role::Replica(_) | Role::Unknown => return Ok(()),
    }
    let former = server.former.clone();
    let writes: Vec<_> = former
        .iter()
        .map(|(name, value)| config_set(name, value.expose().to_vec()))
        .collect();
    let replies = server.pipeline_bytes(&writes).await?;
    for ((setting, _), reply) in former.iter().zip(replies) {
        if let Err(text) = reply {
            return Err(Error::CannotHandBack {
                server: server.server.name.clone(),
                setting,
                text,
            });
        }
        server.former.retain(|(known, _)| known != setting);
    }
    Ok(())
}

fn config_set(name: &str, value: Vec<u8>) -> Vec<Vec<u8>> {
    vec![
        b"CONFIG".to_vec(),
        b"SET".to_vec(),
        name.as_bytes().to_vec(),
        value,
    ]
}

/// The value in a reply of `CONFIG GET name`; none where the server does not have the setting.
fn value_of_setting(reply: &Value) -> Option<&Vec<u8>> {
    match reply {
        Value::Array(items) => match items.as_slice() {
            [_, Value::Bulk(value)] => Some(value),
            _ => None,
        },
        Value::Bulk(_) | Value::Simple(_) | Value::Integer(_) | Value::Null => None,
    }
}
