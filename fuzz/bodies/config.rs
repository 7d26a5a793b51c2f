//! The configuration: any text is accepted or gets its mistakes told, twice the same, and no message shows a password.

use handover::config::Settings;

use super::plan;

/// Stands where only a password does.
const SECRET: &str = "n33dle-in-a-password";

/// Plan: whether the input is the whole file, or what stands around a password in a URL.
pub fn check(input: &[u8]) {
    let ([mode], bytes) = plan(input);
    let text = String::from_utf8_lossy(bytes);
    match mode % 2 {
        0 => read(&text),
        _ => secret(&text),
    }
}

fn read(text: &str) {
    match (parse(text), parse(text)) {
        (Ok(one), Ok(other)) => {
            let changes = one.reloadable_difference(&other);
            assert!(changes.is_empty(), "{changes:?}");
            assert!(!one.listeners.is_empty());
            assert!(one.proxy.workers > 0);
        }
        (Err(one), Err(other)) => assert_eq!(one, other),
        (one, other) => panic!("once {one:?}, once {other:?}"),
    }
}

/// The mistakes as they are told, line by line.
fn parse(text: &str) -> Result<Settings, String> {
    let env = |name: &str| name.starts_with("SET").then(|| "value".to_owned());
    Settings::parse(text, &env).map_err(|mistakes| {
        assert!(!mistakes.0.is_empty());
        for mistake in &mistakes.0 {
            assert!(!mistake.wanted.is_empty() && !mistake.to_string().is_empty());
        }
        mistakes.to_string()
    })
}

/// A password in a URL that is right or wrong in any other way.
fn secret(around: &str) {
    let literal = |text: &str| {
        format!("{text:?}")
            .replace("\\u{", "u{")
            .replace("\\'", "'")
    };
    let (before, behind) = around.split_once('\n').unwrap_or(("", around));
    for url in [
        format!("redis://user{before}:{SECRET}{behind}"),
        format!("redis://user:{SECRET}@{around}"),
        format!("unix://user:{SECRET}@{around}"),
    ] {
        let text = format!(
            "[source]\nurl = {}\n[target]\nurl = {}\n[[listener]]\nbind = \"127.0.0.1:1\"\nname = 1\n",
            literal(&url),
            literal(&url)
        );
        let told = match Settings::parse(&text, &|_| None) {
            Ok(settings) => format!("{settings:?}"),
            Err(mistakes) => format!("{mistakes}{mistakes:?}"),
        };
        assert!(!told.contains(SECRET), "{told}");
    }
}
