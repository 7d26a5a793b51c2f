//! Lines with a name on the left, wrapped to a width. Pure.

use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

use super::board::Tone;

/// The width of the names on the left.
const LABEL_WIDTH: usize = 10;
/// What is left to texts in the narrowest window.
const TEXT_WIDTH_MIN: usize = 10;

/// From this height on there is room for charts of several lines.
const HIGH: u16 = 30;

/// Whether there are colours. What matters is told in words and marks as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Palette {
    Colours,
    /// `NO_COLOR` is set, or the terminal has none.
    Plain,
}

impl Palette {
    pub(super) fn style(self, tone: Tone) -> Style {
        let colour = match (self, tone) {
            (Palette::Plain, _) | (_, Tone::Plain) => return Style::new(),
            (_, Tone::Good) => Color::Green,
            (_, Tone::Warning) => Color::Yellow,
            (_, Tone::Bad) => Color::Red,
        };
        Style::new().fg(colour)
    }

    /// For what is looked at last.
    pub(super) fn quiet(self) -> Style {
        match self {
            Palette::Colours => Style::new().add_modifier(Modifier::DIM),
            Palette::Plain => Style::new(),
        }
    }
}

/// A blank at which no line is broken.
pub(super) const KEPT: char = '\u{a0}';

/// A text whose blanks say something, or hold together what belongs together.
pub(super) fn unbroken(text: &str) -> String {
    text.replace(' ', "\u{a0}")
}

/// Lines in the making.
pub(super) struct Sheet {
    pub(super) palette: Palette,
    width: usize,
    /// How high a chart may be.
    pub(super) chart_lines: usize,
    lines: Vec<Line<'static>>,
}

impl Sheet {
    /// As wide as the place it is for, with charts as high as the place allows.
    pub(super) fn new(palette: Palette, width: u16, height: u16) -> Sheet {
        Sheet {
            palette,
            width: usize::from(width),
            chart_lines: if height < HIGH { 1 } else { 4 },
            lines: Vec::new(),
        }
    }

    /// How long a text may be that stands on one line beside a name.
    pub(super) fn text_width(&self) -> usize {
        self.width.saturating_sub(LABEL_WIDTH).max(TEXT_WIDTH_MIN)
    }

    /// A text beside a name, or below the one before where the name is empty.
    pub(super) fn row(&mut self, label: &str, tone: Tone, text: &str) {
        let style = self.palette.style(tone);
        for (at, part) in wrapped(text, self.text_width()).into_iter().enumerate() {
            let label = if at == 0 { label } else { "" };
            self.lines.push(Line::from(vec![
                Span::styled(format!("{label:LABEL_WIDTH$}"), self.palette.quiet()),
                Span::styled(part, style),
            ]));
        }
    }

    /// One of several things below a name.
    pub(super) fn item(&mut self, tone: Tone, text: &str) {
        self.row("", tone, &format!("- {text}"));
    }

    pub(super) fn lines(self) -> Vec<Line<'static>> {
        self.lines
    }
}

/// A text in lines of at most so many letters, broken between words where that is possible. At least one line.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut room = width;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let begins = room == width;
        if !begins && word.chars().count() >= room {
            lines.push(String::new());
            room = width;
        } else if !begins {
            push(&mut lines, ' ');
            room -= 1;
        }
        // What is longer than a line is broken where it must be.
        for letter in word.chars() {
            if room == 0 {
                lines.push(String::new());
                room = width;
            }
            push(&mut lines, letter);
            room -= 1;
        }
    }
    lines
}

fn push(lines: &mut [String], letter: char) {
    if let Some(line) = lines.last_mut() {
        line.push(if letter == KEPT { ' ' } else { letter });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_broken_between_words_and_within_those_that_are_too_long() {
        assert_eq!(wrapped("one two three", 8), ["one two", "three"]);
        assert_eq!(wrapped("abcdefghij kl", 4), ["abcd", "efgh", "ij", "kl"]);
        assert_eq!(wrapped("one two", 7), ["one two"]);
        assert_eq!(wrapped("", 7), [""]);
        assert_eq!(wrapped("äöü äöü", 3), ["äöü", "äöü"]);
    }
}
