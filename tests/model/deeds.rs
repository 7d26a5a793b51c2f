//! What can happen next in a world, and what comes of it.

use handover::cutover::Millis;
use handover::cutover::action::Action;
use handover::cutover::event::{Event, Fact, Request};
use handover::cutover::plan::LinkStep;
use handover::cutover::reason::Reason;
use handover::cutover::state::{CatchUp, State};
use handover::terms::Side;

use super::database::{FreedBy, Role, Stream, Write};
use super::link::failure;
use super::rules::{FENCE_MARGIN, Rules};
use super::troubles::{Trouble, troubles};
use super::world::{Awaiting, Breach, Grip, World};

/// Something that can happen. The troubles are counted; everything else happens as often as it can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Deed {
    /// A client's write is admitted.
    Send,
    /// A write in flight reaches its database, and its reply the client.
    Reply(usize),
    /// Somebody writes to a database directly.
    Bypass(Side),
    /// The first order to the link is carried out; its answer is on the way.
    CarryOut,
    /// The first answer reaches the state machine.
    Answer,
    /// The link is looked at from time to time.
    LookAround,
    /// A request that nobody waits for reaches its database.
    StrayLands(usize),
    /// What the gate was to tell is so.
    GateTells,
    /// The first record is on the disk.
    RecordFlushed,
    /// The clock reaches the next bound, of the state or of a fence. Whoever waits for it may hear of it later.
    Time,
    /// The runner wakes at its bound.
    Wake,
    /// An operator asks for something that is not a trouble.
    Ask(Ask),
    /// The follower applies the next write.
    Replicate(Side),
    /// The follower has the full copy.
    CopyEnds(Side),
    /// The follower's connection is there again.
    Heal(Side),
    /// A late event comes again.
    ComesAgain(usize),
    /// One of the troubles.
    Trouble(Trouble),
}

/// What an operator asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    Migrate,
    MigrateUnconfirmed,
    Cutover,
    Rollback,
    Finalize,
}

/// Everything that can happen, some of it without a trace.
pub(crate) fn deeds(world: &World, rules: &Rules, deeds: &mut Vec<Deed>) {
    let spent = &world.spent;
    if spent.writes < rules.writes && world.gate.admits().is_some() {
        deeds.push(Deed::Send);
    }
    let can_run = |side: Side| world.databases[side.index()].fenced_until.is_none();
    for (index, (_, side)) in world.in_flight.iter().enumerate() {
        if can_run(*side) {
            deeds.push(Deed::Reply(index));
        }
    }
    for side in Side::BOTH {
        let database = &world.databases[side.index()];
        if spent.bypass < rules.bypass && database.takes_writes() {
            deeds.push(Deed::Bypass(side));
        }
        match database.role {
            Role::Master => {}
            Role::Replica(Stream::Copying) => deeds.push(Deed::CopyEnds(side)),
            Role::Replica(Stream::Down) => deeds.push(Deed::Heal(side)),
            Role::Replica(Stream::Flowing) => deeds.push(Deed::Replicate(side)),
        }
    }
    if !world.orders.is_empty() {
        deeds.push(Deed::CarryOut);
    }
    if !world.answers.is_empty() {
        deeds.push(Deed::Answer);
    }
    if world.orders.is_empty() && world.answers.is_empty() && !world.state.observed().is_empty() {
        deeds.push(Deed::LookAround);
    }
    deeds.extend((0..world.strays.len()).map(Deed::StrayLands));
    deeds.extend((0..world.late.len()).map(Deed::ComesAgain));
    if gate_fact(world).is_some() {
        deeds.push(Deed::GateTells);
    }
    if !world.records.is_empty() {
        deeds.push(Deed::RecordFlushed);
    }
    if next_bound(world).is_some() {
        deeds.push(Deed::Time);
    }
    if world.state.deadline().is_some_and(|at| at <= world.now) {
        deeds.push(Deed::Wake);
    }
    deeds.extend(asks(world, rules).map(Deed::Ask));
    if spent.troubles < rules.troubles {
        deeds.extend(troubles(world).into_iter().map(Deed::Trouble));
    }
}

fn asks(world: &World, rules: &Rules) -> impl Iterator<Item = Ask> {
    let may_begin = world.spent.attempts < rules.attempts;
    let may_migrate = world.spent.migrations < rules.migrations;
    [
        (Ask::Migrate, may_migrate),
        (Ask::MigrateUnconfirmed, true),
        (Ask::Cutover, may_begin),
        (Ask::Rollback, may_begin),
        (Ask::Finalize, true),
    ]
    .into_iter()
    .filter_map(|(ask, may)| may.then_some(ask))
}

