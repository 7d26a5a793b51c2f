//! Every doubt is an objection.

use std::time::{Duration, Instant};

use super::*;
use crate::link::{Position, Positions, Reverse, ShardPosition};
use crate::terms::ReplOffset;

const ABILITIES: Abilities = Abilities {
    prepare: true,
    positions: Positions::Exact,
    fence: true,
    detach: true,
    reverse: Reverse::AsReplica,
    end_by_hand: "pull the plug",
};

fn good() -> Report {
    let position = Position {
        shards: vec![ShardPosition {
            replication_id: "id".to_owned(),
            offset: ReplOffset(1),
        }],
    };
    Report {
        at: Instant::now(),
        phase: Phase::Streaming,
        lag: Lag::Bytes(0),
        applied: Some(position.clone()),
        written: Some(position),
        generation: Some(Generation("one".to_owned())),
        bytes_done: None,
        bytes_total: None,
        waiting_for: None,
        last_error: None,
    }
}

fn bounds() -> Bounds {
    Bounds {
        stable_for: Duration::from_secs(2),
        ..Bounds::default()
    }
}

/// Looks every 250 ms from 0 to `until`, all of them good.
fn history(until: u64) -> History {
    let mut history = History::default();
    for at in (0..=until).step_by(250) {
        history.record(&good(), Millis(at), &bounds(), ABILITIES);
    }
    history
}

fn codes(reasons: &[Reason]) -> Vec<&'static str> {
    reasons.iter().map(Reason::code).collect()
}

#[test]
fn a_link_is_ready_once_it_was_good_for_long_enough() {
    assert_eq!(
        codes(&History::default().objections(Millis(0), &bounds())),
        ["link_not_seen"]
    );
    assert_eq!(
        codes(&history(1_750).objections(Millis(1_999), &bounds())),
        ["not_stable"]
    );
    assert_eq!(history(2_000).objections(Millis(2_000), &bounds()), []);
}

#[test]
fn a_link_that_is_behind_and_applies_nothing_is_not_ready() {
    let at = |applied, written| {
        let position = |offset| {
            let mut position = good().written.unwrap();
            position.shards[0].offset = ReplOffset(offset);
            Some(position)
        };
        Report {
            applied: position(applied),
            written: position(written),
            lag: Lag::Bytes(written - applied),
            ..good()
        }
    };
    let looks = |reports: &[Report]| {
        let mut history = History::default();
        let mut last = None;
        for (number, report) in reports.iter().enumerate() {
            let moment = Millis(number as u64 * 250);
            last = Some(history.record(report, moment, &bounds(), ABILITIES).lag);
        }
        let now = Millis(reports.len() as u64 * 250);
        (last.unwrap(), codes(&history.objections(now, &bounds())))
    };
    let still = (Remaining::Unknown, vec!["stands_still"]);
    assert_eq!(looks(&[at(1, 5), at(1, 9)]), still);
    assert_eq!(looks(&[at(1, 5), at(1, 5)]), still, "what remains is old");
    let moves = |bytes| (Remaining::Bytes(bytes), vec!["not_stable"]);
    assert_eq!(looks(&[at(1, 5), at(2, 9)]), moves(7));
    assert_eq!(looks(&[at(5, 5), at(5, 9)]), moves(4), "it has just come");
    assert_eq!(looks(&[at(5, 5), at(5, 5)]), moves(0), "nothing remains");
}

#[test]
fn an_old_report_is_no_report() {
    let history = history(3_000);
    assert_eq!(
        history.objections(Millis(3_000).plus(STALE_AFTER), &bounds()),
        []
    );
    let late = Millis(3_001).plus(STALE_AFTER);
    assert_eq!(
        codes(&history.objections(late, &bounds())),
        ["report_stale"]
    );
}

#[test]
fn every_doubt_is_an_objection_and_starts_the_wait_anew() {
    let check = |spoil: fn(&mut Report), code: &str| {
        let mut history = history(3_000);
        let mut report = good();
        spoil(&mut report);
        history.record(&report, Millis(3_250), &bounds(), ABILITIES);
        assert_eq!(codes(&history.objections(Millis(3_250), &bounds())), [code]);
        history.record(&good(), Millis(3_500), &bounds(), ABILITIES);
        assert_eq!(
            codes(&history.objections(Millis(3_500), &bounds())),
            ["not_stable"],
            "{code}"
        );
    };
    check(|report| report.lag = Lag::Unknown, "lag_unknown");
    check(
        |report| report.lag = Lag::Bytes((1 << 20) + 1),
        "lag_too_large",
    );
    check(
        |report| report.lag = Lag::Time(Duration::from_millis(1_001)),
        "lag_too_large",
    );
    check(|report| report.applied = None, "position_unknown");
    check(|report| report.written = None, "position_unknown");
    check(|report| report.generation = None, "copy_unknown");
    for phase in [
        Phase::Detached,
        Phase::Connecting,
        Phase::Syncing,
        Phase::Broken,
        Phase::Unknown,
    ] {
        let mut history = history(3_000);
        history.record(
            &Report { phase, ..good() },
            Millis(3_250),
            &bounds(),
            ABILITIES,
        );
        assert_eq!(
            codes(&history.objections(Millis(3_250), &bounds())),
            ["link_not_streaming"]
        );
    }
}

#[test]
fn another_full_copy_counts_up_and_starts_the_wait_anew() {
    let mut history = history(3_000);
    let unknown = Report {
        phase: Phase::Syncing,
        generation: None,
        ..good()
    };
    assert_eq!(
        history
            .record(&unknown, Millis(3_250), &bounds(), ABILITIES)
            .copy,
        CopyNumber(0)
    );
    let same = history.record(&good(), Millis(3_500), &bounds(), ABILITIES);
    assert_eq!(same.copy, CopyNumber(0));
    let another = Report {
        generation: Some(Generation("two".to_owned())),
        ..good()
    };
    let look = history.record(&another, Millis(3_750), &bounds(), ABILITIES);
    assert_eq!(look.copy, CopyNumber(1));
    assert_eq!(
        codes(&history.objections(Millis(3_750), &bounds())),
        ["not_stable"]
    );
}

#[test]
fn a_gap_between_looks_starts_the_wait_anew() {
    let mut history = history(3_000);
    let after = Millis(3_001).plus(STALE_AFTER);
    history.record(&good(), after, &bounds(), ABILITIES);
    assert_eq!(codes(&history.objections(after, &bounds())), ["not_stable"]);
}

#[test]
fn a_link_without_positions_needs_neither_them_nor_a_named_copy() {
    let abilities = Abilities {
        positions: Positions::Unknown,
        ..ABILITIES
    };
    let report = Report {
        applied: None,
        written: None,
        generation: None,
        ..good()
    };
    let mut history = History::default();
    for at in (0..=2_000).step_by(250) {
        history.record(&report, Millis(at), &bounds(), abilities);
    }
    assert_eq!(history.objections(Millis(2_000), &bounds()), []);
    assert_eq!(
        standing_objections(&bounds(), abilities, None, Millis(0)),
        []
    );
    let never = Bounds {
        marker: Marker::Never,
        ..bounds()
    };
    assert_eq!(
        codes(&standing_objections(&never, abilities, None, Millis(0))),
        ["marker_needed"]
    );
}

#[test]
fn attempts_keep_their_distance() {
    let at = |now| {
        codes(&standing_objections(
            &bounds(),
            ABILITIES,
            Some(Millis(1_000)),
            Millis(now),
        ))
    };
    assert_eq!(at(5_999), ["too_soon"]);
    assert_eq!(at(6_000), [""; 0]);
}
