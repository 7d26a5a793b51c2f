//! Which commands Redis Enterprise does not have, by what to do instead. Derived from the compatibility tables of its
//! documentation (Redis Software 8) and, for module commands, from the list of capabilities that Active-Active databases
//! can have. Whatever no family names is taken for supported.

use super::profile::Profile;

/// Commands that are missing for one reason, with one way out.
#[derive(Debug)]
pub(super) struct Family {
    /// Who does not have them.
    missing_from: Missing,
    /// What to do.
    pub(super) instead: &'static str,
    /// In upper case; a subcommand follows its container after one space.
    names: &'static [&'static str],
}

/// Which databases a family is missing from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    /// From every Redis Enterprise database.
    Enterprise,
    /// From Active-Active databases only.
    ActiveActive,
}

/// Why `name` cannot be used on such a target; none where it can, as far as the documentation goes.
pub(super) fn missing_from(profile: Profile, name: &str) -> Option<&'static Family> {
    let is_missing = |family: &&Family| match (profile, family.missing_from) {
        (Profile::Redis, _) | (Profile::Enterprise, Missing::ActiveActive) => false,
        (Profile::Enterprise | Profile::ActiveActive, Missing::Enterprise)
        | (Profile::ActiveActive, Missing::ActiveActive) => true,
    };
    FAMILIES
        .iter()
        .filter(is_missing)
        .find(|family| family.names.contains(&name))
}

