//! The end of the process, as its clients live it: what they asked for is answered, what was not answered was not done,
//! nobody is waited for longer than was said, and a cutover that is under way is undone first.

use std::net::{SocketAddr, TcpStream};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixDatagram};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::kit::{
    Client, Deed, Hazard, LIMIT, RedisServer, Reply, Road, Sidecar, SidecarBuilder, Signal, encode,
    eventually, send_signal,
};

/// A time to finish in that no test wants to see the end of.
const LONG: &str = "1h";
/// What the source is told when writes are held, before the target's position is waited for.
const FENCE: &str = "$5\r\nPAUSE\r\n";

/// A sidecar in front of one server; nobody migrates.
fn before(source: &RedisServer, target: &RedisServer, drain_timeout: &str) -> SidecarBuilder {
    Sidecar::new()
        .source(source)
        .target(target)
        .set("proxy.drain_timeout", drain_timeout)
}

fn app(sidecar: &Sidecar) -> Client {
    Client::connect(sidecar.addr("app"))
}

/// SIGTERM, and waits until the sidecar says that it is ending.
fn tell_to_end(sidecar: &Sidecar) {
    send_signal(sidecar.id(), Signal::TERM);
    assert!(eventually(LIMIT, || {
        let answer = sidecar.admin().get("/readyz");
        answer.status == 503 && answer.text.contains("ending")
    }));
}

/// Whether nobody listens there any more.
fn is_closed(address: SocketAddr) -> bool {
    eventually(LIMIT, || TcpStream::connect(address).is_err())
}

fn blocked(server: &RedisServer) -> String {
    server
        .info("clients", "blocked_clients")
        .unwrap_or_default()
}

/// What a client under load was told until its connection ended.
struct Told {
    /// The counter that it alone counts up.
    key: String,
    /// The highest value that it read.
    value: i64,
}

