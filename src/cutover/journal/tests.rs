//! What is written is found again; what was spoilt is said, never guessed.

use std::fs;

use super::*;

fn open(dir: &Path) -> Result<(Journal, Resumed), Error> {
    Journal::open(dir, "a:1", "b:2")
}

fn written(dir: &Path, records: &[Record]) {
    let (mut journal, _) = open(dir).unwrap();
    for record in records {
        journal.append(record).unwrap();
    }
}

const CUT_OVER: [Record; 4] = [
    Record::Migrating,
    Record::Attempt {
        number: 1,
        from: Side::Source,
    },
    Record::Committed {
        number: 1,
        active: Side::Target,
        reverse: true,
    },
    Record::Reversed { number: 1 },
];

use crate::terms::Side;

fn resumed(records: &[Record]) -> Resumed {
    records.iter().fold(Resumed::FRESH, Resumed::and_then)
}

#[test]
fn what_was_appended_is_found_again() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), &CUT_OVER);
    let (_journal, found) = open(dir.path()).unwrap();
    assert_eq!(found, resumed(&CUT_OVER));
    assert_eq!(found.active(), Side::Target);
}

#[test]
fn a_second_process_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let _first = open(dir.path()).unwrap();
    assert!(matches!(open(dir.path()), Err(Error::Locked { .. })));
}

#[test]
fn the_lock_ends_with_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).unwrap());
    open(dir.path()).unwrap();
}

#[test]
fn a_torn_last_line_is_cut_off_wherever_it_was_torn() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), &CUT_OVER[..2]);
    let path = dir.path().join(FILE);
    let before = fs::read(&path).unwrap();
    let commit = Line {
        sequence: 4,
        at_unix_ms: 0,
        record: CUT_OVER[2].clone(),
    }
    .encode();
    for cut in 1..commit.len() {
        fs::write(&path, [&before[..], &commit[..cut]].concat()).unwrap();
        let (mut journal, found) = open(dir.path()).unwrap();
        assert_eq!(found, resumed(&CUT_OVER[..2]), "cut after {cut} bytes");
        journal.append(&Record::Stopped).unwrap();
        drop(journal);
        assert_eq!(
            open(dir.path()).unwrap().1.stage,
            Stage::Idle,
            "cut after {cut} bytes"
        );
    }
}

#[test]
fn a_flipped_bit_in_a_whole_line_stops_the_start() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), &CUT_OVER);
    let path = dir.path().join(FILE);
    let good = fs::read(&path).unwrap();
    for at in (0..good.len()).filter(|at| good[*at] != b'\n') {
        let mut bad = good.clone();
        bad[at] ^= 0x04;
        fs::write(&path, &bad).unwrap();
        let error = open(dir.path()).unwrap_err();
        assert!(matches!(error, Error::Broken { .. }), "byte {at}: {error}");
    }
}

#[test]
fn a_missing_or_repeated_line_stops_the_start() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), &CUT_OVER);
    let path = dir.path().join(FILE);
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    for spoilt in [
        [lines[0], lines[2]].concat(),
        [lines[0], lines[1], lines[1]].concat(),
    ] {
        fs::write(&path, spoilt).unwrap();
        assert!(matches!(open(dir.path()), Err(Error::Broken { .. })));
    }
}

#[test]
fn a_migration_of_other_databases_is_refused_and_a_journal_at_rest_is_not() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), &[]);
    drop(Journal::open(dir.path(), "a:1", "c:3").unwrap());
    drop(open(dir.path()).unwrap());
    written(dir.path(), &CUT_OVER);
    let error = Journal::open(dir.path(), "a:1", "c:3").unwrap_err();
    assert!(matches!(error, Error::OtherPair { .. }), "{error}");
}

#[test]
fn an_append_that_fails_leaves_the_journal_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(dir.path()).unwrap();
    journal.append(&Record::Migrating).unwrap();
    let path = dir.path().join(FILE);
    let before = fs::read(&path).unwrap();
    let writable = std::mem::replace(&mut journal.file, File::open(&path).unwrap());
    assert!(matches!(
        journal.append(&CUT_OVER[1]),
        Err(Error::Io { .. })
    ));
    journal.file = writable;
    journal.append(&Record::Stopped).unwrap();
    drop(journal);
    assert!(fs::read(&path).unwrap().starts_with(&before));
    assert_eq!(open(dir.path()).unwrap().1.stage, Stage::Idle);
}

#[test]
fn the_active_side_is_the_newest_committed_one() {
    let attempt = |number, from| Record::Attempt { number, from };
    let commit = |number, active| Record::Committed {
        number,
        active,
        reverse: true,
    };
    let check = |records: &[Record], active, stage| {
        let resumed = resumed(records);
        assert_eq!(
            (resumed.active(), resumed.stage),
            (active, stage),
            "{records:?}"
        );
    };
    let (source, target) = (Side::Source, Side::Target);
    let unconfirmed = |number| Stage::Committed {
        number,
        reversal: ReversalSeen::Unconfirmed,
    };
    let interrupted = |number, from| Stage::Interrupted { number, from };
    let mut records = vec![Record::Migrating];
    let mut then = |record, active, stage| {
        records.push(record);
        check(&records, active, stage);
    };
    then(attempt(1, source), source, interrupted(1, source));
    then(
        Record::Aborted {
            number: 1,
            reasons: vec![],
        },
        source,
        Stage::Migrating,
    );
    then(attempt(2, source), source, interrupted(2, source));
    then(commit(2, target), target, unconfirmed(2));
    then(attempt(3, target), target, interrupted(3, target));
    then(
        Record::Aborted {
            number: 3,
            reasons: vec![],
        },
        target,
        unconfirmed(3),
    );
    then(attempt(4, target), target, interrupted(4, target));
    then(commit(4, source), source, Stage::Migrating);
    then(attempt(5, source), source, interrupted(5, source));
    then(commit(5, target), target, unconfirmed(5));
    then(Record::Finalized, target, Stage::Finalized);
}
