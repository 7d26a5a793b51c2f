//! The file of a unix socket: who may connect, and that it is gone when nobody listens any more.
//!
//! Refuses to know: what comes over the socket.

use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

/// Whose a socket file is; what is not named stays what the system makes it: this process's user and group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Owner {
    /// The number of the user.
    pub user: Option<u32>,
    /// The number of the group.
    pub group: Option<u32>,
}

/// A socket file by name and identity, so that a successor's file is not removed in place of ours. Dropping it removes
/// the file.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl SocketFile {
    /// Binds a socket to the path, and gives the file its owner and mode. The caller listens after that: before it nobody
    /// can connect, so nobody slips in under the permissions that the umask left.
    pub(super) fn bind(path: &Path, mode: u32, owner: Owner) -> io::Result<(Socket, SocketFile)> {
        remove_stale(path)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.bind(&SockAddr::unix(path)?)?;
        let file = SocketFile::of(path)?;
        file.give_to(owner)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
        Ok((socket, file))
    }

    fn of(path: &Path) -> io::Result<SocketFile> {
        let metadata = std::fs::symlink_metadata(path)?;
        Ok(SocketFile {
            path: path.to_owned(),
            device: metadata.dev(),
            inode: metadata.ino(),
        })
    }

    fn give_to(&self, owner: Owner) -> io::Result<()> {
        if owner == Owner::default() {
            return Ok(());
        }
        lchown(&self.path, owner.user, owner.group).map_err(|error| {
            let text = format!(
                "cannot give {} to its owner: {error} (only root gives files away; a group can be one that this process \
                 is a member of)",
                self.path.display()
            );
            io::Error::new(error.kind(), text)
        })
    }
}

impl Drop for SocketFile {
    /// Best effort: the listener is going away in any case, and the next start replaces a stale file.
    fn drop(&mut self) {
        if std::fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == (self.device, self.inode))
        {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Removes the socket file of a process that is gone. Anything else that is in the way stays: a live socket, and
/// whatever is not a socket.
fn remove_stale(path: &Path) -> io::Result<()> {
    let is_socket = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type().is_socket(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !is_socket {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "the path exists and is not a socket",
        ));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)
        }
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "another process answers on this socket",
        )),
        Err(error) => Err(error),
    }
}
