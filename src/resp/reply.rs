//! What servers send: where a reply ends, and of which kind it is. RESP2 and RESP3, every type, pushes included.
//!
//! Only boundaries are judged. What stands in a line (`:abc`) is passed on for the client to judge, as it would be
//! without a proxy; but a frame whose end is in doubt is an error, since the next reply would reach the wrong session.
//!
//! Refuses to know: which request a reply answers, what it says.

mod scanner;
#[cfg(test)]
mod tests;

pub use scanner::{Progress, Scanner};

/// The type of a frame. A leading attribute belongs to the frame it precedes, whose kind counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `+`: a one-line string.
    Simple,
    /// `-`: a one-line error.
    Error,
    /// `:`
    Integer,
    /// `$`: a string with its length, or in pieces.
    Bulk,
    /// `_`, and RESP2's `$-1` and `*-1`.
    Null,
    /// `*`
    Array,
    /// `#`
    Boolean,
    /// `,`
    Double,
    /// `(`
    BigNumber,
    /// `!`: an error with its length.
    BlobError,
    /// `=`: a string with its length and format.
    Verbatim,
    /// `%`
    Map,
    /// `~`
    Set,
    /// `>`: what the server sends unasked.
    Push,
    /// `|`: only while a frame is unfinished, of which nothing has come but its leading attribute.
    Attribute,
}

/// Bytes that are no RESP. The connection they came from cannot be understood any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// No type begins with this byte, or not in this place.
    #[error("unexpected type byte '{}'", .0.escape_ascii())]
    UnexpectedType(u8),
    /// A length is no number, or none that this type (its first byte) can have.
    #[error("invalid length after '{}'", .0.escape_ascii())]
    InvalidLength(u8),
    /// The bytes after a string with a length are no line end.
    #[error("a string is longer than it said")]
    MissingLineEnd,
    /// Streamed aggregates are nested deeper than anyone nests them.
    #[error("streamed aggregates are nested too deep")]
    TooDeep,
}
