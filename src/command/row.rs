//! One line of the built-in table: what servers say about a command, before `policy.rs` has decided anything.

use super::flags::Flags;
use super::keys::Keys;

/// A command as servers describe it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    /// Upper case; a subcommand follows its container after one space.
    pub(super) name: &'static str,
    /// Number of arguments with the name; negative: at least so many.
    pub(super) arity: i16,
    /// What servers flag it as; a write where any of them says so.
    pub(super) flags: Flags,
    /// Where its keys are.
    pub(super) keys: Keys,
}

pub(super) const fn row(name: &'static str, arity: i16, flags: u16, keys: Keys) -> Row {
    Row {
        name,
        arity,
        flags: Flags(flags),
        keys,
    }
}

/// Keys at `first`, `first + step`, … up to `last`, counted from the end where it is negative.
pub(super) const fn range(first: u8, last: i8, step: u8) -> Keys {
    Keys::Range { first, last, step }
}

/// The number of keys at `position`, the keys behind it.
pub(super) const fn counted(position: u8) -> Keys {
    Keys::Counted {
        position,
        step: 1,
        target: false,
    }
}

/// A key at 1 that the result is stored in; the number of keys at `position`, the keys behind it.
pub(super) const fn counted_after_target(position: u8) -> Keys {
    Keys::Counted {
        position,
        step: 1,
        target: true,
    }
}
