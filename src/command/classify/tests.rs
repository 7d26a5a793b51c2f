//! What each way through the classifier gives, by example and by property.

use proptest::prelude::*;

use super::*;
use crate::command::verdict::Subscription;
use crate::command::{blocking, keys, kit};

fn check(line: &str, class: Class, effect: Effect) {
    let table = Table::builtin();
    let verdict = kit::line(line, |request| {
        let verdict = table.classify(request);
        (verdict.class, verdict.effect)
    });
    assert_eq!(verdict, (class, effect), "{line}");
}

#[test]
fn reads_and_writes_are_told_apart() {
    check("GET k", Class::Read, Effect::None);
    check("SET k v", Class::Write, Effect::None);
    check("GETEX k", Class::Write, Effect::None);
    check("TOUCH k", Class::Read, Effect::None);
    check("RESTORE k 0 x", Class::Write, Effect::None);
    check("FLUSHALL", Class::Admin, Effect::None);
    check("PFCOUNT k", Class::Write, Effect::None);
    check("PUBLISH c m", Class::Write, Effect::None);
    check("FCALL f 0", Class::Write, Effect::None);
    check("FCALL_RO f 0", Class::Script, Effect::None);
    check("JSON.GET k", Class::Read, Effect::None);
    check("JSON.SET k $ 1", Class::Write, Effect::None);
    check("KEYS *", Class::Read, Effect::None);
    check("SCAN 0", Class::Read, Effect::Cursor);
}

#[test]
fn arguments_decide_where_they_must() {
    for read in [
        "SORT k",
        "SORT k BY w LIMIT 0 1 GET # ALPHA",
        "SORT_RO k",
        "GEORADIUS k 1 2 3 km COUNT 1",
        "GEORADIUSBYMEMBER k store 3 km",
        "GEORADIUS_RO k 1 2 3 km",
        "BITFIELD k",
        "BITFIELD k GET u8 0 OVERFLOW SAT get u8 1",
        "BITFIELD_RO k GET u8 0",
        "XREAD STREAMS s 0",
    ] {
        check(read, Class::Read, Effect::None);
    }
    for write in [
        "SORT k STORE d",
        "SORT k desc store d",
        "SORT k LIMIT 0 1 STORE d",
        "GEORADIUS k 1 2 3 km STORE d",
        "GEORADIUS k 1 2 3 km asc storedist d",
        "GEORADIUSBYMEMBER k m 3 km STORE d",
        "BITFIELD k SET u8 0 1",
        "BITFIELD k GET u8 0 INCRBY u8 0 1",
        "BITFIELD k OVERFLOW GET u8 0",
        "BITFIELD k GET u8",
        "XREADGROUP GROUP g c STREAMS s >",
    ] {
        check(write, Class::Write, Effect::None);
    }
    check("ACL LOG", Class::Inspect, Effect::None);
    check("ACL LOG 5", Class::Inspect, Effect::None);
    check("ACL LOG reset", Class::Admin, Effect::None);
}

#[test]
fn a_command_blocks_only_with_a_time_out() {
    check("BLPOP k 0", Class::Write, Effect::Block);
    check("BLPOP k x", Class::Write, Effect::None);
    check("BLMOVE a b LEFT LEFT", Class::Write, Effect::None);
    check("XREAD BLOCK 0 STREAMS s $", Class::Read, Effect::Block);
    check("XREAD STREAMS BLOCK 0", Class::Read, Effect::None);
    check(
        "XREADGROUP GROUP g c BLOCK 5 STREAMS s >",
        Class::Write,
        Effect::Block,
    );
    check("WAIT 1 100", Class::Session, Effect::Block);
    check("WAITAOF 1 1 100", Class::Session, Effect::Block);
}

#[test]
fn effects_on_the_session_are_known() {
    check("MULTI", Class::Session, Effect::Multi);
    check("HELLO 3", Class::Session, Effect::Hello);
    check("CLIENT SETNAME a", Class::Session, Effect::Pin);
    check("CLIENT GETNAME", Class::Session, Effect::None);
    check("CLIENT LIST", Class::Inspect, Effect::None);
    check("CLIENT REPLY OFF", Class::Session, Effect::ClientReply);
    check("CLIENT TRACKING ON", Class::Session, Effect::ClientTracking);
    check("CLIENT KILL 1", Class::Admin, Effect::PinOnce);
    check("CLIENT UNBLOCK 1", Class::Admin, Effect::None);
    check("SCRIPT EXISTS x", Class::Inspect, Effect::None);
    check("FUNCTION LIST", Class::Inspect, Effect::Echo);
    check("SCRIPT LOAD x", Class::Admin, Effect::Script);
    check("SCRIPT KILL", Class::Admin, Effect::PinOnce);
    check("EVAL x 0", Class::Write, Effect::Script);
    check("EVAL_RO x 0", Class::Script, Effect::Script);
    check("EVALSHA_RO x 0", Class::Script, Effect::ScriptBySha);
    check("EVALSHA x 0", Class::Write, Effect::ScriptBySha);
    check(
        "SSUBSCRIBE a",
        Class::Subscribe,
        Effect::Subscribe(Subscription::Shard),
    );
    check(
        "PUNSUBSCRIBE",
        Class::Subscribe,
        Effect::Unsubscribe(Subscription::Pattern),
    );
    check("MONITOR", Class::Inspect, Effect::Monitor);
    check("PSYNC ? -1", Class::Admin, Effect::Replicate);
    check("CONFIG RESETSTAT", Class::Admin, Effect::None);
    check("SLOWLOG RESET", Class::Admin, Effect::None);
    check("LATENCY RESET", Class::Admin, Effect::None);
    check("POST / HTTP/1.1", Class::Session, Effect::HttpRequest);
    check("Host: localhost", Class::Session, Effect::HttpRequest);
}

