//! The cutover of one sidecar, checked exhaustively: every order of events within some bounds, on the same
//! `cutover::step` and the same reading of the journal that run in production. Around them stands a small world
//! (`model/world.rs`): two databases as sequences of writes, a link with lag that may be cut, start over or be ended by
//! others, clients and writers that bypass the proxy, a disk, a clock that jumps from bound to bound, operators who ask
//! for anything at any time, a process that dies and starts again. Then each protection is taken away in turn, and a
//! promise breaks.
//!
//! What is assumed, and not explored: what the journal says it wrote is there, what it says it did not write is not
//! (`Alarm::JournalFailed` covers the disk that can do neither); a database executes what it was sent before what it
//! answers later; a database does not forget what it acknowledged.
//!
//! `HANDOVER_MODEL_TROUBLES=1 dev/test --release --test model -- --nocapture` explores one trouble more in each history,
//! which takes many times as long and as much memory; name one test to have less.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)] // a panic in a helper is the failing assertion
#![allow(clippy::print_stderr)] // the figures, for who runs this with --nocapture

#[path = "model/claims.rs"]
mod claims;
#[path = "model/database.rs"]
mod database;
#[path = "model/deeds.rs"]
mod deeds;
#[path = "model/link.rs"]
mod link;
#[path = "model/rules.rs"]
mod rules;
#[path = "model/troubles.rs"]
mod troubles;
#[path = "model/world.rs"]
mod world;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::thread::available_parallelism;
use std::time::Instant;

use handover::cutover::plan::{Plan, Proof};
use stateright::{Checker, Expectation, HasDiscoveries, Model, Property};

use claims::{
    ACTIVE_STAYS, BYPASS_KEPT, FENCE_LIFTED, IN_TIME, JOURNAL_DECIDES, NOTHING_LOST, ONE_SIDE,
    promises, reached, reached_by_two_attempts,
};
use deeds::{Deed, after, deeds};
use rules::{Beginning, Removed, Rules, Strays};
use world::World;

/// The model: a sidecar between two databases, within some rules.
pub(crate) struct Cutover(Rules);

impl Model for Cutover {
    type State = World;
    type Action = Deed;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(&self.0)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Deed>) {
        deeds(world, &self.0, actions);
    }

    fn next_state(&self, world: &World, deed: Deed) -> Option<World> {
        after(world, &deed, &self.0)
    }

    fn properties(&self) -> Vec<Property<Cutover>> {
        let mut properties = promises();
        properties.extend(reached(&self.0));
        if self.0.attempts > 1 && self.0.plan.reverse {
            properties.extend(reached_by_two_attempts());
        }
        properties
    }
}

#[test]
fn an_attempt_keeps_every_promise() {
    every_promise_is_kept("one attempt", Rules::new());
}

#[test]
fn an_attempt_with_two_troubles_keeps_every_promise() {
    let rules = Rules {
        troubles: 2,
        writes: 1,
        bypass: 0,
        ..Rules::new()
    };
    every_promise_is_kept("one attempt, two troubles", rules);
}

#[test]
fn a_way_there_and_back_keeps_every_promise() {
    let rules = Rules {
        attempts: 2,
        writes: 1,
        bypass: 0,
        ..Rules::new()
    };
    every_promise_is_kept("two attempts", rules);
}

#[test]
fn migrations_keep_every_promise() {
    let rules = Rules {
        beginning: Beginning::Fresh,
        migrations: 2,
        writes: 1,
        bypass: 0,
        ..Rules::new()
    };
    every_promise_is_kept("two migrations", rules);
}

/// What a writer that bypasses the proxy does while the target catches up is not promised to it then.
#[test]
fn a_link_that_can_neither_fence_nor_turn_keeps_the_promises_that_are_left() {
    let new = Rules::new();
    let plan = Plan {
        fence: false,
        reverse: false,
        ..new.plan
    };
    let rules = Rules {
        plan,
        writes: 1,
        ..new
    };
    every_promise_is_kept("no fence", rules);
}

#[test]
fn an_attempt_with_markers_keeps_every_promise() {
    let new = Rules::new();
    let plan = Plan {
        proof: Proof::PositionAndMarker,
        ..new.plan
    };
    let rules = Rules {
        plan,
        writes: 1,
        ..new
    };
    every_promise_is_kept("markers", rules);
}

