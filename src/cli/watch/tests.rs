//! The picture and the keys, from documents as the sidecar gives them.

use std::time::{Duration, Instant};

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Color;
use serde_json::{Value, json};

use super::board::{Board, Key, Reaction, Tone};
use super::frame::draw;
use super::question::{Deed, Order};
use super::sheet::Palette;
use crate::cli::client::CallError;
use crate::cli::view::{Sample, view};

fn document(phase: &str) -> Value {
    json!({
        "phase": phase, "active_side": "source", "can_cut_over": true, "can_roll_back": true, "reasons": [],
        "source": {"name": "old"}, "target": {"name": "new"},
        "link": {"driver": "replicaof", "phase": "streaming", "lag_bytes": 2048},
        "traffic": {"source": {"read": 12_345, "write": 3}, "target": {}, "held": 0,
                    "refused": [{"listener": "near", "command": "set", "count": 7}]},
        "refused_clients": [{"name": "batch", "address": "10.0.0.1", "listener": "near", "command": "set", "count": 7}],
        "last_cutover": {"outcome": "aborted", "write_pause_ms": 12.34, "read_pause_ms": 0.0,
                         "steps": [{"name": "catch_up", "ms": 3.0}], "reasons": ["max_pause ran out"]},
        "sessions": {"open": 5}, "alarms": [], "members": [],
    })
}

fn board(document: &Value) -> Board {
    Board::new(view(document), Instant::now())
}

fn pictured(
    board: &mut Board,
    palette: Palette,
    columns: u16,
    lines: u16,
) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(columns, lines)).unwrap();
    terminal
        .draw(|frame| draw(frame, board, palette, Instant::now()))
        .unwrap();
    terminal
}

fn picture(board: &mut Board, columns: u16, lines: u16) -> String {
    pictured(board, Palette::Plain, columns, lines)
        .backend()
        .to_string()
}

fn shows(picture: &str, texts: &[&str]) {
    for text in texts {
        assert!(picture.contains(text), "{text} is not in\n{picture}");
    }
}

#[test]
fn everything_is_seen_in_eighty_columns() {
    let mut board = board(&document("in_sync"));
    let sample = |at: u64, lag| Sample {
        at_unix_ms: at * 1000,
        lag_bytes: Some(lag),
        source: at * 250,
        ..Sample::default()
    };
    board.remembered(vec![sample(0, 0), sample(4, 4096), sample(8, 2048)]);
    shows(
        &picture(&mut board, 80, 30),
        &[
            "Handover  old → new",
            "✓ Start ── ✓ Copy ── ● In sync ── ○ Switch ── ○ On the target ── ○ Finished",
            "Ready to switch to new",
            "ready     yes: a cutover is possible",
            "behind    2.0 KiB; at most 4.0 KiB",
            "▁█▄",
            "traffic   old 250/s; read 12.3k, write 3",
            "refused   7 writes, 7 in the last minute: set 7",
            "- batch at 10.0.0.1: set, 7 refused",
            "cutover   Called off: nothing has changed",
            "writes waited 12.3 ms, reads 0.0 ms",
            "- max_pause ran out",
            "3.0 ms  waiting for the last bytes",
            "sessions  5 open",
            "[c] cut over [d] dry run [p] preflight [v] verify [q] quit",
        ],
    );
}

#[test]
fn a_copy_has_a_bar_a_rate_and_the_time_left() {
    let mut document = document("syncing");
    document["link"] = json!({"driver": "replicaof", "phase": "syncing", "bytes_done": 4 << 20, "bytes_total": 8 << 20});
    let mut board = board(&document);
    let sample = |at: u64, done: u64| Sample {
        at_unix_ms: at * 1000,
        bytes_done: Some(done << 20),
        ..Sample::default()
    };
    board.remembered(vec![sample(0, 0), sample(4, 4)]);
    let words = "4.0 MiB of 8.0 MiB (50 %), 1.0 MiB a second, about 4 s left";
    shows(
        &picture(&mut board, 80, 24),
        &["█████░░░░░", words, "[a] abort"],
    );
}

