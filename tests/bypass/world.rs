//! Two servers that anybody could write to, and a sidecar before them with one listener for the inputs.

use std::path::PathBuf;

use super::catalogue::{Entry, catalogue};
use super::data::{Planted, USERS, plant};
use super::input::Input;
use super::kit::{Client, LIMIT, Listener, RedisServer, Reply, Sidecar, eventually};
use super::play::{Ends, play};
use super::state::{KEEPER, State};

/// What kind of world.
#[derive(Debug, Clone)]
pub struct Setup {
    /// What the server is called in a report.
    pub name: String,
    /// None: `redis-server` of the system.
    pub program: Option<PathBuf>,
    /// `reads` of the listener.
    pub reads: &'static str,
    /// `writes` of the listener.
    pub writes: &'static str,
    /// `proxy.lanes` of the sidecar.
    pub lanes: &'static str,
}

/// Who stands where. The sidecar comes first, so that it ends first: a server that goes away is worth a warning.
pub struct World {
    sidecar: Sidecar,
    /// A session like those of the inputs: a round trip on it shows that what they sent has arrived.
    through: Client,
    /// Source and target.
    watched: [Watched; 2],
}

/// A server, and the connections past the sidecar that watch it.
struct Watched {
    server: RedisServer,
    control: Client,
    /// Do nothing but be there.
    _keepers: [Client; 3],
    catalogue: Vec<Entry>,
    planted: Planted,
    looks: i64,
    /// What nobody may change.
    before: State,
}

impl World {
    pub fn start(setup: &Setup) -> World {
        let [source, target] = [(); 2].map(|()| setup.server());
        let sidecar = Sidecar::new()
            .source(&source)
            .target(&target)
            .listener(
                "hostile",
                Listener::new().reads(setup.reads).writes(setup.writes),
            )
            .set("proxy.lanes", setup.lanes)
            // Each line is read again at the end.
            .set("log.level", "warn")
            .start();
        let mut through = Client::connect(sidecar.addr("hostile"));
        assert!(matches!(through.call(&["GET", "str:0"]), Reply::Null));
        World {
            watched: [source, target].map(Watched::new),
            sidecar,
            through,
        }
    }

    /// What the servers say of their commands.
    pub fn catalogue(&self) -> &[Entry] {
        &self.watched[0].catalogue
    }

    pub fn planted(&self) -> &Planted {
        &self.watched[0].planted
    }

    /// Sends the inputs; afterwards the servers have executed all that reached them.
    pub fn play(&mut self, inputs: &[Input]) -> Ends {
        let ends = play(self.sidecar.addr("hostile"), inputs);
        self.through.call(&["GET", "str:0"]);
        ends
    }

    /// What has changed since the start, and what the sidecar has complained of, a line each. A complaint may mean that it
    /// did not understand by an input what the servers do, and somebody had the reply, or the name, of somebody else.
    pub fn changes(&mut self) -> Vec<String> {
        let sides = ["the source", "the target"].into_iter();
        let mut changes: Vec<String> = sides
            .zip(&mut self.watched)
            .flat_map(|(side, watched)| {
                let changes = watched.changes().into_iter();
                changes.map(move |change| format!("{side}: {change}"))
            })
            .collect();
        let log = self.sidecar.log();
        if !log.is_empty() {
            // Whatever it is, it is told here.
            self.sidecar.expect_warning("");
            changes.extend(log.lines().map(|line| format!("the sidecar: {line}")));
        }
        changes
    }

    /// The data as it was in the beginning.
    pub fn plant_again(&mut self) {
        for watched in &mut self.watched {
            plant(&mut watched.control);
        }
    }

    /// INFO commandstats of the source.
    pub fn command_stats(&mut self) -> String {
        let control = &mut self.watched[0].control;
        control.call(&["INFO", "commandstats"]).into_text()
    }
}

impl Watched {
    fn new(server: RedisServer) -> Watched {
        let mut control = server.client();
        let planted = plant(&mut control);
        let catalogue = catalogue(&mut control);
        let keeper = |request: &[&str]| {
            let mut client = server.client();
            let name = format!("{KEEPER}{}", request[0].to_lowercase());
            assert_eq!(client.call(&["CLIENT", "SETNAME", &name]), Reply::ok());
            client.send(request);
            client
        };
        let mut keepers = [
            keeper(&["PING"]),
            keeper(&["BLPOP", "nothing", "0"]),
            keeper(&["PSUBSCRIBE", "nothing*"]),
        ];
        let blocked = || server.info("clients", "blocked_clients").as_deref() == Some("1");
        assert!(eventually(LIMIT, blocked), "BLPOP does not block");
        // What is counted from here on, all but the looks, is somebody else's.
        assert_eq!(control.call(&["CONFIG", "RESETSTAT"]), Reply::ok());
        keepers[0].read_reply();
        keepers[2].read_reply();
        let before = State::of(&mut control, &catalogue, &planted, 1).unwrap();
        Watched {
            server,
            control,
            _keepers: keepers,
            catalogue,
            planted,
            looks: 1,
            before,
        }
    }

    fn changes(&mut self) -> Vec<String> {
        self.looks += 1;
        let now = State::of(
            &mut self.control,
            &self.catalogue,
            &self.planted,
            self.looks,
        );
        match now {
            Ok(now) => self.before.changes(&now),
            Err(error) if self.server.has_ended() => vec![format!("the server has ended: {error}")],
            Err(error) => vec![format!("the server does not answer: {error}")],
        }
    }
}

impl Setup {
    fn server(&self) -> RedisServer {
        let mut options = RedisServer::options();
        for user in USERS {
            options = options.user(user);
        }
        if let Some(program) = &self.program {
            options = options.program(program);
        }
        options.start()
    }
}
