//! The picture: the track and what is said on top, the parts below it, the keys at the bottom. Pure: a board in, a frame
//! out.

use std::time::Instant;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Block, Clear, Paragraph};

use super::board::{Board, Tone};
use super::question::{Answer, Deed, Question};
use super::sections;
use super::sheet::{Palette, Sheet, unbroken, wrapped};
use super::words::{self, STATIONS};
use crate::cli::view::reason_text;

/// From this width on there are two columns.
const TWO_COLUMNS: u16 = 120;
/// Lines that are kept for the parts, whatever else there is to say.
const BODY_LINES_MIN: u16 = 3;
/// The width of a question, where there is room.
const QUESTION_WIDTH: u16 = 64;

/// A part of the picture.
type Section = fn(&Board, &mut Sheet);

/// In one column the second half stands below the first, but for what decides.
const LEFT: [Section; 5] = [
    sections::copy,
    sections::link,
    sections::traffic,
    sections::refused,
    sections::who,
];
const RIGHT: [Section; 5] = [
    sections::ready,
    sections::cutover,
    sections::comparison,
    sections::preflight,
    sections::compatibility,
];

/// Draws the board; takes back what was scrolled too far.
pub(super) fn draw(frame: &mut Frame<'_>, board: &mut Board, palette: Palette, now: Instant) {
    let area = frame.area();
    let top = top(board, palette, area.width, now);
    let bottom = bottom(board, palette, area.width);
    let room = area.height.saturating_sub(BODY_LINES_MIN);
    let bottom_height = height(&bottom).min(room);
    let top_height = height(&top).min(room - bottom_height);
    let [above, body, below] = Layout::vertical([
        Constraint::Length(top_height),
        Constraint::Fill(1),
        Constraint::Length(bottom_height),
    ])
    .areas(area);
    frame.render_widget(Paragraph::new(top), above);
    draw_body(frame, board, palette, body);
    // The keys are the last line: what there is no room for is above it.
    let hidden = height(&bottom) - bottom_height;
    frame.render_widget(Paragraph::new(bottom).scroll((hidden, 0)), below);
    if let Some(question) = &board.question {
        draw_question(frame, question, palette, area);
    }
}

fn draw_body(frame: &mut Frame<'_>, board: &mut Board, palette: Palette, area: Rect) {
    let written = |sections: &[Section], width: u16| {
        let mut sheet = Sheet::new(palette, width, area.height);
        for section in sections {
            section(board, &mut sheet);
        }
        sheet.lines()
    };
    let columns = if area.width >= TWO_COLUMNS {
        let [left, right] =
            Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).areas(area);
        vec![
            (written(&LEFT, left.width - 2), left),
            (written(&RIGHT, right.width), right),
        ]
    } else {
        let all = [&LEFT[..1], &RIGHT[..1], &LEFT[1..], &RIGHT[1..]].concat();
        vec![(written(&all, area.width), area)]
    };
    let longest = columns.iter().map(|(lines, _)| height(lines)).max();
    let longest = longest.unwrap_or(0);
    let beyond = longest.saturating_sub(area.height);
    board.scrolled = board.scrolled.min(beyond);
    for (lines, place) in columns {
        frame.render_widget(Paragraph::new(lines).scroll((board.scrolled, 0)), place);
    }
    if board.scrolled < beyond && area.height > 1 {
        // The last line says so; what stood there is the first of what is below.
        let below = longest - board.scrolled - (area.height - 1);
        let more = format!("… {below} more lines below: arrow keys, page keys");
        let last = Rect::new(area.x, area.bottom() - 1, area.width, 1);
        frame.render_widget(Clear, last);
        frame.render_widget(
            Paragraph::new(more)
                .right_aligned()
                .style(palette.style(Tone::Warning)),
            last,
        );
    }
}

/// The sides, whether it is live, the track, what is said, the alarms.
fn top(board: &Board, palette: Palette, width: u16, now: Instant) -> Vec<Line<'static>> {
    let status = &board.status;
    let (source, target) = words::names(status);
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let columns = usize::from(width).max(1);
    let mut lines = vec![Line::from(vec![
        Span::styled("Handover", bold),
        Span::raw(format!("  {source} → {target}")),
    ])];
    if let Some(age) = board.age(now) {
        let why = board.silence.as_deref().unwrap_or_default();
        let text = format!(
            "No answer for {} s: what is shown is old, and it is tried on. {why}",
            age.as_secs()
        );
        paragraph(&mut lines, &text, columns, palette.style(Tone::Bad));
    }
    lines.push(track(board, palette, columns));
    let (headline, next) = words::saying(status);
    paragraph(&mut lines, &headline, columns, bold);
    paragraph(&mut lines, &next, columns, Style::new());
    for alarm in &status.alarms {
        let text = format!("! ALARM {}", reason_text(alarm));
        let style = palette.style(Tone::Bad).add_modifier(Modifier::BOLD);
        paragraph(&mut lines, &text, columns, style);
    }
    lines.push(Line::default());
    lines
}