#[rustfmt::skip] // one group of commands a line
const FAMILIES: &[Family] = &[
    Family {
        missing_from: Missing::Enterprise,
        instead: "there is one keyspace: give what is in other databases a prefix of its own, or a database of its own",
        names: &["MOVE", "SWAPDB"],
    },
    Family {
        missing_from: Missing::Enterprise,
        instead: "users and their rights are managed in the cluster (roles and ACLs), not over this connection",
        names: &["ACL DELUSER", "ACL GENPASS", "ACL LOAD", "ACL LOG", "ACL SAVE", "ACL SETUSER"],
    },
    Family {
        missing_from: Missing::Enterprise,
        instead: "persistence, backups, failover and shutdown are the cluster's: use its console or its API",
        names: &[
            "BACKUP ABORT", "BACKUP CLEANUP", "BACKUP HELP", "BACKUP LIST", "BACKUP SEAL", "BACKUP START",
            "BACKUP STATUS",
            "BGREWRITEAOF", "BGSAVE", "FAILOVER", "LASTSAVE", "SAVE", "SHUTDOWN",
        ],
    },
    Family {
        missing_from: Missing::Enterprise,
        instead: "replication is the cluster's: nothing can follow the database, or ask about it, over this connection",
        names: &["PSYNC", "REPLCONF", "REPLICAOF", "ROLE", "SLAVEOF", "SYNC"],
    },
    Family {
        missing_from: Missing::Enterprise,
        instead: "the cluster manages its slots: leave the cluster mode of the client off, or turn the database's cluster \
                  API on, which offers CLUSTER SLOTS, SHARDS, NODES, INFO and KEYSLOT",
        names: &[
            "ASKING", "READONLY", "READWRITE",
            "CLUSTER ADDSLOTS", "CLUSTER ADDSLOTSRANGE", "CLUSTER BUMPEPOCH", "CLUSTER COUNT-FAILURE-REPORTS",
            "CLUSTER COUNTKEYSINSLOT", "CLUSTER DELSLOTS", "CLUSTER DELSLOTSRANGE", "CLUSTER FAILOVER",
            "CLUSTER FLUSHSLOTS", "CLUSTER FORGET", "CLUSTER GETKEYSINSLOT", "CLUSTER LINKS", "CLUSTER MEET",
            "CLUSTER MIGRATION", "CLUSTER MYID", "CLUSTER MYSHARDID", "CLUSTER REPLICAS", "CLUSTER REPLICATE",
            "CLUSTER RESET", "CLUSTER SAVECONFIG", "CLUSTER SET-CONFIG-EPOCH", "CLUSTER SETSLOT", "CLUSTER SLAVES",
            "CLUSTER SLOT-STATS",
        ],
    },
    Family {
        missing_from: Missing::Enterprise,
        instead: "open a new connection instead of resetting one, and end what others do with CLIENT KILL or in the console",
        names: &["CLIENT PAUSE", "CLIENT UNPAUSE", "RESET"],
    },
    Family {
        missing_from: Missing::Enterprise,
        instead: "do without it: the database takes no such setting from a connection",
        names: &["CLIENT GETREDIR", "CLIENT NO-EVICT"],
    },
    Family {
        missing_from: Missing::Enterprise,
        instead: "take the figures from the cluster's metrics or its console",
        names: &[
            "CONFIG RESETSTAT",
            "LATENCY DOCTOR", "LATENCY GRAPH", "LATENCY HISTORY", "LATENCY LATEST", "LATENCY RESET",
            "MEMORY DOCTOR", "MEMORY MALLOC-STATS", "MEMORY PURGE", "MEMORY STATS",
        ],
    },
    Family {
        missing_from: Missing::Enterprise,
        instead: "take it out of the application: it serves people and tests of the server",
        names: &[
            "CLIENT HELP", "CONFIG HELP", "LATENCY HELP", "MODULE HELP", "OBJECT HELP", "PUBSUB HELP", "SCRIPT HELP",
            "SLOWLOG HELP",
            "DEBUG", "PFDEBUG", "PFSELFTEST", "SCRIPT DEBUG",
        ],
    },
    Family {
        missing_from: Missing::Enterprise,
        instead: "modules are installed in the cluster and enabled when the database is created",
        names: &["MODULE LOAD", "MODULE LOADEX", "MODULE UNLOAD"],
    },
    Family {
        missing_from: Missing::Enterprise,
        instead: "copy the keys with DUMP and RESTORE, or let the database replicate",
        names: &["MIGRATE", "RESTORE-ASKING"],
    },
    Family {
        missing_from: Missing::Enterprise,
        instead: "use what replaced it: GETRANGE for SUBSTR, LCS for STRALGO",
        names: &["STRALGO", "SUBSTR"],
    },
    Family {
        missing_from: Missing::Enterprise,
        instead: "set one document at a time (JSON.SET), in a transaction where they must change together",
        names: &["JSON.MSET"],
    },
    Family {
        missing_from: Missing::Enterprise,
        instead: "configure search in the cluster, not over this connection",
        names: &["FT.ALIASLIST", "FT.CONFIG GET", "FT.CONFIG HELP", "FT.CONFIG SET"],
    },
    Family {
        missing_from: Missing::Enterprise,
        instead: "it is newer than what the database offers: do the same with older commands, or in a script",
        names: &[
            "ARCOUNT", "ARDEL", "ARDELRANGE", "ARGET", "ARGETRANGE", "ARGREP", "ARINFO", "ARINSERT", "ARLASTITEMS",
            "ARLEN", "ARMGET", "ARMSET", "ARNEXT", "AROP", "ARRING", "ARSCAN", "ARSEEK", "ARSET",
            "BLMOVEM", "LMOVEM", "SDIFFCARD", "SUNIONCARD",
            "HIMPORT DISCARD", "HIMPORT DISCARDALL", "HIMPORT PREPARE", "HIMPORT SET",
            "INCREX", "XIDMPRECORD", "XNACK",
            "TS.NRANGE", "TS.NREVRANGE", "TS.QUERYLABELS", "TS.READ",
        ],
    },
    Family {
        missing_from: Missing::ActiveActive,
        instead: "flush the database through the cluster's API, which does it on every instance at once; delete keys one \
                  by one in the application",
        names: &["FLUSHALL", "FLUSHDB"],
    },
    Family {
        missing_from: Missing::ActiveActive,
        instead: "write the values with the commands of their types: serialized ones are taken for module types only",
        names: &["RESTORE"],
    },
    Family {
        missing_from: Missing::ActiveActive,
        instead: "do not wait for other instances: replication between them is not synchronous, and no write can be made to \
                  wait for it; WAITAOF is supported, and WAIT for the replicas of one instance after the vendor enabled it",
        names: &["WAIT"],
    },
    Family {
        missing_from: Missing::ActiveActive,
        instead: "leave it out, or ask CRDT.DEBUG ENCODING: encodings are different there",
        names: &["OBJECT ENCODING"],
    },
    Family {
        missing_from: Missing::ActiveActive,
        instead: "manage indexes on each instance by itself, and leave completion to an index: suggestions are not kept",
        names: &["FT.DROPINDEX", "FT.SUGADD", "FT.SUGDEL", "FT.SUGGET", "FT.SUGLEN"],
    },
    Family {
        missing_from: Missing::ActiveActive,
        instead: "keep vector sets in a database of another kind, or vectors in JSON with a search index",
        names: &[
            "VADD", "VCARD", "VDIM", "VEMB", "VGETATTR", "VINFO", "VISMEMBER", "VLINKS", "VRANDMEMBER", "VRANGE", "VREM",
            "VSETATTR", "VSIM",
        ],
    },
    Family {
        missing_from: Missing::ActiveActive,
        instead: "keep time series in a database of another kind: of the modules, only JSON and search are to be had there",
        names: &[
            "TS.ADD", "TS.ALTER", "TS.CREATE", "TS.CREATERULE", "TS.DECRBY", "TS.DEL", "TS.DELETERULE", "TS.GET",
            "TS.INCRBY", "TS.INFO", "TS.MADD", "TS.MGET", "TS.MRANGE", "TS.MREVRANGE", "TS.QUERYINDEX", "TS.RANGE",
            "TS.REVRANGE",
        ],
    },
    Family {
        missing_from: Missing::ActiveActive,
        instead: "keep probabilistic types in a database of another kind: only HyperLogLog (PFADD) is to be had there",
        names: &[
            "BF.ADD", "BF.CARD", "BF.EXISTS", "BF.INFO", "BF.INSERT", "BF.LOADCHUNK", "BF.MADD", "BF.MEXISTS",
            "BF.RESERVE", "BF.SCANDUMP",
            "CF.ADD", "CF.ADDNX", "CF.COUNT", "CF.DEL", "CF.EXISTS", "CF.INFO", "CF.INSERT", "CF.INSERTNX",
            "CF.LOADCHUNK", "CF.MEXISTS", "CF.RESERVE", "CF.SCANDUMP",
            "CMS.INCRBY", "CMS.INFO", "CMS.INITBYDIM", "CMS.INITBYPROB", "CMS.MERGE", "CMS.QUERY",
            "TDIGEST.ADD", "TDIGEST.BYRANK", "TDIGEST.BYREVRANK", "TDIGEST.CDF", "TDIGEST.CREATE", "TDIGEST.INFO",
            "TDIGEST.MAX", "TDIGEST.MERGE", "TDIGEST.MIN", "TDIGEST.QUANTILE", "TDIGEST.RANK", "TDIGEST.RESET",
            "TDIGEST.REVRANK", "TDIGEST.TRIMMED_MEAN",
            "TOPK.ADD", "TOPK.COUNT", "TOPK.INCRBY", "TOPK.INFO", "TOPK.LIST", "TOPK.QUERY", "TOPK.RESERVE",
        ],
    },
];

