//! Durations as people write them: `250ms`, `10s`, `2m`.

use std::time::Duration;

/// Units and their milliseconds, longest suffix first: `ms` also ends in `s`.
const UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

/// Reads a whole number with a unit.
pub fn parse(text: &str) -> Result<Duration, String> {
    let read = || {
        let (number, milliseconds) = UNITS
            .iter()
            .find_map(|(unit, length)| Some((text.strip_suffix(unit)?, *length)))?;
        // `parse` alone would take a sign.
        let digits = number.bytes().all(|byte| byte.is_ascii_digit());
        let number = number.parse::<u64>().ok().filter(|_| digits)?;
        number.checked_mul(milliseconds).map(Duration::from_millis)
    };
    read().ok_or_else(|| {
        format!("`{text}` is not a duration: write a whole number and ms, s, m or h, like 250ms")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_whole_number_with_a_unit() {
        assert_eq!(parse("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(parse("2m"), Ok(Duration::from_mins(2)));
        assert_eq!(parse("1h"), Ok(Duration::from_hours(1)));
        for wrong in [
            "",
            "10",
            "s",
            "-1s",
            "+1s",
            "1.5s",
            "1 s",
            "1d",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
