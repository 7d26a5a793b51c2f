//! CLIENT REPLY: which requests of a session get no reply. The server is never told, so that the proxy still learns when
//! each request has been executed; what it answers is dropped on its way to the client.

use std::collections::VecDeque;
use std::ops::Range;

use super::relay::{End, Park, Session};
use super::route::{Asked, Step};
use super::ticket::{Handling, Purpose};
use crate::gate::Intent;
use crate::resp::encode;

/// Whether the next request gets its reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Replies {
    /// It does.
    #[default]
    On,
    /// Neither it nor those behind it do.
    Off,
    /// It does not.
    SkipOne,
}

/// The requests of one session without a reply of their own.
#[derive(Debug, Default)]
pub(super) struct Mute {
    mode: Replies,
    /// Their numbers, oldest first.
    muted: VecDeque<Range<u64>>,
}

impl Mute {
    /// Whether the next request gets its reply.
    pub(super) fn mode(&self) -> Replies {
        self.mode
    }

    /// From the next request on.
    pub(super) fn set_mode(&mut self, mode: Replies) {
        self.mode = mode;
    }

    /// Numbers from `first` on were given to `count` requests.
    pub(super) fn numbered(&mut self, first: u64, count: u64) {
        match self.mode {
            Replies::On => {}
            Replies::Off => match self.muted.back_mut() {
                Some(range) if range.end == first => range.end += count,
                _ => self.muted.push_back(first..first + count),
            },
            Replies::SkipOne => {
                self.muted.push_back(first..first + 1);
                self.mode = Replies::On;
            }
        }
    }

    /// Whether the reply to `number` is dropped; all before `answered` have had theirs.
    pub(super) fn is_muted(&mut self, number: u64, answered: u64) -> bool {
        while self
            .muted
            .front()
            .is_some_and(|range| range.end <= answered)
        {
            self.muted.pop_front();
        }
        self.muted.iter().any(|range| range.contains(&number))
    }

    /// The reply to `number` is not dropped after all.
    pub(super) fn unmute(&mut self, number: u64) {
        let Some(at) = self.muted.iter().position(|range| range.contains(&number)) else {
            return;
        };
        let behind = number + 1..self.muted[at].end;
        self.muted[at].end = number;
        if !behind.is_empty() {
            self.muted.insert(at + 1, behind);
        }
    }
}

impl Session {
    /// CLIENT REPLY. The server is asked whether this client may, with a form of it that changes nothing.
    pub(super) fn client_reply(&mut self, asked: Asked<'_>) -> Result<Step, End> {
        let Some(wanted) = wanted(asked) else {
            return self.plain(asked); // the server says what is wrong with it
        };
        let (side, permit) = match self.admit(asked, Intent::Stay) {
            Ok(admitted) => admitted,
            Err(step) => return Ok(step),
        };
        let pipeline = match self.connection_or_step(side)? {
            Ok(pipeline) => pipeline,
            Err(step) => return Ok(step),
        };
        self.count(side, asked.verdict.class);
        let question = encode::command_vec(&[b"CLIENT", b"REPLY", b"ON"]);
        self.append(
            &pipeline,
            &question,
            Handling::Show(Purpose::ClientReply(wanted)),
            Some(permit),
        );
        Ok(Step::DoneThenPark(Park::Reply))
    }

    /// The server's word.
    pub(super) fn client_reply_answered(&mut self, number: u64, wanted: Replies, reply: &[u8]) {
        self.park = None;
        if reply.starts_with(b"-") {
            self.client.answer(number, reply);
            return;
        }
        if wanted == Replies::On {
            self.client.unmute(number);
            self.client.answer(number, reply);
        } else {
            self.client.answer(number, b"");
        }
        // As Redis has it, a reply that is off cannot be skipped.
        if !(wanted == Replies::SkipOne && self.client.replies() == Replies::Off) {
            self.client.set_replies(wanted);
        }
    }
}

/// What a well-formed CLIENT REPLY asks for.
pub(super) fn wanted(asked: Asked<'_>) -> Option<Replies> {
    let word = asked.request.argument(2)?;
    if asked.request.len() != 3 {
        return None;
    }
    if word.eq_ignore_ascii_case(b"ON") {
        Some(Replies::On)
    } else if word.eq_ignore_ascii_case(b"OFF") {
        Some(Replies::Off)
    } else if word.eq_ignore_ascii_case(b"SKIP") {
        Some(Replies::SkipOne)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn off_mutes_until_on_and_skip_mutes_one() {
        let mut mute = Mute::default();
        mute.numbered(0, 1);
        mute.set_mode(Replies::Off);
        mute.numbered(1, 2);
        mute.numbered(3, 1);
        mute.set_mode(Replies::On);
        mute.numbered(4, 1);
        mute.set_mode(Replies::SkipOne);
        mute.numbered(5, 1);
        mute.numbered(6, 1);
        let muted: Vec<u64> = (0..7).filter(|number| mute.is_muted(*number, 0)).collect();
        assert_eq!(muted, [1, 2, 3, 5]);
        assert!(!mute.is_muted(6, 6) && mute.muted.is_empty(), "forgotten");
    }

    #[test]
    fn single_replies_can_be_let_through() {
        let mut mute = Mute::default();
        mute.set_mode(Replies::Off);
        mute.numbered(0, 3);
        mute.unmute(1);
        mute.numbered(3, 1);
        mute.unmute(3);
        let muted: Vec<u64> = (0..4).filter(|number| mute.is_muted(*number, 0)).collect();
        assert_eq!(muted, [0, 2]);
    }
}