#[test]
fn what_is_not_in_the_table_may_write() {
    let unknown = Verdict::UNKNOWN;
    assert!(unknown.class.may_write());
    for line in [
        "NOSUCH",
        "CLIENT NOSUCH",
        "CONFIG",
        "CONFIG NOSUCH",
        "COMMAND NOSUCH",
        "XINFO",
        "SUBSCRIBEX a",
        "GET\0 k",
        "GEORADIUSBYMEMBER_ROGEORADIUSBYMEMBER_ROGEORADIUSBYMEMBER_ROGEORADIUSBYMEMBER_RO k",
    ] {
        check(line, unknown.class, unknown.effect);
    }
    let table = Table::builtin();
    assert_eq!(
        kit::with(&[b""], |request| table.classify(request).id),
        CommandId::UNKNOWN
    );
    assert_eq!(table.name(CommandId::UNKNOWN), "other");
}

#[test]
fn a_name_is_the_same_however_it_is_framed() {
    let table = Table::builtin();
    let id = table
        .find(b"CONFIG", Some(b"SET"))
        .map(|(id, _)| id)
        .unwrap();
    assert_eq!(table.name(id), "CONFIG SET");
    for bytes in [
        &b"*4\r\n$6\r\nCONFIG\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n"[..],
        b"*4\r\n$6\r\ncOnFiG\r\n$3\r\nset\r\n$1\r\na\r\n$1\r\nb\r\n",
        b"config set a b\r\n",
        b"  \"config\" 'set' a b\n",
    ] {
        assert_eq!(kit::framed(bytes, |request| table.classify(request).id), id);
    }
}

#[test]
fn arity_counts_the_name() {
    let table = Table::builtin();
    let fits = |name: &[u8], len| {
        table
            .find(name, None)
            .is_some_and(|(_, command)| command.arity_fits(len))
    };
    assert!(fits(b"GET", 2) && !fits(b"GET", 1) && !fits(b"GET", 3));
    assert!(fits(b"DEL", 2) && fits(b"DEL", 9) && !fits(b"DEL", 1));
}

proptest! {
    #[test]
    fn any_case_gives_the_same_verdict(index in 0..Table::builtin().len(), flips in any::<u64>()) {
        let table = Table::builtin();
        let upper = table.commands()[index].name.to_string();
        let mixed: String = upper
            .chars()
            .enumerate()
            .map(|(at, letter)| if flips >> (at % 64) & 1 == 1 { letter.to_ascii_lowercase() } else { letter })
            .collect();
        prop_assert_eq!(kit::line(&mixed, |request| usize::from(table.classify(request).id.0)), index);
    }

    #[test]
    fn arbitrary_words_do_no_harm(words in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..6)) {
        let table = Table::builtin();
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        kit::with(&words, |request| {
            let verdict = table.classify(request);
            prop_assert!(verdict.id != CommandId::UNKNOWN || verdict.class.may_write());
            prop_assert_eq!(verdict.command.is_none(), verdict.id == CommandId::UNKNOWN);
            Ok(())
        })?;
    }

    /// Known names in front of arbitrary arguments: what reaches the code that looks at arguments.
    #[test]
    fn arbitrary_arguments_do_no_harm(
        index in 0..Table::builtin().len(),
        words in prop::collection::vec(
            prop_oneof![
                "(?i)store|storedist|get|overflow|block|streams|group|count|keys|reset|limit|auth2?|by",
                "-?[0-9]{0,20}(\\.[0-9]*)?",
                ".{0,4}",
            ],
            0..10,
        ),
    ) {
        let table = Table::builtin();
        let command = &table.commands()[index];
        let mut arguments: Vec<&[u8]> = command.name.split(' ').map(str::as_bytes).collect();
        arguments.extend(words.iter().map(String::as_bytes));
        kit::with(&arguments, |request| {
            let verdict = table.classify(request);
            let keys = keys::keys(command, request).count();
            prop_assert!(keys < arguments.len());
            let blocks = blocking::time_limit(request).is_some();
            prop_assert_eq!(verdict.effect == Effect::Block, blocks);
            Ok(())
        })?;
    }
}
