//! Random histories: answers that come, fail, come late or twice, operators who change their minds, a process that
//! dies.
//! The claims are those of the design: never two sides writable, a commit only after every proof of the same attempt, a
//! hold always ends, after the commit never the source until a rollback commits.

use proptest::prelude::*;

use super::*;

/// What the application's writes may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Traffic {
    Open,
    Armed,
    Held { since: Millis },
    Crossing { since: Millis },
}

#[derive(Debug)]
struct World {
    state: State,
    now: Millis,
    traffic: Traffic,
    /// The side that the gate sends writes to.
    active: Side,
    /// What is on the disk.
    journal: Resumed,
    /// Orders without an answer.
    outstanding: Vec<Action>,
    last_number: u64,
}

/// What happens next.
#[derive(Debug, Clone)]
enum Deed {
    /// An outstanding order (by its place) is answered, in one of its ways; the first is the good one.
    Answer {
        order: prop::sample::Index,
        way: usize,
    },
    /// Somebody asks for something.
    Ask(Ask),
    /// A fact that nobody ordered, of this attempt or an earlier one.
    Noise { fact: Fact, back: u64 },
    /// The link is looked at.
    Look { from: Side, look: Look },
    /// The clock moves.
    Time(u64),
    /// The process dies and starts again; whether the record it was writing is there.
    Crash { written: bool },
}

#[derive(Debug, Clone, Copy)]
enum Ask {
    Migrate,
    Cutover,
    Rollback,
    Abort,
    Finalize,
}

impl World {
    fn new() -> World {
        let (state, _) = start(&Resumed::FRESH, Reverse::AsReplica);
        World {
            state,
            now: Millis(0),
            traffic: Traffic::Open,
            active: Side::Source,
            journal: Resumed::FRESH,
            outstanding: vec![],
            last_number: 0,
        }
    }

    fn does(&mut self, deed: Deed) {
        match deed {
            Deed::Answer { order, way } if !self.outstanding.is_empty() => {
                let order = self.take(order.index(self.outstanding.len()));
                let ways = answers(&order);
                self.feed(&ways[way % ways.len()]);
            }
            Deed::Answer { .. } => {}
            Deed::Ask(ask) => {
                let (number, plan, objections) = (self.last_number + 1, plan(), vec![]);
                self.feed(&Event::Asked(match ask {
                    Ask::Migrate => Request::Migrate { objections },
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
                    Ask::Abort => Request::Abort,
                    Ask::Finalize => Request::Finalize,
                }));
            }
            Deed::Noise { fact, back } => {
                self.feed(&Event::Happened(
                    self.last_number.saturating_sub(back),
                    fact,
                ));
            }
            Deed::Look { from, look } => self.feed(&Event::LinkReported { from, look }),
            Deed::Time(ms) => {
                self.now = self.now.plus(Millis(ms));
                self.feed(&Event::TimeReached);
            }
            Deed::Crash { written } => self.crash(written),
        }
        self.claims();
    }

    /// Records are written in their order; everything else is answered as it comes.
    fn take(&mut self, index: usize) -> Action {
        let is_record = |order: &Action| matches!(order, Action::FlushJournal(_));
        let first_record = self.outstanding.iter().position(is_record);
        let index = if is_record(&self.outstanding[index]) {
            first_record.unwrap_or(index)
        } else {
            index
        };
        self.outstanding.remove(index)
    }

    fn feed(&mut self, event: &Event) {
        if let Event::JournalFlushed(record) = event {
            self.journal = self.journal.clone().and_then(record);
        }
        let state = self.state.clone();
        let (next, actions) = step(state, event.clone(), self.now);
        self.state = next;
        for action in actions {
            self.obey(action, event);
        }
    }

