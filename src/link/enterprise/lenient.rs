//! Reads what the API answers: numbers that come as strings or with a fraction, fields that are absent, empty or null.
//! What cannot be read is not there; whoever needs it takes that for "unknown". Pure.

use serde_json::Value;

/// Bytes of a server's own words that are passed on.
const WORDS_BYTES_MAX: usize = 400;

/// A whole number that is not negative: written as one, with a fraction (which is cut off), or as a text of either.
pub(super) fn number(object: &Value, key: &str) -> Option<u64> {
    whole(object.get(key)?)
}

/// A text that is not empty; a number is taken for its digits, since some ids come as either.
pub(super) fn text(object: &Value, key: &str) -> Option<String> {
    match object.get(key)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            None
        }
    }
}

/// True or false, also as a text.
pub(super) fn flag(object: &Value, key: &str) -> Option<bool> {
    match object.get(key)? {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) => text.to_ascii_lowercase().parse().ok(),
        Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A list; none where there is none, and an empty one where it is empty.
pub(super) fn list<'a>(object: &'a Value, key: &str) -> Option<&'a [Value]> {
    object.get(key)?.as_array().map(Vec::as_slice)
}

/// A server's own words, fit to be shown: cut, on one line, and without what stands before the `@` of a URL.
pub(super) fn words(text: &str) -> String {
    let mut shown = String::with_capacity(text.len().min(WORDS_BYTES_MAX));
    for word in text.split_whitespace() {
        if !shown.is_empty() {
            shown.push(' ');
        }
        shown.push_str(&without_credentials(word));
        if shown.len() > WORDS_BYTES_MAX {
            let end = shown.floor_char_boundary(WORDS_BYTES_MAX);
            shown.truncate(end);
            shown.push('…');
            break;
        }
    }
    shown
}

fn whole(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64().or_else(|| floor(number.as_f64()?)),
        Value::String(text) => {
            let text = text.trim();
            text.parse().ok().or_else(|| floor(text.parse().ok()?))
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A number that a double cannot hold exactly is none: it would be a wrong offset.
fn floor(number: f64) -> Option<u64> {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    #[allow(clippy::cast_sign_loss)] // checked to be neither negative nor too large
    (0.0..=EXACT_MAX).contains(&number).then_some(number as u64)
}

fn without_credentials(word: &str) -> String {
    match (word.split_once("://"), word.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, place))) => format!("{scheme}://[redacted]@{place}"),
        (Some(_) | None, _) => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_read_however_they_are_written() {
        for (written, expected) in [
            (json!(7), Some(7)),
            (json!("7"), Some(7)),
            (json!(7.9), Some(7)),
            (json!("100.0"), Some(100)),
            (json!(u64::MAX), Some(u64::MAX)),
            (json!("18446744073709551615"), Some(u64::MAX)),
            (json!(-1), None),
            (json!("-0.5"), None),
            (json!("NaN"), None),
            (json!(1e300), None),
            (json!(""), None),
            (json!(null), None),
            (json!(true), None),
        ] {
            assert_eq!(number(&json!({ "n": written }), "n"), expected, "{written}");
        }
        assert_eq!(number(&json!({}), "n"), None);
        assert_eq!(number(&json!("no object"), "n"), None);
    }

    #[test]
    fn an_empty_text_is_none_and_a_number_is_its_digits() {
        let object = json!({"empty": "", "id": 12, "name": "a", "null": null});
        assert_eq!(text(&object, "empty"), None);
        assert_eq!(text(&object, "null"), None);
        assert_eq!(text(&object, "id").as_deref(), Some("12"));
        assert_eq!(text(&object, "name").as_deref(), Some("a"));
    }

    #[test]
    fn words_show_no_credentials_and_stay_short() {
        assert_eq!(
            words("cannot sync from redis://admin:s3@cret@host:1,\nretry"),
            "cannot sync from redis://[redacted]@host:1, retry"
        );
        assert_eq!(
            words("write to ops@example.com"),
            "write to ops@example.com"
        );
        assert!(words(&"ä ".repeat(1000)).len() < WORDS_BYTES_MAX + 8);
    }
}
