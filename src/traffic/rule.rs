//! What can be wrong with a command, how bad that is, and what to do. The one place where these texts are made.

use super::profile::Profile;
use super::support;
use crate::command::Class;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    /// The target's kind of database does not have the command.
    Unsupported,
    /// The target's `COMMAND` does not list it, though the source has it.
    Missing,
    /// The keys of one command lie in several slots.
    SeveralSlots,
    /// They lie in one slot of a Redis Cluster, and in several of Redis Enterprise, which reads braces differently.
    HashTag,
    /// The keys of one transaction lie in several slots.
    TransactionSlots,
    /// An entry of a stream is given a complete identifier.
    ExplicitStreamId,
    /// A database other than 0.
    DatabaseNumber,
    /// A script uses keys that were not given to it as such.
    UndeclaredKeys,
    /// A script makes names of keys out of those that were given to it.
    DerivedKeys,
    /// A script says how its effects are to be replicated.
    ScriptReplication,
    /// A counter is changed by more than 59 bits hold.
    CounterOverflow,
    /// A counter is changed by nearly that.
    CounterNearLimit,
    /// UNLINK, which frees memory in the foreground there.
    BlockingUnlink,
    /// A setting of the server that clients cannot read or change there.
    ServerSetting,
    /// Invalidations are to be sent to another connection.
    TrackingRedirect,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// The target refuses it, or does something else: the application must change, or somebody must accept it.
    Error,
    /// It works less well, or concerns only what looks at the server.
    Warning,
}

impl Severity {
    /// As the report writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

/// Client libraries send them unasked and live without them.
const DISPENSABLE: &[&str] = &["CLIENT CAPA", "CLIENT SETINFO", "COMMAND DOCS"];

impl Rule {
    /// All of them.
    pub const ALL: [Rule; 15] = [
        Rule::Unsupported,
        Rule::Missing,
        Rule::SeveralSlots,
        Rule::HashTag,
        Rule::TransactionSlots,
        Rule::ExplicitStreamId,
        Rule::DatabaseNumber,
        Rule::UndeclaredKeys,
        Rule::DerivedKeys,
        Rule::ScriptReplication,
        Rule::CounterOverflow,
        Rule::CounterNearLimit,
        Rule::BlockingUnlink,
        Rule::ServerSetting,
        Rule::TrackingRedirect,
    ];

