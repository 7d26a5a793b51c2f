//! The terminal: taken whole, and left as it was on every way out; its keys, as far as they mean something.

use std::io::{self, IsTerminal};
use std::time::Instant;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::board::{Board, Key};
use super::frame;
use super::sheet::Palette;

/// Keys that may wait to be looked at: more than fingers, or somebody's paste of a name, bring in a turn.
const KEYS_MAX: usize = 256;
/// Lines that a page key moves.
const PAGE: i16 = 10;

/// A terminal that shows the board. Dropping it leaves the terminal as it was; so does a panic, before its message.
pub(super) struct Terminal {
    screen: DefaultTerminal,
    palette: Palette,
    keys: mpsc::Receiver<Input>,
    /// Somebody ends this command from outside: a terminal that was closed, a script, a machine that is shut down.
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
}

/// What comes from a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    Key(Key),
    /// The window has another size.
    Resized,
    /// There will be nothing more.
    Over,
}

/// Whether there is a terminal to draw on, and one to read keys from.
pub(in crate::cli) fn has_terminal() -> bool {
    let can_draw = std::env::var_os("TERM").is_none_or(|term| term != "dumb");
    can_draw && io::stdout().is_terminal() && io::stdin().is_terminal()
}

impl Terminal {
    /// Takes the terminal.
    pub(super) fn enter() -> io::Result<Terminal> {
        // Before the terminal is taken: from here on no signal ends the command without giving it back.
        let hangup = signal(SignalKind::hangup())?;
        let interrupt = signal(SignalKind::interrupt())?;
        let terminate = signal(SignalKind::terminate())?;
        let screen = ratatui::try_init()?;
        let (sender, keys) = mpsc::channel(KEYS_MAX);
        // It waits for a key when the command ends, and ends with it.
        std::thread::spawn(move || read_keys(&sender));
        let has_colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Ok(Terminal {
            screen,
            palette: if has_colours {
                Palette::Colours
            } else {
                Palette::Plain
            },
            keys,
            hangup,
            interrupt,
            terminate,
        })
    }

    /// Shows the present picture; only what is other than before is sent.
    pub(super) fn draw(&mut self, board: &mut Board) -> io::Result<()> {
        let palette = self.palette;
        self.screen
            .draw(|frame| frame::draw(frame, board, palette, Instant::now()))?;
        Ok(())
    }

    /// What a person does next.
    ///
    /// Cancel safety: nothing is lost where it is dropped.
    pub(super) async fn next(&mut self) -> Input {
        tokio::select! {
            input = self.keys.recv() => input.unwrap_or(Input::Over),
            _ = self.hangup.recv() => Input::Over,
            _ = self.interrupt.recv() => Input::Over,
            _ = self.terminate.recv() => Input::Over,
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Nobody is left to be told where the terminal is gone.
        let _ = ratatui::try_restore();
    }
}

fn read_keys(sender: &mpsc::Sender<Input>) {
    while let Ok(event) = event::read() {
        let input = match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => key_of(key).map(Input::Key),
            Event::Resize(_, _) => Some(Input::Resized),
            _ => None,
        };
        if input.is_some_and(|input| sender.blocking_send(input).is_err()) {
            return;
        }
    }
}

fn key_of(key: KeyEvent) -> Option<Key> {
    let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
    Some(match key.code {
        KeyCode::Char('c' | 'd') if is_control => Key::Interrupt,
        KeyCode::Char(letter) if !is_control => Key::Letter(letter),
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Escape,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Up => Key::Scroll(-1),
        KeyCode::Down => Key::Scroll(1),
        KeyCode::PageUp => Key::Scroll(-PAGE),
        KeyCode::PageDown => Key::Scroll(PAGE),
        _ => return None,
    })
}
