//! What clients send: where a request ends, how many arguments it has, where the first ones are.
//!
//! Accepts and refuses what Redis's own parser does (`processMultibulkBuffer` and `processInlineBuffer` of its
//! `networking.c`), with its texts and at the same byte of the stream. Redis does not look at the byte after `\r`, nor
//! at the two bytes after a bulk string; a frame that makes use of that is [`Form::Loose`] and is written anew before
//! anyone else reads it, so that no two parsers can disagree about a frame that is forwarded.
//!
//! Refuses to know: what the arguments mean.

mod canonical;
mod inline;
mod scanner;
#[cfg(test)]
mod tests;
mod view;

pub use canonical::canonical;
pub use scanner::{Scanned, Scanner};
pub use view::Request;

/// How many of the first arguments a [`Shape`] locates: the name and what the command table asks for most (subcommand,
/// first keys, the options that follow them). The others are found by walking.
const LOCATED: usize = 4;

/// What a client may send at most. The defaults are Redis's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one argument (`proto-max-bulk-len`).
    pub bulk_bytes: u64,
    /// Arguments of one request, the name included.
    pub arguments: u32,
    /// Bytes of an inline request, or of a header line, whose end has not come.
    pub inline_bytes: usize,
}

/// How a request was framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// An array of bulk strings, exactly as the protocol has it: may be forwarded as it is.
    #[default]
    Canonical,
    /// An array that Redis accepts although line ends are missing or wrong.
    Loose,
    /// A line of words.
    Inline,
}

/// The measures of one request that is whole.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Bytes of the frame, its line ends included.
    pub length: usize,
    /// Arguments, the name included; at least one.
    pub arguments: u32,
    /// How it was framed.
    pub form: Form,
    /// Where the first arguments are, in an array.
    first: Positions,
}

/// Where the first arguments of an array are.
#[derive(Debug, Clone, Copy, Default)]
struct Positions {
    /// Start and end in the frame. Invariant: the first `known` are set, `start <= end <= length of the frame`.
    spans: [(u32, u32); LOCATED],
    /// How many are known: fewer than [`LOCATED`] if the request has fewer, or if they lie beyond what 32 bits count.
    known: u8,
}

/// A request that Redis would answer with an error and a closed connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// The number of arguments is no number, or more than the limit.
    #[error("invalid multibulk length")]
    InvalidMultibulkLength,
    /// The length of an argument is no number, negative, or more than the limit.
    #[error("invalid bulk length")]
    InvalidBulkLength,
    /// An argument does not begin with `$` but with this byte.
    #[error("expected '$', got '{}'", .0.escape_ascii())]
    ExpectedDollar(u8),
    /// The line with the number of arguments does not end.
    #[error("too big mbulk count string")]
    TooBigMultibulkCount,
    /// The line with the length of an argument does not end.
    #[error("too big bulk count string")]
    TooBigBulkCount,
    /// An inline request does not end.
    #[error("too big inline request")]
    TooBigInlineRequest,
    /// A quote of an inline request is not closed, or something follows the closing one directly.
    #[error("unbalanced quotes in request")]
    UnbalancedQuotes,
    /// More arguments than a client may send that has not authenticated.
    #[error("unauthenticated multibulk length")]
    UnauthenticatedMultibulkLength,
    /// A longer argument than a client may send that has not authenticated.
    #[error("unauthenticated bulk length")]
    UnauthenticatedBulkLength,
}

impl Limits {
    /// What Redis allows by default.
    pub const fn redis() -> Limits {
        Limits {
            bulk_bytes: 512 * 1024 * 1024,
            arguments: i32::MAX as u32,
            inline_bytes: 64 * 1024,
        }
    }

    /// What Redis allows a client that has yet to authenticate. The scanner knows these limits by their values and words
    /// its errors accordingly.
    pub const fn unauthenticated() -> Limits {
        Limits {
            bulk_bytes: 16 * 1024,
            arguments: 10,
            inline_bytes: 64 * 1024,
        }
    }

    /// Whether these are the limits before authentication.
    fn are_unauthenticated(&self) -> bool {
        let other = Limits::unauthenticated();
        self.bulk_bytes == other.bulk_bytes && self.arguments == other.arguments
    }
}

impl Positions {
    /// Notes the next argument, if it is one of the first and 32 bits reach it.
    fn note(&mut self, start: usize, end: usize) {
        let known = usize::from(self.known);
        if known < LOCATED
            && let (Ok(start), Ok(end)) = (u32::try_from(start), u32::try_from(end))
        {
            self.spans[known] = (start, end);
            self.known += 1;
        }
    }

    /// Start and end of the argument at `index`, if it is known.
    fn get(&self, index: usize) -> Option<(usize, usize)> {
        let (start, end) = *self.spans[..usize::from(self.known)].get(index)?;
        Some((start as usize, end as usize))
    }
}

impl ProtocolError {
    /// The reply that Redis gives before it closes the connection, line end included.
    pub fn client_text(&self) -> Vec<u8> {
        let mut text = b"ERR Protocol error: ".to_vec();
        match self {
            // The byte itself, whatever it is; a line break becomes a space.
            ProtocolError::ExpectedDollar(got) => {
                text.extend_from_slice(b"expected '$', got '");
                text.extend_from_slice(&[*got, b'\'']);
            }
            other => text.extend_from_slice(other.to_string().as_bytes()),
        }
        let mut reply = Vec::with_capacity(text.len() + 3);
        super::encode::line(b'-', &text, &mut reply);
        reply
    }
}
