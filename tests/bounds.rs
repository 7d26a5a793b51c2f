//! Sessions that ask for more without end, or never take what they asked for, and databases that lie: each meets a limit of
//! the configuration before it meets the machine's memory, and the sessions beside it go on. `limits` has what everybody
//! meets.
//!
//! Memory is asserted as an absolute bound: what a sidecar holds before the deed, what the limits allow each of the
//! sessions in question, and slack for an allocator that does not give everything back at once.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)] // a panic in a helper is the failing assertion
#![allow(clippy::cast_possible_wrap)] // small numbers
#![allow(clippy::print_stderr)] // the figures, for who runs this with --nocapture

#[path = "bounds/bystander.rs"]
mod bystander;
mod kit;
#[path = "bounds/lying.rs"]
mod lying;
#[path = "bounds/memory.rs"]
mod memory;
#[path = "bounds/never_reads.rs"]
mod never_reads;

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bystander::beside_a_bystander;
use kit::{
    Client, LIMIT, RedisOptions, RedisServer, Reply, Sidecar, SidecarBuilder, eventually, let_pass,
};
use memory::{KIB, MIB, Memory};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

/// No more is written to a socket that has taken nothing for so long.
const STUCK: Duration = Duration::from_millis(500);

/// Two servers and a sidecar with small limits.
struct World {
    source: RedisServer,
    target: RedisServer,
    sidecar: Sidecar,
}

impl World {
    fn new(configure: impl FnOnce(SidecarBuilder) -> SidecarBuilder) -> World {
        let server = || RedisOptions::default().arguments(&["--client-query-buffer-limit", "8gb"]);
        let (source, target) = (server().start(), server().start());
        let builder = Sidecar::new()
            .source(&source)
            .target(&target)
            .set("proxy.limits.session_reply_bytes", "1MiB")
            // Each line of the log is memory of the test, not of the sidecar, but takes time.
            .set("log.level", "info");
        World {
            sidecar: configure(builder).start(),
            source,
            target,
        }
    }

    fn app(&self) -> Client {
        Client::connect(self.sidecar.addr("app"))
    }
}

#[test]
fn queueing_in_multi_without_end_is_remembered_up_to_the_limit_and_aborts_after_a_cutover() {
    const QUEUED: u64 = 2048 * MIB;
    const PIECE: u64 = 64 * KIB;
    let world = World::new(|builder| builder.set("proxy.limits.transaction_bytes", "1MiB"));
    world.sidecar.admin().migrate_until_ready();
    let memory = Memory::of(&world.sidecar);
    let mut app = world.app();
    assert_eq!(app.call(&["MULTI"]), Reply::ok());
    let value = "v".repeat(PIECE as usize);
    let set: &[&str] = &["SET", "k", &value];
    let queued = Reply::Simple("QUEUED".to_owned());
    for _ in 0..QUEUED / PIECE / 16 {
        assert_eq!(app.pipeline(&[set; 16]), vec![queued.clone(); 16]);
    }
    // The remembered queue, grown by doubling, and what is in flight: sixteen requests, in the inbox and unsent.
    memory.claim_peak("2 GiB queued in MULTI", MIB * 2 + 2 * 16 * PIECE);
    world.sidecar.admin().must_cut_over();
    let reply = app.call(&["EXEC"]);
    assert!(reply.is_error("EXECABORT"), "{reply:?}");
    assert_eq!(world.target.client().call(&["DBSIZE"]), Reply::Integer(0));
    assert_eq!(app.call(&["SET", "k", "v"]), Reply::ok());
}

