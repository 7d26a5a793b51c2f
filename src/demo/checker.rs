//! What the clients were promised, held against what the database has in the end.
//!
//! Every write of the traffic carries a number of its own and its client counts the acknowledgements, so that an effect
//! is either there exactly once, in its place, or a finding. Where a write went is judged by its effects alone: after
//! the cutover the source follows the target, so a write that strayed to the source is missing on the target.
//!
//! Refuses to know: how the traffic runs, that there was a cutover.

use std::collections::{BTreeMap, BTreeSet};

use super::client::{Client, Failure, Reply, number, text};

/// A jump in a sequence beyond which the item is called foreign, so that one corrupted number is not a million losses.
const JUMP_MAX: u64 = 100_000;
/// Findings that are told in words; the rest is only counted.
const NOTES_MAX: usize = 8;

/// Writes of one kind by one client: the first is number 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Sent. Those beyond `acknowledged` may have happened or not.
    pub(super) attempted: u64,
    /// Sent, and answered with success.
    pub(super) acknowledged: u64,
}

impl Tally {
    /// The number of the write that is about to be sent.
    pub(super) fn attempt(&mut self) -> u64 {
        self.attempted += 1;
        self.attempted
    }

    /// The newest attempt has succeeded.
    pub(super) fn acknowledge(&mut self) {
        self.acknowledged += 1;
    }
}

/// What one client was promised.
#[derive(Debug)]
pub(super) enum Claim {
    /// `key` holds the number of acknowledged writes, times `sign`. Claims on one key add up.
    Counter {
        /// Where.
        key: String,
        /// 1 or -1.
        sign: i64,
        /// The writes.
        tally: Tally,
    },
    /// `key` holds the number of the newest acknowledged write.
    Latest {
        /// Where.
        key: String,
        /// The writes.
        tally: Tally,
    },
    /// The list `key` holds each number once, in order, behind those that were taken from it, if any were.
    Sequence {
        /// The list; none where nothing is kept (a channel).
        key: Option<String>,
        /// What it is called in a finding.
        name: String,
        /// The writes.
        tally: Tally,
        /// What its reader has received.
        received: Received,
    },
}

/// A reader's view of a sequence 1, 2, 3 …, in constant memory while all is well.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Received {
    /// The highest number seen.
    highest: u64,
    /// Numbers below it that have not been seen.
    missing: BTreeSet<u64>,
    /// Numbers that came after a higher one, for the first time.
    out_of_order: u64,
    /// Numbers that came again.
    repeated: u64,
    /// What is no number of this sequence.
    foreign: u64,
}

impl Received {
    /// One more item.
    pub(super) fn observe(&mut self, item: &str) {
        match item.parse::<u64>() {
            Ok(number) if number > self.highest && number - self.highest <= JUMP_MAX => {
                self.missing.extend(self.highest + 1..number);
                self.highest = number;
            }
            Ok(number) if self.missing.remove(&number) => self.out_of_order += 1,
            Ok(number) if (1..=self.highest).contains(&number) => self.repeated += 1,
            Ok(_) | Err(_) => self.foreign += 1,
        }
    }
}

/// What does not match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Findings {
    /// Acknowledged writes whose effect is absent or not in its place.
    pub(super) lost: u64,
    /// Effects that are there more often than they were written, or by nobody's write.
    pub(super) doubled: u64,
    /// The first few of them, in words.
    pub(super) notes: Vec<String>,
}

