//! A real `redis-server` of the demo's own: on a free port, in a directory of the demo, keeping nothing.
//!
//! Refuses to know: which of the two sides it is, beyond a name for messages.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, interval};

use super::Error;
use super::client::{Client, Failure, text};
use super::process::{Process, free_address};

/// How long a server may take until it answers.
const START_LIMIT: Duration = Duration::from_secs(10);
/// Time between two looks at a server that is starting.
const START_POLL: Duration = Duration::from_millis(10);
/// Another process may take the free port first; so often that is tried again.
const START_ATTEMPTS: usize = 5;

/// A running server. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Server {
    name: &'static str,
    address: SocketAddr,
    process: Process,
}

impl Server {
    /// Starts one, with its files in `directory`, and waits until it answers.
    pub(super) async fn start(name: &'static str, directory: &Path) -> Result<Server, Error> {
        let mut reason = String::new();
        for _ in 0..START_ATTEMPTS {
            let mut server = Server::spawn(name, directory)?;
            match server.answers().await {
                Ok(()) => return Ok(server),
                Err(why) => reason = format!("{why}\n{}", server.process.log_tail()),
            }
        }
        Err(Error::Server { name, reason })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// A connection of the demo's own to it, past the sidecar.
    pub(super) async fn connect(&self) -> Result<Client, Error> {
        Client::connect(self.address)
            .await
            .map_err(|failure| self.error(&failure))
    }

    /// A failed request of the demo's own, as an error of the demo.
    pub(super) fn error(&self, failure: &Failure) -> Error {
        Error::Server {
            name: self.name,
            reason: failure.to_string(),
        }
    }

    /// Ends it.
    pub(super) async fn end(self) {
        self.process.end().await;
    }

    fn spawn(name: &'static str, directory: &Path) -> Result<Server, Error> {
        let address = free_address().map_err(|source| Error::Machine {
            what: "find a free port",
            source,
        })?;
        let port = address.port().to_string();
        let directory_text = directory.to_string_lossy();
        #[rustfmt::skip]
        let arguments = [
            "--port", &port, "--bind", "127.0.0.1", "--dir", &directory_text,
            "--save", "", "--appendonly", "no", "--dbfilename", &format!("{name}.rdb"),
            // Replicas are served at once, not after the usual wait for more of them.
            "--repl-diskless-sync-delay", "0",
        ];
        let log = directory.join(format!("{name}.log"));
        let process = Process::start(Path::new("redis-server"), arguments, log).map_err(
            |source| match source.kind() {
                io::ErrorKind::NotFound => Error::RedisServerMissing,
                _ => Error::Machine {
                    what: "start redis-server",
                    source,
                },
            },
        )?;
        Ok(Server {
            name,
            address,
            process,
        })
    }

    /// Waits until *this* process answers at its port: an answer by another's server there is none.
    async fn answers(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + START_LIMIT;
        let mut poll = interval(START_POLL);
        while Instant::now() < deadline {
            poll.tick().await;
            if let Some(status) = self.process.ended() {
                return Err(format!("ended ({status})"));
            }
            let Ok(mut client) = Client::connect(self.address).await else {
                continue;
            };
            let Ok(info) = client.call(&["INFO", "server"]).await else {
                continue;
            };
            let own = self.process.id().map(|id| format!("process_id:{id}"));
            if text(&info)
                .unwrap_or_default()
                .lines()
                .any(|line| Some(line) == own.as_deref())
            {
                return Ok(());
            }
        }
        Err(format!("did not answer within {START_LIMIT:?}"))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A server with a directory of its own, for the tests of this room.
    pub(crate) struct OneServer {
        pub(crate) server: Server,
        _directory: tempfile::TempDir,
    }

    impl OneServer {
        pub(crate) fn address(&self) -> SocketAddr {
            self.server.address()
        }
    }

    pub(crate) async fn one_server() -> OneServer {
        let directory = tempfile::tempdir().unwrap();
        let server = Server::start("source", directory.path()).await.unwrap();
        OneServer {
            server,
            _directory: directory,
        }
    }

    #[tokio::test]
    async fn a_server_is_gone_once_it_has_ended() {
        let OneServer { server, _directory } = one_server().await;
        let address = server.address();
        server.connect().await.unwrap();
        server.end().await;
        assert!(Client::connect(address).await.is_err());
    }
}
