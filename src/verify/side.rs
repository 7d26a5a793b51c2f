//! One side as the comparison asks it: in one database at a time, in pipelines, on a connection that is opened again
//! where a reply was too large for it.

use std::time::Duration;

use crate::upstream::Server;
use crate::upstream::control::{Control, Error, Value};

/// How long one pipeline may take: a batch is a few MiB, so this is a server that hangs.
const PIPELINE_LIMIT: Duration = Duration::from_secs(30);

/// Keys in one pipeline of WATCH.
const WATCHED_AT_ONCE: usize = 512;

/// A request, as its arguments.
pub(super) type Request = Vec<Vec<u8>>;

/// A reply in a pipeline: the server's error text in its place.
pub(super) type Reply = Result<Value, String>;

/// A side.
#[derive(Debug)]
pub(super) struct Side {
    /// Where it is. Its database is the one that requests go to.
    server: Server,
    /// The connection.
    control: Control,
    /// How many there were before it.
    reopened: u64,
}

/// Keys that are watched, on the connection they are watched on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Watched {
    /// [`Side::reopened`] then.
    connection: u64,
}

/// What became of watched keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Touched {
    /// None was written to, whatever was written.
    None,
    /// At least one was, or may have been.
    Some,
    /// The server does not tell.
    Unknown,
}

impl Side {
    /// Connects. The connection asks the server not to take the comparison for use of the keys; one that does not know
    /// how counts it.
    pub(super) async fn connect(server: &Server) -> Result<Side, Error> {
        let mut control = Control::connect(server).await?;
        control
            .pipeline(&[request("CLIENT NO-TOUCH ON")], PIPELINE_LIMIT)
            .await?;
        Ok(Side {
            server: server.clone(),
            control,
            reopened: 0,
        })
    }

    /// Sends all that follows to this database.
    pub(super) async fn select(&mut self, database: u32) -> Result<(), Error> {
        if database == self.server.database {
            return Ok(());
        }
        self.reopen_if_needed().await?;
        // A connection that is opened again goes to the new database by itself.
        self.server.database = database;
        let number = database.to_string();
        self.control
            .call(&[b"SELECT", number.as_bytes()], PIPELINE_LIMIT)
            .await?;
        Ok(())
    }

    /// One request and its reply.
    pub(super) async fn call(&mut self, arguments: &[&[u8]]) -> Result<Value, Error> {
        self.reopen_if_needed().await?;
        self.control.call(arguments, PIPELINE_LIMIT).await
    }

    /// Several requests and their replies, in order.
    pub(super) async fn pipeline(&mut self, requests: &[Request]) -> Result<Vec<Reply>, Error> {
        self.reopen_if_needed().await?;
        self.control.pipeline(requests, PIPELINE_LIMIT).await
    }

    /// Has the server watch these keys; none where it does not.
    pub(super) async fn watch(&mut self, keys: &[Vec<u8>]) -> Result<Option<Watched>, Error> {
        let mut all = true;
        for keys in keys.chunks(WATCHED_AT_ONCE) {
            let requests: Vec<Request> =
                keys.iter().map(|key| request_with("WATCH", key)).collect();
            all &= self.pipeline(&requests).await?.iter().all(Result::is_ok);
        }
        let connection = self.reopened;
        Ok(all.then_some(Watched { connection }))
    }

    /// Ends the watch.
    pub(super) async fn touched(&mut self, watched: Option<Watched>) -> Result<Touched, Error> {
        let requests = [request("MULTI"), request("EXEC"), request("UNWATCH")];
        let replies = self.pipeline(&requests).await?;
        Ok(match (watched, replies.as_slice()) {
            // A new connection watches nothing.
            (Some(watched), _) if watched.connection != self.reopened => Touched::Some,
            (Some(_), [Ok(_), Ok(Value::Array(_)), _]) => Touched::None,
            (Some(_), [Ok(_), Ok(Value::Null), _]) => Touched::Some,
            (Some(_) | None, _) => Touched::Unknown,
        })
    }

    async fn reopen_if_needed(&mut self) -> Result<(), Error> {
        if !self.control.usable() {
            let reopened = self.reopened + 1;
            *self = Side::connect(&self.server).await?;
            self.reopened = reopened;
        }
        Ok(())
    }

    /// An error reply in a pipeline that must not be passed over.
    pub(super) fn refused(&self, command: &str, text: String) -> Error {
        Error::Refused {
            server: self.server.name.clone(),
            command: command.to_owned(),
            text,
        }
    }

    /// A reply that is not what the command gives.
    pub(super) fn unexpected(&self, command: &str) -> Error {
        Error::Unexpected {
            server: self.server.name.clone(),
            command: command.to_owned(),
            reason: "a reply of another shape".to_owned(),
        }
    }
}

/// A request out of words, with a key behind them.
pub(super) fn request_with(words: &str, key: &[u8]) -> Request {
    let mut request = request(words);
    request.push(key.to_vec());
    request
}

/// A request out of words.
pub(super) fn request(words: &str) -> Request {
    words
        .split(' ')
        .map(|word| word.as_bytes().to_vec())
        .collect()
}

/// The bulk strings of an array; what is not one is left out.
pub(super) fn bulks(value: Value) -> Vec<Vec<u8>> {
    match value {
        Value::Array(items) => items
            .into_iter()
            .filter_map(|item| match item {
                Value::Bulk(bytes) => Some(bytes),
                Value::Simple(_) | Value::Integer(_) | Value::Array(_) | Value::Null => None,
            })
            .collect(),
        Value::Bulk(_) | Value::Simple(_) | Value::Integer(_) | Value::Null => Vec::new(),
    }
}
