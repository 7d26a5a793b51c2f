//! Right files, and what they become.

use std::time::Duration;

use super::*;
use crate::admin::Tokens;
use crate::config::{Lanes, LogFormat};
use crate::cutover::{Bounds, Marker};
use crate::gate::{ReadRoute, Routes, ScriptRoute, WriteRoute};
use crate::link;
use crate::net::{Bind, Endpoint, Owner};
use crate::session::{Auth, Limits};
use crate::terms::{Identity, ListenerId, Secret};

#[test]
fn what_is_not_said_has_its_default() {
    let settings = accepted(LEAST);
    assert_eq!(settings.proxy.limits, Limits::default());
    assert_eq!(settings.proxy.lanes, Lanes::Auto);
    assert_eq!(settings.proxy.connect_timeout, Duration::from_secs(2));
    assert_eq!(settings.proxy.drain_timeout, Duration::from_secs(10));
    assert_eq!(settings.bounds, Bounds::default());
    assert_eq!(settings.link, link::Settings::ReplicaOf);
    assert_eq!(settings.state_dir, Path::new("/var/lib/handover"));
    assert_eq!(
        settings.admin.bind,
        Bind::Tcp("127.0.0.1:9600".parse().unwrap())
    );
    assert_eq!(settings.log.level, tracing::Level::INFO);
    assert_eq!(settings.audit.lines_per_second, 10);
    assert_eq!(settings.source.name, "source:6379");
    assert_eq!(settings.source.identity, Identity::Anonymous);
    let [listener] = &settings.listeners[..] else {
        panic!("one listener")
    };
    assert_eq!(listener.name, "127.0.0.1:6380");
    assert_eq!(
        (listener.id, listener.auth, listener.routes),
        (ListenerId(0), Auth::Client, Routes::default())
    );
    assert!(listener.tls.is_none());
}

#[test]
fn every_setting_of_a_listener_is_read() {
    let settings = accepted(&with(
        "[[listener]]",
        "name = \"near\"\nreads = \"target\"\nwrites = \"refuse\"\nread_only_scripts = \"allow\"\nauth = \"proxy\"",
    ));
    let listener = &settings.listeners[0];
    assert_eq!(listener.name, "near");
    assert_eq!(
        listener.routes,
        Routes {
            reads: ReadRoute::Target,
            writes: WriteRoute::Refuse,
            scripts: ScriptRoute::Allow,
        }
    );
    assert_eq!(listener.auth, Auth::Proxy);
}

#[test]
fn a_listener_may_be_a_unix_socket_with_a_mode() {
    let on = |bind: &str, more: &str| {
        accepted(&LEAST.replace(
            "bind = \"127.0.0.1:6380\"",
            &format!("bind = {bind:?}\n{more}"),
        ))
        .listeners[0]
            .bind
            .clone()
    };
    assert_eq!(
        on("unix:/run/h.sock", ""),
        Bind::Unix {
            path: "/run/h.sock".into(),
            mode: 0o660,
            owner: Owner::default()
        }
    );
    assert_eq!(
        on("unix:///run/h.sock", "mode = \"0600\""),
        Bind::Unix {
            path: "/run/h.sock".into(),
            mode: 0o600,
            owner: Owner::default()
        }
    );
    assert_eq!(
        on("localhost:6380", ""),
        Bind::Tcp("127.0.0.1:6380".parse().unwrap())
    );
    assert_eq!(on("[::1]:0", ""), Bind::Tcp("[::1]:0".parse().unwrap()));
}

#[test]
fn a_unix_socket_may_belong_to_somebody_else() {
    let with_owner = |owner: &str| {
        LEAST.replace(
            "bind = \"127.0.0.1:6380\"",
            &format!("bind = \"unix:/run/h.sock\"\nowner = {owner:?}"),
        )
    };
    let owner = |text: &str| match &accepted(&with_owner(text)).listeners[0].bind {
        Bind::Unix { owner, .. } => (owner.user, owner.group),
        Bind::Tcp(address) => panic!("{address}"),
    };
    assert_eq!(owner("root:root"), (Some(0), Some(0)));
    assert_eq!(owner("root"), (Some(0), None));
    assert_eq!(owner(":root"), (None, Some(0)));
    assert_eq!(owner("1001:1002"), (Some(1001), Some(1002)));
    check(
        &with_owner("root:nobody-is-called-this"),
        "listener[0].owner",
        "there is no group",
    );
    check(
        &with_owner("nobody-is-called-this"),
        "listener[0].owner",
        "there is no user",
    );
    for wrong in [":", "a:b:c"] {
        check(
            &with_owner(wrong),
            "listener[0].owner",
            "a user and a group",
        );
    }
}

#[test]
fn every_setting_of_a_side_is_read() {
    let text = LEAST.replace("redis://source:6379", "redis://me:p%40ss@db.example:7000/3");
    let text = text.replace("[target]", "name = \"orders\"\nreplication_address = \"10.0.0.1:7001\"\nkind = \"standalone\"\n[target]");
    let source = accepted(&text).source;
    assert_eq!(
        source.dial.endpoint,
        Endpoint::Tcp {
            host: "db.example".into(),
            port: 7000
        }
    );
    assert_eq!(
        source.identity,
        Identity::User {
            name: Secret::new("me"),
            password: Secret::new("p@ss")
        }
    );
    assert_eq!((source.database, source.name.as_str()), (3, "orders"));
    assert_eq!(
        source.replication_address,
        Some(("10.0.0.1".to_owned(), 7001))
    );
}

