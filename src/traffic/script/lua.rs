//! The words of a Lua script. Comments and white space are passed over; what is no Lua gives words all the same.

use std::borrow::Cow;

/// One word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token<'a> {
    /// What it is.
    pub(super) kind: Kind<'a>,
    /// Where it begins.
    pub(super) at: usize,
    /// In which line.
    pub(super) line: u32,
}

/// What a word is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind<'a> {
    /// A name or a keyword.
    Name(&'a [u8]),
    /// A string, as it is between its quotes.
    Text(Cow<'a, [u8]>),
    /// A number.
    Number,
    /// `..`
    Concatenation,
    /// Anything else, byte by byte.
    Mark(u8),
}

/// The words of `text`.
pub(super) fn tokens(text: &[u8]) -> Vec<Token<'_>> {
    let mut cursor = Cursor {
        text,
        at: 0,
        line: 1,
    };
    let mut found = Vec::new();
    while let Some(token) = cursor.next_token() {
        found.push(token);
    }
    found
}

struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
    line: u32,
}

impl<'a> Cursor<'a> {
    fn next_token(&mut self) -> Option<Token<'a>> {
        self.pass_over();
        let (at, line) = (self.at, self.line);
        let rest = &self.text[at..];
        let first = *rest.first()?;
        let kind = match first {
            b'"' | b'\'' => self.quoted(first),
            b'[' if long_level(rest).is_some() => Kind::Text(Cow::Borrowed(self.long())),
            b'.' if rest.starts_with(b"..") => {
                self.at += 2;
                Kind::Concatenation
            }
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => Kind::Name(self.word()),
            b'0'..=b'9' => {
                self.word();
                Kind::Number
            }
            other => {
                self.at += 1;
                Kind::Mark(other)
            }
        };
        Some(Token { kind, at, line })
    }

    /// White space and comments.
    fn pass_over(&mut self) {
        loop {
            let rest = &self.text[self.at..];
            match rest {
                [b'\n', ..] => {
                    self.line += 1;
                    self.at += 1;
                }
                [b' ' | b'\t' | b'\r' | b'\x0b' | b'\x0c', ..] => self.at += 1,
                [b'-', b'-', comment @ ..] => {
                    self.at += 2;
                    if long_level(comment).is_some() {
                        self.long();
                    } else {
                        self.at += memchr::memchr(b'\n', comment).unwrap_or(comment.len());
                    }
                }
                _ => return,
            }
        }
    }

    fn word(&mut self) -> &'a [u8] {
        let rest = &self.text[self.at..];
        let length = rest
            .iter()
            .position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_')
            .unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    fn quoted(&mut self, quote: u8) -> Kind<'a> {
        self.at += 1;
        let begin = self.at;
        let mut has_escapes = false;
        while let Some(byte) = self.text.get(self.at) {
            match byte {
                b'\\' => {
                    has_escapes = true;
                    self.at += 2;
                }
                b'\n' => {
                    self.line += 1;
                    self.at += 1;
                }
                _ if *byte == quote => break,
                _ => self.at += 1,
            }
        }
        self.at = self.at.min(self.text.len());
        let inside = &self.text[begin..self.at];
        self.at = (self.at + 1).min(self.text.len());
        Kind::Text(if has_escapes {
            Cow::Owned(
                inside
                    .iter()
                    .copied()
                    .filter(|byte| *byte != b'\\')
                    .collect(),
            )
        } else {
            Cow::Borrowed(inside)
        })
    }

    /// A string or comment in long brackets, which begins here.
    fn long(&mut self) -> &'a [u8] {
        let rest = &self.text[self.at..];
        let level = long_level(rest).unwrap_or(0);
        let begin = level + 2;
        let mut closing = vec![b']'];
        closing.resize(level + 1, b'=');
        closing.push(b']');
        let inside = rest.get(begin..).unwrap_or_default();
        let length = memchr::memmem::find(inside, &closing).unwrap_or(inside.len());
        let inside = &inside[..length];
        self.line += memchr::memchr_iter(b'\n', inside).count() as u32;
        self.at = (self.at + begin + length + closing.len()).min(self.text.len());
        inside
    }
}

/// How many `=` stand in the long bracket that `text` begins with.
fn long_level(text: &[u8]) -> Option<usize> {
    let inside = text.strip_prefix(b"[")?;
    let level = inside.iter().take_while(|byte| **byte == b'=').count();
    (inside.get(level) == Some(&b'[')).then_some(level)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<Kind<'_>> {
        tokens(text.as_bytes())
            .into_iter()
            .map(|token| token.kind)
            .collect()
    }

    fn text(text: &str) -> Kind<'_> {
        Kind::Text(Cow::Borrowed(text.as_bytes()))
    }

    #[test]
    fn words_strings_and_marks_are_told_apart() {
        assert_eq!(
            kinds("local a = 'x' .. KEYS[1]"),
            [
                Kind::Name(b"local"),
                Kind::Name(b"a"),
                Kind::Mark(b'='),
                text("x"),
                Kind::Concatenation,
                Kind::Name(b"KEYS"),
                Kind::Mark(b'['),
                Kind::Number,
                Kind::Mark(b']'),
            ]
        );
        assert_eq!(
            kinds(r#""a'b" 'c\'d' [[e]] [==[f]]g]==]"#),
            [text("a'b"), text("c'd"), text("e"), text("f]]g")]
        );
    }

    #[test]
    fn comments_are_passed_over() {
        assert_eq!(
            kinds("a -- b 'c\n--[[ d\ne ]] f"),
            [Kind::Name(b"a"), Kind::Name(b"f")]
        );
        assert_eq!(tokens(b"--[[\n]] f")[0].line, 2);
    }

    #[test]
    fn what_does_not_end_ends_with_the_text() {
        for unfinished in ["'", "'a\\", "[[a", "--[==[ x", "[=", "a..", "--"] {
            let _ = kinds(unfinished);
        }
    }
}
