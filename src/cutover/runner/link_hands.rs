//! Carries out orders at the link, one after the other, and reports what came of each. An order that is given up is
//! dropped half-way, so that undoing never waits for an answer that may not come.
//!
//! Refuses to know: why anything is ordered.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::super::event::{Event, Fact};
use super::super::plan::LinkStep;
use super::super::reason::Reason;
use super::polls::Polls;
use super::port::Replication;
use crate::link::preflight::{Clients, Finding};
use crate::link::{CaughtUp, Direction, Error, Phase, Position, Report, Watched};
use crate::terms::Side;

/// Orders that may wait. The state machine has a handful outstanding at most, and looks and checks are ordered one at a
/// time.
pub(super) const ORDERS_MAX: usize = 32;

/// A fence outlasts the pause that is left by this much: long enough that it never ends before the pause does, short
/// enough that a writer which bypasses the proxy is not kept waiting if this process dies.
const FENCE_MARGIN: Duration = Duration::from_millis(500);

/// For how long lifting the fence is tried again after a failure. No write of a client waits for it, only the end of the
/// attempt and the next one.
const UNFENCE_LIMIT: Duration = Duration::from_secs(1);
/// The wait between two tries.
const UNFENCE_WAIT: Duration = Duration::from_millis(50);

/// How long a look for writers that bypass the proxy may take, inside the pause: several round trips over a long way. What
/// has not been found out by then holds nobody up.
const OTHERS_LIMIT: Duration = Duration::from_millis(100);

/// An order.
#[derive(Debug)]
pub(super) enum Order {
    /// Drop what is outstanding, and whatever waits.
    GiveUp,
    /// Look at the link.
    Observe(Direction),
    /// Look at the two sides after the end of the link.
    Watch(Direction),
    /// Set back what was set on the databases for the replication.
    HandBack,
    /// Find out what is against a migration or an attempt.
    Check {
        /// Who would be carried over.
        clients: Clients,
        /// Whether the target is also asked for what a migration replaces.
        scope: Scope,
    },
    /// Establish the link.
    Prepare,
    /// End the link for good.
    End(Direction),
    /// A step of an attempt.
    Step {
        number: u64,
        direction: Direction,
        step: LinkStep,
        left: Duration,
    },
    /// The end of the link in an attempt.
    Detach { number: u64, direction: Direction },
    /// The turning of the link.
    Reverse { number: u64, direction: Direction },
    /// The lifting of the fence.
    Unfence(Direction),
}

/// How much a check looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// The preflight.
    Preflight,
    /// The preflight, and what a migration would replace.
    Migration,
}

/// What came of an order.
#[derive(Debug)]
pub(super) enum Answer {
    /// Something for the state machine.
    Event(Event),
    /// A look.
    Report {
        direction: Direction,
        report: Report,
    },
    /// A look after the end of the link.
    Watched {
        /// The direction that has ended.
        direction: Direction,
        /// What was seen.
        watched: Watched,
    },
    /// Something that changes nothing and that people should know.
    Remark(Reason),
    /// A check.
    Checked(Checked),
}

/// What a check found.
#[derive(Debug)]
pub(super) struct Checked {
    /// The preflight.
    pub(super) findings: Vec<Finding>,
    /// What a migration would replace; none where that was not asked.
    pub(super) target: Option<Result<Target, Error>>,
}

/// What a migration would replace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// It is the source itself.
    IsSource,
    /// Nothing: there is none, or this link replaces none.
    Empty,
    /// Data.
    HoldsData,
    /// What somebody writes there now, whether or not there was data; for people.
    ReceivesWrites(String),
}

/// The link and what the present attempt needs to remember of it.
#[derive(Debug)]
pub(super) struct LinkHands<L> {
    /// The link.
    pub(super) link: L,
    /// Orders, in the order in which they are carried out.
    pub(super) orders: mpsc::Receiver<Order>,
    /// Where answers go.
    pub(super) answers: mpsc::Sender<Answer>,
    /// Tells this process's markers from those of another.
    pub(super) run: String,
    /// What it has told so far.
    pub(super) seen: Seen,
}

/// What the link has told, as far as a later step must agree with it.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Where the copied side was at the last look at a stream that flowed, and which way it flowed. An attempt stands on
    /// it: a copied side that has another stream by the time it is sampled has started over.
    streaming: Option<(Direction, Position)>,
    /// The position that the present attempt waits for.
    sampled: Option<Position>,
    /// The attempt for which it was begun to count what others write.
    counting: Option<u64>,
}