/// Settings that CONFIG GET and CONFIG SET may name on Redis Enterprise; all others give an error.
#[rustfmt::skip] // one group a line
const SETTINGS: &[&str] = &[
    "activerehashing", "busy-reply-threshold", "lua-time-limit", "notify-keyspace-events",
    "hash-max-listpack-entries", "hash-max-listpack-value", "hash-max-ziplist-entries", "hash-max-ziplist-value",
    "hll-sparse-max-bytes",
    "list-compress-depth", "list-max-listpack-size", "list-max-ziplist-size",
    "set-max-intset-entries",
    "slowlog-log-slower-than", "slowlog-max-len",
    "stream-node-max-bytes", "stream-node-max-entries",
    "zset-max-listpack-entries", "zset-max-listpack-value", "zset-max-ziplist-entries", "zset-max-ziplist-value",
];

/// Whether CONFIG GET and CONFIG SET know this setting. A pattern is taken for one that is known.
pub(super) fn knows_setting(name: &[u8]) -> bool {
    let is_pattern = name.iter().any(|byte| matches!(byte, b'*' | b'?' | b'['));
    is_pattern
        || SETTINGS
            .iter()
            .any(|known| known.as_bytes().eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::command::Table;

    #[test]
    fn each_command_is_in_one_family() {
        let names: Vec<_> = FAMILIES.iter().flat_map(|family| family.names).collect();
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
        // 127 are missing from both kinds and 89 from Active-Active databases; SELECT is judged by its argument.
        assert_eq!(names.len(), 127 + 89 - 1);
    }

    /// A name that is written wrong would never be found.
    #[test]
    fn each_command_is_one_that_the_table_knows_or_that_is_newer() {
        let table = Table::builtin();
        let unknown: Vec<_> = FAMILIES
            .iter()
            .flat_map(|family| family.names)
            .filter(|name| {
                let (name, subcommand) = name
                    .split_once(' ')
                    .map_or((**name, None), |(name, sub)| (name, Some(sub)));
                table
                    .find(name.as_bytes(), subcommand.map(str::as_bytes))
                    .is_none()
            })
            .map(|name| name.split_once(' ').map_or(*name, |(name, _)| name))
            .filter(|name| !name.starts_with("AR"))
            .collect();
        let newer = [
            "BACKUP",
            "BLMOVEM",
            "CLUSTER",
            "FT.ALIASLIST",
            "HIMPORT",
            "INCREX",
            "LMOVEM",
            "SDIFFCARD",
            "SUNIONCARD",
            "TS.NRANGE",
            "TS.NREVRANGE",
            "TS.QUERYLABELS",
            "TS.READ",
            "XIDMPRECORD",
            "XNACK",
        ];
        assert!(
            unknown.iter().all(|name| newer.contains(name)),
            "{unknown:?}"
        );
    }

    #[test]
    fn what_is_missing_depends_on_the_kind_of_the_target() {
        let missing = |profile, name| missing_from(profile, name).is_some();
        for (name, enterprise, active_active) in [
            ("GET", false, false),
            ("WAIT", false, true),
            ("WAITAOF", false, false),
            ("BF.ADD", false, true),
            ("JSON.SET", false, false),
            ("ROLE", true, true),
        ] {
            assert!(!missing(Profile::Redis, name), "{name}");
            assert_eq!(missing(Profile::Enterprise, name), enterprise, "{name}");
            assert_eq!(
                missing(Profile::ActiveActive, name),
                active_active,
                "{name}"
            );
        }
    }

    #[test]
    fn settings_are_known_in_any_case() {
        assert!(knows_setting(b"Notify-Keyspace-Events"));
        assert!(knows_setting(b"*max-listpack*"));
        assert!(!knows_setting(b"maxmemory"));
    }
}
