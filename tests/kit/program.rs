//! A program that talks with the test, line by line: an application in another language, or what drives a browser.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use tempfile::TempPath;

use super::process::Process;

/// How long a program may take from one word to the next: it waits itself where it was told to.
const WORD_LIMIT: Duration = Duration::from_mins(1);

/// A running program.
pub struct Program {
    name: String,
    process: Process,
    stdin: Option<ChildStdin>,
    words: Receiver<String>,
    /// What it writes to its error output: tracebacks.
    errors: TempPath,
}

/// What `dev/setup tests` installs below `target/clients`.
pub fn installed(path: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("target/clients")
        .join(path);
    assert!(
        path.exists(),
        "{} is absent: run `dev/setup tests`",
        path.display()
    );
    path
}

impl Program {
    pub fn start(name: &str, command: &mut Command) -> Program {
        let errors = tempfile::NamedTempFile::new().unwrap();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors.reopen().unwrap())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}; run `dev/setup tests`"));
        Program {
            name: name.to_owned(),
            stdin: child.stdin.take(),
            words: words_of(&mut child),
            process: Process::new(child),
            errors: errors.into_temp_path(),
        }
    }

    /// Waits for a word of the application; gives what follows it on the line.
    pub fn hear(&self, word: &str) -> String {
        match self.words.recv_timeout(WORD_LIMIT) {
            Ok(line) => match line.strip_prefix(word) {
                Some(rest) => rest.to_owned(),
                None => self.fail(&format!("said {line:?} where {word:?} was due")),
            },
            Err(RecvTimeoutError::Timeout) => self.fail(&format!("did not say {word:?}")),
            Err(RecvTimeoutError::Disconnected) => self.fail(&format!("ended before {word:?}")),
        }
    }

    /// The next line.
    pub fn line(&self) -> String {
        self.hear("")
    }

    /// These lines come next.
    pub fn expect(&self, lines: &[&str]) {
        for expected in lines {
            let line = self.line();
            if line != *expected {
                self.fail(&format!("said {line:?} where {expected:?} was due"));
            }
        }
    }

    /// Says something, and these lines come next.
    pub fn ask(&mut self, question: &str, answer: &[&str]) {
        self.say(question);
        self.expect(answer);
    }

    pub fn say(&mut self, word: &str) {
        let said = writeln!(self.stdin.as_mut().unwrap(), "{word}");
        if said.is_err() {
            self.fail("does not listen");
        }
    }

    /// Says no more, and expects it to end well.
    pub fn end(mut self) {
        drop(self.stdin.take());
        let status = self.process.wait(WORD_LIMIT);
        if !status.success() {
            self.fail(&format!("ended with {status}"));
        }
    }

    fn fail(&self, what: &str) -> ! {
        let errors = std::fs::read_to_string(&self.errors).unwrap_or_default();
        panic!("{} {what}\n--- its errors ---\n{errors}", self.name)
    }
}

fn words_of(child: &mut Child) -> Receiver<String> {
    let output = child.stdout.take().unwrap();
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
