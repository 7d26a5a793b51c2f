//! The course that all rows run together: each gets ready, all cross, each claims; then the same way back.

#![allow(unreachable_pub)] // a module of a test binary

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::ops::{Deref, DerefMut};
use std::panic::resume_unwind;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::kit::{Client, LIMIT, RedisServer, Reply};
use super::world::World;
use super::{State, TEN};

/// A row may take this long for its part: thirty others take theirs at the same time.
const PATIENCE: Duration = Duration::from_secs(4 * LIMIT.as_secs());
/// A write that is not answered for so long, while a crossing is under way, is held.
const HELD_AFTER: Duration = Duration::from_millis(3);
/// Time between two exchanges of a client that goes on and on.
pub const PACE: Duration = Duration::from_millis(20);

/// Which crossing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// The cutover.
    Forth,
    /// The rollback.
    Back,
}

impl Turn {
    pub const BOTH: [Turn; 2] = [Turn::Forth, Turn::Back];

    /// How many crossings there have been once it is over.
    fn number(self) -> usize {
        match self {
            Turn::Forth => 1,
            Turn::Back => 2,
        }
    }
}

/// Where everybody stands.
pub struct Course {
    rows: usize,
    standing: Mutex<Standing>,
    changed: Condvar,
}

#[derive(Default)]
struct Standing {
    /// Rows that are ready for what comes next.
    ready: BTreeSet<&'static str>,
    /// Rows that failed: nobody waits for them any more.
    failed: BTreeSet<&'static str>,
    /// Crossings that are over.
    crossed: usize,
    /// Crossings in which a write was seen to be held.
    held: usize,
    /// Open connections of rows' own helpers.
    helpers: usize,
    /// Nothing more will happen.
    over: bool,
}

impl Standing {
    /// Rows that nobody has to wait for.
    fn settled(&self) -> usize {
        self.ready.union(&self.failed).count()
    }
}

