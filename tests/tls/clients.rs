//! Applications over TLS: redis-py and redis-cli.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::kit::{Authority, Certificate, Program, installed};

/// `tests/tls/application.py`.
pub(crate) fn redis_py(address: SocketAddr, trusts: &Authority, shows: &Certificate) -> Program {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls/application.py");
    let mut command = Command::new(installed("venv/bin/python"));
    command
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .arg(script)
        .arg(address.port().to_string())
        .arg(trusts.ca())
        .args([&shows.cert, &shows.key]);
    Program::start("redis-py", &mut command)
}

/// A session that takes commands line by line.
pub(crate) fn redis_cli(
    address: SocketAddr,
    trusts: &Authority,
    shows: Option<&Certificate>,
) -> Program {
    Program::start("redis-cli", &mut cli(address, trusts, shows))
}

/// Whether a new session is let in and served.
pub(crate) fn ping(address: SocketAddr, trusts: &Authority, shows: Option<&Certificate>) -> bool {
    let answer = cli(address, trusts, shows)
        .arg("PING")
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("cannot start redis-cli: {error}; run `dev/setup tests`"));
    answer.stdout == b"PONG\n"
}

fn cli(address: SocketAddr, trusts: &Authority, shows: Option<&Certificate>) -> Command {
    let mut command = Command::new("redis-cli");
    command
        .args([
            "--tls",
            "-h",
            "127.0.0.1",
            "-p",
            &address.port().to_string(),
        ])
        .arg("--cacert")
        .arg(trusts.ca());
    if let Some(certificate) = shows {
        command.arg("--cert").arg(&certificate.cert);
        command.arg("--key").arg(&certificate.key);
    }
    command
}
