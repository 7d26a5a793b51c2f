//! Random schedules: who speaks, how much of what, and in which packets. What the requests are is in the rooms below.

mod data;
mod excluded;
mod malformed;
mod session;
mod table;
mod words;

use super::kit::Command;
use super::random::Random;
use super::schedule::{Cut, Nature, Request, Schedule, Step, Then};
use super::world::{Guard, PASSWORD, Quirks, Setup};

/// Connections of a schedule.
const CONNECTIONS: usize = 6;
/// What each of them is for.
const ROLES: [Role; CONNECTIONS] = [
    Role::Plain,
    Role::Plain,
    Role::Listening,
    Role::Listening,
    Role::Free,
    Role::Free,
];
/// Steps of a schedule.
const STEPS: usize = 60;

/// Requests of an anonymous connection in one step: the server closes one to which it owes more than 1 KiB.
const ANONYMOUS_REQUESTS_MAX: usize = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Neither subscribes nor tracks, so that all it is ever sent is replies: what it pipelines behind a blocked request
    /// cannot change places with a message.
    Plain,
    /// Listens to what happens to keys, and speaks RESP2 only: in RESP3 it could do something to a key at the same time,
    /// and Redis 7.0 writes the message about it into the middle of the reply.
    Listening,
    /// Everything, but to publish in a transaction, for the same reason.
    Free,
}

/// What one schedule is made of.
pub struct Generator<'a> {
    random: Random,
    commands: &'a [Command],
    guard: Guard,
    quirks: Quirks,
    /// Of the connection that speaks.
    role: Role,
    /// Templates about times to live: see [`data`].
    times: &'static [&'static str],
}

impl Generator<'_> {
    pub fn new<'a>(seed: u64, setup: &Setup, commands: &'a [Command]) -> Generator<'a> {
        let mut random = Random::new(seed);
        let times = if random.once_in(2) {
            data::TIMES_FROM_NOW
        } else {
            data::TIMES_BY_THE_CLOCK
        };
        Generator {
            random,
            commands,
            guard: setup.guard,
            quirks: setup.quirks(),
            role: Role::Plain,
            times,
        }
    }

    pub fn schedule(mut self) -> Schedule {
        Schedule {
            greetings: (0..CONNECTIONS)
                .map(|connection| self.greeting(connection))
                .collect(),
            steps: (0..STEPS).map(|_| self.step()).collect(),
        }
    }

    /// Both protocols, in half of the connections each; most of them authenticated where that is asked for.
    fn greeting(&mut self, connection: usize) -> Vec<Request> {
        self.role = ROLES[connection];
        let mut requests = Vec::new();
        if self.random.once_in(4) {
            self.wrong_identity(&mut requests);
        }
        requests.extend(self.right_greeting(connection));
        requests
    }

    fn right_greeting(&mut self, connection: usize) -> Vec<Request> {
        if self.is_anonymous(connection) {
            return self.greeting_as("");
        }
        let user = match self.random.below(8) {
            0 => "reader r",
            1 => "keys k",
            2 => "mute m",
            _ if self.guard == Guard::Open => "",
            _ => return self.greeting_as(&format!("default {PASSWORD}")),
        };
        self.greeting_as(user)
    }

    /// Where a password is asked for, one connection does not give it; mostly.
    fn is_anonymous(&self, connection: usize) -> bool {
        self.guard == Guard::Password && connection == CONNECTIONS - 1
    }

    fn greeting_as(&mut self, user: &str) -> Vec<Request> {
        let dice = match self.role {
            Role::Plain | Role::Free => self.random.below(4),
            Role::Listening => 2,
        };
        match (dice, user) {
            (0, "") => vec![Request::line("HELLO 3")],
            (_, "") => Vec::new(),
            (0 | 1, user) => vec![Request::line(&format!("HELLO 3 AUTH {user}"))],
            (2, user) => vec![Request::line(&format!("AUTH {user}"))],
            (_, user) => vec![
                Request::line(&format!("AUTH {user}")),
                Request::line("HELLO 3"),
            ],
        }
    }

    fn step(&mut self) -> Step {
        let connection = self.random.below(CONNECTIONS);
        self.role = ROLES[connection];
        let wanted = match self.random.below(20) {
            0..8 => 1 + self.random.below(4),
            8..17 => 1 + self.random.below(16),
            17..19 => 1 + self.random.below(60),
            _ => 100 + self.random.below(150),
        };
        let mut requests = Vec::new();
        let mut last = false;
        match self.random.below(24) {
            0 if self.quirks != Quirks::Redis8 => {
                self.wrong_identity(&mut requests);
                last = true;
            }
            1 | 2 if self.guard == Guard::Password => {
                self.reset(&mut requests);
                last = true;
            }
            _ => {}
        }
        while requests.len() < wanted && !last {
            last = self.some(&mut requests);
        }
        if self.is_anonymous(connection) {
            // See [`Generator::reset`].
            requests.truncate(ANONYMOUS_REQUESTS_MAX);
        }
        let length = requests.iter().map(|request| request.bytes().len()).sum();
        Step {
            connection,
            requests,
            cuts: self.cuts(length),
        }
    }

    /// One more request, or a few that belong together; true where nothing may come behind them in this step.
    fn some(&mut self, out: &mut Vec<Request>) -> bool {
        match self.random.below(200) {
            0..100 => self.data(out),
            100..108 => self.keys(out),
            108..122 => self.transaction(out),
            122..124 => out.push(self.brief_block()),
            // Behind what blocks for a moment: that would never be seen to end.
            124..128 if ends_soon(out) => {}
            199 if self.quirks == Quirks::Redis8 && ends_soon(out) => {}
            124..128 => {
                self.long_block(out);
                return true;
            }
            128..134 => self.feed(out),
            134..146 if self.role != Role::Plain => self.messages(out),
            134..146 => self.publish(out),
            146..156 => self.identity(out),
            156..166 => self.script(out),
            166..172 => self.client(out),
            172..180 => self.inspect(out),
            180..184 => self.wrong_arity(out),
            184..194 => self.any_command(out),
            194..196 => self.unknown(out),
            196..199 => self.odd_framing(out),
            _ => {
                self.malformed(out);
                return true;
            }
        }
        false
    }

    /// Packets: mostly one, or few; sometimes single bytes.
    fn cuts(&mut self, length: usize) -> Vec<Cut> {
        let count = match self.random.below(20) {
            0..9 => 0,
            9..16 => 1 + self.random.below(3),
            16..19 => 1 + self.random.below(20),
            _ => length.min(400),
        };
        let mut cuts: Vec<usize> = if count == length {
            (1..length).collect()
        } else {
            (0..count)
                .map(|_| 1 + self.random.below(length.max(1)))
                .collect()
        };
        cuts.sort_unstable();
        cuts.dedup();
        cuts.into_iter()
            .map(|at| Cut {
                at,
                then: if self.random.once_in(3) {
                    Then::Settle
                } else {
                    Then::GoOn
                },
            })
            .collect()
    }

    /// One of `templates`, filled in.
    fn from(&mut self, templates: &[&str]) -> Request {
        let template = self.random.pick(templates);
        Request::words(self.filled(template))
    }

    fn harmless(&mut self) -> Request {
        self.from(&["PING", "ECHO <v>", "PING <sv>"])
            .nature(Nature::Harmless)
    }
}

fn ends_soon(requests: &[Request]) -> bool {
    requests
        .iter()
        .any(|request| request.nature == Nature::EndsSoon)
}
