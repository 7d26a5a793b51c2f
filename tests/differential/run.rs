//! Plays a schedule to a server and, through the proxy, to its twin: the same bytes in the same packets, one step at a
//! time. A step is over when the direct server has nothing more to say; then the proxied connections must have said
//! exactly the same, all of them, and both servers must think the same of their clients.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::compare::{Agreement, Difference, agreement, masked};
use super::kit::eventually;
use super::schedule::{Nature, Schedule, Step, Then};
use super::world::{Clients, World};

/// Round trips without another byte after which the direct server has said everything: it has read what was there
/// before the first, and has written its replies before it read the second.
const QUIET_ROUND_TRIPS: usize = 2;
/// What the server reads of one connection at a time: a longer step takes that many more round trips.
const SERVER_READ_BYTES: usize = 16 << 10;
/// Longer than any time limit in a schedule that ends by itself.
const SOON: Duration = Duration::from_millis(300);

/// One end of a comparison.
struct Connection {
    stream: TcpStream,
    /// Not yet found to be the same on both ends.
    received: Vec<u8>,
    ended: bool,
}

struct Pair {
    direct: Connection,
    proxied: Connection,
}

/// A run under way.
struct Run<'a> {
    world: &'a mut World,
    schedule: &'a Schedule,
    /// How long the proxied side may take to say what the direct one has said.
    limit: Duration,
    pairs: BTreeMap<usize, Pair>,
    /// Ports of direct connections on which something that ends soon may still wait.
    ending: BTreeSet<u16>,
}

/// Plays `schedule`; gives the first difference.
pub fn run(world: &mut World, schedule: &Schedule, limit: Duration) -> Result<(), Difference> {
    world.empty();
    let mut run = Run {
        world,
        schedule,
        limit,
        pairs: BTreeMap::new(),
        ending: BTreeSet::new(),
    };
    for (number, step) in schedule.steps.iter().enumerate() {
        run.play(step).map_err(|difference| Difference {
            step: Some(number),
            ..difference
        })?;
    }
    run.finish()
}

