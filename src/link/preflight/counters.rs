//! How far the application's counters have come: those of an Active-Active database end at 2^58.
//!
//! Only counters that clients were seen to count with are looked at, in the source's database that the proxy uses, and
//! as they are now. What scripts count, and what was not counted since the process began, is not seen.

use super::{Clients, Finding, Verdict};
use crate::link::connection::{Connection, Reply};
use crate::terms::ACTIVE_ACTIVE_COUNTER_BITS;
use crate::upstream::control::{Error, Value};

/// Beyond these a counter does not go.
const COUNTER_MAX: u64 = 1 << (ACTIVE_ACTIVE_COUNTER_BITS - 1);
/// Half of that is near.
const COUNTER_NEAR: u64 = COUNTER_MAX / 2;
/// Values that are asked for in one write.
const ASKED_MAX: usize = 256;
/// Counters that a message names.
const NAMED_MAX: usize = 12;

/// A counter of the application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counter {
    /// Its key.
    pub key: Vec<u8>,
    /// The field of the hash at that key, where it is one.
    pub field: Option<Vec<u8>>,
    /// What people are told it is called.
    pub called: String,
}

/// Looks at them; none where none is known that has to be looked at.
pub(super) async fn check(copied: &mut Connection, clients: &Clients) -> Option<Finding> {
    if clients.counters.is_empty() && !clients.has_forgotten_counters {
        return None;
    }
    let mut values = Vec::new();
    for counters in clients.counters.chunks(ASKED_MAX) {
        match ask(copied, counters).await {
            Ok(told) => values.extend(told),
            Err(error) => {
                let verdict = Verdict::warning(
                    format!("how far counters have come is not known: {error}"),
                    "see that each stays between -2^58 and 2^58",
                );
                return Some(verdict.of("counters"));
            }
        }
    }
    Some(judge(clients, &values).of("counters"))
}

async fn ask(copied: &mut Connection, counters: &[Counter]) -> Result<Vec<Option<i64>>, Error> {
    let requests: Vec<Vec<Vec<u8>>> = counters
        .iter()
        .map(|counter| match &counter.field {
            None => vec![b"GET".to_vec(), counter.key.clone()],
            Some(field) => vec![b"HGET".to_vec(), counter.key.clone(), field.clone()],
        })
        .collect();
    let replies = copied.pipeline_bytes(&requests).await?;
    Ok(replies.into_iter().map(number).collect())
}

/// None for what is gone, and for what is no number any more.
fn number(reply: Reply) -> Option<i64> {
    match reply.ok()? {
        Value::Bulk(text) => std::str::from_utf8(&text).ok()?.parse().ok(),
        Value::Simple(_) | Value::Integer(_) | Value::Array(_) | Value::Null => None,
    }
}

fn judge(clients: &Clients, values: &[Option<i64>]) -> Verdict {
    let beyond = |limit: u64| -> Vec<&str> {
        clients
            .counters
            .iter()
            .zip(values)
            .filter(|(_, value)| value.is_some_and(|value| value.unsigned_abs() >= limit))
            .map(|(counter, _)| counter.called.as_str())
            .collect()
    };
    let (over, near) = (beyond(COUNTER_MAX), beyond(COUNTER_NEAR));
    let what_to_do =
        "keep such numbers in plain strings that are set, not counted, or count in smaller units";
    match (over.as_slice(), near.as_slice()) {
        ([], []) if clients.has_forgotten_counters => Verdict::warning(
            format!(
                "none of the {} counters looked at comes near 2^58, where those of an Active-Active database end; there \
                 are more than are remembered",
                values.len()
            ),
            "see that the others stay between -2^58 and 2^58",
        ),
        ([], []) => Verdict::ok(format!(
            "none of the {} counters in use comes near 2^58",
            values.len()
        )),
        ([], near) => Verdict::warning(
            format!(
                "counters come near 2^58, where those of an Active-Active database end: {}",
                named(near)
            ),
            what_to_do,
        ),
        (over, _) => Verdict::error(
            format!(
                "counters are beyond 2^58, where those of an Active-Active database end: {}",
                named(over)
            ),
            what_to_do,
        ),
    }
}

fn named(counters: &[&str]) -> String {
    let more = counters.len().saturating_sub(NAMED_MAX);
    let named = counters[..counters.len() - more].join(", ");
    if more > 0 {
        return format!("{named}, {more} more");
    }
    named
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[track_caller]
    fn check(values: &[Option<i64>], expected: Level, words: &str) {
        let clients = Clients {
            counters: (0..values.len())
                .map(|at| Counter {
                    key: vec![],
                    field: None,
                    called: format!("c{at}"),
                })
                .collect(),
            ..Clients::default()
        };
        let verdict = judge(&clients, values);
        assert_eq!(verdict.level, expected, "{verdict:?}");
        assert!(verdict.message.contains(words), "{verdict:?}");
    }

    #[test]
    fn a_counter_is_judged_by_its_magnitude() {
        check(&[Some(1), None], Level::Ok, "2 counters");
        check(&[Some(1), Some(1 << 57)], Level::Warning, ": c1");
        check(&[Some(-(1 << 57))], Level::Warning, ": c0");
        check(&[Some(1 << 57), Some(i64::MIN)], Level::Error, ": c1");
        check(&[Some(1 << 58); 20], Level::Error, "c11, 8 more");
    }
}
