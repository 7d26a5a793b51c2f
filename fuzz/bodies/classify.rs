//! The classifier: a request has one verdict however it is framed and spelled; what servers flag as a write is one but
//! for the few commands whose arguments decide; no server makes the table looser.

use std::sync::OnceLock;
use std::time::Duration;

use handover::command::{
    Class, Command, CommandId, Effect, Flags, ServerCommand, Table, blocking, keys,
};
use handover::resp::request::{Form, Limits, Request, Scanned, Scanner, canonical};

use super::plan;

/// Arguments of one request: more would only be slow.
const ARGUMENTS_MAX: usize = 64;

/// A verdict that can be compared.
type Seen = (CommandId, Class, Effect, Option<usize>);

/// Plan: which letters change their case, what a server says. The input is one line of words for each argument.
pub fn check(input: &[u8]) {
    let ([cases, said], text) = plan(input);
    let arguments: Vec<&[u8]> = text
        .split(|byte| *byte == b'\n')
        .take(ARGUMENTS_MAX)
        .collect();
    let table = table();
    let expected = array(&arguments, |frame| look(table, frame));
    let respelled = spelled(&arguments, cases);
    let respelled: Vec<&[u8]> = respelled.iter().map(Vec::as_slice).collect();
    assert_eq!(array(&respelled, |frame| look(table, frame)), expected);
    for framed in [loose(&arguments), quoted(&respelled), quoted(&arguments)] {
        assert_eq!(
            look(table, &anew(&framed)),
            expected,
            "{}",
            framed.escape_ascii()
        );
    }
    if said > 0 {
        no_looser(said, &arguments, expected);
    }
}

fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(Table::builtin)
}

/// The verdict about a canonical frame, and everything that is asked about one.
fn look(table: &Table, frame: &[u8]) -> Seen {
    let Ok(Scanned::Request(shape)) = Scanner::default().scan(frame, &Limits::redis()) else {
        panic!("not a request: {}", frame.escape_ascii());
    };
    let request = Request::new(frame, &shape);
    let verdict = table.classify(&request);
    if let Some(limit) = blocking::time_limit(&request) {
        let shorter = blocking::with_time_left(&request, Duration::from_millis(7));
        let Ok(Scanned::Request(shape)) = Scanner::default().scan(&shorter, &Limits::redis())
        else {
            panic!("{limit:?} made {}", shorter.escape_ascii());
        };
        let shorter = Request::new(&shorter, &shape);
        assert_eq!(
            (shorter.name(), shorter.len()),
            (request.name(), request.len())
        );
    }
    if let Some(command) = verdict.command {
        assert!(keys::keys(command, &request).count() <= request.len());
        sound(command, verdict.class, &request);
    } else {
        assert_eq!(
            (verdict.class, verdict.id),
            (Class::Write, CommandId::UNKNOWN)
        );
    }
    (
        verdict.id,
        verdict.class,
        verdict.effect,
        verdict
            .command
            .map(|command| std::ptr::from_ref(command).addr()),
    )
}

/// A command that servers flag as a write, or as administration, is let through only for its arguments or by name.
fn sound(command: &Command, class: Class, request: &Request<'_>) {
    if class.may_write() || !(command.flags.is_write() || command.may_replicate()) {
        return;
    }
    // Where its options begin: what stands before them is a number or a unit to the server, whatever it is called.
    let stores = |from: usize| {
        let mut options = request.arguments().skip(from);
        options.any(|it| it.eq_ignore_ascii_case(b"STORE") || it.eq_ignore_ascii_case(b"STOREDIST"))
    };
    let reads = match &*command.name {
        "SORT" => !stores(2),
        "GEORADIUS" => !stores(6),
        "GEORADIUSBYMEMBER" => !stores(5),
        "BITFIELD" => request.argument(2).is_none_or(|it| {
            !it.eq_ignore_ascii_case(b"SET") && !it.eq_ignore_ascii_case(b"INCRBY")
        }),
        _ => false,
    };
    assert!(reads, "{} is taken for {class:?}", command.name);
}

/// A server describes the command, with whatever flags and positions.
fn no_looser(said: u8, arguments: &[&[u8]], before: Seen) {
    let words = [
        "write",
        "readonly",
        "admin",
        "@dangerous",
        "blocking",
        "pubsub",
    ];
    let flags = Flags::from_words(
        (0..words.len())
            .filter(|bit| said >> bit & 1 == 1)
            .map(|bit| words[bit].as_bytes()),
    );
    let position = i64::from(said) - 100;
    let subcommand = [arguments[0], arguments.get(1).copied().unwrap_or_default()].join(&b'|');
    let entry = |name| ServerCommand {
        name,
        arity: position,
        flags,
        keys: (position, -position, position),
    };
    let server = [entry(arguments[0]), entry(&subcommand)];
    let table = table().overlay(&server.into_iter().take(1 + usize::from(said & 1)).collect());
    let (id, class, ..) = array(arguments, |frame| look(&table, frame));
    if before.0 != CommandId::UNKNOWN {
        assert_eq!(id, before.0);
        assert!(
            class.may_write() || !before.1.may_write(),
            "looser: {class:?}"
        );
    } else if !class.may_write() {
        assert!(
            flags.is_readonly() && !flags.is_write(),
            "{flags:?}: {class:?}"
        );
    }
}

fn array<T>(arguments: &[&[u8]], look: impl FnOnce(&[u8]) -> T) -> T {
    let mut frame = format!("*{}\r\n", arguments.len()).into_bytes();
    for argument in arguments {
        frame.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        frame.extend_from_slice(argument);
        frame.extend_from_slice(b"\r\n");
    }
    look(&frame)
}

/// An array whose line ends are none.
fn loose(arguments: &[&[u8]]) -> Vec<u8> {
    let mut frame = format!("*{}\r#", arguments.len()).into_bytes();
    for argument in arguments {
        frame.extend_from_slice(format!("${}\r!", argument.len()).as_bytes());
        frame.extend_from_slice(argument);
        frame.extend_from_slice(b"ab");
    }
    frame
}

/// A line of words, every byte of them escaped.
fn quoted(arguments: &[&[u8]]) -> Vec<u8> {
    let mut line = Vec::new();
    for argument in arguments {
        line.extend_from_slice(b" \t\"");
        for byte in *argument {
            line.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
        }
        line.push(b'"');
    }
    line.push(b'\n');
    line
}

/// As it is written anew before it is looked at.
fn anew(framed: &[u8]) -> Vec<u8> {
    let limits = Limits {
        inline_bytes: usize::MAX,
        ..Limits::redis()
    };
    let Ok(Scanned::Request(shape)) = Scanner::default().scan(framed, &limits) else {
        panic!("not a request: {}", framed.escape_ascii());
    };
    assert_ne!(shape.form, Form::Canonical);
    assert_eq!(shape.length, framed.len());
    canonical(framed, &shape).expect("the scanner accepted it")
}

/// Other cases of the letters of the name, and of its subcommand's where it has one.
fn spelled(arguments: &[&[u8]], cases: u8) -> Vec<Vec<u8>> {
    let known = table().find(arguments[0], arguments.get(1).copied());
    let names = known.map_or(1, |(_, command)| command.name.split(' ').count());
    let respell = |(index, argument): (usize, &&[u8])| {
        let mut argument = argument.to_vec();
        for (at, byte) in argument.iter_mut().enumerate() {
            if index < names && cases >> (at % 8) & 1 == 1 && byte.is_ascii_alphabetic() {
                *byte ^= 0x20;
            }
        }
        argument
    };
    arguments.iter().enumerate().map(respell).collect()
}
