//! What Handover makes of each command: the allow-list of a listener that refuses writes, and what commands do to the
//! session. Written by hand, to be read.
//!
//! A command is of the class whose list names it. Those that no list names are decided by what servers flag them as:
//! administration, then writing, then reading. What is left may write. A test holds the lists against the recorded
//! `COMMAND` of several servers.

use super::arguments::Decide;
use super::flags::Flags;
use super::verdict::{Class, Effect, Replies, Subscription};

/// Look at the server and change nothing. Let through where writes are refused.
#[rustfmt::skip] // one family a line, to be read at a glance
pub(super) const INSPECT: &[&str] = &[
    "ACL CAT", "ACL DRYRUN", "ACL GENPASS", "ACL GETUSER", "ACL HELP", "ACL LIST", "ACL USERS", "ACL WHOAMI",
    "CLIENT HELP", "CLIENT LIST",
    "CLUSTER COUNT-FAILURE-REPORTS", "CLUSTER COUNTKEYSINSLOT", "CLUSTER GETKEYSINSLOT", "CLUSTER HELP", "CLUSTER INFO",
    "CLUSTER KEYSLOT", "CLUSTER LINKS", "CLUSTER MYID", "CLUSTER MYSHARDID", "CLUSTER NODES", "CLUSTER REPLICAS",
    "CLUSTER SHARDS", "CLUSTER SLAVES", "CLUSTER SLOT-STATS", "CLUSTER SLOTS",
    "COMMAND", "COMMAND COUNT", "COMMAND DOCS", "COMMAND GETKEYS", "COMMAND GETKEYSANDFLAGS", "COMMAND HELP",
    "COMMAND INFO", "COMMAND LIST",
    "COMMANDLOG GET", "COMMANDLOG HELP", "COMMANDLOG LEN",
    "CONFIG GET", "CONFIG HELP",
    "DBSIZE",
    "FT._LIST", "FT.CONFIG GET", "FT.CONFIG HELP", "FT.INFO",
    "FUNCTION DUMP", "FUNCTION HELP", "FUNCTION LIST", "FUNCTION STATS",
    "INFO",
    "JSON.DEBUG HELP", "JSON.DEBUG MEMORY",
    "LASTSAVE",
    "LATENCY DOCTOR", "LATENCY GRAPH", "LATENCY HELP", "LATENCY HISTOGRAM", "LATENCY HISTORY", "LATENCY LATEST",
    "LOLWUT",
    "MEMORY DOCTOR", "MEMORY HELP", "MEMORY MALLOC-STATS", "MEMORY STATS", "MEMORY USAGE",
    "MODULE HELP", "MODULE LIST",
    "MONITOR",
    "OBJECT ENCODING", "OBJECT FREQ", "OBJECT HELP", "OBJECT IDLETIME", "OBJECT REFCOUNT",
    "PUBSUB CHANNELS", "PUBSUB HELP", "PUBSUB NUMPAT", "PUBSUB NUMSUB", "PUBSUB SHARDCHANNELS", "PUBSUB SHARDNUMSUB",
    "ROLE",
    "SCRIPT EXISTS", "SCRIPT HELP", "SCRIPT SHOW",
    "SLOWLOG GET", "SLOWLOG HELP", "SLOWLOG LEN",
    "TIME",
    "XGROUP HELP", "XINFO HELP",
];

/// Concern only the session that sends them. Let through where writes are refused.
#[rustfmt::skip] // one family a line, to be read at a glance
pub(super) const SESSION: &[&str] = &[
    "AUTH", "HELLO", "SELECT", "RESET", "QUIT",
    "ECHO", "PING", "WAIT", "WAITAOF",
    "MULTI", "EXEC", "DISCARD", "WATCH", "UNWATCH",
    "CLIENT CACHING", "CLIENT CAPA", "CLIENT GETNAME", "CLIENT GETREDIR", "CLIENT ID", "CLIENT INFO",
    "CLIENT MAINT_NOTIFICATIONS", "CLIENT NO-EVICT", "CLIENT NO-TOUCH", "CLIENT REPLY", "CLIENT SETINFO",
    "CLIENT SETNAME", "CLIENT TRACKING", "CLIENT TRACKINGINFO",
    "ASKING", "READONLY", "READWRITE",
    "HOST:", "POST",
];

