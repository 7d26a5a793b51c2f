//! Clients that never take what they asked for, or take it late.

use super::World;
use super::bystander::beside_a_bystander;
use super::kit::{LIMIT, Reply, eventually};
use super::memory::{KIB, MIB, Memory};

/// The limit on replies that a client has not taken, in these tests.
const REPLIES: u64 = MIB;
/// On a shared connection a client is given up once so many times that limit waits for it.
const OVERFULL: u64 = 16;

impl World {
    /// A value of a mebibyte under `large`.
    fn with_a_large_value(self) -> World {
        let value = "v".repeat(MIB as usize);
        let mut server = self.source.client();
        assert_eq!(server.call(&["SET", "large", &value]), Reply::ok());
        self
    }
}

#[test]
fn who_never_reads_on_a_shared_connection_is_given_up_and_the_others_go_on() {
    let world = World::new(|builder| {
        builder.expect_warning("a client does not read its replies; limit session_reply_bytes")
    })
    .with_a_large_value();
    let memory = Memory::of(&world.sidecar);
    let mut silent = [world.app(), world.app(), world.app()];
    beside_a_bystander(&world.sidecar, || {
        for client in &mut silent {
            // Small replies first, so that large ones are not expected.
            client.pipeline(&[&["GET", "small"] as &[&str]; 200]);
            client.send_raw(&b"GET large\r\n".repeat(1000));
        }
        let given_up = || {
            world
                .sidecar
                .log()
                .matches("does not read its replies")
                .count()
                == 3
        };
        assert!(eventually(LIMIT, given_up), "not all are given up");
    });
    let slack = 3 * MIB;
    memory.claim_peak("three never read on a lane", 3 * OVERFULL * REPLIES + slack);
    for mut client in silent {
        client.read_to_close();
    }
}

#[test]
fn who_never_reads_on_a_connection_of_its_own_stops_it_and_gets_everything_later() {
    const REPLIES_ASKED: usize = 300;
    let world = World::new(|builder| builder).with_a_large_value();
    let memory = Memory::of(&world.sidecar);
    let mut silent = [world.app(), world.app(), world.app()];
    beside_a_bystander(&world.sidecar, || {
        for client in &mut silent {
            assert_eq!(client.call(&["CLIENT", "SETNAME", "silent"]), Reply::ok());
            client.send_raw(&b"GET large\r\n".repeat(REPLIES_ASKED));
        }
    });
    for mut client in silent {
        for _ in 0..REPLIES_ASKED {
            let Reply::Bulk(value) = client.read_reply() else {
                panic!("no value");
            };
            assert_eq!(value.len() as u64, MIB);
        }
    }
    // Each holds its limit, in a buffer that may have doubled, and a read that came on top.
    memory.claim_peak(
        "three never read on connections of their own",
        3 * 2 * REPLIES + MIB,
    );
}

#[test]
fn a_subscriber_who_never_reads_is_ended_by_the_server_and_the_others_go_on() {
    let world = World::new(|builder| builder);
    let memory = Memory::of(&world.sidecar);
    let mut silent = world.app();
    silent.call(&["SUBSCRIBE", "news"]);
    let mut publisher = world.app();
    let message = "m".repeat(64 << 10);
    beside_a_bystander(&world.sidecar, || {
        let ended = eventually(LIMIT, || {
            let burst = publisher.pipeline(&[&["PUBLISH", "news", &message] as &[&str]; 50]);
            burst.last() == Some(&Reply::Integer(0))
        });
        assert!(ended, "messages are queued without end");
    });
    memory.claim_peak("a subscriber never reads", 2 * REPLIES + 2 * 50 * 64 * KIB);
    silent.read_to_close();
}

#[test]
fn who_monitors_and_never_reads_keeps_nobody_waiting() {
    let world = World::new(|builder| builder);
    let memory = Memory::of(&world.sidecar);
    let mut silent = [world.app(), world.app(), world.app()];
    for client in &mut silent {
        assert_eq!(client.call(&["MONITOR"]), Reply::ok());
    }
    let mut app = world.app();
    let value = "v".repeat(16 << 10);
    beside_a_bystander(&world.sidecar, || {
        for _ in 0..500 {
            app.pipeline(&[&["SET", "k", &value] as &[&str]; 20]);
        }
    });
    let in_flight = 2 * 20 * 16 * KIB;
    memory.claim_peak(
        "three monitors never read 160 MiB",
        3 * 2 * REPLIES + in_flight,
    );
}

