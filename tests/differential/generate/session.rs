//! Requests about the session: transactions, blocking commands, messages, identity, scripts, the connection itself.

use super::{Generator, Role};
use crate::schedule::{Nature, Request};
use crate::world::Quirks;

const BLOCK_BRIEFLY: &[&str] = &[
    "BLPOP|BRPOP <miss> <miss> 0.01",
    "BLPOP <lst> 0.02",
    "BRPOPLPUSH <miss> <lst> 0.01",
    "BLMOVE <miss> <lst> LEFT RIGHT 0.01",
    "BLMPOP 0.01 1 <miss> LEFT",
    "BZPOPMIN|BZPOPMAX <miss> <zst> 0.01",
    "BZMPOP 0.01 1 <miss> MIN",
    "XREAD BLOCK 10 STREAMS <stm> $",
    "XREADGROUP GROUP g1 alice BLOCK 10 STREAMS <stm> >",
    "WAIT 1 10",
    "WAIT 0 0",
    "WAITAOF 0 1 10",
    "BLPOP <miss> -1",
    "BLPOP <miss> soon",
    "BLPOP <miss> 99999999999999999999",
    "BLMPOP 0.01 0 <miss> LEFT",
    "XREAD BLOCK -1 STREAMS <stm> $",
];
const BLOCK: &[&str] = &[
    "BLPOP|BRPOP <blk> <blk> 0",
    "BLPOP <blk> 0",
    "BRPOPLPUSH <blk> <blk>|<lst> 0",
    "BLMOVE <blk> <blk> LEFT|RIGHT LEFT|RIGHT 0",
    "BLMPOP 0 2 <blk> <blk> LEFT|RIGHT |COUNT&2",
    "BZPOPMIN|BZPOPMAX <bzs> <bzs> 0",
    "BZMPOP 0 1 <bzs> MAX",
    // The last one, and the only one that a user who only reads may send.
    "XREAD |COUNT&1 BLOCK 0 STREAMS bst:0 $",
];
/// What ends a blocked command.
const FEED: &[&str] = &[
    "RPUSH|LPUSH <blk> <sv>..",
    "RPUSH <blk> <v>",
    "ZADD <bzs> <f> <m>",
    "XADD bst:0 |MAXLEN&3 1-* <pair>",
    "DEL <blk>|<bzs>",
    "SET <blk> <sv>",
    "LRANGE <blk> 0 -1",
    "EVAL return&redis.call('RPUSH',KEYS[1],'a','b') 1 <blk>",
];
const SUBSCRIPTIONS: &[&str] = &[
    "SUBSCRIBE <ch>..",
    "PSUBSCRIBE <pat>..",
    "PSUBSCRIBE <kpat>..",
    "SSUBSCRIBE <sch>..",
    "UNSUBSCRIBE <ch>..",
    "PUNSUBSCRIBE <pat>..",
    "SUNSUBSCRIBE <sch>",
    "SUBSCRIBE",
    "PING",
    "PING <sv>",
];
/// From everything: of more than one subscription the order would be the server's own.
const UNSUBSCRIPTIONS: &[&[&str]] = &[
    &["UNSUBSCRIBE ch:0 ch:1 ch:2", "UNSUBSCRIBE"],
    &[
        "UNSUBSCRIBE ch:0 ch:1 ch:2",
        "SUBSCRIBE ch:1",
        "UNSUBSCRIBE",
    ],
    &[
        "PUNSUBSCRIBE ch:* __keyspace* __keyevent* none:*",
        "PUNSUBSCRIBE",
    ],
    &[
        "PUNSUBSCRIBE ch:* __keyspace* __keyevent* none:*",
        "PSUBSCRIBE ch:*",
        "PUNSUBSCRIBE",
    ],
    &[
        "SUNSUBSCRIBE shard:0 shard:1",
        "SSUBSCRIBE shard:1",
        "SUNSUBSCRIBE",
    ],
];
const MESSAGES: &[&str] = &[
    "PUBLISH <ch> <v>",
    "PUBLISH <ch> <sv>",
    "SPUBLISH <sch> <sv>",
    "PUBSUB CHANNELS ch:1|nothing",
    "PUBSUB NUMSUB <ch>..",
    "PUBSUB NUMPAT",
    "PUBSUB SHARDNUMSUB <sch>",
    "PUBLISH <ch>",
];
const IDENTITY: &[&str] = &[
    "AUTH secret",
    "AUTH default secret",
    "AUTH default secret",
    "AUTH reader r",
    "AUTH mute m",
    "AUTH a b c",
    "ACL WHOAMI",
    "ACL DRYRUN reader GET|SET <str> |<v>",
];
/// Each in a step of its own: Redis 8 forgets to refuse a password while an earlier reply is still to be written.
const WRONG_IDENTITY: &[&str] = &[
    "AUTH reader|keys|mute|nobody r|k|m|<sv>",
    "AUTH <weird> |<weird>",
    "AUTH wrong",
    "HELLO 2|3 AUTH reader|default r|wrong |SETNAME&<m>",
];
const PROTOCOL: &[&str] = &[
    "HELLO",
    "HELLO 2|3",
    "HELLO 1|4|x|03|<weird>",
    "HELLO 3 AUTH default secret",
    "HELLO 2|3 AUTH reader r |SETNAME&<m>",
    "HELLO 3 SETNAME <m>|<weird>",
    "HELLO 3 SETNAME",
    "HELLO 2 bogus",
    "HELLO 3 AUTH default",
];
const STATE: &[&str] = &[
    "SELECT <db>",
    "SELECT 0",
    "SELECT 0 1",
    "<reset>",
    "CLIENT SETNAME <m>|<weird>",
    "CLIENT GETNAME",
    "CLIENT SETINFO LIB-NAME|LIB-VER|bogus <m>|<weird>",
];
const CLIENT: &[&str] = &[
    "CLIENT NO-EVICT|NO-TOUCH ON|OFF|maybe",
    "CLIENT UNPAUSE",
    "CLIENT GETREDIR",
    "CLIENT TRACKINGINFO",
    "CLIENT UNBLOCK 999999999 |TIMEOUT|ERROR|bogus",
    "CLIENT KILL ID 999999999",
    "CLIENT HELP",
    "CLIENT REPLY maybe",
    "CLIENT CACHING yes|no|maybe",
    "CLIENT bogus",
    "READONLY|READWRITE|ASKING",
];
/// No BCAST: see [`super::excluded`].
const TRACKING: &[&str] = &[
    "CLIENT TRACKING ON |NOLOOP",
    "CLIENT TRACKING ON OPTIN|OPTOUT",
    "CLIENT TRACKING ON OPTIN OPTOUT",
    "CLIENT TRACKING ON REDIRECT 999999999",
    "CLIENT TRACKING OFF",
    "CLIENT TRACKING maybe",
    "CLIENT CACHING YES",
    "GET <str>",
    "GET <str>",
    "MGET <str> <str>",
];
/// Every type that a reply may have. No push: see [`super::excluded`].
const REPLIES: &[&str] = &[
    "DEBUG PROTOCOL string|integer|double|null|array|set|map|attrib|verbatim|true|false|bignum|bogus",
];
const SCRIPTS: &[&str] = &[
    "EVAL return&1 0",
    "EVAL return 0",
    "EVALSHA|EVALSHA_RO <sha> 0",
    "EVALSHA <sha> 1 <str> <sv>",
    "EVAL_RO <body> 1 <str> <sv>",
    "EVAL <body> 1 <key> <sv>",
    "EVAL <body> 1 <str> <sv>",
    "EVAL <body> -1|5|x <str>",
    "SCRIPT LOAD <body>",
    "SCRIPT EXISTS <sha>..",
    "SCRIPT FLUSH |SYNC|ASYNC|bogus",
    "SCRIPT KILL|bogus",
    "FUNCTION LOAD |REPLACE <library>",
    "FUNCTION LIST |WITHCODE|LIBRARYNAME&lib|bogus",
    "FUNCTION DELETE lib|nolib",
    "FUNCTION FLUSH |ASYNC",
    "FUNCTION KILL|STATS|HELP",
    "FCALL put|get|nothing 1|0|-1 <str> <sv>",
    "FCALL_RO get|put 1 <str>",
];
/// Bodies of scripts. The first has the digest that `<sha>` often stands for.
const BODIES: &[&str] = &[
    "return 1",
    "return redis.call('GET', KEYS[1])",
    "return redis.call('SET', KEYS[1], ARGV[1])",
    "redis.call('INCR', KEYS[1]); return redis.call('GET', KEYS[1])",
    "return {1, 'two', {3, {false, true}}, 4.9}",
    "return redis.pcall('HSET', KEYS[1], 'f', ARGV[1])",
    "return {ok='FINE'}",
    "return redis.error_reply('MINE broke')",
    "redis.setresp(3); return {map={a=1}}",
    "redis.setresp(3); return {double=3.5}",
    "return redis.call('SELECT', 1)",
    "return redis.call('PUBLISH', 'script', ARGV[1])",
    "return redis.call('BLPOP', 'nothing', 0)",
    "return redis.call('NOSUCH')",
    "return redis.sha1hex(ARGV[1])",
    "error('on purpose')",
    "this is no lua",
    "local t = {} for i = 1, 300 do t[i] = ARGV[1] end return t",
];
/// Versions of one library of one function: of several, the order in a list would be the server's own.
const LIBRARIES: &[&str] = &[
    "#!lua name=lib
redis.register_function('put', function(k, a) return redis.call('SET', k[1], a[1]) end)",
    "#!lua name=lib
redis.register_function{function_name='get', callback=function(k) return redis.call('GET', k[1]) end, flags={'no-writes'}}",
    "#!lua name=lib
this is no lua",
    "no library",
];

