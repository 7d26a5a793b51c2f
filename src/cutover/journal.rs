//! What survives the process: an append-only file in the state directory, one JSON record a line, each with a number
//! and a checksum, and the lock that keeps a second process out.
//!
//! Refuses to know: what the records mean for the cutover ([`record`] does), when they are written.

mod line;
pub mod record;

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use self::line::Line;
pub use record::{Record, Resumed, ReversalSeen, Stage};

/// The journal's file in the state directory.
pub const FILE: &str = "journal";
/// The lock's file in the state directory.
pub const LOCK_FILE: &str = "lock";

/// A journal is some lines per attempt; one that is larger than this is not one of ours.
const BYTES_MAX: u64 = 64 << 20;

/// The journal, open and locked. Dropping it gives the lock back.
#[derive(Debug)]
pub struct Journal {
    /// The records.
    file: File,
    /// Where it is, for messages.
    path: PathBuf,
    /// Bytes of whole, flushed records. Invariant: the file is longer only between a failed append and its repair.
    length: u64,
    /// The number of the newest record, zero before the first.
    sequence: u64,
    /// Whether bytes behind `length` may be in the file.
    torn: bool,
    /// Holds the lock as long as it is open.
    _lock: File,
}

/// Why a journal cannot be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process uses the state directory.
    #[error(
        "another handover runs on the state directory {dir}: stop it, or give this one a state.dir of its own"
    )]
    Locked {
        /// The directory.
        dir: PathBuf,
    },
    /// The system refused.
    #[error(
        "cannot {what} {path}: {reason}: state.dir must be a directory that this process may write"
    )]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's words.
        reason: io::Error,
    },
    /// A line that is not the last is not what was written.
    #[error(
        "{path}, line {line}: {reason}: the journal says which database is active, and it is not guessed; restore the \
         file, or find out which database has the newest writes, move the file away, and start with that one as [source]"
    )]
    Broken {
        /// The file.
        path: PathBuf,
        /// Its number, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The journal tells of a migration between other databases.
    #[error(
        "{path} belongs to the migration from {source_name} to {target_name}: give the two their names back, or give this \
         migration a state.dir of its own"
    )]
    OtherPair {
        /// The file.
        path: PathBuf,
        /// The source it was written for.
        source_name: String,
        /// The target it was written for.
        target_name: String,
    },
}

impl Journal {
    /// Locks the state directory, which is made if need be, and reads what the last process left there. `source` and
    /// `target` are the names of the two databases.
    ///
    /// A last line without an end was being written when the process died: it is cut off. Blocks on the disk.
    pub fn open(dir: &Path, source: &str, target: &str) -> Result<(Journal, Resumed), Error> {
        std::fs::create_dir_all(dir).map_err(io_error("create", dir))?;
        let lock = lock(dir)?;
        let path = dir.join(FILE);
        let mut file = open_or_create(dir, &path)?;
        let bytes = read_whole(&mut file, &path)?;
        let whole = bytes
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        let found = replay(&bytes[..whole], &path)?;
        let journal = Journal {
            file,
            path,
            length: whole as u64,
            sequence: found.sequence,
            torn: whole < bytes.len(),
            _lock: lock,
        };
        journal.claim(found, source, target)
    }

    /// Puts a record on the disk. After an error it is not there, or the next append, in this process or after the next
    /// start, cuts off what is left of it if it is incomplete. Blocks on the disk.
    pub fn append(&mut self, record: &Record) -> Result<(), Error> {
        self.repair()?;
        let line = Line {
            sequence: self.sequence + 1,
            at_unix_ms: unix_ms(),
            record: record.clone(),
        };
        let bytes = line.encode();
        self.torn = true;
        let written = self
            .file
            .write_all(&bytes)
            .and_then(|()| self.file.sync_data());
        if let Err(reason) = written {
            // The caller will act as if the record were not there, so it should not be.
            let _ = self.repair();
            return Err(Error::Io {
                what: "write",
                path: self.path.clone(),
                reason,
            });
        }
        self.torn = false;
        self.length += bytes.len() as u64;
        self.sequence += 1;
        Ok(())
    }

    /// Cuts off what a failed append has left.
    fn repair(&mut self) -> Result<(), Error> {
        if !self.torn {
            return Ok(());
        }
        let cut = |file: &mut File, length| -> io::Result<()> {
            file.set_len(length)?;
            file.seek(SeekFrom::Start(length))?;
            file.sync_all()
        };
        cut(&mut self.file, self.length).map_err(io_error("repair", &self.path))?;
        self.torn = false;
        Ok(())
    }

    /// A journal at rest may serve another pair; one that tells of a migration may not.
    fn claim(
        mut self,
        found: Found,
        source: &str,
        target: &str,
    ) -> Result<(Journal, Resumed), Error> {
        self.repair()?;
        let ours = found
            .pair
            .as_ref()
            .is_some_and(|pair| pair.0 == source && pair.1 == target);
        if ours {
            return Ok((self, found.resumed));
        }
        if let (Some((source_name, target_name)), true) =
            (found.pair, found.resumed.stage != Stage::Idle)
        {
            return Err(Error::OtherPair {
                path: self.path,
                source_name,
                target_name,
            });
        }
        self.append(&Record::Opened {
            source: source.to_owned(),
            target: target.to_owned(),
        })?;
        Ok((self, found.resumed))
    }
}

/// What the lines of a journal come to.
#[derive(Debug)]
struct Found {
    resumed: Resumed,
    sequence: u64,
    /// Names of source and target.
    pair: Option<(String, String)>,
}

fn replay(whole_lines: &[u8], path: &Path) -> Result<Found, Error> {
    let mut found = Found {
        resumed: Resumed::FRESH,
        sequence: 0,
        pair: None,
    };
    let lines = whole_lines
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    for (index, bytes) in lines.enumerate() {
        let broken = |reason| Error::Broken {
            path: path.to_owned(),
            line: index + 1,
            reason,
        };
        let line = Line::decode(bytes).map_err(broken)?;
        let expected = found.sequence + 1;
        if line.sequence != expected {
            return Err(broken(format!(
                "record {} follows {}",
                line.sequence, found.sequence
            )));
        }
        found.sequence = expected;
        found.resumed = found.resumed.and_then(&line.record);
        if let Record::Opened { source, target } = line.record {
            found.pair = Some((source, target));
        }
    }
    Ok(found)
}

fn lock(dir: &Path) -> Result<File, Error> {
    let path = dir.join(LOCK_FILE);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(io_error("open", &path))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(Errno::WOULDBLOCK) => Err(Error::Locked {
            dir: dir.to_owned(),
        }),
        Err(errno) => Err(Error::Io {
            what: "lock",
            path,
            reason: errno.into(),
        }),
    }
}

/// Opens the file; a new one is on the disk, with its name, before anything is written to it.
fn open_or_create(dir: &Path, path: &Path) -> Result<File, Error> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(io_error("open", path))?;
    file.sync_all().map_err(io_error("flush", path))?;
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(io_error("flush", dir))?;
    Ok(file)
}

fn read_whole(file: &mut File, path: &Path) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    file.take(BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(io_error("read", path))?;
    if bytes.len() as u64 > BYTES_MAX {
        let reason = format!("larger than {BYTES_MAX} bytes, which no journal is");
        return Err(Error::Broken {
            path: path.to_owned(),
            line: 1,
            reason,
        });
    }
    Ok(bytes)
}

fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |reason| Error::Io { what, path, reason }
}

fn unix_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