/// Subscribe and unsubscribe. Let through where writes are refused.
#[rustfmt::skip] // one family a line, to be read at a glance
pub(super) const SUBSCRIBE: &[&str] = &[
    "PSUBSCRIBE", "SSUBSCRIBE", "SUBSCRIBE",
    "PUNSUBSCRIBE", "SUNSUBSCRIBE", "UNSUBSCRIBE",
];

/// Change or harm the server, beside those that servers flag as administration.
#[rustfmt::skip] // one family a line, to be read at a glance
pub(super) const ADMIN: &[&str] = &[
    "CLIENT IMPORT-SOURCE",
    "FLUSHALL", "FLUSHDB", "MIGRATE", "SWAPDB",
    "FT.CONFIG SET",
    "FUNCTION DELETE", "FUNCTION FLUSH", "FUNCTION KILL", "FUNCTION LOAD", "FUNCTION RESTORE",
    "MEMORY PURGE",
    "SCRIPT DEBUG", "SCRIPT FLUSH", "SCRIPT KILL", "SCRIPT LOAD",
];

/// Write although no server says so in `COMMAND`: their effects travel over replication (`CMD_MAY_REPLICATE` in
/// Redis's source).
pub(super) const MAY_REPLICATE: &[&str] =
    &["EVAL", "EVALSHA", "FCALL", "PFCOUNT", "PUBLISH", "SPUBLISH"];

/// Run a script that servers keep from writing, and from nothing else.
pub(super) const SCRIPT: &[&str] = &["EVALSHA_RO", "EVAL_RO", "FCALL_RO"];

/// Keep a session waiting.
#[rustfmt::skip] // one family a line, to be read at a glance
const BLOCK: &[&str] = &[
    "BLMOVE", "BLMPOP", "BLPOP", "BRPOP", "BRPOPLPUSH",
    "BZMPOP", "BZPOPMAX", "BZPOPMIN",
    "XREAD", "XREADGROUP",
    "WAIT", "WAITAOF",
];

/// Commands whose arguments decide.
#[rustfmt::skip] // one decision a line
const BY_ARGUMENTS: &[(Decide, &[&str])] = &[
    (Decide::WriteIfStored(2), &["SORT"]),
    (Decide::WriteIfStored(6), &["GEORADIUS"]),
    (Decide::WriteIfStored(5), &["GEORADIUSBYMEMBER"]),
    (Decide::WriteUnlessGet, &["BITFIELD"]),
    (Decide::AdminIfReset, &["ACL LOG"]),
    (Decide::BlockIfTimed, BLOCK),
];

/// What commands do to the session. Those that no line names do nothing.
#[rustfmt::skip] // one effect a line
const EFFECTS: &[(Effect, &[&str])] = &[
    (Effect::Auth, &["AUTH"]),
    (Effect::Hello, &["HELLO"]),
    (Effect::Select, &["SELECT"]),
    (Effect::Reset, &["RESET"]),
    (Effect::Quit, &["QUIT"]),
    (Effect::Multi, &["MULTI"]),
    (Effect::Exec, &["EXEC"]),
    (Effect::Discard, &["DISCARD"]),
    (Effect::Watch, &["WATCH"]),
    (Effect::Unwatch, &["UNWATCH"]),
    (Effect::Block, BLOCK),
    (Effect::Subscribe(Subscription::Channel), &["SUBSCRIBE"]),
    (Effect::Subscribe(Subscription::Pattern), &["PSUBSCRIBE"]),
    (Effect::Subscribe(Subscription::Shard), &["SSUBSCRIBE"]),
    (Effect::Unsubscribe(Subscription::Channel), &["UNSUBSCRIBE"]),
    (Effect::Unsubscribe(Subscription::Pattern), &["PUNSUBSCRIBE"]),
    (Effect::Unsubscribe(Subscription::Shard), &["SUNSUBSCRIBE"]),
    (Effect::Monitor, &["MONITOR"]),
    // Who asks for the state of its connection gets one of its own, so that the answer stays true.
    (Effect::Pin, &[
        "CLIENT CACHING", "CLIENT CAPA", "CLIENT GETREDIR", "CLIENT ID", "CLIENT IMPORT-SOURCE", "CLIENT INFO",
        "CLIENT NO-EVICT", "CLIENT NO-TOUCH", "CLIENT SETNAME", "CLIENT TRACKINGINFO",
        "READONLY", "READWRITE", "REPLCONF", "SCRIPT DEBUG",
    ]),
    // They end what others wait for, and so must not wait behind it; or they take long.
    (Effect::PinOnce, &[
        "CLIENT KILL", "CLIENT PAUSE", "CLIENT UNPAUSE", "DEBUG", "FAILOVER", "FUNCTION KILL", "SCRIPT KILL", "SHUTDOWN",
    ]),
    (Effect::LibraryInfo, &["CLIENT SETINFO"]),
    (Effect::ClientReply, &["CLIENT REPLY"]),
    (Effect::ClientTracking, &["CLIENT TRACKING"]),
    (Effect::MaintenanceNotices, &["CLIENT MAINT_NOTIFICATIONS"]),
    (Effect::Replicate, &["PSYNC", "SYNC"]),
    (Effect::Script, &["EVAL", "EVAL_RO", "SCRIPT FLUSH", "SCRIPT LOAD"]),
    (Effect::ScriptBySha, &["EVALSHA", "EVALSHA_RO"]),
    (Effect::Cursor, &["HSCAN", "SCAN", "SSCAN", "ZSCAN"]),
    (Effect::Echo, &["FUNCTION LIST"]),
    (Effect::Asking, &["ASKING"]),
    (Effect::HttpRequest, &["HOST:", "POST"]),
];