/// Compares all claims with `server`. What readers left in a list is read from it, as the readers would have.
pub(super) async fn check(claims: Vec<Claim>, server: &mut Client) -> Result<Findings, Failure> {
    let mut findings = Findings::default();
    let mut counters: BTreeMap<String, (i64, Tally)> = BTreeMap::new();
    for claim in claims {
        match claim {
            Claim::Counter { key, sign, tally } => {
                let (_, sum) = counters.entry(key).or_insert((sign, Tally::default()));
                sum.attempted += tally.attempted;
                sum.acknowledged += tally.acknowledged;
            }
            Claim::Latest { key, tally } => {
                let found = server.call(&["GET", &key]).await?;
                findings.latest(&key, tally, amount(&found, 1));
            }
            Claim::Sequence {
                key,
                name,
                tally,
                mut received,
            } => {
                if let Some(key) = &key {
                    observe_list(key, &mut received, server).await?;
                }
                findings.sequence(&name, tally, &received);
            }
        }
    }
    for (key, (sign, tally)) in counters {
        let found = server.call(&["GET", &key]).await?;
        findings.counter(&key, tally, amount(&found, sign));
    }
    Ok(findings)
}

/// The count that a key holds; what is not a count of this sign is none.
fn amount(reply: &Reply, sign: i64) -> Option<u64> {
    match reply {
        Reply::Null => Some(0),
        reply => number(reply).and_then(|value| u64::try_from(value.checked_mul(sign)?).ok()),
    }
}

async fn observe_list(
    key: &str,
    received: &mut Received,
    server: &mut Client,
) -> Result<(), Failure> {
    let reply = server.call(&["LRANGE", key, "0", "-1"]).await?;
    let Reply::Array(items) = &reply else {
        return Err(Failure::unexpected("LRANGE", &reply, "an array"));
    };
    for item in items {
        received.observe(text(item).unwrap_or("not text"));
    }
    Ok(())
}

impl Findings {
    /// A counter is exact, but for attempts without an answer.
    fn counter(&mut self, key: &str, tally: Tally, found: Option<u64>) {
        let Some(found) = found else {
            return self.lose(tally.acknowledged, || format!("{key} is not a count"));
        };
        let told = || format!("{key} is {found}, acknowledged {}", tally.acknowledged);
        self.lose(tally.acknowledged.saturating_sub(found), told);
        self.double(found.saturating_sub(tally.attempted), told);
    }

    /// The newest acknowledged value, or one that was sent after it.
    fn latest(&mut self, key: &str, tally: Tally, found: Option<u64>) {
        let right =
            found.is_some_and(|found| (tally.acknowledged..=tally.attempted).contains(&found));
        self.lose(u64::from(!right), || {
            format!(
                "{key} is {found:?}, the newest acknowledged is {}",
                tally.acknowledged
            )
        });
    }

    /// Each number once, in order.
    fn sequence(&mut self, name: &str, tally: Tally, received: &Received) {
        let missing = received.missing.range(..=tally.acknowledged).count() as u64;
        let behind = tally.acknowledged.saturating_sub(received.highest);
        self.lose(missing + behind, || {
            let first = received
                .missing
                .first()
                .copied()
                .unwrap_or(received.highest + 1);
            format!(
                "{name}: {} missing of {}, the first is {first}",
                missing + behind,
                tally.acknowledged
            )
        });
        self.lose(received.out_of_order, || {
            format!("{name}: {} out of order", received.out_of_order)
        });
        self.double(received.repeated, || {
            format!("{name}: {} twice", received.repeated)
        });
        let foreign = received.foreign + received.highest.saturating_sub(tally.attempted);
        self.double(foreign, || format!("{name}: {foreign} that nobody wrote"));
    }

    fn lose(&mut self, count: u64, told: impl FnOnce() -> String) {
        self.lost += count;
        self.note(count, "lost", told);
    }

    fn double(&mut self, count: u64, told: impl FnOnce() -> String) {
        self.doubled += count;
        self.note(count, "doubled", told);
    }

