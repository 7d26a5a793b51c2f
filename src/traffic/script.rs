//! What a script does, as far as its text tells: which commands it calls, and whether the keys it uses are those that its
//! caller declares.
//!
//! A script is read, not run. What its text does not tell, a name that comes out of a table or another call, is no
//! finding. Pure.

mod lua;

use std::collections::HashMap;

use self::lua::{Kind, Token};
use crate::command::keys::Keys;
use crate::command::{CommandId, Table};

/// Bytes of a script that are read; what stands behind them is not looked at.
const TEXT_BYTES_MAX: usize = 64 << 10;
/// Commands of one script that are told apart.
const CALLS_MAX: usize = 64;
/// Words that one key is traced back through; what is more involved tells nothing.
const TRACED_MAX: u32 = 500;
/// Words between the brackets of one call, or on the right of one assignment, that are looked at.
const WORDS_MAX: usize = 500;

/// What the text of a script tells.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    /// The commands it calls by name.
    pub(super) calls: Vec<CommandId>,
    /// The first call with a key that is no declared one.
    pub(super) undeclared: Option<String>,
    /// The first call with a key whose name is made of a declared one.
    pub(super) derived: Option<String>,
    /// A call whose key may be anything: undeclared, where none was declared.
    pub(super) unclear: Option<String>,
    /// Whether it calls `redis.set_repl`.
    pub(super) replication: Replication,
}

/// Whether a script interferes with the replication of its effects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Replication {
    #[default]
    LeftAlone,
    Set,
}

/// Where the name of a key comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    /// It is a declared key.
    Declared,
    /// Nobody knows.
    Unclear,
    /// It is made of a declared key and something else.
    Derived,
    /// It stands in the text, or is an argument.
    Undeclared,
}

/// Reads a script.
pub(super) fn read(text: &[u8], table: &Table) -> Reading {
    let text = &text[..text.len().min(TEXT_BYTES_MAX)];
    let tokens = lua::tokens(text);
    let mut reader = Reader {
        table,
        text,
        names: HashMap::new(),
        reading: Reading::default(),
    };
    let mut at = 0;
    while at < tokens.len() {
        at = reader.step(&tokens, at);
    }
    reader.reading
}

/// Goes through a script from its beginning to its end.
struct Reader<'a> {
    table: &'a Table,
    text: &'a [u8],
    /// What the variables seen so far were last given.
    names: HashMap<&'a [u8], &'a [Token<'a>]>,
    reading: Reading,
}

