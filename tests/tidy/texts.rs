//! What a file and the manifest may contain.

use super::files::Source;
use super::layers::code_of;

/// Longest file. A longer one holds two ideas.
pub(crate) const LINES_MAX: usize = 450;
/// Files that may be longer, each with the reason.
pub(crate) const LONGER: &[(&str, &str)] = &[];
/// Rooms (or files of rooms) without a runtime, a clock, randomness or logs.
const PURE: &[&str] = &[
    "src/resp.rs",
    "src/resp/",
    "src/command.rs",
    "src/command/",
    "src/cutover/state.rs",
    "src/cutover/state/",
    "src/cutover/step.rs",
    "src/cutover/step/",
    "src/cutover/readiness.rs",
    "src/cutover/readiness/",
];
/// What purity rules out.
const IMPURE: &[&str] = &[
    "tokio",
    "tracing",
    "Instant::now",
    "SystemTime",
    "rand::",
    "std::net",
    "std::fs",
    "std::env",
    "std::thread",
];
/// What is not committed anywhere in `src` or `tests`. Written in two parts so that this file passes.
const UNFINISHED: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("unimplemented", "!"),
    concat!("todo", "!("),
    concat!("dbg", "!("),
    concat!("#[ign", "ore"),
];

/// A pure file's code up to its tests, which may do as they like.
pub(crate) fn impurities(source: &Source) -> Vec<String> {
    let is_test = source.path.ends_with("tests.rs") || source.path.contains("/tests/");
    if is_test
        || !PURE.iter().any(|pure| {
            source.path == *pure || (pure.ends_with('/') && source.path.starts_with(pure))
        })
    {
        return Vec::new();
    }
    let code = code_of(&source.text);
    let code = code.split("#[cfg(test)]").next().unwrap_or_default();
    let found = IMPURE.iter().filter(|word| code.contains(**word));
    found
        .map(|word| format!("{}: {word} in a pure room", source.path))
        .collect()
}

pub(crate) fn too_long(source: &Source) -> Option<String> {
    let lines = source.text.lines().count();
    let allowed = lines <= LINES_MAX || LONGER.iter().any(|(path, _)| *path == source.path);
    (!allowed).then(|| format!("{}: {lines} lines, at most {LINES_MAX}", source.path))
}

pub(crate) fn without_header(source: &Source) -> Option<String> {
    (!source.text.starts_with("//! ")).then(|| format!("{}: no //! header", source.path))
}

pub(crate) fn unfinished(source: &Source) -> Vec<String> {
    let found = UNFINISHED
        .iter()
        .filter(|word| source.text.contains(**word));
    found
        .map(|word| format!("{}: {word}", source.path))
        .collect()
}

/// A dependency's reason stands behind it, or on a line of its own directly above it.
pub(crate) fn unexplained_dependencies(manifest: &str) -> Vec<String> {
    let mut in_dependencies = false;
    let mut above = "";
    let mut complaints = Vec::new();
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            in_dependencies = line.ends_with("dependencies]");
        } else if in_dependencies && line.contains('=') && !line.starts_with('#') {
            let behind = line.rsplit_once("# ").map_or("", |(_, reason)| reason);
            if behind.len() < 3 && !above.starts_with("# ") {
                complaints.push(format!("Cargo.toml: no reason for: {line}"));
            }
        }
        above = line;
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::super::files::planted;
    use super::*;

    #[test]
    fn a_clock_in_a_pure_room_is_found_and_one_in_its_tests_is_not() {
        let clock = "//! x\nfn now() { std::time::Instant::now(); }\n";
        assert_eq!(impurities(&planted("src/resp/request.rs", clock)).len(), 1);
        assert_eq!(
            impurities(&planted("src/cutover/step.rs", "use tokio::time;")).len(),
            1
        );
        assert_eq!(
            impurities(&planted("src/cutover/runner.rs", "use tokio::time;")).len(),
            0
        );
        assert_eq!(
            impurities(&planted(
                "src/resp.rs",
                "#[cfg(test)]\nmod tests { use std::fs; }"
            ))
            .len(),
            0
        );
    }

    #[test]
    fn a_long_file_a_bare_file_and_an_unfinished_file_are_found() {
        assert!(too_long(&planted("src/x.rs", &"\n".repeat(LINES_MAX))).is_none());
        assert!(too_long(&planted("src/x.rs", &"\n".repeat(LINES_MAX + 1))).is_some());
        assert!(without_header(&planted("src/x.rs", "use std::fs;\n")).is_some());
        assert!(without_header(&planted("src/x.rs", "//! What for.\n")).is_none());
        for word in UNFINISHED {
            assert_eq!(
                unfinished(&planted("src/x.rs", &format!("fn f() {{ {word} }}"))).len(),
                1,
                "{word}"
            );
        }
    }

    #[test]
    fn a_dependency_without_a_reason_is_found() {
        let manifest = "[package]\nname = \"x\"\n[dependencies]\na = \"1\" # for a\nb = \"1\"\n# For d.\nd = \"1\"\n[dev-dependencies]\nc = \"1\"\n";
        assert_eq!(unexplained_dependencies(manifest).len(), 2);
    }
}