/// Why it is assumed that a database executes what it was sent before what it answers later: a request to follow that
/// reaches it after the way back was used replaces the side that the application runs on.
#[test]
fn a_request_that_can_be_on_its_way_for_ever_could_replace_the_active_side() {
    let rules = Rules {
        strays: Strays::Timeless,
        beginning: Beginning::Fresh,
        migrations: 2,
        attempts: 2,
        troubles: 2,
        writes: 0,
        bypass: 0,
        ..Rules::new()
    };
    breaks(rules, &[ACTIVE_STAYS]);
}

#[test]
fn without_the_drain_two_sides_are_writable() {
    breaks(Rules::without(Removed::Drain), &[ONE_SIDE, NOTHING_LOST]);
}

#[test]
fn without_the_wait_for_the_position_a_write_is_lost() {
    breaks(Rules::without(Removed::PositionWait), &[NOTHING_LOST]);
}

#[test]
fn without_a_look_at_the_detach_a_copy_that_started_over_loses_everything() {
    breaks(Rules::without(Removed::DetachLook), &[NOTHING_LOST]);
}

/// The fence ends by itself: who goes on for longer loses what writers that bypass the proxy write then.
#[test]
fn without_the_second_look_at_the_clock_a_pause_runs_over_and_outlasts_the_fence() {
    breaks(
        Rules::without(Removed::SecondClock),
        &[IN_TIME, BYPASS_KEPT],
    );
}

/// A start would not know that there is something to undo.
#[test]
fn without_the_flush_before_the_hold_a_crash_leaves_the_fence_behind() {
    breaks(Rules::without(Removed::AttemptFlush), &[FENCE_LIFTED]);
}

#[test]
fn without_the_flush_before_the_commit_a_crash_loses_a_write() {
    breaks(
        Rules::without(Removed::CommitFlush),
        &[JOURNAL_DECIDES, NOTHING_LOST],
    );
}

#[test]
fn without_the_fence_a_write_that_bypasses_the_proxy_is_lost() {
    breaks(Rules::without(Removed::Fence), &[BYPASS_KEPT]);
}

/// Explores everything: every promise is kept, and everything that must be possible is.
fn every_promise_is_kept(name: &str, rules: Rules) {
    let checker = Explored::all(name, rules.on_demand(), HasDiscoveries::AnyFailures);
    for property in checker.properties {
        let found = checker
            .stories
            .iter()
            .find(|(name, _)| *name == property.name);
        match (&property.expectation, found) {
            (Expectation::Always | Expectation::Eventually, Some((broken, story))) => {
                panic!("{name}: not so: {broken}{story}")
            }
            (Expectation::Sometimes, None) => panic!("{name}: never: {}", property.name),
            (Expectation::Always | Expectation::Eventually, None)
            | (Expectation::Sometimes, Some(_)) => {}
        }
    }
}

/// Explores until each of `promises` is broken.
fn breaks(rules: Rules, promises: &[&'static str]) {
    let name = format!("without {:?}, {:?} strays", rules.removed, rules.strays);
    let all: BTreeSet<_> = promises.iter().copied().collect();
    let explored = Explored::all(&name, rules, HasDiscoveries::AllOf(all));
    for promise in promises {
        let broken = explored.stories.iter().any(|(name, _)| name == promise);
        assert!(broken, "{name}: still so: {promise}");
    }
}

/// What an exploration came to.
struct Explored {
    properties: Vec<Property<Cutover>>,
    /// What was found, and how it came to be.
    stories: Vec<(&'static str, String)>,
}

impl Explored {
    fn all(name: &str, rules: Rules, until: HasDiscoveries) -> Explored {
        let begun = Instant::now();
        let threads = available_parallelism().unwrap().get();
        let checker = Cutover(rules)
            .checker()
            .finish_when(until)
            .threads(threads)
            .spawn_bfs()
            .join();
        eprintln!(
            "{name}: {} states, {} different, {} deep, {:.1} s",
            checker.state_count(),
            checker.unique_state_count(),
            checker.max_depth(),
            begun.elapsed().as_secs_f64()
        );
        let discoveries = checker.discoveries().into_iter();
        let stories = discoveries.map(|(name, path)| (name, story(&path.into_vec())));
        Explored {
            properties: checker.model().properties(),
            stories: stories.collect(),
        }
    }
}

fn story(path: &[(World, Option<Deed>)]) -> String {
    let mut story = String::new();
    for (world, deed) in path {
        let (phase, step) = (world.state.phase(), world.state.step().unwrap_or("-"));
        let _ = write!(story, "\n{:>6} {phase}/{step}: {deed:?}", world.now.0);
    }
    let _ = write!(story, "\n{:?}", path.last().map(|(world, _)| world));
    story
}
