//! What was measured, as tables.

use std::time::Duration;

use crate::load::Outcome;

/// One way in one round.
pub struct Sample {
    pub outcome: Outcome,
    /// CPU time of whoever stands in the way.
    pub cpu: Option<Duration>,
}

/// All ways in all rounds. The first way is the direct one.
pub struct Rounds {
    ways: Vec<(String, Vec<Sample>)>,
}

/// The proxy that the others are compared with, where it was measured.
const REFERENCE: &str = "HAProxy TCP";

impl Rounds {
    pub fn of(names: impl Iterator<Item = String>) -> Rounds {
        Rounds {
            ways: names.map(|name| (name, Vec::new())).collect(),
        }
    }

    pub fn add(&mut self, way: usize, sample: Sample) {
        self.ways[way].1.push(sample);
    }

    /// What each way adds to the direct one in the same round.
    pub fn print_latency(&self) {
        println!(
            "| way | p50 µs | p99 µs | p99.9 µs | added p50 | added p99 | added p99.9 | proxy CPU µs a request |"
        );
        println!("|---|---|---|---|---|---|---|---|");
        let direct = &self.ways[0].1;
        for (number, (name, samples)) in self.ways.iter().enumerate() {
            if samples.iter().any(|it| it.outcome.is_behind()) {
                println!("| {name} | falls behind at this rate | | | | | | |");
                continue;
            }
            let taken = |quantile| median(samples.iter().map(|it| it.outcome.micros(quantile)));
            let added = |quantile| {
                if number == 0 {
                    return String::new();
                }
                let each = samples.iter().zip(direct);
                let added = median(each.map(|(way, direct)| {
                    way.outcome.micros(quantile) - direct.outcome.micros(quantile)
                }));
                format!("{added:.0}")
            };
            println!(
                "| {name} | {:.0} | {:.0} | {:.0} | {} | {} | {} | {} |",
                taken(0.5),
                taken(0.99),
                taken(0.999),
                added(0.5),
                added(0.99),
                added(0.999),
                cpu(samples)
            );
        }
    }

    /// How much goes through each way, and its ratio to the direct one and to the reference in the same round.
    pub fn print_throughput(&self) {
        println!(
            "| way | requests a second | of direct | × {REFERENCE} | proxy CPU µs a request | × {REFERENCE} |"
        );
        println!("|---|---|---|---|---|---|");
        let reference = self.ways.iter().find(|(name, _)| name == REFERENCE);
        for (name, samples) in &self.ways {
            let rate = |it: &Sample| it.outcome.per_second();
            let to = |others: &[Sample], figure: fn(&Sample) -> f64| {
                let each = samples.iter().zip(others);
                let ratio = median(each.map(|(way, other)| figure(way) / figure(other)));
                if ratio.is_finite() && ratio > 0.0 {
                    format!("{ratio:.2}")
                } else {
                    String::new()
                }
            };
            let to_reference = |figure| reference.map_or(String::new(), |(_, it)| to(it, figure));
            println!(
                "| {name} | {:.0} | {} | {} | {} | {} |",
                median(samples.iter().map(rate)),
                to(&self.ways[0].1, |it| it.outcome.per_second()),
                to_reference(|it| it.outcome.per_second()),
                cpu(samples),
                to_reference(cpu_micros)
            );
        }
    }
}

fn cpu(samples: &[Sample]) -> String {
    let micros = median(samples.iter().map(cpu_micros));
    if micros > 0.0 {
        format!("{micros:.2}")
    } else {
        String::new()
    }
}

/// For each request; 0 where nobody stands in the way. What the warm-up took is in it, so it is a little too much.
fn cpu_micros(sample: &Sample) -> f64 {
    let cpu = sample.cpu.unwrap_or_default();
    cpu.as_secs_f64() * 1e6 / sample.outcome.answered as f64
}

pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[odd / 2],
        even => f64::midpoint(values[even / 2 - 1], values[even / 2]),
    }
}
