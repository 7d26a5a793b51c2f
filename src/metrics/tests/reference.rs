//! METRICS.md says of every metric what the code says of it, and of no other.

use std::collections::{BTreeMap, BTreeSet};

use super::full_scrape;

const REFERENCE: &str = include_str!("../../../METRICS.md");

/// Labels whose values are not a closed set of words.
const OPEN: [&str; 4] = ["listener", "command", "quantile", "version"];

/// What can be said of a metric without knowing what it means.
#[derive(Debug, PartialEq, Eq)]
struct Shape {
    kind: String,
    labels: Vec<String>,
}

/// Name to shape, of everything in a scrape.
fn scraped(scrape: &str) -> BTreeMap<String, Shape> {
    let types = scrape
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    types
        .map(|(name, kind)| {
            // The sample with the most labels: a summary's sum and count have one less than its quantiles.
            let labels = samples(scrape, name)
                .map(|labels| labels.into_iter().map(|(label, _)| label).collect())
                .max_by_key(Vec::len)
                .unwrap_or_default();
            let kind = kind.to_owned();
            (name.to_owned(), Shape { kind, labels })
        })
        .collect()
}

/// The labels of each sample of a metric.
fn samples<'a>(
    scrape: &'a str,
    name: &'a str,
) -> impl Iterator<Item = Vec<(String, String)>> + use<'a> {
    scrape.lines().filter_map(move |line| {
        let rest = line.strip_prefix(name)?;
        let labels = match rest.strip_prefix('{') {
            Some(labels) => labels.split_once('}')?.0,
            None if rest.starts_with(' ') => "",
            None => return None,
        };
        let pairs = labels.split(',').filter_map(|pair| pair.split_once('='));
        Some(
            pairs
                .map(|(label, value)| (label.to_owned(), value.trim_matches('"').to_owned()))
                .collect(),
        )
    })
}

/// The words of a text that stand between backticks.
fn quoted(text: &str) -> Vec<String> {
    text.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// The cells of every row of METRICS.md whose first cell is a word in backticks.
fn rows() -> impl Iterator<Item = Vec<&'static str>> {
    REFERENCE
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
}

#[test]
fn the_reference_has_every_metric_with_its_type_and_its_labels() {
    let documented = rows().filter(|row| row[0].starts_with("`handover_"));
    let documented = documented.map(|row| {
        let [name, kind, labels, _, _] = row[..] else {
            panic!("not name, type, labels, unit and meaning: {row:?}");
        };
        let shape = Shape {
            kind: kind.to_owned(),
            labels: quoted(labels),
        };
        (quoted(name).remove(0), shape)
    });
    assert_eq!(
        documented.collect::<BTreeMap<_, _>>(),
        scraped(&full_scrape())
    );
}

#[test]
fn a_unit_is_that_of_the_name_and_nothing_is_without_a_meaning() {
    for row in rows().filter(|row| row[0].starts_with("`handover_")) {
        let name = row[0].trim_matches('`').trim_end_matches("_total");
        let of_name = ["seconds", "bytes"]
            .into_iter()
            .find(|unit| name.ends_with(unit));
        match of_name {
            Some(unit) => assert_eq!(row[3], unit, "{name}"),
            None => assert!(!row[3].is_empty(), "{name} has no unit"),
        }
        assert!(row[4].len() > 20, "{name} is not explained: {:?}", row[4]);
    }
}

#[test]
fn the_reference_has_every_value_of_a_label() {
    let scrape = full_scrape();
    let mut known: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for (name, _) in scraped(&scrape) {
        for (label, value) in samples(&scrape, &name).flatten() {
            if !OPEN.contains(&label.as_str()) {
                let of = if label == "side" {
                    "all with a side".to_owned()
                } else {
                    format!("`{name}`")
                };
                known.entry((label, of)).or_default().insert(value);
            }
        }
    }
    let documented = rows().filter(|row| row.len() == 3).map(|row| {
        let key = (quoted(row[0]).remove(0), row[1].to_owned());
        (key, quoted(row[2]).into_iter().collect())
    });
    assert_eq!(documented.collect::<BTreeMap<_, _>>(), known);
}