#[test]
fn subscribing_without_end_is_answered_with_an_error_and_the_session_lives() {
    const CHANNELS: usize = 100;
    let world = World::new(|builder| builder.set("proxy.limits.subscriptions", CHANNELS as i64));
    let memory = Memory::of(&world.sidecar);
    let mut app = world.app();
    let name = |number: usize| format!("{number:0>1024}");
    let mut confirmed = 0;
    for batch in 0..200 {
        let names: Vec<String> = (0..100).map(|number| name(batch * 100 + number)).collect();
        let requests: Vec<[&str; 2]> = names.iter().map(|name| ["SUBSCRIBE", name]).collect();
        let requests: Vec<&[&str]> = requests.iter().map(<[&str; 2]>::as_slice).collect();
        for reply in app.pipeline(&requests) {
            match reply {
                Reply::Array(_) => confirmed += 1,
                refused => assert!(
                    refused.is_error("ERR handover: too many subscriptions"),
                    "{refused:?}"
                ),
            }
        }
    }
    assert_eq!(confirmed, CHANNELS);
    memory.claim_peak(
        "20000 subscriptions of 1 KiB",
        CHANNELS as u64 * 2 * KIB + MIB,
    );
    app.call(&["UNSUBSCRIBE", &name(0)]);
    assert!(matches!(app.call(&["SUBSCRIBE", "news"]), Reply::Array(_)));
    let published = world.app().call(&["PUBLISH", "news", "m"]);
    assert_eq!(published, Reply::Integer(1));
    assert_eq!(app.read_reply(), Reply::bulks(&["message", "news", "m"]));
}

#[test]
fn names_of_channels_are_bounded_as_well_as_their_number() {
    const NAMES: u64 = 256;
    let world = World::new(|builder| builder.set("proxy.limits.subscriptions", 1000));
    let memory = Memory::of(&world.sidecar);
    let mut app = world.app();
    let padding = "n".repeat(MIB as usize);
    for number in 0..NAMES {
        app.call(&["SUBSCRIBE", &format!("{number}{padding}")]);
    }
    // The limit subscription_bytes.
    memory.claim_peak("256 channels with names of 1 MiB", 16 * MIB);
}

