//! The closed sets that labels come from, so that no label can grow with what clients send.

/// An enum whose variants are label values: its name in the text format, and its place in an array of counters.
macro_rules! label {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident => $text:literal,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$doc])* $variant,)+
        }

        impl $name {
            /// Every value, in the order of [`Self::index`].
            pub const ALL: &'static [$name] = &[$($name::$variant,)+];

            /// The value as it stands in the metrics.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $($name::$variant => $text,)+
                }
            }

            /// Position in [`Self::ALL`].
            #[must_use]
            pub const fn index(self) -> usize {
                self as usize
            }
        }
    };
}

label! {
    /// What kind of command a request was; the words are those of the command table.
    ClassLabel {
        /// Only reads data.
        Read => "read",
        /// May write data.
        Write => "write",
        /// Concerns the server.
        Admin => "admin",
        /// Concerns the session alone.
        Session => "session",
        /// Concerns subscriptions.
        Subscribe => "subscribe",
        /// Looks at the server or its metadata.
        Inspect => "inspect",
    }
}

label! {
    /// Which way bytes went, seen from the proxy's upstream side.
    Direction {
        /// Requests.
        ToServer => "to_server",
        /// Replies.
        FromServer => "from_server",
    }
}

label! {
    /// Why an upstream connection did not serve.
    UpstreamError {
        /// It could not be made.
        Connect => "connect",
        /// The server closed it.
        Closed => "closed",
        /// The server's bytes were not RESP.
        Protocol => "protocol",
        /// It took longer than the limit.
        TimedOut => "timed_out",
        /// The server refused the handshake.
        Refused => "refused",
    }
}

label! {
    /// Why a client's connection was ended, or not let in.
    ClientError {
        /// Its bytes were not RESP.
        Protocol => "protocol",
        /// The listener has as many sessions as it may.
        TooManyClients => "too_many_clients",
        /// A bound of the session was passed.
        Limit => "limit",
        /// It went away with requests outstanding.
        Closed => "closed",
        /// The TLS handshake failed.
        Tls => "tls",
        /// Its session could not be carried across the cutover and was closed with an error.
        NotCarried => "not_carried",
    }
}

label! {
    /// How a cutover or a rollback ended.
    CutoverOutcome {
        /// The target is active.
        Committed => "committed",
        /// Nothing changed.
        Aborted => "aborted",
        /// The source is active again.
        RolledBack => "rolled_back",
    }
}

label! {
    /// How bad it is that the target takes a command differently.
    FindingSeverity {
        /// The target refuses it.
        Error => "error",
        /// It works less well.
        Warning => "warning",
    }
}
