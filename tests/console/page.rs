//! The console in headless Chromium, as a person uses it.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::kit::{Program, Sidecar, installed};

/// An open page.
pub(crate) struct Page(Program);

impl Page {
    /// Opens the console of a sidecar, in a window of that size.
    pub(crate) fn open(sidecar: &Sidecar, width: u32, height: u32) -> Page {
        let browser = Path::new("/usr/bin/chromium");
        assert!(
            browser.exists(),
            "{} is absent: run `dev/setup tests`",
            browser.display()
        );
        let mut command = Command::new("node");
        command
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/console/browser.mjs"))
            .arg(installed("node_modules"))
            .arg(browser);
        let mut page = Page(Program::start("browser.mjs", &mut command));
        page.answer("the start");
        let url = format!("http://{}/", sidecar.admin().address);
        page.does(&json!({"do": "open", "url": url, "width": width, "height": height}));
        page
    }

    /// Presses a button by its name; of a dialog, where one is open.
    pub(crate) fn click(&mut self, name: &str) {
        self.does(&json!({"do": "click", "name": name}));
    }

    /// Types into a field by its label.
    pub(crate) fn write(&mut self, label: &str, text: &str) {
        self.does(&json!({"do": "type", "label": label, "text": text}));
    }

    /// Types into whatever has the focus.
    pub(crate) fn keys(&mut self, text: &str) {
        self.does(&json!({"do": "keys", "text": text}));
    }

    /// Presses a key.
    pub(crate) fn press(&mut self, key: &str) {
        self.does(&json!({"do": "press", "key": key}));
    }

    /// Goes on with Tab until that has the focus, and presses Enter.
    pub(crate) fn tab_to_and_enter(&mut self, name: &str) {
        self.does(&json!({"do": "tab", "name": name}));
        self.press("Enter");
    }

    /// Waits until the text can be seen in that part.
    pub(crate) fn sees_in(&mut self, within: &str, text: &str) {
        self.does(&json!({"do": "see", "text": text, "within": within}));
    }

    /// The name of what has the focus.
    pub(crate) fn focused(&mut self) -> String {
        let name = self.does(&json!({"do": "focused"}));
        name.as_str().unwrap().to_owned()
    }

    /// It fits its window, everything that can be used has a name, nothing was asked of anybody else, no script failed,
    /// and none that is not its own can run. `HANDOVER_SHOTS` names a folder for a picture of it, to be looked at.
    pub(crate) fn is_in_order(&mut self, called: &str) {
        if let Ok(folder) = std::env::var("HANDOVER_SHOTS") {
            for scheme in ["dark", "light"] {
                self.does(&json!({"do": "look", "scheme": scheme}));
                let file = format!("{folder}/{called}-{scheme}.png");
                self.does(&json!({"do": "shot", "file": file}));
            }
        }
        let overflow = self.does(&json!({"do": "overflow"})).as_i64().unwrap();
        assert!(overflow <= 0, "{called}: {overflow} pixels too wide");
        assert_eq!(self.does(&json!({"do": "nameless"})), json!([]), "{called}");
        assert_eq!(
            self.does(&json!({"do": "complaints"})),
            json!([]),
            "{called}"
        );
    }

    /// A script that somebody slipped into the page would not run.
    pub(crate) fn keeps_foreign_scripts_out(&mut self) {
        assert_eq!(self.does(&json!({"do": "inject"})), json!("refused"));
        self.does(&json!({"do": "complaints"}));
    }

    /// Any deed of `browser.mjs`.
    pub(crate) fn does(&mut self, deed: &Value) -> Value {
        self.0.say(&deed.to_string());
        self.answer(&deed.to_string())
    }

    fn answer(&mut self, deed: &str) -> Value {
        let answer: Value = serde_json::from_str(&self.0.line()).unwrap();
        let error = answer["error"].as_str().unwrap_or_default();
        assert!(answer["ok"] == true, "{deed}: {error}");
        answer["value"].clone()
    }
}
