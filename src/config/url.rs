//! A database's URL, as people write it: `redis://user:password@host:6379/0`, `rediss://` for TLS, `unix:///path?db=0`.
//! Pure.

use percent_encoding::percent_decode_str;

use super::notation;
use crate::net::Endpoint;

/// Where Redis listens unless told otherwise.
const DEFAULT_PORT: u16 = 6379;

/// What a URL says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) endpoint: Endpoint,
    pub(super) transport: Transport,
    /// Decoded.
    pub(super) user: Option<Vec<u8>>,
    /// Decoded.
    pub(super) password: Option<Vec<u8>>,
    pub(super) database: u32,
}

/// Whether bytes travel in the clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    Plain,
    Tls,
}

/// Reads a URL. The error says what would be right, and quotes nothing.
pub(super) fn parse(text: &str) -> Result<Url, &'static str> {
    let scheme = text.split_once("://");
    match scheme {
        Some(("redis", rest)) => parse_tcp(rest, Transport::Plain),
        Some(("rediss", rest)) => parse_tcp(rest, Transport::Tls),
        Some(("unix", rest)) => parse_unix(rest),
        Some(_) | None => Err("must begin with redis://, rediss:// or unix://"),
    }
}

/// Splits at the last `@`: what comes behind it never holds one, and a password that was not encoded may.
fn parse_tcp(rest: &str, transport: Transport) -> Result<Url, &'static str> {
    let (credentials, rest) = rest
        .rsplit_once('@')
        .map_or((None, rest), |(before, after)| (Some(before), after));
    let (user, password) = credentials.map_or(Ok((None, None)), parse_credentials)?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let endpoint = match notation::host_name(authority) {
        Some(host) => Endpoint::Tcp {
            host,
            port: DEFAULT_PORT,
        },
        None => match notation::host_and_port(authority) {
            Some((host, port)) => Endpoint::Tcp { host, port },
            None => return Err("must name a host, or a host and a port: redis://host:6379"),
        },
    };
    Ok(Url {
        endpoint,
        transport,
        user,
        password,
        database: parse_database(path)?,
    })
}

fn parse_unix(rest: &str) -> Result<Url, &'static str> {
    let (credentials, path) = if rest.starts_with('/') {
        (None, rest)
    } else {
        let at = rest
            .find("@/")
            .ok_or("must name a socket by its full path: unix:///run/redis.sock")?;
        (Some(&rest[..at]), &rest[at + 1..])
    };
    let (user, password) = credentials.map_or(Ok((None, None)), parse_credentials)?;
    let (path, database) = path.split_once("?db=").unwrap_or((path, ""));
    if path == "/" {
        return Err("must name a socket by its full path: unix:///run/redis.sock");
    }
    let endpoint = Endpoint::Unix(path.into());
    Ok(Url {
        endpoint,
        transport: Transport::Plain,
        user,
        password,
        database: parse_database(database)?,
    })
}

type Credentials = (Option<Vec<u8>>, Option<Vec<u8>>);

/// `user:password` or `:password`. A user alone is left for a `password_file` to complete.
fn parse_credentials(text: &str) -> Result<Credentials, &'static str> {
    let decode = |text: &str| percent_decode_str(text).collect::<Vec<u8>>();
    let (user, password) = text
        .split_once(':')
        .map_or((text, None), |(user, password)| (user, Some(password)));
    if text.is_empty() {
        return Err("must have a user or a password before the @");
    }
    let user = (!user.is_empty()).then(|| decode(user));
    let password = password
        .filter(|password| user.is_some() || !password.is_empty())
        .map(decode);
    Ok((user, password))
}

fn parse_database(text: &str) -> Result<u32, &'static str> {
    if text.is_empty() {
        return Ok(0);
    }
    text.parse()
        .map_err(|_| "must end in a database number: redis://host:6379/0")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16) -> Url {
        let endpoint = Endpoint::Tcp {
            host: host.to_owned(),
            port,
        };
        Url {
            endpoint,
            transport: Transport::Plain,
            user: None,
            password: None,
            database: 0,
        }
    }

    #[track_caller]
    fn check(text: &str, expected: Url) {
        assert_eq!(parse(text), Ok(expected), "{text}");
    }

    #[test]
    fn port_and_database_have_defaults() {
        check("redis://db", tcp("db", 6379));
        check("redis://db/", tcp("db", 6379));
        check(
            "redis://db:7000/3",
            Url {
                database: 3,
                ..tcp("db", 7000)
            },
        );
        check(
            "rediss://[2001:db8::1]:7000",
            Url {
                transport: Transport::Tls,
                ..tcp("2001:db8::1", 7000)
            },
        );
    }

    #[test]
    fn credentials_are_decoded() {
        let user = Some(b"us:er".to_vec());
        check(
            "redis://us%3Aer:p%40ss%2f@db",
            Url {
                user,
                password: Some(b"p@ss/".to_vec()),
                ..tcp("db", 6379)
            },
        );
        check(
            "redis://:secret@db",
            Url {
                password: Some(b"secret".to_vec()),
                ..tcp("db", 6379)
            },
        );
        check(
            "redis://me@db",
            Url {
                user: Some(b"me".to_vec()),
                ..tcp("db", 6379)
            },
        );
        check("redis://:@db", tcp("db", 6379));
    }

    #[test]
    fn a_password_that_was_not_encoded_is_understood() {
        check(
            "redis://:p@s/s:w?#@db:1/2",
            Url {
                password: Some(b"p@s/s:w?#".to_vec()),
                database: 2,
                ..tcp("db", 1)
            },
        );
    }

    #[test]
    fn a_user_without_need_of_a_password_has_an_empty_one() {
        check(
            "redis://me:@db",
            Url {
                user: Some(b"me".to_vec()),
                password: Some(Vec::new()),
                ..tcp("db", 6379)
            },
        );
    }

    #[test]
    fn a_unix_socket_is_named_by_its_full_path() {
        let socket = Url {
            endpoint: Endpoint::Unix("/run/redis.sock".into()),
            ..tcp("", 0)
        };
        check("unix:///run/redis.sock", socket.clone());
        check(
            "unix:///run/redis.sock?db=4",
            Url {
                database: 4,
                ..socket.clone()
            },
        );
        check(
            "unix://:pw@/run/redis.sock",
            Url {
                password: Some(b"pw".to_vec()),
                ..socket
            },
        );
    }

    #[test]
    fn anything_else_is_refused() {
        for wrong in [
            "",
            "db:6379",
            "http://db",
            "redis:db",
            "redis://",
            "redis://@db",
            "redis://db:",
            "redis://db:0x1",
            "redis://:6379",
            "redis://db:99999",
            "redis://db/x",
            "redis://db/0/1",
            "redis://db?timeout=1",
            "redis://::1:6379",
            "redis://d b",
            "unix://",
            "unix:///",
            "unix://run/redis.sock",
            "unix:///s?db=x",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
