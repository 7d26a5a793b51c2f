//! A link that does what a test wants of it, and remembers what was asked.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::cutover::runner::Replication;
use crate::link::preflight::{Clients, Finding, Level};
use crate::link::{
    Abilities, CaughtUp, Direction, Error, Generation, LeftSide, Phase, Position, Positions,
    Report, Reverse, ShardPosition, Watched,
};
use crate::metrics::Registry;
use crate::terms::{Lag, ReplOffset, Side};
use crate::traffic::{Keys, Profile, Traffic};

/// What the fake link is and does.
#[derive(Debug, Default)]
pub(super) struct Script {
    /// The side that is copied, while a link stands.
    pub(super) copied: Option<Side>,
    /// Whether the target holds data.
    pub(super) target_holds_data: bool,
    /// Who writes to the target.
    pub(super) target_written: Option<&'static str>,
    /// Whom the fence holds.
    pub(super) held_back: Option<&'static str>,
    /// What the side that was left shows.
    pub(super) left: Option<LeftSide>,
    /// Whether both are one server.
    pub(super) same_server: bool,
    /// The request that never comes back.
    pub(super) hangs: Option<&'static str>,
    /// The request that fails.
    pub(super) fails: Option<&'static str>,
    /// What the preflight has against it.
    pub(super) preflight_error: Option<&'static str>,
    /// Whether the copied side is found in another stream when it is sampled than when it was looked at.
    pub(super) starts_over: bool,
    /// What was asked, in order, looks left out.
    pub(super) calls: Vec<&'static str>,
    /// How often the link was looked at.
    pub(super) looks: u32,
}

#[derive(Debug, Clone, Default)]
pub(super) struct FakeLink(pub(super) Arc<Mutex<Script>>);

impl FakeLink {
    pub(super) fn script<T>(&self, change: impl FnOnce(&mut Script) -> T) -> T {
        change(&mut self.0.lock().unwrap())
    }

    async fn called(&self, name: &'static str) -> Result<(), Error> {
        let (hangs, fails) = self.script(|script| {
            script.calls.push(name);
            (script.hangs == Some(name), script.fails == Some(name))
        });
        if hangs {
            std::future::pending::<()>().await;
        }
        if fails {
            Err(Error::NotAble {
                driver: "fake",
                what: name,
            })
        } else {
            Ok(())
        }
    }
}

fn position() -> Position {
    Position {
        shards: vec![ShardPosition {
            replication_id: "id".to_owned(),
            offset: ReplOffset(7),
        }],
    }
}

impl Replication for FakeLink {
    fn driver_name(&self) -> &'static str {
        "fake"
    }

    fn abilities(&self, _direction: Direction) -> Abilities {
        Abilities {
            prepare: true,
            positions: Positions::Exact,
            fence: true,
            detach: true,
            reverse: Reverse::AsReplica,
            end_by_hand: "pull the plug",
        }
    }

    async fn provide(&mut self) -> Result<(), Error> {
        Ok(())
    }

    async fn prepare(&mut self, direction: Direction) -> Result<(), Error> {
        self.called("prepare").await?;
        self.script(|script| script.copied = Some(direction.from));
        Ok(())
    }

    async fn observe(&mut self, direction: Direction) -> Report {
        let streams = self.script(|script| {
            script.looks += 1;
            script.copied == Some(direction.from)
        });
        Report {
            at: Instant::now(),
            phase: if streams {
                Phase::Streaming
            } else {
                Phase::Detached
            },
            lag: if streams { Lag::Bytes(0) } else { Lag::Unknown },
            applied: streams.then(position),
            written: Some(position()),
            generation: streams.then(|| Generation("one".to_owned())),
            bytes_done: None,
            bytes_total: None,
            waiting_for: None,
            last_error: None,
        }
    }

    async fn position(&mut self, _: Direction) -> Result<Position, Error> {
        self.called("position").await?;
        let mut position = position();
        if self.script(|script| script.starts_over) {
            position.shards[0].replication_id = "another id".to_owned();
        }
        Ok(position)
    }

    async fn caught_up(&mut self, _: Direction, _: &Position) -> Result<CaughtUp, Error> {
        self.called("caught_up").await?;
        Ok(CaughtUp::Yes)
    }

    async fn fence(&mut self, _: Direction, _: Duration) -> Result<(), Error> {
        self.called("fence").await
    }

    async fn unfence(&mut self, _: Direction) -> Result<(), Error> {
        self.called("unfence").await
    }

    async fn detach(&mut self, _: Direction, _: Option<&Position>) -> Result<(), Error> {
        self.called("detach").await?;
        self.script(|script| script.copied = None);
        Ok(())
    }

    async fn reverse(&mut self, direction: Direction) -> Result<(), Error> {
        self.called("reverse").await?;
        self.script(|script| script.copied = Some(direction.to()));
        Ok(())
    }

    async fn write_marker(&mut self, _: Direction, _: &str) -> Result<(), Error> {
        self.called("write_marker").await
    }

    async fn marker_seen(&mut self, _: Direction, _: &str) -> Result<bool, Error> {
        self.called("marker_seen").await?;
        Ok(true)
    }

    async fn held_back(&mut self, _: Direction) -> Result<Option<String>, Error> {
        Ok(self.script(|script| script.held_back.map(str::to_owned)))
    }

    async fn begin_counting(&mut self, _: Side) -> Result<(), Error> {
        Ok(())
    }

    async fn counted(&mut self, _: Side) -> Result<Option<String>, Error> {
        Ok(None)
    }

    async fn receives_writes(&mut self, _: Side) -> Result<Option<String>, Error> {
        Ok(self.script(|script| script.target_written.map(str::to_owned)))
    }

    async fn watch(&mut self, direction: Direction) -> Watched {
        Watched {
            again: self.observe(direction).await,
            follows: None,
            left: self.script(|script| script.left.clone().unwrap_or(LeftSide::Closed)),
        }
    }

    async fn hand_back(&mut self) -> Result<(), Error> {
        Ok(())
    }

    async fn is_empty(&mut self, _: Side) -> Result<bool, Error> {
        Ok(self.script(|script| !script.target_holds_data))
    }

    async fn same_server(&mut self) -> Result<bool, Error> {
        Ok(self.script(|script| script.same_server))
    }

    async fn preflight(&mut self, _: Direction, _: &Clients) -> Vec<Finding> {
        let error = self.script(|script| script.preflight_error);
        let level = if error.is_some() {
            Level::Error
        } else {
            Level::Ok
        };
        vec![Finding {
            check: "fake",
            level,
            message: error.unwrap_or("fine").to_owned(),
            what_to_do: None,
        }]
    }
}

/// Of an application that sends nothing.
pub(super) fn nothing_seen() -> Arc<Traffic> {
    let metrics = Registry::new(vec![], vec![], 1);
    Arc::new(Traffic::new(Profile::Redis, Keys::Shown, 1, metrics))
}
