//! The room's rules against the loopback interface and sockets in a temporary directory.

mod tls;
mod watch;

use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use bytes::BytesMut;

use super::{Accepted, Bind, ConnectError, Dial, Endpoint, Listener, Owner, Stream};

/// One write of a test that fills buffers.
const CHUNK: usize = 16384;

/// Longer than anything here takes; only a failing test waits for it.
const LIMIT: Duration = Duration::from_secs(10);

#[tokio::test]
async fn bytes_cross_a_tcp_connection_both_ways() {
    let (client, server) = pair(&loopback()).await;
    crosses(&client, &server, b"PING\r\n").await;
    crosses(&server, &client, b"+PONG\r\n").await;
}

#[tokio::test]
async fn bytes_cross_a_unix_connection_both_ways() {
    let directory = tempfile::tempdir().unwrap();
    let (client, server) = pair(&unix(&directory.path().join("socket"), 0o600)).await;
    crosses(&client, &server, b"PING\r\n").await;
    crosses(&server, &client, b"+PONG\r\n").await;
    assert_eq!((client.peer(), server.peer()), ("unix", "unix"));
}

#[tokio::test]
async fn an_accepted_connection_is_adopted_by_another_thread() {
    let listener = Listener::bind(&loopback()).unwrap();
    let (client, accepted) = connect_to(&listener).await;
    let worker = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let server = accepted.adopt(None).await.unwrap();
            write_all(&server, b"hello").await;
        });
    });
    assert_eq!(read_to_end(&client).await, &b"hello"[..]);
    worker.join().unwrap();
}

#[tokio::test]
async fn each_end_names_the_other_by_address() {
    let listener = Listener::bind(&loopback()).unwrap();
    let (client, accepted) = connect_to(&listener).await;
    let server = accepted.adopt(None).await.unwrap();
    assert_eq!(client.peer(), listener.local());
    assert!(
        server
            .peer()
            .parse::<SocketAddr>()
            .unwrap()
            .ip()
            .is_loopback()
    );
}

#[tokio::test]
async fn a_closed_stream_reads_as_ended_at_the_far_end() {
    let (client, server) = pair(&loopback()).await;
    client.close();
    assert_eq!(read_to_end(&server).await, &b""[..]);
}

#[tokio::test]
async fn a_write_that_the_far_end_does_not_take_blocks_and_goes_on_when_it_does() {
    let (client, server) = pair(&loopback()).await;
    let sent = fill(&client);
    assert!(sent > 0);
    let mut received = BytesMut::new();
    while received.len() < sent {
        read_some(&server, &mut received).await;
    }
    poll_fn(|cx| client.poll_write_ready(cx)).await.unwrap();
    assert!(client.try_write(b"more").unwrap() > 0);
}

#[tokio::test]
async fn a_connect_to_nobody_says_where_it_was_refused() {
    let listener = Listener::bind(&loopback()).unwrap();
    let dial = dial(&listener);
    drop(listener);
    let error = dial.connect(LIMIT).await.unwrap_err();
    assert!(
        matches!(&error, ConnectError::Refused { endpoint, .. } if *endpoint == dial.endpoint),
        "{error}"
    );
}

#[tokio::test]
async fn a_name_without_an_address_is_said_to_be_unresolved() {
    // RFC 6761 reserves `.invalid`: no resolver may ever find it.
    let dial = Dial {
        endpoint: Endpoint::Tcp {
            host: "nobody.invalid".into(),
            port: 1,
        },
        tls: None,
    };
    let error = dial.connect(LIMIT).await.unwrap_err();
    assert!(matches!(error, ConnectError::Resolve { .. }), "{error}");
}

#[tokio::test]
async fn a_later_address_of_a_name_is_tried_when_an_earlier_one_refuses() {
    let listener = Listener::bind(&loopback()).unwrap();
    let open: SocketAddr = listener.local().parse().unwrap();
    let closed = SocketAddr::new(Ipv4Addr::new(127, 0, 0, 2).into(), open.port());
    let deadline = tokio::time::Instant::now() + LIMIT;
    let (_, address) = super::dial::first_to_accept(&[closed, open], deadline)
        .await
        .unwrap();
    assert_eq!(address, open);
}

#[tokio::test]
async fn an_address_that_never_answers_does_not_hide_the_one_behind_it() {
    let (_silent, silent) = silent();
    let listener = Listener::bind(&loopback()).unwrap();
    let open: SocketAddr = listener.local().parse().unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(1);
    let (_, address) = super::dial::first_to_accept(&[silent, open], deadline)
        .await
        .unwrap();
    assert_eq!(address, open);
}

#[tokio::test]
async fn a_connect_that_nobody_answers_ends_at_the_limit_and_says_so() {
    let (_silent, silent) = silent();
    let endpoint = Endpoint::Tcp {
        host: silent.ip().to_string(),
        port: silent.port(),
    };
    let error = Dial {
        endpoint,
        tls: None,
    }
    .connect(Duration::from_millis(50))
    .await
    .unwrap_err();
    assert!(matches!(error, ConnectError::TimedOut { .. }), "{error}");
}

