//! What an ACL user may do, as far as `ACL GETUSER` tells (Redis 6.0 and newer, Valkey, Redis Enterprise), and what of it
//! another user may not. Pure.
//!
//! Commands are compared one by one, since what a category holds differs between versions. Patterns of keys and channels
//! are compared as they are written: two that are written differently may match the same, which is then said as a
//! difference, never passed over.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::text;
use crate::upstream::control::Value;

/// What one user may do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Rights {
    /// It may log in.
    pub(super) is_on: bool,
    /// It needs no password.
    pub(super) needs_no_password: bool,
    /// Rules about commands, in the order in which they apply.
    commands: Vec<String>,
    /// Patterns of keys, with what they allow: `~*`, `%R~x`.
    keys: BTreeSet<String>,
    /// Patterns of channels: `&*`.
    channels: BTreeSet<String>,
    /// Further sets of rights, which the server tries where this one does not do.
    has_selectors: bool,
}

/// A server's categories and their commands, subcommands written as `client|id`.
#[derive(Debug, Default)]
pub(super) struct Categories(pub(super) BTreeMap<String, BTreeSet<String>>);

/// What a user loses that becomes another.
#[derive(Debug, PartialEq, Eq, Default)]
pub(super) struct Lost {
    /// Commands that the other server has.
    pub(super) commands: BTreeSet<String>,
    /// Patterns of keys and channels.
    pub(super) patterns: BTreeSet<String>,
    /// Selectors, which are not compared.
    pub(super) selectors: bool,
}

impl Rights {
    /// Reads the reply to `ACL GETUSER`, which is a flattened map.
    pub(super) fn of_reply(reply: &Value) -> Option<Rights> {
        let Value::Array(fields) = reply else {
            return None;
        };
        let mut rights = Rights::default();
        let mut known = false;
        for pair in fields.chunks_exact(2) {
            match text(&pair[0])?.as_str() {
                "flags" => {
                    let flags = words(&pair[1]);
                    rights.is_on = flags.iter().any(|flag| flag == "on");
                    rights.needs_no_password = flags.iter().any(|flag| flag == "nopass");
                    known = true;
                }
                "commands" => rights.commands = words(&pair[1]),
                "keys" => rights.keys = patterns(&pair[1], '~'),
                "channels" => rights.channels = patterns(&pair[1], '&'),
                "selectors" => {
                    rights.has_selectors =
                        matches!(&pair[1], Value::Array(selectors) if !selectors.is_empty());
                }
                _ => {}
            }
        }
        known.then_some(rights)
    }

    /// Whether it may call everything, so that no category need be known.
    pub(super) fn calls_everything(&self) -> bool {
        self.commands == ["+@all"] || self.commands == ["allcommands"]
    }

    /// What it may that `other` may not. A command that the other server does not have is no matter of rights.
    pub(super) fn lost_as(&self, own: &Categories, other: &Rights, others: &Categories) -> Lost {
        let commands = if other.calls_everything() {
            BTreeSet::new()
        } else {
            let there = others.allowed(&other.commands);
            let known = others.all();
            own.allowed(&self.commands)
                .into_iter()
                .filter(|command| known.contains(command) && !there.contains(command))
                .collect()
        };
        let patterns = missing(&self.keys, &other.keys, "~*")
            .chain(missing(&self.channels, &other.channels, "&*"))
            .cloned()
            .collect();
        let lost = Lost {
            commands,
            patterns,
            selectors: false,
        };
        let everything =
            other.calls_everything() && other.keys.contains("~*") && other.channels.contains("&*");
        Lost {
            selectors: self.has_selectors && !everything,
            ..lost
        }
    }
}

impl Categories {
    fn all(&self) -> BTreeSet<String> {
        self.0.values().flatten().cloned().collect()
    }

    /// The commands that rules leave, each rule applied to what the ones before it left.
    fn allowed(&self, rules: &[String]) -> BTreeSet<String> {
        let mut allowed = BTreeSet::new();
        for rule in rules {
            let Some(sign) = rule.chars().next().filter(|sign| "+-".contains(*sign)) else {
                match rule.as_str() {
                    "allcommands" => allowed = self.all(),
                    "nocommands" => allowed.clear(),
                    _ => {}
                }
                continue;
            };
            let meant = self.meant(&rule[1..].to_ascii_lowercase());
            if sign == '+' {
                allowed.extend(meant);
            } else {
                allowed.retain(|command| !meant.contains(command));
            }
        }
        allowed
    }

    /// The commands that a rule names: a category, a command with its subcommands, or one subcommand.
    fn meant(&self, name: &str) -> BTreeSet<String> {
        if let Some(category) = name.strip_prefix('@') {
            return if category == "all" {
                self.all()
            } else {
                self.0.get(category).cloned().unwrap_or_default()
            };
        }
        let subcommands = format!("{name}|");
        let mut meant: BTreeSet<String> = self
            .all()
            .into_iter()
            .filter(|command| command.starts_with(&subcommands))
            .collect();
        meant.insert(name.to_owned());
        meant
    }
}

