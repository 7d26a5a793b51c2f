//! The bounds on what clients can make a sidecar hold: memory grows with what is in use, no further, and falls back.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)] // a panic in a helper is the failing assertion
#![allow(clippy::print_stderr)] // the figures, for who runs this with --nocapture

mod kit;

use std::io::{BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use kit::{Client, LIMIT, RedisServer, Reply, Sidecar, eventually, let_pass};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
/// What a sidecar of a debug build may hold besides the data in question.
const BASE: u64 = 48 * MIB;
/// Clients that are connected and do nothing, and then all ask at once.
const CROWD: u64 = 10_000;

#[test]
fn a_large_value_takes_linear_time_and_bounded_memory_that_is_given_back() {
    const VALUE: u64 = 100 * MIB;
    let (a, b) = (RedisServer::start(), RedisServer::start());
    let sidecar = Sidecar::new().source(&a).target(&b).start();
    let quarter = set_and_get(&sidecar, VALUE / 4);
    let whole = set_and_get(&sidecar, VALUE);
    let peak = memory(&sidecar, "VmHWM");
    eprintln!(
        "25 MiB: {quarter:?}, 100 MiB: {whole:?}, peak {} MiB",
        peak / MIB
    );
    assert!(
        whole < 8 * quarter,
        "not linear: {quarter:?} for a quarter, {whole:?} for the whole"
    );
    assert!(peak < 3 * VALUE + BASE, "peak {} MiB", peak / MIB);
    let mut client = Client::connect(sidecar.addr("app"));
    let fell = eventually(LIMIT, || {
        client.call(&["PING"]);
        memory(&sidecar, "VmRSS") < BASE
    });
    let rest = memory(&sidecar, "VmRSS") / MIB;
    eprintln!("afterwards {rest} MiB");
    assert!(fell, "{rest} MiB are not given back");
}

#[test]
fn limits_and_the_level_of_the_log_change_while_sessions_live() {
    let (a, b) = (RedisServer::start(), RedisServer::start());
    let sidecar = Sidecar::new()
        .source(&a)
        .target(&b)
        .set("proxy.limits.sessions", 1)
        .set("proxy.limits.bulk_bytes", "2KiB")
        .set("log.level", "info")
        .start();
    let large = "x".repeat(4096);
    let mut first = Client::connect(sidecar.addr("app"));
    assert_eq!(first.call(&["PING"]), Reply::Simple("PONG".to_owned()));
    let second = || Client::connect(sidecar.addr("app")).call(&["PING"]);
    assert!(second().is_error("ERR max number of clients reached"));

    let file = sidecar.configuration();
    let text = std::fs::read_to_string(&file).unwrap();
    let changed = text
        .replace("sessions = 1\n", "sessions = 2\n")
        .replace("2KiB", "8KiB")
        .replace("\"info\"", "\"debug\"");
    std::fs::write(&file, changed).unwrap();
    sidecar.reload();
    let reloaded = [
        "proxy.limits.sessions",
        "proxy.limits.bulk_bytes",
        "log.level",
    ];
    assert!(eventually(LIMIT, || {
        let log = sidecar.log();
        reloaded.iter().all(|setting| {
            log.lines()
                .any(|line| line.contains("reloaded") && line.contains(setting))
        })
    }));
    // The workers hear of it a moment later.
    assert!(eventually(LIMIT, || !matches!(second(), Reply::Error(_))));
    assert_eq!(first.call(&["SET", "k", &large]), Reply::ok());
    assert!(eventually(LIMIT, || sidecar.log().contains("DEBUG")));
}

#[test]
fn ten_thousand_idle_clients_cost_little_and_their_flood_keeps_nobody_else_waiting() {
    raise_descriptor_limit();
    let (a, b) = (RedisServer::start(), RedisServer::start());
    let sidecar = Sidecar::new()
        .source(&a)
        .target(&b)
        .set("proxy.limits.sessions", 20_000)
        // Each line of the log takes time.
        .set("log.level", "info")
        .start();
    let connect = || {
        let mut stream = TcpStream::connect(sidecar.addr("app")).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.write_all(b"GET k\r\n").unwrap();
        let reply = Reply::read(&mut BufReader::with_capacity(16, &stream), &mut Vec::new());
        assert_eq!(reply.unwrap(), Reply::Null);
        stream
    };
    let first: Vec<TcpStream> = (0..100).map(|_| connect()).collect();
    let before = memory(&sidecar, "VmRSS");
    let mut crowd: Vec<TcpStream> = (0..CROWD).map(|_| connect()).collect();
    let each = memory(&sidecar, "VmRSS").saturating_sub(before) / CROWD;
    eprintln!("{each} bytes for each idle client");
    assert!(each < 8 * KIB, "{each} bytes for each idle client");
    let used = processor_time(&sidecar);
    let watched = Instant::now();
    let_pass(Duration::from_secs(3));
    let used = processor_time(&sidecar).saturating_sub(used);
    let share = used.as_secs_f64() / watched.elapsed().as_secs_f64();
    eprintln!("{:.2}% of a processor while all are idle", share * 100.0);
    assert!(share < 0.05, "{:.1}% of a processor", share * 100.0);
    flood(&sidecar, &mut crowd);
    drop((first, crowd));
    sidecar
        .admin()
        .wait_for("the clients' end", |status| status["sessions"]["open"] == 0);
}

#[test]
fn one_client_too_many_is_told_so_until_another_leaves() {
    let (a, b) = (RedisServer::start(), RedisServer::start());
    let sidecar = Sidecar::new()
        .source(&a)
        .target(&b)
        .set("proxy.limits.sessions", 3)
        .start();
    let connect = || Client::connect(sidecar.addr("app"));
    let mut clients = [connect(), connect(), connect()];
    for client in &mut clients {
        assert_eq!(client.call(&["SET", "k", "v"]), Reply::ok());
    }
    assert_eq!(
        connect().read_to_close(),
        b"-ERR max number of clients reached\r\n"
    );
    let [left, mut stays, _also] = clients;
    drop(left);
    assert!(eventually(LIMIT, || {
        connect()
            .try_call(&["GET", "k"])
            .is_ok_and(|reply| reply == Reply::bulk("v"))
    }));
    assert_eq!(stays.call(&["GET", "k"]), Reply::bulk("v"));
}

#[test]
fn a_client_that_never_reads_its_replies_holds_no_more_than_its_bound() {
    let (a, b) = (RedisServer::start(), RedisServer::start());
    let sidecar = Sidecar::new().source(&a).target(&b).start();
    let large = "v".repeat(MIB as usize);
    let mut other = Client::connect(sidecar.addr("app"));
    assert_eq!(other.call(&["SET", "large", &large]), Reply::ok());
    assert_eq!(other.call(&["SET", "small", "v"]), Reply::ok());
    let mut silent = Client::connect(sidecar.addr("app"));
    silent.send_raw(&b"GET large\r\n".repeat(1000));
    let mut most = 0;
    for _ in 0..500 {
        assert_eq!(other.call(&["GET", "small"]), Reply::bulk("v"));
        most = most.max(memory(&sidecar, "VmHWM"));
    }
    // The server answers a thousand times a mebibyte in less time than this, if it is let.
    assert!(
        !eventually(Duration::from_secs(2), || {
            assert_eq!(other.call(&["GET", "small"]), Reply::bulk("v"));
            most = most.max(memory(&sidecar, "VmHWM"));
            most > 200 * MIB
        }),
        "{} MiB are held for one client",
        most / MIB
    );
    eprintln!("peak {} MiB", most / MIB);
}

#[test]
fn a_subscriber_that_never_reads_is_left_to_the_servers_own_limit() {
    let (a, b) = (RedisServer::start(), RedisServer::start());
    let sidecar = Sidecar::new()
        .source(&a)
        .target(&b)
        .set("proxy.limits.session_reply_bytes", "1MiB")
        .start();
    let mut subscriber = Client::connect(sidecar.addr("app"));
    subscriber.send(&["SUBSCRIBE", "news"]);
    subscriber.read_reply();
    let mut publisher = Client::connect(sidecar.addr("app"));
    let message = "m".repeat(256 << 10);
    let closed = eventually(LIMIT, || {
        publisher.call(&["PUBLISH", "news", &message]) == Reply::Integer(0)
    });
    assert!(
        closed,
        "client-output-buffer-limit is what a client without a proxy meets"
    );
    let most = memory(&sidecar, "VmHWM") / MIB;
    assert!(most < 64, "{most} MiB were held for it here");
    assert!(memory(&sidecar, "VmHWM") < BASE + 16 * MIB);
    let taken = subscriber.read_to_close();
    assert!(!taken.is_empty());
    assert_eq!(publisher.call(&["SET", "k", "v"]), Reply::ok());
}

#[test]
fn a_subscription_too_many_is_refused_and_the_others_go_on() {
    let (a, b) = (RedisServer::start(), RedisServer::start());
    let sidecar = Sidecar::new()
        .source(&a)
        .target(&b)
        .set("proxy.limits.subscriptions", 2)
        .start();
    let mut subscriber = Client::connect(sidecar.addr("app"));
    subscriber.send(&["SUBSCRIBE", "one", "two"]);
    subscriber.read_reply();
    subscriber.read_reply();
    for too_many in ["SUBSCRIBE", "PSUBSCRIBE"] {
        let reply = subscriber.call(&[too_many, "three"]);
        assert!(
            reply.is_error("ERR handover: too many subscriptions"),
            "{reply:?}"
        );
    }
    let mut publisher = Client::connect(sidecar.addr("app"));
    assert_eq!(publisher.call(&["PUBLISH", "two", "m"]), Reply::Integer(1));
    assert_eq!(
        subscriber.read_reply(),
        Reply::bulks(&["message", "two", "m"])
    );
    assert_eq!(
        publisher.call(&["PUBLISH", "three", "m"]),
        Reply::Integer(0)
    );
}

/// All of the crowd ask, and do not read; meanwhile and afterwards new clients come and are served. How soon is up to the
/// machine, which the tests share; that one is served at once shows that nobody stands behind the crowd.
fn flood(sidecar: &Sidecar, crowd: &mut [TcpStream]) {
    const AT_ONCE: Duration = Duration::from_millis(100);
    let requests = b"GET k\r\n".repeat(20);
    let (half, other_half) = crowd.split_at_mut(CROWD as usize / 2);
    let mut times = Vec::new();
    for crowd in [half, other_half] {
        for stream in crowd {
            stream.write_all(&requests).unwrap();
        }
        let served = eventually(LIMIT, || {
            let asked = Instant::now();
            let mut client = Client::connect(sidecar.addr("app"));
            assert_eq!(client.call(&["SET", "other", "v"]), Reply::ok());
            times.push(asked.elapsed());
            asked.elapsed() < AT_ONCE
        });
        assert!(served, "new clients were served in {times:?}");
    }
    eprintln!("new clients beside a flood were served in {times:?}");
}

/// What the process has used of a processor.
fn processor_time(sidecar: &Sidecar) -> Duration {
    /// What the kernel counts in (`USER_HZ`), the same on every machine with Linux.
    const TICKS_A_SECOND: u64 = 100;
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", sidecar.id()))
        .expect("these tests read /proc: they need Linux");
    // Behind the name, which may have blanks: the state, ten numbers, and the time in user and in system mode.
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let times = fields.split_ascii_whitespace().skip(11).take(2);
    let ticks: u64 = times.map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 1000 / TICKS_A_SECOND)
}