    fn note(&mut self, count: u64, what: &str, told: impl FnOnce() -> String) {
        if count > 0 && self.notes.len() < NOTES_MAX {
            self.notes.push(format!("{what}: {}", told()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN: Tally = Tally {
        attempted: 10,
        acknowledged: 10,
    };
    /// The eleventh was sent and its reply never seen.
    const TEN_AND_ONE_OPEN: Tally = Tally {
        attempted: 11,
        acknowledged: 10,
    };

    fn counter(tally: Tally, found: i64) -> (u64, u64) {
        let mut findings = Findings::default();
        findings.counter("c", tally, amount(&Reply::Integer(found), 1));
        (findings.lost, findings.doubled)
    }

    fn sequence(tally: Tally, items: &[u64]) -> (u64, u64) {
        let mut received = Received::default();
        for item in items {
            received.observe(&item.to_string());
        }
        let mut findings = Findings::default();
        findings.sequence("s", tally, &received);
        (findings.lost, findings.doubled)
    }

    fn one_to(last: u64) -> Vec<u64> {
        (1..=last).collect()
    }

    #[test]
    fn an_exact_counter_is_no_finding() {
        assert_eq!(counter(TEN, 10), (0, 0));
    }

    #[test]
    fn a_counter_below_its_acknowledgements_has_lost_the_difference() {
        assert_eq!(counter(TEN, 7), (3, 0));
        assert_eq!(counter(TEN, -4), (10, 0), "not a count at all");
    }

    #[test]
    fn a_counter_above_its_attempts_was_written_twice() {
        assert_eq!(counter(TEN, 12), (0, 2));
    }

    #[test]
    fn an_attempt_without_an_answer_may_have_happened_or_not() {
        assert_eq!(counter(TEN_AND_ONE_OPEN, 10), (0, 0));
        assert_eq!(counter(TEN_AND_ONE_OPEN, 11), (0, 0));
        assert_eq!(counter(TEN_AND_ONE_OPEN, 12), (0, 1));
        assert_eq!(sequence(TEN_AND_ONE_OPEN, &one_to(10)), (0, 0));
        assert_eq!(sequence(TEN_AND_ONE_OPEN, &one_to(11)), (0, 0));
    }

    #[test]
    fn a_whole_sequence_is_no_finding() {
        assert_eq!(sequence(TEN, &one_to(10)), (0, 0));
    }

    #[test]
    fn a_hole_and_a_missing_end_are_lost() {
        assert_eq!(sequence(TEN, &[1, 2, 4, 5, 6, 7, 8, 9, 10]), (1, 0));
        assert_eq!(sequence(TEN, &one_to(8)), (2, 0));
        assert_eq!(sequence(TEN, &[]), (10, 0));
    }

    #[test]
    fn an_item_that_came_again_is_doubled_and_a_late_one_is_lost() {
        assert_eq!(sequence(TEN, &[1, 2, 3, 3, 4, 5, 6, 7, 8, 9, 10]), (0, 1));
        assert_eq!(sequence(TEN, &[1, 2, 4, 3, 5, 6, 7, 8, 9, 10]), (1, 0));
    }

    #[test]
    fn what_nobody_wrote_is_doubled() {
        assert_eq!(sequence(TEN, &one_to(12)), (0, 2));
        let mut received = Received::default();
        received.observe("rubbish");
        received.observe("18446744073709551615");
        received.observe("0");
        assert_eq!(received.foreign, 3);
        assert_eq!(received.highest, 0);
    }

    #[test]
    fn only_the_newest_acknowledged_value_will_do() {
        let latest = |tally, found| {
            let mut findings = Findings::default();
            findings.latest("v", tally, found);
            findings.lost
        };
        assert_eq!(latest(TEN, Some(10)), 0);
        assert_eq!(latest(TEN, Some(9)), 1);
        assert_eq!(latest(TEN, Some(11)), 1);
        assert_eq!(latest(TEN_AND_ONE_OPEN, Some(11)), 0);
        assert_eq!(latest(TEN, None), 1);
    }

    #[test]
    fn a_debit_is_counted_by_its_sign() {
        assert_eq!(amount(&Reply::BulkString(b"-5".to_vec()), -1), Some(5));
        assert_eq!(amount(&Reply::BulkString(b"5".to_vec()), -1), None);
        assert_eq!(amount(&Reply::Null, 1), Some(0));
    }
}
