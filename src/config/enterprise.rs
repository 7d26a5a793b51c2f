//! `[link.enterprise]`: the cluster, the database, and where its data comes from.

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::notation;
use super::section::Section;
use super::tls::note;
use super::url::{self, Transport};
use crate::link::enterprise::{
    Api, Create, Participant, Settings, SourceServer, SourceTls, Sources,
};
use crate::net::Endpoint;
use crate::net::tls::{Client, ClientFiles};
use crate::terms::Secret;

/// The port of the REST API unless a URL names another.
const API_PORT: u16 = 9443;

const API_WANTED: &str = "must be a URL such as https://cluster.example:9443 (the credentials travel with every request)";
const SOURCE_URL_WANTED: &str =
    "must be a URL such as redis://:password@host:6379, or a list of them, at most 32";

/// Memory of an Active-Active database that is made.
const MEMORY: RangeInclusive<u64> = 100 << 20..=64 << 40;

/// How many sources a database takes.
const SOURCES_MAX: usize = 32;

/// Reads the section of the `enterprise` driver; none where something in it is wrong.
pub(super) fn read(link: &mut Section<'_>) -> Option<Settings> {
    let mut section = link.section("enterprise");
    let api = read_api(&mut section);
    section.require("database", "the target's name, uid or guid");
    let database = section.text("database");
    let create = read_create(&mut section);
    if create.is_some() && database.as_deref().is_some_and(is_no_name) {
        section.mistake(
            "database",
            "must be a name where the database is to be created: letters, digits and hyphens, not digits alone",
        );
    }
    let sources = read_sources(&mut section);
    let compression = section.number("compression", 0..=6).unwrap_or(0);
    let source_tls = read_source_tls(&mut section);
    Some(Settings {
        api: api?,
        database: database?,
        create,
        sources: sources?,
        compression,
        source_tls,
    })
}

/// What is the same for each cluster: its API, and who Handover is there.
fn read_api(section: &mut Section<'_>) -> Option<Api> {
    section.require("api", API_WANTED);
    let place = section.parsed("api", API_WANTED, |value| api_place(value.as_str()?));
    section.require("username", "a user of the cluster with the role db_member");
    let username = section.text("username");
    section.require("password_file", "the file with that user's password");
    let password = section.secret("password_file");
    let fingerprint = section.parsed(
        "fingerprint",
        "must be the SHA-256 of the API's certificate: 64 hexadecimal digits, with or without colons",
        |value| value.as_str()?.parse().ok(),
    );
    let files = ClientFiles {
        ca: section.file("ca"),
        fingerprint,
        server_name: section.text("server_name"),
        ..ClientFiles::default()
    };
    if files.ca.is_some() && fingerprint.is_some() {
        section.mistake("fingerprint", "ca is given already: give one of the two");
    }
    if files.ca.is_none() && fingerprint.is_none() && !section.has("fingerprint") {
        section.mistake(
            "ca",
            "is missing: the CA that signed the API's certificate, or fingerprint (nothing is taken unverified)",
        );
        return None;
    }
    let (host, port) = place?;
    let tls = Client::load(&files, &host)
        .map_err(|errors| note(section, &errors))
        .ok()?;
    let api = Api::new(&host, port, Arc::new(tls), username?, password?);
    if api.is_none() {
        section.mistake("username", "must not hold a colon");
    }
    api
}

/// Where the data comes from: one of three ways to say it.
fn read_sources(section: &mut Section<'_>) -> Option<Sources> {
    let has_urls = section.has("source_url");
    let urls = section.checked("source_url", read_source_urls);
    let has_password = section.has("source_password_file");
    let password = section.secret("source_password_file");
    let database = section.text("source_database");
    let has_cluster = section.has("source_cluster");
    let cluster = read_source_cluster(section, has_cluster);
    if has_urls && database.is_some() {
        section.mistake(
            "source_database",
            "source_url is given already: give one of the two",
        );
    }
    if has_cluster && database.is_none() {
        section.mistake(
            "source_cluster",
            "has no effect without source_database, the database there",
        );
    }
    if has_password && !has_urls {
        section.mistake(
            "source_password_file",
            "has no effect without source_url, whose password it is",
        );
    }
    match (urls, database) {
        (Some(mut servers), _) => {
            for server in &mut servers {
                server.password = server.password.take().or_else(|| password.clone());
            }
            Some(Sources::Servers(servers))
        }
        (None, _) if has_urls => None,
        (None, Some(_)) if has_cluster && cluster.is_none() => None,
        (None, Some(name)) => Some(Sources::Database { name, cluster }),
        (None, None) => Some(Sources::Configured),
    }
}

fn read_source_cluster(section: &mut Section<'_>, present: bool) -> Option<Api> {
    let mut cluster = section.section("source_cluster");
    present.then(|| read_api(&mut cluster)).flatten()
}

/// One URL or several.
fn read_source_urls(value: &toml::Value) -> Result<Vec<SourceServer>, &'static str> {
    let urls = match value {
        toml::Value::Array(urls) => urls.as_slice(),
        url => std::slice::from_ref(url),
    };
    if urls.is_empty() || urls.len() > SOURCES_MAX {
        return Err(SOURCE_URL_WANTED);
    }
    let servers: Vec<_> = urls
        .iter()
        .map(|url| {
            url.as_str()
                .ok_or(SOURCE_URL_WANTED)
                .and_then(source_server)
        })
        .collect::<Result<_, _>>()?;
    let places = servers.iter().map(|server| (&server.host, server.port));
    let distinct: std::collections::BTreeSet<_> = places.collect();
    if distinct.len() < servers.len() {
        return Err("must not name a server twice");
    }
    Ok(servers)
}

