//! Requests about data: every type, in templates (see [`super::words`]).
//!
//! What a server decides by itself is left out: see [`super::excluded`].

use super::Generator;
use crate::schedule::{Nature, Request};

const STRINGS: &[&str] = &[
    "SET <str> <v> |NX|XX|GET|KEEPTTL|NX&GET|XX&GET|NX&XX|bogus",
    "SET <str> <i>",
    "GET <str>",
    "GET <str>",
    "GETDEL <str>",
    "GETEX <str> |PERSIST|bogus",
    "GETSET <str> <v>",
    "SETNX <str> <v>",
    "MGET <str> <str> <key>",
    "MSET <str> <v> <str> <sv>",
    "MSET <str> <v> <str>",
    "MSETNX <str> <sv> <key> <sv>",
    "APPEND <str> <sv>",
    "STRLEN <key>",
    "SETRANGE <str> <n>|-1|300|600000000 <sv>",
    "GETRANGE <str> <i> <i>",
    "SUBSTR <str> <i> <i>",
    "INCR <str>",
    "DECR <str>",
    "INCRBY <str> <i>|9223372036854775807|x",
    "DECRBY <str> <i>|-9223372036854775808",
    "INCRBYFLOAT <str> <f>|nan|x",
    "LCS <str> <str> |LEN|IDX|IDX&MINMATCHLEN&1&WITHMATCHLEN",
    "OBJECT ENCODING <key>",
    "OBJECT REFCOUNT <miss>",
];
const BITS: &[&str] = &[
    "SETBIT <str> <n>|100|-1|4294967296 <bit>|2",
    "GETBIT <str> <n>|100",
    "BITCOUNT <str> |<i>&<i>|<i>&<i>&BIT|<i>",
    "BITPOS <str> <bit> |<i>|<i>&<i>|<i>&<i>&BYTE",
    "BITOP AND|OR|XOR|NOT <str> <str> |<str>",
    "BITFIELD <str> |GET&u8&0|SET&i5&<n>&<i>|INCRBY&u2&100&1 |OVERFLOW&SAT|OVERFLOW&FAIL |INCRBY&u2&102&<i>|GET&u64&0",
    "BITFIELD_RO <str> GET&u8&<n>|SET&u8&0&1",
];
const LISTS: &[&str] = &[
    "LPUSH|RPUSH|LPUSHX|RPUSHX <lst> <sv>..",
    "RPUSH <lst> <v>",
    "LPOP|RPOP <lst> |<n>|-1",
    "LLEN <lst>",
    "LRANGE <lst> <i> <i>",
    "LINDEX <lst> <i>",
    "LSET <lst> <i> <sv>",
    "LINSERT <lst> BEFORE|AFTER|beside <i> <sv>",
    "LREM <lst> <i> <i>",
    "LTRIM <lst> <i> <i>",
    "LPOS <lst> <i> |RANK&<i>|COUNT&0|MAXLEN&3",
    "LMOVE <lst> <lst> LEFT|RIGHT|up LEFT|RIGHT",
    "RPOPLPUSH <lst> <lst>",
    "LMPOP 2|1|0|x <lst> <lst> LEFT|RIGHT |COUNT&2",
    "SORT <lst> |ALPHA|ALPHA&DESC|LIMIT&0&2&ALPHA|BY&nosort&GET&#&GET&str:*&ALPHA|STORE&<lst>",
    "SORT_RO <lst> ALPHA |STORE&<lst>",
    "OBJECT ENCODING <lst>",
];
const HASHES: &[&str] = &[
    "HSET <hsh> <pair>..",
    "HSET <hsh> <fld>",
    "HMSET <hsh> <pair>",
    "HSETNX <hsh> <pair>",
    "HGET <hsh> <fld>",
    "HMGET <hsh> <fld>..",
    "HGETALL <hsh>",
    "HGETALL <hsh>",
    "HKEYS|HVALS|HLEN <hsh>",
    "HDEL <hsh> <fld>..",
    "HEXISTS|HSTRLEN <hsh> <fld>",
    "HINCRBY <hsh> <fld> <i>",
    "HINCRBYFLOAT <hsh> <fld> <f>",
    "HSCAN <hsh> 0 |MATCH&f*|COUNT&1|NOVALUES",
    "HGETDEL <hsh> FIELDS 1 <fld>",
    "HPERSIST <hsh> FIELDS 1 <fld>",
];
/// Sets of numbers, which every server keeps in order as long as they are short, and sets of words, which are asked
/// only what does not depend on their order.
const SETS: &[&str] = &[
    "SADD <int> <im>..",
    "SADD <set> <m>..",
    "SREM <int> <im>",
    "SREM <set> <m>..",
    "SCARD <int>|<set>",
    "SISMEMBER <int> <im>",
    "SMISMEMBER <set> <m>..",
    "SMEMBERS <int>",
    "SMEMBERS <str>",
    "SINTER|SUNION|SDIFF <int> <int> |<miss>",
    "SINTER|SUNION|SDIFF <int> <lst>",
    "SINTERSTORE|SUNIONSTORE|SDIFFSTORE <int> <int> <int>",
    "SINTERCARD 2|0|x <int> <int> |LIMIT&1",
    "SMOVE <int> <int> <im>",
    "SMOVE <set> <set> <m>",
    "SSCAN <int> 0 |MATCH&1*|COUNT&100",
    "SORT <int>|<set> ALPHA |DESC|LIMIT&1&2",
    "SPOP|SRANDMEMBER <miss>|<str> |<i>",
    "RENAME|RENAMENX|COPY <set> <set>",
    "OBJECT ENCODING <int>",
];
const SORTED_SETS: &[&str] = &[
    "ZADD <zst> |NX|XX|GT|LT|NX&GT|CH|INCR <f> <m>",
    "ZADD <zst> <f> <m> <f> <m> <f> <m>",
    "ZINCRBY <zst> <f> <m>",
    "ZSCORE|ZRANK|ZREVRANK <zst> <m>",
    "ZRANK <zst> <m> WITHSCORE",
    "ZMSCORE <zst> <m>..",
    "ZCARD <zst>",
    "ZRANGE <zst> <i> <i> |WITHSCORES|REV|REV&WITHSCORES|LIMIT&0&1",
    "ZRANGE <zst> <score> <score> BYSCORE |WITHSCORES|REV|LIMIT&0&2",
    "ZRANGE <zst> <lex> <lex> BYLEX |REV|LIMIT&1&2",
    "ZRANGESTORE <zst> <zst> <i> <i>",
    "ZRANGEBYSCORE|ZREVRANGEBYSCORE <zst> <score> <score> |WITHSCORES|LIMIT&<i>&<i>",
    "ZRANGEBYLEX|ZREVRANGEBYLEX|ZLEXCOUNT <zst> <lex> <lex>",
    "ZREVRANGE <zst> <i> <i> WITHSCORES",
    "ZCOUNT <zst> <score> <score>",
    "ZREM <zst> <m>..",
    "ZREMRANGEBYRANK <zst> <i> <i>",
    "ZREMRANGEBYSCORE <zst> <score> <score>",
    "ZPOPMIN|ZPOPMAX <zst> |<n>|-1",
    "ZMPOP 1|2 <zst> |<zst> MIN|MAX |COUNT&2",
    "ZUNIONSTORE|ZINTERSTORE <zst> 2 <zst> <zst> |WEIGHTS&2&<f>|AGGREGATE&MAX|WEIGHTS&1",
    "ZUNION|ZINTER|ZDIFF 2 <zst> <zst> |WITHSCORES",
    "ZDIFFSTORE <zst> 2 <zst> <zst>",
    "ZINTERCARD 2 <zst> <zst> |LIMIT&1",
    "ZSCAN <zst> 0 |COUNT&100",
    "ZRANDMEMBER <miss> |<i>",
];
const STREAMS: &[&str] = &[
    "XADD <stm> |NOMKSTREAM|MAXLEN&4|MINID&2-0 <id> <pair>..",
    "XADD <stm> <id> <pair>",
    "XADD <stm> <n>-*|0-0|x <pair>",
    "XLEN <stm>",
    "XRANGE <stm> <range> <range> |COUNT&<i>",
    "XREVRANGE <stm> <range> <range> |COUNT&2",
    "XREAD |COUNT&<n> STREAMS <stm> <stm> <id> 0|$|+",
    "XREAD STREAMS <stm> <stm> 0",
    "XDEL <stm> <id>..",
    "XTRIM <stm> MAXLEN <n> |LIMIT&2",
    "XSETID <stm> <id>",
    "XGROUP CREATE <stm> g1|g2 <id>|0|$ |MKSTREAM",
    "XGROUP CREATECONSUMER|DELCONSUMER <stm> g1|g2 alice|bob",
    "XGROUP DESTROY <stm> g2",
    "XGROUP SETID <stm> g1 <id>|0",
    "XREADGROUP GROUP g1|g2 alice|bob |COUNT&1 |NOACK STREAMS <stm> >|0|<id>",
    "XACK <stm> g1|g2 <id>..",
    "XPENDING <stm> g1|g2",
    "XCLAIM <stm> g1 bob 0 <id> |JUSTID|FORCE&JUSTID",
    "XAUTOCLAIM <stm> g1 alice 0 0-0 |JUSTID|COUNT&1",
    "XINFO STREAM|GROUPS <stm>",
    "XACKDEL <stm> g1 KEEPREF IDS 1 <id>",
];
const PLACES: &[&str] = &[
    "GEOADD <geo> |NX|XX|CH <lon> <lon> <m>",
    "GEOADD <geo> 181|x <lon> <m>",
    "GEOPOS|GEOHASH <geo> <m>..",
    "GEODIST <geo> <m> <m> |km|ft|parsec",
    "GEOSEARCH <geo> FROMLONLAT&<lon>&<lon>|FROMMEMBER&<m> BYRADIUS&900&km|BYBOX&500&500&mi ASC|DESC |COUNT&2 |WITHDIST&WITHCOORD&WITHHASH",
    "GEOSEARCHSTORE <geo> <geo> FROMMEMBER <m> BYRADIUS 900 km |STOREDIST",
    "GEORADIUS <geo> <lon> <lon> 900 km |ASC|STORE&<geo>",
    "GEORADIUS_RO <geo> <lon> <lon> 900 km ASC |WITHDIST",
    "GEORADIUSBYMEMBER <geo> <m> 900 km ASC |STOREDIST&<geo>",
];
const SKETCHES: &[&str] = &[
    "PFADD <hll> <m>..",
    "PFADD <hll> <sv>",
    "PFCOUNT <hll> |<hll>|<str>",
    "PFMERGE <hll> <hll> |<hll>",
    "STRLEN <hll>",
];
const KEYS: &[&str] = &[
    "DEL|UNLINK|EXISTS|TOUCH <key>..",
    "DEL <set>",
    "TYPE <key>",
    "RENAME|RENAMENX <key> <key>",
    "COPY <key> <key> |REPLACE|DB&1|DB&99|DB&1&REPLACE",
    "MOVE <key> 0|1|2|99|x",
    "TTL|PTTL <miss>",
    "PERSIST <key>",
    "KEYS str:0|nothing|[|lst:\\0",
    "SCAN 0 MATCH str:0 COUNT 1000",
    "SCAN x",
    "DBSIZE",
    "RANDOMKEY x",
    "SWAPDB 0|1|x 1|2|99",
    "OBJECT ENCODING|FREQ <key>",
    "RESTORE <key> 0 nonsense |REPLACE",
    "DUMP <miss>",
    "SORT <key> ALPHA",
];
/// Seldom: there is little left to compare after them.
const FLUSHES: &[&str] = &["FLUSHDB |ASYNC|SYNC|bogus", "FLUSHALL |ASYNC|SYNC"];

