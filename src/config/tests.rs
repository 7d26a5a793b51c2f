//! What a file's text becomes, and what is said of a wrong one.

mod enterprise;
mod example;
mod mistakes;
mod reload;
mod rules;
mod values;

use std::path::{Path, PathBuf};

use super::{Mistakes, Settings};

/// The least that a file must say.
const LEAST: &str = r#"
[[listener]]
bind = "127.0.0.1:6380"
[source]
url = "redis://source:6379"
[target]
url = "redis://target:6379"
"#;

fn nothing_set(_: &str) -> Option<String> {
    None
}

#[track_caller]
fn accepted(text: &str) -> Settings {
    match Settings::parse(text, &nothing_set) {
        Ok(settings) => settings,
        Err(mistakes) => panic!("refused:\n{mistakes}"),
    }
}

#[track_caller]
fn refused(text: &str) -> Mistakes {
    let Err(mistakes) = Settings::parse(text, &nothing_set) else {
        panic!("accepted:\n{text}")
    };
    assert!(!mistakes.0.is_empty());
    mistakes
}

/// The only mistake of a file is at `path`, and what is said of it holds `words`.
#[track_caller]
fn check(text: &str, path: &str, words: &str) {
    let mistakes = refused(text);
    let [mistake] = &mistakes.0[..] else {
        panic!("expected one mistake at {path}:\n{mistakes}")
    };
    assert_eq!(mistake.path, path, "{mistake}");
    assert!(
        mistake.to_string().contains(words),
        "{words:?} is not in: {mistake}"
    );
}

/// [`LEAST`] with one line put into a section, which is added where it is not there.
fn with(section: &str, line: &str) -> String {
    match LEAST.split_once(&format!("{section}\n")) {
        Some((before, after)) => format!("{before}{section}\n{line}\n{after}"),
        None => format!("{LEAST}{section}\n{line}\n"),
    }
}

fn certificate(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/net/tls/testdata")
        .join(name)
}

/// A directory with a file in it; gives both.
fn file_with(content: &str) -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    std::fs::write(&path, content).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (directory, path)
}
