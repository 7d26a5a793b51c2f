//! What can go wrong with a cluster. Every text says what happened to whom and what to do, and holds no secret.

use std::time::Duration;

/// What can go wrong with a cluster's API, or with what it is told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing was asked: there is no connection.
    #[error("{api} cannot be reached: {reason}")]
    Unreachable {
        /// The API, as `host:port`.
        api: String,
        /// Why.
        reason: String,
    },
    /// It was asked, and no answer came: the order may have been carried out.
    #[error("{api} did not answer {call}: {reason}")]
    NoAnswer {
        /// The API, as `host:port`.
        api: String,
        /// Method and path.
        call: String,
        /// Why.
        reason: String,
    },
    /// It is busy with another change, or its leader is changing; asking again may help.
    #[error("{api} put off {call} ({status}: {words}); tried for {tried_for:?}")]
    Busy {
        /// The API, as `host:port`.
        api: String,
        /// Method and path.
        call: String,
        /// 409 or 503.
        status: u16,
        /// Its own words.
        words: String,
        /// For how long it has been asked.
        tried_for: Duration,
    },
    /// It does not take the credentials.
    #[error(
        "{api} does not take the user name or the password of its section: check username and password_file"
    )]
    Credentials {
        /// The API, as `host:port`.
        api: String,
    },
    /// The user may not do that.
    #[error(
        "{api}: the user may not {call}: it needs the role db_member, or db_viewer where nothing is changed"
    )]
    Forbidden {
        /// The API, as `host:port`.
        api: String,
        /// Method and path.
        call: String,
    },
    /// It does not have what is asked for.
    #[error("{api} has no {call}")]
    Absent {
        /// The API, as `host:port`.
        api: String,
        /// Method and path.
        call: String,
    },
    /// It said no.
    #[error("{api} refused {call} ({status}): {words}")]
    Refused {
        /// The API, as `host:port`.
        api: String,
        /// Method and path.
        call: String,
        /// The HTTP status.
        status: u16,
        /// Its own words.
        words: String,
    },
    /// It leads to where the credentials do not go.
    #[error(
        "{api} redirects {call} to a place that is not asked: {why}; set api to the cluster's leading node, or handle_redirects on the cluster"
    )]
    Redirected {
        /// The API, as `host:port`.
        api: String,
        /// Method and path.
        call: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The answer is not what the documentation says.
    #[error("{api}: the answer to {call} cannot be read: {reason}")]
    Strange {
        /// The API, as `host:port`.
        api: String,
        /// Method and path.
        call: String,
        /// What was expected and what came.
        reason: String,
    },
    /// No database has that name, uid or guid.
    #[error(
        "{api} has no database {wanted:?}: check `database`, or create it (its name, uid or guid)"
    )]
    NoSuchDatabase {
        /// The API, as `host:port`.
        api: String,
        /// What was looked for.
        wanted: String,
    },
    /// Several databases answer to it.
    #[error(
        "{api} has several databases {wanted:?} (uids {uids}): give the uid of the one that is meant"
    )]
    SeveralDatabases {
        /// The API, as `host:port`.
        api: String,
        /// What was looked for.
        wanted: String,
        /// Theirs.
        uids: String,
    },
    /// A database does not tell what is needed of it.
    #[error("{api}: database {database} does not tell {what}")]
    NotTold {
        /// The API, as `host:port`.
        api: String,
        /// Its name.
        database: String,
        /// What.
        what: &'static str,
    },
    /// A long piece of work failed.
    #[error("{api}: {work} failed: {words}")]
    WorkFailed {
        /// The API, as `host:port`.
        api: String,
        /// Which.
        work: &'static str,
        /// The cluster's own words.
        words: String,
    },
    /// A long piece of work did not end in time; the cluster goes on with it.
    #[error("{api}: {work} has not ended within {limit:?} ({state}); see the cluster's console")]
    WorkUnfinished {
        /// The API, as `host:port`.
        api: String,
        /// Which.
        work: &'static str,
        /// The limit.
        limit: Duration,
        /// What it said last.
        state: String,
    },
    /// More sources than a database takes.
    #[error(
        "{count} sources are given, and a database takes {limit}: give the masters of fewer shards, or merge shards"
    )]
    TooManySources {
        /// Given.
        count: usize,
        /// Taken.
        limit: usize,
    },
    /// A source of the replication cannot be written as a URL.
    #[error(
        "the source {source_name} is on a unix socket, which a cluster cannot reach: set its replication_address"
    )]
    NoSourceAddress {
        /// The source's name.
        source_name: String,
    },
    /// No key was found that a shard of the source owns.
    #[error("{server} owns none of the keys that were tried for a marker: does it hold slots?")]
    NoMarkerKey {
        /// The server.
        server: String,
    },
    /// A source answers with something else than it should.
    #[error("{server} does not tell its replication id and offset")]
    NoPosition {
        /// The server.
        server: String,
    },
    /// A source that is given by a URL is a Redis Enterprise database: through its endpoint its shards cannot be told.
    #[error(
        "{server} is a Redis Enterprise database, whose endpoint does not tell its shards apart: name it as \
         source_database, with [link.enterprise.source_cluster] where that is another cluster"
    )]
    SourceIsStored {
        /// The server.
        server: String,
    },
    /// A source server is a replica, which is not what the application writes to.
    #[error("{server} is a replica of {of}: give the masters in source_url")]
    SourceIsReplica {
        /// The server.
        server: String,
        /// Whom it follows.
        of: String,
    },
}

impl Error {
    /// Whether the cluster was not reached, or its answer was lost: what was asked of it may be asked again.
    pub(super) fn is_lost(&self) -> bool {
        matches!(self, Error::Unreachable { .. } | Error::NoAnswer { .. })
    }
}
