//! Control connections against servers that do what real ones seldom do.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, mpsc};
use std::thread;

use super::*;
use crate::net::{Dial, Endpoint};
use crate::terms::{Secret, Side};

/// Long enough for a loaded machine, and never waited for in full by a test that passes.
const LIMIT: Duration = Duration::from_secs(10);

/// Listens, accepts one connection and hands it to `serve` on a thread of its own.
fn server(serve: impl FnOnce(TcpStream) + Send + 'static) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    let port = listener.local_addr().expect("has an address").port();
    thread::spawn(move || serve(listener.accept().expect("accepts").0));
    Server {
        side: Side::Source,
        name: "source".into(),
        dial: Dial {
            endpoint: Endpoint::Tcp {
                host: "127.0.0.1".into(),
                port,
            },
            tls: None,
        },
        identity: Identity::Anonymous,
        database: 0,
        replication_address: None,
        connect_timeout: LIMIT,
        own: Arc::default(),
    }
}

/// Reads until the bytes end with `end`.
fn read_until(stream: &mut TcpStream, end: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(end) {
        stream.read_exact(&mut byte).expect("reads");
        bytes.push(byte[0]);
    }
    bytes
}

fn shake_hands(stream: &mut TcpStream) {
    read_until(stream, b"handover\r\n");
    stream.write_all(b"+OK\r\n").expect("writes");
}

#[tokio::test]
async fn the_handshake_authenticates_selects_and_names() {
    let (sender, receiver) = mpsc::channel();
    let mut server = server(move |mut stream| {
        sender
            .send(read_until(&mut stream, b"handover\r\n"))
            .expect("is awaited");
        stream
            .write_all(b"+OK\r\n+OK\r\n-ERR no names here\r\n")
            .expect("writes");
    });
    server.database = 7;
    server.identity = Identity::User {
        name: Secret::new("mover"),
        password: Secret::new("s3cret"),
    };
    Control::connect(&server)
        .await
        .expect("a refused name is no failure");
    let sent = receiver.recv().expect("was sent");
    let expected = "*3\r\n$4\r\nAUTH\r\n$5\r\nmover\r\n$6\r\ns3cret\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n7\r\n\
        *3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$8\r\nhandover\r\n";
    assert_eq!(String::from_utf8_lossy(&sent), expected);
}

#[tokio::test]
async fn a_connection_without_an_answer_fails_within_the_time() {
    let (held, hold) = mpsc::channel::<()>();
    let mut server = server(move |stream| {
        let _ = hold.recv();
        drop(stream);
    });
    server.connect_timeout = Duration::from_millis(50);
    let error = Control::connect(&server)
        .await
        .expect_err("nobody answers")
        .to_string();
    assert!(error.contains("cannot connect"), "{error}");
    drop(held);
}

#[tokio::test]
async fn silence_is_no_reply_and_the_connection_is_not_used_again() {
    let server = server(|mut stream| {
        shake_hands(&mut stream);
        read_until(&mut stream, b"first\r\n");
        // The late reply to the first request must not pass for one to the second.
        let _ = stream.read(&mut [0; 100]);
        let _ = stream.write_all(b"+late\r\n");
    });
    let mut control = Control::connect(&server).await.expect("connects");
    let first = control
        .call(&[b"ECHO", b"first"], Duration::from_millis(50))
        .await;
    assert!(matches!(first, Err(Error::NoReply { .. })), "{first:?}");
    assert!(!control.usable());
    let second = control.call(&[b"PING"], LIMIT).await;
    assert!(matches!(second, Err(Error::NoReply { .. })), "{second:?}");
}

#[tokio::test]
async fn a_call_that_was_dropped_leaves_the_connection_unusable() {
    let server = server(|mut stream| {
        shake_hands(&mut stream);
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let mut control = Control::connect(&server).await.expect("connects");
    tokio::select! {
        biased;
        _ = control.call(&[b"PING"], LIMIT) => unreachable!("nobody answers"),
        () = std::future::ready(()) => {}
    }
    assert!(!control.usable());
    assert!(matches!(
        control.call(&[b"PING"], LIMIT).await,
        Err(Error::NoReply { .. })
    ));
}

#[tokio::test]
async fn a_server_that_hangs_up_or_lies_is_told_from_one_that_refuses() {
    for (answer, usable) in [
        (&b""[..], false),
        (b"HTTP/1.1 400\r\n", false),
        (b"-ERR no\r\n", true),
    ] {
        let server = server(move |mut stream| {
            shake_hands(&mut stream);
            read_until(&mut stream, b"PING\r\n");
            stream.write_all(answer).expect("writes");
        });
        let mut control = Control::connect(&server).await.expect("connects");
        let error = control
            .call(&[b"PING"], LIMIT)
            .await
            .expect_err("no answer that counts");
        assert_eq!(control.usable(), usable, "{error}");
        assert_eq!(matches!(error, Error::Refused { .. }), usable, "{error}");
    }
}

#[tokio::test]
async fn what_comes_unasked_makes_the_connection_unusable() {
    let server = server(|mut stream| {
        shake_hands(&mut stream);
        read_until(&mut stream, b"PING\r\n");
        stream.write_all(b"+PONG\r\n+unasked\r\n").expect("writes");
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let mut control = Control::connect(&server).await.expect("connects");
    assert_eq!(
        control.call(&[b"PING"], LIMIT).await.expect("answers"),
        Value::Simple("PONG".into())
    );
    assert!(!control.usable());
}
