//! Finds the ends of replies as their bytes pass by. Needs no byte a second time.
//!
//! Nesting needs no stack: elements of aggregates that said their length are only counted, inner and outer ones
//! together. What is left in a frame is one number, and the frame has ended when it is zero. Only an aggregate of unknown
//! length ends by a mark, and the count of what encloses it waits on a stack of bounded depth.

use memchr::memchr;

use super::{Kind, ProtocolError};
use crate::resp::number;

/// How deep streamed aggregates may nest. No known server sends any; this bounds what a lying one makes us remember.
const STREAMED_DEPTH_MAX: usize = 128;

/// Room for the longest 64-bit number, its sign, and the `\r` after it.
const LENGTH_BYTES_MAX: usize = 21;

/// What a call has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// A frame has ended.
    Frame {
        /// Bytes of the input that belong to it (those of earlier calls not counted).
        length: usize,
        /// What it is.
        kind: Kind,
    },
    /// The whole input belongs to a frame that has not ended.
    Partial,
}

/// Scans the replies of one upstream connection, one after the other.
///
/// After an error the connection is to be closed; the scanner is of no further use.
#[derive(Debug, Default)]
pub struct Scanner {
    /// Where in an element the next byte belongs.
    place: Place,
    /// Elements to come in the open aggregates that said how many, up to the innermost streamed one. The frame itself
    /// counts as one. 0 between frames, and between the elements of a streamed aggregate.
    pending: u64,
    /// `pending` of what encloses each open streamed aggregate, from the outside in.
    enclosing: Vec<u64>,
    /// Whether a streamed string is open: its pieces follow one another.
    in_pieces: bool,
    /// The kind of the frame, once its own first byte was seen.
    kind: Option<Kind>,
    /// Whether the newest element is the frame itself, not part of it.
    outermost: bool,
}

/// A place in an element.
#[derive(Debug, Clone, Copy, Default)]
enum Place {
    /// Before its first byte.
    #[default]
    Start,
    /// In a line of text.
    Line,
    /// In a line of text, after a `\r`.
    LineAfterReturn,
    /// In the line that says how long it is.
    Length(LengthLine),
    /// In a string, with this many bytes to come, line end included. Invariant: not 0.
    Body(u64),
}

/// A line with a length that is not whole yet.
#[derive(Debug, Clone, Copy)]
struct LengthLine {
    /// The type it is the length of.
    lead: u8,
    /// What came after that.
    text: [u8; LENGTH_BYTES_MAX],
    /// How much that is.
    used: u8,
}

/// How far the walk came.
enum Step {
    /// The element is over: what comes next begins with a type byte.
    Ended,
    /// The input is used up.
    OutOfInput,
}

impl Scanner {
    /// What the frame is that has begun and not ended.
    pub fn kind(&self) -> Option<Kind> {
        self.kind
    }

    /// Takes bytes up to the end of at most one frame. What follows that end is for the next call.
    pub fn scan(&mut self, input: &[u8]) -> Result<Progress, ProtocolError> {
        let mut at = 0;
        loop {
            let step = match self.place {
                Place::Start => {
                    let Some(lead) = input.get(at) else {
                        return Ok(Progress::Partial);
                    };
                    at += 1;
                    self.begin(*lead, input, &mut at)?
                }
                Place::Line => self.line(input, &mut at),
                Place::LineAfterReturn => self.line_after_return(input, &mut at),
                Place::Length(line) => self.length_line(line, input, &mut at)?,
                Place::Body(left) => self.body(left, input, &mut at)?,
            };
            if let Step::OutOfInput = step {
                return Ok(Progress::Partial);
            }
            self.place = Place::Start;
            if self.pending == 0
                && self.enclosing.is_empty()
                && let Some(kind) = self.kind.take()
            {
                return Ok(Progress::Frame { length: at, kind });
            }
        }
    }

    /// The kind of the frame that has begun and not ended; none between frames. A `$-1` or `*-1` counts as [`Kind::Bulk`]
    /// or [`Kind::Array`] until it has ended.
    pub fn in_frame(&self) -> Option<Kind> {
        let begun = self.pending > 0 || !self.enclosing.is_empty();
        begun.then(|| self.kind.unwrap_or(Kind::Attribute))
    }