    /// As the report and `accept_findings` write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Rule::Unsupported => "unsupported",
            Rule::Missing => "missing",
            Rule::SeveralSlots => "several_slots",
            Rule::HashTag => "hash_tag",
            Rule::TransactionSlots => "transaction_slots",
            Rule::ExplicitStreamId => "explicit_stream_id",
            Rule::DatabaseNumber => "database_number",
            Rule::UndeclaredKeys => "undeclared_keys",
            Rule::DerivedKeys => "derived_keys",
            Rule::ScriptReplication => "script_replication",
            Rule::CounterOverflow => "counter_overflow",
            Rule::CounterNearLimit => "counter_near_limit",
            Rule::BlockingUnlink => "blocking_unlink",
            Rule::ServerSetting => "server_setting",
            Rule::TrackingRedirect => "tracking_redirect",
        }
    }

    /// The rule of that name.
    pub(super) fn named(name: &str) -> Option<Rule> {
        Rule::ALL.into_iter().find(|rule| rule.as_str() == name)
    }

    /// How bad it is for this command. What only looks at the server fails alone, and harms no data.
    pub(super) fn severity(self, class: Class, command: &str) -> Severity {
        match self {
            Rule::Unsupported | Rule::Missing | Rule::ServerSetting
                if class == Class::Inspect || DISPENSABLE.contains(&command) =>
            {
                Severity::Warning
            }
            Rule::DerivedKeys | Rule::CounterNearLimit | Rule::BlockingUnlink => Severity::Warning,
            Rule::Unsupported
            | Rule::Missing
            | Rule::SeveralSlots
            | Rule::HashTag
            | Rule::TransactionSlots
            | Rule::ExplicitStreamId
            | Rule::DatabaseNumber
            | Rule::UndeclaredKeys
            | Rule::ScriptReplication
            | Rule::CounterOverflow
            | Rule::ServerSetting
            | Rule::TrackingRedirect => Severity::Error,
        }
    }

    /// What the target makes of it.
    pub(super) fn message(self, profile: Profile, command: &str) -> String {
        let target = profile.described();
        match self {
            Rule::Unsupported => format!("{target} does not have {command}"),
            Rule::Missing => format!("the target's COMMAND does not list {command}"),
            Rule::SeveralSlots => {
                format!(
                    "{target} refuses {command} with keys in different slots where it has several shards"
                )
            }
            Rule::HashTag => format!(
                "{target} takes what stands between the last pair of braces for the hash tag, so the keys of {command} lie \
                 in different slots, though a Redis Cluster has them in one"
            ),
            Rule::TransactionSlots => {
                format!(
                    "{target} refuses a transaction with keys in different slots where it has several shards"
                )
            }
            Rule::ExplicitStreamId => format!(
                "{target} refuses an identifier that names milliseconds and sequence: two instances might give the same"
            ),
            Rule::DatabaseNumber => format!("{target} has no database but 0"),
            Rule::UndeclaredKeys => format!(
                "{target} must know a script's keys beforehand; one uses keys that its caller did not declare"
            ),
            Rule::DerivedKeys => format!(
                "{target} must find a script's keys in one slot; one makes up names out of those it was given"
            ),
            Rule::ScriptReplication => {
                format!("{target} replicates what scripts do, and refuses redis.set_repl()")
            }
            Rule::CounterOverflow => {
                format!("counters of {target} have 59 bits: between -2^58 and 2^58")
            }
            Rule::CounterNearLimit => {
                format!("counters of {target} have 59 bits, and this comes near their end, 2^58")
            }
            Rule::BlockingUnlink => format!(
                "{target} frees what UNLINK removes in the foreground: a large value keeps everybody waiting"
            ),
            Rule::ServerSetting => {
                format!(
                    "{target} lets clients see and change a few settings only; {command} named another one"
                )
            }
            Rule::TrackingRedirect => {
                format!(
                    "{target} sends invalidations to the connection that tracks, and to no other"
                )
            }
        }
    }

    /// What to do about it.
    pub(super) fn what_to_do(self, profile: Profile, command: &str) -> &'static str {
        match self {
            Rule::Unsupported => support::missing_from(profile, command)
                .map_or("do without it in the application", |family| family.instead),
            Rule::Missing => {
                "use a newer version or the missing module on the target, or do without it in the application"
            }
            Rule::SeveralSlots => {
                "send one command for each key, or give keys that belong together one hash tag: {customer42}:a {customer42}:b"
            }
            Rule::HashTag => "use one pair of braces in a key",
            Rule::TransactionSlots => {
                "give the keys of a transaction one hash tag, {customer42}:a {customer42}:b, or split the transaction"
            }
            Rule::ExplicitStreamId => {
                "let the database number entries: XADD with * or with MILLISECONDS-*; or set the database's \
                 crdt_xadd_id_uniqueness_mode to liberal, if no two instances ever write one entry"
            }
            Rule::DatabaseNumber => {
                "give what is in other databases a prefix of its own, or move it to a database of its own"
            }
            Rule::UndeclaredKeys => {
                "give every key that the script uses to EVAL as a key, not as an argument or in its text"
            }
            Rule::DerivedKeys => {
                "give every key that the script uses to EVAL as a key; where names must be made up, see that they have the \
                 hash tag of a declared one"
            }
            Rule::ScriptReplication => "take redis.set_repl() out of the script",
            Rule::CounterOverflow => {
                "keep such numbers in plain strings that are set, not counted, or count in smaller units"
            }
            Rule::CounterNearLimit => "see that the counter stays between -2^58 and 2^58",
            Rule::BlockingUnlink => {
                "remove large values in pieces (HSCAN and HDEL, SSCAN and SREM, LTRIM, ZREMRANGEBYRANK), or let them expire"
            }
            Rule::ServerSetting => {
                "change the setting in the cluster, and leave it out of the application"
            }
            Rule::TrackingRedirect => "track on a RESP3 connection, without REDIRECT",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_rule_is_found_by_its_name() {
        for rule in Rule::ALL {
            assert_eq!(Rule::named(rule.as_str()), Some(rule));
        }
        assert_eq!(
            Rule::ALL.iter().collect::<HashSet<_>>().len(),
            Rule::ALL.len()
        );
        assert_eq!(Rule::named("none"), None);
    }

    #[test]
    fn what_only_looks_at_the_server_is_a_warning() {
        let of = |rule: Rule, class, command| rule.severity(class, command);
        assert_eq!(
            of(Rule::Unsupported, Class::Inspect, "ROLE"),
            Severity::Warning
        );
        assert_eq!(
            of(Rule::Missing, Class::Session, "CLIENT SETINFO"),
            Severity::Warning
        );
        assert_eq!(
            of(Rule::Unsupported, Class::Session, "WAIT"),
            Severity::Error
        );
        assert_eq!(
            of(Rule::SeveralSlots, Class::Read, "SINTER"),
            Severity::Error
        );
    }
}