/// Commands that bring other than one reply.
#[rustfmt::skip] // one kind a line
const REPLIES: &[(Replies, &[&str])] = &[
    (Replies::PerArgument, &["PSUBSCRIBE", "SSUBSCRIBE", "SUBSCRIBE"]),
    (Replies::PerArgumentOrSubscription, &["PUNSUBSCRIBE", "SUNSUBSCRIBE", "UNSUBSCRIBE"]),
    (Replies::Stream, &["MONITOR", "PSYNC", "SYNC"]),
];

/// The class of a built-in command, before its arguments are looked at.
pub(super) fn class(name: &str, flags: Flags) -> Class {
    let listed = [
        (Class::Inspect, INSPECT),
        (Class::Session, SESSION),
        (Class::Subscribe, SUBSCRIBE),
        (Class::Admin, ADMIN),
        (Class::Write, MAY_REPLICATE),
        (Class::Script, SCRIPT),
    ];
    match listed.iter().find(|(_, names)| names.contains(&name)) {
        Some((class, _)) => *class,
        None => class_by_flags(flags),
    }
}

/// The class of a command that only a server knows.
pub(super) fn class_of_stranger(flags: Flags) -> Class {
    if flags.is_dangerous() {
        Class::Admin
    } else {
        class_by_flags(flags)
    }
}

fn class_by_flags(flags: Flags) -> Class {
    if flags.is_admin() {
        Class::Admin
    } else if flags.is_readonly() && !flags.is_write() && !flags.is_may_replicate() {
        Class::Read
    } else {
        Class::Write
    }
}

/// What the arguments of a built-in command decide.
pub(super) fn by_arguments(name: &str) -> Decide {
    line(BY_ARGUMENTS, name).unwrap_or(Decide::Nothing)
}

/// What a built-in command does to the session, before its arguments are looked at.
pub(super) fn effect(name: &str) -> Effect {
    line(EFFECTS, name).unwrap_or(Effect::None)
}

/// What a command does to the session that only a server knows. Nobody has its time-out, so one that blocks is not
/// followed across a cutover, but does not stand in others' way either. What neither reads nor writes may well be
/// about the connection.
pub(super) fn effect_of_stranger(flags: Flags) -> Effect {
    if flags.is_blocking() {
        Effect::PinOnce
    } else if flags.is_pubsub()
        || !(flags.is_readonly() || flags.is_write() || flags.is_may_replicate())
    {
        Effect::Pin
    } else {
        Effect::None
    }
}

/// How many replies a built-in command brings.
pub(super) fn replies(name: &str) -> Replies {
    line(REPLIES, name).unwrap_or(Replies::One)
}

fn line<T: Copy>(lines: &[(T, &[&str])], name: &str) -> Option<T> {
    lines
        .iter()
        .find(|(_, names)| names.contains(&name))
        .map(|(value, _)| *value)
}

/// Every name that the lists of effects, replies and arguments mention.
#[cfg(test)]
pub(super) fn names_with_effects() -> impl Iterator<Item = &'static &'static str> {
    let effects = EFFECTS.iter().flat_map(|(_, names)| *names);
    let replies = REPLIES.iter().flat_map(|(_, names)| *names);
    let arguments = BY_ARGUMENTS.iter().flat_map(|(_, names)| *names);
    effects.chain(replies).chain(arguments)
}