#[tokio::test]
async fn a_socket_file_has_its_mode_and_goes_with_its_listener() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let listener = Listener::bind(&unix(&path, 0o660)).unwrap();
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o660
    );
    assert_eq!(listener.local(), format!("unix:{}", path.display()));
    drop(listener);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_socket_file_belongs_to_whom_it_is_given_or_there_is_none() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let bind = |user: u32, group: u32| Bind::Unix {
        path: path.clone(),
        mode: 0o640,
        owner: Owner {
            user: Some(user),
            group: Some(group),
        },
    };
    let (user, group) = (
        rustix::process::geteuid().as_raw(),
        rustix::process::getegid().as_raw(),
    );
    let listener = Listener::bind(&bind(user, group)).unwrap();
    assert_eq!(owner_of(&path), (user, group));
    drop(listener);
    // Only root may give it to somebody else.
    match (user, Listener::bind(&bind(12345, 23456))) {
        (0, listener) => {
            let _listener = listener.unwrap();
            assert_eq!(owner_of(&path), (12345, 23456));
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o640);
        }
        (_, refused) => {
            let error = refused.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
            assert!(error.to_string().contains("cannot give"), "{error}");
            assert!(!path.exists(), "nobody listens there");
        }
    }
}

fn owner_of(path: &Path) -> (u32, u32) {
    let metadata = std::fs::metadata(path).unwrap();
    (metadata.uid(), metadata.gid())
}

#[tokio::test]
async fn a_stale_socket_file_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "the standard library leaves the file behind");
    let (client, server) = pair(&unix(&path, 0o600)).await;
    crosses(&client, &server, b"x").await;
}

#[tokio::test]
async fn a_live_socket_is_not_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let bind = unix(&directory.path().join("socket"), 0o600);
    let _first = Listener::bind(&bind).unwrap();
    assert_eq!(
        Listener::bind(&bind).unwrap_err().kind(),
        io::ErrorKind::AddrInUse
    );
}

#[tokio::test]
async fn a_file_that_is_no_socket_is_not_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("precious");
    std::fs::write(&path, "data").unwrap();
    assert_eq!(
        Listener::bind(&unix(&path, 0o600)).unwrap_err().kind(),
        io::ErrorKind::AlreadyExists
    );
    assert_eq!(std::fs::read(&path).unwrap(), b"data");
}

#[tokio::test]
async fn two_listeners_cannot_share_a_port() {
    let listener = Listener::bind(&loopback()).unwrap();
    let taken = Bind::Tcp(listener.local().parse().unwrap());
    let error = Listener::bind(&taken).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert!(error.to_string().contains(&listener.local()), "{error}");
}

#[test]
fn an_endpoint_reads_as_it_is_written() {
    let tcp = |host: &str| {
        Endpoint::Tcp {
            host: host.into(),
            port: 6379,
        }
        .to_string()
    };
    assert_eq!(tcp("db.example"), "db.example:6379");
    assert_eq!(tcp("::1"), "[::1]:6379");
    assert_eq!(
        Endpoint::Unix("/run/redis.sock".into()).to_string(),
        "unix:/run/redis.sock"
    );
}

/// An address that drops attempts to connect: its queue has room for one connection, and holds one.
fn silent() -> ((socket2::Socket, std::net::TcpStream), SocketAddr) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket
        .bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())
        .unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let first = std::net::TcpStream::connect(address).unwrap();
    ((socket, first), address)
}

fn loopback() -> Bind {
    Bind::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
}

fn unix(path: &Path, mode: u32) -> Bind {
    Bind::Unix {
        path: path.to_owned(),
        mode,
        owner: Owner::default(),
    }
}

fn dial(listener: &Listener) -> Dial {
    let local = listener.local();
    let endpoint = if let Some(path) = local.strip_prefix("unix:") {
        Endpoint::Unix(path.into())
    } else {
        let address: SocketAddr = local.parse().unwrap();
        Endpoint::Tcp {
            host: address.ip().to_string(),
            port: address.port(),
        }
    };
    Dial {
        endpoint,
        tls: None,
    }
}

/// A connected client and server.
async fn pair(bind: &Bind) -> (Stream, Stream) {
    let listener = Listener::bind(bind).unwrap();
    let (client, accepted) = connect_to(&listener).await;
    (client, accepted.adopt(None).await.unwrap())
}

async fn connect_to(listener: &Listener) -> (Stream, Accepted) {
    let dial = dial(listener);
    let (client, accepted) = tokio::join!(dial.connect(LIMIT), listener.accept());
    (client.unwrap(), accepted.unwrap())
}

async fn crosses(from: &Stream, to: &Stream, bytes: &[u8]) {
    write_all(from, bytes).await;
    let mut received = BytesMut::new();
    while received.len() < bytes.len() {
        assert!(read_some(to, &mut received).await > 0, "closed early");
    }
    assert_eq!(received, bytes);
}

async fn write_all(stream: &Stream, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        poll_fn(|cx| stream.poll_write_ready(cx)).await.unwrap();
        match stream.try_write(bytes) {
            Ok(taken) => bytes = &bytes[taken..],
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
    }
}

async fn read_some(stream: &Stream, buffer: &mut BytesMut) -> usize {
    let read = async {
        loop {
            poll_fn(|cx| stream.poll_read_ready(cx)).await.unwrap();
            buffer.reserve(4096);
            match stream.try_read_buf(buffer) {
                Ok(read) => return read,
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        }
    };
    tokio::time::timeout(LIMIT, read)
        .await
        .expect("nothing came")
}

async fn read_to_end(stream: &Stream) -> BytesMut {
    let mut received = BytesMut::new();
    while read_some(stream, &mut received).await > 0 {}
    received
}

/// Writes until the far end's buffers are full; gives the number of bytes.
fn fill(stream: &Stream) -> usize {
    let mut sent = 0;
    loop {
        match stream.try_write(&[b'x'; CHUNK]) {
            Ok(taken) => sent += taken,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return sent,
            Err(error) => panic!("{error}"),
        }
    }
}
