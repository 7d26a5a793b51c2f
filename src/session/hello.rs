//! What a HELLO asks for, read as servers read it, and what is known of its connection if it is refused.
//!
//! Servers look at the words of a HELLO one by one. Up to Redis 7.0 they carry each out as they read it, and what was done
//! stays done if they then stop at another; Redis 7.2 and Valkey look at all of them first. An error therefore does not
//! tell whether a password before the word that it is about was accepted.
//!
//! Refuses to know: connections, and whether a password is right.

use crate::resp::encode::Protocol;
use crate::resp::request::Request;

/// The words of a HELLO.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Hello<'a> {
    /// Which version it asks for, where there is such a one.
    pub(super) protocol: Option<Protocol>,
    /// Where its users stand among the arguments, each before its password. Where all of it is carried out, the last one
    /// counts.
    pub(super) users: Vec<usize>,
    /// The name that it sets; an empty one takes it away.
    pub(super) name: Option<&'a [u8]>,
    /// What an error tells.
    pub(super) if_refused: IfRefused,
}

/// Who a connection is after an error in the place of the server's agreement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IfRefused {
    /// Who it was.
    AsBefore,
    /// That depends on the server: something may have been refused behind a password that was accepted.
    Unknown,
}

impl<'a> Hello<'a> {
    /// Reads the words of `request`. What no server knows today is passed over: one that knows it may agree.
    pub(super) fn read(request: &Request<'a>) -> Hello<'a> {
        let mut hello = Hello {
            protocol: match request.argument(1) {
                Some(b"2") => Some(Protocol::Resp2),
                Some(b"3") => Some(Protocol::Resp3),
                _ => None,
            },
            users: Vec::new(),
            name: None,
            if_refused: IfRefused::AsBefore,
        };
        let mut at = 2;
        while let Some(word) = request.argument(at) {
            let behind = request.len() - at - 1;
            let may_fail_behind_a_password = !hello.users.is_empty();
            let may_be_refused;
            if word.eq_ignore_ascii_case(b"AUTH") && behind >= 2 {
                hello.users.push(at + 1);
                may_be_refused = true;
                at += 3;
            } else if word.eq_ignore_ascii_case(b"SETNAME") && behind >= 1 {
                hello.name = request.argument(at + 1);
                may_be_refused = !hello.name.is_some_and(is_surely_a_name);
                at += 2;
            } else {
                may_be_refused = true;
                at += 1;
            }
            if may_be_refused && may_fail_behind_a_password {
                hello.if_refused = IfRefused::Unknown;
            }
        }
        hello
    }
}

/// Whether every server takes this as a client's name.
fn is_surely_a_name(name: &[u8]) -> bool {
    name.iter().all(u8::is_ascii_graphic)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::encode;
    use crate::resp::request::{Limits, Scanned, Scanner};

    fn read<T>(line: &str, look: impl FnOnce(Hello<'_>) -> T) -> T {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let frame = encode::command_vec(&words);
        match Scanner::default().scan(&frame, &Limits::redis()) {
            Ok(Scanned::Request(shape)) => look(Hello::read(&Request::new(&frame, &shape))),
            other => panic!("no request but {other:?}"),
        }
    }

    #[test]
    fn the_words_are_found_where_servers_find_them() {
        read("HELLO 3 auth app pw setname me", |hello| {
            assert_eq!(hello.protocol, Some(Protocol::Resp3));
            assert_eq!(hello.users, [3]);
            assert_eq!(hello.name, Some(&b"me"[..]));
        });
        read("HELLO 2 SETNAME AUTH AUTH SETNAME AUTH", |hello| {
            assert_eq!(hello.users, [5]);
            assert_eq!(hello.name, Some(&b"AUTH"[..]));
        });
        read("HELLO 03 AUTH app", |hello| {
            assert_eq!((hello.protocol, hello.users), (None, vec![]));
        });
        read("HELLO 3 AUTH a b AUTH c d", |hello| {
            assert_eq!(hello.users, [3, 6]);
        });
    }

    #[test]
    fn an_error_leaves_open_who_it_is_only_behind_a_password() {
        for (line, expected) in [
            ("HELLO 3", IfRefused::AsBefore),
            ("HELLO 3 BOGUS", IfRefused::AsBefore),
            ("HELLO 3 SETNAME a\tb", IfRefused::AsBefore),
            ("HELLO 3 AUTH app pw", IfRefused::AsBefore),
            ("HELLO 3 AUTH app pw SETNAME me", IfRefused::AsBefore),
            ("HELLO 3 BOGUS AUTH app pw", IfRefused::AsBefore),
            ("HELLO 3 SETNAME me AUTH app pw", IfRefused::AsBefore),
            ("HELLO 3 AUTH app", IfRefused::AsBefore),
            ("HELLO 3 AUTH app pw BOGUS", IfRefused::Unknown),
            ("HELLO 3 AUTH app pw SETNAME", IfRefused::Unknown),
            ("HELLO 3 AUTH app pw SETNAME a\tb", IfRefused::Unknown),
            ("HELLO 3 AUTH app pw AUTH", IfRefused::Unknown),
            ("HELLO 3 AUTH app pw AUTH app pw", IfRefused::Unknown),
        ] {
            assert_eq!(read(line, |hello| hello.if_refused), expected, "{line}");
        }
    }
}
