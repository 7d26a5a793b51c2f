//! SCAN, HSCAN, SSCAN, ZSCAN: a cursor means something only to the side that gave it, so an iteration ends where it
//! began, whichever session of a client's pool goes on with it.

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustc_hash::{FxHashMap, FxHasher};

use super::relay::{End, Park, Session};
use super::route::{Asked, Step};
use super::ticket::{Handling, Purpose};
use crate::gate::ReadRoute;
use crate::terms::{ListenerId, Side};
use crate::upstream::LaneState;

/// The cursors that the databases gave to the sessions of all workers. Its lock is taken for these commands only.
#[derive(Debug)]
pub struct Cursors {
    given: Mutex<Given>,
    /// How many are remembered.
    max: AtomicUsize,
}

#[derive(Debug, Default)]
struct Given {
    sides: FxHashMap<Cursor, Side>,
    /// Oldest first.
    order: VecDeque<Cursor>,
    /// Some of a side were dropped for room, by [`Side::index`]: one that is not known may have been its.
    forgotten: [bool; 2],
}

/// A cursor in its iteration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Cursor {
    listener: ListenerId,
    /// Of the command, its key and the database: the same number in another iteration is another cursor.
    iteration: u64,
    number: u64,
}

/// What one session remembers of its iterations.
#[derive(Debug, Default)]
pub(super) struct Iterations {
    /// Cursors given to this session, newest last.
    own: VecDeque<(Cursor, Side)>,
    /// Replies that will bring one, by the number of the request: the iteration, and who answers.
    coming: VecDeque<(u64, u64, Side)>,
}

/// Cursors that a session remembers for itself: as many iterations as it may have going on at once.
const OWN_MAX: usize = 8;

/// How long after a change of sides a cursor that is not known may still be the other side's.
const FORGOTTEN_FOR: Duration = Duration::from_hours(1);

/// Whose a cursor is.
enum Home {
    Of(Side),
    /// It may be of a side that the session no longer reads from.
    Unknown,
}

impl Cursors {
    /// Remembers up to `max`.
    pub fn new(max: usize) -> Cursors {
        Cursors {
            given: Mutex::default(),
            max: AtomicUsize::new(max),
        }
    }

    /// Remembers up to so many from the next one on.
    pub(super) fn set_max(&self, max: usize) {
        self.max.store(max, Ordering::Relaxed);
    }

    fn remember(&self, cursor: Cursor, side: Side) {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        if given.sides.insert(cursor, side).is_none() {
            given.order.push_back(cursor);
        }
        while given.order.len() > self.max.load(Ordering::Relaxed)
            && let Some(oldest) = given.order.pop_front()
        {
            if let Some(side) = given.sides.remove(&oldest) {
                given.forgotten[side.index()] = true;
            }
        }
    }

    /// Which side gave it last, if that is remembered.
    fn given_by(&self, cursor: &Cursor) -> Option<Side> {
        let given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        given.sides.get(cursor).copied()
    }

    fn home(&self, cursor: &Cursor, here: Side) -> Home {
        let given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        match given.sides.get(cursor) {
            Some(side) => Home::Of(*side),
            None if given.forgotten[here.other().index()] => Home::Unknown,
            // Never given to anybody here: the server judges it.
            None => Home::Of(here),
        }
    }
}

impl Session {
    /// One step of an iteration.
    pub(super) fn cursor(&mut self, asked: Asked<'_>) -> Result<Step, End> {
        let here = match self.listener.routes.reads {
            ReadRoute::Active => self.worker.gate.policy().active,
            ReadRoute::Target => Side::Target,
        };
        let iteration = self.iteration(asked);
        let crossed_at = self.worker.crossed_at.get();
        let grace_is_over = crossed_at.is_some_and(|at| at.elapsed() > self.worker.scan_grace());
        let home = match cursor_argument(asked) {
            // A beginning; or nothing that any side has given.
            Some(0) | None => Home::Of(here),
            Some(number) => {
                let cursor = Cursor {
                    listener: self.listener.id,
                    iteration,
                    number,
                };
                match self.home(cursor, here) {
                    // The two sides give the same numbers. Once the old one is not followed any more, what this session
                    // was given there does not outweigh what another of the pool was given here.
                    Home::Of(side)
                        if side != here
                            && grace_is_over
                            && self.worker.cursors.given_by(&cursor) == Some(here) =>
                    {
                        Home::Of(here)
                    }
                    home => home,
                }
            }
        };
        match home {
            Home::Of(side) if side == here => self.iterate(asked, iteration, here),
            Home::Unknown if crossed_at.is_none_or(|at| at.elapsed() > FORGOTTEN_FOR) => {
                self.iterate(asked, iteration, here)
            }
            Home::Of(side) if !grace_is_over => Ok(self.iterate_there(asked, iteration, side)),
            Home::Of(_) | Home::Unknown => Ok(self.answer(SCAN_OVER)),
        }
    }

    /// The reply: it brings the next cursor.
    pub(super) fn cursor_given(&mut self, number: u64, reply: &[u8]) {
        self.client.answer(number, reply);
        self.cursor_passed(number, reply);
    }

