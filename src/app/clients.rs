//! Who the application is to the databases, as the preflight wants to know it: what was seen, and what is configured.

use std::sync::Arc;

use crate::config::Settings;
use crate::link::preflight::{Clients, Counter, Entry, User};
use crate::metrics::Registry;
use crate::session::{Auth, Claim, CredentialMapping, Users};
use crate::terms::Identity;
use crate::traffic::{self, Traffic};

/// Gives what is known whenever it is asked.
pub(super) fn look(
    settings: &Settings,
    registry: &Arc<Registry>,
    users: &Arc<Users>,
    traffic: &Arc<Traffic>,
) -> Box<dyn Fn() -> Clients + Send> {
    let (registry, users) = (Arc::clone(registry), Arc::clone(users));
    let (traffic, redact_keys) = (Arc::clone(traffic), settings.log.redact_keys);
    let configured = configured(settings);
    let mapped = settings.credentials.clone();
    Box::new(move || {
        let seen = users.seen();
        let as_they_are = seen
            .users
            .into_iter()
            .filter(|(name, claim)| *claim == Claim::Nothing || !is_mapped(name, &mapped))
            .map(|(name, claim)| {
                let name = String::from_utf8_lossy(&name).into_owned();
                User {
                    names: [name.clone(), name],
                    entry: match claim {
                        Claim::Password => Entry::Password,
                        Claim::Nothing => Entry::NoPassword,
                    },
                }
            });
        let counted = traffic.counted();
        Clients {
            sessions: registry.sessions().open,
            users: configured.iter().cloned().chain(as_they_are).collect(),
            has_forgotten_users: seen.has_forgotten,
            counters: counted
                .counters
                .into_iter()
                .map(|counter| Counter {
                    called: if redact_keys {
                        "a counter (keys are not shown)".to_owned()
                    } else {
                        called(&counter)
                    },
                    key: counter.key,
                    field: counter.field,
                })
                .collect(),
            has_forgotten_counters: counted.has_forgotten,
        }
    })
}

/// The identities that the configuration maps, and the proxy's own where it serves clients.
fn configured(settings: &Settings) -> Vec<User> {
    let own = [&settings.source, &settings.target].map(|server| server.identity.clone());
    let serves = settings
        .listeners
        .iter()
        .any(|listener| listener.auth == Auth::Proxy);
    settings
        .credentials
        .iter()
        .map(|mapping| [mapping.client.clone(), mapping.target.clone()])
        .chain(serves.then_some(own))
        .map(|identities| User {
            names: identities.each_ref().map(named),
            entry: Entry::Configured(Box::new(identities)),
        })
        .collect()
}

/// The key, and the field behind it, as people may read them.
fn called(counter: &traffic::Counter) -> String {
    let key = counter.key.escape_ascii();
    match &counter.field {
        None => key.to_string(),
        Some(field) => format!("{key} {}", field.escape_ascii()),
    }
}

fn is_mapped(name: &[u8], credentials: &[CredentialMapping]) -> bool {
    credentials
        .iter()
        .any(|mapping| mapping.client.user() == name)
}

fn named(identity: &Identity) -> String {
    String::from_utf8_lossy(identity.user()).into_owned()
}
