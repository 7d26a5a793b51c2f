//! SCAN and its kin: a cursor means something only to the side that gave it, so an iteration ends where it began.

use std::time::Instant;

use super::relay::{End, Park, Session};
use super::reply::Handling;
use super::route::{Asked, Step};
use crate::gate::ReadRoute;
use crate::terms::Side;
use crate::upstream::LaneState;

/// Where an iteration by cursor goes on.
#[derive(Debug, Clone, Copy)]
pub(super) struct CursorHome {
    /// The side that gave the newest cursor.
    side: Side,
    /// When the session noticed that this is no longer the side it reads from.
    left_at: Option<Instant>,
}

impl Session {
    /// SCAN and its like: a cursor means something only to the side that gave it.
    pub(super) fn cursor(&mut self, asked: Asked<'_>) -> Result<Step, End> {
        let position = if asked.request.name().eq_ignore_ascii_case(b"SCAN") {
            1
        } else {
            2
        };
        let begins = asked.request.argument(position) == Some(b"0");
        let here = match self.listener.routes.reads {
            ReadRoute::Active => self.worker.gate.policy().active,
            ReadRoute::Target => Side::Target,
        };
        let home = match self.cursors {
            Some(home) if !begins => home,
            _ => CursorHome {
                side: here,
                left_at: None,
            },
        };
        if home.side == here {
            self.cursors = Some(home);
            return self.plain(asked);
        }
        let left_at = home.left_at.unwrap_or(self.read_at);
        self.cursors = Some(CursorHome {
            left_at: Some(left_at),
            ..home
        });
        if left_at.elapsed() > self.worker.scan_grace {
            return Ok(self.answer(SCAN_OVER));
        }
        let lane = self.worker.lanes.lane(&self.key(home.side));
        match self.worker.lanes.look(&lane) {
            LaneState::Up(pipeline) => {
                self.append(&pipeline, home.side, asked.frame(), Handling::Relay, None);
                Ok(Step::Done)
            }
            LaneState::Connecting => {
                if let Some(waker) = self.client.waker() {
                    lane.wait(waker);
                }
                Ok(Step::Parked(Park::Connection))
            }
            LaneState::Failed(_) => Ok(self.answer(SCAN_OVER)),
        }
    }
}

/// What an iteration is told that can no longer go on where it began.
const SCAN_OVER: &[u8] =
    b"-ERR handover: this iteration began before the cutover and its side no longer serves it; \
    start again with cursor 0\r\n";