    fn obey(&mut self, action: Action, cause: &Event) {
        let in_time = |since: Millis| self.now < since.plus(MAX_PAUSE);
        match (&action, self.traffic) {
            (Action::ArmSessions(number), traffic) => {
                assert_eq!(traffic, Traffic::Open);
                self.last_number = *number;
                self.traffic = Traffic::Armed;
            }
            (Action::CloseGate(number), traffic) => {
                assert_eq!(traffic, Traffic::Armed);
                let on_disk = Stage::Interrupted {
                    number: *number,
                    from: self.active,
                };
                assert_eq!(
                    self.journal.stage, on_disk,
                    "the attempt is on the disk before the hold"
                );
                let Event::LinkReported { from, look } = cause else {
                    panic!("held by {cause:?}")
                };
                assert!(
                    *from == self.active && look.may_hold(&plan()),
                    "held by {look:?}"
                );
                self.traffic = Traffic::Held { since: self.now };
                self.outstanding.push(action);
                return;
            }
            (Action::Detach { number, .. }, Traffic::Held { since }) => {
                assert_eq!(cause, &Event::Happened(*number, Fact::Aligned));
                assert!(in_time(since), "detached in time");
            }
            (
                Action::FlushJournal(Record::Committed { number, active, .. }),
                Traffic::Held { since },
            ) => {
                assert_eq!(cause, &Event::Happened(*number, Fact::Detached));
                assert_eq!(*active, self.active.other());
                assert!(in_time(since), "committed in time");
            }
            (Action::CommitGate(number), Traffic::Held { since }) => {
                let Event::JournalFlushed(Record::Committed {
                    number: flushed,
                    active,
                    ..
                }) = cause
                else {
                    panic!("committed by {cause:?}");
                };
                assert_eq!((flushed, *active), (number, self.active.other()));
                self.active = self.active.other();
                self.traffic = Traffic::Crossing { since };
            }
            (Action::ReleaseGate, Traffic::Crossing { .. })
            | (Action::ReopenGate, Traffic::Armed | Traffic::Held { .. }) => {
                self.traffic = Traffic::Open;
            }
            (
                Action::CommitGate(_)
                | Action::ReleaseGate
                | Action::ReopenGate
                | Action::Detach { .. },
                Traffic::Open | Traffic::Armed | Traffic::Held { .. } | Traffic::Crossing { .. },
            ) => panic!("{action:?} while {:?}", self.traffic),
            (Action::PrepareLink, traffic) => {
                assert_eq!(traffic, Traffic::Open);
                assert_eq!(
                    self.active,
                    Side::Source,
                    "an active target is never flushed"
                );
                assert_eq!(cause, &Event::JournalFlushed(Record::Migrating));
            }
            (Action::GiveUpLinkWork, _) => self.outstanding.retain(|order| !at_the_link(order)),
            (_, _) => {}
        }
        if !answers(&action).is_empty() {
            self.outstanding.push(action);
        }
    }

    /// What a restart finds: the journal, and perhaps the record that was being written.
    fn crash(&mut self, written: bool) {
        let pending = self.outstanding.iter().find_map(|order| match order {
            Action::FlushJournal(record) => Some(record.clone()),
            _ => None,
        });
        if let (Some(record), true) = (pending, written) {
            self.journal = self.journal.clone().and_then(&record);
        }
        let writing_commit = matches!(self.state, State::Detaching(_, Detach::Flushing));
        assert!(
            writing_commit || self.journal.active() == self.active,
            "a restart finds the active side"
        );
        self.active = self.journal.active();
        self.traffic = Traffic::Open;
        self.outstanding.clear();
        let (state, actions) = start(&self.journal, Reverse::AsReplica);
        self.state = state;
        for action in actions {
            self.obey(action, &Event::TimeReached);
        }
    }

    fn claims(&self) {
        assert_eq!(
            self.state.active(),
            self.active,
            "state and gate agree: {:?}",
            self.state
        );
        let since = match self.traffic {
            Traffic::Open => {
                assert_eq!(
                    self.state.step(),
                    None,
                    "nothing is under way while the gate is open"
                );
                return;
            }
            Traffic::Armed => return,
            Traffic::Held { since } | Traffic::Crossing { since } => since,
        };
        if matches!(self.state, State::Detaching(_, Detach::Flushing)) {
            return;
        }
        let at_the_bound = since.plus(MAX_PAUSE).max(self.now);
        assert!(self.state.deadline().is_some_and(|at| at <= at_the_bound));
        let (_, actions) = step(self.state.clone(), Event::TimeReached, at_the_bound);
        let opens = |action: &Action| matches!(action, Action::ReleaseGate | Action::ReopenGate);
        assert!(actions.iter().any(opens), "a hold ends: {:?}", self.state);
    }
}

