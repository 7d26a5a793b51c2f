//! TLS over the same sockets: what crosses, who is let in, what a wrong setting says.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::*;
use crate::net::tls::{Client, ClientFiles, Error, Server, ServerFiles};

#[tokio::test]
async fn bytes_cross_an_encrypted_connection_both_ways() {
    let (client, server) = pair(trusting(), serving()).await.unwrap();
    crosses(&client, &server, b"PING\r\n").await;
    crosses(&server, &client, b"+PONG\r\n").await;
}

#[tokio::test]
async fn a_value_larger_than_every_buffer_arrives_whole() {
    let (client, server) = pair(trusting(), serving()).await.unwrap();
    let value: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let read = async {
        let mut received = BytesMut::new();
        while received.len() < value.len() {
            assert!(read_some(&server, &mut received).await > 0, "closed early");
        }
        received
    };
    let (received, ()) = tokio::join!(read, write_all(&client, &value));
    assert!(received == value, "the bytes differ");
}

#[tokio::test]
async fn a_write_blocks_while_ciphertext_is_pending_and_then_is_reported_once() {
    let (client, server) = pair(trusting(), serving()).await.unwrap();
    let sent = fill(&client);
    let refused = client.try_write(&[b'x'; CHUNK]).unwrap_err();
    assert_eq!(
        refused.kind(),
        io::ErrorKind::WouldBlock,
        "a second attempt buffers nothing more"
    );
    let drain = async {
        let mut received = BytesMut::new();
        while received.len() < sent + CHUNK {
            read_some(&server, &mut received).await;
        }
        received.len()
    };
    let (received, ()) = tokio::join!(drain, write_all(&client, &[b'x'; CHUNK]));
    assert_eq!(
        received,
        sent + CHUNK,
        "what was refused and offered again went out once"
    );
}

#[tokio::test]
async fn decrypted_bytes_at_hand_make_a_stream_ready_without_the_socket() {
    let (client, server) = pair(trusting(), serving()).await.unwrap();
    write_all(&client, b"abcdef").await;
    let mut first = [0; 1];
    poll_fn(|cx| server.poll_read_ready(cx)).await.unwrap();
    while let Err(error) = server.try_read(&mut first) {
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        poll_fn(|cx| server.poll_read_ready(cx)).await.unwrap();
    }
    let mut rest = BytesMut::new();
    assert_eq!(read_some(&server, &mut rest).await, 5);
    assert_eq!((&first[..], &rest[..]), (&b"a"[..], &b"bcdef"[..]));
}

#[tokio::test]
async fn a_closed_encrypted_stream_reads_as_ended_at_the_far_end() {
    let (client, server) = pair(trusting(), serving()).await.unwrap();
    write_all(&client, b"bye").await;
    client.close();
    assert_eq!(read_to_end(&server).await, &b"bye"[..]);
}

#[tokio::test]
async fn a_close_without_the_goodbye_of_tls_reads_as_ended_too() {
    let (client, server) = pair(trusting(), serving()).await.unwrap();
    // Has the client take the server's session tickets too: with unread bytes its close would be a reset.
    crosses(&server, &client, b"x").await;
    drop(client);
    assert_eq!(read_to_end(&server).await, &b""[..]);
}

