//! What can go wrong with an order to the link.

use super::enterprise;
use crate::upstream::control;

/// What can go wrong with an order to the link.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A server could not be asked, or refused.
    #[error(transparent)]
    Control(#[from] control::Error),
    /// Source and target are one server.
    #[error("source and target are the same server (same run_id)")]
    SameServer,
    /// Nothing tells whether source and target are one server.
    #[error("a server does not tell its run_id, so it cannot be told from the other")]
    NoRunId,
    /// The side that is to be copied is itself a replica.
    #[error("{server} is itself a replica of {of}: end that link first")]
    IsReplica {
        /// The server's name.
        server: String,
        /// Whom it follows, as `host:port`.
        of: String,
    },
    /// The link has ended, and the filled side may lack what it had applied.
    #[error(
        "when the link ended, a full copy had begun, or the position that was reached was gone"
    )]
    NotAppliedAtDetach,
    /// The other side cannot reach a unix socket.
    #[error(
        "{server} is configured by a unix socket: set its replication_address to the host:port at which the other side reaches it"
    )]
    NoReplicationAddress {
        /// The server's name.
        server: String,
    },
    /// The server that is to follow did not take what it needs to be let in.
    #[error("{server}: cannot set {setting} for the replication: {text}")]
    CannotHandOver {
        /// The server's name.
        server: String,
        /// The setting's name.
        setting: &'static str,
        /// The server's own text.
        text: String,
    },
    /// A server did not take back what was set on it for the replication.
    #[error("{server}: cannot set {setting} back to what it was before the replication: {text}")]
    CannotHandBack {
        /// The server's name.
        server: String,
        /// The setting's name.
        setting: &'static str,
        /// The server's own text.
        text: String,
    },
    /// The driver cannot do it.
    #[error("the {driver} link cannot {what}")]
    NotAble {
        /// The driver's name.
        driver: &'static str,
        /// What was asked of it.
        what: &'static str,
    },
    /// A Redis Enterprise cluster did not do what it was asked.
    #[error(transparent)]
    Enterprise(#[from] enterprise::Error),
    /// The configured hook did not succeed.
    #[error("the hook {program} failed: {reason}")]
    Hook {
        /// The program.
        program: String,
        /// How it ended.
        reason: String,
    },
}
