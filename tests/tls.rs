//! TLS against real servers and with real clients: both sides and the replication between them, applications, the admin
//! API and the command line; who is let in and who is not; certificates that are replaced meanwhile.

#![allow(clippy::unwrap_used, clippy::panic)] // a panic in a test is its failing assertion

mod kit;

#[path = "tls/clients.rs"]
mod clients;
#[path = "tls/world.rs"]
mod world;

use std::time::{Duration, Instant};

use kit::{Authority, Certificate, Client, LIMIT, Sidecar, Validity, eventually};
use world::{Database, command_line, listener};

/// Counts who found no place.
const REFUSED: &str = "handover_client_errors_total{reason=\"too_many_clients\"}";

/// Every connection is encrypted and shows a certificate: applications to the sidecar, the sidecar to both databases, the
/// databases to each other, before and after the cutover.
#[test]
fn a_migration_with_certificates_at_every_end() {
    let authority = Authority::new("company");
    let own = authority.certificate("sidecar");
    let (source, target) = (Database::start(&authority), Database::start(&authority));
    let sidecar = Sidecar::new()
        .listener("app", listener(&own, Some(&authority)))
        .pipe(|sidecar| source.as_side(sidecar, "source", &own))
        .pipe(|sidecar| target.as_side(sidecar, "target", &own))
        .start();
    let application = authority.certificate("application");
    let address = sidecar.addr("app");
    let mut python = clients::redis_py(address, &authority, &application);
    let mut shell = clients::redis_cli(address, &authority, Some(&application));
    python.hear("ready");
    shell.ask("INCR shell", &["1"]);

    sidecar.admin().migrate_until_ready();
    let upstream = |of: &Database| {
        let field = |name| of.server.info("replication", name);
        (field("role").unwrap(), field("master_port"))
    };
    let follows = |leader: &Database| ("slave".to_owned(), Some(leader.tls_port.to_string()));
    assert_eq!(upstream(&target), follows(&source));
    sidecar.admin().must_cut_over();
    assert!(eventually(LIMIT, || upstream(&source) == follows(&target)));

    python.say("moved");
    let written = python.hear("done ");
    python.end();
    shell.ask("INCR shell", &["2"]);
    let mut past = target.server.client();
    assert_eq!(past.call(&["GET", "python"]).into_text(), written);
    assert_eq!(past.call(&["GET", "shell"]).into_text(), "2");
}

#[test]
fn an_application_without_the_right_certificate_is_kept_out() {
    let (authority, stranger) = (Authority::new("company"), Authority::new("stranger"));
    let own = authority.certificate("sidecar");
    let (source, target) = (Database::start(&authority), Database::start(&authority));
    let sidecar = Sidecar::new()
        .listener("app", listener(&own, Some(&authority)))
        .listener("open", listener(&own, None))
        .pipe(|sidecar| source.as_side(sidecar, "source", &own))
        .pipe(|sidecar| target.as_side(sidecar, "target", &own))
        .start();
    let ping = |listener: &str, trusts: &Authority, shows: Option<&Certificate>| {
        clients::ping(sidecar.addr(listener), trusts, shows)
    };
    let application = authority.certificate("application");
    let foreign = stranger.certificate("application");
    let expired = authority.certificate_for("old", &["localhost"], Validity::Expired);
    assert!(ping("app", &authority, Some(&application)));
    assert!(!ping("app", &authority, None));
    assert!(!ping("app", &authority, Some(&foreign)));
    assert!(!ping("app", &authority, Some(&expired)));
    assert!(
        !ping("app", &stranger, Some(&application)),
        "the client's own check"
    );
    assert!(ping("open", &authority, None));
}

/// What stands between the sidecar and the database is said where an operator looks first.
#[test]
fn a_side_that_cannot_be_trusted_or_does_not_trust_is_told_with_the_reason() {
    let (authority, stranger) = (Authority::new("company"), Authority::new("stranger"));
    let own = authority.certificate("sidecar");
    let target = Database::start(&authority);
    let told = |source: &Database, words: &str, change: &[(&str, &str)]| {
        let mut sidecar = Sidecar::new()
            .pipe(|sidecar| source.as_side(sidecar, "source", &own))
            .pipe(|sidecar| target.as_side(sidecar, "target", &own))
            .any_warning();
        for (key, value) in change {
            sidecar = sidecar.set(key, *value);
        }
        let sidecar = sidecar.spawn();
        let mut text = String::new();
        let came = eventually(LIMIT, || {
            text = sidecar.admin().try_get("/readyz").unwrap_or_default();
            text.contains(words)
        });
        assert!(came, "{words:?} is not in {text:?}");
    };
    let path = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    let source = Database::start(&authority);
    told(
        &source,
        "UnknownIssuer",
        &[("source.tls.ca", &path(&stranger.ca()))],
    );
    told(
        &source,
        "other.example",
        &[("source.tls.server_name", "other.example")],
    );
    let foreign = stranger.certificate("sidecar");
    let shows_foreign = [
        ("source.tls.cert", path(&foreign.cert)),
        ("source.tls.key", path(&foreign.key)),
    ];
    let shows_foreign = shows_foreign
        .each_ref()
        .map(|(key, value)| (*key, value.as_str()));
    told(&source, "alert", &shows_foreign);
    let expired = authority.certificate_for("old", &["127.0.0.1"], Validity::Expired);
    told(&Database::start_with(&authority, &expired), "xpired", &[]);
}