#[tokio::test]
async fn tls_runs_over_a_unix_socket() {
    let directory = tempfile::tempdir().unwrap();
    let listener = Listener::bind(&unix(&directory.path().join("socket"), 0o600)).unwrap();
    let (client, server) = pair_over(&listener, trusting(), serving()).await.unwrap();
    crosses(&client, &server, b"x").await;
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused() {
    let files = ClientFiles {
        ca: Some(data("stranger-ca.pem")),
        ..trusting()
    };
    let error = pair(files, serving()).await.unwrap_err();
    assert!(
        matches!(&error, ConnectError::Tls { reason, .. } if reason.contains("UnknownIssuer")),
        "{error}"
    );
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let files = ClientFiles {
        server_name: Some("other.example".into()),
        ..trusting()
    };
    let error = pair(files, serving()).await.unwrap_err();
    assert!(matches!(error, ConnectError::Tls { .. }), "{error}");
}

#[tokio::test]
async fn a_configured_server_name_replaces_the_host() {
    let files = ClientFiles {
        server_name: Some("db.example".into()),
        ..trusting()
    };
    pair(files, serving()).await.unwrap();
}

#[tokio::test]
async fn any_certificate_will_do_where_verification_is_off() {
    let files = ClientFiles {
        insecure_skip_verify: true,
        server_name: Some("other.example".into()),
        ..bare()
    };
    let (client, server) = pair(files, serving()).await.unwrap();
    crosses(&client, &server, b"x").await;
}

#[tokio::test]
async fn a_client_with_a_certificate_of_the_authority_is_let_in() {
    let files = ClientFiles {
        cert: Some(data("client.pem")),
        key: Some(data("client.key")),
        ..trusting()
    };
    let (client, server) = pair(files, asking()).await.unwrap();
    crosses(&client, &server, b"x").await;
}

#[tokio::test]
async fn a_client_without_a_certificate_is_kept_out_where_one_is_asked() {
    assert_eq!(
        adopted(trusting(), asking()).await.unwrap_err().kind(),
        io::ErrorKind::InvalidData
    );
}

#[tokio::test]
async fn a_client_with_a_strangers_certificate_is_kept_out() {
    let files = ClientFiles {
        cert: Some(data("stranger.pem")),
        key: Some(data("stranger.key")),
        ..trusting()
    };
    assert_eq!(
        adopted(files, asking()).await.unwrap_err().kind(),
        io::ErrorKind::InvalidData
    );
}

#[tokio::test]
async fn a_client_that_speaks_plainly_to_a_tls_listener_is_closed() {
    let listener = Listener::bind(&loopback()).unwrap();
    let (client, accepted) = connect_to(&listener).await;
    write_all(&client, b"*1\r\n$4\r\nPING\r\n").await;
    let server = Arc::new(Server::load(&serving()).unwrap());
    assert_eq!(
        accepted.adopt(Some(server)).await.unwrap_err().kind(),
        io::ErrorKind::InvalidData
    );
}

#[tokio::test]
async fn a_far_end_that_hangs_up_in_the_handshake_is_an_error_and_not_a_wait() {
    let listener = Listener::bind(&loopback()).unwrap();
    let (client, accepted) = connect_to(&listener).await;
    client.close();
    let server = Arc::new(Server::load(&serving()).unwrap());
    assert_eq!(
        accepted.adopt(Some(server)).await.unwrap_err().kind(),
        io::ErrorKind::UnexpectedEof
    );
}

#[tokio::test]
async fn a_reload_serves_the_new_certificate_to_the_next_connection() {
    let directory = tempfile::tempdir().unwrap();
    let files = ServerFiles {
        cert: directory.path().join("cert"),
        key: directory.path().join("key"),
        client_ca: None,
    };
    let install = |name: &str| {
        std::fs::copy(data(&format!("{name}.pem")), &files.cert).unwrap();
        std::fs::copy(data(&format!("{name}.key")), &files.key).unwrap();
    };
    install("stranger");
    let server = Arc::new(Server::load(&files).unwrap());
    let listener = Listener::bind(&loopback()).unwrap();
    assert!(
        through(&listener, trusting(), server.clone())
            .await
            .is_err()
    );
    install("server");
    server.reload().unwrap();
    assert!(through(&listener, trusting(), server).await.is_ok());
}

#[test]
fn a_failed_reload_keeps_what_was_there() {
    let directory = tempfile::tempdir().unwrap();
    let ca = directory.path().join("ca");
    std::fs::copy(data("ca.pem"), &ca).unwrap();
    let client = Client::load(
        &ClientFiles {
            ca: Some(ca.clone()),
            ..bare()
        },
        "localhost",
    )
    .unwrap();
    std::fs::write(&ca, "nonsense").unwrap();
    assert_eq!(client.reload().unwrap_err().len(), 1);
    assert!(client.session().is_ok());
}

#[test]
fn without_a_ca_the_error_names_it_and_says_that_system_roots_are_not_used() {
    let errors = Client::load(&bare(), "localhost").unwrap_err();
    assert_eq!(errors[0].key(), "ca");
    assert!(
        errors[0]
            .to_string()
            .contains("system's roots are not used"),
        "{}",
        errors[0]
    );
}

#[test]
fn every_wrong_file_is_reported_with_its_key() {
    let files = ClientFiles {
        ca: Some(data("absent.pem")),
        cert: Some(data("client.key")),
        key: Some(data("client.pem")),
        server_name: Some("not a name".into()),
        insecure_skip_verify: false,
        ..bare()
    };
    let keys: Vec<_> = Client::load(&files, "localhost")
        .unwrap_err()
        .iter()
        .map(Error::key)
        .collect();
    assert_eq!(keys, ["server_name", "ca", "cert", "key"]);
}

#[test]
fn a_certificate_without_its_key_or_with_another_ones_is_an_error() {
    let alone = ClientFiles {
        cert: Some(data("client.pem")),
        ..trusting()
    };
    assert_eq!(
        Client::load(&alone, "localhost").unwrap_err()[0].key(),
        "key"
    );
    let mixed = ServerFiles {
        key: data("client.key"),
        ..serving()
    };
    assert_eq!(Server::load(&mixed).unwrap_err()[0].key(), "cert");
}

/// A connection from a client to a server, both with TLS, and what the client's side says if it fails.
async fn pair(client: ClientFiles, server: ServerFiles) -> Result<(Stream, Stream), ConnectError> {
    let listener = Listener::bind(&loopback()).unwrap();
    pair_over(&listener, client, server).await
}

async fn pair_over(
    listener: &Listener,
    client: ClientFiles,
    server: ServerFiles,
) -> Result<(Stream, Stream), ConnectError> {
    let (client, server) =
        through(listener, client, Arc::new(Server::load(&server).unwrap())).await?;
    Ok((client, server.unwrap()))
}

/// What the server's side says of a client that it should keep out. (In TLS 1.3 the client's handshake is over before
/// the server has judged its certificate, so the client's own side says nothing yet.)
async fn adopted(client: ClientFiles, server: ServerFiles) -> io::Result<Stream> {
    let listener = Listener::bind(&loopback()).unwrap();
    through(&listener, client, Arc::new(Server::load(&server).unwrap()))
        .await
        .unwrap()
        .1
}

pub(super) async fn through(
    listener: &Listener,
    client: ClientFiles,
    server: Arc<Server>,
) -> Result<(Stream, io::Result<Stream>), ConnectError> {
    let tls = Some(Arc::new(Client::load(&client, "localhost").unwrap()));
    let dial = Dial {
        tls,
        ..dial(listener)
    };
    let adopt = async { listener.accept().await.unwrap().adopt(Some(server)).await };
    let (client, server) = tokio::join!(dial.connect(LIMIT), adopt);
    Ok((client?, server))
}

/// A client that trusts the tests' authority.
pub(super) fn trusting() -> ClientFiles {
    ClientFiles {
        ca: Some(data("ca.pem")),
        ..bare()
    }
}

fn bare() -> ClientFiles {
    ClientFiles::default()
}

/// A server that asks clients for nothing.
fn serving() -> ServerFiles {
    ServerFiles {
        cert: data("server.pem"),
        key: data("server.key"),
        client_ca: None,
    }
}

/// A server that asks clients for a certificate.
fn asking() -> ServerFiles {
    ServerFiles {
        client_ca: Some(data("ca.pem")),
        ..serving()
    }
}

pub(super) fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/net/tls/testdata")
        .join(name)
}
