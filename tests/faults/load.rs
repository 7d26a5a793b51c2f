//! The application: more than fifty clients of eight kinds, each with a ledger of its own. A client whose connection
//! ends opens another and goes on with its next operation; it never sends anything twice.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::heard::{Heard, Stop, Wait};
use super::kit::{Client, RedisServer, Reply};
use super::ledger::{
    Fate, Ledger, Verdict, judge_counter, judge_list, judge_queue, judge_transaction,
};

/// Between two operations of one client.
const PACE: Duration = Duration::from_millis(12);
/// Between two attempts to connect.
const KNOCK_AGAIN: Duration = Duration::from_millis(20);
/// Times of an exchange shorter than this are not kept.
const NOTABLE: Duration = Duration::from_millis(1);
/// How long a client may wait for a reply at all.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long a consumer blocks.
const BLOCK_SECONDS: &str = "1";

/// How many clients there are of each kind.
const CAST: &[(Kind, usize)] = &[
    (Kind::List, 10),
    (Kind::Counter, 10),
    (Kind::WholeTransaction, 8),
    (Kind::PiecewiseTransaction, 8),
    (Kind::Watcher, 4),
    (Kind::Producer, 5),
    (Kind::Consumer, 5),
    (Kind::Reader, 6),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// RPUSH.
    List,
    /// INCR, and a GET that must see it.
    Counter,
    /// MULTI to EXEC in one write.
    WholeTransaction,
    /// MULTI to EXEC, one by one.
    PiecewiseTransaction,
    /// WATCH, GET, MULTI, SET, EXEC.
    Watcher,
    /// RPUSH to the queue.
    Producer,
    /// BLPOP from it.
    Consumer,
    /// GET of somebody's counter, which never falls.
    Reader,
}

/// The load, running.
pub struct Load {
    prefix: String,
    stop: Arc<Stop>,
    heard: Arc<Heard>,
    clients: Vec<(Kind, JoinHandle<Part>)>,
}

/// What one client did.
#[derive(Default)]
struct Part {
    ledger: Ledger,
    taken: Vec<String>,
    unknown_takes: usize,
    /// What a client saw that cannot be.
    breach: Option<String>,
}

impl Load {
    /// Every client connects to `address`; keys begin with `prefix`.
    pub fn start(address: SocketAddr, prefix: &str) -> Load {
        let (stop, heard) = (Arc::<Stop>::default(), Arc::<Heard>::default());
        let cast = CAST
            .iter()
            .flat_map(|(kind, count)| (0..*count).map(move |number| (*kind, number)));
        let clients = cast
            .map(|(kind, number)| {
                let mut actor = Actor {
                    address,
                    connection: None,
                    prefix: prefix.to_owned(),
                    number,
                    stop: Arc::clone(&stop),
                    heard: Arc::clone(&heard),
                    part: Part::default(),
                    highest: 0,
                };
                let thread = std::thread::Builder::new().name(format!("{kind:?} {number}"));
                let run = move || {
                    while actor.part.breach.is_none() && !actor.stop.within(PACE) {
                        actor.act(kind);
                    }
                    actor.part
                };
                (kind, thread.spawn(run).unwrap())
            })
            .collect();
        Load {
            prefix: prefix.to_owned(),
            stop,
            heard,
            clients,
        }
    }

    pub fn heard(&self) -> &Heard {
        &self.heard
    }

    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    /// Ends it and judges everything by what `server` holds; gives how many operations were done.
    pub fn judge(mut self, server: &RedisServer) -> Result<usize, String> {
        self.stop.say();
        let parts: Vec<(Kind, Part)> = self
            .clients
            .drain(..)
            .map(|(kind, client)| (kind, client.join().expect("a client of the load panicked")))
            .collect();
        let mut server = server.client();
        let mut done = 0;
        let mut complaints = Vec::new();
        for (kind, _) in CAST {
            let of_kind = parts.iter().filter(|(other, _)| other == kind);
            for (number, (_, part)) in of_kind.enumerate() {
                done += part.ledger.count(Fate::Done);
                complaints.extend(part.breach.clone());
                complaints.extend(self.judge_part(*kind, number, part, &mut server).err());
            }
        }
        complaints.extend(self.judge_queue(&parts, &mut server).err());
        if complaints.is_empty() {
            Ok(done)
        } else {
            Err(complaints.join("\n"))
        }
    }

    fn judge_part(&self, kind: Kind, number: usize, part: &Part, server: &mut Client) -> Verdict {
        let name = name(&self.prefix, kind, number);
        match kind {
            Kind::List => judge_list(&name, &part.ledger, &list(server, &name)),
            Kind::Counter | Kind::Watcher => {
                judge_counter(&name, &part.ledger, count(&server.call(&["GET", &name])))
            }
            Kind::WholeTransaction | Kind::PiecewiseTransaction => {
                let [one, other, counter] = trio(&name);
                let lists = [list(server, &one), list(server, &other)];
                let counter = count(&server.call(&["GET", &counter]));
                judge_transaction(&name, &part.ledger, [&lists[0], &lists[1]], counter)
            }
            Kind::Producer | Kind::Consumer | Kind::Reader => Ok(()),
        }
    }

