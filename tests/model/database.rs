//! The two databases, reduced to what the cutover depends on: the writes they hold, in order, whom they follow, and
//! whether they are closed to writers.

use handover::cutover::Millis;
use handover::terms::Side;

/// One write. Numbers grow in the order in which writes are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Write {
    /// Of a client, through the proxy.
    Client(u8),
    /// Of a writer that bypasses the proxy.
    Bypass(u8),
    /// The marker of the attempt with this number.
    Marker(u64),
}

/// One database.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Database {
    /// What it holds.
    pub(crate) data: Vec<Write>,
    pub(crate) role: Role,
    /// Names the full copy that it holds, while it follows the other.
    pub(crate) copy: u8,
    /// Until when it is closed to everybody who writes.
    pub(crate) fenced_until: Option<Millis>,
    /// Whether it follows nobody because an attempt told it so.
    pub(crate) freed_by: FreedBy,
}

/// Whom it follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    /// Nobody: it takes writes.
    Master,
    /// The other one: it refuses writes.
    Replica(Stream),
}

/// How far the following has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Stream {
    /// A full copy is under way; what was there before is gone.
    Copying,
    /// Write after write arrives.
    Flowing,
    /// The connection is cut; it goes on where it was, or with a full copy.
    Down,
}

/// Who ended a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum FreedBy {
    /// There was none, or an operator ended it, or somebody else.
    Others,
    /// An attempt.
    Attempt,
}

/// What became of a full copy's beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Copied {
    /// Nothing was replaced.
    Nothing,
    /// Everything that this side held.
    Everything,
}

impl Database {
    pub(crate) fn master() -> Database {
        Database {
            data: vec![],
            role: Role::Master,
            copy: 0,
            fenced_until: None,
            freed_by: FreedBy::Others,
        }
    }

    /// Whether a writer that is not a master of it is let in now.
    pub(crate) fn takes_writes(&self) -> bool {
        self.role == Role::Master && self.fenced_until.is_none()
    }

    pub(crate) fn free(&mut self, by: FreedBy) {
        if self.role != Role::Master || by == FreedBy::Others {
            self.role = Role::Master;
            self.freed_by = by;
        }
    }

    /// Starts over: what it holds is gone, and `copy` is on its way.
    pub(crate) fn begin_copy(&mut self, copy: u8) {
        self.data.clear();
        self.role = Role::Replica(Stream::Copying);
        self.copy = copy;
        self.freed_by = FreedBy::Others;
    }
}

/// `REPLICAOF` at `follower`: it goes on where it stands if the leader's history continues its own and a partial copy is
/// allowed, and is replaced otherwise.
pub(crate) fn follow(
    databases: &mut [Database; 2],
    follower: Side,
    partial: Partial,
    copy: u8,
) -> Copied {
    let leader = databases[follower.other().index()].data.clone();
    let own = &mut databases[follower.index()];
    if matches!(own.role, Role::Replica(_)) {
        return Copied::Nothing;
    }
    if partial == Partial::Allowed && leader.starts_with(&own.data) {
        own.role = Role::Replica(Stream::Flowing);
        own.copy = copy;
        own.freed_by = FreedBy::Others;
        return Copied::Nothing;
    }
    own.begin_copy(copy);
    Copied::Everything
}

/// Whether a follower may go on where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Partial {
    /// It has the leader's history up to a point.
    Allowed,
    /// It has a history of its own.
    Never,
}