/// Times to live counted from now, in schedules that never ask for the moment, which two servers see differently.
pub(super) const TIMES_FROM_NOW: &[&str] = &[
    "EXPIRE|PEXPIRE <key> <rel> |NX|XX|GT|bogus",
    "SETEX|PSETEX <str> <rel> <sv>",
    "SET <str> <sv> EX|PX <rel>|0|-1",
    "GETEX <str> EX|PX <rel>",
    "HEXPIRE <hsh> <rel> FIELDS 1 <fld>",
    "PERSIST <key>",
];
/// And by the clock, in schedules that ask.
pub(super) const TIMES_BY_THE_CLOCK: &[&str] = &[
    "EXPIREAT <key> <at> |NX|XX|LT",
    "PEXPIREAT <key> <atms>",
    "SET <str> <sv> EXAT <far>",
    "SET <str> <sv> PXAT <farms>",
    "GETEX <str> PXAT <atms>",
    "EXPIRETIME|PEXPIRETIME <key>",
    "HEXPIREAT <hsh> <at> FIELDS 1 <fld>",
    "HEXPIRETIME <hsh> FIELDS 1 <fld>",
    "PERSIST <key>",
];

impl Generator<'_> {
    /// A request about data of any type.
    pub(super) fn data(&mut self, out: &mut Vec<Request>) {
        let templates = match self.random.below(20) {
            0..4 => STRINGS,
            4 => BITS,
            5..8 => LISTS,
            8..11 => HASHES,
            11..13 => {
                // A word among the numbers would cost the set its order: these are not spoiled.
                let request = self.from(SETS);
                return out.push(request);
            }
            13..16 => SORTED_SETS,
            16..18 => STREAMS,
            18 => PLACES,
            _ => SKETCHES,
        };
        let template = self.random.pick(templates);
        let words = self.filled(template);
        out.push(Request::words(self.spoiled(words)));
    }

    /// A request about keys, whatever they hold.
    pub(super) fn keys(&mut self, out: &mut Vec<Request>) {
        let templates = match self.random.below(30) {
            0 => FLUSHES,
            1..10 => self.times,
            _ => KEYS,
        };
        let request = self.from(templates);
        out.push(if templates == FLUSHES {
            // Redis 8 has another thread do it, and blocks the client for as long.
            request.nature(Nature::EndsSoon)
        } else {
            request
        });
    }
}
