//! The bytes of frames that a session with messages must tell apart, or makes itself. Pure.

use crate::command::Subscription;
use crate::resp::encode::{self, Protocol};

/// What a tracking client must forget: everything.
pub(super) const INVALIDATE_ALL: &[u8] = b">2\r\n$10\r\ninvalidate\r\n_\r\n";
/// The same, as a message to a session that others redirect to.
pub(super) const INVALIDATE_ALL_RESP2: &[u8] =
    b"*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*-1\r\n";
/// Where that message is expected.
pub(super) const INVALIDATION_CHANNEL: &[u8] = b"__redis__:invalidate";
/// A session that switched tracking on too often.
pub(super) const TOO_MUCH_TRACKING: &[u8] =
    b"-ERR handover: too many CLIENT TRACKING ON in one session\r\n";
/// A session with more subscriptions than it may have.
pub(super) const TOO_MANY: &[u8] =
    b"-ERR handover: too many subscriptions in one session; limits subscriptions, subscription_bytes\r\n";
/// The payload of the PING that draws a line; no message can look like its answer.
const LINE: &[u8] = b"handover:line";

pub(super) fn line_request() -> Vec<u8> {
    encode::command_vec(&[b"PING", LINE])
}

/// Whether a frame is the answer to [`line_request`]: an array in RESP2 while subscribed, a bulk string otherwise.
pub(super) fn is_line(frame: &[u8], protocol: Protocol, subscribed: bool) -> bool {
    match (protocol, subscribed) {
        (Protocol::Resp2, true) => frame == b"*2\r\n$4\r\npong\r\n$13\r\nhandover:line\r\n",
        _ => frame == b"$13\r\nhandover:line\r\n",
    }
}

pub(super) fn index(kind: Subscription) -> usize {
    match kind {
        Subscription::Channel => 0,
        Subscription::Pattern => 1,
        Subscription::Shard => 2,
    }
}

/// `+1700000000.123456 [0 127.0.0.1:1234] "GET" "k"`.
pub(super) fn is_monitor_line(frame: &[u8]) -> bool {
    frame.get(1).is_some_and(u8::is_ascii_digit)
        && frame.windows(2).take(40).any(|pair| pair == b" [")
}

/// The bulk strings at the front of an array or a push.
pub(super) struct Words<'a>(&'a [u8]);

impl<'a> Words<'a> {
    pub(super) fn of(frame: &'a [u8]) -> Words<'a> {
        Words(behind_line(frame))
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let digits = self.0.strip_prefix(b"$")?;
        let end = digits.iter().position(|byte| *byte == b'\r')?;
        let length: usize = std::str::from_utf8(&digits[..end]).ok()?.parse().ok()?;
        let body = behind_line(self.0);
        let word = body.get(..length)?;
        self.0 = body.get(length + 2..).unwrap_or_default();
        Some(word)
    }
}

pub(super) fn behind_line(bytes: &[u8]) -> &[u8] {
    bytes
        .iter()
        .position(|byte| *byte == b'\n')
        .and_then(|end| bytes.get(end + 1..))
        .unwrap_or_default()
}