/// The ways in which an order can be answered, the good one first.
fn answers(order: &Action) -> Vec<Event> {
    let no = || "no".to_owned();
    let step_failed = |number, fact| {
        vec![
            Event::Happened(number, fact),
            Event::Happened(number, Fact::LinkStepFailed(no())),
        ]
    };
    match order {
        Action::ObserveLink { from } => [
            Standing::Streaming,
            Standing::Copying,
            Standing::Detached,
            Standing::Unknown,
        ]
        .into_iter()
        .map(|link| seen(*from, link))
        .collect(),
        Action::PrepareLink => vec![Event::LinkPrepared, Event::LinkPrepareFailed(no())],
        Action::EndLink { .. } => vec![Event::LinkEnded, Event::LinkEndFailed(no())],
        Action::ArmSessions(number) => vec![
            Event::Happened(*number, Fact::SessionsPrepared(vec![])),
            Event::Happened(*number, Fact::SessionsPrepared(vec![no()])),
        ],
        Action::CloseGate(number) => vec![Event::Happened(*number, Fact::GateClosed)],
        Action::AwaitDrain(number) => vec![Event::Happened(*number, Fact::WritesDrained)],
        Action::ReleaseBlocked(number) => vec![Event::Happened(*number, Fact::BlockedReleased)],
        Action::Link { number, step, .. } => match step {
            LinkStep::WriteMarker => step_failed(*number, Fact::MarkerWritten),
            LinkStep::Fence => step_failed(*number, Fact::Fenced),
            LinkStep::SamplePosition => step_failed(*number, Fact::PositionSampled),
            LinkStep::AwaitPosition => step_failed(*number, Fact::CaughtUp),
            LinkStep::AwaitMarker => step_failed(*number, Fact::MarkerSeen),
        },
        Action::AlignSubscriptions(number) => vec![Event::Happened(*number, Fact::Aligned)],
        Action::Detach { number, .. } => {
            vec![
                Event::Happened(*number, Fact::Detached),
                Event::Happened(*number, Fact::DetachFailed(no())),
            ]
        }
        Action::FlushJournal(record) => vec![
            Event::JournalFlushed(record.clone()),
            Event::JournalFailed {
                record: record.clone(),
                text: no(),
            },
        ],
        Action::ReverseLink { number, .. } => vec![
            Event::Happened(*number, Fact::ReverseConfirmed),
            Event::Happened(*number, Fact::ReverseFailed(no())),
        ],
        Action::MoveSessions(number) => vec![Event::Happened(*number, Fact::SessionsMoved)],
        Action::Unfence { .. } => vec![Event::Unfenced, Event::UnfenceFailed(no())],
        Action::CommitGate(_)
        | Action::ReleaseGate
        | Action::ReopenGate
        | Action::GiveUpLinkWork
        | Action::Refuse(_)
        | Action::Accept
        | Action::Conclude(_)
        | Action::Raise(_)
        | Action::Clear(_) => vec![],
    }
}

fn at_the_link(order: &Action) -> bool {
    matches!(
        order,
        Action::ObserveLink { .. }
            | Action::PrepareLink
            | Action::EndLink { .. }
            | Action::Link { .. }
            | Action::Detach { .. }
            | Action::ReverseLink { .. }
            | Action::Unfence { .. }
    )
}

fn any_side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Source), Just(Side::Target)]
}

fn any_fact() -> impl Strategy<Value = Fact> {
    prop_oneof![
        Just(Fact::SessionsPrepared(vec![])),
        Just(Fact::GateClosed),
        Just(Fact::WritesDrained),
        Just(Fact::BlockedReleased),
        Just(Fact::MarkerWritten),
        Just(Fact::Fenced),
        Just(Fact::PositionSampled),
        Just(Fact::CaughtUp),
        Just(Fact::MarkerSeen),
        Just(Fact::Aligned),
        Just(Fact::Detached),
        Just(Fact::ReverseConfirmed),
        Just(Fact::SessionsMoved),
    ]
}

fn any_look() -> impl Strategy<Value = Look> {
    let standing = prop_oneof![
        4 => Just(Standing::Streaming),
        1 => Just(Standing::Copying),
        1 => Just(Standing::Broken),
        1 => Just(Standing::Detached),
        1 => Just(Standing::Unknown),
    ];
    let remaining = prop_oneof![
        4 => Just(Remaining::Bytes(0)),
        1 => Just(Remaining::Bytes(1 << 30)),
        1 => Just(Remaining::Unknown),
    ];
    let copy = prop_oneof![8 => Just(CopyNumber(0)), 1 => Just(CopyNumber(1))];
    (standing, remaining, copy).prop_map(|(link, lag, copy)| Look { link, lag, copy })
}

fn any_deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        // Mostly the good answer, so that histories come far.
        40 => (any::<prop::sample::Index>(), prop_oneof![15 => Just(0), 1 => 1_usize..4])
            .prop_map(|(order, way)| Deed::Answer { order, way }),
        8 => prop_oneof![
            3 => Just(Ask::Migrate),
            6 => Just(Ask::Cutover),
            3 => Just(Ask::Rollback),
            1 => Just(Ask::Abort),
            1 => Just(Ask::Finalize),
        ]
        .prop_map(Deed::Ask),
        4 => (any_fact(), 0_u64..3).prop_map(|(fact, back)| Deed::Noise { fact, back }),
        6 => (any_side(), any_look()).prop_map(|(from, look)| Deed::Look { from, look }),
        4 => prop_oneof![8 => 0_u64..50, 1 => 500_u64..12_000].prop_map(Deed::Time),
        1 => any::<bool>().prop_map(|written| Deed::Crash { written }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_history_breaks_a_promise(deeds in prop::collection::vec(any_deed(), 1..200)) {
        let mut world = World::new();
        for deed in deeds {
            world.does(deed);
        }
    }
}