#[test]
fn handshakes_that_never_end_take_places_until_their_time_is_over() {
    const PLACES: usize = 20;
    let authority = Authority::new("company");
    let own = authority.certificate("sidecar");
    let (source, target) = (Database::start(&authority), Database::start(&authority));
    let sidecar = Sidecar::new()
        .listener("app", listener(&own, None))
        .set("proxy.limits.sessions", i64::try_from(PLACES).unwrap())
        .pipe(|sidecar| source.as_side(sidecar, "source", &own))
        .pipe(|sidecar| target.as_side(sidecar, "target", &own))
        .start();
    let address = sidecar.addr("app");
    let connect = || Client::connect(address);
    // Some say nothing, some half a greeting.
    let begun = Instant::now();
    let mut shaking: Vec<Client> = (0..PLACES).map(|_| connect()).collect();
    for client in shaking.iter_mut().step_by(2) {
        client.send_raw(b"\x16\x03\x01\x02\x00\x01");
    }
    let refused = |sidecar: &Sidecar| {
        let metrics = sidecar.admin().get("/metrics").text;
        let counted = metrics
            .lines()
            .find_map(|line| line.strip_prefix(REFUSED)?.trim().parse::<f64>().ok());
        counted.unwrap_or_default() > 0.0
    };
    // A further one is closed at once, while those are given their time.
    assert!(eventually(LIMIT, || {
        assert!(connect().read_to_close().is_empty());
        refused(&sidecar)
    }));
    for client in &mut shaking {
        client.set_limit(3 * LIMIT);
        client.read_to_close();
    }
    assert!(
        begun.elapsed() > Duration::from_secs(9),
        "{:?}",
        begun.elapsed()
    );
    assert!(clients::ping(address, &authority, None));
}

#[test]
fn replaced_certificates_of_a_listener_are_used_and_sessions_go_on() {
    let (authority, next) = (Authority::new("company"), Authority::new("next"));
    let (source, target) = (Database::start(&authority), Database::start(&authority));
    let own = authority.certificate("sidecar");
    let sidecar = Sidecar::new()
        .listener("app", listener(&own, None))
        .pipe(|sidecar| source.as_side(sidecar, "source", &authority.certificate("client")))
        .pipe(|sidecar| target.as_side(sidecar, "target", &authority.certificate("client")))
        .expect_warning("could not be read again")
        .start();
    let address = sidecar.addr("app");
    let mut open = clients::redis_cli(address, &authority, None);
    open.ask("INCR n", &["1"]);

    std::fs::write(&own.cert, "half a certificate").unwrap();
    assert!(eventually(LIMIT, || sidecar
        .log()
        .contains("could not be read again")));
    assert!(clients::ping(address, &authority, None));

    let replaced = next.certificate("sidecar");
    std::fs::copy(replaced.key, &own.key).unwrap();
    std::fs::copy(replaced.cert, &own.cert).unwrap();
    assert!(eventually(LIMIT, || clients::ping(address, &next, None)));
    assert!(!clients::ping(address, &authority, None));
    open.ask("INCR n", &["2"]);
    let warnings = sidecar.log().matches("could not be read again").count();
    assert_eq!(warnings, 1, "told once");
}

#[test]
fn the_command_line_reaches_an_admin_api_that_asks_for_certificates() {
    let (authority, stranger) = (Authority::new("company"), Authority::new("stranger"));
    let own = authority.certificate("sidecar");
    let (source, target) = (Database::start(&authority), Database::start(&authority));
    let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    let sidecar = Sidecar::new()
        .pipe(|sidecar| source.as_side(sidecar, "source", &own))
        .pipe(|sidecar| target.as_side(sidecar, "target", &own))
        .set("admin.tls.cert", text(&own.cert))
        .set("admin.tls.key", text(&own.key))
        .set("admin.tls.client_ca", text(&authority.ca()))
        .spawn();
    let operator = authority.certificate("operator");
    let status = |ca: Option<&Authority>, shows: Option<&Certificate>| {
        command_line(sidecar.admin().address, ca, shows)
    };
    assert!(
        eventually(LIMIT, || status(Some(&authority), Some(&operator)) == 0),
        "{}",
        sidecar.log()
    );
    assert_eq!(status(None, Some(&operator)), 2, "nobody to trust");
    assert_eq!(status(Some(&stranger), Some(&operator)), 3);
    assert_eq!(status(Some(&authority), None), 3);
    let foreign = stranger.certificate("operator");
    assert_eq!(status(Some(&authority), Some(&foreign)), 3);
}

/// What the settings of a test are made of, one after the other.
trait Pipe: Sized {
    fn pipe(self, next: impl FnOnce(Self) -> Self) -> Self {
        next(self)
    }
}

impl Pipe for kit::SidecarBuilder {}
