//! What may be executed on behalf of a client whose writes are refused, said apart from the proxy's own table: that is
//! what is tested.

use std::collections::BTreeMap;

use super::catalogue::Entry;

/// Beside those that the server says only read: what belongs to the session, subscribes, or inspects, and what writes
/// with some arguments only.
#[rustfmt::skip] // one family a line, to be read at a glance
const PERMITTED: &[&str] = &[
    "ACL CAT", "ACL DRYRUN", "ACL GENPASS", "ACL GETUSER", "ACL HELP", "ACL LIST", "ACL LOG", "ACL USERS", "ACL WHOAMI",
    "ASKING", "AUTH", "BITFIELD",
    "CLIENT CACHING", "CLIENT CAPA", "CLIENT GETNAME", "CLIENT GETREDIR", "CLIENT HELP", "CLIENT ID", "CLIENT INFO",
    "CLIENT LIST", "CLIENT NO-EVICT", "CLIENT NO-TOUCH", "CLIENT REPLY", "CLIENT SETINFO", "CLIENT SETNAME",
    "CLIENT TRACKING", "CLIENT TRACKINGINFO",
    "CLUSTER COUNT-FAILURE-REPORTS", "CLUSTER COUNTKEYSINSLOT", "CLUSTER GETKEYSINSLOT", "CLUSTER HELP", "CLUSTER INFO",
    "CLUSTER KEYSLOT", "CLUSTER LINKS", "CLUSTER MYID", "CLUSTER MYSHARDID", "CLUSTER NODES", "CLUSTER REPLICAS",
    "CLUSTER SHARDS", "CLUSTER SLAVES", "CLUSTER SLOT-STATS", "CLUSTER SLOTS",
    "COMMAND", "COMMAND COUNT", "COMMAND DOCS", "COMMAND GETKEYS", "COMMAND GETKEYSANDFLAGS", "COMMAND HELP",
    "COMMAND INFO", "COMMAND LIST",
    "COMMANDLOG GET", "COMMANDLOG HELP", "COMMANDLOG LEN",
    "CONFIG GET", "CONFIG HELP", "DISCARD", "ECHO", "EXEC",
    "FUNCTION DUMP", "FUNCTION HELP", "FUNCTION LIST", "FUNCTION STATS",
    "GEORADIUS", "GEORADIUSBYMEMBER", "HELLO", "INFO", "LASTSAVE",
    "LATENCY DOCTOR", "LATENCY GRAPH", "LATENCY HELP", "LATENCY HISTOGRAM", "LATENCY HISTORY", "LATENCY LATEST",
    "LOLWUT",
    "MEMORY DOCTOR", "MEMORY HELP", "MEMORY MALLOC-STATS", "MEMORY STATS", "MEMORY USAGE",
    "MODULE HELP", "MODULE LIST", "MONITOR", "MULTI", "OBJECT HELP", "PING",
    "PUBSUB CHANNELS", "PUBSUB HELP", "PUBSUB NUMPAT", "PUBSUB NUMSUB", "PUBSUB SHARDCHANNELS", "PUBSUB SHARDNUMSUB",
    "QUIT", "READONLY", "READWRITE", "RESET", "ROLE",
    "SCRIPT EXISTS", "SCRIPT HELP", "SCRIPT SHOW", "SELECT", "SLOWLOG GET", "SLOWLOG HELP", "SLOWLOG LEN", "SORT",
    "SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE",
    "TIME", "UNWATCH", "WAIT", "WAITAOF", "WATCH", "XGROUP HELP", "XINFO HELP",
];
/// Said to read only, and it may well do more: write the cached count of a sketch, and whatever a script does that is no
/// write.
const NOT_QUITE_READ: &[&str] = &["PFCOUNT", "EVAL_RO", "EVALSHA_RO", "FCALL_RO"];

/// How often the server has executed what is not permitted, from INFO commandstats. What it has rejected does not count.
pub fn forbidden_calls(catalogue: &[Entry], stats: &str) -> BTreeMap<String, i64> {
    let calls = stats.lines().filter_map(|line| {
        let (name, fields) = line.strip_prefix("cmdstat_")?.split_once(':')?;
        let name = name.to_uppercase().replace('|', " ");
        let calls = fields.split(',').find_map(|it| it.strip_prefix("calls="))?;
        (!is_permitted(catalogue, &name)).then(|| (name, calls.parse().unwrap()))
    });
    calls.filter(|(_, calls)| *calls > 0).collect()
}

fn is_permitted(catalogue: &[Entry], name: &str) -> bool {
    let only_reads = |entry: &Entry| entry.has_flag("readonly") && !entry.has_flag("write");
    PERMITTED.contains(&name)
        || catalogue
            .iter()
            .any(|entry| entry.name() == name && only_reads(entry))
            && !NOT_QUITE_READ.contains(&name)
}