fn source_server(text: &str) -> Result<SourceServer, &'static str> {
    let url = url::parse(text)?;
    match (url.transport, url.endpoint, url.database) {
        (Transport::Tls, ..) => Err(
            "must begin with redis://: the cluster is told of TLS in [link.enterprise.source_tls]",
        ),
        (Transport::Plain, Endpoint::Unix(_), _) => {
            Err("must be a host that the cluster can reach, not a unix socket")
        }
        (Transport::Plain, Endpoint::Tcp { .. }, 1..) => {
            Err("must have no database number: a cluster's database has only 0")
        }
        (Transport::Plain, Endpoint::Tcp { host, port }, 0) => Ok(SourceServer {
            host,
            port,
            user: url.user.map(Secret::new),
            password: url.password.map(Secret::new),
        }),
    }
}

fn read_source_tls(section: &mut Section<'_>) -> Option<SourceTls> {
    let present = section.has("source_tls");
    let mut tls = section.section("source_tls");
    if present {
        tls.require(
            "server_cert",
            "the source's certificate (of a Redis Enterprise source: its cluster's proxy certificate)",
        );
    }
    let server_cert = pem_certificates(&mut tls, "server_cert");
    let (has_certificate, has_key) = (tls.has("client_cert"), tls.has("client_key"));
    let certificate = pem_certificates(&mut tls, "client_cert");
    let key = tls.secret("client_key").filter(|key| {
        let is_key = PrivateKeyDer::from_pem_slice(key.expose()).is_ok();
        if !is_key {
            tls.mistake("client_key", "must be a private key in a PEM file");
        }
        is_key
    });
    match (has_certificate, has_key) {
        (true, false) => tls.mistake("client_key", "is missing: the key of client_cert"),
        (false, true) => tls.mistake("client_cert", "is missing: the certificate of client_key"),
        (true, true) | (false, false) => {}
    }
    let server_name = tls.text("server_name");
    Some(SourceTls {
        server_cert: server_cert?,
        client: certificate.zip(key),
        server_name,
    })
}

/// The text of a file of certificates, which the cluster is given as it is.
fn pem_certificates(section: &mut Section<'_>, key: &'static str) -> Option<String> {
    let file = section.file(key)?;
    read_certificates(&file)
        .map_err(|wanted| section.mistake_with(key, &file.display().to_string(), wanted))
        .ok()
}

fn read_certificates(file: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("the file must be readable: {error}"))?;
    let mut certificates = CertificateDer::pem_slice_iter(text.as_bytes());
    match certificates.next() {
        Some(Ok(_)) => Ok(text),
        Some(Err(_)) | None => Err("must hold a certificate in PEM".to_owned()),
    }
}

fn read_create(section: &mut Section<'_>) -> Option<Create> {
    let present = section.has("create");
    let mut create = section.section("create");
    if present {
        create.require("memory", "the size of each instance, such as 2GiB");
    }
    let memory_bytes = create.size("memory", MEMORY);
    let shards = create.number("shards", 1..=512).unwrap_or(1);
    let port = create.number("port", 10_000..=19_999);
    let eviction = create
        .text("eviction")
        .unwrap_or_else(|| "noeviction".to_owned());
    let encryption = create.flag("encryption").unwrap_or_default();
    let clusters: Vec<_> = create
        .sections("cluster")
        .into_iter()
        .map(read_participant)
        .collect();
    if present && clusters.len() < 2 {
        create.mistake(
            "cluster",
            "an Active-Active database needs two or more: [[link.enterprise.create.cluster]]",
        );
    }
    Some(Create {
        memory_bytes: memory_bytes?,
        shards,
        port,
        eviction,
        encryption,
        clusters: clusters.into_iter().collect::<Option<_>>()?,
    })
}

fn read_participant(mut section: Section<'_>) -> Option<Participant> {
    section.require("name", "the cluster's fully qualified name");
    let name = section.text("name");
    section.require("api", API_WANTED);
    let url = section.parsed("api", API_WANTED, |value| {
        let (host, port) = api_place(value.as_str()?)?;
        Some(format!("https://{}", Endpoint::Tcp { host, port }))
    });
    section.require("username", "a user of the role Admin there");
    let username = section.text("username");
    section.require("password_file", "the file with that user's password");
    let password = section.secret("password_file");
    Some(Participant {
        name: name?,
        url: url?,
        username: username?,
        password: password?,
    })
}

/// Host and port of `https://host:port`, perhaps with a slash behind it.
fn api_place(text: &str) -> Option<(String, u16)> {
    let authority = text.strip_prefix("https://")?;
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    match notation::host_name(authority) {
        Some(host) => Some((host, API_PORT)),
        None => notation::host_and_port(authority),
    }
}

/// A uid or a guid, by which nothing can be made.
fn is_no_name(database: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
    database.chars().all(|c| c.is_ascii_digit()) || !database.chars().all(allowed)
}
