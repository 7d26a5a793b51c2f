//! What of a request and its sender people are shown: names, keys and the argument that matters, never a value.

use super::notebook::Client;
use crate::command::keys::keys;
use crate::command::{Command, Sender};
use crate::resp::request::Request;

/// Keys of an example.
const KEYS_MAX: usize = 4;
/// Bytes of one key, argument or name.
const BYTES_MAX: usize = 64;

/// Whether keys may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// They may.
    Shown,
    /// They are left out, as everywhere (`[log] redact_keys`).
    Redacted,
}

/// A request with its first keys, and the argument that a fault is about.
pub(super) fn request(
    command: &Command,
    request: &Request<'_>,
    argument: Option<usize>,
    shown: Keys,
) -> String {
    let mut words = vec![command.name.clone().into_owned()];
    let mut found = keys(command, request);
    for key in found.by_ref().take(KEYS_MAX) {
        words.push(match shown {
            Keys::Shown => printable(key),
            Keys::Redacted => "[redacted]".to_owned(),
        });
    }
    if found.next().is_some() {
        words.push("…".to_owned());
    }
    words.extend(argument.and_then(|at| request.argument(at)).map(printable));
    words.join(" ")
}

/// A command with the line of its script that matters, which may hold a key.
pub(super) fn script(command: &Command, excerpt: &str, shown: Keys) -> String {
    let excerpt = match shown {
        Keys::Shown => excerpt,
        Keys::Redacted => "[redacted]",
    };
    format!("{} … {excerpt}", command.name)
}

/// Whether a client is the one that sent a request.
pub(super) fn is(client: &Client, sender: &Sender<'_>) -> bool {
    let same_text = |known: Option<&String>, bytes: Option<&[u8]>| match (known, bytes) {
        (None, None) => true,
        // What had to be written otherwise is compared as it is written.
        (Some(known), Some(bytes)) => known.as_bytes() == bytes || *known == printable(bytes),
        (None, Some(_)) | (Some(_), None) => false,
    };
    client.address == host(sender.address)
        && same_text(client.name.as_ref(), sender.name)
        && (sender.library.is_empty() == client.library.is_none())
        && (sender.library.is_empty() || client.library == library(sender))
}

pub(super) fn name(sender: &Sender<'_>) -> Option<String> {
    sender.name.map(printable)
}

/// What the client says about its library, in the order in which it said it: `redis-py 5.0.1`.
pub(super) fn library(sender: &Sender<'_>) -> Option<String> {
    let words: Vec<_> = sender
        .library
        .iter()
        .map(|(_, value)| printable(value))
        .collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// An address without its port; a unix socket has none.
pub(super) fn host(address: &str) -> &str {
    match address.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => address,
    }
}

fn printable(bytes: &[u8]) -> String {
    bytes[..bytes.len().min(BYTES_MAX)]
        .escape_ascii()
        .to_string()
}