impl Course {
    pub fn new(rows: usize) -> Course {
        Course {
            rows,
            standing: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Ends every wait when it is dropped.
    pub fn over_at_the_end(&self) -> impl Drop + '_ {
        struct Over<'c>(&'c Course);
        impl Drop for Over<'_> {
            fn drop(&mut self) {
                self.0.change(|standing| standing.over = true);
            }
        }
        Over(self)
    }

    /// Every row's ten, of the rows that have not failed, and their helpers.
    pub fn sessions(&self) -> usize {
        let standing = self.standing();
        (self.rows - standing.failed.len()) * TEN + standing.helpers
    }

    /// Waits until every row has its sessions in their state.
    pub fn wait_until_ready(&self, turn: Turn) {
        self.wait(&format!("rows to be ready for {turn:?}"), |standing| {
            standing.settled() == self.rows
        });
    }

    /// Waits until every row has made its claims.
    pub fn wait_until_done(&self) {
        self.wait("rows to end", |standing| standing.settled() == self.rows);
    }

    /// Has a crossing made, with a client that looks for the hold meanwhile; then lets the rows go on.
    pub fn post(&self, world: &World, turn: Turn, crossing: impl FnOnce()) {
        let mut probe = world.app();
        thread::scope(|scope| {
            let _over = self.over_if_panicking();
            scope.spawn(move || {
                let number = turn.number();
                let is_open = || {
                    let standing = self.standing();
                    standing.crossed < number && !standing.over
                };
                while is_open() {
                    probe.send(&["SET", "probe", "v"]);
                    if !probe.has_reply_within(HELD_AFTER) && is_open() {
                        self.change(|standing| standing.held = number);
                    }
                    assert_eq!(probe.read_reply(), Reply::ok());
                }
            });
            crossing();
            self.change(|standing| {
                standing.crossed = turn.number();
                standing.ready.clear();
            });
        });
    }

    /// Lets the rows end.
    pub fn release(&self) {
        self.change(|standing| standing.crossed += 1);
    }

    fn over_if_panicking(&self) -> impl Drop + '_ {
        struct Over<'c>(&'c Course);
        impl Drop for Over<'_> {
            fn drop(&mut self) {
                if thread::panicking() {
                    self.0.change(|standing| standing.over = true);
                }
            }
        }
        Over(self)
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        // Nothing that panics leaves it half changed.
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Standing)) {
        change(&mut self.standing());
        self.changed.notify_all();
    }

    fn wait(&self, what: &str, condition: impl Fn(&Standing) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        let mut standing = self.standing();
        while !condition(&standing) {
            assert!(!standing.over, "waited for {what}: it will not come");
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited for {what} in vain");
            let woken = self.changed.wait_timeout(standing, left);
            standing = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// One row of the table: what its function is given.
pub struct Row<'w> {
    pub name: &'static str,
    pub world: &'w World,
    course: &'w Course,
}

impl<'w> Row<'w> {
    pub fn new(name: &'static str, world: &'w World, course: &'w Course) -> Row<'w> {
        Row {
            name,
            world,
            course,
        }
    }

    /// Runs a row with ten sessions, which stay open until everybody has made its claims.
    pub fn run(&self, state: State) {
        let _seat = Seat(self);
        let mut ten: Vec<Client> = (0..TEN).map(|_| self.world.app()).collect();
        state(self, &mut ten);
        self.ready();
        self.course
            .wait("the end", |standing| standing.crossed > Turn::BOTH.len());
    }

    /// A further connection of the application, beside the ten.
    pub fn helper(&self) -> Helper<'w> {
        self.course.change(|standing| standing.helpers += 1);
        Helper {
            client: self.world.app(),
            course: self.course,
        }
    }

    /// The ten are in their state.
    pub fn ready(&self) {
        self.course.change(|standing| {
            standing.ready.insert(self.name);
        });
    }

    /// Waits until the crossing is over.
    pub fn wait(&self, turn: Turn) {
        self.course
            .wait("the crossing", |standing| standing.crossed >= turn.number());
    }

    /// Says that the ten are in their state, and waits until the crossing is over.
    pub fn cross(&self, turn: Turn) {
        self.ready();
        self.wait(turn);
    }

    /// Whether the crossing is over.
    pub fn is_over(&self, turn: Turn) -> bool {
        let standing = self.course.standing();
        assert!(!standing.over, "there is no crossing");
        standing.crossed >= turn.number()
    }

    /// Waits until writes are held (as far as that can be told from outside), or the crossing is over.
    pub fn wait_for_the_hold(&self, turn: Turn) {
        self.course.wait("the hold", |standing| {
            standing.held.max(standing.crossed) >= turn.number()
        });
    }

    /// Waits until every other row is ready.
    pub fn wait_for_the_others(&self) {
        self.course.wait("the other rows", |standing| {
            standing.settled() == self.course.rows - 1
        });
    }

    /// The server that owns writes before the crossing.
    pub fn before(&self, turn: Turn) -> &'w RedisServer {
        match turn {
            Turn::Forth => &self.world.source,
            Turn::Back => &self.world.target,
        }
    }

    /// The one that owns them afterwards.
    pub fn after(&self, turn: Turn) -> &'w RedisServer {
        match turn {
            Turn::Forth => &self.world.target,
            Turn::Back => &self.world.source,
        }
    }

    /// A name of this row's own: of a key, a channel.
    pub fn key(&self, turn: Turn, what: impl std::fmt::Display) -> String {
        format!("{}:{turn:?}:{what}", self.name)
    }

    /// Claims that one of the ten got what it should.
    #[track_caller]
    pub fn claim<T: PartialEq + Debug>(&self, session: usize, what: &str, got: &T, expected: &T) {
        assert!(
            got == expected,
            "{}, session {session}, {what}: got {got:?}, expected {expected:?}",
            self.name
        );
    }

    /// Lets a moment pass between two exchanges of a client that goes on and on: what is measured is a crossing under
    /// load, not a machine that has no time left.
    pub fn pace(&self) {
        let standing = self.course.standing();
        let woken = self.course.changed.wait_timeout(standing, PACE);
        drop(woken.unwrap_or_else(PoisonError::into_inner));
    }

    /// Runs `each` for every session in a thread of its own, and `meanwhile` in this one.
    pub fn together<T: Send, R>(
        &self,
        ten: &mut [Client],
        each: impl Fn(usize, &mut Client) -> T + Sync,
        meanwhile: impl FnOnce() -> R,
    ) -> (Vec<T>, R) {
        thread::scope(|scope| {
            let each = &each;
            let spawn = |(number, session)| {
                thread::Builder::new()
                    .name(self.name.to_owned())
                    .spawn_scoped(scope, move || each(number, session))
                    .unwrap()
            };
            let running: Vec<_> = ten.iter_mut().enumerate().map(spawn).collect();
            let own = meanwhile();
            let results = running
                .into_iter()
                .map(|session| session.join().unwrap_or_else(|panic| resume_unwind(panic)));
            (results.collect(), own)
        })
    }
}

/// A row's own connection, counted while it is open.
pub struct Helper<'w> {
    client: Client,
    course: &'w Course,
}

impl Deref for Helper<'_> {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl DerefMut for Helper<'_> {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}

impl Drop for Helper<'_> {
    fn drop(&mut self) {
        self.course.change(|standing| standing.helpers -= 1);
    }
}

/// A row that fails is not waited for: the others are tested all the same.
struct Seat<'r, 'w>(&'r Row<'w>);

impl Drop for Seat<'_, '_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.course.change(|standing| {
                standing.failed.insert(self.0.name);
            });
        }
    }
}
