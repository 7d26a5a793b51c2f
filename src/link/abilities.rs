//! What a driver can do.

/// What a driver can do; the cutover asks before it promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // independent abilities, named at their use
pub struct Abilities {
    /// It can start the link by itself ([`prepare`](super::Link::prepare)).
    pub prepare: bool,
    /// How exactly it knows positions of both sides.
    pub positions: Positions,
    /// It can close the copied side to writers that bypass the proxy.
    pub fence: bool,
    /// It can end the link.
    pub detach: bool,
    /// How it can run the other way round.
    pub reverse: Reverse,
    /// How a person ends it without this process, for what people are told.
    pub end_by_hand: &'static str,
}

/// How a link can run the other way round, once it has ended in this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reverse {
    /// It cannot.
    No,
    /// The side that was left follows the other as its replica, whatever becomes of this process.
    AsReplica,
    /// This process copies back what changes, key by key. After a restart it begins by comparing everything.
    ByKeys,
}

/// How exactly a driver knows positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Positions {
    /// They prove by themselves that nothing is outstanding.
    Exact,
    /// They are not told by every version, or not known to be applied: a marker must prove it, and they in addition.
    BesideMarkers,
    /// Not at all: a marker proves it.
    Unknown,
}
