//! Finds the end of a request. Remembers how far it came, so that no byte is looked at twice, whatever the reads were.

use memchr::memchr2;

use super::{Form, Limits, Positions, ProtocolError, Shape, inline};
use crate::resp::number;

/// The longest header that [`number::length_line`] takes, and more: a smaller limit on lines cannot be meant for headers.
const HEADER_BYTES_MIN: usize = 32;

/// What there is at the start of the input.
#[derive(Debug, Clone, Copy)]
pub enum Scanned {
    /// More bytes are needed.
    Incomplete,
    /// An empty line, `*0`, `*-1`: Redis answers nothing.
    Empty {
        /// Bytes to drop.
        length: usize,
    },
    /// A whole request.
    Request(Shape),
}

/// Scans the requests of one client connection, one after the other.
///
/// Memory does not grow with what a client declares. After an error the connection is to be closed; the scanner is of no
/// further use.
#[derive(Debug, Default)]
pub struct Scanner {
    /// Everything before is understood: a header, or the arguments so far.
    at: usize,
    /// The line that begins at `at` does not end before this.
    searched: usize,
    /// Arguments declared; 0 until the first line is whole.
    arguments: u32,
    /// Arguments that are still to come.
    pending: u32,
    /// Length of the argument that begins at `at`; none while its header is to be read.
    bulk: Option<u64>,
    /// Whether line ends were as they should.
    form: Form,
    /// Where the first arguments are.
    first: Positions,
}

/// A line of an array's framing.
struct Header<'a> {
    /// Its first byte.
    lead: u8,
    /// What stands between that and the `\r`.
    text: &'a [u8],
    /// Where what follows it begins.
    next: usize,
}

impl Scanner {
    /// Looks for one whole request at the start of `input`, which begins at the same byte as in the call before if that
    /// call returned [`Scanned::Incomplete`], and has at least the bytes of then.
    ///
    /// A line is too big as soon as more than `limits.inline_bytes` bytes have come without its end. (Redis, which looks
    /// only once a read, lets a longer one pass whose end is in the same read.)
    #[inline]
    pub fn scan(&mut self, input: &[u8], limits: &Limits) -> Result<Scanned, ProtocolError> {
        let scanned = match input.first() {
            None => Scanned::Incomplete,
            Some(b'*') => self.array(input, limits)?,
            Some(_) => self.line_of_words(input, limits)?,
        };
        if !matches!(scanned, Scanned::Incomplete) {
            *self = Scanner::default();
        }
        Ok(scanned)
    }

    fn array(&mut self, input: &[u8], limits: &Limits) -> Result<Scanned, ProtocolError> {
        if self.arguments == 0 {
            let Some(count) = self.count(input, limits)? else {
                return Ok(Scanned::Incomplete);
            };
            if count == 0 {
                return Ok(Scanned::Empty { length: self.at });
            }
            self.arguments = count;
            self.pending = count;
        }
        while self.pending > 0 {
            let length = match self.bulk {
                Some(length) => length,
                None => match self.bulk_length(input, limits)? {
                    Some(length) => length,
                    None => return Ok(Scanned::Incomplete),
                },
            };
            let left = &input[self.at..];
            if (left.len() as u64) < length.saturating_add(2) {
                self.bulk = Some(length);
                return Ok(Scanned::Incomplete);
            }
            let end = self.at + length as usize;
            if input[end..end + 2] != *b"\r\n" {
                self.form = Form::Loose;
            }
            self.first.note(self.at, end);
            self.at = end + 2;
            self.bulk = None;
            self.pending -= 1;
        }
        Ok(Scanned::Request(Shape {
            length: self.at,
            arguments: self.arguments,
            form: self.form,
            first: self.first,
        }))
    }

