//! The grammar of a Replica Of source: `redis://[USER][:PASSWORD]@HOST:PORT`, the password percent-escaped, never
//! `rediss://`, nothing behind the port.

use percent_encoding::percent_decode_str;

use super::refusal::Refusal;
use super::syncer::Source;

/// Characters that stand for themselves in a user or a password; everything else has to be escaped.
const PLAIN: &str = "-._~";

/// Reads a URI, or says what is wrong with it. A password is not repeated.
pub fn parse(uri: &str) -> Result<Source, Refusal> {
    let wrong = |why: &str| Refusal::invalid(format!("invalid source uri: {why}"));
    let rest = uri
        .strip_prefix("redis://")
        .ok_or_else(|| wrong("it does not begin with redis://"))?;
    let (identity, place) = match rest.rsplit_once('@') {
        Some((identity, place)) => (Some(identity), place),
        None => (None, rest),
    };
    let (host, port) = place.rsplit_once(':').ok_or_else(|| wrong("no port"))?;
    let port = port
        .parse()
        .map_err(|_| wrong("the port is no number, or something follows it"))?;
    if host.is_empty() {
        return Err(wrong("no host"));
    }
    let (user, password) = match identity {
        None => (None, None),
        Some(identity) => {
            let (user, password) = identity
                .split_once(':')
                .ok_or_else(|| wrong("no password"))?;
            let unescape = |text: &str| unescape(text).ok_or_else(|| wrong("not percent-escaped"));
            let user = Some(unescape(user)?).filter(|user| !user.is_empty());
            (user, Some(unescape(password)?))
        }
    };
    Ok(Source {
        host: host.to_owned(),
        port,
        user,
        password,
        encryption: None,
    })
}

fn unescape(text: &str) -> Option<String> {
    let plain = |it: char| it.is_ascii_alphanumeric() || PLAIN.contains(it) || it == '%';
    if !text.chars().all(plain) {
        return None;
    }
    let text = percent_decode_str(text).decode_utf8().ok()?;
    Some(text.into_owned())
}

#[test]
fn the_documented_forms_are_read_and_nothing_else() {
    let of = |uri: &str| {
        let source = parse(uri).ok()?;
        Some((source.host, source.port, source.user, source.password))
    };
    let some = |text: &str| Some(text.to_owned());
    let host = || "10.0.0.7".to_owned();
    assert_eq!(
        of("redis://10.0.0.7:6379"),
        Some((host(), 6379, None, None))
    );
    assert_eq!(
        of("redis://:p%40ss%2F%25@10.0.0.7:1"),
        Some((host(), 1, None, some("p@ss/%")))
    );
    assert_eq!(
        of("redis://admin:x@10.0.0.7:1"),
        Some((host(), 1, some("admin"), some("x")))
    );
    for wrong in [
        "rediss://10.0.0.7:6379",
        "redis://10.0.0.7",
        "redis://10.0.0.7:6379/0",
        "redis://:p@ss@10.0.0.7:6379",
        "redis://:p/ss@10.0.0.7:6379",
        "redis://secret@10.0.0.7:6379",
        "redis://:x@:6379",
    ] {
        assert_eq!(of(wrong), None, "{wrong}");
    }
}
