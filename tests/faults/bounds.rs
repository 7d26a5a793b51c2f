//! What is held is bounded: in time by `max_pause`, in memory by what one session may send ahead, and by what all of them
//! may.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use super::alone;
use super::fault::Request;
use super::kit::{Client, Deed, Hazard, LIMIT, RedisServer, Reply, Sidecar, eventually, let_pass};
use super::memory::{KIB, MIB, Memory};

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

/// Two servers, and a sidecar whose attempts wait for the target in vain.
struct World {
    source: RedisServer,
    road: Hazard,
    sidecar: Sidecar,
    _target: RedisServer,
}

impl World {
    fn in_sync(held_bytes: &str) -> World {
        let (source, target) = (RedisServer::start(), RedisServer::start());
        let road = Hazard::before(target.addr());
        let sidecar = Sidecar::new()
            .source(&source)
            .set("target.url", format!("redis://{}", road.addr()))
            .set("target.name", "target")
            .set("target.replication_address", target.addr().to_string())
            .set("cutover.max_pause", "2s")
            .set("proxy.limits.held_bytes", held_bytes)
            .set("log.level", "info")
            .expect_warning("max_pause ran out at the step catch_up")
            .start();
        sidecar.admin().migrate_until_ready();
        World {
            source,
            road,
            sidecar,
            _target: target,
        }
    }

    fn clients(&self, number: usize) -> Vec<Client> {
        let clients = (0..number).map(|_| Client::connect(self.sidecar.addr("app")));
        clients
            .map(|mut client| {
                assert_eq!(client.call(&["PING"]), Reply::Simple("PONG".to_owned()));
                client
            })
            .collect()
    }

    /// An attempt that is aborted since its pause has lasted too long; `meanwhile` runs from the moment on in which
    /// nothing but the target is waited for.
    fn attempt_in_vain(&self, meanwhile: impl FnOnce()) {
        self.road.at(Request::CatchUp.text(), Deed::Swallow);
        thread::scope(|scope| {
            let attempt = scope.spawn(|| self.sidecar.admin().cutover());
            assert!(eventually(LIMIT, || self.road.met().is_some()));
            meanwhile();
            let answer = attempt.join().unwrap();
            assert_eq!(answer.json["outcome"], "aborted", "{}", answer.text);
        });
    }
}

#[test]
fn what_is_held_is_bounded_in_memory_and_in_time_and_runs_once() {
    let _alone = alone();
    let world = World::in_sync("256MiB");
    let value = "x".repeat(VALUE_BYTES);
    let write: [&str; 3] = ["APPEND", "k", "x"];
    let set: [&str; 3] = ["SET", "v", &value];
    let writes: Vec<&[&str]> = (0..WRITES)
        .map(|number| if number % 2 == 0 { &write } else { &set })
        .map(<[&str; 3]>::as_slice)
        .collect();
    let clients = world.clients(SESSIONS);
    let memory = Memory::of(&world.sidecar);
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
        world.attempt_in_vain(|| {
            held.wait();
        });
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
        world.source.client().call(&["STRLEN", "k"]),
        Reply::Integer((SESSIONS * WRITES / 2) as i64)
    );
}

#[test]
fn what_all_sessions_hold_together_is_bounded_as_well() {
    const WRITERS: usize = 12;
    const LARGE_BYTES: usize = 16 << 20;
    let _alone = alone();
    let world = World::in_sync("4MiB");
    let value = "x".repeat(LARGE_BYTES);
    let clients = world.clients(WRITERS);
    let memory = Memory::of(&world.sidecar);
    let held = Barrier::new(WRITERS + 1);
    thread::scope(|scope| {
        for (number, mut client) in clients.into_iter().enumerate() {
            let (held, value) = (&held, &value);
            scope.spawn(move || {
                held.wait();
                let key = format!("large:{number}");
                assert_eq!(client.call(&["SET", &key, value]), Reply::ok());
            });
        }
        world.attempt_in_vain(|| {
            held.wait();
            // Enough for all of it to arrive, were it read; what is sent on after the pause has limits of its own.
            let_pass(MAX_PAUSE / 2);
            memory.claim_peak("large writes in the hold", 2 * 4 * MIB);
        });
    });
    for number in 0..WRITERS {
        let key = format!("large:{number}");
        assert_eq!(
            world.source.client().call(&["STRLEN", &key]),
            Reply::Integer(LARGE_BYTES as i64)
        );
    }
}