impl Run<'_> {
    fn play(&mut self, step: &Step) -> Result<(), Difference> {
        if let Some(pair) = self.pairs.get(&step.connection)
            && !step.is_harmless()
            && self.world.blocked_ports().contains(&pair.direct.port())
        {
            // What stands behind a blocked request runs when somebody else's step ends it, and whether before or after
            // the rest of that step depends on how the server read it.
            return Ok(());
        }
        if !self.pairs.contains_key(&step.connection) {
            self.open(step.connection)?;
        }
        if step.has(Nature::EndsSoon)
            && let Some(pair) = self.pairs.get(&step.connection)
        {
            self.ending.insert(pair.direct.port());
        }
        self.send(step);
        self.settle(step)
    }

    fn open(&mut self, connection: usize) -> Result<(), Difference> {
        let pair = Pair {
            direct: Connection::to(self.world.direct.addr()),
            proxied: Connection::to(self.world.sidecar.addr("app")),
        };
        self.pairs.insert(connection, pair);
        let greeting = Step {
            connection,
            requests: self.schedule.greetings[connection].clone(),
            cuts: Vec::new(),
        };
        if greeting.requests.is_empty() {
            return Ok(());
        }
        self.send(&greeting);
        self.settle(&greeting)
    }

    fn send(&mut self, step: &Step) {
        let Some(pair) = self.pairs.get_mut(&step.connection) else {
            return;
        };
        let bytes = step.bytes();
        let mut from = 0;
        for cut in step.cuts.iter().filter(|cut| cut.at < bytes.len()) {
            pair.send(&bytes[from..cut.at]);
            from = cut.at;
            if cut.then == Then::Settle {
                self.world.ping_through();
            }
        }
        pair.send(&bytes[from..]);
    }

    /// Waits until both sides are done with the step, and compares.
    fn settle(&mut self, step: &Step) -> Result<(), Difference> {
        let bytes = step.bytes().len();
        self.await_direct(bytes);
        while self.ends_soon() {
            self.await_direct(0);
        }
        let nature = if step.has(Nature::NamesConnection) {
            Nature::NamesConnection
        } else {
            Nature::Usual
        };
        let numbers: Vec<usize> = self.pairs.keys().copied().collect();
        for number in numbers {
            self.compare(number, nature)?;
        }
        self.pairs.retain(|_, pair| !pair.direct.ended);
        self.compare_clients()
    }

    fn await_direct(&mut self, bytes: usize) {
        let mut quiet = 0;
        while quiet < QUIET_ROUND_TRIPS + bytes / SERVER_READ_BYTES {
            self.world.ping_direct();
            let mut grew = false;
            for pair in self.pairs.values_mut() {
                grew |= pair.direct.drain();
                // Taken only so that it does not stand in anybody's way.
                pair.proxied.drain();
            }
            quiet = if grew { 0 } else { quiet + 1 };
        }
    }

    /// Waits for the end of what ends soon; false when there was nothing to wait for.
    fn ends_soon(&mut self) -> bool {
        if self.ending.is_empty() {
            return false;
        }
        let blocked = self.world.blocked_ports();
        self.ending.retain(|port| blocked.contains(port));
        // One that does not end stands behind a request without a limit.
        !self.ending.is_empty()
            && eventually(SOON, || {
                let blocked = self.world.blocked_ports();
                !self.ending.iter().all(|port| blocked.contains(port))
            })
    }

    fn compare(&mut self, number: usize, nature: Nature) -> Result<(), Difference> {
        let deadline = Instant::now() + self.limit;
        let Some(pair) = self.pairs.get_mut(&number) else {
            return Ok(());
        };
        let what = loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match agreement(&pair.direct.received, &pair.proxied.received, nature) {
                Agreement::Same if pair.direct.ended == pair.proxied.ended => {
                    pair.direct.received.clear();
                    pair.proxied.received.clear();
                    return Ok(());
                }
                Agreement::Same if left.is_zero() => break "closed by one and not by the other",
                Agreement::Same if pair.direct.ended => pair.proxied.read_within(left),
                Agreement::Different => break "different bytes",
                Agreement::ProxiedIsBehind if pair.proxied.ended => break "closed too early",
                Agreement::ProxiedIsBehind if left.is_zero() => break "bytes are missing or wrong",
                Agreement::ProxiedIsBehind => pair.proxied.read_within(left),
                Agreement::ProxiedIsAhead if left.is_zero() || pair.direct.ended => {
                    break "bytes too many";
                }
                Agreement::Same | Agreement::ProxiedIsAhead => pair.direct.read_within(left),
            }
        };
        Err(Difference {
            step: None,
            what: format!("connection {number}: {what}"),
            direct: masked(&pair.direct.received, nature),
            proxied: masked(&pair.proxied.received, nature),
        })
    }

    /// A request that gets no reply yet, or a connection that was closed, has reached the twin when both servers say
    /// the same of their clients.
    fn compare_clients(&mut self) -> Result<(), Difference> {
        self.await_clients(|direct, twin| direct == twin)
    }

    fn await_clients(
        &mut self,
        are_as_wanted: impl Fn(&Clients, &Clients) -> bool,
    ) -> Result<(), Difference> {
        let deadline = Instant::now() + self.limit;
        loop {
            let [direct, twin] = self.world.clients();
            if are_as_wanted(&direct, &twin) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(Difference {
                    step: None,
                    what: "what the servers say of their clients (CLIENT LIST)".to_owned(),
                    direct: format!("{direct:?}").into(),
                    proxied: format!("{twin:?}").into(),
                });
            }
            // Time passes usefully: whatever the proxy has read before, it has seen to by the end of this.
            self.world.ping_through();
        }
    }

    fn finish(mut self) -> Result<(), Difference> {
        self.await_direct(0);
        let numbers: Vec<usize> = self.pairs.keys().copied().collect();
        for number in numbers {
            self.compare(number, Nature::Usual)?;
        }
        self.pairs.clear();
        // Nobody of this schedule is there in the next one.
        self.await_clients(|direct, twin| {
            *direct == Clients::default() && *twin == Clients::default()
        })?;
        let [direct, twin] = self.world.digests();
        if direct == twin {
            return Ok(());
        }
        // A key whose time has passed (SET … EXAT 1) counts there until the server gets round to removing it.
        let [only_direct, only_twin] = self.world.differing_keys();
        if only_direct.is_empty() && only_twin.is_empty() {
            return Ok(());
        }
        Err(Difference {
            step: None,
            what: "the servers' data (DEBUG DIGEST)".to_owned(),
            direct: format!("{direct} {only_direct}").into(),
            proxied: format!("{twin} {only_twin}").into(),
        })
    }
}

impl Pair {
    fn send(&mut self, bytes: &[u8]) {
        self.direct.send(bytes);
        self.proxied.send(bytes);
    }
}

impl Connection {
    fn to(address: SocketAddr) -> Connection {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Connection {
            stream,
            received: Vec::new(),
            ended: false,
        }
    }

    fn port(&self) -> u16 {
        self.stream.local_addr().unwrap().port()
    }

    /// A far end that has closed takes nothing; what it said before is what counts. One that does not read because
    /// nobody takes its replies is helped.
    fn send(&mut self, mut bytes: &[u8]) {
        self.stream.set_nonblocking(true).unwrap();
        while !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.drain();
                    self.stream.set_nonblocking(true).unwrap();
                }
                Err(_) => return,
            }
        }
    }

    /// Takes what is there; true when there was something.
    fn drain(&mut self) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        let mut grew = false;
        while !self.ended && self.read() {
            grew = true;
        }
        grew
    }

    fn read_within(&mut self, limit: Duration) {
        self.stream.set_nonblocking(false).unwrap();
        self.stream
            .set_read_timeout(Some(limit.max(Duration::from_millis(1))))
            .unwrap();
        self.read();
    }

    /// One read; false when nothing came.
    fn read(&mut self) -> bool {
        let mut buffer = [0; 16 << 10];
        match self.stream.read(&mut buffer) {
            Ok(0) => self.ended = true,
            Ok(length) => self.received.extend_from_slice(&buffer[..length]),
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => {
                    return false;
                }
                _ => self.ended = true,
            },
        }
        true
    }
}
