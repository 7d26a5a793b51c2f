//! `[[listener]]` and `[[credentials]]`: where clients connect, and who they are on the target.

use super::bind::{self, SocketMode};
use super::section::Section;
use super::tls;
use crate::gate::{ReadRoute, Routes, ScriptRoute, WriteRoute};
use crate::session::{Auth, CredentialMapping, ListenerSettings};
use crate::terms::{Identity, ListenerId, Secret};

/// Characters of a listener's name: it is a label of metrics.
const NAME_MAX: usize = 64;

/// Reads all listeners, and holds their names and addresses against one another.
pub(super) fn read(root: &mut Section<'_>) -> Vec<ListenerSettings> {
    if !root.has("listener") {
        root.mistake(
            "listener",
            "is missing: at least one [[listener]] is needed",
        );
    }
    let mut listeners: Vec<ListenerSettings> = Vec::new();
    for (at, mut section) in root.sections("listener").into_iter().enumerate() {
        let Some(listener) = read_one(&mut section, ListenerId(at)) else {
            continue;
        };
        for earlier in &listeners {
            let ListenerId(other) = earlier.id;
            if earlier.name == listener.name {
                section.mistake_with(
                    "name",
                    &listener.name,
                    format!("must differ from that of listener[{other}]"),
                );
            }
            if bind::collide(&earlier.bind, &listener.bind) {
                section.mistake_with(
                    "bind",
                    &bind::written(&listener.bind),
                    format!("must differ from that of listener[{other}]"),
                );
            }
        }
        listeners.push(listener);
    }
    listeners
}

fn read_one(section: &mut Section<'_>, id: ListenerId) -> Option<ListenerSettings> {
    section.require("bind", bind::WANTED);
    let bind = bind::read(section, SocketMode::Group);
    let name = section.parsed(
        "name",
        format!("must be a text of 1 to {NAME_MAX} printable characters"),
        |value| {
            let fits = |name: &&str| {
                (1..=NAME_MAX).contains(&name.chars().count()) && !name.contains(char::is_control)
            };
            value.as_str().filter(fits).map(str::to_owned)
        },
    );
    let routes = Routes {
        reads: section
            .choice(
                "reads",
                &[("active", ReadRoute::Active), ("target", ReadRoute::Target)],
            )
            .unwrap_or_default(),
        writes: section
            .choice(
                "writes",
                &[
                    ("active", WriteRoute::Active),
                    ("refuse", WriteRoute::Refuse),
                ],
            )
            .unwrap_or_default(),
        scripts: section
            .choice(
                "read_only_scripts",
                &[
                    ("refuse", ScriptRoute::Refuse),
                    ("allow", ScriptRoute::Allow),
                ],
            )
            .unwrap_or_default(),
    };
    let auth = section
        .choice("auth", &[("client", Auth::Client), ("proxy", Auth::Proxy)])
        .unwrap_or_default();
    let tls = tls::read_server(section);
    let bind = bind?;
    let name = name.unwrap_or_else(|| bind::written(&bind));
    Some(ListenerSettings {
        id,
        name,
        bind,
        routes,
        auth,
        tls,
    })
}

/// Reads `[[credentials]]`; who has no user name is the default user.
pub(super) fn read_credentials(root: &mut Section<'_>) -> Vec<CredentialMapping> {
    let mut mappings: Vec<CredentialMapping> = Vec::new();
    for mut section in root.sections("credentials") {
        section.require(
            "client_password_file",
            "a file with the client's password is needed",
        );
        section.require(
            "target_password_file",
            "a file with the password on the target is needed",
        );
        let client = read_identity(&mut section, "client_user", "client_password_file");
        let target = read_identity(&mut section, "target_user", "target_password_file");
        let (Some(client), Some(target)) = (client, target) else {
            continue;
        };
        if mappings.iter().any(|earlier| earlier.client == client) {
            section.mistake("", "maps the same user and password as an earlier one");
        }
        mappings.push(CredentialMapping { client, target });
    }
    mappings
}

fn read_identity(
    section: &mut Section<'_>,
    user: &'static str,
    password: &'static str,
) -> Option<Identity> {
    let name = section
        .text(user)
        .map(|name| Secret::new(name.into_bytes()));
    let password = section.secret(password)?;
    Some(match name {
        Some(name) => Identity::User { name, password },
        None => Identity::Password(password),
    })
}
