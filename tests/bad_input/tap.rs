//! A relay before a server that shows what was sent to it.

#![allow(unreachable_pub)] // a module of a test binary

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::kit::RedisServer;

/// Stands before a server and remembers every byte that is sent to it.
pub struct Tap {
    /// Where it listens.
    pub address: SocketAddr,
    /// What was sent, of all connections.
    seen: Arc<Mutex<Vec<u8>>>,
}

impl Tap {
    pub fn before(server: &RedisServer) -> Tap {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let tap = Tap {
            address: listener.local_addr().unwrap(),
            seen: Arc::default(),
        };
        let (server, seen) = (server.addr(), Arc::clone(&tap.seen));
        // Threads end with their connections, the listener with the test process.
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(upstream) = TcpStream::connect(server) else {
                    continue;
                };
                let back = (upstream.try_clone().unwrap(), client.try_clone().unwrap());
                let seen = Arc::clone(&seen);
                std::thread::spawn(move || pass(client, upstream, Some(&seen)));
                std::thread::spawn(move || pass(back.0, back.1, None));
            }
        });
        tap
    }

    /// Whether `text` was sent to the server.
    pub fn saw(&self, text: &str) -> bool {
        let seen = self.seen.lock().unwrap();
        seen.windows(text.len())
            .any(|window| window == text.as_bytes())
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, seen: Option<&Mutex<Vec<u8>>>) {
    let mut buffer = [0; 16 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if let Some(seen) = seen {
            seen.lock().unwrap().extend_from_slice(&buffer[..length]);
        }
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}
