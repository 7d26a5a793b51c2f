//! Sends inputs, each over a connection of its own, many at a time.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::input::Input;
use super::kit::LIMIT;

/// Connections at a time.
const AT_A_TIME: usize = 128;
/// How long a reply to the last request is waited for: where the input ends in the middle of a request, in vain.
const PATIENCE: Duration = Duration::from_millis(250);
/// What comes back once everything before it was looked at.
const MARKER: &[u8] = b"end-of-the-input";
/// Sent behind an input. RESET ends what it may have begun; in front of it stands the end of a line.
const EPILOGUE: &[u8] = b"\r\n*1\r\n$5\r\nRESET\r\n*2\r\n$4\r\nPING\r\n$16\r\nend-of-the-input\r\n";

/// How inputs ended.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ends {
    /// Everything in it was read, and the session went on.
    pub answered: u64,
    /// The session was closed.
    pub closed: u64,
    /// The session waits: for the rest of a request, or blocked.
    pub silent: u64,
}

impl std::ops::AddAssign for Ends {
    fn add_assign(&mut self, other: Ends) {
        self.answered += other.answered;
        self.closed += other.closed;
        self.silent += other.silent;
    }
}

/// Plays all of them to the end: afterwards none of these sessions is there any more.
pub fn play(address: SocketAddr, inputs: &[Input]) -> Ends {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(
        stream::iter(inputs)
            .map(|input| play_one(address, input))
            .buffer_unordered(AT_A_TIME)
            .fold(Ends::default(), |mut all, one| async move {
                all += one;
                all
            }),
    )
}

async fn play_one(address: SocketAddr, input: &Input) -> Ends {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut from, mut to) = stream.into_split();
    let sending = async {
        for packet in input.packets().chain([EPILOGUE]) {
            // A session that was closed on the way has nothing more to say to us.
            if to.write_all(packet).await.is_err() {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    let mut buffer = Vec::with_capacity(4096);
    let reading = async {
        loop {
            match from.read_buf(&mut buffer).await {
                Ok(0) | Err(_) => return End::Closed,
                Ok(_) if has_marker(&buffer) => return End::Answered,
                // A marker may come in two parts.
                Ok(_) => drop(buffer.drain(..buffer.len().saturating_sub(MARKER.len()))),
            }
        }
    };
    let end = timeout(PATIENCE, async { tokio::join!(sending, reading).1 }).await;
    let mut ends = Ends::default();
    match end {
        Ok(End::Answered) => ends.answered = 1,
        Ok(End::Closed) => ends.closed = 1,
        Err(_) => ends.silent = 1,
    }
    let _ = to.shutdown().await;
    let closing = async {
        loop {
            buffer.clear();
            if !matches!(from.read_buf(&mut buffer).await, Ok(1..)) {
                return;
            }
        }
    };
    let closed = timeout(LIMIT, closing).await;
    assert!(closed.is_ok(), "a session outlives its client: {input}");
    ends
}

enum End {
    Answered,
    Closed,
}

fn has_marker(bytes: &[u8]) -> bool {
    memchr::memmem::find(bytes, MARKER).is_some()
}