impl<'a> Reader<'a> {
    /// Looks at what begins at `at`; gives where to go on.
    fn step<'t: 'a>(&mut self, tokens: &'t [Token<'a>], at: usize) -> usize {
        let rest = &tokens[at..];
        if let Some(open) = called(rest, &self.names) {
            let arguments = arguments(first_words(&rest[open + 1..]));
            self.call(&arguments, rest[0].at);
            // Its arguments may hold further calls.
            return at + open + 1;
        }
        if is_path(rest, &["set_repl"]) {
            self.reading.replication = Replication::Set;
        }
        if let Some((names, values)) = assigned(first_words(rest)) {
            for (at, name) in names.iter().enumerate() {
                // What a function gives to several names, it gives to each.
                if let Some(value) = values.get(at).or(values.last()) {
                    self.names.insert(name, value);
                }
            }
            // Each name, and the comma or the sign behind it.
            return at + 2 * names.len();
        }
        at + 1
    }

    fn call(&mut self, arguments: &[&'a [Token<'a>]], at: usize) {
        let Some(
            [
                Token {
                    kind: Kind::Text(name),
                    ..
                },
            ],
        ) = arguments.first()
        else {
            return;
        };
        let subcommand = match arguments.get(1) {
            Some(
                [
                    Token {
                        kind: Kind::Text(text),
                        ..
                    },
                ],
            ) => Some(&**text),
            _ => None,
        };
        let Some((id, command)) = self.table.find(name, subcommand) else {
            return;
        };
        if !self.reading.calls.contains(&id) && self.reading.calls.len() < CALLS_MAX {
            self.reading.calls.push(id);
        }
        let keys = key_positions(command.keys, arguments);
        let worst = keys
            .into_iter()
            .filter_map(|position| arguments.get(position))
            .map(|key| self.origin(key, &mut TRACED_MAX.clone()))
            .max();
        let place = match worst {
            None | Some(Origin::Declared) => return,
            Some(Origin::Unclear) => &mut self.reading.unclear,
            Some(Origin::Derived) => &mut self.reading.derived,
            Some(Origin::Undeclared) => &mut self.reading.undeclared,
        };
        place.get_or_insert_with(|| excerpt(self.text, at));
    }

    /// Where the value of an expression comes from; `left` is how many more words may be traced.
    fn origin(&self, expression: &[Token<'a>], left: &mut u32) -> Origin {
        let mut found = Vec::new();
        let mut is_made_up = false;
        for (at, token) in expression.iter().enumerate() {
            if *left == 0 || is_path(&expression[at..], &["call", "pcall"]) {
                return Origin::Unclear;
            }
            *left -= 1;
            match &token.kind {
                Kind::Name(b"KEYS") => found.push(Origin::Declared),
                Kind::Name(b"ARGV") | Kind::Text(_) => found.push(Origin::Undeclared),
                Kind::Concatenation => is_made_up = true,
                // What these give comes from what they are given.
                Kind::Name(b"ipairs" | b"pairs" | b"unpack" | b"tostring")
                | Kind::Number
                | Kind::Mark(_) => {}
                Kind::Name(name) => found.push(match self.names.get(name) {
                    Some(value) => self.origin(value, left),
                    None => Origin::Unclear,
                }),
            }
        }
        let mentions = |origin| found.contains(&origin);
        if mentions(Origin::Derived) || (mentions(Origin::Declared) && is_made_up) {
            Origin::Derived
        } else if mentions(Origin::Declared) {
            Origin::Declared
        } else if found.first() == Some(&Origin::Undeclared)
            || (mentions(Origin::Undeclared) && !mentions(Origin::Unclear))
        {
            Origin::Undeclared
        } else {
            Origin::Unclear
        }
    }
}

/// As many words as are looked at.
fn first_words<'t, 'a>(tokens: &'t [Token<'a>]) -> &'t [Token<'a>] {
    &tokens[..tokens.len().min(WORDS_MAX)]
}

/// Where the bracket of a call of `redis.call` or `redis.pcall` opens, by whatever name.
fn called(tokens: &[Token<'_>], names: &HashMap<&[u8], &[Token<'_>]>) -> Option<usize> {
    let is_open = |at: usize| {
        tokens
            .get(at)
            .is_some_and(|token| token.kind == Kind::Mark(b'('))
    };
    if is_path(tokens, &["call", "pcall"]) {
        return is_open(3).then_some(3);
    }
    let Kind::Name(alias) = &tokens.first()?.kind else {
        return None;
    };
    let stands_for = names.get(alias)?;
    (is_open(1) && stands_for.len() == 3 && is_path(stands_for, &["call", "pcall"])).then_some(1)
}

