//! Across a change of sides a line is drawn on both connections with a PING of its own: what the old side sent before its
//! answer is delivered, what the new side sent before its answer is dropped, so that no message that travelled over
//! replication as well is lost or repeated.

use crate::resp::encode;
use crate::session::frame_text::{is_line, line_request};
use crate::session::frames::Monitor;
use crate::session::private::Private;
use crate::session::relay::{End, Session};
use crate::session::ticket::Handling;
use crate::session::tracking::Replay;

/// The line between what the old side delivered and what the new one will.
#[derive(Default)]
pub(super) struct Line {
    /// The prepared side has all subscriptions.
    pub(super) subscribed: bool,
    /// Everything up to here came from the old side: its answer has been seen.
    pub(super) old_side: Drawn,
    /// Everything before this is dropped on the new side.
    pub(super) new_side: Drawn,
    /// What the new side sent behind its line.
    pub(super) held: Vec<Vec<u8>>,
    /// Bytes of it.
    pub(super) held_bytes: usize,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Drawn {
    #[default]
    No,
    Asked,
    Yes,
}

impl Session {
    /// Has the prepared connection subscribe to the same. True when it has.
    pub(in crate::session) fn prepare_frames(&mut self) -> bool {
        if self.frames.line.subscribed {
            return true;
        }
        let Some(ahead) = self.sides.ahead() else {
            return true;
        };
        if self.frames.line.new_side == Drawn::No {
            let side = ahead.key.side;
            let tracking = match self.replay_tracking(side) {
                Replay::With(requests) => requests,
                Replay::NotYet => {
                    self.look_again();
                    return false;
                }
                Replay::Never => {
                    self.frames.unmovable = true;
                    return true;
                }
            };
            let Some(ahead) = self.sides.ahead() else {
                return true;
            };
            self.watch_frames(&ahead.pipeline);
            ahead.pipeline.append_unowed(&self.frames.replay(tracking));
            ahead.pipeline.append_unowed(&line_request());
            ahead.pipeline.flush();
            self.frames.line.new_side = Drawn::Asked;
        }
        false
    }

    /// Draws the line. True when both sides have answered.
    pub(in crate::session) fn align(&mut self) -> bool {
        let side = self.worker.gate.policy().active;
        let (Some(old), Some(new)) = (self.sides.private(side), self.sides.ahead()) else {
            return true;
        };
        let line = &mut self.frames.line;
        if line.old_side == Drawn::No && line.subscribed {
            for pipeline in [&old.pipeline, &new.pipeline] {
                pipeline.append_unowed(&line_request());
                pipeline.flush();
            }
            line.old_side = Drawn::Asked;
            line.new_side = Drawn::Asked;
        }
        self.frames.unmovable || line.old_side == Drawn::Yes && line.new_side == Drawn::Yes
    }

    pub(super) fn frame_ahead(&mut self, frame: &[u8]) -> Result<(), End> {
        let subscribed = self.frames.count() > 0;
        let line = &mut self.frames.line;
        if line.new_side == Drawn::Asked {
            if is_line(frame, self.who.protocol, subscribed) {
                line.new_side = Drawn::Yes;
                line.subscribed = true;
            }
            return Ok(());
        }
        if line.old_side != Drawn::No {
            line.held_bytes += frame.len();
            if line.held_bytes > self.worker.limits().session_reply_bytes {
                return Err(End::Failed(
                    "too many messages during the cutover; limit session_reply_bytes".to_owned(),
                ));
            }
            line.held.push(frame.to_vec());
        }
        Ok(())
    }

    /// The prepared connection is the session's now: what it sent behind the line is delivered.
    pub(in crate::session) fn cross_frames(&mut self, new: &Private) -> Result<(), End> {
        if self.frames.unmovable {
            return Err(End::Failed(
                "CLIENT TRACKING redirects to a connection that is gone, or not this proxy's"
                    .to_owned(),
            ));
        }
        self.frames.connection = Some(new.pipeline.number());
        let line = std::mem::take(&mut self.frames.line);
        if let Some(caching) = self.frames.tracking.caching.clone() {
            new.pipeline.append_unowed(&caching);
            let ticket = self.own_ticket(Handling::Swallow);
            self.frames.expect_reply(ticket);
            new.pipeline.flush();
        }
        if self.frames.monitor != Monitor::Off {
            new.pipeline
                .append_unowed(&encode::command_vec(&[b"MONITOR"]));
            let ticket = self.own_ticket(Handling::Swallow);
            self.frames.expect_reply(ticket);
            new.pipeline.flush();
        }
        for frame in line.held {
            self.client.message(&frame);
        }
        Ok(())
    }
}