    /// An element begins with `lead`; `at` is behind that.
    #[inline]
    fn begin(&mut self, lead: u8, input: &[u8], at: &mut usize) -> Result<Step, ProtocolError> {
        if self.in_pieces != (lead == b';') {
            return Err(ProtocolError::UnexpectedType(lead));
        }
        if self.pending == 0 && self.enclosing.is_empty() {
            self.pending = 1;
        }
        self.outermost = self.kind.is_none() && self.pending == 1 && self.enclosing.is_empty();
        match lead {
            b'+' => Ok(self.begin_line(Kind::Simple, input, at)),
            b'-' => Ok(self.begin_line(Kind::Error, input, at)),
            b':' => Ok(self.begin_line(Kind::Integer, input, at)),
            b'_' => Ok(self.begin_line(Kind::Null, input, at)),
            b'#' => Ok(self.begin_line(Kind::Boolean, input, at)),
            b',' => Ok(self.begin_line(Kind::Double, input, at)),
            b'(' => Ok(self.begin_line(Kind::BigNumber, input, at)),
            b'$' => self.begin_measured(lead, Some(Kind::Bulk), input, at),
            b'!' => self.begin_measured(lead, Some(Kind::BlobError), input, at),
            b'=' => self.begin_measured(lead, Some(Kind::Verbatim), input, at),
            b'*' => self.begin_measured(lead, Some(Kind::Array), input, at),
            b'%' => self.begin_measured(lead, Some(Kind::Map), input, at),
            b'~' => self.begin_measured(lead, Some(Kind::Set), input, at),
            b'>' => self.begin_measured(lead, Some(Kind::Push), input, at),
            b'|' | b';' => self.begin_measured(lead, None, input, at),
            b'.' if self.pending == 0 => self.begin_measured(lead, None, input, at),
            other => Err(ProtocolError::UnexpectedType(other)),
        }
    }

    /// An element begins that is one line.
    #[inline]
    fn begin_line(&mut self, kind: Kind, input: &[u8], at: &mut usize) -> Step {
        if self.outermost {
            self.kind = Some(kind);
        }
        self.line(input, at)
    }

    /// An element begins whose first line says how long it is. Pieces, marks and attributes have no kind.
    #[inline]
    fn begin_measured(
        &mut self,
        lead: u8,
        kind: Option<Kind>,
        input: &[u8],
        at: &mut usize,
    ) -> Result<Step, ProtocolError> {
        if self.outermost {
            self.kind = kind;
        }
        if lead != b'.'
            && let Some((length, used)) = number::length_line(&input[*at..])
        {
            *at += used;
            return self.known_length(lead, length, input, at);
        }
        let line = LengthLine {
            lead,
            text: [0; LENGTH_BYTES_MAX],
            used: 0,
        };
        self.length_line(line, input, at)
    }

    /// Goes to the end of a line of text: the first `\r\n`, not a `\r` or a `\n` alone.
    #[inline]
    fn line(&mut self, input: &[u8], at: &mut usize) -> Step {
        while let Some(index) = memchr(b'\r', &input[*at..]) {
            *at += index + 1;
            match input.get(*at) {
                Some(b'\n') => {
                    *at += 1;
                    self.element_ended();
                    return Step::Ended;
                }
                Some(_) => {}
                None => {
                    self.place = Place::LineAfterReturn;
                    return Step::OutOfInput;
                }
            }
        }
        self.place = Place::Line;
        Step::OutOfInput
    }

    /// Goes on in a line of text whose `\r` was the last byte of an earlier input.
    fn line_after_return(&mut self, input: &[u8], at: &mut usize) -> Step {
        match input.get(*at) {
            Some(b'\n') => {
                *at += 1;
                self.element_ended();
                Step::Ended
            }
            Some(_) => self.line(input, at),
            None => Step::OutOfInput,
        }
    }

