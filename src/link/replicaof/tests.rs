//! What is read out of two servers' `INFO`, without servers.

use super::*;

fn info(text: &str) -> Info {
    Info::from_reply(&Value::Bulk(text.replace(' ', "\r\n").into_bytes()))
}

fn wanted(offset: u64) -> ShardPosition {
    ShardPosition {
        replication_id: "aaa".into(),
        offset: ReplOffset(offset),
    }
}

const STREAMING: &str =
    "role:slave master_link_status:up master_sync_in_progress:0 slave_repl_offset:100";

fn not_yet(remaining_bytes: impl Into<Option<u64>>) -> CaughtUp {
    CaughtUp::NotYet {
        remaining_bytes: remaining_bytes.into(),
    }
}

#[test]
fn a_position_is_reached_at_it_and_beyond_it_but_not_before() {
    let filled = info(&format!("{STREAMING} master_replid:aaa"));
    assert_eq!(reached(&wanted(99), &filled), CaughtUp::Yes);
    assert_eq!(reached(&wanted(100), &filled), CaughtUp::Yes);
    assert_eq!(reached(&wanted(101), &filled), not_yet(1));
}

#[test]
fn a_position_under_another_replication_id_is_never_reached() {
    let filled = info(&format!("{STREAMING} master_replid:bbb"));
    assert!(matches!(reached(&wanted(1), &filled), CaughtUp::Never(_)));
}

#[test]
fn a_position_under_the_former_id_counts_only_as_far_as_the_history_is_shared() {
    let filled = info(&format!(
        "{STREAMING} master_replid:bbb master_replid2:aaa second_repl_offset:91"
    ));
    assert_eq!(reached(&wanted(90), &filled), CaughtUp::Yes);
    assert!(matches!(reached(&wanted(91), &filled), CaughtUp::Never(_)));
}

#[test]
fn a_link_that_is_down_has_not_reached_anything() {
    let down = STREAMING.replace("up", "down");
    let filled = info(&format!("{down} master_replid:aaa"));
    assert_eq!(reached(&wanted(1), &filled), not_yet(None));
}

#[test]
fn a_master_or_a_full_copy_will_never_reach_a_position() {
    let copying = STREAMING.replace("progress:0", "progress:1");
    for text in [
        "role:master master_replid:aaa",
        &format!("{copying} master_replid:aaa"),
    ] {
        assert!(
            matches!(reached(&wanted(1), &info(text)), CaughtUp::Never(_)),
            "{text}"
        );
    }
}

fn report(copied: &str, filled: &str) -> Report {
    Sighting {
        at: Instant::now(),
        filled_name: "target",
        copied: &info(copied),
        filled: &info(filled),
        link_client: Some("6".into()),
    }
    .report()
}

const COPIED: &str = "role:master run_id:r1 master_replid:aaa master_repl_offset:130";

#[test]
fn a_stream_of_the_copied_side_has_a_lag_and_a_generation() {
    let seen = report(COPIED, &format!("{STREAMING} run_id:r2 master_replid:aaa"));
    assert_eq!((seen.phase, seen.lag), (Phase::Streaming, Lag::Bytes(30)));
    assert_eq!(
        seen.generation,
        Some(Generation("r1 aaa r2 client 6".into()))
    );
}

#[test]
fn a_stream_of_another_server_is_broken_and_says_so() {
    let seen = report(COPIED, &format!("{STREAMING} run_id:r2 master_replid:bbb"));
    assert_eq!((seen.phase, seen.lag), (Phase::Broken, Lag::Unknown));
    assert!(seen.last_error.is_some() && seen.generation.is_none());
}

#[test]
fn a_full_copy_has_no_generation_and_shows_its_bytes() {
    let copying = STREAMING
        .replace("up", "down")
        .replace("progress:0", "progress:1");
    let seen = report(
        COPIED,
        &format!(
            "{copying} run_id:r2 master_replid:aaa master_sync_read_bytes:5 master_sync_total_bytes:9"
        ),
    );
    assert_eq!((seen.phase, seen.generation), (Phase::Syncing, None));
    assert_eq!((seen.bytes_done, seen.bytes_total), (Some(5), Some(9)));
}

#[test]
fn the_wait_before_a_snapshot_is_told() {
    let copied = format!("{COPIED} slave0:ip=127.0.0.1,port=1,state=wait_bgsave,offset=0,lag=0");
    let seen = report(&copied, &STREAMING.replace("up", "down"));
    assert_eq!(seen.phase, Phase::Syncing);
    assert!(seen.waiting_for.is_some());
}

#[test]
fn a_master_is_detached_and_silence_is_unknown() {
    assert_eq!(report(COPIED, "role:master").phase, Phase::Detached);
    assert_eq!(report(COPIED, "").phase, Phase::Unknown);
}
