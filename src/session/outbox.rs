//! Replies on their way to a client, in the order of its requests, whatever served them. Pure but for the buffer.

use std::collections::BTreeMap;

use bytes::{Buf, BytesMut};

/// The ordered replies of one session.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// The request whose reply goes out next.
    head: u64,
    /// Replies that came before their turn, by the request they begin with.
    early: BTreeMap<u64, Early>,
    /// What the kernel has not taken yet.
    pub(super) unsent: BytesMut,
    /// Some of `unsent` has left: its buffer's capacity does not tell how large it is.
    cut: bool,
    /// The reply that is going out has not come to its end.
    open: bool,
    /// Messages that came meanwhile.
    late: BytesMut,
}

/// Bytes that belong to the replies from one request on.
#[derive(Debug, Default)]
struct Early {
    bytes: BytesMut,
    /// How many replies end in `bytes`.
    completed: u64,
    /// The last of `bytes` is the last of a frame.
    ends: bool,
}

/// Whether bytes may go out at once.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Placed {
    /// It is their turn, and nothing stands before them.
    Now,
    /// They were put where they belong.
    Kept,
}

impl Outbox {
    /// Everything up to here has been answered.
    pub(super) fn head(&self) -> u64 {
        self.head
    }

    /// Bytes that wait: for the kernel, or for their turn.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.unsent.len()
            + self.late.len()
            + self
                .early
                .values()
                .map(|early| early.bytes.len())
                .sum::<usize>()
    }

    /// `bytes` go on with the replies from request `first` on; `completed` of them end in it, and a frame `ends` with
    /// the last of them. On [`Placed::Now`] the caller sends the bytes, or puts what it cannot send into `unsent`, and then
    /// calls [`Outbox::passed`].
    pub(super) fn place(&mut self, first: u64, bytes: &[u8], completed: u64, ends: bool) -> Placed {
        if first == self.head {
            if self.unsent.is_empty() {
                return Placed::Now;
            }
            self.unsent.extend_from_slice(bytes);
            self.passed(completed, ends);
            return Placed::Kept;
        }
        debug_assert!(first > self.head, "a reply to a request that was answered");
        let early = self.early.entry(first).or_default();
        early.bytes.extend_from_slice(bytes);
        early.completed += completed;
        early.ends = ends;
        Placed::Kept
    }

    /// `completed` more requests are answered; what waited for that moves to `unsent`.
    pub(super) fn passed(&mut self, completed: u64, ends: bool) {
        self.head += completed;
        self.open = !ends;
        while let Some(entry) = self.early.first_entry()
            && *entry.key() == self.head
        {
            let early = entry.remove();
            self.unsent.extend_from_slice(&early.bytes);
            self.head += early.completed;
            self.open = !early.ends;
            if early.completed == 0 {
                // The beginning of a reply: its rest is this request's turn.
                break;
            }
        }
        if !self.open && !self.late.is_empty() {
            self.unsent
                .extend_from_slice(&std::mem::take(&mut self.late));
        }
    }

    /// The kernel has taken so many bytes of `unsent`.
    pub(super) fn sent(&mut self, bytes: usize) {
        if bytes == self.unsent.len() {
            self.unsent.clear();
        } else {
            self.unsent.advance(bytes);
            self.cut = true;
        }
    }

    /// The buffer of `unsent`, which is empty: what is idle holds none. Given where it is good for another use.
    pub(super) fn take_buffer(&mut self) -> Option<BytesMut> {
        let buffer = std::mem::take(&mut self.unsent);
        let cut = std::mem::take(&mut self.cut);
        (!cut && buffer.capacity() > 0).then_some(buffer)
    }

    /// Bytes that belong to no request: a message or an invalidation. They go out before the next reply, and never in
    /// the middle of one.
    pub(super) fn message(&mut self, bytes: &[u8]) {
        if self.open {
            self.late.extend_from_slice(bytes);
        } else {
            self.unsent.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbox(steps: &[(u64, &str, u64)]) -> String {
        let mut outbox = Outbox::default();
        for (first, bytes, completed) in steps {
            // In these tests a piece that completes nothing is the beginning of a frame, any other ends with one.
            let ends = *completed > 0;
            if outbox.place(*first, bytes.as_bytes(), *completed, ends) == Placed::Now {
                outbox.unsent.extend_from_slice(bytes.as_bytes());
                outbox.passed(*completed, ends);
            }
        }
        String::from_utf8(outbox.unsent.to_vec()).unwrap()
    }

    #[test]
    fn replies_go_out_in_the_order_of_their_requests() {
        assert_eq!(outbox(&[(1, "b", 1), (2, "c", 1), (0, "a", 1)]), "abc");
        assert_eq!(outbox(&[(0, "a", 1), (1, "b", 1)]), "ab");
    }

    #[test]
    fn a_reply_in_pieces_keeps_its_place() {
        assert_eq!(
            outbox(&[(1, "b1", 0), (0, "a", 1), (1, "b2", 1), (2, "c", 1)]),
            "ab1b2c"
        );
        assert_eq!(
            outbox(&[(2, "c", 1), (0, "a1", 0), (0, "a2b", 2)]),
            "a1a2bc"
        );
        assert_eq!(
            outbox(&[(1, "bc1", 1), (2, "c2", 1), (0, "a", 1)]),
            "abc1c2"
        );
    }

    #[test]
    fn a_message_does_not_break_a_reply_in_two() {
        let mut outbox = Outbox::default();
        outbox.message(b"<before>");
        assert_eq!(outbox.place(0, b"a1", 0, false), Placed::Kept);
        outbox.message(b"<between>");
        outbox.place(0, b"a2", 1, true);
        outbox.message(b"<after>");
        outbox.place(1, b"b", 1, true);
        assert_eq!(&outbox.unsent[..], b"<before>a1a2<between><after>b");
        assert_eq!(outbox.waiting_bytes(), outbox.unsent.len());
    }

    #[test]
    fn a_request_without_a_reply_is_passed() {
        assert_eq!(outbox(&[(1, "", 1), (2, "c", 1), (0, "a", 1)]), "ac");
    }
}
