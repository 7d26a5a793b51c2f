//! The keys, and the differences between the sides.

use std::collections::BTreeMap;

use crate::kit::{Client, RedisServer, Reply};

/// Keys of one script call: some milliseconds.
const KEYS_A_CALL: u64 = 1000;
/// Differences of each of the ten kinds.
const OF_EACH: u64 = 10;

/// Writes the keys `KEYS[..]`: type and contents follow from the last digit of the number.
const FILL: &str = r"
for number = tonumber(ARGV[1]), tonumber(ARGV[2]) do
    local kind, key = number % 10, 'key:' .. number
    local pad = string.rep('x', number % 64)
    if kind <= 2 then redis.call('SET', key, 'value ' .. number .. pad)
    elseif kind == 3 then redis.call('SET', key, number, 'PX', 86400000)
    elseif kind == 4 then redis.call('HSET', key, 'id', number, 'name', pad, 'state', 'open')
    elseif kind == 5 then redis.call('RPUSH', key, number, 'second', pad)
    elseif kind == 6 then redis.call('SADD', key, number, 'member', 'a' .. pad)
    elseif kind == 7 then redis.call('ZADD', key, number, 'one', number / 3, 'two')
    elseif kind == 8 then
        redis.call('XADD', key, '1-1', 'field', number)
        redis.call('XADD', key, '2-1', 'field', pad)
        redis.call('XGROUP', 'CREATE', key, 'readers', '1-1')
    else redis.call('HSET', key, 'field', number, 'pad', pad) end
end";

/// Large collections among the small: more than a mebibyte each.
const FILL_LARGE: &str = r"
for number = 1, 30000 do
    local pad = string.rep('y', 40) .. number
    redis.call('HSET', 'large:hash', number, pad)
    redis.call('RPUSH', 'large:list', pad)
    redis.call('SADD', 'large:set', pad)
    redis.call('ZADD', 'large:zset', number, pad)
    redis.call('XADD', 'large:stream', number .. '-1', 'field', pad)
end
redis.call('SETRANGE', 'large:string', 3000000, 'end')";

/// Fills a server.
pub fn fill(server: &RedisServer, keys: u64) {
    let mut client = server.client();
    for first in (0..keys).step_by(usize::try_from(KEYS_A_CALL).unwrap()) {
        let last = (first + KEYS_A_CALL).min(keys) - 1;
        call(
            &mut client,
            &["EVAL", FILL, "0", &first.to_string(), &last.to_string()],
        );
    }
    call(&mut client, &["EVAL", FILL_LARGE, "0"]);
}

/// Makes the target differ, spread over all keys; gives each key with in what.
pub fn plant(
    source: &RedisServer,
    target: &RedisServer,
    keys: u64,
) -> BTreeMap<String, &'static str> {
    let mut client = target.client();
    call(&mut client, &["CONFIG", "SET", "replica-read-only", "no"]);
    let mut planted = BTreeMap::new();
    let step = keys / OF_EACH / 10 * 10;
    for nth in 0..OF_EACH {
        // Ten numbers in a row, one of each kind of key.
        let key = |kind: u64| format!("key:{}", nth * step + 10 * nth % step + kind);
        let mut differ = |key: String, what, commands: &[&[&str]]| {
            for command in commands {
                let command: Vec<&str> = command
                    .iter()
                    .map(|word| if *word == "KEY" { &key } else { *word })
                    .collect();
                call(&mut client, &command);
            }
            planted.insert(key, what);
        };
        differ(key(0), "value", &[&["SETRANGE", "KEY", "2", "*"]]);
        differ(key(1), "length", &[&["APPEND", "KEY", "*"]]);
        differ(key(2), "missing_on_target", &[&["DEL", "KEY"]]);
        differ(
            key(3),
            "time_to_live",
            if nth % 2 == 0 {
                &[&["PERSIST", "KEY"]]
            } else {
                &[&["PEXPIRE", "KEY", "80000000"]]
            },
        );
        differ(key(4), "value", &[&["HSET", "KEY", "state", "shut"]]);
        differ(
            key(5),
            "type",
            &[&["DEL", "KEY"], &["SADD", "KEY", "second"]],
        );
        differ(
            key(6),
            "value",
            &[&["SREM", "KEY", "member"], &["SADD", "KEY", "another"]],
        );
        differ(key(7), "value", &[&["ZINCRBY", "KEY", "0.5", "two"]]);
        differ(
            key(8),
            "value",
            &[&["XGROUP", "SETID", "KEY", "readers", "2-1"]],
        );
        differ(
            format!("extra:{nth}"),
            "missing_on_source",
            &[&["SET", "KEY", "1"]],
        );
    }
    // Large ones as well, beyond the hundred.
    for (key, command) in [
        ("large:hash", &["HSET", "large:hash", "12345", "other"][..]),
        ("large:list", &["LSET", "large:list", "12345", "other"]),
        (
            "large:zset",
            &[
                "ZINCRBY",
                "large:zset",
                "1",
                &format!("{}12345", "y".repeat(40)),
            ],
        ),
        (
            "large:string",
            &["SETRANGE", "large:string", "2000000", "*"],
        ),
    ] {
        call(&mut client, command);
        planted.insert(key.to_owned(), "value");
    }
    call(&mut client, &["XTRIM", "large:stream", "MAXLEN", "29999"]);
    planted.insert("large:stream".to_owned(), "length");
    // What is not a difference.
    call(&mut source.client(), &["SET", "same", "1"]);
    planted
}

fn call(client: &mut Client, request: &[&str]) {
    let reply = client.call(request);
    assert!(!matches!(reply, Reply::Error(_)), "{request:?}: {reply:?}");
}
