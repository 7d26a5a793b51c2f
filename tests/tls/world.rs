//! Databases that ask for certificates, and what a sidecar's configuration says of them.

use std::net::SocketAddr;
use std::process::{Command, Stdio};

use toml::{Table, Value};

use crate::kit::{Authority, Certificate, Listener, RedisServer, SidecarBuilder, free_address};

/// A server with a port for TLS, where each client shows a certificate, beside the kit's own.
pub(crate) struct Database {
    pub(crate) server: RedisServer,
    pub(crate) tls_port: u16,
    ca: String,
}

impl Database {
    pub(crate) fn start(authority: &Authority) -> Database {
        Database::start_with(authority, &authority.certificate("database"))
    }

    pub(crate) fn start_with(authority: &Authority, shows: &Certificate) -> Database {
        let tls_port = free_address().port();
        let ca = authority.ca().to_str().unwrap().to_owned();
        let server = RedisServer::options()
            .arguments(&[
                "--tls-port",
                &tls_port.to_string(),
                "--tls-auth-clients",
                "yes",
            ])
            .arguments(&["--tls-cert-file", shows.cert.to_str().unwrap()])
            .arguments(&["--tls-key-file", shows.key.to_str().unwrap()])
            .arguments(&["--tls-ca-cert-file", &ca])
            .start();
        Database {
            server,
            tls_port,
            ca,
        }
    }

    /// As a side of a sidecar, which shows it a certificate.
    pub(crate) fn as_side(
        &self,
        sidecar: SidecarBuilder,
        side: &str,
        shows: &Certificate,
    ) -> SidecarBuilder {
        sidecar
            .set(
                &format!("{side}.url"),
                format!("rediss://127.0.0.1:{}", self.tls_port),
            )
            .set(&format!("{side}.name"), side)
            .set(&format!("{side}.tls.ca"), self.ca.as_str())
            .set(&format!("{side}.tls.cert"), shows.cert.to_str().unwrap())
            .set(&format!("{side}.tls.key"), shows.key.to_str().unwrap())
    }
}

/// A listener that shows a certificate, and asks for one that the authority signed.
pub(crate) fn listener(shows: &Certificate, asks: Option<&Authority>) -> Listener {
    let mut tls = Table::new();
    let mut set = |key: &str, path: &std::path::Path| {
        tls.insert(key.to_owned(), Value::from(path.to_str().unwrap()));
    };
    set("cert", &shows.cert);
    set("key", &shows.key);
    if let Some(authority) = asks {
        set("client_ca", &authority.ca());
    }
    Listener::new().set("tls", tls)
}

/// `handover status` over https; gives its exit code.
pub(crate) fn command_line(
    admin: SocketAddr,
    trusts: Option<&Authority>,
    shows: Option<&Certificate>,
) -> i32 {
    let mut command = Command::new(env!("CARGO_BIN_EXE_handover"));
    command.args(["status", "--json", "--admin", &format!("https://{admin}")]);
    if let Some(authority) = trusts {
        command.arg("--ca").arg(authority.ca());
    }
    if let Some(certificate) = shows {
        command.arg("--cert").arg(&certificate.cert);
        command.arg("--key").arg(&certificate.key);
    }
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.unwrap().code().unwrap()
}
