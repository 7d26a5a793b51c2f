//! What the driver is told: which cluster, which database, where the data comes from.

use std::sync::Arc;

use hyper::header::HeaderValue;

use super::redirect::Place;
use crate::net::tls;
use crate::terms::Secret;

/// What `[link.enterprise]` says, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The cluster of the target.
    pub api: Api,
    /// The target, by name, uid or guid.
    pub database: String,
    /// How it is made where it does not exist.
    pub create: Option<Create>,
    /// Where the data comes from.
    pub sources: Sources,
    /// Of the replication: 0 (none) to 6.
    pub compression: u8,
    /// TLS of the replication; without it, it travels in the clear.
    pub source_tls: Option<SourceTls>,
}

/// A cluster's REST API, and who Handover is there.
#[derive(Debug, Clone)]
pub struct Api {
    /// Where it is.
    pub(super) place: Place,
    /// Its certificate. Whatever address a redirect names, this is what the far end must show.
    pub(super) tls: Arc<tls::Client>,
    /// The user's name.
    username: String,
    /// And password.
    password: Secret,
    /// Both, as a header says them.
    authorization: HeaderValue,
}

/// Where the data comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sources {
    /// The database of `[source]`, by its URL or its replication address.
    Configured,
    /// Servers by their URLs: one, which is that of `[source]`, or each master of a cluster.
    Servers(Vec<SourceServer>),
    /// A Redis Enterprise database, whose URL its cluster knows.
    Database {
        /// Its name, uid or guid.
        name: String,
        /// Its cluster; none for the target's own.
        cluster: Option<Api>,
    },
}

/// One server that is a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceServer {
    /// Name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// The user; none for the default one.
    pub user: Option<Secret>,
    /// Its password.
    pub password: Option<Secret>,
}

/// TLS between the source and the target's cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceTls {
    /// The source's certificate, PEM.
    pub server_cert: String,
    /// The certificate that the cluster shows to the source, PEM, and its key; none where its own syncer certificate does.
    pub client: Option<(String, Secret)>,
    /// The name that the source is asked for by (SNI).
    pub server_name: Option<String>,
}

/// How the Active-Active database is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Create {
    /// Bytes of memory of each instance.
    pub memory_bytes: u64,
    /// Shards of each instance; with one, the database is not sharded.
    pub shards: u32,
    /// The port of each instance; none lets the clusters choose.
    pub port: Option<u16>,
    /// What happens when memory is full, as the API names it.
    pub eviction: String,
    /// Whether the instances talk to each other over TLS.
    pub encryption: bool,
    /// The participating clusters, two or more.
    pub clusters: Vec<Participant>,
}

/// A cluster that takes part in an Active-Active database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Participant {
    /// Its fully qualified name.
    pub name: String,
    /// Its API, as the other clusters reach it.
    pub url: String,
    /// A user of the role Admin there.
    pub username: String,
    /// Its password.
    pub password: Secret,
}

impl Api {
    /// Checks that name and password can be sent; none where they cannot.
    pub fn new(
        host: &str,
        port: u16,
        tls: Arc<tls::Client>,
        username: String,
        password: Secret,
    ) -> Option<Api> {
        // A colon would end the name early (RFC 7617).
        if username.contains(':') {
            return None;
        }
        let pair = [username.as_bytes(), b":", password.expose()].concat();
        let mut authorization = HeaderValue::from_str(&format!("Basic {}", base64(&pair))).ok()?;
        authorization.set_sensitive(true);
        Some(Api {
            place: Place::new(host, port),
            tls,
            username,
            password,
            authorization,
        })
    }

    /// TLS to it, for reading its certificates again.
    pub fn tls(&self) -> &Arc<tls::Client> {
        &self.tls
    }

    pub(super) fn authorization(&self) -> HeaderValue {
        self.authorization.clone()
    }
}

impl PartialEq for Api {
    fn eq(&self, other: &Api) -> bool {
        let Api {
            place,
            tls,
            username,
            password,
            authorization: _,
        } = self;
        *place == other.place
            && tls.files() == other.tls.files()
            && *username == other.username
            && *password == other.password
    }
}

impl Eq for Api {}

impl Settings {
    /// The APIs that are asked.
    pub fn apis(&self) -> impl Iterator<Item = &Api> {
        let other = match &self.sources {
            Sources::Database { cluster, .. } => cluster.as_ref(),
            Sources::Configured | Sources::Servers(_) => None,
        };
        std::iter::once(&self.api).chain(other)
    }
}

/// The standard alphabet with padding (RFC 4648), for the one header that needs it.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let sextet = (bits >> (18 - 6 * place) & 63) as usize;
            text.push(if place <= chunk.len() {
                char::from(ALPHABET[sextet])
            } else {
                '='
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_standard() {
        // RFC 4648, section 10.
        for (plain, encoded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }
}
