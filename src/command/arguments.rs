//! Where the arguments decide whether a command writes or waits.
//!
//! In doubt it does: a request that its server would refuse anyway may be taken for a write, never the reverse.

use super::blocking;
use super::options::is;
use super::verdict::{Class, Effect};
use crate::resp::request::Request;

/// What the arguments of a command decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Decide {
    /// Nothing: every request of this command is alike.
    Nothing,
    /// It writes only where STORE or STOREDIST stands at this position or behind it: SORT, GEORADIUS.
    WriteIfStored(usize),
    /// It writes unless all its operations are GET (and OVERFLOW): BITFIELD.
    WriteUnlessGet,
    /// It changes the server only with RESET: ACL LOG.
    AdminIfReset,
    /// It waits only if its time-out is there and right.
    BlockIfTimed,
}

impl Decide {
    /// The class and the effect of this request of a command that has `class` and `effect` in general.
    pub(super) fn of(self, class: Class, effect: Effect, request: &Request<'_>) -> (Class, Effect) {
        match self {
            Decide::WriteIfStored(from) if !stores(request, from) => (Class::Read, effect),
            Decide::WriteUnlessGet if only_gets(request) => (Class::Read, effect),
            Decide::AdminIfReset if !resets(request) => (Class::Inspect, effect),
            Decide::BlockIfTimed if blocking::time_limit(request).is_none() => {
                (class, Effect::None)
            }
            Decide::Nothing
            | Decide::WriteIfStored(_)
            | Decide::WriteUnlessGet
            | Decide::AdminIfReset
            | Decide::BlockIfTimed => (class, effect),
        }
    }
}

/// Looks for the word alone, so that an operand of that name counts too: no parser can disagree about that.
fn stores(request: &Request<'_>, from: usize) -> bool {
    request
        .arguments()
        .skip(from)
        .any(|word| is(word, b"STORE") || is(word, b"STOREDIST"))
}

fn only_gets(request: &Request<'_>) -> bool {
    let mut operations = request.arguments().skip(2);
    while let Some(operation) = operations.next() {
        let operands = if is(operation, b"GET") {
            2
        } else if is(operation, b"OVERFLOW") {
            1
        } else {
            return false;
        };
        if operations.by_ref().take(operands).count() < operands {
            return false;
        }
    }
    true
}

fn resets(request: &Request<'_>) -> bool {
    request.arguments().skip(2).any(|word| is(word, b"RESET"))
}
