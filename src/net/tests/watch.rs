//! Certificates that are replaced while they are in use.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::tls::{data, through, trusting};
use super::*;
use crate::net::tls::{Client, ClientFiles, End, Server, ServerFiles, Sight, Watch};

/// A listener's certificate and key in a directory, watched.
struct World {
    directory: tempfile::TempDir,
    server: Arc<Server>,
    watch: Watch,
}

impl World {
    fn with(name: &str) -> World {
        let directory = tempfile::tempdir().unwrap();
        install(directory.path(), name);
        let server = Arc::new(Server::load(&files(directory.path())).unwrap());
        World {
            watch: Watch::new(End::Server(server.clone())),
            directory,
            server,
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A client that trusts the tests' authority.
    async fn connect(&self) -> Result<(Stream, Stream), ConnectError> {
        let listener = Listener::bind(&loopback()).unwrap();
        let (client, server) = through(&listener, trusting(), self.server.clone()).await?;
        Ok((client, server.unwrap()))
    }
}

#[tokio::test]
async fn replaced_certificates_serve_new_connections_and_old_ones_stay() {
    let mut world = World::with("server");
    let (client, server) = world.connect().await.unwrap();
    assert_eq!(world.watch.look(), Sight::Nothing, "nothing has changed");
    install(world.directory.path(), "stranger");
    assert_eq!(world.watch.look(), Sight::Nothing, "not at rest yet");
    assert!(world.connect().await.is_ok());
    assert_eq!(world.watch.look(), Sight::Reloaded);
    assert!(world.connect().await.is_err(), "a stranger's certificate");
    assert_eq!(world.watch.look(), Sight::Nothing);
    crosses(&client, &server, b"still here").await;
}

#[tokio::test]
async fn a_key_that_comes_late_is_waited_for() {
    let mut world = World::with("server");
    std::fs::copy(data("stranger.pem"), world.file("cert")).unwrap();
    assert_eq!(world.watch.look(), Sight::Nothing);
    std::fs::copy(data("stranger.key"), world.file("key")).unwrap();
    assert_eq!(world.watch.look(), Sight::Nothing, "changed since");
    assert_eq!(world.watch.look(), Sight::Reloaded);
}

#[tokio::test]
async fn a_broken_file_keeps_what_there_was_and_is_told_once() {
    let mut world = World::with("server");
    std::fs::write(world.file("cert"), "nonsense").unwrap();
    assert_eq!(world.watch.look(), Sight::Nothing);
    match world.watch.look() {
        Sight::Broken(errors) => assert_eq!(errors[0].key(), "cert"),
        other => panic!("{other:?}"),
    }
    assert_eq!(world.watch.look(), Sight::Nothing, "told already");
    assert!(world.connect().await.is_ok());
    assert!(
        matches!(world.watch.reload(), Sight::Broken(_)),
        "told again to who asks"
    );
    std::fs::remove_file(world.file("cert")).unwrap();
    world.watch.look();
    assert!(
        matches!(world.watch.look(), Sight::Broken(_)),
        "another mistake"
    );
    install(world.directory.path(), "stranger");
    world.watch.look();
    assert_eq!(world.watch.look(), Sight::Reloaded);
}

/// As Kubernetes replaces secrets: the files are links through a directory's link, and that one is exchanged.
#[tokio::test]
async fn files_that_are_replaced_behind_a_link_are_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    for name in ["server", "stranger"] {
        std::fs::create_dir(at(name)).unwrap();
        install(&at(name), name);
    }
    std::os::unix::fs::symlink("server", at("data")).unwrap();
    let server = Arc::new(Server::load(&files(&at("data"))).unwrap());
    let mut watch = Watch::new(End::Server(server));
    assert_eq!(watch.look(), Sight::Nothing);
    std::os::unix::fs::symlink("stranger", at("next")).unwrap();
    std::fs::rename(at("next"), at("data")).unwrap();
    assert_eq!(watch.look(), Sight::Nothing);
    assert_eq!(watch.look(), Sight::Reloaded);
}

#[tokio::test]
async fn a_change_between_the_first_reading_and_the_watch_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let ca = directory.path().join("ca");
    std::fs::copy(data("stranger-ca.pem"), &ca).unwrap();
    let trusting = ClientFiles {
        ca: Some(ca.clone()),
        ..ClientFiles::default()
    };
    let client = Arc::new(Client::load(&trusting, "localhost").unwrap());
    std::fs::copy(data("ca.pem"), &ca).unwrap();
    let mut watch = Watch::new(End::Client(client));
    assert_eq!(watch.look(), Sight::Nothing);
    assert_eq!(watch.look(), Sight::Reloaded);
}

fn files(directory: &Path) -> ServerFiles {
    ServerFiles {
        cert: directory.join("cert"),
        key: directory.join("key"),
        client_ca: None,
    }
}

fn install(directory: &Path, name: &str) {
    std::fs::copy(data(&format!("{name}.pem")), directory.join("cert")).unwrap();
    std::fs::copy(data(&format!("{name}.key")), directory.join("key")).unwrap();
}