/// A value of `bytes` written in pieces of 16 KiB and read back; how long that took.
fn set_and_get(sidecar: &Sidecar, bytes: u64) -> Duration {
    const PIECE: u64 = 16 * KIB;
    let piece = vec![b'v'; PIECE as usize];
    let mut client = Client::connect(sidecar.addr("app"));
    // A busy machine copies a hundred mebibytes four times.
    client.set_limit(6 * LIMIT);
    let begun = Instant::now();
    client.send_raw(format!("*3\r\n$3\r\nSET\r\n$5\r\nlarge\r\n${bytes}\r\n").as_bytes());
    for _ in 0..bytes / PIECE {
        client.send_raw(&piece);
    }
    client.send_raw(b"\r\n");
    assert_eq!(client.read_reply(), Reply::ok());
    let Reply::Bulk(value) = client.call(&["GET", "large"]) else {
        panic!("no value");
    };
    assert!(value.len() as u64 == bytes && value.iter().all(|byte| *byte == b'v'));
    begun.elapsed()
}

/// A line of `/proc/PID/status` in bytes: `VmRSS` is what the process holds now, `VmHWM` what it held at the most.
fn memory(sidecar: &Sidecar, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", sidecar.id()))
        .expect("these tests read /proc: they need Linux");
    let kibibytes: u64 = status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
        .and_then(|rest| rest.trim().strip_suffix(" kB")?.parse().ok())
        .unwrap();
    kibibytes * KIB
}

/// This process holds the other end of every connection.
fn raise_descriptor_limit() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    assert!(
        maximum.is_none_or(|maximum| maximum > CROWD + 500),
        "raise the hard limit of open files (ulimit -Hn): it is {maximum:?}"
    );
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: maximum,
            maximum,
        },
    )
    .unwrap();
}
