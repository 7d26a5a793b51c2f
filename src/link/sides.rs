//! What is asked of one side by itself: how much it holds, which process it is.
//!
//! Refuses to know: the link.

use super::connection::Connection;
use super::info::Info;
use crate::upstream::control::{Error, Value};

/// Keys in all databases.
pub(super) async fn key_count(connection: &mut Connection) -> Result<u64, Error> {
    let reply = connection.call(&["INFO", "keyspace"]).await?;
    Ok(Info::from_reply(&reply).keys())
}

/// Whether the database that is connected to holds nothing, by its own count: for servers that may leave the keyspace out of
/// `INFO`. One that also counts what was deleted is taken to hold something.
pub(super) async fn is_empty_by_size(connection: &mut Connection) -> Result<bool, Error> {
    match connection.call(&["DBSIZE"]).await? {
        Value::Integer(count) => Ok(count == 0),
        Value::Bulk(_) | Value::Simple(_) | Value::Array(_) | Value::Null => {
            Err(connection.unexpected("DBSIZE", "not a number"))
        }
    }
}

/// The identity of the server process, new with each start.
pub(super) async fn run_id(connection: &mut Connection) -> Result<Option<String>, Error> {
    let reply = connection.call(&["INFO", "server"]).await?;
    Ok(Info::from_reply(&reply).text("run_id").map(str::to_owned))
}
