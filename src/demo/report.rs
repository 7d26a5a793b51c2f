//! What happened, for machines (`--json`) and for people.

use std::fmt;

use serde::{Serialize, Serializer};

/// The account of one demo. Its JSON is what `handover demo --json` prints; names there are fixed.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Replies that came and were right.
    pub operations: u64,
    /// Connections lost, error replies, replies that were wrong or did not come.
    pub errors: u64,
    /// Acknowledged writes whose effect is absent in the end, or out of order.
    pub lost_writes: u64,
    /// Effects that are there more than once.
    pub double_writes: u64,
    /// The longest that any client waited for a write that overlapped the cutover. The machine's own scheduling is in
    /// it.
    #[serde(serialize_with = "rounded")]
    pub write_pause_ms: f64,
    /// The same for reads.
    #[serde(serialize_with = "rounded")]
    pub read_pause_ms: f64,
    /// What the sidecar adds to the time of a request.
    pub overhead_us: OverheadMicros,
    /// The comparison of the two sides at the end.
    pub verified: Verified,
    /// How long the traffic ran.
    #[serde(serialize_with = "rounded")]
    pub seconds: f64,
    /// Clients of the traffic; for people.
    #[serde(skip)]
    pub clients: usize,
    /// The pause of writes by the sidecar's own clock, where it tells; for people.
    #[serde(skip)]
    pub own_write_pause_ms: Option<f64>,
    /// The first failures and findings in words; for people.
    #[serde(skip)]
    pub notes: Vec<String>,
}

/// Differences of quantiles between requests through the sidecar and requests past it, in microseconds. May be
/// negative where the difference drowns in noise.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct OverheadMicros {
    /// Median.
    #[serde(serialize_with = "rounded")]
    pub p50: f64,
    /// 99 of 100 are faster.
    #[serde(serialize_with = "rounded")]
    pub p99: f64,
    /// 999 of 1000 are faster.
    #[serde(serialize_with = "rounded")]
    pub p999: f64,
}

/// The comparison of the two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Keys compared.
    pub keys: u64,
    /// Keys that differ.
    pub differing: u64,
}

impl Report {
    /// Whether everything is as it must be.
    pub fn clean(&self) -> bool {
        self.errors == 0
            && self.lost_writes == 0
            && self.double_writes == 0
            && self.verified.differing == 0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let felt = "the longest a client felt";
        let own = self
            .own_write_pause_ms
            .map(|ms| format!("; {ms:.1} ms by the sidecar's own clock"));
        let OverheadMicros { p50, p99, p999 } = self.overhead_us;
        let Verified { keys, differing } = self.verified;
        let rows = [
            (
                "operations",
                grouped(self.operations),
                format!("in {:.1} s", self.seconds),
            ),
            (
                "errors",
                grouped(self.errors),
                "seen by any client".to_owned(),
            ),
            (
                "lost writes",
                grouped(self.lost_writes),
                "acknowledged, and not there".to_owned(),
            ),
            (
                "double writes",
                grouped(self.double_writes),
                "there more than once".to_owned(),
            ),
            (
                "write pause",
                format!("{:.1} ms", self.write_pause_ms),
                format!("{felt}{}", own.unwrap_or_default()),
            ),
            (
                "read pause",
                format!("{:.1} ms", self.read_pause_ms),
                felt.to_owned(),
            ),
            (
                "added latency",
                format!("{p50:.0} µs"),
                format!("p50; p99 {p99:.0} µs, p99.9 {p999:.0} µs"),
            ),
            (
                "verified",
                grouped(keys),
                format!("keys compared, {} differing", grouped(differing)),
            ),
        ];
        writeln!(
            f,
            "\n  An application with {} clients moved from one Redis to another.\n",
            self.clients
        )?;
        for (name, value, remark) in rows {
            writeln!(f, "  {name:<14}{value:>12}   {remark}")?;
        }
        let verdict = if self.clean() {
            "Nothing was lost, nothing was written twice, nobody was disconnected."
        } else {
            "This must not happen. Please report it with the lines below."
        };
        write!(f, "\n  {verdict}")?;
        for note in &self.notes {
            write!(f, "\n    {note}")?;
        }
        Ok(())
    }
}

/// 1234567 as `1,234,567`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Three decimals: beyond them no clock here means anything.
#[allow(clippy::trivially_copy_pass_by_ref)] // the signature that serde asks for
fn rounded<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((value * 1000.0).round() / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        Report {
            operations: 1_234_567,
            errors: 0,
            lost_writes: 0,
            double_writes: 0,
            write_pause_ms: 4.123_456,
            read_pause_ms: 0.9,
            overhead_us: OverheadMicros {
                p50: 31.25,
                p99: 60.0,
                p999: -3.0,
            },
            verified: Verified {
                keys: 100_061,
                differing: 0,
            },
            seconds: 15.0,
            clients: 50,
            own_write_pause_ms: Some(2.5),
            notes: Vec::new(),
        }
    }

    #[test]
    fn the_json_has_the_promised_names_and_no_others() {
        let json = serde_json::to_value(report()).unwrap();
        let expected = serde_json::json!({
            "operations": 1_234_567, "errors": 0, "lost_writes": 0, "double_writes": 0,
            "write_pause_ms": 4.123, "read_pause_ms": 0.9,
            "overhead_us": {"p50": 31.25, "p99": 60.0, "p999": -3.0},
            "verified": {"keys": 100_061, "differing": 0}, "seconds": 15.0,
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn each_of_the_four_counts_spoils_it() {
        assert!(report().clean());
        assert!(
            !Report {
                errors: 1,
                ..report()
            }
            .clean()
        );
        assert!(
            !Report {
                lost_writes: 1,
                ..report()
            }
            .clean()
        );
        assert!(
            !Report {
                double_writes: 1,
                ..report()
            }
            .clean()
        );
        assert!(
            !Report {
                verified: Verified {
                    keys: 9,
                    differing: 1
                },
                ..report()
            }
            .clean()
        );
    }

    #[test]
    fn people_see_every_figure() {
        let text = report().to_string();
        for figure in [
            "1,234,567",
            "15.0 s",
            "4.1 ms",
            "2.5 ms",
            "0.9 ms",
            "31 µs",
            "60 µs",
            "100,061",
        ] {
            assert!(text.contains(figure), "{figure} is not in {text}");
        }
        assert!(text.contains("Nothing was lost"));
    }

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(100_000), "100,000");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }
}
