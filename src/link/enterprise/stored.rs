//! A source that is a Redis Enterprise database: its cluster knows its URL and where its shards are in their streams. How
//! old its word about them may be is not documented, which is one more reason for markers.
//!
//! Which shard holds which key is not asked: how such a database hashes keys is a setting with several forms. Instead,
//! markers of [`MARKERS_A_SHARD`] times as many names as it has shards are written, of which every shard gets some.

use serde_json::Value;

use super::client::{Client, Patience};
use super::database::{Database, find, look};
use super::failure::Error;
use super::lenient::{number, text};
use super::settings::{Api, SourceServer};
use crate::link::ShardPosition;
use crate::link::marker::MARKER_KEY;
use crate::terms::ReplOffset;

/// Markers for each shard: with names spread by chance, one shard of a hundred goes without in one of 10¹² cutovers.
const MARKERS_A_SHARD: u64 = 32;

/// The database, and the way to its cluster.
#[derive(Debug)]
pub(super) struct Stored {
    /// Its name, uid or guid.
    name: String,
    /// Its cluster; none for the target's own.
    cluster: Option<Client>,
    /// What is known of it, once it is found.
    uid: Option<u64>,
}

impl Stored {
    pub(super) fn new(name: String, cluster: Option<Api>) -> Stored {
        Stored {
            name,
            cluster: cluster.map(Client::new),
            uid: None,
        }
    }

    /// Whether it is on the target's own cluster.
    pub(super) fn is_beside_the_target(&self) -> bool {
        self.cluster.is_none()
    }

    /// What its cluster says of it.
    pub(super) async fn look(&mut self, target: &mut Client) -> Result<Database, Error> {
        let client = self.cluster.as_mut().unwrap_or(target);
        let database = match self.uid {
            Some(uid) => look(client, uid, Patience::None).await?,
            None => find(client, &self.name, Patience::None)
                .await?
                .ok_or_else(|| Error::NoSuchDatabase {
                    api: client.name().to_owned(),
                    wanted: self.name.clone(),
                })?,
        };
        self.uid = Some(database.uid);
        Ok(database)
    }

    /// How the target's cluster finds it: at its first endpoint, as the internal user.
    pub(super) async fn server(&mut self, target: &mut Client) -> Result<SourceServer, Error> {
        let mut database = self.look(target).await?;
        let password = database.internal_password.take().ok_or_else(|| {
            self.not_told(
                target,
                "its internal password (authentication_admin_pass), which the user of its section must be allowed to see",
            )
        })?;
        let (host, port) = database
            .endpoints
            .into_iter()
            .next()
            .ok_or_else(|| self.not_told(target, "its endpoint"))?;
        Ok(SourceServer::of_database(host, port, password))
    }

    /// Where its shards are. None unless each says in which stream: one that is alone may leave that out, where the target
    /// follows a single stream, `only_stream`.
    pub(super) async fn position(
        &mut self,
        target: &mut Client,
        only_stream: Option<&str>,
    ) -> Result<Option<Vec<ShardPosition>>, Error> {
        let uid = match self.uid {
            Some(uid) => uid,
            None => self.look(target).await?.uid,
        };
        let path = format!(
            "/v1/bdbs/{uid}/shards?extra_info_keys=master_repl_offset&extra_info_keys=master_replid"
        );
        let client = self.cluster.as_mut().unwrap_or(target);
        let shards = client.get(&path, Patience::None).await?;
        Ok(positions(&shards, only_stream))
    }

    /// The names of its markers.
    pub(super) async fn marker_keys(&mut self, target: &mut Client) -> Result<Vec<String>, Error> {
        let database = self.look(target).await?;
        let shards = database
            .shards
            .ok_or_else(|| self.not_told(target, "its number of shards"))?;
        Ok((0..shards.max(1) * MARKERS_A_SHARD)
            .map(|at| format!("{MARKER_KEY}:{{{at}}}"))
            .collect())
    }

    fn not_told(&self, target: &Client, what: &'static str) -> Error {
        Error::NotTold {
            api: self.cluster.as_ref().unwrap_or(target).name().to_owned(),
            database: self.name.clone(),
            what,
        }
    }
}

/// What a cluster passes on of its shards: of every master, id and offset.
fn positions(shards: &Value, only_stream: Option<&str>) -> Option<Vec<ShardPosition>> {
    let masters: Vec<&Value> = shards
        .as_array()?
        .iter()
        .filter(|shard| text(shard, "role").as_deref() == Some("master"))
        .collect();
    let alone = masters.len() == 1;
    let position = |shard: &&Value| {
        let info = shard.get("redis_info")?;
        let told = text(info, "master_replid");
        Some(ShardPosition {
            replication_id: told.or_else(|| only_stream.filter(|_| alone).map(str::to_owned))?,
            offset: ReplOffset(number(info, "master_repl_offset")?),
        })
    };
    let positions: Option<Vec<_>> = masters.iter().map(position).collect();
    positions.filter(|positions| !positions.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shard(role: &str, info: &Value) -> Value {
        json!({"uid": "1", "role": role, "redis_info": info})
    }

    fn told(shards: &[Value], only_stream: Option<&str>) -> Option<Vec<(String, u64)>> {
        let positions = positions(&json!(shards), only_stream)?;
        let pair = |shard: ShardPosition| (shard.replication_id, shard.offset.0);
        Some(positions.into_iter().map(pair).collect())
    }

    #[test]
    fn every_master_tells_its_stream_and_offset_and_replicas_do_not_count() {
        let whole = |id: &str| json!({"master_replid": id, "master_repl_offset": "7"});
        let shards = [
            shard("master", &whole("a")),
            shard("slave", &whole("x")),
            shard("master", &whole("b")),
        ];
        let expected = vec![("a".to_owned(), 7), ("b".to_owned(), 7)];
        assert_eq!(told(&shards, None), Some(expected));
    }

    #[test]
    fn an_offset_without_its_stream_is_one_only_where_there_is_one() {
        let offset = json!({"master_repl_offset": 7});
        let alone = [shard("master", &offset)];
        assert_eq!(told(&alone, Some("a")), Some(vec![("a".to_owned(), 7)]));
        assert_eq!(told(&alone, None), None);
        let two = [shard("master", &offset), shard("master", &offset)];
        assert_eq!(told(&two, Some("a")), None);
        assert_eq!(told(&[], Some("a")), None);
        assert_eq!(told(&[shard("master", &json!({}))], Some("a")), None);
    }
}