    /// The number of arguments; 0 for a request that asks nothing. None while its line is not whole.
    fn count(&mut self, input: &[u8], limits: &Limits) -> Result<Option<u32>, ProtocolError> {
        let count = if let Some((count, length)) = number::length_line(&input[1..]) {
            self.at = 1 + length;
            i64::try_from(count).ok()
        } else {
            let too_big = ProtocolError::TooBigMultibulkCount;
            let Some(header) = self.header(input, limits, too_big)? else {
                return Ok(None);
            };
            self.at = header.next;
            number::parse(header.text)
        };
        let count = count.ok_or(ProtocolError::InvalidMultibulkLength)?.max(0);
        match u32::try_from(count) {
            Ok(count) if count <= limits.arguments => Ok(Some(count)),
            Ok(count) if limits.are_unauthenticated() && count <= Limits::redis().arguments => {
                Err(ProtocolError::UnauthenticatedMultibulkLength)
            }
            _ => Err(ProtocolError::InvalidMultibulkLength),
        }
    }

    /// The length of the next argument. None while its line is not whole.
    fn bulk_length(&mut self, input: &[u8], limits: &Limits) -> Result<Option<u64>, ProtocolError> {
        let usual = match &input[self.at..] {
            [b'$', rest @ ..] => number::length_line(rest),
            _ => None,
        };
        let length = if let Some((value, length)) = usual {
            self.at += 1 + length;
            value
        } else {
            let Some(header) = self.header(input, limits, ProtocolError::TooBigBulkCount)? else {
                return Ok(None);
            };
            if header.lead != b'$' {
                return Err(ProtocolError::ExpectedDollar(header.lead));
            }
            self.at = header.next;
            number::parse(header.text)
                .and_then(|length| u64::try_from(length).ok())
                .ok_or(ProtocolError::InvalidBulkLength)?
        };
        if length <= limits.bulk_bytes {
            return Ok(Some(length));
        }
        if limits.are_unauthenticated() && length <= Limits::redis().bulk_bytes {
            return Err(ProtocolError::UnauthenticatedBulkLength);
        }
        Err(ProtocolError::InvalidBulkLength)
    }

    /// The line at `self.at`, whatever it holds, up to the `\r` and the one byte after it that Redis does not look at.
    #[cold]
    fn header<'a>(
        &mut self,
        input: &'a [u8],
        limits: &Limits,
        too_big: ProtocolError,
    ) -> Result<Option<Header<'a>>, ProtocolError> {
        let limit = limits.inline_bytes.max(HEADER_BYTES_MIN);
        let Some(end) = self.line_end(b'\r', input, limit, too_big)? else {
            return Ok(None);
        };
        let Some(line_feed) = input.get(end + 1) else {
            return Ok(None);
        };
        if *line_feed != b'\n' {
            self.form = Form::Loose;
        }
        // A line that begins with its end has that for its first byte, as in Redis.
        let text = input[self.at..end].get(1..).unwrap_or_default();
        Ok(Some(Header {
            lead: input[self.at],
            text,
            next: end + 2,
        }))
    }

    /// Where the byte `mark` is that ends the line at `self.at`. A line that holds a zero byte has no end: so Redis, which
    /// searches with `strchr`, waits for the limit.
    fn line_end(
        &mut self,
        mark: u8,
        input: &[u8],
        limit: usize,
        too_big: ProtocolError,
    ) -> Result<Option<usize>, ProtocolError> {
        let from = self.searched.max(self.at);
        let reach = input
            .len()
            .min(self.at.saturating_add(limit).saturating_add(1));
        let found = memchr2(mark, 0, &input[from..reach]).map(|index| from + index);
        if let Some(end) = found
            && input[end] == mark
        {
            // Not past it: the byte after it may be missing.
            self.searched = end;
            return Ok(Some(end));
        }
        if input.len() - self.at > limit {
            return Err(too_big);
        }
        self.searched = found.unwrap_or(reach);
        Ok(None)
    }

    #[cold]
    fn line_of_words(&mut self, input: &[u8], limits: &Limits) -> Result<Scanned, ProtocolError> {
        let too_big = ProtocolError::TooBigInlineRequest;
        let Some(end) = self.line_end(b'\n', input, limits.inline_bytes, too_big)? else {
            return Ok(Scanned::Incomplete);
        };
        let length = end + 1;
        let arguments = inline::split(&input[..length], |_| {})?;
        if arguments == 0 {
            return Ok(Scanned::Empty { length });
        }
        Ok(Scanned::Request(Shape {
            length,
            arguments,
            form: Form::Inline,
            first: Positions::default(),
        }))
    }
}
