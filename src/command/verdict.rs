//! What the classifier says about a request.

use super::Command;

/// A command's place in the table. Built-in commands keep theirs whatever a server adds, so counters can be indexed
/// by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommandId(pub u16);

impl CommandId {
    /// Every command that is not in the table.
    pub const UNKNOWN: CommandId = CommandId(u16::MAX);
}

/// What a command may do to the database. A listener that refuses writes lets through what may not write, and nothing
/// else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Reads data.
    Read,
    /// Reads data by a script that somebody else wrote. Its server keeps it from writing; not from the rest of what a
    /// script can do: reset statistics, or never end.
    Script,
    /// Changes data, or may: scripts, PUBLISH, and everything that nobody knows.
    Write,
    /// Changes or harms the server.
    Admin,
    /// Concerns only the session that sends it.
    Session,
    /// Subscribes or unsubscribes.
    Subscribe,
    /// Looks at the server without changing it.
    Inspect,
}

impl Class {
    /// All of them, for counters that are indexed by class.
    pub const ALL: [Class; 7] = [
        Class::Read,
        Class::Script,
        Class::Write,
        Class::Admin,
        Class::Session,
        Class::Subscribe,
        Class::Inspect,
    ];

    /// Whether a command of this class may change data or the server, by its server's word.
    pub const fn may_write(self) -> bool {
        match self {
            Class::Write | Class::Admin => true,
            Class::Read | Class::Script | Class::Session | Class::Subscribe | Class::Inspect => {
                false
            }
        }
    }

    /// The name as it appears in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            // For who counts, scripts that only read are reads.
            Class::Read | Class::Script => "read",
            Class::Write => "write",
            Class::Admin => "admin",
            Class::Session => "session",
            Class::Subscribe => "subscribe",
            Class::Inspect => "inspect",
        }
    }
}

/// What a command does to the session that sends it, or needs from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Nothing: any connection will do.
    None,
    /// AUTH: changes who the session is.
    Auth,
    /// HELLO: changes the protocol, perhaps who the session is and its name.
    Hello,
    /// SELECT: changes the database number.
    Select,
    /// RESET: the session is as new.
    Reset,
    /// QUIT: the session ends.
    Quit,
    /// MULTI: opens a transaction.
    Multi,
    /// EXEC: ends it, runs what was queued.
    Exec,
    /// DISCARD: ends it, drops what was queued.
    Discard,
    /// WATCH: the transaction to come depends on keys.
    Watch,
    /// UNWATCH: it no longer does.
    Unwatch,
    /// Keeps the session waiting, as written: [`super::blocking::time_limit`] says how long.
    Block,
    /// (P/S)SUBSCRIBE.
    Subscribe(Subscription),
    /// (P/S)UNSUBSCRIBE.
    Unsubscribe(Subscription),
    /// MONITOR: replies without end.
    Monitor,
    /// Changes the connection's state, or may: a private connection until the session ends or resets.
    Pin,
    /// A private connection for its duration.
    PinOnce,
    /// CLIENT SETINFO: the client library's name and version; remembered and replayed.
    LibraryInfo,
    /// CLIENT REPLY: some requests get no reply.
    ClientReply,
    /// CLIENT TRACKING: the server remembers what this session read.
    ClientTracking,
    /// CLIENT `MAINT_NOTIFICATIONS`: asks the server to send this client to other addresses when it moves, past the
    /// sidecar. Not to be passed on: the client takes "unknown subcommand" for a server that does not do this.
    MaintenanceNotices,
    /// SYNC, PSYNC: the connection becomes a replica's.
    Replicate,
    /// EVAL, `EVAL_RO`, SCRIPT LOAD: carries the source of a script, worth remembering. SCRIPT FLUSH: forgets them.
    Script,
    /// EVALSHA, `EVALSHA_RO`: names a script that the server must have.
    ScriptBySha,
    /// SCAN, HSCAN, SSCAN, ZSCAN: the cursor means something only to the side that gave it.
    Cursor,
    /// FUNCTION LIST: a server repeats a word that it does not know in its error. Newer ones (Valkey 8.1, Redis 8.2) do so
    /// without replacing line breaks, so that what follows such a break passes for replies, to others on the same lane.
    Echo,
    /// ASKING: holds for the next command on the same connection.
    Asking,
    /// POST or Host: — a browser; the session is closed, as Redis does.
    HttpRequest,
}

/// What a subscription is to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subscription {
    /// A channel by name.
    Channel,
    /// All channels that match a pattern.
    Pattern,
    /// A channel of a cluster's shard.
    Shard,
}

/// How many replies a command brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Replies {
    /// One.
    One,
    /// One for each argument behind the name: SUBSCRIBE.
    PerArgument,
    /// One for each argument behind the name; without any, one for each subscription, and one if there is none:
    /// UNSUBSCRIBE.
    PerArgumentOrSubscription,
    /// One, and then whatever the server sends: MONITOR, SYNC, PSYNC.
    Stream,
}

/// What the table says about one request.
#[derive(Debug, Clone, Copy)]
pub struct Verdict<'t> {
    /// Its command.
    pub id: CommandId,
    /// What it may do to the database, its arguments considered.
    pub class: Class,
    /// What it does to the session, its arguments considered.
    pub effect: Effect,
    /// The table's entry; none for an unknown command.
    pub command: Option<&'t Command>,
}

impl Verdict<'_> {
    /// About a command or subcommand that is not in the table. It may write; it may change the connection's state; it
    /// may keep others waiting.
    pub const UNKNOWN: Verdict<'static> = Verdict {
        id: CommandId::UNKNOWN,
        class: Class::Write,
        effect: Effect::Pin,
        command: None,
    };
}
