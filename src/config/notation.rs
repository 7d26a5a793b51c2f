//! How single values are written: durations, sizes, addresses, and `${…}` for the environment. Pure.

use std::time::Duration;

/// Units of a duration, with their milliseconds, the largest first.
const DURATION_UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Units of a size, with their bytes, the largest first. Only powers of 1024: a decimal `MB` would be taken for one.
const SIZE_UNITS: [(&str, u64); 5] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

/// `250ms`, `10s`, `5m`, `1h`: a whole number and its unit.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = number_and_unit(text)?;
    let (_, millis) = DURATION_UNITS.into_iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(millis).map(Duration::from_millis)
}

/// `64MiB`, `1KiB`, or plain bytes.
pub(super) fn size(text: &str) -> Option<u64> {
    let (number, unit) = number_and_unit(text)?;
    if unit.is_empty() {
        return Some(number);
    }
    let (_, bytes) = SIZE_UNITS.into_iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(bytes)
}

/// A duration as [`duration`] reads it, in the largest unit that leaves nothing over.
pub(super) fn write_duration(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    write(millis, &DURATION_UNITS, "s")
}

/// A size as [`size`] reads it, in the largest unit that leaves nothing over.
pub(super) fn write_size(bytes: u64) -> String {
    write(bytes, &SIZE_UNITS, "B")
}

/// `host:port` with the host's brackets taken off, where it has some. Both are needed.
pub(super) fn host_and_port(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    Some((host_name(host)?, port.parse().ok()?))
}

/// A host name or address; an IPv6 address in brackets, which are taken off.
pub(super) fn host_name(text: &str) -> Option<String> {
    if let Some(address) = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
    {
        return address
            .parse::<std::net::Ipv6Addr>()
            .ok()
            .map(|address| address.to_string());
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    (!text.is_empty() && text.bytes().all(plain)).then(|| text.to_owned())
}

/// Replaces `${NAME}` by the variable's value and `$$` by a dollar. The error says what would be right.
pub(super) fn expand(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            expanded.push('$');
            rest = after;
            continue;
        }
        let Some((name, after)) = after
            .strip_prefix('{')
            .and_then(|after| after.split_once('}'))
        else {
            return Err("a $ must begin ${NAME}, or be written $$".to_owned());
        };
        // What cannot be a name may be part of a password, and is not repeated.
        let in_names = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || !name.bytes().all(in_names) {
            return Err(
                "between ${ and } stand letters, digits and _; any other $ is written $$"
                    .to_owned(),
            );
        }
        let value =
            env(name).ok_or_else(|| format!("the environment variable {name} must be set"))?;
        expanded.push_str(&value);
        rest = after;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let end = text
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit))
}

fn write(value: u64, units: &[(&str, u64)], unit_of_zero: &str) -> String {
    match units
        .iter()
        .find(|(_, factor)| value > 0 && value.is_multiple_of(*factor))
    {
        Some((unit, factor)) => format!("{}{unit}", value / factor),
        None => format!("{value}{unit_of_zero}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_whole_number_and_a_unit() {
        assert_eq!(duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(duration("10s"), Some(Duration::from_secs(10)));
        assert_eq!(duration("5m"), Some(Duration::from_mins(5)));
        assert_eq!(duration("2h"), Some(Duration::from_hours(2)));
        for wrong in [
            "",
            "s",
            "10",
            "1.5s",
            "-1s",
            "10 s",
            "10S",
            "1d",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_size_is_bytes_or_a_power_of_1024() {
        assert_eq!(size("64MiB"), Some(64 << 20));
        assert_eq!(size("1KiB"), Some(1024));
        assert_eq!(size("4096"), Some(4096));
        assert_eq!(size("7B"), Some(7));
        for wrong in ["", "MiB", "1MB", "1kib", "-1", "1.5GiB", "99999999TiB"] {
            assert_eq!(size(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn durations_and_sizes_are_written_as_they_are_read() {
        for text in ["0s", "10ms", "1s", "90s", "1m", "24h"] {
            assert_eq!(write_duration(duration(text).unwrap()), text);
        }
        for text in ["0B", "7B", "1KiB", "1000B", "512MiB", "16GiB"] {
            assert_eq!(write_size(size(text).unwrap()), text);
        }
    }

    #[test]
    fn what_cannot_be_a_variables_name_is_not_repeated() {
        let nothing = |_: &str| None;
        for secret in ["a${b:hunter2}c", "a${hunter 2}", "${}"] {
            let told = expand(secret, &nothing).unwrap_err();
            assert!(!told.contains("hunter"), "{told}");
            assert!(told.contains("letters, digits"), "{told}");
        }
        let told = expand("${NAME_2}", &nothing).unwrap_err();
        assert!(told.contains("NAME_2"), "{told}");
    }

    #[test]
    fn a_host_is_a_name_or_an_address() {
        assert_eq!(
            host_and_port("db-1.example:6379"),
            Some(("db-1.example".to_owned(), 6379))
        );
        assert_eq!(host_and_port("[::1]:6379"), Some(("::1".to_owned(), 6379)));
        for wrong in [
            "db", "db:", ":6379", "db:70000", "::1:6379", "[db]:1", "a b:1", "a/b:1",
        ] {
            assert_eq!(host_and_port(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn variables_are_expanded_and_dollars_doubled() {
        let env = |name: &str| (name == "A").then(|| "x$y".to_owned());
        assert_eq!(expand("1${A}2${A}$$3", &env), Ok("1x$y2x$y$3".to_owned()));
        assert_eq!(expand("plain", &env), Ok("plain".to_owned()));
        assert!(expand("${B}", &env).unwrap_err().contains('B'));
        for wrong in ["$", "$A", "${A", "a$ b"] {
            assert!(expand(wrong, &env).is_err(), "{wrong}");
        }
    }
}
