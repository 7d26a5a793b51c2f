//! Tests: what scripts tell.

use super::*;

fn reading(text: &str) -> Reading {
    read(text.as_bytes(), &Table::builtin())
}

/// The keys of `text` are of this kind, and of no worse one.
fn check(text: &str, expected: Origin) {
    let reading = reading(text);
    let found = if reading.undeclared.is_some() {
        Origin::Undeclared
    } else if reading.derived.is_some() {
        Origin::Derived
    } else if reading.unclear.is_some() {
        Origin::Unclear
    } else {
        Origin::Declared
    };
    assert_eq!(found, expected, "{text}: {reading:?}");
}

#[test]
fn declared_keys_are_known_for_what_they_are() {
    for script in [
        "return redis.call('GET', KEYS[1])",
        "local k = KEYS[1]\nreturn redis.call('SET', k, ARGV[1])",
        "local a, b = KEYS[1], ARGV[1]\nredis.call('SET', a, b)",
        "for _, k in ipairs(KEYS) do redis.call('DEL', k) end",
        "return redis.call('MGET', unpack(KEYS))",
        "return redis.pcall('ZADD', KEYS[1], ARGV[1], 'member' .. ARGV[2])",
        "return redis.call('HSET', KEYS[1], 'field', 'x:' .. ARGV[1])",
        "local t = redis.call('TIME')\nreturn redis.call('SET', KEYS[1], t[1])",
        "return redis.call('PING')",
        "return 1 -- redis.call('GET', 'x')",
        "return redis.call('ZUNIONSTORE', KEYS[1], 2, KEYS[2], KEYS[3])",
        "return redis.call('XREAD', 'COUNT', 1, 'STREAMS', KEYS[1], '0')",
    ] {
        check(script, Origin::Declared);
    }
}

#[test]
fn keys_in_the_text_and_in_arguments_are_undeclared() {
    for script in [
        "return redis.call('GET', 'config')",
        "return redis.call('GET', ARGV[1])",
        "redis.call('SET', 'user:' .. ARGV[1], 1)",
        "local k = 'user:' .. ARGV[1]\nredis.call('GET', k)",
        "local a, b = KEYS[1], ARGV[1]\nredis.call('SET', b, a)",
        "for i, k in ipairs(ARGV) do\n redis.call('DEL', k)\nend",
        "return redis.call('DEL', KEYS[1], 'other')",
        "local call = redis.call\nreturn call('GET', 'x')",
        "return server.call('GET', \"x\")",
        "return redis.call('ZUNIONSTORE', 'd', 1, KEYS[1])",
        "local n = tonumber(redis.call('GET', 'counter') or 0)",
        "return redis.call('XREAD', 'STREAMS', 'events', '0')",
    ] {
        check(script, Origin::Undeclared);
    }
}

#[test]
fn names_made_of_declared_keys_are_told_apart() {
    check("redis.call('SET', KEYS[1] .. ':lock', 1)", Origin::Derived);
    check(
        "local p = KEYS[1] .. ':'\nredis.call('SET', p .. ARGV[1], 1)",
        Origin::Derived,
    );
}

#[test]
fn what_the_text_does_not_tell_is_unclear() {
    check(
        "local k = redis.call('LPOP', KEYS[1])\nredis.call('DEL', k)",
        Origin::Unclear,
    );
    check("redis.call('DEL', name())", Origin::Unclear);
    check(
        "local k = cjson.decode(x)\nredis.call('DEL', k)",
        Origin::Unclear,
    );
}

#[test]
fn the_calls_of_a_script_are_known_by_name() {
    let table = Table::builtin();
    let names = |text: &str| -> Vec<String> {
        let reading = read(text.as_bytes(), &table);
        reading
            .calls
            .iter()
            .map(|id| table.name(*id).to_owned())
            .collect()
    };
    assert_eq!(
        names(
            "redis.call('ts.add', KEYS[1], redis.call('TIME')[1], 1) redis.call('ts.add', KEYS[1])"
        ),
        ["TS.ADD", "TIME"]
    );
    assert_eq!(names("redis.call('config', 'get', 'x')"), ["CONFIG GET"]);
    assert_eq!(names("redis.call(ARGV[1], KEYS[1])"), [""; 0]);
    assert_eq!(
        reading("redis.set_repl(redis.REPL_NONE)").replication,
        Replication::Set
    );
    assert_eq!(
        reading("return redis.sha1hex('set_repl')").replication,
        Replication::LeftAlone
    );
}

#[test]
fn the_call_is_shown_as_it_stands() {
    let reading = reading("-- x\nif a then\n  redis.call('GET', 'config')\nend");
    assert_eq!(
        reading.undeclared.as_deref(),
        Some("redis.call('GET', 'config')")
    );
}

#[test]
fn no_text_is_too_strange() {
    for text in [
        "",
        "redis",
        "redis.",
        "redis.call",
        "redis.call(",
        "redis.call('GET',",
        "a,b,c =",
        "for in",
        "local x =",
        ")))(((",
        "a = a\nredis.call('GET', a)",
        "a = b\nb = a\nredis.call('GET', a)",
    ] {
        let _ = reading(text);
    }
    let _ = read(&vec![b'('; 1 << 20], &Table::builtin());
    let _ = read("redis.call(".repeat(10_000).as_bytes(), &Table::builtin());
}
