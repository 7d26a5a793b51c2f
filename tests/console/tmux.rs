//! A command in a terminal, as a person has it: a window of a tmux of its own, which shows what a terminal would show.

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::kit::{LIMIT, Sidecar, eventually};

/// `handover status --watch` in a window.
pub(crate) struct Window {
    directory: TempDir,
}

impl Window {
    /// Opens it, with so many columns and lines; `environment` stands before the command, as in a shell.
    pub(crate) fn open(sidecar: &Sidecar, columns: u16, lines: u16, environment: &str) -> Window {
        let window = Window {
            directory: tempfile::tempdir().unwrap(),
        };
        let admin = sidecar.admin().address;
        let program = env!("CARGO_BIN_EXE_handover");
        let (before, after) = (window.path("before"), window.path("after"));
        // What is left of the terminal afterwards is compared with what it was.
        let script = format!(
            "stty -g >{before}; env {environment} {program} status --watch --admin http://{admin}; \
             echo \"ended with $?\"; stty -g >{after}.new; mv {after}.new {after}; exec cat"
        );
        let size = [columns.to_string(), lines.to_string()];
        window.tmux(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            &size[0],
            "-y",
            &size[1],
            "sh",
            "-c",
            &script,
        ]);
        window
    }

    /// Presses keys, by the names that tmux has for them: `m`, `Enter`, `C-c`.
    pub(crate) fn press(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    /// Types a text.
    pub(crate) fn types(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
    }

    pub(crate) fn resize(&self, columns: u16, lines: u16) {
        let size = [columns.to_string(), lines.to_string()];
        self.tmux(&["resize-window", "-x", &size[0], "-y", &size[1]]);
    }

    /// What can be seen now.
    pub(crate) fn picture(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// The numbers of the colours in it, as terminals have them: thirties, forties and above, but for those that mean the
    /// terminal's own. What is bold, reversed or faint has smaller ones.
    pub(crate) fn colours(&self) -> Vec<u32> {
        let picture = self.tmux(&["capture-pane", "-p", "-e"]);
        let sequences = picture.split("\u{1b}[").skip(1);
        let numbers = sequences.filter_map(|sequence| sequence.split_once('m'));
        let numbers = numbers.flat_map(|(numbers, _)| numbers.split(';'));
        numbers
            .filter_map(|number| number.parse().ok())
            .filter(|number| *number >= 30 && ![39, 49].contains(number))
            .collect()
    }

    /// Waits until a text can be seen.
    pub(crate) fn sees(&self, text: &str) {
        self.sees_all(&[text]);
    }

    /// Waits until all of these can be seen at once.
    pub(crate) fn sees_all(&self, texts: &[&str]) {
        let mut picture = String::new();
        let came = eventually(LIMIT, || {
            picture = self.picture();
            texts.iter().all(|text| picture.contains(text))
        });
        assert!(came, "waited for {texts:?} in vain:\n{picture}");
    }

    /// Waits for the end of the command, with this code; the terminal is as it was before.
    pub(crate) fn is_left_as_it_was(&self, code: u8) {
        self.sees(&format!("ended with {code}"));
        let after = self.path("after");
        assert!(eventually(LIMIT, || Path::new(&after).exists()));
        let read = |path: &str| std::fs::read_to_string(path).unwrap();
        assert_eq!(read(&self.path("before")), read(&after));
        let modes = "#{alternate_on} #{cursor_flag}";
        assert_eq!(self.tmux(&["display-message", "-p", modes]).trim(), "0 1");
    }

    /// The number of the command's process.
    pub(crate) fn process(&self) -> u32 {
        let shell = self.tmux(&["display-message", "-p", "#{pane_pid}"]);
        let shell = shell.trim();
        let children = std::fs::read_to_string(format!("/proc/{shell}/task/{shell}/children"));
        children.unwrap().trim().parse().unwrap()
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "tmux {arguments:?}: {errors}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new("tmux")
            .args(["-u", "-S", &self.path("socket")])
            .args(arguments)
            .env_remove("TMUX")
            .env_remove("NO_COLOR")
            .output()
            .unwrap_or_else(|error| panic!("cannot start tmux: {error}; run `dev/setup tests`"))
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        self.run(&["kill-server"]);
    }
}