impl Generator<'_> {
    /// What would block for ever, where nothing blocks; but for what blocks a user who may not say MULTI.
    fn no_block(&mut self) -> Request {
        let (multi, exec) = (Request::line("MULTI"), Request::line("EXEC"));
        let writing = &BLOCK[..BLOCK.len() - 1];
        Request::together(vec![multi, self.from(writing), exec])
    }

    /// MULTI and what follows it: whole, or open for a later step; with mistakes, in itself, with everything inside.
    pub(super) fn transaction(&mut self, out: &mut Vec<Request>) {
        if self.random.once_in(4) {
            out.push(self.from(&["WATCH <str> <key>", "WATCH <key>", "UNWATCH", "WATCH"]));
        }
        match self.random.below(8) {
            0 => return out.push(self.from(&["EXEC", "DISCARD", "UNWATCH", "EXEC x"])),
            1 => return out.push(self.no_block()),
            2 => {}
            _ => out.push(Request::line("MULTI")),
        }
        for _ in 0..self.random.below(6) {
            match self.random.below(24) {
                0 => out.push(self.from(&["MULTI", "WATCH <key>", "UNWATCH", "DISCARD"])),
                1 => out.push(self.from(&["SELECT <db>", "SELECT 1", "SELECT 0"])),
                2 => out.push(self.brief_block()),
                3 => out.push(self.from(STATE)),
                4 => out.push(self.from(IDENTITY)),
                5 => out.push(self.hello()),
                12 if self.role == Role::Free => out.push(self.from(TRACKING)),
                13 => out.push(self.from(&["CLIENT REPLY ON", "CLIENT REPLY maybe"])),
                6 if self.role != Role::Free => out.push(self.from(MESSAGES)),
                7 => self.script(out),
                8 => self.wrong_arity(out),
                9 => self.unknown(out),
                10 => out.push(self.from(&["SCAN 0 MATCH none COUNT 1000", "HSCAN <hsh> 0"])),
                11 => self.keys(out),
                _ => self.data(out),
            }
        }
        if !self.random.once_in(6) {
            out.push(self.from(&["EXEC", "EXEC", "EXEC", "EXEC", "DISCARD", "<reset>"]));
        }
    }

    /// Blocks for a moment, if at all.
    pub(super) fn brief_block(&mut self) -> Request {
        self.from(BLOCK_BRIEFLY).nature(Nature::EndsSoon)
    }

    /// Blocks until somebody else feeds it.
    pub(super) fn long_block(&mut self, out: &mut Vec<Request>) {
        // Nothing that would make it block in a transaction that is still open is wanted; such a one is ended.
        out.push(Request::line("DISCARD"));
        out.push(self.from(BLOCK));
        if self.role == Role::Plain {
            for _ in 0..self.random.below(3) {
                out.push(self.harmless());
            }
        }
    }

    pub(super) fn feed(&mut self, out: &mut Vec<Request>) {
        let mut request = self.from(FEED);
        if self.random.once_in(4) {
            // An id with the next number of its own behind it needs a stream that has none yet, or a low one.
            request = Request::line("RPUSH blk:0 a b c");
        }
        out.push(request);
    }

    pub(super) fn messages(&mut self, out: &mut Vec<Request>) {
        for _ in 0..=self.random.below(3) {
            // The proxy refuses to subscribe inside MULTI.
            let mut together = vec![Request::line("DISCARD")];
            match self.random.below(6) {
                0..3 => together.push(self.from(SUBSCRIPTIONS)),
                3 => {
                    let lines = UNSUBSCRIPTIONS[self.random.below(UNSUBSCRIPTIONS.len())];
                    together.extend(lines.iter().map(|line| Request::line(line)));
                }
                _ => together.push(self.from(MESSAGES)),
            }
            out.push(Request::together(together));
        }
    }

    pub(super) fn publish(&mut self, out: &mut Vec<Request>) {
        out.push(self.from(MESSAGES));
    }

    pub(super) fn identity(&mut self, out: &mut Vec<Request>) {
        let request = match self.random.below(10) {
            0..3 => self.from(IDENTITY),
            3..5 => self.hello(),
            _ => self.from(STATE),
        };
        out.push(request);
        if self.random.once_in(3) {
            out.push(self.from(&["AUTH default secret", "AUTH keys k", "AUTH mute m"]));
        }
        if self.random.once_in(4) {
            out.push(self.from(STATE));
        }
    }

    pub(super) fn script(&mut self, out: &mut Vec<Request>) {
        let template = self.random.pick(SCRIPTS);
        if self.quirks == Quirks::Redis8 && template.starts_with("FUNCTION FLUSH") {
            return;
        }
        let mut words = self.filled(
            &template
                .replace("<body>", "BODY")
                .replace("<library>", "LIBRARY"),
        );
        for word in &mut words {
            match word.as_slice() {
                b"BODY" => *word = self.random.pick(BODIES).as_bytes().to_vec(),
                b"LIBRARY" => *word = self.random.pick(LIBRARIES).as_bytes().to_vec(),
                b"return" => *word = b"return 1".to_vec(),
                _ => {}
            }
        }
        words.dedup_by(|word, before| before == b"return 1" && word == b"1");
        out.push(Request::words(words));
    }

    /// Anonymous again, for a moment: then the server holds back little, and closes what it would have to hold back.
    pub(super) fn reset(&mut self, out: &mut Vec<Request>) {
        out.push(Request::line("RESET"));
        for _ in 0..self.random.below(3) {
            let request = match self.random.below(3) {
                0 => self.from(STATE),
                1 => self.hello(),
                _ => self.from(&["PING", "MULTI", "GET <str>"]),
            };
            out.push(request);
        }
        out.push(self.from(&["AUTH default secret", "AUTH keys k", "AUTH mute m"]));
    }

    fn hello(&mut self) -> Request {
        self.from(if self.role == Role::Listening {
            STATE
        } else {
            PROTOCOL
        })
    }

    pub(super) fn wrong_identity(&mut self, out: &mut Vec<Request>) {
        if self.role == Role::Listening {
            return out.push(self.from(&["AUTH wrong", "AUTH reader k"]));
        }
        out.push(self.from(WRONG_IDENTITY));
    }

    /// What happens all the same where nobody hears of it. Whether it has is known by the reply to what comes behind.
    fn without_replies(&mut self) -> Vec<Request> {
        // The proxy refuses it inside MULTI.
        let mut together = vec![Request::line("DISCARD"), Request::line("CLIENT REPLY OFF")];
        for _ in 0..self.random.below(4) {
            match self.random.below(10) {
                0 => together.push(self.from(STATE)),
                1 => together.push(self.from(IDENTITY)),
                2 => together.push(self.from(&["CLIENT REPLY SKIP|OFF|maybe", "PING"])),
                3 => together.extend(["MULTI", "INCR str:0", "EXEC"].map(Request::line)),
                4 => self.script(&mut together),
                5 if self.role != Role::Listening => together.push(self.from(TRACKING)),
                _ => self.data(&mut together),
            }
        }
        together.push(Request::line("CLIENT REPLY ON"));
        together
    }

    /// Requests about the connection.
    pub(super) fn client(&mut self, out: &mut Vec<Request>) {
        match self.random.below(10) {
            0 => {
                // Outside of transactions, where the number would come with a later reply.
                let together = ["DISCARD", "CLIENT ID"].map(Request::line).to_vec();
                out.push(Request::together(together).nature(Nature::NamesConnection));
            }
            1 => {
                let mut together =
                    vec![Request::line("DISCARD"), Request::line("CLIENT REPLY SKIP")];
                match self.random.below(6) {
                    0 => together.push(self.from(STATE)),
                    1 => together.push(self.from(&["CLIENT REPLY ON|SKIP|maybe", "NOSUCH"])),
                    _ => self.data(&mut together),
                }
                together.push(Request::line("PING"));
                out.push(Request::together(together));
            }
            2 => {
                let together = self.without_replies();
                out.push(Request::together(together));
            }
            3..6 if self.role == Role::Free => out.push(self.from(TRACKING)),
            6..8 => out.push(self.from(REPLIES)),
            _ => out.push(self.from(CLIENT)),
        }
    }
}