    /// Reads a length byte by byte: one that is unusual, or split.
    #[cold]
    fn length_line(
        &mut self,
        mut line: LengthLine,
        input: &[u8],
        at: &mut usize,
    ) -> Result<Step, ProtocolError> {
        let invalid = ProtocolError::InvalidLength(line.lead);
        while let Some(&byte) = input.get(*at) {
            *at += 1;
            let used = usize::from(line.used);
            if byte == b'\n' {
                let [text @ .., b'\r'] = &line.text[..used] else {
                    return Err(invalid);
                };
                return match (line.lead, text) {
                    (b'.', b"") => {
                        self.pending = self.enclosing.pop().unwrap_or_default();
                        self.element_ended();
                        Ok(Step::Ended)
                    }
                    (b'.', _) => Err(invalid),
                    (b'$' | b'*', b"-1") => {
                        if self.outermost {
                            self.kind = Some(Kind::Null);
                        }
                        self.element_ended();
                        Ok(Step::Ended)
                    }
                    (b'$' | b'*' | b'%' | b'~', b"?") => self.unknown_length(line.lead),
                    (lead, text) => {
                        let length =
                            number::parse(text).and_then(|length| u64::try_from(length).ok());
                        self.known_length(lead, length.ok_or(invalid)?, input, at)
                    }
                };
            }
            *line.text.get_mut(used).ok_or(invalid)? = byte;
            line.used += 1;
        }
        self.place = Place::Length(line);
        Ok(Step::OutOfInput)
    }

    /// The element has this many bytes, or elements, or pairs.
    #[inline]
    fn known_length(
        &mut self,
        lead: u8,
        length: u64,
        input: &[u8],
        at: &mut usize,
    ) -> Result<Step, ProtocolError> {
        let elements = match lead {
            b';' if length == 0 => {
                self.in_pieces = false;
                self.element_ended();
                return Ok(Step::Ended);
            }
            b'$' | b'!' | b'=' | b';' => return self.body(length.saturating_add(2), input, at),
            b'%' | b'|' => length.checked_mul(2),
            _ => Some(length),
        };
        // The aggregate itself is done with, its elements count in its place. An attribute is no element: what it
        // precedes is; which, between the elements of a streamed aggregate, is not counted yet.
        if lead != b'|' {
            self.element_ended();
        } else if self.pending == 0 {
            self.pending = 1;
        }
        self.pending = elements
            .and_then(|elements| self.pending.checked_add(elements))
            .ok_or(ProtocolError::InvalidLength(lead))?;
        Ok(Step::Ended)
    }

    /// The element ends by a mark.
    fn unknown_length(&mut self, lead: u8) -> Result<Step, ProtocolError> {
        if lead == b'$' {
            self.in_pieces = true;
            return Ok(Step::Ended);
        }
        if self.enclosing.len() == STREAMED_DEPTH_MAX {
            return Err(ProtocolError::TooDeep);
        }
        self.enclosing.push(self.pending);
        self.pending = 0;
        Ok(Step::Ended)
    }

    /// Goes over the bytes of a string and its line end, of which `left` are to come.
    #[inline]
    fn body(&mut self, left: u64, input: &[u8], at: &mut usize) -> Result<Step, ProtocolError> {
        let available = input.len() - *at;
        let taken = left.min(available as u64);
        // The line end's part in what is taken; its first byte has two to come, its last one.
        let line_end: &[u8] = if left == 1 { b"\n" } else { b"\r\n" };
        let missing = left - taken;
        let seen_of_end = &line_end[..line_end.len().saturating_sub(missing as usize)];
        *at += taken as usize;
        if !input[..*at].ends_with(seen_of_end) {
            return Err(ProtocolError::MissingLineEnd);
        }
        if missing > 0 {
            self.place = Place::Body(missing);
            return Ok(Step::OutOfInput);
        }
        if !self.in_pieces {
            self.element_ended();
        }
        Ok(Step::Ended)
    }

    /// One element less to come, where they are counted.
    #[inline]
    fn element_ended(&mut self) {
        self.pending = self.pending.saturating_sub(1);
    }
}