/// The stations, those that are passed ticked off; only the present one where there is no room for all.
fn track(board: &Board, palette: Palette, columns: usize) -> Line<'static> {
    let status = &board.status;
    let Some(here) = words::station(status) else {
        return Line::from(status.phase.clone());
    };
    let is_over = status.phase == "finalized";
    let spans = STATIONS.iter().enumerate().flat_map(|(at, (name, _))| {
        let (mark, style) = match at.cmp(&here) {
            _ if is_over => ("✓", palette.style(Tone::Good)),
            std::cmp::Ordering::Less => ("✓", palette.style(Tone::Good)),
            std::cmp::Ordering::Equal => ("●", Style::new().add_modifier(Modifier::BOLD)),
            std::cmp::Ordering::Greater => ("○", palette.quiet()),
        };
        let gap = if at == 0 { "" } else { " ── " };
        [
            Span::styled(gap, palette.quiet()),
            Span::styled(format!("{mark} {name}"), style),
        ]
    });
    let line = spans.collect::<Line<'_>>();
    if line.width() <= columns {
        return line;
    }
    let (name, _) = STATIONS[here];
    Line::from(format!("● {name} ({} of {})", here + 1, STATIONS.len()))
}

/// What became of the newest order, and the keys.
fn bottom(board: &Board, palette: Palette, width: u16) -> Vec<Line<'static>> {
    let columns = usize::from(width).max(1);
    let mut lines = vec![Line::default()];
    if let Some(busy) = board.busy {
        let text = format!("… {}: under way", busy.name());
        paragraph(&mut lines, &text, columns, palette.style(Tone::Warning));
    }
    if let Some(said) = &board.said {
        let style = palette.style(said.tone).add_modifier(Modifier::BOLD);
        paragraph(&mut lines, &said.sentence, columns, style);
        for reason in &said.reasons {
            paragraph(&mut lines, &format!("- {reason}"), columns, Style::new());
        }
    }
    let keys = Deed::offered(&board.status.phase).map(|(key, name, _)| format!("[{key}] {name}"));
    let keys = keys.chain(["[q] quit".to_owned()]).collect::<Vec<_>>();
    let style = Style::new().add_modifier(Modifier::REVERSED);
    // Keys are not torn apart from their names.
    let keys = keys.iter().map(|key| unbroken(key));
    paragraph(
        &mut lines,
        &keys.collect::<Vec<_>>().join(" "),
        columns,
        style,
    );
    lines
}

fn draw_question(frame: &mut Frame<'_>, question: &Question, palette: Palette, area: Rect) {
    let width = QUESTION_WIDTH.min(area.width);
    let columns = usize::from(width.saturating_sub(4)).max(1);
    let mut lines = Vec::new();
    paragraph(&mut lines, &question.text, columns, Style::new());
    lines.push(Line::default());
    match &question.answer {
        Answer::Yes => {
            paragraph(&mut lines, "[y] yes, [Esc] cancel", columns, Style::new());
        }
        Answer::Name {
            expected,
            typed,
            wrong,
        } => {
            let ask = format!(
                "To confirm, type the target's name, {expected}, and Enter. [Esc] cancels."
            );
            paragraph(&mut lines, &ask, columns, Style::new());
            if wrong.is_some() {
                let text = format!("That is not {expected}.");
                paragraph(&mut lines, &text, columns, palette.style(Tone::Bad));
            }
            lines.push(Line::from(format!("> {typed}▏")));
        }
    }
    let height = height(&lines).saturating_add(2).min(area.height);
    let place = Rect::new(
        area.x + (area.width - width) / 2,
        area.y + (area.height - height) / 2,
        width,
        height,
    );
    let hidden =
        (u16::try_from(lines.len()).unwrap_or(u16::MAX)).saturating_sub(height.saturating_sub(2));
    let block = Block::bordered().title(format!(" {} ", question.title));
    frame.render_widget(Clear, place);
    frame.render_widget(
        Paragraph::new(Text::from(lines))
            .block(block)
            .scroll((hidden, 0)),
        place,
    );
}

fn paragraph(lines: &mut Vec<Line<'static>>, text: &str, columns: usize, style: Style) {
    let wrapped = wrapped(text, columns).into_iter();
    lines.extend(wrapped.map(|line| Line::styled(line, style)));
}

fn height(lines: &[Line<'_>]) -> u16 {
    u16::try_from(lines.len()).unwrap_or(u16::MAX)
}
