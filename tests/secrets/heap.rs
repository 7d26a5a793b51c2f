//! Texts that are searched for secrets.

use std::fmt::Write;

/// What was said, and by what.
#[derive(Debug, Default)]
pub(crate) struct Heap(Vec<(String, String)>);

impl Heap {
    pub(crate) fn add(&mut self, what: &str, text: &str) {
        assert!(!text.is_empty(), "{what} says nothing");
        self.0.push((what.to_owned(), text.to_owned()));
    }

    #[track_caller]
    pub(crate) fn must_be_free_of(&self, secrets: &[&str]) {
        let mut found = String::new();
        for (what, text) in &self.0 {
            for secret in secrets {
                if let Some(at) = spellings(secret)
                    .iter()
                    .find_map(|it| text.find(it.as_str()))
                {
                    let line = text[..at].matches('\n').count();
                    let shown = text.lines().nth(line).unwrap_or_default();
                    let _ = writeln!(found, "{secret} in {what}: {shown}");
                }
            }
        }
        assert!(found.is_empty(), "{found}");
    }
}

/// How a secret may be written: as it is, in JSON and `Debug` (also within JSON again), in a URL, as a list of
/// bytes.
fn spellings(secret: &str) -> Vec<String> {
    let quoted = |text: &str| {
        let quoted = format!("{text:?}");
        quoted[1..quoted.len() - 1].to_owned()
    };
    let mut percent = String::new();
    for byte in secret.bytes() {
        if byte.is_ascii_alphanumeric() {
            percent.push(char::from(byte));
        } else {
            let _ = write!(percent, "%{byte:02X}");
        }
    }
    let bytes = format!("{:?}", secret.as_bytes());
    let once = quoted(secret);
    vec![
        secret.to_owned(),
        quoted(&once),
        once,
        percent,
        bytes.trim_matches(['[', ']']).to_owned(),
    ]
}

#[test]
fn a_secret_is_found_however_it_is_written() {
    let secret = "a/b\"c";
    for text in [
        "password a/b\"c",
        r#"{"x":"a/b\"c"}"#,
        r#"{"x":"y \"a/b\\\"c\""}"#,
        "redis://:a%2Fb%22c@host",
        "Bytes([1, 97, 47, 98, 34, 99])",
    ] {
        let mut heap = Heap::default();
        heap.add("a text", text);
        let search = std::panic::AssertUnwindSafe(|| heap.must_be_free_of(&[secret]));
        assert!(std::panic::catch_unwind(search).is_err(), "{text}");
    }
    let mut heap = Heap::default();
    heap.add("a text", "a/b and c");
    heap.must_be_free_of(&[secret]);
}