#[test]
fn what_the_target_takes_differently_is_named_but_for_what_is_accepted() {
    let mut board = board(&document("in_sync"));
    let finding = |name: &str, accepted| json!({"name": name, "severity": "error", "accepted": accepted, "count": 3, "message": "it is refused", "what_to_do": "send one for each key"});
    let report = |findings: Value| json!({"profile": "active_active", "target_commands_known": true, "findings": findings});
    board.reported(view(&report(json!([finding("SWAPDB", true)]))));
    let none = "findings  none in what was sent so far, for a target of the kind active active";
    shows(&picture(&mut board, 90, 40), &[none]);
    let many = vec![finding("several_slots:DEL", false); 7];
    board.reported(view(&report(json!(many))));
    shows(
        &picture(&mut board, 80, 45),
        &[
            "findings  error: several_slots:DEL, 3 times: it is refused",
            "-> send one for each key",
            "and 2 more: `handover report` has all",
        ],
    );
}

#[test]
fn no_window_is_too_small_or_too_large_in_any_phase() {
    for phase in crate::metrics::PHASES {
        for (columns, lines) in [
            (1, 1),
            (2, 30),
            (7, 3),
            (20, 8),
            (40, 12),
            (80, 24),
            (119, 5),
            (300, 80),
        ] {
            let mut board = board(&document(phase));
            board.missed(&CallError::Unreachable("gone".to_owned()));
            board.press(Key::Letter('m'));
            board.press(Key::Letter('f'));
            board.press(Key::Scroll(i16::MAX));
            picture(&mut board, columns, lines);
        }
        let mut known = board(&document(phase));
        assert!(
            !picture(&mut known, 80, 24).contains("does not know"),
            "{phase}"
        );
    }
}

#[test]
fn in_a_small_window_the_keys_stay_and_the_rest_is_scrolled() {
    let mut board = board(&document("in_sync"));
    let before = picture(&mut board, 60, 13);
    shows(
        &before,
        &["● In sync (3 of 6)", "[q] quit", "more lines below"],
    );
    assert!(!before.contains("sessions"), "{before}");
    for _ in 0..9 {
        board.press(Key::Scroll(10));
    }
    let after = picture(&mut board, 60, 13);
    shows(&after, &["[q] quit", "reads 0.0 ms"]);
    assert!(!after.contains("below"), "{after}");
    board.press(Key::Scroll(-1));
    shows(&picture(&mut board, 60, 13), &["2 more lines below"]);
}

#[test]
fn without_colours_there_are_none_and_with_them_there_are() {
    let mut board = board(&document("in_sync"));
    for (palette, coloured) in [(Palette::Plain, false), (Palette::Colours, true)] {
        let terminal = pictured(&mut board, palette, 80, 24);
        let cells = terminal.backend().buffer().content();
        assert_eq!(cells.iter().any(|cell| cell.fg != Color::Reset), coloured);
    }
}

#[test]
fn a_migration_wants_the_targets_name_and_nothing_else() {
    let mut board = board(&document("idle"));
    assert_eq!(board.press(Key::Letter('m')), Reaction::Nothing);
    shows(
        &picture(&mut board, 80, 24),
        &["Copy old to new?", "type the target's name, new,"],
    );
    for key in [Key::Letter('y'), Key::Enter] {
        assert_eq!(board.press(key), Reaction::Nothing);
    }
    shows(&picture(&mut board, 80, 24), &["That is not new."]);
    for key in [
        Key::Letter('n'),
        Key::Letter('o'),
        Key::Backspace,
        Key::Letter('e'),
        Key::Letter('w'),
    ] {
        assert_eq!(
            board.press(key),
            Reaction::Nothing,
            "q and m are letters here"
        );
    }
    let arguments = json!({"confirm_flush": "new"});
    let order = Order {
        deed: Deed::Migrate,
        arguments,
    };
    assert_eq!(board.press(Key::Enter), Reaction::Send(order));
    assert_eq!(board.press(Key::Letter('m')), Reaction::Nothing);
    shows(
        &picture(&mut board, 80, 24),
        &["Wait: migrate is under way."],
    );
}