    fn judge_queue(&self, parts: &[(Kind, Part)], server: &mut Client) -> Verdict {
        let of = |kind| parts.iter().filter(move |(other, _)| *other == kind);
        let producers: Vec<&Ledger> = of(Kind::Producer).map(|(_, part)| &part.ledger).collect();
        let taken: Vec<&[String]> = of(Kind::Consumer)
            .map(|(_, part)| part.taken.as_slice())
            .collect();
        let unknown = of(Kind::Consumer).map(|(_, part)| part.unknown_takes).sum();
        let queue = queue(&self.prefix);
        judge_queue(&queue, &producers, &taken, unknown, &list(server, &queue))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.say();
    }
}

/// One client.
struct Actor {
    address: SocketAddr,
    connection: Option<Client>,
    prefix: String,
    number: usize,
    stop: Arc<Stop>,
    heard: Arc<Heard>,
    part: Part,
    /// The highest value a reader has seen.
    highest: i64,
}

impl Actor {
    fn act(&mut self, kind: Kind) {
        if self.connection.is_none() && !self.connect() {
            return;
        }
        let name = name(&self.prefix, kind, self.number);
        match kind {
            Kind::List => self.push(&name),
            Kind::Counter => self.count_up(&name),
            Kind::WholeTransaction => self.whole(&name),
            Kind::PiecewiseTransaction => self.piecewise(&name),
            Kind::Watcher => self.watch(&name),
            Kind::Producer => self.produce(),
            Kind::Consumer => self.consume(),
            Kind::Reader => self.read(),
        }
    }

    /// A port of the loopback interface that nobody listens on can be connected to itself; that is nobody's answer.
    fn connect(&mut self) -> bool {
        let connected = Client::try_connect(self.address)
            .ok()
            .filter(|client| client.local_addr() != self.address);
        self.connection = connected.map(|mut client| {
            client.set_limit(PATIENCE);
            client
        });
        if self.connection.is_none() {
            self.stop.within(KNOCK_AGAIN);
        }
        self.connection.is_some()
    }

    /// Requests in one write and their replies; nothing where the connection ended before the last.
    fn exchange(&mut self, requests: &[&[&str]]) -> Option<Vec<Reply>> {
        let connection = self.connection.as_mut()?;
        let from = Instant::now();
        let replies = connection.try_pipeline(requests);
        let to = Instant::now();
        if to - from > NOTABLE && requests[0][0] != "BLPOP" {
            let what = format!("{requests:?} {:?}", replies.as_ref().map(Vec::len));
            let wait = Wait {
                from,
                to,
                what,
                reads: requests.len() == 1 && requests[0][0] == "GET",
            };
            self.heard.waits.lock().unwrap().push(wait);
        }
        match replies {
            Ok(replies) => {
                let errors = replies.iter().filter_map(|reply| match reply {
                    Reply::Error(text) => Some(format!("{}: {text}", requests[0][0])),
                    _ => None,
                });
                self.heard.errors.lock().unwrap().extend(errors);
                Some(replies)
            }
            Err(error) => {
                if to - from >= PATIENCE {
                    self.breach(format!("{requests:?} had no reply within {PATIENCE:?}"));
                }
                let text = format!("{}: {error}", requests[0][0]);
                self.heard.errors.lock().unwrap().push(text);
                self.connection = None;
                None
            }
        }
    }

    fn call(&mut self, request: &[&str]) -> Option<Reply> {
        self.exchange(&[request])?.pop()
    }

    fn breach(&mut self, text: String) {
        self.part.breach.get_or_insert(text);
    }

    /// An operation of one request that answers with a number; gives it.
    fn operate(&mut self, request: &[&str]) -> Option<i64> {
        let reply = self.call(request);
        let (fate, number) = match reply {
            Some(Reply::Integer(number)) => (Fate::Done, Some(number)),
            Some(Reply::Error(_)) => (Fate::Refused, None),
            None => (Fate::Unknown, None),
            Some(other) => {
                self.breach(format!("{request:?}: {other:?}"));
                (Fate::Unknown, None)
            }
        };
        self.part.ledger.note(fate);
        number
    }

    /// Whether `seen` can be, after the operations of the ledger.
    fn expect(&mut self, name: &str, seen: i64) {
        let verdict = judge_counter(name, &self.part.ledger, seen);
        if let Err(text) = verdict {
            self.breach(format!("a client saw: {text}"));
        }
    }

