//! The bytes of control work: requests in, [`Value`]s out. `redis-protocol` makes and reads the frames; what it is given
//! is bounded here first, in size and in depth, because it descends into arrays by recursion.
//!
//! Refuses to know: sockets, time.

use bytes::BytesMut;
use redis_protocol::resp2::decode::decode_bytes_mut;
use redis_protocol::resp2::encode::extend_encode_borrowed;
use redis_protocol::resp2::types::{BorrowedFrame, BytesFrame};

use super::Value;

/// Largest reply that control work accepts: `COMMAND` and `CLIENT LIST` of a busy server stay below a few MiB, and a
/// comparison of values asks for chunks far below it. More is taken for a server that is not one.
pub(super) const REPLY_BYTES_MAX: usize = 64 << 20;

/// Arrays within arrays: `COMMAND` needs 6 with its subcommands, nothing else more than 4.
const DEPTH_MAX: usize = 16;

/// Appends one request.
pub(super) fn encode<A: AsRef<[u8]>>(out: &mut BytesMut, arguments: &[A]) -> Result<(), String> {
    let frames: Vec<_> = arguments
        .iter()
        .map(|argument| BorrowedFrame::BulkString(argument.as_ref()))
        .collect();
    extend_encode_borrowed(out, &BorrowedFrame::Array(&frames), false)
        .map(|_| ())
        .map_err(|error| error.to_string())
}

/// Takes the first whole reply off the buffer; `None` while it is not complete. `Ok(Some(Err(text)))` is the server's
/// error reply.
pub(super) fn decode(buffer: &mut BytesMut) -> Result<Option<Result<Value, String>>, String> {
    match boundary(buffer)? {
        Some(_) => {}
        None if buffer.len() > REPLY_BYTES_MAX => {
            return Err(format!("more than {REPLY_BYTES_MAX} bytes"));
        }
        None => return Ok(None),
    }
    match decode_bytes_mut(buffer).map_err(|error| error.to_string())? {
        None => Ok(None),
        Some((BytesFrame::Error(text), _, _)) => Ok(Some(Err(without_arguments(&text)))),
        Some((frame, _, _)) => value(frame).map(|value| Some(Ok(value))),
    }
}

/// Where the first reply ends; `None` while it is not complete.
fn boundary(bytes: &[u8]) -> Result<Option<usize>, String> {
    let mut at = 0;
    // One entry for each array that is open: how many of its elements are still to come.
    let mut open: Vec<i64> = Vec::new();
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(line_end) = memchr::memmem::find(rest, b"\r\n") else {
            return Ok(None);
        };
        let line = &rest[..line_end];
        at += line_end + 2;
        match line.first() {
            Some(b'+' | b'-' | b':') => {}
            Some(b'$') => {
                let length = length(line)?;
                if length >= 0 {
                    at += usize::try_from(length)
                        .unwrap_or(usize::MAX)
                        .min(REPLY_BYTES_MAX)
                        + 2;
                }
                if at > bytes.len() {
                    return Ok(None);
                }
            }
            Some(b'*') => {
                let elements = length(line)?;
                if elements > 0 {
                    if open.len() == DEPTH_MAX {
                        return Err(format!("nested deeper than {DEPTH_MAX}"));
                    }
                    open.push(elements);
                    continue;
                }
            }
            _ => return Err("not a RESP2 reply".to_owned()),
        }
        // One element is complete, and with it perhaps the arrays that it was the last of.
        loop {
            let Some(remaining) = open.last_mut() else {
                return Ok(Some(at));
            };
            *remaining -= 1;
            if *remaining > 0 {
                break;
            }
            open.pop();
        }
    }
}

fn length(line: &[u8]) -> Result<i64, String> {
    let length: i64 = std::str::from_utf8(&line[1..])
        .ok()
        .and_then(|digits| digits.parse().ok())
        .ok_or("a length that is not a number")?;
    if usize::try_from(length).is_ok_and(|length| length > REPLY_BYTES_MAX) {
        return Err(format!("more than {REPLY_BYTES_MAX} bytes"));
    }
    Ok(length)
}

fn value(frame: BytesFrame) -> Result<Value, String> {
    Ok(match frame {
        BytesFrame::SimpleString(text) => {
            Value::Simple(String::from_utf8_lossy(&text).into_owned())
        }
        BytesFrame::BulkString(bytes) => Value::Bulk(bytes.to_vec()),
        BytesFrame::Integer(number) => Value::Integer(number),
        BytesFrame::Null => Value::Null,
        BytesFrame::Array(frames) => {
            Value::Array(frames.into_iter().map(value).collect::<Result<_, _>>()?)
        }
        BytesFrame::Error(_) => return Err("an error inside an array".to_owned()),
    })
}

/// A server that does not know a command repeats its arguments, and those may hold a password.
fn without_arguments(text: &str) -> String {
    text.split(", with args beginning with")
        .next()
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8]) -> Result<Option<Result<Value, String>>, String> {
        decode(&mut BytesMut::from(bytes))
    }

    #[test]
    fn a_request_is_an_array_of_bulk_strings() {
        let mut out = BytesMut::new();
        encode(&mut out, &["SET", "k", ""]).expect("encodes");
        assert_eq!(&out[..], b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n");
    }

    #[test]
    fn a_reply_is_read_once_its_last_byte_is_there() {
        let reply: &[u8] = b"*3\r\n$2\r\na\r\r\n*0\r\n*1\r\n:7\r\n";
        for cut in 0..reply.len() {
            assert_eq!(decoded(&reply[..cut]), Ok(None), "cut at {cut}");
        }
        let expected = Value::Array(vec![
            Value::Bulk(b"a\r".to_vec()),
            Value::Array(vec![]),
            Value::Array(vec![Value::Integer(7)]),
        ]);
        assert_eq!(decoded(reply), Ok(Some(Ok(expected))));
    }

    #[test]
    fn replies_are_taken_one_by_one() {
        let mut buffer = BytesMut::from(&b"+OK\r\n$-1\r\n-ERR no\r\n"[..]);
        assert_eq!(
            decode(&mut buffer),
            Ok(Some(Ok(Value::Simple("OK".into()))))
        );
        assert_eq!(decode(&mut buffer), Ok(Some(Ok(Value::Null))));
        assert_eq!(decode(&mut buffer), Ok(Some(Err("ERR no".into()))));
        assert_eq!(decode(&mut buffer), Ok(None));
    }

    #[test]
    fn an_error_text_that_repeats_arguments_is_cut_before_them() {
        let reply = b"-ERR unknown command 'CONFIG', with args beginning with: 'SET' 'masterauth' 'hunter2'\r\n";
        assert_eq!(
            decoded(reply),
            Ok(Some(Err("ERR unknown command 'CONFIG'".into())))
        );
    }

    #[test]
    fn what_no_server_sends_is_an_error_and_not_a_crash() {
        for hostile in [
            &b"HTTP/1.1 400 Bad Request\r\n"[..],
            b"$99999999999999\r\n",
            b"*99999999999999\r\n",
            b"$x\r\n",
            b"\r\n",
            &b"*1\r\n".repeat(100_000),
        ] {
            assert!(decoded(hostile).is_err());
        }
    }
}
