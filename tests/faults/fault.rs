//! What goes wrong, where and when: a deed, on one of the two sides or on the sidecar, at a moment of the attempt.

use std::fmt;
use std::time::{Duration, Instant};

use super::kit::{Client, Deed, LIMIT, Road, Signal, eventually, let_pass, send_signal};
use super::random::Random;
use super::world::{Side, World};

/// A side by its part in the attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Active when the attempt begins.
    Left,
    /// To be active.
    Entered,
}

/// When it goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moment {
    /// So long after the order was given.
    After(Duration),
    /// When the sidecar sends a certain request to a side.
    Request(Request),
    /// When the sidecar comes to a place of its control path; it can only die there.
    Place(String),
}

/// Requests by which a step of the attempt is told from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Looks at the link.
    Look,
    /// Has blocked commands released.
    Release,
    /// Fences.
    Fence,
    /// Samples the position, under the fence.
    Sample,
    /// Waits for it.
    CatchUp,
    /// Ends the link.
    Detach,
    /// Turns it: behind the commit.
    Reverse,
    /// Lifts the fence of an attempt that was undone, or that has turned the link.
    Unfence,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// kill -9 of that server.
    Kill,
    /// SIGSTOP, until it is over.
    Freeze,
    /// The connections to it end.
    Cut,
    /// It cannot be reached, until it is over.
    Unreachable,
    /// Nothing moves between it and the sidecar, until it is over.
    Stall,
    /// Each answer of it takes so long, until it is over.
    Slow(Duration),
    /// It answers nonsense, until it is over.
    Nonsense,
    /// It refuses the request that was waited for.
    Refuse,
    /// It never answers that request, nor sees it.
    Ignore,
    /// It answers that request with something else than what such a request gives.
    Answer,
    /// It says yes to that request and does not do it.
    Pretend,
    /// The replication begins with a full copy again.
    Resync,
    /// kill -9 of the sidecar.
    KillSidecar,
    /// The operator calls `abort`.
    Abort,
}

/// One fault.
#[derive(Debug, Clone)]
pub struct Fault {
    pub what: What,
    pub on: Role,
    pub moment: Moment,
    /// Until it is over, for what does not end by itself.
    pub lasts: Duration,
    /// What goes wrong with a request before, so that the sidecar comes to the place at which it dies.
    pub behind: Option<(What, Request)>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault {
            what, on, moment, ..
        } = self;
        write!(f, "{what:?} on {on:?} at {moment:?}")?;
        match self.behind {
            Some((what, request)) => write!(f, " behind {what:?} at {request:?}"),
            None => Ok(()),
        }
    }
}

impl Request {
    pub const ALL: [Request; 8] = [
        Request::Look,
        Request::Release,
        Request::Fence,
        Request::Sample,
        Request::CatchUp,
        Request::Detach,
        Request::Reverse,
        Request::Unfence,
    ];

    /// Which side it goes to.
    pub fn goes_to(self) -> Role {
        match self {
            Request::Release
            | Request::Fence
            | Request::Sample
            | Request::Reverse
            | Request::Unfence => Role::Left,
            Request::Look | Request::CatchUp | Request::Detach => Role::Entered,
        }
    }

    /// Bytes that only this request has, of those that go to that side in an attempt.
    pub fn text(self) -> &'static str {
        match self {
            Request::Look => "$4\r\nLIST\r\n",
            Request::Release => "$7\r\nUNBLOCK\r\n",
            Request::Fence => "$5\r\nPAUSE\r\n",
            Request::Sample | Request::CatchUp => "$4\r\nINFO\r\n$11\r\nreplication\r\n",
            Request::Detach => "$9\r\nREPLICAOF\r\n$2\r\nNO\r\n",
            Request::Reverse => "$9\r\nREPLICAOF\r\n$9\r\n127.0.0.1\r\n",
            Request::Unfence => "$7\r\nUNPAUSE\r\n",
        }
    }
}