/// Whether the tokens begin with `redis.` or `server.` and one of these words.
fn is_path(tokens: &[Token<'_>], words: &[&str]) -> bool {
    match tokens {
        [
            Token {
                kind: Kind::Name(b"redis" | b"server"),
                ..
            },
            Token {
                kind: Kind::Mark(b'.'),
                ..
            },
            Token {
                kind: Kind::Name(word),
                ..
            },
            ..,
        ] => words.iter().any(|it| it.as_bytes() == *word),
        _ => false,
    }
}

/// The arguments up to the bracket that closes, without what is nested in them.
fn arguments<'t, 'a>(tokens: &'t [Token<'a>]) -> Vec<&'t [Token<'a>]> {
    let mut depth = 0_u32;
    let (mut begin, mut found) = (0, Vec::new());
    for (at, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::Mark(b'(' | b'{' | b'[') => depth += 1,
            Kind::Mark(b')') if depth == 0 => {
                found.push(&tokens[begin..at]);
                return found;
            }
            Kind::Mark(b')' | b'}' | b']') => depth = depth.saturating_sub(1),
            Kind::Mark(b',') if depth == 0 => {
                found.push(&tokens[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    Vec::new()
}

/// What the tokens give to which names: `a, b = x, y` up to the end of the line, `for a, b in x do`.
#[allow(clippy::type_complexity)] // names and values, used in one place
fn assigned<'t, 'a>(tokens: &'t [Token<'a>]) -> Option<(Vec<&'a [u8]>, Vec<&'t [Token<'a>]>)> {
    let mut names = Vec::new();
    let mut rest = tokens;
    loop {
        let [
            Token {
                kind: Kind::Name(name),
                ..
            },
            then,
            ..,
        ] = rest
        else {
            return None;
        };
        names.push(*name);
        match then.kind {
            Kind::Mark(b',') => rest = &rest[2..],
            Kind::Mark(b'=') | Kind::Name(b"in") => break,
            _ => return None,
        }
    }
    let values = &rest[2..];
    let line = rest[1].line;
    // A bracket that is open at the end of a line goes on in the next.
    let mut depth = 0_i32;
    let end = values.iter().position(|token| {
        let ends = depth <= 0
            && (token.line > line
                || matches!(token.kind, Kind::Mark(b';') | Kind::Name(b"do" | b"local")));
        match token.kind {
            Kind::Mark(b'(' | b'{' | b'[') => depth += 1,
            Kind::Mark(b')' | b'}' | b']') => depth -= 1,
            _ => {}
        }
        ends
    });
    let values = &values[..end.unwrap_or(values.len())];
    Some((names, split(values)))
}

/// Parts between commas that stand outside of brackets.
fn split<'t, 'a>(tokens: &'t [Token<'a>]) -> Vec<&'t [Token<'a>]> {
    let mut depth = 0_i32;
    tokens
        .split(|token| {
            match token.kind {
                Kind::Mark(b'(' | b'{' | b'[') => depth += 1,
                Kind::Mark(b')' | b'}' | b']') => depth -= 1,
                _ => {}
            }
            depth <= 0 && token.kind == Kind::Mark(b',')
        })
        .collect()
}

/// Which of a call's arguments are keys; the command's name is the first argument.
fn key_positions(keys: Keys, arguments: &[&[Token<'_>]]) -> Vec<usize> {
    let len = arguments.len();
    match keys {
        Keys::None | Keys::Migrate => Vec::new(),
        Keys::Range { first, last, step } => {
            let from_end = usize::from(last.unsigned_abs());
            let end = if last < 0 {
                (len + 1).saturating_sub(from_end)
            } else {
                from_end + 1
            };
            (usize::from(first)..end)
                .step_by(usize::from(step).max(1))
                .collect()
        }
        Keys::Counted {
            position, target, ..
        } => {
            let first = usize::from(position) + 1;
            if target { vec![1, first] } else { vec![first] }
        }
        Keys::Streams => {
            let is_streams = |argument: &&[Token<'_>]| matches!(argument, [Token { kind: Kind::Text(word), .. }] if word.eq_ignore_ascii_case(b"STREAMS"));
            arguments
                .iter()
                .position(is_streams)
                .map(|at| at + 1)
                .into_iter()
                .collect()
        }
        Keys::Store => vec![1],
    }
}

/// The line of a call, for people.
fn excerpt(text: &[u8], at: usize) -> String {
    /// What identifies a call stands at its front.
    const BYTES_MAX: usize = 96;
    let rest = &text[at..];
    let end = memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
    rest[..end.min(BYTES_MAX)]
        .trim_ascii()
        .escape_ascii()
        .to_string()
        .replace("\\'", "'")
        .replace("\\\"", "\"")
}

#[cfg(test)]
mod tests;
