//! What the terminal shows, and what becomes of a key. Pure: the time is an argument.

use std::fmt::Write;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::question::{Deed, Order, Question};
use super::words;
use crate::cli::client::CallError;
use crate::cli::view::{Outcome, Preflight, Report, Sample, Status, reason_text, view};

/// Samples that are kept: ten minutes, as the sidecar keeps them.
const SAMPLES_MAX: usize = 600;

/// Everything that is shown.
#[derive(Debug)]
pub(super) struct Board {
    /// The newest that was heard.
    pub(super) status: Status,
    /// When.
    pub(super) heard: Instant,
    /// Why nothing was heard since, if so.
    pub(super) silence: Option<String>,
    /// The last minutes, the oldest first.
    pub(super) samples: Vec<Sample>,
    /// What the newest preflight found.
    pub(super) preflight: Option<Preflight>,
    /// What the target would take differently of what the application has sent.
    pub(super) report: Option<Report>,
    /// What became of the newest order.
    pub(super) said: Option<Said>,
    /// The order that is being carried out.
    pub(super) busy: Option<Deed>,
    /// What a person is being asked.
    pub(super) question: Option<Question>,
    /// Lines that are scrolled past.
    pub(super) scrolled: u16,
}

/// A sentence, with its reasons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) tone: Tone,
    pub(super) sentence: String,
    pub(super) reasons: Vec<String>,
}

/// How a sentence is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Good,
    Warning,
    Bad,
}

/// A key, as far as it means something here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Letter(char),
    Enter,
    Escape,
    Backspace,
    /// So many lines down; up where negative.
    Scroll(i16),
    /// Ctrl-C.
    Interrupt,
}

/// What a key leads to.
#[derive(Debug, PartialEq)]
pub(super) enum Reaction {
    /// Another picture at most.
    Nothing,
    /// This goes to the sidecar.
    Send(Order),
    /// The end.
    Quit,
}

impl Board {
    /// With the first status.
    pub(super) fn new(status: Status, now: Instant) -> Board {
        Board {
            status,
            heard: now,
            silence: None,
            samples: Vec::new(),
            preflight: None,
            report: None,
            said: None,
            busy: None,
            question: None,
            scrolled: 0,
        }
    }

    /// A status came. A question is kept only as long as what it asks makes sense.
    pub(super) fn looked(&mut self, status: Status, now: Instant) {
        let since = now.saturating_duration_since(self.heard);
        // By the sidecar's clock, as its own samples are.
        let at = self.samples.last().map_or(0, |last| {
            last.at_unix_ms + u64::try_from(since.as_millis()).unwrap_or(0)
        });
        self.samples.push(Sample::of(&status, at));
        let surplus = self.samples.len().saturating_sub(SAMPLES_MAX);
        self.samples.drain(..surplus);
        let fits = |question: &Question| question.deed.fits(&status.phase);
        if !self.question.as_ref().is_none_or(fits) {
            self.question = None;
            self.say(
                Tone::Warning,
                "Not asked any more: the migration has gone on meanwhile.",
            );
        }
        self.status = status;
        self.heard = now;
        self.silence = None;
    }

    /// The past came, as the sidecar remembers it.
    pub(super) fn remembered(&mut self, samples: Vec<Sample>) {
        self.samples = samples;
    }

    /// The report came.
    pub(super) fn reported(&mut self, report: Report) {
        self.report = Some(report);
    }

    /// Nothing came.
    pub(super) fn missed(&mut self, error: &CallError) {
        self.silence = Some(error.to_string());
    }

    /// For how long what is shown is old, where it is.
    pub(super) fn age(&self, now: Instant) -> Option<Duration> {
        self.silence
            .as_ref()
            .map(|_| now.saturating_duration_since(self.heard))
    }

    /// A key was pressed.
    pub(super) fn press(&mut self, key: Key) -> Reaction {
        if key == Key::Interrupt {
            return Reaction::Quit;
        }
        if self.question.is_some() {
            return self.answer(key);
        }
        match key {
            Key::Letter('q') => Reaction::Quit,
            Key::Letter(letter) => match Deed::of_key(letter) {
                Some(deed) => self.wish(deed),
                None => Reaction::Nothing,
            },
            Key::Scroll(lines) => {
                self.scrolled = self.scrolled.saturating_add_signed(lines);
                Reaction::Nothing
            }
            Key::Escape => {
                self.said = None;
                Reaction::Nothing
            }
            Key::Enter | Key::Backspace | Key::Interrupt => Reaction::Nothing,
        }
    }