#[test]
fn a_password_from_a_file_loses_its_line_end_and_nothing_else() {
    let (_directory, path) = file_with(" pass word \r\n");
    let source = accepted(&with("[source]", &format!("password_file = {path:?}"))).source;
    assert_eq!(
        source.identity,
        Identity::Password(Secret::new(" pass word "))
    );
    let source = accepted(&with(
        "[source]",
        &format!("username = \"me\"\npassword_file = {path:?}"),
    ))
    .source;
    assert_eq!(
        source.identity,
        Identity::User {
            name: Secret::new("me"),
            password: Secret::new(" pass word ")
        }
    );
}

#[test]
fn variables_are_expanded_in_every_text() {
    let env = |name: &str| match name {
        "URL" => Some("redis://:secret@db:1/2".to_owned()),
        "WORKERS" => Some("3".to_owned()),
        "AUTO" => Some("true".to_owned()),
        _ => None,
    };
    let text = LEAST.replace("redis://source:6379", "${URL}");
    let text = format!(
        "{text}name = \"$${{URL}}\"\n[proxy]\nworkers = \"${{WORKERS}}\"\n[cutover]\nauto = \"${{AUTO}}\""
    );
    let settings = Settings::parse(&text, &env).unwrap();
    assert_eq!(
        settings.source.identity,
        Identity::Password(Secret::new("secret"))
    );
    assert_eq!(settings.target.name, "${URL}");
    assert_eq!(settings.proxy.workers, 3);
    assert!(settings.bounds.auto);
}

#[test]
fn the_marker_is_a_word_or_a_truth_value() {
    for (written, marker) in [
        ("\"auto\"", Marker::Auto),
        ("true", Marker::Always),
        ("false", Marker::Never),
    ] {
        assert_eq!(
            accepted(&with("[cutover]", &format!("marker = {written}")))
                .bounds
                .marker,
            marker
        );
    }
}

#[test]
fn an_external_link_may_have_a_hook() {
    let settings = accepted(&with(
        "[link]",
        "driver = \"external\"\ndetach_hook = [\"/bin/stop\", \"now\"]",
    ));
    let detach_hook = Some(vec!["/bin/stop".to_owned(), "now".to_owned()]);
    assert_eq!(settings.link, link::Settings::External { detach_hook });
    let settings = accepted(&with("[link]", "driver = \"external\""));
    assert_eq!(
        settings.link,
        link::Settings::External { detach_hook: None }
    );
}

#[test]
fn credentials_map_one_identity_to_another() {
    let (_directory, path) = file_with("secret\n");
    let settings = accepted(&format!(
        "{LEAST}[[credentials]]\nclient_user = \"app\"\nclient_password_file = {path:?}\ntarget_password_file = {path:?}\n"
    ));
    let mapping = &settings.credentials[0];
    assert_eq!(
        mapping.client,
        Identity::User {
            name: Secret::new("app"),
            password: Secret::new("secret")
        }
    );
    assert_eq!(mapping.target, Identity::Password(Secret::new("secret")));
}

#[test]
fn tls_to_a_side_needs_rediss_and_a_ca() {
    let text = LEAST.replace("redis://source:6379", "rediss://localhost:6379");
    let settings = accepted(&format!(
        "{text}[source.tls]\nca = {:?}\n",
        certificate("ca.pem")
    ));
    assert!(settings.source.dial.tls.is_some());
    assert!(settings.target.dial.tls.is_none());
}

#[test]
fn an_admin_address_that_others_reach_is_accepted_with_a_token() {
    let (_directory, path) = file_with("token\n");
    let settings = accepted(&with(
        "[admin]",
        &format!("bind = \"0.0.0.0:9600\"\ntoken_file = {path:?}"),
    ));
    assert_eq!(settings.admin.tokens, Tokens::Acting(Secret::new("token")));
    // Without TLS it is allowed, and said.
    let [caution] = settings.cautions().try_into().unwrap();
    assert!(caution.contains("0.0.0.0:9600") && caution.contains("[admin.tls]"));
    for here in [
        "127.0.0.1:9600",
        "[::ffff:127.0.0.1]:9600",
        "unix:/run/admin.sock",
    ] {
        let more = format!("bind = {here:?}\ntoken_file = {path:?}");
        assert!(accepted(&with("[admin]", &more)).cautions().is_empty());
    }
}

#[test]
fn the_log_is_text_unless_it_is_json() {
    assert_eq!(accepted(LEAST).log.format, LogFormat::Text);
    let log = accepted(&with(
        "[log]",
        "format = \"json\"\nlevel = \"debug\"\nredact_keys = true",
    ))
    .log;
    assert_eq!(
        (log.format, log.level, log.redact_keys),
        (LogFormat::Json, tracing::Level::DEBUG, true)
    );
}

#[test]
fn no_secret_is_seen_in_the_settings() {
    let (_directory, path) = file_with("hunter2\n");
    let text = LEAST.replace("redis://source:6379", "redis://someone:hunter2@source:6379");
    let text = format!(
        "{text}password_file = {path:?}\n[admin]\ntoken_file = {path:?}\n[[credentials]]\nclient_user = \"someone\"\n\
         client_password_file = {path:?}\ntarget_password_file = {path:?}\n"
    );
    let seen = format!("{:?}", accepted(&text));
    assert!(
        !seen.contains("hunter2") && !seen.contains("someone"),
        "{seen}"
    );
}
