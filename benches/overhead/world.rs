//! Who is measured: a server, sidecars before it, and what other proxies are on PATH.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use toml::Table;

use crate::kit::{
    Authority, LIMIT, Listener, Process, RedisServer, Sidecar, SidecarBuilder, eventually,
    free_address,
};
use crate::socket::{Address, trusting};

/// One way to the server.
pub struct Way {
    pub name: String,
    pub address: Address,
    /// Whose CPU time is counted; none on the direct way.
    pub process: Option<u32>,
}

/// The server, and everything before it.
pub struct World {
    pub ways: Vec<Way>,
    _source: RedisServer,
    _sidecars: Vec<Sidecar>,
    _peers: Vec<Process>,
    _directory: TempDir,
    _authority: Authority,
}

/// Whether other proxies are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peers {
    Included,
    LeftOut,
}

/// Whether ways with TLS are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encrypted {
    Included,
    LeftOut,
}

impl World {
    /// `workers` is that of each sidecar.
    pub fn start(peers: Peers, encrypted: Encrypted, workers: i64) -> World {
        let authority = Authority::new("bench");
        let (source, tls_port) = database(&authority);
        let directory = tempfile::tempdir().unwrap();
        let mut ways = vec![Way {
            name: "direct".to_owned(),
            address: Address::Tcp(source.addr()),
            process: None,
        }];
        let mut sidecars = Vec::new();
        for (name, lanes) in [("handover", "auto"), ("handover, lanes off", "off")] {
            let socket = directory.path().join(format!("{lanes}.sock"));
            let sidecar = quiet(Sidecar::new())
                .source(&source)
                .set("target.url", "redis://127.0.0.1:1")
                .set("proxy.lanes", lanes)
                .set("proxy.workers", workers)
                .listener("tcp", Listener::new())
                .listener("unix", Listener::new().set("bind", unix(&socket)))
                .start();
            for (suffix, address) in [
                ("", Address::Tcp(sidecar.addr("tcp"))),
                (" unix", Address::Unix(socket)),
            ] {
                ways.push(Way {
                    name: format!("{name}{suffix}"),
                    address,
                    process: Some(sidecar.id()),
                });
            }
            sidecars.push(sidecar);
        }
        if encrypted == Encrypted::Included {
            let (others, encrypting) = encrypted_ways(&authority, &source, tls_port, workers);
            ways.extend(others);
            sidecars.extend(encrypting);
        }
        let mut started = Vec::new();
        if peers == Peers::Included {
            for (name, command) in [
                ("HAProxy TCP", haproxy as Start),
                ("nutcracker", nutcracker as Start),
            ] {
                let address = free_address();
                match command(&directory, address, source.addr()) {
                    Ok(process) => {
                        ways.push(Way {
                            name: name.to_owned(),
                            address: Address::Tcp(address),
                            process: Some(process.id()),
                        });
                        started.push(process);
                    }
                    Err(error) => eprintln!("{name} is left out: {error}"),
                }
            }
        }
        World {
            _source: source,
            ways,
            _sidecars: sidecars,
            _peers: started,
            _directory: directory,
            _authority: authority,
        }
    }
}

/// The server, with a second port for TLS.
fn database(authority: &Authority) -> (RedisServer, u16) {
    let port = free_address().port();
    let shows = authority.certificate("database");
    let server = RedisServer::options()
        .arguments(&["--tls-port", &port.to_string(), "--tls-auth-clients", "no"])
        .arguments(&["--tls-cert-file", shows.cert.to_str().unwrap()])
        .arguments(&["--tls-key-file", shows.key.to_str().unwrap()])
        .arguments(&["--tls-ca-cert-file", authority.ca().to_str().unwrap()])
        .start();
    (server, port)
}

