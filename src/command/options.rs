//! Option words among a request's arguments, told from the operands of other options.

use crate::resp::request::Request;

/// How many arguments an option word takes as operands; words not listed take none.
pub(super) type Operands = &'static [(&'static [u8], usize)];

/// Options of XREAD and XREADGROUP before STREAMS.
pub(super) const OF_XREAD: Operands = &[(b"BLOCK", 1), (b"COUNT", 1), (b"GROUP", 2), (b"CLAIM", 1)];

/// Options of SORT, GEORADIUS and GEORADIUSBYMEMBER.
pub(super) const OF_STORE: Operands = &[
    (b"LIMIT", 2),
    (b"BY", 1),
    (b"GET", 1),
    (b"COUNT", 1),
    (b"STORE", 1),
    (b"STOREDIST", 1),
];

/// Options of MIGRATE before KEYS.
pub(super) const OF_MIGRATE: Operands = &[(b"AUTH", 1), (b"AUTH2", 2)];

/// The option words from position `from` on, with their positions; operands are left out.
pub(super) fn options<'a>(
    request: &Request<'a>,
    from: usize,
    operands: Operands,
) -> impl Iterator<Item = (usize, &'a [u8])> {
    let mut operands_left = 0_usize;
    request
        .arguments()
        .enumerate()
        .skip(from)
        .filter(move |(_, word)| {
            if operands_left > 0 {
                operands_left -= 1;
                return false;
            }
            operands_left = operands
                .iter()
                .find(|(name, _)| is(word, name))
                .map_or(0, |(_, count)| *count);
            true
        })
}

/// Whether an argument is the option word `name`, in any case.
pub(super) fn is(argument: &[u8], name: &[u8]) -> bool {
    argument.eq_ignore_ascii_case(name)
}
