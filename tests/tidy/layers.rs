//! The layers of `src/lib.rs`, and the paths by which a file names a room.

use std::collections::BTreeMap;

use super::files::Source;

/// Rooms of one layer of which one may know the other, each pair with the reason.
const NEIGHBOURS: &[(&str, &str, &str)] = &[(
    "cli",
    "app",
    "`run` and `check` are commands, and the sidecar is what they start",
)];

/// Room → layer, from the comments of `src/lib.rs`: `// 4: …`, then the `pub mod` lines of that layer.
pub(crate) fn layers(lib: &str) -> BTreeMap<String, u32> {
    let mut layer = None;
    let mut rooms = BTreeMap::new();
    for line in lib.lines() {
        if let Some((number, _)) = line
            .strip_prefix("// ")
            .and_then(|rest| rest.split_once(": "))
        {
            layer = number.parse().ok().or(layer);
        } else if let Some(name) = line
            .strip_prefix("pub mod ")
            .and_then(|rest| rest.strip_suffix(';'))
        {
            rooms.extend(layer.map(|layer| (name.to_owned(), layer)));
        }
    }
    rooms
}

/// Paths into rooms that are not below the file's own.
pub(crate) fn layer_breaches(source: &Source, layers: &BTreeMap<String, u32>) -> Vec<String> {
    let Some((own, own_layer)) =
        room(&source.path).and_then(|own| Some((own.clone(), *layers.get(&own)?)))
    else {
        return Vec::new(); // `lib` and `main` stand above all rooms
    };
    rooms_named(source)
        .into_iter()
        .filter_map(|(line, named)| {
            let layer = *layers.get(&named)?;
            let excused = NEIGHBOURS
                .iter()
                .any(|(from, to, _)| *from == own && *to == named);
            let breach = named != own && layer >= own_layer && !(excused && layer == own_layer);
            breach.then(|| {
                format!(
                    "{}:{line}: {own} ({own_layer}) knows {named} ({layer})",
                    source.path
                )
            })
        })
        .collect()
}

/// Every room that a file names: `crate::room`, `crate::{room, …}`, and `super::room` where `super` is the crate.
fn rooms_named(source: &Source) -> Vec<(usize, String)> {
    let depth = source.path.matches('/').count();
    let prefixes = ["crate::".to_owned(), "super::".repeat(depth)];
    let code = code_of(&source.text);
    let mut named = Vec::new();
    for prefix in prefixes {
        for (at, _) in code.match_indices(&prefix) {
            if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            let line = code[..at].matches('\n').count() + 1;
            named.extend(
                heads(&code[at + prefix.len()..])
                    .into_iter()
                    .map(|head| (line, head)),
            );
        }
    }
    named
}

/// The first segments of a path, or of each path in a group.
fn heads(path: &str) -> Vec<String> {
    let Some(group) = path.strip_prefix('{') else {
        return vec![identifier(path)];
    };
    let (mut level, mut heads, mut begin) = (1, Vec::new(), 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => level += 1,
            '}' => level -= 1,
            _ => {}
        }
        if (c == ',' && level == 1) || level == 0 {
            heads.push(identifier(group[begin..at].trim_start()));
            begin = at + 1;
        }
        if level == 0 {
            break;
        }
    }
    heads
}

fn identifier(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

/// The text without comments; line breaks stay. A `//` in a string is taken for a comment, which hides nothing that
/// could be a path.
pub(crate) fn code_of(text: &str) -> String {
    text.lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n")
}

/// The room a file belongs to; none for `lib.rs` and `main.rs`.
pub(crate) fn room(path: &str) -> Option<String> {
    let inside = path.strip_prefix("src/")?;
    let room = inside.split('/').next()?.trim_end_matches(".rs");
    (room != "lib" && room != "main").then(|| room.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::files::planted;
    use super::*;

    fn breaches(path: &str, text: &str) -> usize {
        let lib = "// 8: top.\npub mod app;\npub mod cli;\n// 4: middle.\npub mod session;\npub mod link;\n// 3: low.\npub mod gate;\n";
        layer_breaches(&planted(path, text), &layers(lib)).len()
    }

    #[test]
    fn an_arrow_up_or_sideways_is_found_however_it_is_written() {
        assert_eq!(
            breaches(
                "src/session/relay.rs",
                "use crate::gate::Permit;\nuse crate::session::Limits;"
            ),
            0
        );
        assert_eq!(
            breaches("src/session/relay.rs", "use crate::link::Report;"),
            1,
            "sideways"
        );
        assert_eq!(
            breaches("src/gate.rs", "fn f(s: &crate::session::Limits) {}"),
            1,
            "up, in a signature"
        );
        assert_eq!(
            breaches(
                "src/gate.rs",
                "use crate::{gate::{A, B}, link::{C, app}, app};"
            ),
            2,
            "in a group"
        );
        assert_eq!(breaches("src/gate.rs", "use super::app;"), 1, "by super");
        assert_eq!(
            breaches(
                "src/gate/wait.rs",
                "use super::super::app;\nuse super::app;"
            ),
            1,
            "by super from below"
        );
        assert_eq!(
            breaches(
                "src/gate.rs",
                "// crate::app would be wrong\n//! [`crate::app`]"
            ),
            0,
            "a comment is no arrow"
        );
        assert_eq!(breaches("src/cli.rs", "use crate::app;"), 0, "excused");
        assert_eq!(
            breaches("src/app.rs", "use crate::cli;"),
            1,
            "not both ways"
        );
        assert_eq!(
            breaches("src/main.rs", "use crate::app;"),
            0,
            "main may know all"
        );
    }

    #[test]
    fn the_layers_are_read_from_the_comments() {
        let layers = layers(
            "//! Words.\n\n// 2: a.\npub mod command;\n// 1: b, with pub mod c;\npub mod net;\nmod hidden;\n",
        );
        assert_eq!(
            layers,
            BTreeMap::from([("command".to_owned(), 2), ("net".to_owned(), 1)])
        );
    }
}