/// The patterns that are not among the others, unless these have the one that matches everything.
fn missing<'a>(
    own: &'a BTreeSet<String>,
    others: &'a BTreeSet<String>,
    everything: &'a str,
) -> impl Iterator<Item = &'a String> {
    let all = others.contains(everything);
    own.iter()
        .filter(move |pattern| !all && !others.contains(*pattern))
}

/// A text of words, or an array of them.
fn words(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().filter_map(text).collect(),
        Value::Bulk(_) | Value::Simple(_) => text(value)
            .unwrap_or_default()
            .split_whitespace()
            .map(str::to_owned)
            .collect(),
        Value::Integer(_) | Value::Null => vec![],
    }
}

/// Redis 6 gives patterns bare and in an array, later versions as rules in a text.
fn patterns(value: &Value, mark: char) -> BTreeSet<String> {
    words(value)
        .into_iter()
        .map(|pattern| {
            if pattern.starts_with(mark) || pattern.starts_with('%') {
                pattern
            } else {
                format!("{mark}{pattern}")
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::Bulk(text.as_bytes().to_vec())
    }

    fn of(flags: &[&str], commands: &str, keys: &str, channels: &str) -> Rights {
        let flags = flags.iter().map(|flag| bulk(flag)).collect();
        let reply = [
            bulk("flags"),
            Value::Array(flags),
            bulk("passwords"),
            Value::Array(vec![]),
            bulk("commands"),
            bulk(commands),
            bulk("keys"),
            bulk(keys),
            bulk("channels"),
            bulk(channels),
            bulk("selectors"),
            Value::Array(vec![]),
        ];
        Rights::of_reply(&Value::Array(reply.to_vec())).unwrap()
    }

    fn categories() -> Categories {
        let set = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        Categories(BTreeMap::from([
            ("read".to_owned(), set(&["get", "mget", "client|id"])),
            ("write".to_owned(), set(&["set", "del"])),
            (
                "slow".to_owned(),
                set(&["client", "client|id", "client|kill"]),
            ),
        ]))
    }

    #[track_caller]
    fn check(own: &str, other: &str, expected: &[&str]) {
        let (own, other) = (of(&["on"], own, "~*", "&*"), of(&["on"], other, "~*", "&*"));
        let lost = own.lost_as(&categories(), &other, &categories());
        assert_eq!(lost.commands.iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn commands_are_compared_one_by_one() {
        check("+@all", "+@all", &[]);
        check("+@all -@write", "+@all", &[]);
        check("+@all", "+@all -@write", &["del", "set"]);
        check("-@all +@read +set", "+@read", &["set"]);
        check(
            "-@all +client",
            "-@all +client|id",
            &["client", "client|kill"],
        );
        check("+@all -client", "-@all +@read +@write", &[]);
        check("nocommands", "nocommands", &[]);
        // The other server does not have it.
        check("-@all +get +new.command", "-@all +get", &[]);
        // A category that the server does not have gives nothing.
        check("-@all +get", "-@all +@unheard", &["get"]);
    }

    #[test]
    fn patterns_are_compared_as_they_are_written() {
        let all = of(&["on"], "+@all", "~*", "&*");
        let some = of(&["on"], "+@all", "~app:* %R~cache:*", "&news");
        let none = Categories::default();
        assert_eq!(some.lost_as(&none, &all, &none), Lost::default());
        let lost = all.lost_as(&none, &some, &none).patterns;
        assert_eq!(lost.iter().collect::<Vec<_>>(), ["&*", "~*"]);
        let one = of(&["on"], "+@all", "~app:*", "&news");
        let lost = some.lost_as(&none, &one, &none).patterns;
        assert_eq!(lost.iter().collect::<Vec<_>>(), ["%R~cache:*"]);
    }

    #[test]
    fn both_spellings_of_the_reply_are_read() {
        let of_redis_6 = Value::Array(vec![
            bulk("flags"),
            Value::Array(vec![bulk("on"), bulk("allkeys"), bulk("nopass")]),
            bulk("commands"),
            bulk("+@all"),
            bulk("keys"),
            Value::Array(vec![bulk("*")]),
            bulk("channels"),
            Value::Array(vec![bulk("*")]),
        ]);
        let rights = Rights::of_reply(&of_redis_6).unwrap();
        assert_eq!(rights, of(&["on", "nopass"], "+@all", "~*", "&*"));
        assert!(rights.is_on && rights.needs_no_password);
        assert!(!of(&["off"], "", "", "").is_on);
        assert_eq!(Rights::of_reply(&Value::Null), None);
        assert_eq!(Rights::of_reply(&Value::Array(vec![])), None);
    }
}
