//! Replies of RESP2 and RESP3, as a client sees them. Written apart from the scanner it helps to test.

use std::io::{self, BufRead};

/// A reply.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// `+`
    Simple(String),
    /// `-`, and the large errors of RESP3 (`!`)
    Error(String),
    /// `:`
    Integer(i64),
    /// `$`
    Bulk(Vec<u8>),
    /// A null of any kind.
    Null,
    /// `*`
    Array(Vec<Reply>),
    /// `~`
    Set(Vec<Reply>),
    /// `>`
    Push(Vec<Reply>),
    /// `%`, as pairs
    Map(Vec<(Reply, Reply)>),
    /// `,` as it was written
    Double(String),
    /// `#`
    Boolean(bool),
    /// `(` as it was written
    BigNumber(String),
    /// `=`: format and text
    Verbatim(Vec<u8>),
    /// `|`: attributes, and the reply they belong to
    Attributed(Vec<(Reply, Reply)>, Box<Reply>),
}

impl Reply {
    /// `+OK`
    pub fn ok() -> Reply {
        Reply::Simple("OK".to_owned())
    }

    /// A bulk string.
    pub fn bulk(text: &str) -> Reply {
        Reply::Bulk(text.as_bytes().to_vec())
    }

    /// An array of bulk strings.
    pub fn bulks(texts: &[&str]) -> Reply {
        Reply::Array(texts.iter().copied().map(Reply::bulk).collect())
    }

    /// Whether it is an error that begins with `prefix`.
    pub fn is_error(&self, prefix: &str) -> bool {
        matches!(self, Reply::Error(text) if text.starts_with(prefix))
    }

    /// The text of a string of any kind, or of an error.
    pub fn into_text(self) -> String {
        match self {
            Reply::Simple(text)
            | Reply::Error(text)
            | Reply::Double(text)
            | Reply::BigNumber(text) => text,
            Reply::Bulk(bytes) | Reply::Verbatim(bytes) => {
                String::from_utf8_lossy(&bytes).into_owned()
            }
            other => panic!("{other:?} is not text"),
        }
    }

    /// The number of an integer, or in a bulk string.
    pub fn number(&self) -> i64 {
        match self {
            Reply::Integer(number) => *number,
            Reply::Bulk(bytes) => std::str::from_utf8(bytes).unwrap().parse().unwrap(),
            other => panic!("{other:?} is not a number"),
        }
    }

    /// Reads one reply; every byte read is appended to `raw`.
    pub fn read(from: &mut impl BufRead, raw: &mut Vec<u8>) -> io::Result<Reply> {
        let line = read_line(from, raw)?;
        let (kind, rest) = line
            .split_at_checked(1)
            .ok_or_else(|| invalid("an empty line"))?;
        Ok(match kind {
            "+" => Reply::Simple(rest.to_owned()),
            "-" => Reply::Error(rest.to_owned()),
            ":" => Reply::Integer(rest.parse().map_err(|_| invalid(&line))?),
            "$" => read_blob(from, rest, raw)?.map_or(Reply::Null, Reply::Bulk),
            "=" => read_blob(from, rest, raw)?.map_or(Reply::Null, Reply::Verbatim),
            "!" => {
                let text = read_blob(from, rest, raw)?.ok_or_else(|| invalid(&line))?;
                Reply::Error(String::from_utf8_lossy(&text).into_owned())
            }
            "*" => read_many(from, rest, raw)?.map_or(Reply::Null, Reply::Array),
            "~" => read_many(from, rest, raw)?.map_or(Reply::Null, Reply::Set),
            ">" => read_many(from, rest, raw)?.map_or(Reply::Null, Reply::Push),
            "%" => Reply::Map(read_pairs(from, rest, raw)?),
            "|" => Reply::Attributed(
                read_pairs(from, rest, raw)?,
                Box::new(Reply::read(from, raw)?),
            ),
            "_" => Reply::Null,
            "#" => Reply::Boolean(rest == "t"),
            "," => Reply::Double(rest.to_owned()),
            "(" => Reply::BigNumber(rest.to_owned()),
            _ => return Err(invalid(&line)),
        })
    }
}

fn read_line(from: &mut impl BufRead, raw: &mut Vec<u8>) -> io::Result<String> {
    let begin = raw.len();
    from.read_until(b'\n', raw)?;
    match raw[begin..].strip_suffix(b"\r\n") {
        Some(line) => Ok(String::from_utf8_lossy(line).into_owned()),
        None if raw.len() == begin => Err(io::ErrorKind::UnexpectedEof.into()),
        None => Err(invalid(&String::from_utf8_lossy(&raw[begin..]))),
    }
}

fn read_blob(
    from: &mut impl BufRead,
    length: &str,
    raw: &mut Vec<u8>,
) -> io::Result<Option<Vec<u8>>> {
    let Some(length) = read_length(length)? else {
        return Ok(None);
    };
    let begin = raw.len();
    raw.resize(begin + length + 2, 0);
    from.read_exact(&mut raw[begin..])?;
    Ok(Some(raw[begin..begin + length].to_vec()))
}

fn read_many(
    from: &mut impl BufRead,
    length: &str,
    raw: &mut Vec<u8>,
) -> io::Result<Option<Vec<Reply>>> {
    let Some(length) = read_length(length)? else {
        return Ok(None);
    };
    (0..length)
        .map(|_| Reply::read(from, raw))
        .collect::<io::Result<_>>()
        .map(Some)
}

fn read_pairs(
    from: &mut impl BufRead,
    length: &str,
    raw: &mut Vec<u8>,
) -> io::Result<Vec<(Reply, Reply)>> {
    let length = read_length(length)?.unwrap_or(0);
    (0..length)
        .map(|_| Ok((Reply::read(from, raw)?, Reply::read(from, raw)?)))
        .collect()
}

/// -1 is a null.
fn read_length(text: &str) -> io::Result<Option<usize>> {
    if text == "-1" {
        Ok(None)
    } else {
        text.parse().map(Some).map_err(|_| invalid(text))
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not RESP: {what:?}"))
}
