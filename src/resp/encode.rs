//! Writes commands, and the few replies that Handover gives without asking a server.
//!
//! Everything is appended; nothing here fails. Give it a buffer that grows (`Vec<u8>`, `BytesMut`).

use bytes::BufMut;

use super::number;

/// Which version of the protocol a connection speaks. It starts with the second; `HELLO` changes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Protocol {
    /// RESP2.
    #[default]
    Resp2,
    /// RESP3.
    Resp3,
}

/// A command as an array of bulk strings.
pub fn command(arguments: &[&[u8]], out: &mut impl BufMut) {
    array_header(arguments.len() as u64, out);
    for argument in arguments {
        bulk(argument, out);
    }
}

/// A command in a buffer of its own, of exactly the needed size or little more.
pub fn command_vec(arguments: &[&[u8]]) -> Vec<u8> {
    /// Room for the header and the line ends of an argument shorter than a gigabyte; more only costs another allocation.
    const FRAMING: usize = 16;
    let payload: usize = arguments
        .iter()
        .map(|argument| argument.len() + FRAMING)
        .sum();
    let mut out = Vec::with_capacity(payload + FRAMING);
    command(arguments, &mut out);
    out
}

/// `+text`. Line breaks in `text` become spaces.
pub fn simple(text: &str, out: &mut impl BufMut) {
    line(b'+', text.as_bytes(), out);
}

/// `-text`; `text` begins with the prefix that client libraries read (`ERR`, `READONLY`, …). Line breaks in it become
/// spaces.
pub fn error(text: &str, out: &mut impl BufMut) {
    line(b'-', text.as_bytes(), out);
}

/// `:value`.
pub fn integer(value: i64, out: &mut impl BufMut) {
    out.put_u8(b':');
    if value < 0 {
        out.put_u8(b'-');
    }
    number::put(value.unsigned_abs(), out);
    out.put_slice(b"\r\n");
}

/// The absent value: what GET gives for a missing key.
pub fn null(protocol: Protocol, out: &mut impl BufMut) {
    out.put_slice(match protocol {
        Protocol::Resp2 => b"$-1\r\n",
        Protocol::Resp3 => b"_\r\n",
    });
}

/// The absent array: what EXEC gives when a watched key has changed.
pub fn null_array(protocol: Protocol, out: &mut impl BufMut) {
    out.put_slice(match protocol {
        Protocol::Resp2 => b"*-1\r\n",
        Protocol::Resp3 => b"_\r\n",
    });
}

/// `*length`, before that many elements.
pub(super) fn array_header(length: u64, out: &mut impl BufMut) {
    out.put_u8(b'*');
    number::put(length, out);
    out.put_slice(b"\r\n");
}

/// A bulk string.
pub(super) fn bulk(value: &[u8], out: &mut impl BufMut) {
    out.put_u8(b'$');
    number::put(value.len() as u64, out);
    out.put_slice(b"\r\n");
    out.put_slice(value);
    out.put_slice(b"\r\n");
}

/// A one-line reply. A line break inside would begin the next reply: it becomes a space, as in Redis's own errors.
pub(super) fn line(lead: u8, text: &[u8], out: &mut impl BufMut) {
    out.put_u8(lead);
    for piece in text.split_inclusive(|byte| matches!(byte, b'\r' | b'\n')) {
        match piece {
            [kept @ .., b'\r' | b'\n'] => {
                out.put_slice(kept);
                out.put_u8(b' ');
            }
            kept => out.put_slice(kept),
        }
    }
    out.put_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_command_is_an_array_of_bulk_strings() {
        let expected = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n";
        assert_eq!(written(|out| command(&[b"SET", b"k", b""], out)), expected);
        assert_eq!(command_vec(&[b"SET", b"k", b""]), expected.as_bytes());
    }

    #[test]
    fn local_replies_are_spelled_as_redis_spells_them() {
        assert_eq!(written(|out| simple("OK", out)), "+OK\r\n");
        assert_eq!(written(|out| error("ERR no", out)), "-ERR no\r\n");
        assert_eq!(written(|out| integer(0, out)), ":0\r\n");
        assert_eq!(
            written(|out| integer(i64::MIN, out)),
            ":-9223372036854775808\r\n"
        );
        assert_eq!(written(|out| null(Protocol::Resp2, out)), "$-1\r\n");
        assert_eq!(written(|out| null(Protocol::Resp3, out)), "_\r\n");
        assert_eq!(written(|out| null_array(Protocol::Resp2, out)), "*-1\r\n");
        assert_eq!(written(|out| null_array(Protocol::Resp3, out)), "_\r\n");
    }

    #[test]
    fn a_line_break_in_a_text_cannot_begin_another_reply() {
        assert_eq!(
            written(|out| error("ERR a\r\n+OK\n", out)),
            "-ERR a  +OK \r\n"
        );
    }
}
