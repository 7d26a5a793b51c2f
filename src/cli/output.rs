//! What is printed. Standard output gets the result, once: prose, or one JSON document. Everything else goes to
//! standard error.

use std::io::Write;

use serde_json::{Value, json};

/// Where results go, and in which form.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    json: bool,
}

impl Output {
    /// `json` is what the flag of that name says.
    pub(super) const fn new(json: bool) -> Output {
        Output { json }
    }

    /// The result: the document where JSON was asked for, the prose otherwise.
    pub(super) fn result(self, document: &Value, prose: impl FnOnce() -> String) {
        let text = if self.json {
            document.to_string()
        } else {
            prose()
        };
        print(&mut std::io::stdout().lock(), &text);
    }

    /// A failure: prose on standard error, and where JSON was asked for the document that the admin API would give.
    pub(super) fn failure(self, code: &str, message: &str, reasons: &[Value]) {
        if self.json {
            let document = json!({"error": {"code": code, "message": message, "reasons": reasons}});
            print(&mut std::io::stdout().lock(), &document.to_string());
            return;
        }
        self.note(&format!("handover: {message}"));
        // One reason is often the message itself.
        for reason in reasons
            .iter()
            .map(super::view::reason_text)
            .filter(|reason| reason != message)
        {
            self.note(&format!("  - {reason}"));
        }
    }

    /// A line beside the result, on standard error.
    #[allow(clippy::unused_self)] // printing goes through whoever has the output, so that it is seen who prints
    pub(super) fn note(self, line: &str) {
        print(&mut std::io::stderr().lock(), line);
    }
}

fn print(to: &mut impl Write, text: &str) {
    if text.is_empty() {
        return;
    }
    // A reader that went away, like `head`, is no reason to fail.
    let _ = writeln!(to, "{}", text.trim_end_matches('\n')).and_then(|()| to.flush());
}
