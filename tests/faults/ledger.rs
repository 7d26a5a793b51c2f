//! What each client did, in order, and what the database must therefore hold. An operation was *done* (acknowledged),
//! *refused* (answered with an error, or never sent), or *unknown* (sent, and its reply never seen): done ones are there
//! exactly once and in their order, refused ones are not there, unknown ones are there once or not at all.
//!
//! Pure: what the database holds is given. Each verdict is an error text, and each rule is tested on a planted breach.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

/// What became of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Done,
    Refused,
    Unknown,
}

/// The operations of one client, numbered from 0 in the order in which they were sent.
#[derive(Debug, Clone, Default)]
pub struct Ledger(Vec<Fate>);

impl Ledger {
    /// The number of the next operation.
    pub fn next(&self) -> usize {
        self.0.len()
    }

    pub fn note(&mut self, fate: Fate) {
        self.0.push(fate);
    }

    pub fn count(&self, fate: Fate) -> usize {
        self.0.iter().filter(|noted| **noted == fate).count()
    }

    fn fate(&self, number: usize) -> Option<Fate> {
        self.0.get(number).copied()
    }
}

pub type Verdict = Result<(), String>;

/// A list to which each operation pushed its own number.
pub fn judge_list(name: &str, ledger: &Ledger, found: &[String]) -> Verdict {
    let numbers = found
        .iter()
        .map(|item| {
            item.parse()
                .map_err(|_| format!("{name}: foreign {item:?}"))
        })
        .collect::<Result<Vec<usize>, String>>()?;
    each_once(name, ledger, &numbers)?;
    in_order(name, ledger, &numbers)?;
    let there: BTreeSet<usize> = numbers.into_iter().collect();
    let lost = (0..ledger.next())
        .filter(|number| ledger.fate(*number) == Some(Fate::Done) && !there.contains(number));
    none(name, "lost", lost)
}

/// A counter that each operation raised by one.
pub fn judge_counter(name: &str, ledger: &Ledger, found: i64) -> Verdict {
    let least = ledger.count(Fate::Done);
    let most = least + ledger.count(Fate::Unknown);
    let right = usize::try_from(found).is_ok_and(|found| (least..=most).contains(&found));
    if right {
        Ok(())
    } else {
        Err(format!("{name}: {found} is not in {least}..={most}"))
    }
}

/// Two lists and a counter that each operation changed in one transaction.
pub fn judge_transaction(
    name: &str,
    ledger: &Ledger,
    lists: [&[String]; 2],
    counter: i64,
) -> Verdict {
    judge_list(name, ledger, lists[0])?;
    if lists[0] != lists[1] || usize::try_from(counter) != Ok(lists[0].len()) {
        return Err(format!(
            "{name}: torn: lists of {} and {} items, a counter of {counter}",
            lists[0].len(),
            lists[1].len()
        ));
    }
    Ok(())
}

/// A queue: who pushed what (items are `producer:number`), what each consumer took in order, how many takes are
/// unknown, and what is left.
pub fn judge_queue(
    name: &str,
    producers: &[&Ledger],
    taken: &[&[String]],
    unknown_takes: usize,
    left: &[String],
) -> Verdict {
    let mut seen: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for items in taken.iter().copied().chain([left]) {
        let mut of_one: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for item in items {
            let (producer, number) =
                parse(item).ok_or_else(|| format!("{name}: foreign {item:?}"))?;
            of_one.entry(producer).or_default().push(number);
        }
        for (producer, numbers) in of_one {
            let ledger = producers
                .get(producer)
                .ok_or_else(|| format!("{name}: no producer {producer}"))?;
            in_order(&format!("{name}, producer {producer}"), ledger, &numbers)?;
            seen.entry(producer).or_default().extend(numbers);
        }
    }
    let mut missing = 0;
    for (producer, ledger) in producers.iter().enumerate() {
        let numbers = seen.remove(&producer).unwrap_or_default();
        each_once(&format!("{name}, producer {producer}"), ledger, &numbers)?;
        let done = numbers
            .iter()
            .filter(|number| ledger.fate(**number) == Some(Fate::Done));
        missing += ledger.count(Fate::Done) - done.count();
    }
    if missing > unknown_takes {
        return Err(format!(
            "{name}: {missing} lost, and only {unknown_takes} takes are unknown"
        ));
    }
    Ok(())
}

