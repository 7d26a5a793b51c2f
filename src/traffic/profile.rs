//! What kind of database the target is, and so which rules apply.

/// The kind of the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Profile {
    /// Redis, Valkey, or a server like them: what it can do is what its `COMMAND` lists.
    Redis,
    /// A Redis Enterprise database in one place. Taken for a sharded one: a database of one shard is more lenient, and
    /// may become sharded any day.
    Enterprise,
    /// A Redis Enterprise Active-Active database.
    ActiveActive,
}

impl Profile {
    /// As the configuration and the report write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Profile::Redis => "redis",
            Profile::Enterprise => "enterprise",
            Profile::ActiveActive => "active_active",
        }
    }

    /// What such a database is called in a sentence.
    pub(super) const fn described(self) -> &'static str {
        match self {
            Profile::Redis => "the target",
            Profile::Enterprise => "Redis Enterprise",
            Profile::ActiveActive => "an Active-Active database",
        }
    }
}
