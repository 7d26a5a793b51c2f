//! A server, its twin behind a sidecar, and connections past the sidecar to look at both.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::kit::{Client, Command, RedisOptions, RedisServer, Reply, Sidecar, commands};

/// The password of the default user, where there is one.
pub const PASSWORD: &str = "secret";
/// Users of both servers: one that reads, one that has some keys, one that has no channels and no scripts.
const USERS: &[&str] = &[
    "reader on >r ~* &* +@read +@connection",
    "keys on >k ~str:* ~lst:* &* +@all -@dangerous",
    "mute on >m ~* resetchannels +@all -@scripting -@dangerous",
];

/// What kind of world.
#[derive(Debug, Clone)]
pub struct Setup {
    /// What the server is called in a report.
    pub name: String,
    /// None: `redis-server` of the system.
    pub program: Option<PathBuf>,
    /// `proxy.lanes` of the sidecar.
    pub lanes: &'static str,
    pub guard: Guard,
    /// Further arguments of the twin alone: a difference for the test to find.
    pub planted: &'static [&'static str],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    Open,
    Password,
}

/// Whose oddities a server has. The proxy reads odd frames as Redis 7 does, and never loses a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quirks {
    Redis,
    /// The same, but 8.2 says nothing of malformed bytes that it had read before the end of what blocked it, and nothing
    /// of a wrong password behind another reply or inside MULTI, where the reply of EXEC then lacks an element; and FUNCTION FLUSH now and then ends it (freeClient of a null).
    Redis8,
    /// From 8.1 on it closes the connection where line ends are missing or wrong (the proxy writes such a request anew),
    /// takes what follows a line of blanks for lines, and loses bytes above 127 between single quotes.
    Valkey,
}

/// Who stands where. The sidecar comes first, so that it ends first: a server that goes away is worth a warning.
pub struct World {
    pub sidecar: Sidecar,
    pub direct: RedisServer,
    pub direct_control: Client,
    pub twin_control: Client,
    /// A session through the proxy: a round trip on it shows that the proxy has read what came before.
    through: Client,
    _twin: RedisServer,
}

/// What a server says of the state of its clients.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Clients {
    blocked: usize,
    tracking: usize,
    /// Channels, patterns, shard channels, added up.
    subscriptions: [usize; 3],
}

impl World {
    pub fn start(setup: &Setup) -> World {
        let direct = setup.server(&[]).start();
        let twin = setup.server(setup.planted).start();
        let sidecar = Sidecar::new()
            .source(&twin)
            // Nothing is migrated. A target that is there asks for no explanation in the log.
            .target(&direct)
            .set("proxy.lanes", setup.lanes)
            .set("log.level", "info")
            .start();
        let mut through = Client::connect(sidecar.addr("app"));
        if setup.guard == Guard::Password {
            assert_eq!(through.call(&["AUTH", PASSWORD]), Reply::ok());
        }
        World {
            direct_control: direct.client(),
            twin_control: twin.client(),
            through,
            sidecar,
            direct,
            _twin: twin,
        }
    }

    /// A round trip past the proxy.
    pub fn ping_direct(&mut self) {
        self.direct_control.call(&["PING"]);
    }

    /// A round trip through the proxy.
    pub fn ping_through(&mut self) {
        self.through.call(&["PING"]);
    }

    /// Both servers empty again.
    pub fn empty(&mut self) {
        for control in [&mut self.direct_control, &mut self.twin_control] {
            for request in [&["FLUSHALL"][..], &["SCRIPT", "FLUSH"]] {
                assert_eq!(control.call(request), Reply::ok());
            }
            // The only library that schedules load. For why nothing is flushed see [`Quirks::Redis8`].
            control.call(&["FUNCTION", "DELETE", "lib"]);
        }
    }

    /// What both hold, in one word each.
    pub fn digests(&mut self) -> [String; 2] {
        [&mut self.direct_control, &mut self.twin_control]
            .map(|control| control.call(&["DEBUG", "DIGEST"]).into_text())
    }

    /// Where the two hold different data: database, key, its type and its digest on each, a line for each.
    pub fn differing_keys(&mut self) -> [String; 2] {
        let keys = [&mut self.direct_control, &mut self.twin_control].map(keys_with_digests);
        let [direct, twin] = &keys;
        let only = |one: &BTreeSet<String>, other: &BTreeSet<String>| {
            let lines: Vec<&str> = one.difference(other).map(String::as_str).collect();
            lines.join("; ")
        };
        [only(direct, twin), only(twin, direct)]
    }

    pub fn clients(&mut self) -> [Clients; 2] {
        [&mut self.direct_control, &mut self.twin_control]
            .map(|control| Clients::of(&control.call(&["CLIENT", "LIST"]).into_text()))
    }

    /// Ports of the connections that are blocked on the direct server.
    pub fn blocked_ports(&mut self) -> BTreeSet<u16> {
        let list = self.direct_control.call(&["CLIENT", "LIST"]).into_text();
        list.lines()
            .filter(|line| field(line, "flags").contains('b'))
            .filter_map(|line| field(line, "addr").rsplit_once(':')?.1.parse().ok())
            .collect()
    }

    /// Every command of the server.
    pub fn commands(&mut self) -> Vec<Command> {
        commands(&mut self.direct_control)
    }
}

impl Setup {
    pub fn quirks(&self) -> Quirks {
        if self.name.starts_with("valkey") {
            Quirks::Valkey
        } else if self.name.starts_with("redis-8") {
            Quirks::Redis8
        } else {
            Quirks::Redis
        }
    }

    fn server(&self, planted: &[&str]) -> RedisOptions {
        let mut options = RedisServer::options()
            .arguments(&["--notify-keyspace-events", "KEA"])
            .arguments(planted);
        for user in USERS {
            options = options.user(user);
        }
        if let Some(program) = &self.program {
            options = options.program(program);
        }
        match self.guard {
            Guard::Open => options,
            Guard::Password => options.password(PASSWORD),
        }
    }
}

impl Clients {
    fn of(list: &str) -> Clients {
        let mut clients = Clients::default();
        for line in list.lines() {
            clients.blocked += usize::from(field(line, "flags").contains('b'));
            clients.tracking += usize::from(field(line, "flags").contains('t'));
            for (total, name) in clients
                .subscriptions
                .iter_mut()
                .zip(["sub", "psub", "ssub"])
            {
                *total += field(line, name).parse().unwrap_or(0);
            }
        }
        clients
    }
}

fn field<'a>(line: &'a str, name: &str) -> &'a str {
    line.split(' ')
        .find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
        .unwrap_or_default()
}

fn keys_with_digests(control: &mut Client) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for database in 0..16 {
        if control.call(&["SELECT", &database.to_string()]) != Reply::ok() {
            break;
        }
        let Reply::Array(keys) = control.call(&["KEYS", "*"]) else {
            continue;
        };
        for key in keys.into_iter().map(Reply::into_text) {
            let kind = control.call(&["TYPE", &key]).into_text();
            let digest = control.call(&["DEBUG", "DIGEST-VALUE", &key]);
            let lifetime = control.call(&["EXPIRETIME", &key]);
            lines.insert(format!(
                "{database}:{key} {kind} {digest:?} until {lifetime:?}"
            ));
        }
    }
    control.call(&["SELECT", "0"]);
    lines
}
