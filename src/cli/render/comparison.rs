//! The comparison of the sides as prose. Pure, as the rest.

use std::fmt::Write;

use crate::cli::view::{Held, Summary, Verify};

/// What a comparison found.
pub(in crate::cli) fn summary(summary: &Summary) -> String {
    let mut text = format!("{}\n", found(summary));
    for difference in &summary.sample {
        let what = difference.what.as_str().map_or_else(
            || difference.what.to_string(),
            |what| what.replace('_', " "),
        );
        let _ = writeln!(
            text,
            "  db {}  {}  {what}: source {}, target {}",
            difference.database,
            difference.key,
            held(difference.source.as_ref()),
            held(difference.target.as_ref())
        );
    }
    let named = summary.sample.len() as u64;
    if named > 0 && named < summary.differing {
        let _ = writeln!(text, "  and {} more", summary.differing - named);
    }
    if summary.differing > 0 && summary.caught_up == Some(false) {
        text.push_str("the replication had not caught up: some of it may have been on its way\n");
    }
    if summary.overflowed {
        text.push_str("more keys differed at first than could be looked at again: some may have been on their way\n");
    }
    text
}

/// What a side holds under a key, in a few words.
fn held(held: Option<&Held>) -> String {
    let Some(held) = held else {
        return "nothing".to_owned();
    };
    let mut words = held.kind.clone();
    if let Some(length) = held.length {
        let _ = write!(words, " of {length}");
    }
    if let Some(ttl_ms) = held.ttl_ms {
        let _ = write!(words, " for {ttl_ms} ms");
    }
    if let Some(digest) = &held.digest {
        let _ = write!(words, " #{}", digest.get(..8).unwrap_or(digest));
    }
    words
}

fn found(summary: &Summary) -> String {
    let unsettled = match summary.unsettled {
        0 => String::new(),
        n => format!(" ({n} changed each time they were looked at)"),
    };
    format!(
        "{} keys compared in {:.1} s, {} differ{unsettled}",
        summary.keys, summary.seconds, summary.differing
    )
}

pub(in crate::cli) fn in_a_line(verify: &Verify) -> String {
    match (&verify.summary, &verify.error) {
        (Some(summary), _) => found(summary),
        (None, Some(error)) => format!("failed: {error}"),
        (None, None) => verify_progress(verify),
    }
}

/// How far a comparison is.
pub(in crate::cli) fn verify_progress(verify: &Verify) -> String {
    let mut words = format!(
        "round {}: {} of about {} keys, {} differ so far",
        verify.round.max(1),
        verify.keys_done,
        verify.keys_expected,
        verify.differing
    );
    if let Some(rate) = verify.keys_per_second {
        let _ = write!(words, ", {rate} keys/s");
    }
    if let Some(left) = verify.seconds_left {
        let _ = write!(words, ", {left:.0} s left");
    }
    words
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::view::view;

    #[test]
    fn differing_keys_are_named() {
        let document = json!({"keys": 10, "differing": 1, "unsettled": 2, "seconds": 0.5,
            "caught_up": false,
            "sample": [{"database": 0, "key": "user:1", "what": "missing_on_target", "target": null,
                        "source": {"type": "hash", "length": 2, "ttl_ms": 900, "digest": "0123456789abcdef"}}]});
        assert_eq!(
            summary(&view(&document)),
            "\
10 keys compared in 0.5 s, 1 differ (2 changed each time they were looked at)
  db 0  user:1  missing on target: source hash of 2 for 900 ms #01234567, target nothing
the replication had not caught up: some of it may have been on its way
"
        );
    }

    #[test]
    fn a_comparison_shows_its_rate_and_the_time_left() {
        let document = json!({"running": true, "round": 1, "keys_done": 500, "keys_expected": 2000, "differing": 3,
            "keys_per_second": 250, "seconds_left": 6.0});
        assert_eq!(
            verify_progress(&view(&document)),
            "round 1: 500 of about 2000 keys, 3 differ so far, 250 keys/s, 6 s left"
        );
    }
}
