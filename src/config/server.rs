//! `[source]` and `[target]`: where a database is, and who Handover is there.

use std::sync::Arc;
use std::time::Duration;

use super::notation;
use super::section::Section;
use super::tls::note;
use super::url::{self, Transport, Url};
use crate::net::tls::{Client, ClientFiles};
use crate::net::{Dial, Endpoint};
use crate::terms::{Identity, Secret, Side};
use crate::traffic::Profile;
use crate::upstream::Server;

const URL_WANTED: &str = "must be a URL such as redis://user:password@host:6379/0";

/// Reads one side's section; none where it has no usable URL.
pub(super) fn read(
    mut section: Section<'_>,
    side: Side,
    connect_timeout: Duration,
) -> Option<Server> {
    section.later_values("kind", &["cluster"]);
    section.choice("kind", &[("standalone", ())]);
    section.require("url", URL_WANTED);
    let url = section.checked("url", |value| {
        value.as_str().ok_or(URL_WANTED).and_then(url::parse)
    });
    let identity = read_identity(&mut section, url.as_ref());
    let name = section.text("name");
    let replication_address = section.parsed("replication_address", "must be host:port", |value| {
        notation::host_and_port(value.as_str()?)
    });
    let tls = read_tls(&mut section, url.as_ref());
    let Url {
        endpoint, database, ..
    } = url?;
    Some(Server {
        side,
        name: name.unwrap_or_else(|| endpoint.to_string()),
        dial: Dial { endpoint, tls },
        identity,
        database,
        replication_address,
        connect_timeout,
        own: Arc::default(),
    })
}

/// What kind of database `[target]` says it is.
pub(super) fn read_profile(section: &mut Section<'_>) -> Option<Profile> {
    let profiles = [Profile::Redis, Profile::Enterprise, Profile::ActiveActive];
    section.choice(
        "profile",
        &profiles.map(|profile| (profile.as_str(), profile)),
    )
}

/// User and password may each come from the URL or from a key of their own, not from both.
fn read_identity(section: &mut Section<'_>, url: Option<&Url>) -> Identity {
    let url_user = url.and_then(|url| url.user.clone());
    let url_password = url.and_then(|url| url.password.clone());
    let has_file = section.has("password_file");
    let user = section.text("username");
    let password = section.secret("password_file");
    if url_user.is_some() && user.is_some() {
        section.mistake(
            "username",
            "the url names a user already: give one of the two",
        );
    }
    if url_password.is_some() && has_file {
        section.mistake(
            "password_file",
            "the url has a password already: give one of the two",
        );
    }
    let user = user.map(String::into_bytes).or(url_user).map(Secret::new);
    match (user, password.or(url_password.map(Secret::new))) {
        (None, None) => Identity::Anonymous,
        (None, Some(password)) => Identity::Password(password),
        (Some(name), Some(password)) => Identity::User { name, password },
        (Some(_), None) => {
            if !has_file {
                section.mistake(
                    "password_file",
                    "is missing: a user needs a password, from a file or in the url",
                );
            }
            Identity::Anonymous
        }
    }
}

fn read_tls(section: &mut Section<'_>, url: Option<&Url>) -> Option<Arc<Client>> {
    let present = section.has("tls");
    let mut tls = section.section("tls");
    let files = ClientFiles {
        ca: tls.file("ca"),
        cert: tls.file("cert"),
        key: tls.file("key"),
        fingerprint: None,
        server_name: tls.text("server_name"),
        insecure_skip_verify: tls.flag("insecure_skip_verify").unwrap_or_default(),
    };
    match url {
        Some(Url {
            transport: Transport::Tls,
            endpoint: Endpoint::Tcp { host, .. },
            ..
        }) => Client::load(&files, host)
            .map(Arc::new)
            .map_err(|errors| note(&tls, &errors))
            .ok(),
        Some(_) if present => {
            tls.mistake(
                "",
                "has no effect without TLS: the url must begin with rediss://",
            );
            None
        }
        Some(_) | None => None,
    }
}
