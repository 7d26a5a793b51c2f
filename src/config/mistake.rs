//! What is wrong with a configuration, said so that it can be put right in one go.

use std::fmt;

use serde::Serialize;
use toml::Value;

/// Characters of a value that a message shows: enough to recognise it.
const SHOWN_MAX: usize = 80;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mistake {
    /// Where in the file: `listener[0].bind`, or a line where the file is not TOML.
    pub path: String,
    /// What stands there, before `${…}` is expanded; none where nothing does, or where it might be a secret.
    pub value: Option<String>,
    /// What would be right.
    pub wanted: String,
}

/// Everything that is wrong, in the order in which the sections are read. Never empty where it is an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{} = {value}: {}", self.path, self.wanted),
            None => write!(f, "{}: {}", self.path, self.wanted),
        }
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (line, mistake) in self.0.iter().enumerate() {
            let separator = if line == 0 { "" } else { "\n" };
            write!(f, "{separator}{mistake}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

/// A value as a message may show it: what looks like credentials is left out, whatever key it stands under.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{:?}", without_credentials(text)),
        Value::Array(_) => "[…]".to_owned(),
        Value::Table(_) => "{…}".to_owned(),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => {
            value.to_string()
        }
    }
}

/// A path to a file with a secret in it. Somebody may have written the secret in its place, so only what is plainly a
/// path is shown.
pub(super) fn shown_secret_path(text: &str) -> Option<String> {
    ["/", "./", "../"]
        .iter()
        .any(|start| text.starts_with(start))
        .then(|| format!("{text:?}"))
}

/// Leaves out whatever stands before an `@`, and of the rest whatever is not plainly a place: somebody may have left the
/// `@` out, and have one in the password.
fn without_credentials(text: &str) -> String {
    const REDACTED: &str = "[redacted]";
    let (scheme, rest) = text
        .split_once("://")
        .map_or(("", text), |(scheme, _)| text.split_at(scheme.len() + 3));
    let safe = match rest.rsplit_once('@') {
        Some((_, rest)) if is_place(scheme, rest) => format!("{scheme}{REDACTED}@{rest}"),
        None if scheme.is_empty() || is_place(scheme, rest) => text.to_owned(),
        Some(_) | None => format!("{scheme}{REDACTED}"),
    };
    match safe.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &safe[..end]),
        None => safe,
    }
}

/// Whether this is a host, perhaps with a port, and nothing else that a password could be a part of. The path of a
/// `redis://` is a database's number; those of other schemes tell what the URL is.
fn is_place(scheme: &str, rest: &str) -> bool {
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (host, port) = match authority.rsplit_once(':') {
        Some(parts) if !authority.ends_with(']') => parts,
        _ => (authority, ""),
    };
    let in_brackets = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    let place = match in_brackets {
        Some(address) => address
            .bytes()
            .all(|it| it.is_ascii_hexdigit() || it == b':'),
        None => !host.contains(':'),
    };
    place && digits(port) && (!scheme.starts_with("redis") || digits(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shows(text: &str, expected: &str) {
        assert_eq!(
            shown(&Value::String(text.to_owned())),
            format!("{expected:?}")
        );
    }

    #[test]
    fn credentials_are_left_out_wherever_they_stand() {
        shows(
            "redis://user:hunter2@host:6379/0",
            "redis://[redacted]@host:6379/0",
        );
        shows("redis://:p@ss@host", "redis://[redacted]@host");
        shows("user:hunter2@host", "[redacted]@host");
        shows("redis://:hunter2", "redis://[redacted]");
        shows("redis://user:hunter2:6379x", "redis://[redacted]");
        // The `@` was left out.
        shows("redis://user:hunter2host:6379/0", "redis://[redacted]");
        shows("redis://:1/hunter2:6379", "redis://[redacted]");
        shows("redis://us@er:hunter2host:6379", "redis://[redacted]");
        shows("redis://[::1:hunter2]", "redis://[redacted]");
    }

    #[test]
    fn what_holds_no_credentials_is_shown_as_it_is() {
        shows("ftp://host:21/path", "ftp://host:21/path");
        shows("redis://[::1]", "redis://[::1]");
        shows("redis://[::1]:70000/0", "redis://[::1]:70000/0");
        shows("redis://host:99999/0", "redis://host:99999/0");
        shows("unix:///run/redis.sock", "unix:///run/redis.sock");
        shows("127.0.0.1", "127.0.0.1");
        shows("${REDIS_URL}", "${REDIS_URL}");
    }

    #[test]
    fn a_long_value_is_cut() {
        shows(&"ä".repeat(200), &format!("{}…", "ä".repeat(80)));
    }

    #[test]
    fn a_secret_written_in_place_of_its_file_is_not_shown() {
        assert_eq!(shown_secret_path("hunter2"), None);
        assert_eq!(
            shown_secret_path("/run/secrets/db"),
            Some("\"/run/secrets/db\"".to_owned())
        );
    }
}
