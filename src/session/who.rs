//! What a session has told the database about itself, and what that makes it on each side. This is the state that needs
//! no connection of its own: it is replayed on whatever connection serves the session next.

use super::CredentialMapping;
use super::mapping::{back_to_source, on_side};
use crate::resp::encode::Protocol;
use crate::terms::{Identity, Side};
use crate::upstream::{LaneKey, Server, Setup};

/// Who a session is, as its client said.
#[derive(Debug, Clone)]
pub(super) struct Who {
    /// What it authenticated with; none where the proxy's own identity serves it.
    pub(super) identity: Option<Identity>,
    /// What it speaks.
    pub(super) protocol: Protocol,
    /// Where it stands.
    pub(super) database: u32,
    /// `CLIENT SETINFO` attributes, in the order they came.
    pub(super) library: Vec<(Vec<u8>, Vec<u8>)>,
    /// `CLIENT SETNAME` or `HELLO … SETNAME`.
    pub(super) name: Option<Vec<u8>>,
}

impl Who {
    /// A session of a listener where each client authenticates itself.
    pub(super) fn client() -> Who {
        Who::new(Some(Identity::Anonymous), 0)
    }

    /// A session that is served as the proxy.
    pub(super) fn proxy(database: u32) -> Who {
        Who::new(None, database)
    }

    fn new(identity: Option<Identity>, database: u32) -> Who {
        Who {
            identity,
            protocol: Protocol::Resp2,
            database,
            library: Vec::new(),
            name: None,
        }
    }

    /// The lane that serves it on `server`'s side.
    pub(super) fn lane(&self, server: &Server, credentials: &[CredentialMapping]) -> LaneKey {
        let identity = match &self.identity {
            None => server.identity.clone(),
            Some(identity) => on_side(identity, server.side, credentials),
        };
        LaneKey {
            side: server.side,
            setup: Setup {
                identity,
                protocol: self.protocol,
                database: self.database,
                library: self.library.clone(),
                name: self.name.clone(),
            },
        }
    }
}

/// The key that serves on `other`'s side whoever is served by `key` now: for connections that are opened ahead.
pub(super) fn twin(
    key: &LaneKey,
    from: &Server,
    other: &Server,
    credentials: &[CredentialMapping],
) -> LaneKey {
    let own = key.setup.identity == from.identity && from.identity != Identity::Anonymous;
    let identity = if own {
        other.identity.clone()
    } else {
        match key.side {
            Side::Source => on_side(&key.setup.identity, other.side, credentials),
            Side::Target => back_to_source(&key.setup.identity, credentials),
        }
    };
    LaneKey {
        side: other.side,
        setup: Setup {
            identity,
            ..key.setup.clone()
        },
    }
}