    fn answer(&mut self, key: Key) -> Reaction {
        let Some(question) = &mut self.question else {
            return Reaction::Nothing;
        };
        let order = match key {
            Key::Letter(letter) => question.typed(letter),
            Key::Enter => question.entered(),
            Key::Backspace => {
                question.rubbed_out();
                None
            }
            Key::Escape => {
                self.question = None;
                self.say(Tone::Plain, "Nothing was done.");
                return Reaction::Nothing;
            }
            Key::Scroll(_) | Key::Interrupt => None,
        };
        order.map_or(Reaction::Nothing, |order| self.send(order))
    }

    /// Somebody wants that: it is asked for, done, or said why not.
    fn wish(&mut self, deed: Deed) -> Reaction {
        let name = deed.name();
        if !deed.fits(&self.status.phase) {
            let phase = self.status.phase.replace('_', " ");
            self.say(
                Tone::Warning,
                &format!("There is nothing to {name} while the migration is {phase}."),
            );
            return Reaction::Nothing;
        }
        // What is under way can be called off; everything else comes one after the other.
        if let Some(busy) = self.busy.filter(|_| deed != Deed::Abort) {
            let busy = busy.name();
            self.say(Tone::Warning, &format!("Wait: {busy} is under way."));
            return Reaction::Nothing;
        }
        let would_be_refused = (deed == Deed::Cutover && !self.status.can_cut_over)
            || (deed == Deed::Rollback && !self.status.can_roll_back);
        if would_be_refused {
            self.said = Some(Said {
                tone: Tone::Warning,
                sentence: format!("Not now: {name} would be refused."),
                reasons: self.status.reasons.iter().map(reason_text).collect(),
            });
            return Reaction::Nothing;
        }
        self.said = None;
        match deed.question(&self.status) {
            Some(question) => {
                self.question = Some(question);
                Reaction::Nothing
            }
            None => self.send(deed.order()),
        }
    }

    fn send(&mut self, order: Order) -> Reaction {
        self.question = None;
        self.busy = Some(order.deed);
        self.said = None;
        Reaction::Send(order)
    }

    /// An order has ended.
    pub(super) fn ended(&mut self, deed: Deed, result: Result<Value, CallError>) {
        if self.busy == Some(deed) {
            self.busy = None;
        }
        // What was found before says nothing of what is being copied now.
        if deed == Deed::Migrate && result.is_ok() {
            self.preflight = None;
        }
        self.said = Some(match result {
            Err(error) => refusal(&error),
            Ok(document) if deed == Deed::Preflight => {
                let found = view::<Preflight>(&document);
                let said = checked(&found);
                self.preflight = Some(found);
                said
            }
            Ok(_) if deed == Deed::Verify => Said {
                tone: Tone::Good,
                sentence: "The comparison has begun.".to_owned(),
                reasons: Vec::new(),
            },
            Ok(document) => outcome(&view(&document)),
        });
    }

    fn say(&mut self, tone: Tone, sentence: &str) {
        self.said = Some(Said {
            tone,
            sentence: sentence.to_owned(),
            reasons: Vec::new(),
        });
    }
}

/// How something that was asked for ended, in a sentence.
fn outcome(ended: &Outcome) -> Said {
    let mut sentence = words::outcome(&ended.outcome).to_owned();
    let mut tone = Tone::Good;
    match (ended.outcome.as_str(), ended.reasons.is_empty()) {
        ("dry_run", true) => sentence.push_str(": a switch would be accepted now"),
        ("dry_run", false) => {
            tone = Tone::Warning;
            sentence.push_str(": a switch would be refused now");
        }
        ("aborted", _) => tone = Tone::Warning,
        _ => {}
    }
    if let Some(pause) = ended.write_pause_ms.filter(|&ms| ms > 0.0) {
        let _ = write!(sentence, "; writes waited {pause:.1} ms");
    }
    sentence.push('.');
    Said {
        tone,
        sentence,
        reasons: ended.reasons.iter().map(reason_text).collect(),
    }
}

fn checked(found: &Preflight) -> Said {
    let all = found.findings.len();
    let bad = found.findings.iter().filter(|it| it.level != "ok").count();
    let (tone, sentence) = if bad == 0 {
        (Tone::Good, format!("All {all} checks are in order."))
    } else {
        let sentence = format!("{bad} of {all} checks ask for attention: they are below.");
        (Tone::Warning, sentence)
    };
    Said {
        tone,
        sentence,
        reasons: Vec::new(),
    }
}

fn refusal(error: &CallError) -> Said {
    let (sentence, reasons) = match error {
        CallError::Refused {
            message, reasons, ..
        } => {
            // One reason is often the message itself.
            let reasons = reasons.iter().map(reason_text);
            let others = reasons.filter(|reason| reason != message).collect();
            (format!("Refused: {message}"), others)
        }
        other => (other.to_string(), Vec::new()),
    };
    Said {
        tone: Tone::Bad,
        sentence,
        reasons,
    }
}
