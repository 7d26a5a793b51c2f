//! The orderly end of the process, in three moments. At the first one nothing new begins: `/readyz` says so, no client is
//! taken in, the runner undoes the attempt that is under way or finishes the one that is committed. When it has, writes are
//! held no more, and the second one tells the sessions to finish and leave. At the third one there is no more time: who
//! is still there is cut off.
//!
//! Refuses to know: what the parts do about it.

use std::time::{Duration, Instant};

use super::notify;
use crate::session::{Farewell, Remaining};
use crate::shutdown::{self, Signal, Trigger};

/// Says the first and the last moment.
pub(super) struct Announcer {
    begin: Trigger,
    cut: Trigger,
}

/// What the control side does with it: hears the first and the last moment, and says the second one.
pub(super) struct Ending {
    /// Nothing new begins.
    pub(super) begun: Signal,
    /// There is no more time.
    pub(super) cut: Signal,
    leave: Trigger,
}

/// A connected triple, the last of it for the workers.
pub(super) fn channel() -> (Announcer, Ending, Farewell) {
    let (begin, begun) = shutdown::channel();
    let (leave, leaving) = shutdown::channel();
    let (cut, no_more_time) = shutdown::channel();
    let farewell = Farewell {
        leave: leaving,
        cut: no_more_time.clone(),
    };
    let ending = Ending {
        begun,
        cut: no_more_time,
        leave,
    };
    (Announcer { begin, cut }, ending, farewell)
}

impl Announcer {
    /// The first moment. Gives the last one, which is to be waited for.
    pub(super) fn begin(&self, time: Duration) -> Instant {
        tracing::info!(?time, "ending: what is under way is finished first");
        notify::tell(notify::State::Ending);
        let limit = Instant::now() + time;
        self.begin.fire_until(limit);
        limit
    }

    /// The last moment.
    pub(super) fn cut(&self) {
        self.cut.fire();
    }
}

impl Ending {
    /// Has the runner come to rest, and then the sessions leave. Whoever holds writes must not let go of them while
    /// clients are served without knowing which side is theirs: where the runner has not come to rest in time, it is given
    /// up only after the clients are.
    pub(super) async fn conduct(
        mut self,
        runner: impl Future<Output = ()>,
        served: impl Future<Output = Remaining>,
    ) {
        let runner = std::pin::pin!(runner);
        tokio::select! {
            () = runner => {}
            () = self.cut.wait() => tracing::warn!(
                "ended before the cutover had come to rest; the next start goes on from the journal"
            ),
        }
        self.leave
            .fire_until(self.begun.limit().unwrap_or_else(Instant::now));
        let Remaining { sessions, requests } = served.await;
        if sessions == 0 {
            tracing::info!("ended: every session had finished");
        } else {
            tracing::warn!(
                sessions,
                requests,
                "ended: so many sessions had not finished in [proxy] drain_timeout, and so many requests have no reply"
            );
        }
    }
}
