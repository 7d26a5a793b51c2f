//! What a server says about a command, as a set of bits. It is evidence; `policy.rs` decides.

/// Changes data.
pub(super) const WRITE: u16 = 1;
/// Reads data and changes none.
pub(super) const READONLY: u16 = 1 << 1;
/// Belongs to the server's administration.
pub(super) const ADMIN: u16 = 1 << 2;
/// In the ACL category `@dangerous`.
pub(super) const DANGEROUS: u16 = 1 << 3;
/// May keep its client waiting.
pub(super) const BLOCKING: u16 = 1 << 4;
/// Concerns publish and subscribe.
pub(super) const PUBSUB: u16 = 1 << 5;
/// Not allowed between MULTI and EXEC.
pub(super) const NO_MULTI: u16 = 1 << 6;
/// May have effects that travel over replication, without being flagged as a write. Servers newer than 6.2 do not
/// show it in `COMMAND`; `policy.rs` knows which commands have it.
pub(super) const MAY_REPLICATE: u16 = 1 << 7;

/// The flags of one command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(pub(super) u16);

impl Flags {
    /// From the words of a `COMMAND` reply, flags and ACL categories alike, in any case. Words that do not matter
    /// here are passed over.
    pub fn from_words<'a>(words: impl IntoIterator<Item = &'a [u8]>) -> Flags {
        Flags(words.into_iter().fold(0, |bits, word| bits | bit(word)))
    }

    /// Flagged as a write.
    pub const fn is_write(self) -> bool {
        self.has(WRITE)
    }

    /// Flagged as reading only.
    pub const fn is_readonly(self) -> bool {
        self.has(READONLY)
    }

    /// Flagged as administration.
    pub const fn is_admin(self) -> bool {
        self.has(ADMIN)
    }

    /// In the ACL category `@dangerous`.
    pub const fn is_dangerous(self) -> bool {
        self.has(DANGEROUS)
    }

    /// May keep its client waiting.
    pub const fn is_blocking(self) -> bool {
        self.has(BLOCKING)
    }

    /// Concerns publish and subscribe.
    pub const fn is_pubsub(self) -> bool {
        self.has(PUBSUB)
    }

    /// Not allowed between MULTI and EXEC.
    pub const fn is_no_multi(self) -> bool {
        self.has(NO_MULTI)
    }

    /// Its effects may travel over replication, though it is not flagged as a write.
    pub const fn is_may_replicate(self) -> bool {
        self.has(MAY_REPLICATE)
    }

    const fn has(self, bit: u16) -> bool {
        self.0 & bit != 0
    }
}

fn bit(word: &[u8]) -> u16 {
    const WORDS: [(&[u8], u16); 8] = [
        (b"write", WRITE),
        (b"readonly", READONLY),
        (b"admin", ADMIN),
        (b"@dangerous", DANGEROUS),
        (b"blocking", BLOCKING),
        (b"pubsub", PUBSUB),
        (b"no_multi", NO_MULTI),
        (b"may_replicate", MAY_REPLICATE),
    ];
    WORDS
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(word))
        .map_or(0, |(_, bit)| *bit)
}