    /// What the reply that brings the next cursor begins with.
    pub(super) fn cursor_passed(&mut self, number: u64, head: &[u8]) {
        let coming = &mut self.iterations.coming;
        let Some(at) = coming.iter().position(|(of, ..)| *of == number) else {
            return;
        };
        let Some((_, iteration, side)) = coming.remove(at) else {
            return;
        };
        let Some(given) = cursor_in(head).filter(|given| *given != 0) else {
            return;
        };
        let cursor = Cursor {
            listener: self.listener.id,
            iteration,
            number: given,
        };
        self.worker.cursors.remember(cursor, side);
        let own = &mut self.iterations.own;
        own.retain(|(known, _)| *known != cursor);
        if own.len() >= OWN_MAX {
            own.pop_front();
        }
        own.push_back((cursor, side));
    }

    fn home(&self, cursor: Cursor, here: Side) -> Home {
        let own = self.iterations.own.iter();
        match own.rev().find(|(known, _)| *known == cursor) {
            Some((_, side)) => Home::Of(*side),
            None => self.worker.cursors.home(&cursor, here),
        }
    }

    fn iterate(&mut self, asked: Asked<'_>, iteration: u64, side: Side) -> Result<Step, End> {
        let number = self.client.next_number();
        let handling = Handling::Pass(Purpose::Cursor);
        let step = self.forward(asked, self.intent_of(asked.verdict), handling)?;
        if step == Step::Done && self.client.next_number() > number {
            self.iterations.coming.push_back((number, iteration, side));
        }
        Ok(step)
    }

    /// Goes on where the iteration began, which is not where the session reads now.
    fn iterate_there(&mut self, asked: Asked<'_>, iteration: u64, side: Side) -> Step {
        let lane = self.worker.lanes.lane(&self.key(side));
        match self.worker.lanes.look(&lane) {
            LaneState::Up(pipeline) => {
                let number = self.client.next_number();
                self.iterations.coming.push_back((number, iteration, side));
                self.count(side, asked.verdict.class);
                let handling = Handling::Pass(Purpose::Cursor);
                self.append(&pipeline, asked.frame(), handling, None);
                Step::Done
            }
            LaneState::Connecting => {
                if let Some(waker) = self.client.waker() {
                    lane.wait(waker);
                }
                Step::Parked(Park::Connection)
            }
            LaneState::Failed(_) => self.answer(SCAN_OVER),
        }
    }

    fn iteration(&self, asked: Asked<'_>) -> u64 {
        let mut hasher = FxHasher::default();
        asked.verdict.id.0.hash(&mut hasher);
        self.who.database.hash(&mut hasher);
        if !is_scan(asked) {
            asked.request.argument(1).hash(&mut hasher);
        }
        hasher.finish()
    }
}

fn is_scan(asked: Asked<'_>) -> bool {
    asked.request.name().eq_ignore_ascii_case(b"SCAN")
}

fn cursor_argument(asked: Asked<'_>) -> Option<u64> {
    let at = if is_scan(asked) { 1 } else { 2 };
    number(asked.request.argument(at)?)
}

/// The first element of `*2 $n <cursor> …`.
fn cursor_in(reply: &[u8]) -> Option<u64> {
    let rest = reply.strip_prefix(b"*2\r\n$")?;
    let digits = &rest[rest.iter().position(|byte| *byte == b'\n')? + 1..];
    number(&digits[..digits.iter().position(|byte| *byte == b'\r')?])
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// What an iteration is told that can no longer go on where it began.
const SCAN_OVER: &[u8] =
    b"-ERR handover: this iteration began before the cutover and its side no longer serves it; \
    start again with cursor 0\r\n";

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(number: u64) -> Cursor {
        Cursor {
            listener: ListenerId(0),
            iteration: 1,
            number,
        }
    }

    #[test]
    fn a_cursor_is_read_from_a_reply() {
        assert_eq!(cursor_in(b"*2\r\n$2\r\n17\r\n*0\r\n"), Some(17));
        assert_eq!(
            cursor_in(b"*2\r\n$20\r\n18446744073709551615\r\n*0\r\n"),
            Some(u64::MAX)
        );
        assert_eq!(cursor_in(b"-ERR invalid cursor\r\n"), None);
        assert_eq!(cursor_in(b"*2\r\n$"), None);
    }

    #[test]
    fn what_was_dropped_for_room_is_not_taken_for_the_present_sides() {
        let cursors = Cursors::new(2);
        cursors.remember(cursor(1), Side::Source);
        assert!(matches!(
            cursors.home(&cursor(1), Side::Target),
            Home::Of(Side::Source)
        ));
        assert!(matches!(
            cursors.home(&cursor(9), Side::Target),
            Home::Of(Side::Target)
        ));
        cursors.remember(cursor(2), Side::Source);
        cursors.remember(cursor(2), Side::Target);
        cursors.remember(cursor(3), Side::Target);
        assert!(matches!(
            cursors.home(&cursor(1), Side::Target),
            Home::Unknown
        ));
        assert!(matches!(
            cursors.home(&cursor(2), Side::Source),
            Home::Of(Side::Target)
        ));
    }
}