impl Fault {
    /// One by chance.
    pub fn random(random: &mut Random) -> Fault {
        let moment = if random.once_in(3) {
            Moment::After(Duration::from_micros(random.below(60_000) as u64))
        } else {
            Moment::Request(Request::ALL[random.below(Request::ALL.len())])
        };
        let slow = What::Slow(Duration::from_millis(1 + random.below(120) as u64));
        let anytime = [
            What::Kill,
            What::Freeze,
            What::Cut,
            What::Unreachable,
            What::Stall,
            slow,
            What::Nonsense,
            What::Resync,
            What::KillSidecar,
            What::KillSidecar,
            What::Abort,
        ];
        let to_a_request = [What::Refuse, What::Ignore, What::Answer, What::Pretend];
        let number = match moment {
            Moment::After(_) | Moment::Place(_) => random.below(anytime.len()),
            Moment::Request(_) => random.below(anytime.len() + to_a_request.len()),
        };
        let all: Vec<What> = anytime.into_iter().chain(to_a_request).collect();
        let on = [Role::Left, Role::Entered][random.below(2)];
        Fault {
            what: all[number],
            on,
            moment,
            lasts: Duration::from_millis(50 + random.below(1_000) as u64),
            behind: None,
        }
        .sound()
    }

    /// Something is wrong with a request, for as long as it takes.
    pub fn at_request(what: What, request: Request, lasts: Duration) -> Fault {
        Fault {
            what,
            on: request.goes_to(),
            moment: Moment::Request(request),
            lasts,
            behind: None,
        }
    }

    /// The sidecar dies at a place.
    pub fn death(place: &str, behind: Option<(What, Request)>) -> Fault {
        Fault {
            what: What::KillSidecar,
            on: Role::Left,
            moment: Moment::Place(place.to_owned()),
            lasts: Duration::ZERO,
            behind,
        }
    }

    /// What is done to a request is done to the side that it goes to.
    fn sound(mut self) -> Fault {
        if let (What::Refuse | What::Ignore | What::Answer | What::Pretend, Moment::Request(at)) =
            (self.what, &self.moment)
        {
            self.on = at.goes_to();
        }
        self
    }

    /// Whether the sidecar dies at that place.
    pub fn is_at(&self, place: &str) -> bool {
        matches!(&self.moment, Moment::Place(own) if own == place)
    }

    /// The side it happens to, where `left` is the one that is left.
    pub fn side(&self, left: Side) -> Side {
        side_of(self.on, left)
    }

    /// Sets the trap. What happens after a time is left to [`Fault::strike`].
    pub fn lay(&self, world: &World, left: Side) {
        if let Some((what, request)) = self.behind {
            Fault::at_request(what, request, self.lasts).lay(world, left);
        }
        let request = match &self.moment {
            Moment::After(_) => return,
            Moment::Place(place) => return world.dies_at(place),
            Moment::Request(request) => *request,
        };
        let met_on = side_of(request.goes_to(), left);
        let deed = self.deed(world, left);
        let road = world.road(met_on);
        if request == Request::Sample {
            // The first such request behind the fence.
            road.at_after(Request::Fence.text(), request.text(), deed);
        } else {
            road.at(request.text(), deed);
        }
    }

    /// Waits for the moment, up to the end of the attempt, and strikes where the trap does not. Gives the moment.
    pub fn strike(&self, world: &World, left: Side, is_over: impl Fn() -> bool) -> Option<Instant> {
        match &self.moment {
            Moment::After(time) => {
                let_pass(*time);
                self.do_it(world, left);
                Some(Instant::now())
            }
            Moment::Place(_) => {
                let _ = eventually(LIMIT, || world.has_died() || is_over());
                world.has_died().then(Instant::now)
            }
            Moment::Request(request) => {
                let road = world.road(side_of(request.goes_to(), left));
                let mut met = None;
                let _ = eventually(LIMIT, || {
                    met = road.met();
                    met.is_some() || is_over()
                });
                met.or_else(|| road.met())
            }
        }
    }

