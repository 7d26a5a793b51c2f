//! One attempt with one fault, and what is claimed of it: no client waits longer for a held write than the pause may
//! last, and where nothing goes wrong no client sees an error.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::fault::{Fault, Role, What};
use super::heard::Wait;
use super::kit::let_pass;
use super::load::Load;
use super::world::{CONNECT_TIMEOUT, MAX_PAUSE, Side, World};

/// What a busy machine adds to a wait.
const SLACK: Duration = Duration::from_millis(400);

/// An attempt may be refused when the fault before it has left a server that only now copies again; so often it is asked
/// for anew.
const REFUSED_MAX: usize = 3;

/// What became of an attempt.
#[derive(Debug)]
pub struct Round {
    /// How it ended; none where nobody was left to say.
    pub outcome: Option<String>,
    /// Whether the fault came about.
    pub struck: bool,
    /// The longest that a client waited, less what it waited for a database or a sidecar that was not there.
    pub longest: Duration,
}

/// The times in which clients wait for something else than the gate: a server or a sidecar that is not there.
#[derive(Debug, Default)]
pub struct Excuses(Vec<(Instant, Instant)>);

impl Excuses {
    /// How long a client waited that is not excused.
    fn less(&self, wait: &Wait) -> Duration {
        let excused = self.0.iter().map(|(from, to)| {
            let (from, to) = (wait.from.max(*from), wait.to.min(*to));
            to.saturating_duration_since(from)
        });
        (wait.to - wait.from).saturating_sub(excused.sum())
    }
}

/// Makes one attempt in the direction that is next, and has everything in order again afterwards.
pub fn attempt(
    world: &mut World,
    load: &Load,
    fault: Option<&Fault>,
    excuses: &mut Excuses,
) -> Result<Round, String> {
    let (began, left) = (Instant::now(), world.active());
    if let Some(fault) = fault {
        fault.lay(world, left);
    }
    load.heard().take_errors();
    let (mut outcome, struck_at) = order_and_strike(world, left, fault);
    for _ in 0..REFUSED_MAX {
        if fault.is_some() || !outcome.as_deref().is_some_and(is_refusal) {
            break;
        }
        world.recover()?;
        outcome = order_and_strike(world, left, None).0;
    }
    let harmed = fault.is_some_and(|fault| harms_the_active(fault, left, outcome.as_deref()));
    world.heal();
    world.recover()?;
    let healed = Instant::now() + CONNECT_TIMEOUT;
    let excused = struck_at.filter(|_| harmed).map(|from| (from, healed));
    excuses.0.extend(excused);
    let waits = load.heard().take_waits();
    let longest = waits
        .iter()
        .map(|wait| excuses.less(wait))
        .max()
        .unwrap_or_default();
    let errors = load.heard().take_errors();
    let round = Round {
        outcome,
        struck: struck_at.is_some(),
        longest,
    };
    if longest > MAX_PAUSE + SLACK {
        let long: Vec<String> = waits
            .iter()
            .filter(|wait| excuses.less(wait) > MAX_PAUSE)
            .map(|wait| {
                let since = wait.from.saturating_duration_since(began);
                format!("{} from {since:?} for {:?}", wait.what, wait.to - wait.from)
            })
            .collect();
        return Err(format!(
            "clients waited too long: {round:?}\n{}",
            long.join("\n")
        ));
    }
    let good = matches!(round.outcome.as_deref(), Some("committed" | "rolled_back"));
    if fault.is_none() && (!good || !errors.is_empty()) {
        return Err(format!("without a fault: {round:?}, {errors:?}"));
    }
    Ok(round)
}

/// It was not begun, and nobody felt it.
fn is_refusal(outcome: &str) -> bool {
    outcome.starts_with("409")
}

fn order_and_strike(
    world: &World,
    left: Side,
    fault: Option<&Fault>,
) -> (Option<String>, Option<Instant>) {
    let admin = world.sidecar.admin();
    let path = match left {
        Side::Source => "/v1/cutover",
        Side::Target => "/v1/rollback",
    };
    thread::scope(|scope| {
        let order = scope.spawn(move || admin.try_post(path, &json!({})).ok());
        let struck = fault.and_then(|fault| {
            let struck = fault.strike(world, left, || order.is_finished());
            if struck.is_some() && fault.what.lasts() {
                let_pass(fault.lasts);
            }
            world.ease();
            struck
        });
        let answer = order.join().unwrap();
        let outcome = answer.map(|answer| {
            answer.json["outcome"].as_str().map_or_else(
                || format!("{} {}", answer.status, answer.text),
                ToOwned::to_owned,
            )
        });
        (outcome, struck)
    })
}

impl What {
    /// Whether it goes on until it is ended.
    fn lasts(self) -> bool {
        match self {
            What::Freeze | What::Unreachable | What::Stall | What::Slow(_) | What::Nonsense => true,
            What::Kill
            | What::Cut
            | What::Refuse
            | What::Ignore
            | What::Answer
            | What::Pretend
            | What::Resync
            | What::KillSidecar
            | What::Abort => false,
        }
    }
}

/// Whether clients may have to wait because of the fault itself: a held write is no excuse.
fn harms_the_active(fault: &Fault, left: Side, outcome: Option<&str>) -> bool {
    match fault.what {
        What::KillSidecar => true,
        What::Refuse | What::Ignore | What::Answer | What::Pretend | What::Resync | What::Abort => {
            false
        }
        What::Kill
        | What::Freeze
        | What::Cut
        | What::Unreachable
        | What::Stall
        | What::Slow(_)
        | What::Nonsense => {
            let crossed = !matches!(outcome, Some("aborted"));
            fault.side(left) == left || crossed || fault.on == Role::Left
        }
    }
}
