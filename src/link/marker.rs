//! Marker keys: written to the copied side, awaited on the filled side. They prove the whole way, whatever replicates.

use super::connection::Connections;
use super::{Direction, Error};
use crate::upstream::control;
use crate::upstream::control::Value;

/// The key of a cutover's marker.
pub const MARKER_KEY: &str = "__handover:marker";

/// The key by which a link without positions is observed.
pub(super) const PROBE_KEY: &str = "__handover:probe";

/// The key by which the end of a link without positions is watched.
pub(super) const WATCH_KEY: &str = "__handover:watch";

/// Markers go away by themselves: long after any cutover, soon enough that nobody finds them and wonders.
const EXPIRY_MS: &str = "600000";

/// Writes a marker to the copied side.
pub(super) async fn write(
    connections: &mut Connections,
    direction: Direction,
    key: &str,
    value: &str,
) -> Result<(), control::Error> {
    let copied = connections.of(direction.from);
    copied.call(&set(key, value)).await.map(|_| ())
}

/// The request that writes a marker.
pub(super) const fn set<'a>(key: &'a str, value: &'a str) -> [&'a str; 5] {
    ["SET", key, value, "PX", EXPIRY_MS]
}

/// Reads a marker from the filled side.
pub(super) async fn read(
    connections: &mut Connections,
    direction: Direction,
    key: &str,
) -> Result<Option<String>, control::Error> {
    let filled = connections.of(direction.to());
    match filled.call(&["GET", key]).await? {
        Value::Bulk(value) => Ok(Some(String::from_utf8_lossy(&value).into_owned())),
        Value::Null => Ok(None),
        Value::Simple(_) | Value::Integer(_) | Value::Array(_) => {
            Err(filled.unexpected("GET", "neither value nor null"))
        }
    }
}

/// Whether the marker on the filled side has this value.
pub(super) async fn seen(
    connections: &mut Connections,
    direction: Direction,
    value: &str,
) -> Result<bool, Error> {
    Ok(read(connections, direction, MARKER_KEY).await?.as_deref() == Some(value))
}
