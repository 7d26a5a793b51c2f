//! Step 12: what the two sides show once the target is active, and the alarms that follow from it.

use std::time::{Duration, Instant};

use super::Desk;
use crate::cutover::action::Alarm;
use crate::cutover::state::State;
use crate::link::{Direction, LeftSide, Watched};
use crate::terms::Side;

/// The alarm about the old source ends when nothing has been written to it for so long: longer than a person needs to see
/// it, and than most writers pause.
const QUIET_FOR: Duration = Duration::from_secs(10);

/// What the two sides show.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// Whom the target follows, where it follows somebody and says whom.
    follows: Option<String>,
    /// When the old source was last seen written to.
    written_at: Option<Instant>,
}

impl Watch {
    /// What was seen that an alarm of the state machine is about.
    pub(super) fn detail_of(&self, alarm: Alarm) -> String {
        match (alarm, &self.follows) {
            (Alarm::TargetFollowsSource, Some(address)) => format!("it follows {address}"),
            (
                Alarm::TargetFollowsSource
                | Alarm::WayBackUnconfirmed
                | Alarm::WayBackBroken
                | Alarm::WayBackLost
                | Alarm::OldSourceWritten
                | Alarm::DetachInDoubt
                | Alarm::JournalFailed,
                _,
            ) => String::new(),
        }
    }
}

impl Desk {
    /// A look at both sides. Whether the target follows somebody is the state machine's alarm, the other is ours.
    pub(super) fn watched(&mut self, direction: Direction, watched: Watched) {
        let Watched {
            again,
            follows,
            left,
        } = watched;
        self.watch.follows = follows;
        match left {
            LeftSide::Written(what) => {
                self.watch.written_at = Some(Instant::now());
                self.raise(Alarm::OldSourceWritten, what);
            }
            LeftSide::Closed => self.clear(Alarm::OldSourceWritten),
            LeftSide::Quiet => {
                let quiet = self
                    .watch
                    .written_at
                    .is_none_or(|written_at| written_at.elapsed() >= QUIET_FOR);
                if quiet {
                    self.clear(Alarm::OldSourceWritten);
                }
            }
            LeftSide::Unknown => {}
        }
        self.reported(direction, again);
    }

    /// What was a reason for an alarm while the target was active, and the old source stood by, is none any more.
    pub(super) fn end_watch(&mut self) {
        if self.state.active() == Side::Source || self.state == State::Finalized {
            self.watch = Watch::default();
            self.clear(Alarm::OldSourceWritten);
        }
    }
}