/// Counts up until the connection ends, `pipeline` requests at a time, in a transaction of three writes where that is none.
fn count_up(address: SocketAddr, key: String, pipeline: u8, started: &AtomicUsize) -> Told {
    let mut client = Client::connect(address);
    let mut told = Told { key, value: 0 };
    let key = told.key.clone();
    let increment = ["INCR", key.as_str()];
    let batch = encode(&increment).repeat(pipeline.into());
    loop {
        let asked = if pipeline == 0 {
            client
                .try_call(&["MULTI"])
                .and_then(|_| client.try_call(&increment))
                .and_then(|_| client.try_call(&["EXEC"]))
                .map(|reply| match reply {
                    Reply::Array(replies) => told.value = replies[0].number(),
                    other => panic!("EXEC gave {other:?}"),
                })
        } else {
            client.try_send_raw(&batch).and_then(|()| {
                (0..pipeline).try_for_each(|_| {
                    told.value = client.try_read_reply()?.number();
                    Ok(())
                })
            })
        };
        if asked.is_err() {
            return told;
        }
        if told.value == 10 * i64::from(pipeline.max(1)) {
            started.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[test]
fn under_load_what_was_executed_was_answered() {
    for lanes in ["auto", "off"] {
        let (source, target) = (RedisServer::start(), RedisServer::start());
        let mut sidecar = before(&source, &target, LONG)
            .set("proxy.workers", 2)
            .set("proxy.lanes", lanes)
            .set("log.level", "info")
            .start();
        let started = Arc::new(AtomicUsize::new(0));
        let clients: Vec<_> = (0..48)
            .map(|number| {
                let (address, started) = (sidecar.addr("app"), Arc::clone(&started));
                let pipeline = [1, 16, 0][number % 3];
                thread::spawn(move || {
                    count_up(address, format!("counter:{number}"), pipeline, &started)
                })
            })
            .collect();
        assert!(eventually(LIMIT, || started.load(Ordering::Relaxed) == 48));
        assert_eq!(sidecar.terminate(), Some(0));
        let mut server = source.client();
        for client in clients {
            let told = client.join().unwrap();
            let executed = server.call(&["GET", &told.key]).number();
            assert_eq!(told.value, executed, "{} with lanes {lanes}", told.key);
        }
    }
}

#[test]
fn what_was_asked_before_is_answered_however_long_it_takes() {
    let (source, target) = (RedisServer::start(), RedisServer::start());
    let mut sidecar = before(&source, &target, LONG).start();
    let mut one = app(&sidecar);
    let mut many = app(&sidecar);
    one.call(&["SET", "k", "v"]);
    many.call(&["PING"]);
    source.stop();
    one.send(&["GET", "k"]);
    // More than may be on their way at once, so that some of it is still in the kernel when the end comes.
    let requests: u16 = 5000;
    many.send_raw(&encode(&["INCR", "n"]).repeat(requests.into()));
    tell_to_end(&sidecar);
    source.cont();
    assert_eq!(one.read_reply(), Reply::bulk("v"));
    for number in 1..=requests {
        assert_eq!(many.read_reply().number(), i64::from(number));
    }
    assert_eq!(one.read_to_close(), b"");
    assert_eq!(many.read_to_close(), b"");
    drop((one, many));
    assert_eq!(sidecar.wait_for_exit(), Some(0));
}

#[test]
fn a_request_that_has_begun_to_arrive_is_answered_when_it_has_arrived() {
    let (source, target) = (RedisServer::start(), RedisServer::start());
    let mut sidecar = before(&source, &target, LONG).start();
    let mut client = app(&sidecar);
    let value = "x".repeat(300_000);
    let request = encode(&["SET", "k", &value]);
    client.call(&["PING"]);
    client.send_raw(&request[..100_000]);
    tell_to_end(&sidecar);
    client.send_raw(&request[100_000..]);
    assert_eq!(client.read_reply(), Reply::ok());
    assert_eq!(client.read_to_close(), b"");
    assert_eq!(sidecar.wait_for_exit(), Some(0));
    assert_eq!(source.client().call(&["STRLEN", "k"]).number(), 300_000);
}

#[test]
fn a_transaction_goes_on_to_its_exec_and_nobody_is_taken_in_meanwhile() {
    let (source, target) = (RedisServer::start(), RedisServer::start());
    let mut sidecar = before(&source, &target, LONG).start();
    let mut open = app(&sidecar);
    let mut watching = app(&sidecar);
    open.call(&["MULTI"]);
    open.call(&["SET", "k", "v"]);
    watching.call(&["WATCH", "w"]);
    tell_to_end(&sidecar);
    assert!(is_closed(sidecar.addr("app")));
    assert!(sidecar.admin().metrics().contains("handover_sessions"));
    let queued = Reply::Simple("QUEUED".to_owned());
    assert_eq!(open.call(&["INCR", "n"]), queued);
    assert_eq!(watching.call(&["MULTI"]), Reply::ok());
    assert_eq!(watching.call(&["SET", "w", "v"]), queued);
    assert_eq!(
        watching.call(&["EXEC"]),
        Reply::Array(vec![Reply::ok()]),
        "the watched key has not changed"
    );
    assert_eq!(watching.read_to_close(), b"");
    assert!(!sidecar.has_ended());
    assert_eq!(
        open.call(&["EXEC"]),
        Reply::Array(vec![Reply::ok(), Reply::Integer(1)])
    );
    assert_eq!(open.read_to_close(), b"");
    assert_eq!(sidecar.wait_for_exit(), Some(0));
}

#[test]
fn who_is_idle_is_not_waited_for() {
    for signal in [Signal::TERM, Signal::INT] {
        let (source, target) = (RedisServer::start(), RedisServer::start());
        let mut sidecar = before(&source, &target, LONG).start();
        let mut idle: Vec<Client> = (0..20).map(|_| app(&sidecar)).collect();
        for client in &mut idle[..10] {
            client.call(&["GET", "k"]);
        }
        let mut subscriber = app(&sidecar);
        subscriber.call(&["SUBSCRIBE", "channel"]);
        send_signal(sidecar.id(), signal);
        for client in &mut idle {
            assert_eq!(client.read_to_close(), b"");
        }
        assert_eq!(subscriber.read_to_close(), b"");
        // The clients that have not closed their end do not hold the process up for longer than a moment.
        assert_eq!(sidecar.wait_for_exit(), Some(0));
        assert!(!is_served(&source), "a connection was left behind");
    }
}

/// Whether somebody else is connected to the server.
fn is_served(server: &RedisServer) -> bool {
    !eventually(LIMIT, || {
        server
            .info("clients", "connected_clients")
            .is_some_and(|count| count == "1")
    })
}

#[test]
fn who_blocks_keeps_the_time_that_fits_and_nothing_is_popped_for_nobody() {
    let (source, target) = (RedisServer::start(), RedisServer::start());
    let mut sidecar = before(&source, &target, "30s").start();
    let (mut briefly, mut served, mut for_ever) = (app(&sidecar), app(&sidecar), app(&sidecar));
    briefly.send(&["BLPOP", "never", "1"]);
    served.send(&["BLPOP", "soon", "20"]);
    for_ever.send(&["BLPOP", "late", "0"]);
    assert!(eventually(LIMIT, || blocked(&source) == "3"));
    let told_at = Instant::now();
    tell_to_end(&sidecar);
    assert_eq!(for_ever.read_to_close(), b"");
    let mut server = source.client();
    server.call(&["RPUSH", "late", "kept"]);
    assert_eq!(server.call(&["LLEN", "late"]).number(), 1);
    server.call(&["RPUSH", "soon", "popped"]);
    assert_eq!(served.read_reply(), Reply::bulks(&["soon", "popped"]));
    assert_eq!(served.read_to_close(), b"");
    assert_eq!(briefly.read_reply(), Reply::Null);
    assert_eq!(sidecar.wait_for_exit(), Some(0));
    assert!(told_at.elapsed() < Duration::from_secs(15));
}

#[test]
fn there_is_no_more_time_than_was_said() {
    let (source, target) = (RedisServer::start(), RedisServer::start());
    let mut sidecar = before(&source, &target, "300ms")
        .expect_warning("had not finished in [proxy] drain_timeout")
        .start();
    let mut open = app(&sidecar);
    open.call(&["MULTI"]);
    let mut blocks = app(&sidecar);
    blocks.send(&["BLPOP", "list", "0"]);
    assert!(eventually(LIMIT, || blocked(&source) == "1"));
    // The server cannot be told to end the command.
    source.stop();
    let told_at = Instant::now();
    assert_eq!(sidecar.terminate(), Some(0));
    let took = told_at.elapsed();
    source.cont();
    assert!(took >= Duration::from_millis(300), "{took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(open.read_to_close(), b"");
    assert_eq!(blocks.read_to_close(), b"");
    let log = sidecar.log();
    assert!(log.contains(r#""sessions":2,"requests":1"#), "{log}");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let (source, target) = (RedisServer::start(), RedisServer::start());
    let mut sidecar = before(&source, &target, LONG)
        .expect_warning("had not finished in [proxy] drain_timeout")
        .start();
    let mut open = app(&sidecar);
    open.call(&["MULTI"]);
    tell_to_end(&sidecar);
    assert!(!sidecar.has_ended());
    assert_eq!(sidecar.terminate(), Some(0));
    assert_eq!(open.read_to_close(), b"");
}

#[test]
fn the_time_to_finish_can_be_changed_while_it_runs() {
    let (source, target) = (RedisServer::start(), RedisServer::start());
    let mut sidecar = before(&source, &target, LONG)
        .expect_warning("had not finished in [proxy] drain_timeout")
        .start();
    let mut open = app(&sidecar);
    open.call(&["MULTI"]);
    let file = sidecar.configuration();
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace(LONG, "50ms")).unwrap();
    sidecar.reload();
    assert!(eventually(LIMIT, || sidecar.log().contains("reloaded")));
    assert_eq!(sidecar.terminate(), Some(0));
    assert_eq!(open.read_to_close(), b"");
}

#[test]
fn a_cutover_that_is_not_committed_is_undone_before_the_sessions_leave() {
    let (source, target) = (RedisServer::start(), RedisServer::start());
    let (to_source, to_target) = (Hazard::before(source.addr()), Hazard::before(target.addr()));
    let mut sidecar = before(&source, &target, LONG)
        .set("source.url", format!("redis://{}", to_source.addr()))
        .set("source.replication_address", source.addr().to_string())
        .set("target.url", format!("redis://{}", to_target.addr()))
        .set("target.replication_address", target.addr().to_string())
        .set("cutover.max_pause", "15s")
        .expect_warning("aborted")
        .start();
    let admin = sidecar.admin();
    admin.migrate_until_ready();
    let (mut writer, mut blocks) = (app(&sidecar), app(&sidecar));
    writer.call(&["SET", "k", "before"]);
    blocks.send(&["BLPOP", "list", "5"]);
    assert!(eventually(LIMIT, || blocked(&source) == "1"));
    // The cutover waits for a target that does not say how far it is, with writes held.
    let stalled = to_target.handle();
    let stall = Deed::Do(Box::new(move || stalled.turn(Road::Stalled)));
    to_source.at(FENCE, stall);
    let cutover = thread::spawn(move || admin.cutover());
    assert!(eventually(LIMIT, || to_source.met().is_some()));
    writer.send(&["SET", "k", "after"]);
    let held = "handover_held_requests 1";
    assert!(eventually(LIMIT, || admin.metrics().contains(held)));
    send_signal(sidecar.id(), Signal::TERM);
    assert_eq!(writer.read_reply(), Reply::ok());
    to_target.turn(Road::Good);
    let outcome = cutover.join().unwrap();
    assert_eq!(outcome.json["outcome"], "aborted", "{}", outcome.text);
    source.client().call(&["RPUSH", "list", "element"]);
    assert_eq!(blocks.read_reply(), Reply::bulks(&["list", "element"]));
    assert_eq!(writer.read_to_close(), b"");
    assert_eq!(sidecar.wait_for_exit(), Some(0));
    assert_eq!(source.client().call(&["GET", "k"]), Reply::bulk("after"));
    sidecar.start_again();
    sidecar.admin().wait_for_phase("in_sync");
    sidecar.admin().wait_for("a cutover is possible", |status| {
        status["can_cut_over"] == true
    });
    sidecar.admin().must_cut_over();
}

#[test]
fn a_link_that_copies_outlives_the_end_of_the_process() {
    let (source, target) = (RedisServer::start(), RedisServer::start());
    let mut sidecar = before(&source, &target, LONG).start();
    sidecar.admin().migrate_until_ready();
    assert_eq!(sidecar.terminate(), Some(0));
    assert_eq!(target.info("replication", "role").unwrap(), "slave");
    sidecar.start_again();
    sidecar
        .admin()
        .wait_for("a cutover to be possible", |status| {
            status["can_cut_over"] == true
        });
    sidecar.admin().must_cut_over();
}

/// What a service manager hears of a sidecar from its start to its end.
fn heard(manager: &UnixDatagram, name: &str) -> Vec<String> {
    let (source, target) = (RedisServer::start(), RedisServer::start());
    let mut sidecar = before(&source, &target, LONG)
        .env("NOTIFY_SOCKET", name)
        .start();
    manager.set_read_timeout(Some(LIMIT)).unwrap();
    let hears = || {
        let mut message = [0; 64];
        let length = manager.recv(&mut message).unwrap();
        String::from_utf8_lossy(&message[..length]).into_owned()
    };
    let start = hears();
    assert_eq!(
        app(&sidecar).call(&["PING"]),
        Reply::Simple("PONG".to_owned())
    );
    assert_eq!(sidecar.terminate(), Some(0));
    vec![start, hears()]
}

#[test]
fn a_service_manager_is_told_when_it_serves_and_when_it_ends() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    let told = heard(&manager, path.to_str().unwrap());
    assert_eq!(told, ["READY=1", "STOPPING=1"]);
    // A name without a file.
    let name = path.to_str().unwrap();
    let address = UnixAddress::from_abstract_name(name).unwrap();
    let manager = UnixDatagram::bind_addr(&address).unwrap();
    let told = heard(&manager, &format!("@{name}"));
    assert_eq!(told, ["READY=1", "STOPPING=1"]);
}

#[test]
fn a_service_manager_that_cannot_be_told_stops_nobody() {
    let (source, target) = (RedisServer::start(), RedisServer::start());
    let mut sidecar = before(&source, &target, LONG)
        .env("NOTIFY_SOCKET", "/nowhere/notify")
        .expect_warning("the service manager could not be told")
        .start();
    assert_eq!(
        app(&sidecar).call(&["PING"]),
        Reply::Simple("PONG".to_owned())
    );
    assert_eq!(sidecar.terminate(), Some(0));
}