/// The world after `deed`; none where nothing came of it.
pub(crate) fn after(world: &World, deed: &Deed, rules: &Rules) -> Option<World> {
    let mut next = world.clone();
    match *deed {
        Deed::Send => next.sends(),
        Deed::Reply(index) => next.replies(index),
        Deed::Bypass(side) => next.bypassed(side, rules),
        Deed::CarryOut => {
            let order = next.orders.first()?.clone();
            let answer = next.carry_out(&order, rules)?;
            next.orders.remove(0);
            next.answers.push(answer);
        }
        Deed::Answer => {
            let answer = next.answers.remove(0);
            next.answered(answer, rules);
        }
        Deed::LookAround => {
            let looks = next.state.observed().iter();
            next.orders
                .extend(looks.map(|from| Action::ObserveLink { from: *from }));
        }
        Deed::StrayLands(index) => {
            let stray = next.strays.remove(index);
            let _ = next.outcome(&stray, rules);
        }
        Deed::GateTells => {
            let event = gate_fact(world)?;
            next.gate.awaiting = None;
            next.feed(event, rules);
        }
        Deed::RecordFlushed => {
            let record = next.records.remove(0);
            next.on_disk = next.on_disk.and_then(&record);
            next.feed(Event::JournalFlushed(record), rules);
        }
        Deed::Time => {
            let now = next_bound(world)?;
            next.now = now;
            for database in &mut next.databases {
                database.fenced_until = database.fenced_until.filter(|until| *until > now);
            }
        }
        Deed::Wake => next.feed(Event::TimeReached, rules),
        Deed::Ask(ask) => next.asked(ask, rules)?,
        Deed::Replicate(side) => next.replicates(side),
        Deed::CopyEnds(side) => {
            let data = next.databases[side.other().index()].data.clone();
            let follower = next.database(side);
            follower.data = data;
            follower.role = Role::Replica(Stream::Flowing);
        }
        Deed::Heal(side) => next.database(side).role = Role::Replica(Stream::Flowing),
        Deed::ComesAgain(index) => {
            let event = next.late.remove(index);
            next.feed(event, rules);
        }
        Deed::Trouble(trouble) => {
            next.spent.troubles += 1;
            next.suffers(trouble, rules)?;
        }
    }
    next.known.fence_excused &= next.may_be_fenced();
    (next != *world).then_some(next)
}

impl World {
    fn sends(&mut self) {
        if let Some(side) = self.gate.admits() {
            self.spent.writes += 1;
            self.in_flight
                .push((Write::Client(self.spent.writes), side));
        }
    }

    /// A replica refuses it; then it was never acknowledged.
    fn replies(&mut self, index: usize) {
        let (write, side) = self.in_flight.remove(index);
        let database = self.database(side);
        if database.role != Role::Master {
            return;
        }
        database.data.push(write);
        self.known.acknowledged.push(write);
        if side != self.gate.active {
            self.breach(Breach::RepliedByPassiveSide);
        }
    }

    fn bypassed(&mut self, side: Side, rules: &Rules) {
        self.spent.bypass += 1;
        let write = Write::Bypass(self.spent.bypass);
        self.database(side).data.push(write);
        if self.promises_to_carry_over(side, rules) {
            self.known.promised.push(write);
        }
    }

    /// What is promised to writers that bypass the proxy: what the active side acknowledges is not lost, unless the
    /// link cannot fence, or the commit's record took the disk longer than the fence lasts.
    fn promises_to_carry_over(&self, side: Side, rules: &Rules) -> bool {
        let fenced_at = |at| rules.plan.fence && self.now < at;
        side == self.gate.active
            && match &self.state {
                State::CatchingUp(_, CatchUp::AtLink(LinkStep::WriteMarker | LinkStep::Fence)) => {
                    true
                }
                State::Detaching(held, _) if self.is_committing_to_disk() => {
                    fenced_at(held.deadline.plus(FENCE_MARGIN))
                }
                State::CatchingUp(..) | State::Detaching(..) => rules.plan.fence,
                _ => true,
            }
    }

    fn replicates(&mut self, side: Side) {
        let leader = self.databases[side.other().index()].data.clone();
        let follower = &self.databases[side.index()].data;
        if !leader.starts_with(follower) {
            return self.starts_over(side);
        }
        if let Some(next) = leader.get(follower.len()) {
            self.database(side).data.push(*next);
        }
    }

    fn starts_over(&mut self, side: Side) {
        self.copies += 1;
        let copy = self.copies;
        self.database(side).begin_copy(copy);
        if self.gate.active == side {
            self.breach(Breach::ActiveSideReplaced);
        }
    }