fn parse(item: &str) -> Option<(usize, usize)> {
    let (producer, number) = item.split_once(':')?;
    Some((producer.parse().ok()?, number.parse().ok()?))
}

/// Nothing twice, nothing that was refused, nothing that was never sent.
fn each_once(name: &str, ledger: &Ledger, numbers: &[usize]) -> Verdict {
    let mut there = BTreeSet::new();
    none(
        name,
        "doubled",
        numbers.iter().filter(|number| !there.insert(**number)),
    )?;
    let unsent = numbers
        .iter()
        .filter(|number| matches!(ledger.fate(**number), None | Some(Fate::Refused)));
    none(name, "refused or never sent, yet there", unsent)
}

/// Done ones are in the order in which they were sent. An unknown one may have come late: its connection was gone, and
/// what was sent on the next one may have overtaken it.
fn in_order(name: &str, ledger: &Ledger, numbers: &[usize]) -> Verdict {
    let done: Vec<usize> = numbers
        .iter()
        .copied()
        .filter(|number| ledger.fate(*number) == Some(Fate::Done))
        .collect();
    let early = done.windows(2).filter(|pair| pair[0] > pair[1]);
    none(name, "out of order", early)
}

fn none<T: Debug>(name: &str, what: &str, found: impl Iterator<Item = T>) -> Verdict {
    let found: Vec<T> = found.collect();
    match found.first() {
        None => Ok(()),
        Some(first) => Err(format!("{name}: {} {what}, first {first:?}", found.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(fates: &str) -> Ledger {
        Ledger(
            fates
                .chars()
                .map(|fate| match fate {
                    'd' => Fate::Done,
                    'r' => Fate::Refused,
                    _ => Fate::Unknown,
                })
                .collect(),
        )
    }

    fn items(found: &str) -> Vec<String> {
        found.split_whitespace().map(ToOwned::to_owned).collect()
    }

    fn list(fates: &str, found: &str) -> Verdict {
        judge_list("l", &ledger(fates), &items(found))
    }

    #[test]
    fn an_unknown_operation_may_be_there_or_not_and_late_but_not_twice() {
        for found in ["0 2", "0 1 2", "0 2 1"] {
            assert_eq!(list("dud", found), Ok(()), "{found}");
        }
        assert!(list("dud", "0 1 2 1").is_err());
    }

    #[test]
    fn what_is_lost_doubled_reordered_refused_or_foreign_is_found() {
        for found in ["0", "0 1 1", "1 0", "0 1 2", "0 1 3", "0 1 x"] {
            assert!(list("ddr", found).is_err(), "{found}");
        }
        assert_eq!(list("ddr", "0 1"), Ok(()));
    }

    #[test]
    fn a_counter_is_exact_but_for_what_is_unknown() {
        let of = |found| judge_counter("c", &ledger("ddru"), found).is_ok();
        assert_eq!([1, 2, 3, 4].map(of), [false, true, true, false]);
    }

    #[test]
    fn a_torn_transaction_is_found() {
        let judge = |one: &str, other: &str, counter| {
            let (one, other) = (items(one), items(other));
            judge_transaction("t", &ledger("dud"), [&one, &other], counter).is_ok()
        };
        assert!(judge("0 2", "0 2", 2) && judge("0 1 2", "0 1 2", 3));
        assert!(!judge("0 1 2", "0 2", 3) && !judge("0 2", "0 2", 3) && !judge("0 2", "0 1 2", 2));
    }

    #[test]
    fn a_queue_is_consumed_once_and_in_order() {
        let judge = |one: &str, other: &str, left: &str, unknown| {
            let (one, other, left) = (items(one), items(other), items(left));
            let producers = [&ledger("ddd"), &ledger("dru")];
            judge_queue("q", &producers, &[&one, &other], unknown, &left).is_ok()
        };
        assert!(judge("0:0 0:2", "0:1 1:0", "", 0));
        assert!(judge("0:0", "1:0", "0:1 0:2 1:2", 0));
        assert!(judge("0:0 0:2", "1:0", "", 1), "one take is unknown");
        assert!(!judge("0:0 0:2", "1:0", "", 0), "lost");
        assert!(!judge("0:0 0:2", "0:1 1:0", "0:2", 0), "left and taken");
        assert!(!judge("0:2 0:0", "0:1 1:0", "", 0), "reordered");
        assert!(!judge("0:0 0:2", "0:1 1:0 1:1", "", 0), "refused");
    }
}