#[test]
fn what_changes_something_is_confirmed_and_enter_confirms_nothing() {
    for (phase, key, deed) in [
        ("in_sync", 'c', Deed::Cutover),
        ("syncing", 'a', Deed::Abort),
        ("detaching", 'a', Deed::Abort),
        ("committed", 'r', Deed::Rollback),
        ("committed", 'f', Deed::Finalize),
    ] {
        let mut board = board(&document(phase));
        for key in [
            Key::Letter(key),
            Key::Enter,
            Key::Letter('x'),
            Key::Escape,
            Key::Letter('y'),
        ] {
            assert_eq!(board.press(key), Reaction::Nothing, "{phase}");
        }
        board.press(Key::Letter(key));
        assert_eq!(board.press(Key::Letter('y')), Reaction::Send(deed.order()));
        // What is under way can be called off.
        board.status = view(&document("detaching"));
        board.press(Key::Letter('a'));
        assert!(board.question.is_some(), "{phase}");
    }
    let mut board = board(&document("in_sync"));
    assert_eq!(
        board.press(Key::Letter('d')),
        Reaction::Send(Deed::DryRun.order())
    );
}

#[test]
fn what_would_be_refused_is_said_with_its_reasons_and_not_asked() {
    let mut document = document("in_sync");
    document["can_cut_over"] = json!(false);
    document["reasons"] = json!(["3 MiB remain"]);
    let mut board = board(&document);
    assert_eq!(board.press(Key::Letter('c')), Reaction::Nothing);
    assert!(board.question.is_none());
    let said = board.said.clone().unwrap();
    assert_eq!(
        (said.tone, said.reasons),
        (Tone::Warning, vec!["3 MiB remain".to_owned()])
    );
    board.press(Key::Letter('f'));
    assert!(board.question.is_none(), "not in this phase");
}

#[test]
fn a_question_goes_when_what_it_asks_makes_no_sense_any_more() {
    let mut board = board(&document("in_sync"));
    board.press(Key::Letter('c'));
    board.looked(view(&document("in_sync")), Instant::now());
    assert!(board.question.is_some());
    board.looked(view(&document("syncing")), Instant::now());
    assert_eq!(board.press(Key::Letter('y')), Reaction::Nothing);
    assert!(board.question.is_none());
}

#[test]
fn silence_is_said_until_it_ends() {
    let mut board = board(&document("idle"));
    board.heard = Instant::now().checked_sub(Duration::from_secs(12)).unwrap();
    board.missed(&CallError::Unreachable("connection refused".to_owned()));
    shows(
        &picture(&mut board, 80, 24),
        &["No answer for 12 s: what is shown is old"],
    );
    board.looked(view(&document("idle")), Instant::now());
    assert!(!picture(&mut board, 80, 24).contains("No answer"));
}

#[test]
fn how_an_order_ended_is_said() {
    let mut board = board(&document("in_sync"));
    let mut said = |deed, result| {
        board.ended(deed, result);
        let said = board.said.clone().unwrap();
        (said.tone, said.sentence)
    };
    let committed = json!({"outcome": "committed", "write_pause_ms": 8.21});
    let sentence = "Switched: the target is active; writes waited 8.2 ms.".to_owned();
    assert_eq!(said(Deed::Cutover, Ok(committed)), (Tone::Good, sentence));
    let refused = json!({"outcome": "dry_run", "reasons": ["lag"]});
    let sentence = "Dry run: a switch would be refused now.".to_owned();
    assert_eq!(said(Deed::DryRun, Ok(refused)), (Tone::Warning, sentence));
    let error = CallError::Refused {
        status: 409,
        code: "lag".to_owned(),
        message: "too far behind".to_owned(),
        reasons: vec![json!("too far behind")],
    };
    let sentence = "Refused: too far behind".to_owned();
    assert_eq!(said(Deed::Cutover, Err(error)), (Tone::Bad, sentence));
    let found = json!({"findings": [{"check": "memory", "level": "error", "message": "too small", "what_to_do": "grow"}]});
    assert_eq!(said(Deed::Preflight, Ok(found)).0, Tone::Warning);
    shows(
        &picture(&mut board, 80, 40),
        &["preflight error: too small", "-> grow"],
    );
}