    /// None where it is refused.
    fn asked(&mut self, ask: Ask, rules: &Rules) -> Option<()> {
        let (number, plan, objections) = (self.last_number + 1, rules.plan.clone(), vec![]);
        let request = match ask {
            Ask::Migrate => Request::Migrate { objections },
            Ask::MigrateUnconfirmed => Request::Migrate {
                objections: vec![Reason::FlushUnconfirmed {
                    name: String::new(),
                }],
            },
            Ask::Cutover => Request::Cutover {
                number,
                plan,
                objections,
            },
            Ask::Rollback => Request::Rollback {
                number,
                plan,
                objections,
            },
            Ask::Finalize => Request::Finalize,
        };
        let before = self.state.clone();
        self.feed(Event::Asked(request), rules);
        if self.state == before {
            return None;
        }
        match ask {
            Ask::Migrate => {
                self.spent.migrations += 1;
                self.known.flush_confirmed = true;
            }
            Ask::Cutover | Ask::Rollback => self.spent.attempts += 1,
            Ask::MigrateUnconfirmed | Ask::Finalize => {}
        }
        Some(())
    }

    /// None where it is no trouble.
    fn suffers(&mut self, trouble: Trouble, rules: &Rules) -> Option<()> {
        match trouble {
            Trouble::Crash { written } => self.crash(written, rules),
            Trouble::Fails => {
                let order = self.orders.remove(0);
                self.told_failed(&order);
            }
            Trouble::ReplyLost => {
                let order = self.orders.remove(0);
                let _ = self.outcome(&order, rules)?;
                self.told_failed(&order);
            }
            Trouble::CarriedOutLate => {
                let order = self.orders.remove(0);
                self.told_failed(&order);
                self.stray(order);
            }
            Trouble::AnsweredTwice => {
                let answer = self.answers.remove(0);
                let event = self.event_of(answer);
                self.known.confused = true;
                self.late.push(event.clone());
                self.feed(event, rules);
            }
            Trouble::NotPrepared => {
                let (number, _) = self.gate.awaiting.take()?;
                let missing = Fact::SessionsPrepared(vec![String::new()]);
                self.feed(Event::Happened(number, missing), rules);
            }
            Trouble::RecordFails => {
                let record = self.records.remove(0);
                let text = String::new();
                self.feed(Event::JournalFailed { record, text }, rules);
            }
            Trouble::Abort => {
                let before = self.state.clone();
                self.feed(Event::Asked(Request::Abort), rules);
                if self.state == before {
                    return None;
                }
            }
            Trouble::WriteUnanswered(index) => {
                let (write, side) = self.in_flight.remove(index);
                self.database(side).data.push(write);
            }
            Trouble::Cut(side) => self.database(side).role = Role::Replica(Stream::Down),
            Trouble::StartsOver(side) => self.starts_over(side),
            Trouble::Meddle(side) => self.database(side).free(FreedBy::Others),
        }
        Some(())
    }

    /// Whether a fence stands, or may yet.
    fn may_be_fenced(&self) -> bool {
        let fence = |order: &Action| {
            matches!(
                order,
                Action::Link {
                    step: LinkStep::Fence,
                    ..
                }
            )
        };
        self.strays.iter().any(fence) || self.databases.iter().any(|one| one.fenced_until.is_some())
    }

    fn told_failed(&mut self, order: &Action) {
        self.known.fence_excused |= matches!(order, Action::Unfence { .. });
        self.answers.push(failure(order));
    }
}

fn gate_fact(world: &World) -> Option<Event> {
    let (number, awaiting) = world.gate.awaiting?;
    let fact = match (awaiting, world.gate.grip) {
        (Awaiting::Prepared, Grip::Armed) => Fact::SessionsPrepared(vec![]),
        (Awaiting::Drained, Grip::Closed { .. }) if world.in_flight.is_empty() => {
            Fact::WritesDrained
        }
        (Awaiting::Released, Grip::Closed { .. }) => Fact::BlockedReleased,
        (Awaiting::Aligned, Grip::Closed { .. }) => Fact::Aligned,
        (Awaiting::Moved, Grip::Committing { .. }) => Fact::SessionsMoved,
        _ => return None,
    };
    Some(Event::Happened(number, fact))
}

/// The next moment at which anything looks at the clock.
fn next_bound(world: &World) -> Option<Millis> {
    let fences = world.databases.iter().map(|one| one.fenced_until);
    fences
        .chain([world.state.deadline()])
        .flatten()
        .filter(|at| *at > world.now)
        .min()
}