impl<L: Replication> LinkHands<L> {
    /// Works until nobody can order any more.
    pub(super) async fn work(mut self) {
        let mut waiting = VecDeque::new();
        loop {
            let order = match waiting.pop_front() {
                Some(order) => order,
                None => match self.orders.recv().await {
                    Some(order) => order,
                    None => return,
                },
            };
            let LinkHands {
                link,
                orders,
                answers,
                run,
                seen,
            } = &mut self;
            tokio::select! {
                biased;
                () = given_up(orders, &mut waiting) => {}
                answer = carry_out(link, seen, run, order, answers) => {
                    if let Some(answer) = answer && answers.send(answer).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

/// Resolves when what is outstanding is given up; collects what is ordered meanwhile.
///
/// Cancel safety: an order that was taken is in `waiting`.
async fn given_up(orders: &mut mpsc::Receiver<Order>, waiting: &mut VecDeque<Order>) {
    while waiting.len() < ORDERS_MAX {
        match orders.recv().await {
            Some(Order::GiveUp) => {
                waiting.clear();
                return;
            }
            Some(order) => waiting.push_back(order),
            None => break,
        }
    }
    std::future::pending::<()>().await;
}

async fn carry_out<L: Replication>(
    link: &mut L,
    seen: &mut Seen,
    run: &str,
    order: Order,
    answers: &mpsc::Sender<Answer>,
) -> Option<Answer> {
    // Nobody waits for a remark: one for which there is no room is not worth the time of a pause.
    let remark = |remark: Option<Reason>| {
        if let Some(remark) = remark {
            let _ = answers.try_send(Answer::Remark(remark));
        }
    };
    let event = match order {
        Order::GiveUp => return None,
        Order::Observe(direction) => {
            let report = link.observe(direction).await;
            seen.look(direction, &report);
            return Some(Answer::Report { direction, report });
        }
        Order::Watch(direction) => {
            let watched = link.watch(direction).await;
            return Some(Answer::Watched { direction, watched });
        }
        Order::HandBack => {
            remark(hand_back(link).await);
            return None;
        }
        Order::Check { clients, scope } => {
            return Some(Answer::Checked(check(link, &clients, scope).await));
        }
        // What something else replicates, something else has begun to.
        Order::Prepare if !link.abilities(Direction::FORWARD).prepare => Event::LinkPrepared,
        Order::Prepare => match link.prepare(Direction::FORWARD).await {
            Ok(()) => Event::LinkPrepared,
            Err(error) => Event::LinkPrepareFailed(error.to_string()),
        },
        Order::End(direction) => match link.detach(direction, None).await {
            Ok(()) => {
                remark(hand_back(link).await);
                Event::LinkEnded
            }
            Err(error) => {
                let by_hand = link.abilities(direction).end_by_hand;
                Event::LinkEndFailed(format!("{error}: {by_hand}"))
            }
        },
        Order::Step {
            number,
            direction,
            step,
            left,
        } => {
            let marker = format!("{run}:{number}");
            let taken = take(link, seen, direction, step, left, &marker).await;
            let fences = link.abilities(direction).fence;
            if taken.is_ok() && !fences && seen.counts_from(number, step) {
                // Without it, nothing is known at the end of the link, and said so then.
                let _ = link.begin_counting(direction.from).await;
            }
            Event::Happened(number, taken.unwrap_or_else(Fact::LinkStepFailed))
        }
        Order::Detach { number, direction } => {
            match link.detach(direction, seen.sampled.as_ref()).await {
                Ok(()) => {
                    remark(look_for_others(link, direction).await);
                    Event::Happened(number, Fact::Detached)
                }
                Err(error) => Event::Happened(number, Fact::DetachFailed(error.to_string())),
            }
        }
        Order::Reverse { number, direction } => match link.reverse(direction).await {
            Ok(()) => Event::Happened(number, Fact::ReverseConfirmed),
            Err(error) => Event::Happened(number, Fact::ReverseFailed(error.to_string())),
        },
        Order::Unfence(direction) => match lift(link, direction).await {
            Ok(()) => Event::Unfenced,
            Err(error) => Event::UnfenceFailed(error.to_string()),
        },
    };
    Some(Answer::Event(event))
}

/// Lifts the fence, with as many tries as [`UNFENCE_LIMIT`] has room for: what keeps a server from answering is often
/// over soon, and until then writers that bypass the proxy wait. A link that cannot fence has not.
async fn lift<L: Replication>(link: &mut L, direction: Direction) -> Result<(), Error> {
    if !link.abilities(direction).fence {
        return Ok(());
    }
    let give_up_at = Instant::now() + UNFENCE_LIMIT;
    loop {
        match link.unfence(direction).await {
            Err(_) if Instant::now() < give_up_at => tokio::time::sleep(UNFENCE_WAIT).await,
            lifted => return lifted,
        }
    }
}

async fn check<L: Replication>(link: &mut L, clients: &Clients, scope: Scope) -> Checked {
    if scope == Scope::Migration
        && let Err(error) = link.provide().await
    {
        return Checked {
            findings: vec![],
            target: Some(Err(error)),
        };
    }
    let findings = link.preflight(Direction::FORWARD, clients).await;
    let target = match scope {
        Scope::Preflight => None,
        Scope::Migration => Some(look_at_target(link).await),
    };
    Checked { findings, target }
}

/// After the end of the link: whether writers that bypass the proxy have shown themselves since its side was left. Where
/// that side is fenced, the fence holds them, and nothing of the proxy blocks there any more. Where it is not, what they
/// wrote since the marker may not have arrived.
async fn look_for_others<L: Replication>(link: &mut L, direction: Direction) -> Option<Reason> {
    if link.abilities(direction).fence {
        // One that cannot be asked is not being written to by anybody.
        let held = timeout(OTHERS_LIMIT, link.held_back(direction)).await;
        return Reason::HeldAtTheFence(held.ok()?.ok()??).into();
    }
    match timeout(OTHERS_LIMIT, link.counted(direction.from)).await {
        Ok(Ok(written)) => written.map(Reason::WrittenPast),
        Ok(Err(error)) => Some(Reason::OthersUnknown(error.to_string())),
        Err(_) => Some(Reason::OthersUnknown(format!(
            "no answer within {OTHERS_LIMIT:?}"
        ))),
    }
}

async fn hand_back<L: Replication>(link: &mut L) -> Option<Reason> {
    let failed = link.hand_back().await.err()?;
    Some(Reason::NotHandedBack(failed.to_string()))
}

async fn look_at_target<L: Replication>(link: &mut L) -> Result<Target, Error> {
    if link.same_server().await? {
        return Ok(Target::IsSource);
    }
    if !link.abilities(Direction::FORWARD).prepare {
        return Ok(Target::Empty);
    }
    if let Some(written) = link.receives_writes(Side::Target).await? {
        return Ok(Target::ReceivesWrites(written));
    }
    let empty = link.is_empty(Side::Target).await?;
    Ok(if empty {
        Target::Empty
    } else {
        Target::HoldsData
    })
}

/// One step of an attempt; the error is the link's words.
async fn take<L: Replication>(
    link: &mut L,
    seen: &mut Seen,
    direction: Direction,
    step: LinkStep,
    left: Duration,
    marker: &str,
) -> Result<Fact, String> {
    let words = |error: Error| error.to_string();
    match step {
        LinkStep::WriteMarker => {
            link.write_marker(direction, marker).await.map_err(words)?;
            Ok(Fact::MarkerWritten)
        }
        LinkStep::Fence => {
            link.fence(direction, left + FENCE_MARGIN)
                .await
                .map_err(words)?;
            Ok(Fact::Fenced)
        }
        LinkStep::SamplePosition => {
            seen.sampled = None;
            let position = link.position(direction).await.map_err(words)?;
            seen.agrees(direction, &position)?;
            seen.sampled = Some(position);
            Ok(Fact::PositionSampled)
        }
        LinkStep::AwaitPosition => {
            let Some(position) = &seen.sampled else {
                return Err("no position was sampled".to_owned());
            };
            let mut polls = Polls::default();
            loop {
                match link.caught_up(direction, position).await.map_err(words)? {
                    CaughtUp::Yes => return Ok(Fact::CaughtUp),
                    CaughtUp::NotYet { .. } => polls.pause().await,
                    CaughtUp::Never(why) => return Err(why),
                }
            }
        }
        LinkStep::AwaitMarker => {
            let mut polls = Polls::default();
            while !link.marker_seen(direction, marker).await.map_err(words)? {
                polls.pause().await;
            }
            Ok(Fact::MarkerSeen)
        }
    }
}

impl Seen {
    fn look(&mut self, direction: Direction, report: &Report) {
        if report.phase == Phase::Streaming {
            let written = report.written.clone();
            self.streaming = written.map(|written| (direction, written));
        }
    }

    /// Whether `step` is the one from which on others are counted, on a side that cannot be fenced: the first after the
    /// drain that draws a line.
    fn counts_from(&mut self, number: u64, step: LinkStep) -> bool {
        match step {
            LinkStep::WriteMarker | LinkStep::SamplePosition => {
                self.counting.replace(number) != Some(number)
            }
            LinkStep::Fence | LinkStep::AwaitPosition | LinkStep::AwaitMarker => false,
        }
    }

    /// Whether a position lies in the streams that the attempt stands on; the error says what does not.
    fn agrees(&self, direction: Direction, position: &Position) -> Result<(), String> {
        match &self.streaming {
            Some((seen, written)) if *seen == direction && !written.same_streams(position) => {
                Err("the copied side has begun another replication stream".to_owned())
            }
            // A driver that tells no position when it is looked at has nothing to compare.
            Some(_) | None => Ok(()),
        }
    }
}
