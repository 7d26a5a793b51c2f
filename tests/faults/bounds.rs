//! What is held is bounded: in time by `max_pause`, in memory by what one session may send ahead.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use super::alone;
use super::fault::Request;
use super::kit::{Client, Deed, Hazard, LIMIT, RedisServer, Reply, Sidecar, eventually};
use super::memory::{KIB, Memory};

/// Sessions whose writes are held.
const SESSIONS: usize = 150;
/// Writes that each sends, without waiting for replies.
const WRITES: usize = 128;
/// The size of each.
const VALUE_BYTES: usize = 16 << 10;
/// What one session may make the sidecar hold: what it reads of a parked session, the request that parked it, and room
/// in the buffer for both.
const HELD_BYTES_MAX: u64 = 192 * KIB;
const MAX_PAUSE: Duration = Duration::from_secs(2);

#[test]
fn what_is_held_is_bounded_in_memory_and_in_time_and_runs_once() {
    let _alone = alone();
    let (source, target) = (RedisServer::start(), RedisServer::start());
    let road = Hazard::before(target.addr());
    let sidecar = Sidecar::new()
        .source(&source)
        .set("target.url", format!("redis://{}", road.addr()))
        .set("target.name", "target")
        .set("target.replication_address", target.addr().to_string())
        .set("cutover.max_pause", "2s")
        .set("log.level", "info")
        .expect_warning("max_pause ran out at the step catch_up")
        .start();
    let admin = sidecar.admin();
    admin.migrate_until_ready();
    let value = "x".repeat(VALUE_BYTES);
    let write: [&str; 3] = ["APPEND", "k", "x"];
    let set: [&str; 3] = ["SET", "v", &value];
    let writes: Vec<&[&str]> = (0..WRITES)
        .map(|number| if number % 2 == 0 { &write } else { &set })
        .map(<[&str; 3]>::as_slice)
        .collect();
    let clients: Vec<Client> = (0..SESSIONS)
        .map(|_| {
            let mut client = Client::connect(sidecar.addr("app"));
            assert_eq!(client.call(&["PING"]), Reply::Simple("PONG".to_owned()));
            client
        })
        .collect();
    let memory = Memory::of(&sidecar);
    road.at(Request::CatchUp.text(), Deed::Swallow);
    let held = Barrier::new(SESSIONS + 1);
    thread::scope(|scope| {
        let writers: Vec<_> = clients
            .into_iter()
            .map(|mut client| {
                let (held, writes) = (&held, &writes);
                scope.spawn(move || {
                    held.wait();
                    let from = Instant::now();
                    for write in writes {
                        client.send(write);
                    }
                    assert!(matches!(client.read_reply(), Reply::Integer(_)));
                    let waited = from.elapsed();
                    for _ in 1..WRITES {
                        let reply = client.read_reply();
                        assert!(!matches!(reply, Reply::Error(_)), "{reply:?}");
                    }
                    waited
                })
            })
            .collect();
        let attempt = scope.spawn(|| admin.cutover());
        assert!(eventually(LIMIT, || road.met().is_some()));
        held.wait();
        let answer = attempt.join().unwrap();
        assert_eq!(answer.json["outcome"], "aborted", "{}", answer.text);
        for writer in writers {
            let waited = writer.join().unwrap();
            assert!(
                waited < MAX_PAUSE + Duration::from_millis(500),
                "{waited:?}"
            );
        }
    });
    memory.claim_peak("writes in the hold", SESSIONS as u64 * HELD_BYTES_MAX);
    assert_eq!(
        source.client().call(&["STRLEN", "k"]),
        Reply::Integer((SESSIONS * WRITES / 2) as i64)
    );
}
