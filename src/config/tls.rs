//! What is shared by the sections called `tls`.

use super::section::Section;
use crate::net::tls::Error;

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
