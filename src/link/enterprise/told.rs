//! What the preflight wants to know of a cluster. What it does not tell is none; what keeps it from telling at all is an
//! error.

use serde_json::Value;

use super::client::{Client, Patience};
use super::crdb::{self, Peers};
use super::database::Database;
use super::failure::Error;
use super::lenient::text;
use super::settings::SourceServer;
use super::sources::Source;
use super::{Enterprise, Told};
use crate::upstream::Server;

/// What a cluster tells.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools)] // independent facts, each with a rule of its own
pub(in crate::link) struct Findings {
    /// The API's address.
    pub(in crate::link) api: String,
    /// The target.
    pub(in crate::link) target: Database,
    /// The oldest version of its nodes: major, minor, patch.
    pub(in crate::link) version: Option<[u32; 3]>,
    /// The other instances of an Active-Active target, as this cluster sees them.
    pub(in crate::link) peers: Option<Peers>,
    /// The places of the sources that are, or would be, set; why they cannot be.
    pub(in crate::link) sources: Result<Vec<String>, Error>,
    /// The source, where it is a Redis Enterprise database that was looked up.
    pub(in crate::link) source: Option<Database>,
    /// Whether the source is read by an ACL user with a name.
    pub(in crate::link) named_user: bool,
    /// Whether the target is the source itself.
    pub(in crate::link) is_the_source: bool,
    /// Whether the replication is encrypted.
    pub(in crate::link) encrypted: bool,
    /// Whether positions of a replication that streams are told.
    pub(in crate::link) tells_positions: bool,
}

impl Enterprise {
    /// Asks for all of it.
    pub(in crate::link) async fn tell(&mut self, source: &Server) -> Result<Findings, Error> {
        let target = self.database(Patience::None).await?;
        let peers = match &target.guid {
            Some(guid) => crdb::peers(&mut self.cluster, guid).await?,
            None => None,
        };
        let version = version(&mut self.cluster).await?;
        let servers = self.source.servers(&mut self.cluster, source).await;
        let named_user = match (&self.source, &servers) {
            (Source::Stored(_), _) | (_, Err(_)) => false,
            (Source::One(_) | Source::Masters(_), Ok(servers)) => {
                servers.iter().any(SourceServer::names_a_user)
            }
        };
        let stored = match (&mut self.source, &servers) {
            (Source::Stored(stored), Ok(_)) => Some(stored.look(&mut self.cluster).await?),
            (Source::Stored(_) | Source::One(_) | Source::Masters(_), _) => None,
        };
        let is_the_source = servers.is_ok() && self.is_the_source(source).await?;
        let places = servers.map(|servers| {
            let place = |server: &SourceServer| server.endpoint().to_string();
            servers.iter().map(place).collect()
        });
        Ok(Findings {
            api: self.cluster.name().to_owned(),
            version,
            peers,
            sources: places,
            source: stored,
            named_user,
            is_the_source,
            encrypted: self.settings.source_tls.is_some(),
            tells_positions: self.told == Told::Positions,
            target,
        })
    }
}

/// The oldest version of the nodes; none where they are not told.
async fn version(client: &mut Client) -> Result<Option<[u32; 3]>, Error> {
    match client.get("/v1/nodes", Patience::None).await {
        Ok(nodes) => Ok(oldest(&nodes)),
        Err(Error::Absent { .. } | Error::Forbidden { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn oldest(nodes: &Value) -> Option<[u32; 3]> {
    let versions = nodes.as_array()?.iter().map(|node| {
        let text = text(node, "software_version")?;
        let mut parts = text
            .split(['.', '-'])
            .map(|part| part.parse::<u32>().unwrap_or(0));
        Some([parts.next()?, parts.next()?, parts.next().unwrap_or(0)])
    });
    versions.collect::<Option<Vec<_>>>()?.into_iter().min()
}

/// What a cluster tells that has this target, and nothing else.
#[cfg(test)]
pub(in crate::link) fn told_of(target: &Value) -> Findings {
    Findings {
        api: "cluster:9443".to_owned(),
        target: Database::read(target).expect("a database"),
        version: None,
        peers: None,
        sources: Ok(vec!["old:1".to_owned()]),
        source: None,
        named_user: false,
        is_the_source: false,
        encrypted: false,
        tells_positions: false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_version_is_that_of_the_oldest_node() {
        let node = |version: &str| json!({"uid": 1, "software_version": version});
        let nodes = json!([node("7.22.0-95"), node("6.4.2-94")]);
        assert_eq!(oldest(&nodes), Some([6, 4, 2]));
        assert_eq!(oldest(&json!([node("7.22.0"), {"uid": 2}])), None);
        assert_eq!(oldest(&json!([])), None);
        assert_eq!(oldest(&json!({})), None);
    }
}
