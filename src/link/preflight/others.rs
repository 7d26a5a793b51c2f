//! Rules about clients that write past the proxy.

use super::facts::Facts;
use super::{Pair, Verdict};
use crate::link::writers::named;

/// What they write during a cutover is held by the server's fence at best; what they write after it is refused, or lost.
pub(super) fn on_the_copied_side(pair: &Pair<'_>) -> Verdict {
    judge(
        pair.copied,
        "point them at the proxy, or end them, before the cutover: it does not carry them over",
    )
}

/// What they write there goes with the full copy, or comes between what is copied.
pub(super) fn on_the_filled_side(pair: &Pair<'_>) -> Verdict {
    judge(
        pair.filled,
        "end them before the migration: what they write is deleted by the full copy",
    )
}

fn judge(side: &Facts, what_to_do: &'static str) -> Verdict {
    match &side.other_writers {
        None => Verdict::warning(
            format!(
                "{} does not tell its clients, or the proxy's cannot be told from others",
                side.name
            ),
            "see that everything that writes goes through the proxy; CLIENT LIST, CLIENT ID and COMMAND must be allowed",
        ),
        Some(others) if others.is_empty() => Verdict::ok(format!(
            "nobody but the proxy is connected to {} and was writing",
            side.name
        )),
        Some(others) => Verdict::warning(
            format!(
                "past the proxy, {} is written to by {}",
                side.name,
                named(others)
            ),
            what_to_do,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;
    use crate::link::writers::OtherClient;

    #[test]
    fn strangers_that_write_are_named_and_what_is_not_told_is_no_all_clear() {
        let stranger = OtherClient {
            id: 7,
            address: "10.0.0.1:5".into(),
            name: "batch".into(),
            user: String::new(),
            library: String::new(),
            last_command: "set".into(),
            idle_seconds: 0,
            waits: false,
        };
        for (others, level, words) in [
            (None, Level::Warning, "does not tell"),
            (Some(vec![]), Level::Ok, "nobody"),
            (Some(vec![stranger]), Level::Warning, "10.0.0.1:5"),
        ] {
            let side = Facts {
                other_writers: others,
                ..Facts::default()
            };
            let verdict = on_the_copied_side(&Pair {
                copied: &side,
                filled: &side,
                sessions: 0,
            });
            assert!(
                verdict.level == level && verdict.message.contains(words),
                "{verdict:?}"
            );
        }
    }
}
