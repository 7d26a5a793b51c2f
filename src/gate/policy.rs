//! The decision itself, as a pure function of the published policy, the listener's routes and what the request intends.

use crate::terms::{Epoch, Side};

/// What the gate does at present, published to every worker at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Grows by one with each publication.
    pub epoch: Epoch,
    /// The side that owns writes.
    pub active: Side,
    /// How far a change of sides has come.
    pub stage: Stage,
}

/// How far a change of the active side has come, as the sessions see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// No change under way.
    Open,
    /// Sessions prepare connections to the other side; nothing is held.
    Arming,
    /// Commands that may write are held; those in flight get their replies.
    Draining,
    /// Blocked commands are released from the active side; transactions stay where they are.
    Releasing,
    /// Subscriptions draw a line between what the active side delivered and what the other side will.
    Aligning,
    /// The active side has changed; sessions move to it; writes are still held.
    Moving,
}

impl Stage {
    /// Whether commands that may write wait at this stage.
    #[must_use]
    pub const fn holds_writes(self) -> bool {
        match self {
            Stage::Open | Stage::Arming => false,
            Stage::Draining | Stage::Releasing | Stage::Aligning | Stage::Moving => true,
        }
    }

    /// Whether sessions keep a prepared connection to the side that is not active.
    #[must_use]
    pub const fn prepares(self) -> bool {
        match self {
            Stage::Open | Stage::Moving => false,
            Stage::Arming | Stage::Draining | Stage::Releasing | Stage::Aligning => true,
        }
    }
}

/// Which side serves commands that only read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReadRoute {
    /// The active side.
    #[default]
    Active,
    /// The target, always.
    Target,
}

/// What happens to commands that may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WriteRoute {
    /// They go to the active side.
    #[default]
    Active,
    /// They are refused until the cutover has committed, then go to the active side.
    Refuse,
}

/// What scripts that a server keeps from writing count as where writes are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ScriptRoute {
    /// Writes: what else a script does to its server cannot be known from outside.
    #[default]
    Refuse,
    /// Reads: whoever configured it trusts the clients so far.
    Allow,
}

/// The whole routing model of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Routes {
    /// Commands that only read.
    pub reads: ReadRoute,
    /// Commands that may write.
    pub writes: WriteRoute,
    /// Scripts that only read.
    pub scripts: ScriptRoute,
}

impl Routes {
    /// Whether scripts that only read are treated as if they might write.
    #[must_use]
    pub const fn scripts_may_write(self) -> bool {
        matches!(
            (self.writes, self.scripts),
            (WriteRoute::Refuse, ScriptRoute::Refuse)
        )
    }
}

/// What a request means to do, as far as admission is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    /// Only reads: goes where the listener's reads go.
    Read,
    /// Does not write, but belongs to the active side: transactions of reads, WATCH, subscriptions.
    Stay,
    /// May write.
    Write,
    /// Waits on the active side for somebody else's write without writing itself (XREAD BLOCK).
    Wait,
    /// Waits on the active side and writes when it is served (BLPOP).
    WaitAndWrite,
}

/// The verdict, without a permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// To this side.
    Forward(Side),
    /// Not now; ask again when the policy changes.
    Hold,
    /// Not through this listener, until the cutover has committed.
    Refuse,
}

impl Policy {
    /// Decides about one request.
    #[must_use]
    pub const fn decide(&self, routes: Routes, intent: Intent) -> Decision {
        let writes = match intent {
            Intent::Read => {
                return match routes.reads {
                    ReadRoute::Active => Decision::Forward(self.active),
                    ReadRoute::Target => Decision::Forward(Side::Target),
                };
            }
            Intent::Stay => return Decision::Forward(self.active),
            Intent::Wait => false,
            Intent::Write | Intent::WaitAndWrite => true,
        };
        match (writes, routes.writes, self.active) {
            (true, WriteRoute::Refuse, Side::Source) => Decision::Refuse,
            _ if self.stage.holds_writes() => Decision::Hold,
            _ => Decision::Forward(self.active),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAGES: [Stage; 6] = [
        Stage::Open,
        Stage::Arming,
        Stage::Draining,
        Stage::Releasing,
        Stage::Aligning,
        Stage::Moving,
    ];

    fn policy(active: Side, stage: Stage) -> Policy {
        Policy {
            epoch: Epoch(1),
            active,
            stage,
        }
    }

    #[test]
    fn reads_are_never_held_nor_refused() {
        for active in Side::BOTH {
            for stage in STAGES {
                for writes in [WriteRoute::Active, WriteRoute::Refuse] {
                    let near = Routes {
                        reads: ReadRoute::Target,
                        writes,
                        ..Routes::default()
                    };
                    let same = Routes {
                        reads: ReadRoute::Active,
                        writes,
                        ..Routes::default()
                    };
                    let policy = policy(active, stage);
                    assert_eq!(
                        policy.decide(near, Intent::Read),
                        Decision::Forward(Side::Target)
                    );
                    assert_eq!(policy.decide(same, Intent::Read), Decision::Forward(active));
                }
            }
        }
    }

    #[test]
    fn writes_go_to_the_active_side_or_wait() {
        for active in Side::BOTH {
            for stage in STAGES {
                let decision = policy(active, stage).decide(Routes::default(), Intent::Write);
                let expected = if stage >= Stage::Draining {
                    Decision::Hold
                } else {
                    Decision::Forward(active)
                };
                assert_eq!(decision, expected, "{active} {stage:?}");
            }
        }
    }

    #[test]
    fn a_refusing_listener_refuses_until_the_target_is_active() {
        let routes = Routes {
            reads: ReadRoute::Target,
            writes: WriteRoute::Refuse,
            ..Routes::default()
        };
        for intent in [Intent::Write, Intent::WaitAndWrite] {
            for stage in STAGES {
                assert_eq!(
                    policy(Side::Source, stage).decide(routes, intent),
                    Decision::Refuse
                );
            }
            assert_eq!(
                policy(Side::Target, Stage::Open).decide(routes, intent),
                Decision::Forward(Side::Target)
            );
            assert_eq!(
                policy(Side::Target, Stage::Moving).decide(routes, intent),
                Decision::Hold
            );
        }
    }

    #[test]
    fn scripts_that_only_read_may_write_where_writes_are_refused_unless_they_are_allowed() {
        for (writes, scripts, may_write) in [
            (WriteRoute::Refuse, ScriptRoute::Refuse, true),
            (WriteRoute::Refuse, ScriptRoute::Allow, false),
            (WriteRoute::Active, ScriptRoute::Refuse, false),
            (WriteRoute::Active, ScriptRoute::Allow, false),
        ] {
            let routes = Routes {
                writes,
                scripts,
                ..Routes::default()
            };
            assert_eq!(routes.scripts_may_write(), may_write, "{routes:?}");
        }
    }

    #[test]
    fn a_wait_without_a_write_is_held_but_not_refused() {
        let routes = Routes {
            reads: ReadRoute::Target,
            writes: WriteRoute::Refuse,
            ..Routes::default()
        };
        assert_eq!(
            policy(Side::Source, Stage::Open).decide(routes, Intent::Wait),
            Decision::Forward(Side::Source)
        );
        assert_eq!(
            policy(Side::Source, Stage::Draining).decide(routes, Intent::Wait),
            Decision::Hold
        );
    }
}
