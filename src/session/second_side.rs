//! AUTH and HELLO … AUTH in a session whose reads and writes go to different sides: both databases judge the password,
//! the active one first, before the session is anybody else.

use super::identity::Change;
use super::private::{Opening, unreachable_text};
use super::relay::{End, Session};
use crate::gate::ReadRoute;
use crate::terms::Side;
use crate::upstream::OpenError;

/// A change that the active side has agreed to, and the other one has not yet.
pub(super) struct Second {
    change: Change,
    /// The request's number.
    number: u64,
    /// What the active side said.
    reply: Vec<u8>,
    /// A connection that is authenticated with the new identity, on its way.
    opening: Opening,
}

impl Session {
    /// The side of the session's reads, where it is not that of its writes.
    pub(super) fn side_of_reads_alone(&self) -> Option<Side> {
        let active = self.worker.gate.policy().active;
        (self.listener.routes.reads == ReadRoute::Target && active != Side::Target)
            .then_some(Side::Target)
    }

    /// Asks the side of the reads as well. The request stays parked.
    pub(super) fn ask_second(&mut self, side: Side, number: u64, change: Change, reply: &[u8]) {
        let server = self.worker.lanes.server(side);
        let key = change.who.lane(server, &self.worker.credentials);
        let opening = self.start_opening(key);
        self.second = Some(Box::new(Second {
            change,
            number,
            reply: reply.to_vec(),
            opening,
        }));
    }

    /// Looks whether the second side has answered.
    pub(super) fn look_at_second(&mut self) -> Result<(), End> {
        let Some(outcome) = self
            .second
            .as_ref()
            .and_then(|second| second.opening.take_outcome())
        else {
            return Ok(());
        };
        let Some(second) = self.second.take() else {
            return Ok(());
        };
        let Second {
            change,
            number,
            reply,
            opening,
        } = *second;
        match outcome {
            Ok(pipeline) => {
                self.worker.lanes.adopt(opening.key(), pipeline);
                self.take_effect(number, change, &reply);
                Ok(())
            }
            Err(error) => self.refused_by_second(number, &change, opening.key().side, &error),
        }
    }

    /// The active side's connection has changed, and the session has not: nobody may use it any more.
    fn refused_by_second(
        &mut self,
        number: u64,
        change: &Change,
        side: Side,
        error: &OpenError,
    ) -> Result<(), End> {
        self.client.answer(number, &unreachable_text(side, error));
        self.park = None;
        let end = End::Failed(format!(
            "the {side} refused what the {} had accepted",
            side.other()
        ));
        self.leave_connection(change.side, end)
    }
}
