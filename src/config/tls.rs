//! The sections called `tls`: towards clients, and what is shared with those towards servers.

use std::sync::Arc;

use super::section::Section;
use crate::net::tls::{Error, Server, ServerFiles};

/// Reads the TLS of something that listens; none where the section has none.
pub(super) fn read_server(section: &mut Section<'_>) -> Option<Arc<Server>> {
    let present = section.has("tls");
    let mut tls = section.section("tls");
    if present {
        tls.require("cert", "a certificate chain is needed");
        tls.require("key", "the key of cert is needed");
    }
    let (cert, key, client_ca) = (tls.file("cert"), tls.file("key"), tls.file("client_ca"));
    let files = ServerFiles {
        cert: cert?,
        key: key?,
        client_ca,
    };
    Server::load(&files)
        .map(Arc::new)
        .map_err(|errors| note(&tls, &errors))
        .ok()
}

/// Notes what the certificates' reader found, each under the key that names the file.
pub(super) fn note(section: &Section<'_>, errors: &[Error]) {
    for error in errors {
        match error {
            Error::File { key, file, reason } => {
                section.mistake_with(
                    key,
                    &file.display().to_string(),
                    format!("must be a usable PEM file: {reason}"),
                );
            }
            Error::Missing { key, reason } => section.mistake(key, format!("is missing: {reason}")),
            Error::ServerName { name } => {
                section.mistake_with(error.key(), name, "must be a DNS name or an IP address");
            }
        }
    }
}
