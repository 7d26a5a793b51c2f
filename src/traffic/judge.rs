//! One request against what its command is looked at for. Pure: a request in, what is wrong with it out; nothing is
//! allocated.

use super::concern::{Argument, Concern, Placing};
use super::rule::Rule;
use super::support;
use crate::command::keys::keys;
use crate::command::slot::TagRule;
use crate::command::{Command, Span};
use crate::resp::request::Request;
use crate::terms::ACTIVE_ACTIVE_COUNTER_BITS;

/// Beyond these a counter of an Active-Active database does not go.
const COUNTER_MAX: u64 = 1 << (ACTIVE_ACTIVE_COUNTER_BITS - 1);
/// Half of that is near.
const COUNTER_NEAR: u64 = COUNTER_MAX / 2;

/// Something that is wrong with a request, and which of its arguments shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) rule: Rule,
    /// The argument that shows it, beside the keys.
    pub(super) shown: Option<usize>,
}

impl Fault {
    pub(super) const fn of(rule: Rule) -> Fault {
        Fault { rule, shown: None }
    }
}

/// Everything that is wrong with a request, but with what a script in it does.
pub(super) fn judge(
    concern: Concern,
    command: &Command,
    request: &Request<'_>,
) -> impl Iterator<Item = Fault> {
    // A request that no server accepts says nothing about the target.
    let counts = command.arity_fits(request.len());
    let absent = concern.absent.map(Fault::of);
    let placed = match concern.keys {
        Placing::Anywhere => None,
        Placing::OneSlot => misplaced(command, request).map(Fault::of),
    };
    let argument = fault_of_argument(concern.argument, request);
    [absent, placed, argument]
        .into_iter()
        .flatten()
        .filter(move |_| counts)
}

/// Where the keys of a request lie, together with those of `span`.
pub(super) fn spanning(span: Span, command: &Command, request: &Request<'_>) -> Span {
    keys(command, request).fold(span, |span, key| span.with(key, TagRule::Enterprise))
}

fn misplaced(command: &Command, request: &Request<'_>) -> Option<Rule> {
    if spanning(Span::Nowhere, command, request) != Span::Several {
        return None;
    }
    let in_a_cluster =
        keys(command, request).fold(Span::Nowhere, |span, key| span.with(key, TagRule::Cluster));
    Some(match in_a_cluster {
        Span::Several => Rule::SeveralSlots,
        Span::Nowhere | Span::One(_) => Rule::HashTag,
    })
}

fn fault_of_argument(argument: Argument, request: &Request<'_>) -> Option<Fault> {
    let (rule, shown) = match argument {
        Argument::None | Argument::Script(_) | Argument::Digest | Argument::Library => {
            return None;
        }
        Argument::StreamId => (Rule::ExplicitStreamId, Some(explicit_id(request)?)),
        Argument::Database => (
            Rule::DatabaseNumber,
            Some(other_database(request, 1).then_some(1)?),
        ),
        Argument::CopyDatabase => (Rule::DatabaseNumber, Some(copied_to(request)?)),
        Argument::Increment(at) => (counter(request.argument(at)?)?, Some(at)),
        Argument::SettingsRead => (Rule::ServerSetting, Some(unknown_setting(request, 1)?)),
        Argument::SettingsChanged => (Rule::ServerSetting, Some(unknown_setting(request, 2)?)),
        Argument::Redirect => (
            Rule::TrackingRedirect,
            Some(position_of(request, 2, b"REDIRECT")?),
        ),
        Argument::Unlink => (Rule::BlockingUnlink, None),
    };
    Some(Fault { rule, shown })
}

/// The position of an identifier with milliseconds and sequence: behind the key and XADD's options.
fn explicit_id(request: &Request<'_>) -> Option<usize> {
    let mut words = request.arguments().enumerate().skip(2);
    while let Some((at, word)) = words.next() {
        let values = match () {
            () if any_of(word, &[b"NOMKSTREAM", b"KEEPREF", b"DELREF", b"ACKED"]) => 0,
            // The threshold may have a sign of its own before it.
            () if any_of(word, &[b"MAXLEN", b"MINID"]) => {
                let (_, next) = words.next()?;
                usize::from(next == b"=" || next == b"~")
            }
            () if any_of(word, &[b"LIMIT", b"IDMPAUTO"]) => 1,
            () if any_of(word, &[b"IDMP"]) => 2,
            () => return is_complete_id(word).then_some(at),
        };
        if values > 0 {
            words.nth(values - 1)?;
        }
    }
    None
}

fn is_complete_id(id: &[u8]) -> bool {
    let is_number = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    memchr::memchr(b'-', id).is_some_and(|at| is_number(&id[..at]) && is_number(&id[at + 1..]))
}

fn other_database(request: &Request<'_>, at: usize) -> bool {
    request
        .argument(at)
        .and_then(number)
        .is_some_and(|number| number != 0)
}

fn copied_to(request: &Request<'_>) -> Option<usize> {
    let at = position_of(request, 3, b"DB")? + 1;
    other_database(request, at).then_some(at)
}

fn counter(argument: &[u8]) -> Option<Rule> {
    let magnitude = number(argument)?.unsigned_abs();
    if magnitude >= COUNTER_MAX {
        Some(Rule::CounterOverflow)
    } else if magnitude >= COUNTER_NEAR {
        Some(Rule::CounterNearLimit)
    } else {
        None
    }
}

fn unknown_setting(request: &Request<'_>, step: usize) -> Option<usize> {
    request
        .arguments()
        .enumerate()
        .skip(2)
        .step_by(step)
        .find(|(_, name)| !support::knows_setting(name))
        .map(|(at, _)| at)
}

fn position_of(request: &Request<'_>, from: usize, wanted: &[u8]) -> Option<usize> {
    request
        .arguments()
        .skip(from)
        .position(|word| word.eq_ignore_ascii_case(wanted))
        .map(|at| at + from)
}

fn any_of(word: &[u8], options: &[&[u8]]) -> bool {
    options
        .iter()
        .any(|option| word.eq_ignore_ascii_case(option))
}

fn number(argument: &[u8]) -> Option<i64> {
    std::str::from_utf8(argument).ok()?.parse().ok()
}
