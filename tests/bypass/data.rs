//! What the servers hold before anything is tried, and the words that hit it.

use super::kit::{Client, Reply};
use super::random::Random;

/// Keys, by the group of commands that are about such.
pub const KEYS: &[(&str, &str)] = &[
    ("string", "str:0"),
    ("string", "str:1"),
    ("string", "int:0"),
    ("bitmap", "str:0"),
    ("hash", "hsh:0"),
    ("hash", "hsh:1"),
    ("list", "lst:0"),
    ("list", "lst:1"),
    ("set", "set:0"),
    ("set", "set:1"),
    ("sorted-set", "zst:0"),
    ("sorted-set", "zst:1"),
    ("stream", "stm:0"),
    ("stream", "stm:1"),
    ("hyperloglog", "hll:0"),
    ("hyperloglog", "hll:1"),
    ("geo", "geo:0"),
    ("array", "arr:0"),
];
/// Requests that make them. All of them live for ever: nothing may change by itself.
const PLANTED: &[&str] = &[
    "SET str:0 abc",
    "SET str:1 12345",
    "SET int:0 7",
    "HSET hsh:0 a 1 b 2 c three f0 4",
    "HSET hsh:1 f1 x",
    "RPUSH lst:0 a b c a b c",
    "RPUSH lst:1 c b a",
    "SADD set:0 a b c 1 2 3",
    "SADD set:1 b c d",
    "ZADD zst:0 1 a 2 b 3 c",
    "ZADD zst:1 5 c 6 d",
    "XADD stm:0 1-1 a 1",
    "XADD stm:0 2-1 b 2",
    "XADD stm:1 1-1 c 3",
    "XGROUP CREATE stm:0 grp 0",
    "XGROUP CREATE stm:1 grp 0",
    "XREADGROUP GROUP grp con COUNT 1 STREAMS stm:0 >",
    "PFADD hll:0 a b c",
    "PFADD hll:1 c d",
    "GEOADD geo:0 13.3 38.1 a 15.1 37.5 b",
    "SELECT 3",
    "SET str:0 other",
    "SELECT 0",
];
/// Writes to a key that it is given.
pub const SCRIPT: &str = "return redis.call('SET', KEYS[1], ARGV[1] or 'script')";
/// Only reads.
const READING_SCRIPT: &str = "return redis.call('GET', 'str:0')";
/// A library: a function that writes, and one that says it does not, and tries.
const LIBRARY: &str = "#!lua name=planted\n\
    redis.register_function('fwrite', function(keys) return redis.call('SET', keys[1] or 'str:0', 'function') end)\n\
    redis.register_function{function_name='fread', flags={'no-writes'}, \
    callback=function(keys) return redis.call('DEL', keys[1] or 'str:0') end}";
/// Another one, for FUNCTION LOAD.
const OTHER_LIBRARY: &str =
    "#!lua name=other\nredis.register_function('fother', function() return 1 end)";
/// Users beside the default one.
pub const USERS: &[&str] = &["limited on >pw ~* &* +@read +@connection"];

/// What only the server can tell of it.
#[derive(Debug, Clone)]
pub struct Planted {
    /// SHA-1 of [`SCRIPT`] and of [`READING_SCRIPT`].
    pub hashes: [String; 2],
    /// DUMP of a string, and FUNCTION DUMP.
    pub dumps: [Vec<u8>; 2],
}

/// Makes the data of a server what it is to be, which is the same every time.
pub fn plant(client: &mut Client) -> Planted {
    assert_eq!(client.call(&["FLUSHALL"]), Reply::ok());
    for line in PLANTED {
        let words: Vec<&str> = line.split(' ').collect();
        let reply = client.call(&words);
        assert!(!matches!(reply, Reply::Error(_)), "{line}: {reply:?}");
    }
    client.call(&["FUNCTION", "LOAD", "REPLACE", LIBRARY]);
    let hashes =
        [SCRIPT, READING_SCRIPT].map(|script| client.call(&["SCRIPT", "LOAD", script]).into_text());
    let dumps = [&["DUMP", "int:0"], &["FUNCTION", "DUMP"]].map(|request| {
        let Reply::Bulk(dump) = client.call(request) else {
            panic!("{request:?} gives nothing");
        };
        dump
    });
    Planted { hashes, dumps }
}

/// A text for an argument that is called `name`.
pub fn text(random: &mut Random, planted: &Planted, name: &str) -> Vec<u8> {
    let choices: &[&str] = match name {
        "script" => return script(random),
        "sha1" => return planted.hashes[random.below(2)].clone().into_bytes(),
        "function" => &["fwrite", "fread", "nosuch"],
        "function-code" => &[LIBRARY, OTHER_LIBRARY],
        "library-name" | "library-name-pattern" => &["planted", "other"],
        "group" | "groupname" => &["grp", "new"],
        "consumer" | "consumername" | "newconsumer" => &["con", "new"],
        "id" | "lastid" | "last-id" | "ids" => &["*", "$", ">", "0", "1-1", "2-1", "9-9"],
        "min" | "max" | "start" | "stop" | "end" => {
            &["-inf", "+inf", "-", "+", "0", "[a", "[z", "(1", "3"]
        }
        "serialized-value" => return planted.dumps[random.below(2)].clone(),
        "operation" => &["AND", "OR", "XOR", "NOT"],
        "min-idle-time" => &["0", "1"],
        "channel" | "shardchannel" => &["ch", "shard"],
        "username" => &["default", "limited", "new"],
        "parameter" => &["maxmemory", "hz", "appendonly"],
        "encoding" => &["u8", "i16"],
        "offset" => &["0", "#1"],
        "host" => &["127.0.0.1", "NO"],
        "port" => &["1", "ONE"],
        _ => &["a", "b", "c", "f0", "f1", "grp", "1", "0", "x"],
    };
    random.pick(choices).into()
}

/// What a script does, with whatever right it is called.
fn script(random: &mut Random) -> Vec<u8> {
    random
        .pick(&[
            SCRIPT,
            READING_SCRIPT,
            "return redis.call('DEL', 'str:0')",
            "redis.call('SELECT', 3) return redis.call('SET', 'str:0', 'x')",
            "return redis.pcall('FLUSHALL')",
            "return redis.call('PUBLISH', 'ch', 'x')",
            "return redis.call('SLOWLOG', 'RESET')",
            "return redis.call('MEMORY', 'PURGE')",
            "return redis.call('CONFIG', 'SET', 'hz', '50')",
            "redis.replicate_commands() redis.set_repl(redis.REPL_ALL) return redis.call('INCR', 'int:0')",
            "#!lua flags=allow-stale\nreturn redis.call('LPUSH', 'lst:0', 'x')",
            "#!lua flags=no-writes\nreturn redis.call('LPUSH', 'lst:0', 'x')",
            "return redis.call('EVAL', \"return redis.call('DEL', 'str:0')\", 0)",
            "return redis.call('SORT', 'lst:0', 'ALPHA', 'STORE', 'lst:1')",
        ])
        .into()
}