#[test]
fn who_never_reads_keeps_no_cutover_from_its_commit() {
    let world = World::new(|builder| {
        builder.expect_warning("a client does not read its replies; limit session_reply_bytes")
    })
    .with_a_large_value();
    world.sidecar.admin().migrate_until_ready();
    let memory = Memory::of(&world.sidecar);
    let (mut patient, mut greedy) = (world.app(), world.app());
    let (mut subscriber, mut publisher) = (world.app(), world.app());
    for client in [&mut patient, &mut greedy] {
        assert_eq!(client.call(&["CLIENT", "SETNAME", "silent"]), Reply::ok());
    }
    // Writes among them, whose replies the cutover waits for.
    patient.send_raw(&b"GET large\r\nINCR patient\r\n".repeat(8));
    greedy.send_raw(&b"GET large\r\nINCR greedy\r\n".repeat(200));
    subscriber.call(&["SUBSCRIBE", "news"]);
    let message = "m".repeat(64 << 10);
    for _ in 0..100 {
        let published = publisher.call(&["PUBLISH", "news", &message]);
        assert_eq!(published, Reply::Integer(1));
    }
    let answer = beside_a_bystander(&world.sidecar, || world.sidecar.admin().must_cut_over());
    eprintln!("write pause {} ms", answer["write_pause_ms"]);
    // Connections are read on while writes are held: as much may wait as on a shared connection.
    memory.claim_peak("three never read across a cutover", 3 * OVERFULL * REPLIES);
    for number in 1..=8 {
        assert!(matches!(patient.read_reply(), Reply::Bulk(_)));
        assert_eq!(patient.read_reply(), Reply::Integer(number));
    }
    let published = publisher.call(&["PUBLISH", "news", "last"]);
    assert_eq!(published, Reply::Integer(1));
    for _ in 0..100 {
        let expected = Reply::bulks(&["message", "news", &message]);
        assert!(subscriber.read_reply() == expected, "another message");
    }
    let last = Reply::bulks(&["message", "news", "last"]);
    assert_eq!(subscriber.read_reply(), last);
    greedy.read_to_close();
}

#[test]
fn a_transaction_with_a_large_reply_is_not_collected() {
    let world = World::new(|builder| builder).with_a_large_value();
    let memory = Memory::of(&world.sidecar);
    let mut silent = world.app();
    assert_eq!(silent.call(&["MULTI"]), Reply::ok());
    for _ in 0..256 {
        silent.call(&["GET", "large"]);
    }
    beside_a_bystander(&world.sidecar, || silent.send(&["EXEC"]));
    let Reply::Array(values) = silent.read_reply() else {
        panic!("no array");
    };
    assert_eq!(values.len(), 256);
    memory.claim_peak("EXEC gives 256 MiB", 2 * REPLIES + MIB);
}

#[test]
fn a_large_reply_to_a_large_request_is_not_collected() {
    let world = World::new(|builder| builder.set("proxy.limits.large_request_bytes", "16KiB"))
        .with_a_large_value();
    let memory = Memory::of(&world.sidecar);
    let mut silent = world.app();
    let padding = "n".repeat(32 << 10);
    let request = [&["MGET", &padding] as &[&str], &["large"; 256]].concat();
    beside_a_bystander(&world.sidecar, || silent.send(&request));
    let Reply::Array(values) = silent.read_reply() else {
        panic!("no array");
    };
    assert_eq!(values.len(), 257);
    memory.claim_peak("MGET gives 256 MiB", 2 * REPLIES + MIB);
}

#[test]
fn a_large_reply_to_a_session_with_messages_is_not_collected() {
    let world = World::new(|builder| builder).with_a_large_value();
    let memory = Memory::of(&world.sidecar);
    let mut silent = world.app();
    silent.call(&["HELLO", "3"]);
    silent.call(&["SUBSCRIBE", "news"]);
    // More than may wait for a client; a server lets those with subscriptions have 32 MiB.
    let request = [&["MGET"] as &[&str], &["large"; 24]].concat();
    beside_a_bystander(&world.sidecar, || silent.send(&request));
    let Reply::Array(values) = silent.read_reply() else {
        panic!("no array");
    };
    assert_eq!(values.len(), 24);
    memory.claim_peak("MGET of a subscriber gives 24 MiB", 2 * REPLIES + MIB);
}
