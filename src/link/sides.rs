//! What is asked of one side by itself: how much it holds, which process it is.
//!
//! Refuses to know: the link.

use super::connection::Connection;
use super::info::Info;
use crate::upstream::control::Error;

/// Keys in all databases.
pub(super) async fn key_count(connection: &mut Connection) -> Result<u64, Error> {
    let reply = connection.call(&["INFO", "keyspace"]).await?;
    Ok(Info::from_reply(&reply).keys())
}

/// The identity of the server process, new with each start.
pub(super) async fn run_id(connection: &mut Connection) -> Result<Option<String>, Error> {
    let reply = connection.call(&["INFO", "server"]).await?;
    Ok(Info::from_reply(&reply).text("run_id").map(str::to_owned))
}
