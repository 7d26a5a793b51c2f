//! Certificate files that are replaced while the process runs: noticed, and read once they have come to rest.
//!
//! Refuses to know: when to look, whom to tell.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use super::{Client, Error, Server};

/// The files of one end of TLS, looked at again and again. Connections that are made after a change use what the files
/// hold then; those that there are stay as they are.
#[derive(Debug)]
pub struct Watch {
    /// Whose files.
    end: End,
    /// As the files were when they were last read with success.
    loaded: Stamp,
    /// As they were at the last look.
    seen: Stamp,
    /// What was wrong with them at the last look, so that it is told once.
    told: Vec<Error>,
}

/// Whose files are watched.
#[derive(Debug, Clone)]
pub enum End {
    /// Those of TLS towards a server.
    Client(Arc<Client>),
    /// Those of TLS towards clients.
    Server(Arc<Server>),
}

/// What a look at the files came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sight {
    /// They are as they were, or not at rest yet, or as broken as was told before.
    Nothing,
    /// They were read; connections made from now on use what they hold.
    Reloaded,
    /// They cannot be used; what was read before stays.
    Broken(Vec<Error>),
}

/// What tells one state of some files from another, without reading them. A file that is absent has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp(Vec<Option<Seen>>);

/// One file. Its change time moves with every write and rename, also where the modification time is set back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Watch {
    /// Watches from the moment on at which the files were first read.
    pub fn new(end: End) -> Watch {
        let loaded = match &end {
            End::Client(client) => client.first_seen.clone(),
            End::Server(server) => server.first_seen.clone(),
        };
        Watch {
            end,
            seen: loaded.clone(),
            loaded,
            told: Vec::new(),
        }
    }

    /// Reads the files where they have changed, and have not changed any more since the look before: a certificate and
    /// its key are two files, and neither is written at once.
    pub fn look(&mut self) -> Sight {
        let now = self.end.stamp();
        let before = std::mem::replace(&mut self.seen, now.clone());
        if now == self.loaded {
            self.told.clear();
            Sight::Nothing
        } else if now == before {
            self.read(now)
        } else {
            Sight::Nothing
        }
    }

    /// Reads the files whether or not they have changed; what is wrong with them is told again.
    pub fn reload(&mut self) -> Sight {
        self.told.clear();
        let now = self.end.stamp();
        self.read(now)
    }

    /// `now` was taken before the files are read: what changes meanwhile is seen at the next look.
    fn read(&mut self, now: Stamp) -> Sight {
        match self.end.reload() {
            Ok(()) => {
                self.loaded = now;
                self.told.clear();
                Sight::Reloaded
            }
            Err(errors) if errors == self.told => Sight::Nothing,
            Err(errors) => {
                self.told.clone_from(&errors);
                Sight::Broken(errors)
            }
        }
    }
}

impl End {
    fn stamp(&self) -> Stamp {
        match self {
            End::Client(client) => client.files().stamp(),
            End::Server(server) => server.files().stamp(),
        }
    }

    fn reload(&self) -> Result<(), Vec<Error>> {
        match self {
            End::Client(client) => client.reload(),
            End::Server(server) => server.reload(),
        }
    }
}

impl Stamp {
    pub(super) fn of<'a>(files: impl IntoIterator<Item = &'a Path>) -> Stamp {
        Stamp(files.into_iter().map(Seen::of).collect())
    }
}

impl Seen {
    /// What a link leads to, since that is what is read.
    fn of(file: &Path) -> Option<Seen> {
        let metadata = std::fs::metadata(file).ok()?;
        Some(Seen {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}