    fn do_it(&self, world: &World, left: Side) {
        match self.deed(world, left) {
            Deed::Do(deed) => deed(),
            Deed::Turn(road) => world.road(self.side(left)).turn(road),
            Deed::Cut => world.road(self.side(left)).cut(),
            Deed::Answer(_) | Deed::Swallow | Deed::Replace(_) => {
                panic!("{self} is done to a request")
            }
        }
    }

    fn deed(&self, world: &World, left: Side) -> Deed {
        let side = self.side(left);
        let met_on = match self.moment {
            Moment::After(_) | Moment::Place(_) => side,
            Moment::Request(request) => side_of(request.goes_to(), left),
        };
        let signal = |id: u32, signal| Deed::Do(Box::new(move || send_signal(id, signal)));
        let turn = |road: Road| {
            if side == met_on {
                return Deed::Turn(road);
            }
            let other = world.road(side).handle();
            Deed::Do(Box::new(move || other.turn(road)))
        };
        match self.what {
            What::Kill => signal(world.server(side).id(), Signal::KILL),
            What::Freeze => signal(world.server(side).id(), Signal::STOP),
            What::Cut if side == met_on => Deed::Cut,
            What::Cut => {
                let other = world.road(side).handle();
                Deed::Do(Box::new(move || other.cut()))
            }
            What::Unreachable => turn(Road::Closed),
            What::Stall => turn(Road::Stalled),
            What::Slow(delay) => turn(Road::Slow(delay)),
            What::Nonsense => turn(Road::Garbled),
            What::Refuse => Deed::Answer(b"-ERR not today\r\n-ERR nor this\r\n".to_vec()),
            What::Ignore => Deed::Swallow,
            What::Answer => Deed::Answer(b"*2\r\n:1\r\n$5\r\nhello\r\n+OK\r\n".to_vec()),
            What::Pretend => Deed::Replace(pretended),
            What::Resync => resync(world, left),
            What::KillSidecar => signal(world.sidecar.id(), Signal::KILL),
            What::Abort => {
                let admin = world.sidecar.admin();
                Deed::Do(Box::new(move || {
                    // Its answer comes when all is undone; nobody waits for it here.
                    std::thread::spawn(move || admin.try_post("/v1/abort", &serde_json::json!({})));
                }))
            }
        }
    }
}

fn side_of(role: Role, left: Side) -> Side {
    match role {
        Role::Left => left,
        Role::Entered => left.other(),
    }
}

/// The first request becomes a PING, which any server says yes to; what comes behind it in the same write is kept.
fn pretended(bytes: &[u8]) -> Vec<u8> {
    let rest = bytes
        .windows(5)
        .enumerate()
        .skip(1)
        .find(|(_, window)| window.starts_with(b"\r\n*"))
        .map_or(bytes.len(), |(at, _)| at + 2);
    [b"*1\r\n$4\r\nPING\r\n".as_slice(), &bytes[rest..]].concat()
}

/// The side that is left takes another replication id and drops its replica, which must then copy everything; or, where
/// it is a replica itself by then, drops its master and must do so.
fn resync(world: &World, left: Side) -> Deed {
    let server = world.server(left).addr();
    Deed::Do(Box::new(move || {
        if let Ok(mut client) = Client::try_connect(server) {
            let _ = client.try_call(&["DEBUG", "CHANGE-REPL-ID"]);
            for kind in ["replica", "master"] {
                let _ = client.try_call(&["CLIENT", "KILL", "TYPE", kind]);
            }
        }
    }))
}

#[test]
fn a_pretended_request_keeps_what_comes_behind_it() {
    let sent = b"*3\r\n$9\r\nREPLICAOF\r\n$2\r\nNO\r\n$3\r\nONE\r\n*1\r\n$4\r\nINFO\r\n";
    assert_eq!(pretended(sent), b"*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nINFO\r\n");
    assert_eq!(pretended(b"*1\r\n$4\r\nINFO\r\n"), b"*1\r\n$4\r\nPING\r\n");
}