#[test]
fn a_declared_size_reserves_nothing() {
    const CLIENTS: u64 = 100;
    let world = World::new(|builder| builder);
    let memory = Memory::of(&world.sidecar);
    let mut slow: Vec<Client> = (0..CLIENTS).map(|_| world.app()).collect();
    for client in &mut slow {
        client.send_raw(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\n");
    }
    beside_a_bystander(&world.sidecar, || {
        for _ in 0..50 {
            for client in &mut slow {
                client.send_raw(b"x");
            }
        }
    });
    // The beginning of a request has a buffer of 16 KiB, which grows by doubling.
    memory.claim_peak("100 declared 512 MiB", CLIENTS * 40 * KIB);
}

#[test]
fn a_declared_number_of_arguments_reserves_nothing_and_all_of_them_are_taken() {
    const CLIENTS: u64 = 100;
    const ARGUMENTS: usize = 1_048_576;
    let world = World::new(|builder| builder);
    let memory = Memory::of(&world.sidecar);
    let mut slow: Vec<Client> = (0..CLIENTS).map(|_| world.app()).collect();
    for client in &mut slow {
        client.send_raw(b"*1048576\r\n$6\r\nEXISTS\r\n$1\r\nx\r\n");
    }
    beside_a_bystander(&world.sidecar, || {
        slow[0].send_raw(&b"$1\r\nx\r\n".repeat(ARGUMENTS - 3));
    });
    let bytes = 7 * ARGUMENTS as u64;
    memory.claim_peak("a million arguments", CLIENTS * 40 * KIB + 4 * bytes);
    slow[0].send_raw(b"$1\r\nx\r\n");
    assert_eq!(slow[0].read_reply(), Reply::Integer(0));
}

#[test]
fn a_request_that_never_ends_is_bounded_as_a_whole() {
    let world = World::new(|builder| builder.set("proxy.limits.request_bytes", "8MiB"));
    let memory = Memory::of(&world.sidecar);
    let mut stream = TcpStream::connect(world.sidecar.addr("app")).unwrap();
    stream.set_write_timeout(Some(STUCK)).unwrap();
    stream.write_all(b"*1048576\r\n$4\r\nMGET\r\n").unwrap();
    let argument = [b"$65536\r\n".as_slice(), &vec![b'x'; 65536], b"\r\n"].concat();
    let taken = stuff(&mut stream, &argument, 256 * MIB);
    eprintln!("{} MiB of one request were taken", taken / MIB);
    // What has come, in a buffer that doubles.
    memory.claim_peak("256 MiB of one request", 16 * MIB);
}

#[test]
fn a_thousand_halves_of_requests_cost_what_has_come_of_them_and_leave_nothing_behind() {
    const CLIENTS: u64 = 1000;
    const CAME: u64 = 16 * KIB;
    // What is left behind by each round would be held four times in the end.
    const ROUNDS: usize = 4;
    let world = World::new(|builder| builder);
    let memory = Memory::of(&world.sidecar);
    let half = vec![b'x'; CAME as usize];
    for _ in 0..ROUNDS {
        let mut slow: Vec<Client> = (0..CLIENTS).map(|_| world.app()).collect();
        beside_a_bystander(&world.sidecar, || {
            for client in &mut slow {
                client.send_raw(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$32768\r\n");
                client.send_raw(&half);
            }
        });
        for client in &mut slow {
            client.send_raw(&half);
            client.send_raw(b"\r\n");
            assert_eq!(client.read_reply(), Reply::ok());
        }
        drop(slow);
        let admin = world.sidecar.admin();
        admin.wait_for("the clients' end", |status| status["sessions"]["open"] == 0);
    }
    // What came, in a buffer that doubles.
    memory.claim_peak("1000 halves of 32 KiB, four times", CLIENTS * 2 * CAME);
}

#[test]
fn more_clients_than_there_may_be_cost_nothing_and_the_others_go_on() {
    const SESSIONS: usize = 50;
    let world = World::new(|builder| builder.set("proxy.limits.sessions", SESSIONS as i64));
    let memory = Memory::of(&world.sidecar);
    // One more is the bystander.
    let mut served: Vec<Client> = (1..SESSIONS).map(|_| world.app()).collect();
    for client in &mut served {
        assert_eq!(client.call(&["SET", "k", "v"]), Reply::ok());
    }
    beside_a_bystander(&world.sidecar, || {
        for _ in 0..1000 {
            let told = world.app().read_to_close();
            assert_eq!(told, b"-ERR max number of clients reached\r\n");
        }
    });
    memory.claim_peak("1000 clients too many", 2 * MIB);
    for client in &mut served {
        assert_eq!(client.call(&["GET", "k"]), Reply::bulk("v"));
    }
}

#[test]
fn who_closes_one_half_only_is_answered_and_let_go() {
    const CLIENTS: usize = 500;
    let world = World::new(|builder| builder);
    let memory = Memory::of(&world.sidecar);
    let mut half_open: Vec<Client> = (0..CLIENTS).map(|_| world.app()).collect();
    assert_eq!(world.app().call(&["GET", "k"]), Reply::Null);
    beside_a_bystander(&world.sidecar, || {
        for client in &mut half_open {
            client.send(&["GET", "k"]);
            client.send_raw(b"*2\r\n$3\r\nGET\r\n$1\r\n");
            client.close_sending();
        }
        for client in &mut half_open {
            assert_eq!(client.read_to_close(), b"$-1\r\n");
        }
    });
    let admin = world.sidecar.admin();
    admin.wait_for("the clients' end", |status| status["sessions"]["open"] == 0);
    memory.claim_peak("500 half-open connections", CLIENTS as u64 * 40 * KIB);
}

#[test]
fn what_was_sent_before_one_half_was_closed_is_answered_though_it_had_to_wait() {
    const REQUESTS: usize = 100;
    let world = World::new(|builder| {
        let builder = builder.set("proxy.workers", 1);
        builder.set("proxy.limits.lane_requests", 16)
    });
    let mut client = world.app();
    assert_eq!(client.call(&["GET", "k"]), Reply::Null);
    world.source.stop();
    client.send_raw(&kit::encode(&["GET", "k"]).repeat(REQUESTS));
    client.close_sending();
    // The worker answers this by itself, and has seen the end of the other before.
    assert_eq!(world.app().call(&["QUIT"]), Reply::ok());
    world.source.cont();
    assert_eq!(client.read_to_close(), b"$-1\r\n".repeat(REQUESTS));
}

#[test]
fn who_is_gone_takes_no_place_while_a_server_stands_still() {
    let world = World::new(|builder| builder);
    assert_eq!(world.app().call(&["GET", "k"]), Reply::Null);
    world.source.stop();
    for _ in 0..50 {
        world.app().send_raw(b"GET k\r\n");
        world.app().send_raw(b"GET k\r\nQUIT\r\n");
    }
    let admin = world.sidecar.admin();
    admin.wait_for("the clients' end", |status| status["sessions"]["open"] == 0);
    world.source.cont();
    assert_eq!(world.app().call(&["SET", "k", "v"]), Reply::ok());
}

#[test]
fn without_a_descriptor_left_nobody_new_is_taken_in_and_who_is_there_goes_on() {
    const REPEATED_EVERY: Duration = Duration::from_secs(10);
    let refused = "a client could not be taken in";
    let world = World::new(|builder| builder.expect_warning(refused));
    let pid = Pid::from_raw(world.sidecar.id().try_into().unwrap());
    let limit = getrlimit(Resource::Nofile);
    let descriptors = |current| {
        let limit = Rlimit { current, ..limit };
        prlimit(pid, Resource::Nofile, limit).unwrap();
    };
    let begun = Instant::now();
    let waiting = beside_a_bystander(&world.sidecar, || {
        let served = world.app().call(&["SET", "k", "v"]);
        assert_eq!(served, Reply::ok());
        // Fewer than are open, and so none for a new one.
        descriptors(Some(8));
        let waiting: Vec<Client> = (0..20).map(|_| world.app()).collect();
        assert!(eventually(LIMIT, || world.sidecar.log().contains(refused)));
        // It is tried twenty times a second.
        let_pass(Duration::from_secs(1));
        waiting
    });
    let told = world.sidecar.log().matches(refused).count() as u64;
    let most = 1 + begun.elapsed().as_secs() / REPEATED_EVERY.as_secs();
    assert!(told <= most, "told {told} times in {:?}", begun.elapsed());
    descriptors(limit.current);
    for mut client in waiting {
        assert_eq!(client.call(&["GET", "k"]), Reply::bulk("v"));
    }
}

#[test]
fn requests_for_a_server_that_does_not_read_wait_up_to_the_limits() {
    const CLIENTS: u64 = 3;
    const REQUESTS: u64 = 16;
    const SIZE: u64 = 900 * KIB;
    let world = World::new(|builder| {
        builder
            .set("proxy.limits.session_requests", REQUESTS as i64)
            .set("proxy.limits.lane_requests", 1000)
    });
    let memory = Memory::of(&world.sidecar);
    let mut clients: Vec<TcpStream> = (0..CLIENTS)
        .map(|_| TcpStream::connect(world.sidecar.addr("app")).unwrap())
        .collect();
    assert_eq!(world.app().call(&["SET", "k", "v"]), Reply::ok());
    world.source.stop();
    let value = vec![b'v'; SIZE as usize];
    let head = format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${SIZE}\r\n");
    let request = [head.as_bytes(), &value, b"\r\n"].concat();
    let mut taken = 0;
    for stream in &mut clients {
        stream.set_write_timeout(Some(STUCK)).unwrap();
        taken += stuff(stream, &request, 256 * MIB);
    }
    eprintln!(
        "{} MiB were taken while the server stood still",
        taken / MIB
    );
    // So many requests, in a buffer that doubles, and the beginning of one more.
    let bound = CLIENTS * (2 * REQUESTS * SIZE + 2 * SIZE);
    memory.claim_peak("a server that does not read", bound);
    world.source.cont();
}

#[test]
fn scripts_without_end_are_remembered_up_to_the_limit() {
    let world = World::new(|builder| builder.set("proxy.limits.script_bytes", "1MiB"));
    let memory = Memory::of(&world.sidecar);
    let mut app = world.app();
    let padding = "-".repeat(16 << 10);
    for number in 0..6400 {
        let script = format!("return {number} --{padding}");
        assert_eq!(app.call(&["EVAL", &script, "0"]), Reply::Integer(number));
    }
    memory.claim_peak("100 MiB of scripts", 2 * MIB);
}

/// Writes `bytes` over and over until nothing more is taken, or `most` is; gives how much was.
fn stuff(stream: &mut TcpStream, bytes: &[u8], most: u64) -> u64 {
    let mut taken = 0;
    while taken < most {
        let mut rest = bytes;
        while !rest.is_empty() {
            match stream.write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    return taken + (bytes.len() - rest.len()) as u64;
                }
                // Closed: that is an answer too.
                Err(_) => return taken,
            }
        }
        taken += bytes.len() as u64;
    }
    taken
}
