//! What a new file changes while the process runs: limits, the time to end, the log level and the cutover's bounds at once,
//! the rest with a restart. Certificates have a watch of their own (`certificates`).

use std::sync::Arc;

use serde::Serialize;

use super::{Log, Proxy, Settings};
use crate::admin;
use crate::cutover::Bounds;
use crate::net::tls;
use crate::session::{Audit, CredentialMapping, Limits, ListenerSettings};
use crate::terms::Side;
use crate::upstream::Server;

/// A setting that differs between two configurations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The setting, or the section where it is one that needs a restart as a whole: `cutover.max_pause`, `source`.
    pub path: String,
    /// When it counts.
    pub effect: Effect,
}

/// When a changed setting counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// From the reload on.
    Now,
    /// From the next start on.
    Restart,
}

/// The named fields of two values of one type, each with whether they differ. A field that is not named does not
/// compile.
macro_rules! compare {
    ($type:ident { $($field:ident),* $(,)? }, $old:expr, $new:expr) => {{
        let $type { $($field),* } = $old;
        [$((stringify!($field), *$field != $new.$field)),*]
    }};
}

impl Settings {
    /// What differs in `new`, and when it counts. What is in certificate files is not compared.
    pub fn reloadable_difference(&self, new: &Settings) -> Vec<Change> {
        let mut changes = Changes(Vec::new());
        changes.add(
            "proxy.limits",
            Effect::Now,
            &limits(&self.proxy.limits, &new.proxy.limits),
        );
        changes.add("cutover", Effect::Now, &bounds(&self.bounds, &new.bounds));
        changes.add(
            "log",
            Effect::Now,
            &[("level", self.log.level != new.log.level)],
        );
        changes.add("log", Effect::Restart, &log(self, new));
        let differs = self.proxy.drain_timeout != new.proxy.drain_timeout;
        changes.add("proxy", Effect::Now, &[("drain_timeout", differs)]);
        changes.add("proxy", Effect::Restart, &proxy(&self.proxy, &new.proxy));
        for side in Side::BOTH {
            let differs = !same_server(self.servers()[side.index()], new.servers()[side.index()]);
            changes.add("", Effect::Restart, &[(side.as_str(), differs)]);
        }
        changes.add(
            "",
            Effect::Restart,
            &[
                (
                    "listener",
                    !same(&self.listeners, &new.listeners, same_listener),
                ),
                (
                    "credentials",
                    !same(&self.credentials, &new.credentials, same_credentials),
                ),
                ("link", self.link != new.link),
                ("target.profile", self.profile != new.profile),
                ("verify", self.comparison != new.comparison),
                ("state.dir", self.state_dir != new.state_dir),
                ("admin", !same_admin(&self.admin, &new.admin)),
            ],
        );
        changes.0
    }
}

struct Changes(Vec<Change>);

impl Changes {
    fn add(&mut self, section: &str, effect: Effect, fields: &[(&str, bool)]) {
        for (field, _) in fields.iter().filter(|(_, differs)| *differs) {
            let path = if section.is_empty() {
                (*field).to_owned()
            } else {
                format!("{section}.{field}")
            };
            self.0.push(Change { path, effect });
        }
    }
}

fn limits(old: &Limits, new: &Limits) -> [(&'static str, bool); 17] {
    compare!(
        Limits {
            bulk_bytes,
            arguments,
            inline_bytes,
            request_bytes,
            session_requests,
            session_reply_bytes,
            held_bytes,
            lane_requests,
            sessions,
            transaction_bytes,
            subscriptions,
            subscription_bytes,
            upstream_bytes,
            large_request_bytes,
            idle_private_connections,
            script_bytes,
            cursors,
        },
        old,
        new
    )
}

fn bounds(old: &Bounds, new: &Bounds) -> [(&'static str, bool); 12] {
    compare!(
        Bounds {
            max_pause,
            max_lag,
            max_lag_bytes,
            stable_for,
            hold_below_bytes,
            arm_timeout,
            min_interval,
            auto,
            marker,
            scan_grace,
            reverse,
            accept_findings,
        },
        old,
        new
    )
}

fn proxy(old: &Proxy, new: &Proxy) -> [(&'static str, bool); 4] {
    let Proxy {
        workers,
        lanes,
        lane_stall,
        connect_timeout,
        drain_timeout: _,
        limits: _,
    } = old;
    [
        ("workers", *workers != new.workers),
        ("lanes", *lanes != new.lanes),
        ("lane_stall", *lane_stall != new.lane_stall),
        ("connect_timeout", *connect_timeout != new.connect_timeout),
    ]
}

fn log(old: &Settings, new: &Settings) -> [(&'static str, bool); 3] {
    let Log {
        format,
        level: _,
        redact_keys,
    } = &old.log;
    let Audit {
        redact_keys: _,
        lines_per_second,
    } = &old.audit;
    [
        ("format", *format != new.log.format),
        ("redact_keys", *redact_keys != new.log.redact_keys),
        (
            "audit_lines_per_second",
            *lines_per_second != new.audit.lines_per_second,
        ),
    ]
}

fn same<T>(old: &[T], new: &[T], same: impl Fn(&T, &T) -> bool) -> bool {
    old.len() == new.len() && old.iter().zip(new).all(|(old, new)| same(old, new))
}

fn same_listener(old: &ListenerSettings, new: &ListenerSettings) -> bool {
    let ListenerSettings {
        id: _,
        name,
        bind,
        routes,
        auth,
        tls,
    } = old;
    *name == new.name
        && *bind == new.bind
        && *routes == new.routes
        && *auth == new.auth
        && server_files(tls.as_ref()) == server_files(new.tls.as_ref())
}

fn same_admin(old: &admin::Settings, new: &admin::Settings) -> bool {
    let admin::Settings {
        bind,
        tls,
        tokens,
        hosts,
    } = old;
    *bind == new.bind
        && server_files(tls.as_ref()) == server_files(new.tls.as_ref())
        && *tokens == new.tokens
        && *hosts == new.hosts
}

fn server_files(tls: Option<&Arc<tls::Server>>) -> Option<&tls::ServerFiles> {
    tls.map(|tls| tls.files())
}

fn same_credentials(old: &CredentialMapping, new: &CredentialMapping) -> bool {
    old.client == new.client && old.target == new.target
}

/// The time limit is not compared here: it is `[proxy] connect_timeout`.
fn same_server(old: &Server, new: &Server) -> bool {
    let Server {
        side: _,
        name,
        dial,
        identity,
        database,
        replication_address,
        connect_timeout: _,
        own: _,
    } = old;
    let files = |tls: &Option<Arc<tls::Client>>| tls.as_ref().map(|tls| tls.files().clone());
    *name == new.name
        && dial.endpoint == new.dial.endpoint
        && files(&dial.tls) == files(&new.dial.tls)
        && *identity == new.identity
        && *database == new.database
        && *replication_address == new.replication_address
}
