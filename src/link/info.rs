//! `INFO`, read leniently: a line that is not understood is no line, a field that is missing is `None`, and nothing is
//! assumed in its place.

use std::collections::HashMap;
use std::str::FromStr;

use crate::upstream::control::Value;

/// The fields of an `INFO` reply, of whichever sections it had.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Info(HashMap<String, String>);

/// What a server says about its place in replication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Role {
    /// `role:master`.
    Master,
    /// `role:slave`.
    Replica(Upstream),
    /// Anything else, or nothing.
    Unknown,
}

/// What a replica says about the server it follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Upstream {
    /// `host:port` as it was told.
    pub(super) address: String,
    /// `master_link_status:up`.
    pub(super) up: bool,
    /// A full copy is being received or loaded.
    pub(super) syncing: bool,
    /// Bytes of the stream that it has applied.
    pub(super) applied: Option<u64>,
    /// Bytes of the full copy received so far; only while it runs.
    pub(super) copy_done: Option<u64>,
    /// Bytes of the full copy altogether; unknown where the snapshot is streamed without a file.
    pub(super) copy_total: Option<u64>,
    /// How long it has had no connection.
    pub(super) down_seconds: Option<u64>,
}

impl Info {
    /// Reads the reply of `INFO`; anything but text gives no fields.
    pub(super) fn from_reply(reply: &Value) -> Info {
        match reply {
            Value::Bulk(bytes) => Info::parse(&String::from_utf8_lossy(bytes)),
            Value::Simple(_) | Value::Integer(_) | Value::Array(_) | Value::Null => Info::default(),
        }
    }

    fn parse(text: &str) -> Info {
        let fields = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.split_once(':'))
            .map(|(key, value)| (key.to_owned(), value.trim_end().to_owned()));
        Info(fields.collect())
    }

    /// A field that is not empty.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.0
            .get(key)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// A field that is a number.
    pub(super) fn number<T: FromStr>(&self, key: &str) -> Option<T> {
        self.text(key)?.parse().ok()
    }

    /// The fields whose name begins with `prefix`, with the rest of their name.
    pub(super) fn with_prefix<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0
            .iter()
            .filter_map(move |(key, value)| Some((key.strip_prefix(prefix)?, value.as_str())))
    }

    /// The server's place in replication.
    pub(super) fn role(&self) -> Role {
        match self.text("role") {
            Some("master") => Role::Master,
            Some("slave" | "replica") => Role::Replica(Upstream {
                address: format!(
                    "{}:{}",
                    self.text("master_host").unwrap_or("?"),
                    self.text("master_port").unwrap_or("?")
                ),
                up: self.text("master_link_status") == Some("up"),
                syncing: self.text("master_sync_in_progress") == Some("1")
                    || self.text("loading") == Some("1"),
                applied: self.number("slave_repl_offset"),
                copy_done: self.number("master_sync_read_bytes"),
                copy_total: self
                    .number("master_sync_total_bytes")
                    .filter(|total| *total > 0),
                down_seconds: self.number("master_link_down_since_seconds"),
            }),
            Some(_) | None => Role::Unknown,
        }
    }

    /// Keys in all databases.
    pub(super) fn keys(&self) -> u64 {
        self.databases().map(|(_, keys)| keys).sum()
    }

    /// The databases that hold keys, with their number of keys.
    pub(super) fn databases(&self) -> impl Iterator<Item = (u32, u64)> {
        self.with_prefix("db").filter_map(|(number, value)| {
            let keys = pair(value, "keys")?.parse().ok()?;
            Some((number.parse().ok()?, keys))
        })
    }

    /// The state in which the copied side sees each of its replicas.
    pub(super) fn replica_states(&self) -> impl Iterator<Item = &str> {
        self.with_prefix("slave")
            .filter(|(number, _)| number.bytes().all(|byte| byte.is_ascii_digit()))
            .filter_map(|(_, value)| pair(value, "state"))
    }
}

/// The value of `key` in `a=1,b=2`.
fn pair<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.split(',')
        .filter_map(|part| part.split_once('='))
        .find(|(name, _)| *name == key)
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPLICA: &str = "# Replication\r\nrole:slave\r\nmaster_host:127.0.0.1\r\nmaster_port:17100\r\n\
        master_link_status:down\r\nmaster_sync_in_progress:1\r\nslave_repl_offset:52\r\nmaster_sync_total_bytes:0\r\n\
        master_sync_read_bytes:17\r\nmaster_link_down_since_seconds:-1\r\nnonsense\r\n";

    #[test]
    fn a_replica_says_whom_it_follows_and_how_far() {
        let expected = Role::Replica(Upstream {
            address: "127.0.0.1:17100".into(),
            up: false,
            syncing: true,
            applied: Some(52),
            copy_done: Some(17),
            copy_total: None,
            down_seconds: None,
        });
        assert_eq!(Info::parse(REPLICA).role(), expected);
    }

    #[test]
    fn a_role_that_is_not_said_is_unknown() {
        assert_eq!(Info::parse("role:sentinel\r\n").role(), Role::Unknown);
        assert_eq!(Info::from_reply(&Value::Null).role(), Role::Unknown);
    }

    #[test]
    fn keys_are_counted_over_all_databases() {
        let info = Info::parse(
            "# Keyspace\r\ndb0:keys=5,expires=1,avg_ttl=0\r\ndb3:keys=2,expires=0\r\ndbx:keys=9\r\n",
        );
        assert_eq!(info.keys(), 7);
    }

    #[test]
    fn the_states_of_replicas_are_told_from_fields_that_sound_alike() {
        let info = Info::parse(
            "connected_slaves:1\r\nslave0:ip=127.0.0.1,port=17101,state=wait_bgsave,offset=0,lag=0\r\n\
             slave_repl_offset:5\r\n",
        );
        assert_eq!(info.replica_states().collect::<Vec<_>>(), ["wait_bgsave"]);
    }
}