/// TLS to the server itself, and a sidecar with TLS towards its clients, one with TLS towards the server, and one with
/// both. No client shows a certificate; lanes as by default.
fn encrypted_ways(
    authority: &Authority,
    source: &RedisServer,
    tls_port: u16,
    workers: i64,
) -> (Vec<Way>, Vec<Sidecar>) {
    let trusts = trusting(&authority.ca());
    let shows = authority.certificate("sidecar");
    let plain = || quiet(Sidecar::new()).source(source);
    let encrypting = || {
        let ca = authority.ca().to_str().unwrap().to_owned();
        plain()
            .set("source.url", format!("rediss://127.0.0.1:{tls_port}"))
            .set("source.tls.ca", ca)
    };
    let mut certificate = Table::new();
    for (key, path) in [("cert", &shows.cert), ("key", &shows.key)] {
        certificate.insert(key.to_owned(), path.to_str().unwrap().into());
    }
    let listener = || Listener::new().set("tls", certificate.clone());
    let over_tls = |address| Address::Tls(address, Arc::clone(&trusts));
    let begins: [&dyn Fn(SocketAddr) -> Address; 2] = [&over_tls, &Address::Tcp];
    let mut ways = vec![Way {
        name: "direct, TLS".to_owned(),
        address: over_tls(SocketAddr::new(source.addr().ip(), tls_port)),
        process: None,
    }];
    let mut sidecars = Vec::new();
    for (name, sidecar, listener, begin) in [
        ("handover, TLS to clients", plain(), listener(), begins[0]),
        (
            "handover, TLS to the server",
            encrypting(),
            Listener::new(),
            begins[1],
        ),
        ("handover, TLS to both", encrypting(), listener(), begins[0]),
    ] {
        let sidecar = sidecar
            .set("target.url", "redis://127.0.0.1:1")
            .set("proxy.workers", workers)
            .listener("tcp", listener)
            .start();
        ways.push(Way {
            name: name.to_owned(),
            address: begin(sidecar.addr("tcp")),
            process: Some(sidecar.id()),
        });
        sidecars.push(sidecar);
    }
    (ways, sidecars)
}

/// As in production: the log says what happens, not every step.
pub fn quiet(sidecar: SidecarBuilder) -> SidecarBuilder {
    sidecar.set("log.level", "info")
}

fn unix(path: &Path) -> String {
    format!("unix:{}", path.display())
}

type Start = fn(&TempDir, SocketAddr, SocketAddr) -> io::Result<Process>;

fn haproxy(directory: &TempDir, bind: SocketAddr, server: SocketAddr) -> io::Result<Process> {
    let file = directory.path().join("haproxy.cfg");
    fs::write(
        &file,
        format!(
            "global\n  nbthread 1\n  maxconn 4000\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1h\n  \
             timeout server 1h\nlisten all\n  bind {bind}\n  server one {server}\n"
        ),
    )?;
    start(
        "haproxy",
        &["-db".as_ref(), "-f".as_ref(), file.as_ref()],
        bind,
    )
}

fn nutcracker(directory: &TempDir, bind: SocketAddr, server: SocketAddr) -> io::Result<Process> {
    let file = directory.path().join("nutcracker.yml");
    fs::write(
        &file,
        format!(
            "all:\n  listen: {bind}\n  redis: true\n  hash: fnv1a_64\n  distribution: modula\n  preconnect: true\n  \
             server_connections: 1\n  servers:\n   - {server}:1\n"
        ),
    )?;
    let statistics = free_address().port().to_string();
    start(
        "nutcracker",
        &[
            "-c".as_ref(),
            file.as_ref(),
            "-a".as_ref(),
            "127.0.0.1".as_ref(),
            "-s".as_ref(),
            statistics.as_ref(),
        ],
        bind,
    )
}

fn start(program: &str, arguments: &[&OsStr], bind: SocketAddr) -> io::Result<Process> {
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let process = Process::new(child);
    if eventually(LIMIT, || TcpStream::connect(bind).is_ok()) {
        Ok(process)
    } else {
        Err(io::Error::other("it does not listen"))
    }
}

/// Exact CPU time of a process so far, all its threads together, as the scheduler counted it.
pub fn cpu_time(process: u32) -> Duration {
    let mut nanoseconds = 0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))
        .into_iter()
        .flatten()
        .flatten()
    {
        let statistics = fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
        let running = statistics.split_whitespace().next();
        nanoseconds += running.and_then(|it| it.parse::<u64>().ok()).unwrap_or(0);
    }
    Duration::from_nanos(nanoseconds)
}