    fn push(&mut self, name: &str) {
        let item = self.part.ledger.next().to_string();
        if let Some(length) = self.operate(&["RPUSH", name, &item]) {
            self.expect(name, length);
        }
    }

    fn count_up(&mut self, name: &str) {
        if let Some(value) = self.operate(&["INCR", name]) {
            self.expect(name, value);
        }
        match self.call(&["GET", name]) {
            None | Some(Reply::Error(_)) => {}
            Some(value) => self.expect(name, count(&value)),
        }
    }

    fn whole(&mut self, name: &str) {
        let [one, other, counter] = trio(name);
        let item = self.part.ledger.next().to_string();
        let replies = self.exchange(&[
            &["MULTI"],
            &["RPUSH", &one, &item],
            &["RPUSH", &other, &item],
            &["INCR", &counter],
            &["EXEC"],
        ]);
        self.executed(replies.and_then(|mut replies| replies.pop()));
    }

    fn piecewise(&mut self, name: &str) {
        let [one, other, counter] = trio(name);
        let item = self.part.ledger.next().to_string();
        let queued: [&[&str]; 4] = [
            &["MULTI"],
            &["RPUSH", &one, &item],
            &["RPUSH", &other, &item],
            &["INCR", &counter],
        ];
        for request in queued {
            if !matches!(self.call(request), Some(Reply::Simple(_))) {
                // What was queued is gone with the connection.
                self.connection = None;
                self.part.ledger.note(Fate::Refused);
                return;
            }
        }
        let reply = self.call(&["EXEC"]);
        self.executed(reply);
    }

    fn watch(&mut self, name: &str) {
        let replies = self.exchange(&[&["WATCH", name], &["GET", name]]);
        let value = match replies.and_then(|mut replies| replies.pop()) {
            None | Some(Reply::Error(_)) => {
                self.connection = None;
                return;
            }
            Some(value) => count(&value),
        };
        self.expect(name, value);
        let after = (value + 1).to_string();
        if !matches!(self.call(&["MULTI"]), Some(Reply::Simple(_)))
            || !matches!(self.call(&["SET", name, &after]), Some(Reply::Simple(_)))
        {
            self.connection = None;
            self.part.ledger.note(Fate::Refused);
            return;
        }
        let reply = self.call(&["EXEC"]);
        self.executed(reply);
    }

    /// The fate that EXEC's reply tells.
    fn executed(&mut self, reply: Option<Reply>) {
        let fate = match reply {
            Some(Reply::Array(replies))
                if !replies.iter().any(|reply| matches!(reply, Reply::Error(_))) =>
            {
                Fate::Done
            }
            Some(Reply::Error(_) | Reply::Null) => Fate::Refused,
            None => Fate::Unknown,
            Some(other) => {
                self.breach(format!("EXEC: {other:?}"));
                Fate::Unknown
            }
        };
        self.part.ledger.note(fate);
    }

    fn produce(&mut self) {
        let item = format!("{}:{}", self.number, self.part.ledger.next());
        let queue = queue(&self.prefix);
        self.operate(&["RPUSH", &queue, &item]);
    }

    fn consume(&mut self) {
        let queue = queue(&self.prefix);
        match self.call(&["BLPOP", &queue, BLOCK_SECONDS]) {
            Some(Reply::Array(mut pair)) => {
                let item = pair.pop().map(Reply::into_text);
                self.part.taken.extend(item);
            }
            Some(Reply::Null | Reply::Error(_)) => {}
            None => self.part.unknown_takes += 1,
            Some(other) => self.breach(format!("BLPOP: {other:?}")),
        }
    }

    fn read(&mut self) {
        let counter = name(&self.prefix, Kind::Counter, self.number);
        match self.call(&["GET", &counter]) {
            None | Some(Reply::Error(_)) => {}
            Some(value) => {
                let value = count(&value);
                if value < self.highest {
                    self.breach(format!("{counter}: read {value} after {}", self.highest));
                }
                self.highest = value;
            }
        }
    }
}

fn name(prefix: &str, kind: Kind, number: usize) -> String {
    format!("{prefix}:{kind:?}:{number}")
}

fn trio(name: &str) -> [String; 3] {
    ["one", "other", "counter"].map(|which| format!("{name}:{which}"))
}

fn queue(prefix: &str) -> String {
    format!("{prefix}:queue")
}

/// A counter's value; one that is not there is 0.
fn count(reply: &Reply) -> i64 {
    match reply {
        Reply::Null => 0,
        value => value.number(),
    }
}

fn list(server: &mut Client, key: &str) -> Vec<String> {
    match server.call(&["LRANGE", key, "0", "-1"]) {
        Reply::Array(items) => items.into_iter().map(Reply::into_text).collect(),
        other => panic!("{key}: {other:?}"),
    }
}
