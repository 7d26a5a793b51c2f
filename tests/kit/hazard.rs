//! A stretch of bad road between the sidecar and a server: carries bytes both ways until it is told to stall, delay,
//! garble or cut them, or to do something at the very moment at which a certain request comes by.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener as Listener, TcpStream};
use tokio::sync::watch;

/// Bytes carried at a time.
const PIECE: usize = 64 << 10;

/// What the road is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Road {
    /// Bytes pass.
    Good,
    /// Nothing moves, in either direction; new connections are taken and hang.
    Stalled,
    /// Each piece that comes back from the server waits for so long.
    Slow(Duration),
    /// What comes back from the server is replaced by bytes that are no RESP.
    Garbled,
    /// There are no connections: the present ones end, new ones end at once.
    Closed,
}

/// What happens to the request that was waited for.
pub enum Deed {
    /// The deed is done, then the request is forwarded.
    Do(Box<dyn FnOnce() + Send>),
    /// The server never sees it; this is the reply.
    Answer(Vec<u8>),
    /// The server never sees it, and no reply comes.
    Swallow,
    /// The server gets other bytes instead.
    Replace(fn(&[u8]) -> Vec<u8>),
    /// The road is like this from now on; the request meets it.
    Turn(Road),
    /// Every connection ends at this moment; new ones are fine.
    Cut,
}

/// The road to one server. Dropping it closes it.
#[derive(Debug)]
pub struct Hazard {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// Runs until `stop` is dropped.
    thread: Option<JoinHandle<()>>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
}

#[derive(Debug)]
struct Shared {
    road: watch::Sender<Condition>,
    trap: Mutex<Trap>,
}

/// The road, and how often everything on it was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Condition {
    road: Road,
    cuts: u64,
}

/// A request that is waited for.
#[derive(Default)]
struct Trap {
    /// What must come by, one after the other; the last is the request that is waited for.
    wanted: VecDeque<Vec<u8>>,
    deed: Option<Deed>,
    /// When it came.
    met: Option<Instant>,
}

/// Changes the road from anywhere, as long as there is one.
#[derive(Debug, Clone)]
pub struct Handle(Arc<Shared>);

impl Handle {
    pub fn turn(&self, road: Road) {
        self.0.turn(road);
    }

    pub fn cut(&self) {
        self.0.cut();
    }
}

impl std::fmt::Debug for Trap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trap")
            .field("met", &self.met)
            .finish_non_exhaustive()
    }
}

impl Hazard {
    /// A good road to `server`.
    pub fn before(server: SocketAddr) -> Hazard {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (road, _) = watch::channel(Condition {
            road: Road::Good,
            cuts: 0,
        });
        let shared = Arc::new(Shared {
            road,
            trap: Mutex::default(),
        });
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let carried = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                tokio::select! {
                    () = accept(listener, server, carried) => {}
                    _ = stopped => {}
                }
            });
        });
        Hazard {
            address,
            shared,
            thread: Some(thread),
            stop: Some(stop),
        }
    }

    /// Where the road begins.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// What it is like from now on.
    pub fn turn(&self, road: Road) {
        self.shared.turn(road);
    }

    /// Ends every connection that is there now.
    pub fn cut(&self) {
        self.shared.cut();
    }

    /// Does `deed` once, to the first request from now on that contains `wanted`.
    pub fn at(&self, wanted: &str, deed: Deed) {
        self.wait_for(&[wanted], deed);
    }

    /// The same, to the first such request behind one that contains `before`.
    pub fn at_after(&self, before: &str, wanted: &str, deed: Deed) {
        self.wait_for(&[before, wanted], deed);
    }

    /// When the request came by that was waited for, if it has.
    pub fn met(&self) -> Option<Instant> {
        self.shared.trap().met
    }

    pub fn handle(&self) -> Handle {
        Handle(Arc::clone(&self.shared))
    }

    fn wait_for(&self, wanted: &[&str], deed: Deed) {
        *self.shared.trap() = Trap {
            wanted: wanted.iter().map(|it| it.as_bytes().to_vec()).collect(),
            deed: Some(deed),
            met: None,
        };
    }

    /// A good road again, and nothing waited for.
    pub fn heal(&self) {
        *self.shared.trap() = Trap::default();
        self.turn(Road::Good);
    }
}

impl Drop for Hazard {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn turn(&self, road: Road) {
        self.road.send_modify(|condition| condition.road = road);
    }

    fn cut(&self) {
        self.road.send_modify(|condition| condition.cuts += 1);
    }

    fn trap(&self) -> std::sync::MutexGuard<'_, Trap> {
        self.trap.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The deed, if these bytes are what was waited for.
    fn deed_for(&self, bytes: &[u8]) -> Option<Deed> {
        let mut trap = self.trap();
        let wanted = trap.wanted.front()?;
        if !bytes
            .windows(wanted.len())
            .any(|window| window == wanted.as_slice())
        {
            return None;
        }
        trap.wanted.pop_front();
        if !trap.wanted.is_empty() {
            return None;
        }
        trap.met = Some(Instant::now());
        trap.deed.take()
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, shared: Arc<Shared>) {
    let listener = Listener::from_std(listener).unwrap();
    loop {
        let Ok((client, _)) = listener.accept().await else {
            continue;
        };
        tokio::spawn(carry(client, server, Arc::clone(&shared)));
    }
}

/// One connection, until either end closes it or it is cut.
async fn carry(client: TcpStream, server: SocketAddr, shared: Arc<Shared>) {
    let mut road = shared.road.subscribe();
    let cuts = road.borrow().cuts;
    let open = async {
        passable(&mut shared.road.subscribe()).await;
        let server = TcpStream::connect(server).await.ok()?;
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let replies = Arc::new(tokio::sync::Mutex::new(to_client));
        let upward = requests(from_client, to_server, Arc::clone(&replies), &shared);
        let downward = answers(from_server, replies, &shared);
        // A client that has sent everything still reads; a server that has does not.
        tokio::select! {
            () = async { upward.await; std::future::pending::<()>().await } => {}
            () = downward => {}
        }
        Some(())
    };
    tokio::select! {
        _ = open => {}
        _ = road.wait_for(|now| now.cuts != cuts || now.road == Road::Closed) => {}
    }
}

/// Waits while nothing moves.
async fn passable(road: &mut watch::Receiver<Condition>) -> Road {
    match road.wait_for(|now| now.road != Road::Stalled).await {
        Ok(now) => now.road,
        Err(_) => Road::Closed,
    }
}

async fn requests(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    replies: Arc<tokio::sync::Mutex<OwnedWriteHalf>>,
    shared: &Shared,
) {
    let mut road = shared.road.subscribe();
    let mut buffer = vec![0; PIECE];
    loop {
        let Ok(length @ 1..) = from.read(&mut buffer).await else {
            let _ = to.shutdown().await;
            return;
        };
        let mut bytes = buffer[..length].to_vec();
        match shared.deed_for(&bytes) {
            None => {}
            Some(Deed::Do(deed)) => deed(),
            Some(Deed::Answer(answer)) => {
                let _ = replies.lock().await.write_all(&answer).await;
                continue;
            }
            Some(Deed::Swallow) => continue,
            Some(Deed::Replace(with)) => bytes = with(&bytes),
            Some(Deed::Turn(road)) => shared.turn(road),
            Some(Deed::Cut) => {
                shared.cut();
                std::future::pending::<()>().await;
            }
        }
        passable(&mut road).await;
        if to.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

async fn answers(
    mut from: OwnedReadHalf,
    to: Arc<tokio::sync::Mutex<OwnedWriteHalf>>,
    shared: &Shared,
) {
    let mut road = shared.road.subscribe();
    let mut buffer = vec![0; PIECE];
    loop {
        let Ok(length @ 1..) = from.read(&mut buffer).await else {
            return;
        };
        let bytes = match passable(&mut road).await {
            Road::Good | Road::Stalled => &buffer[..length],
            Road::Slow(delay) => {
                tokio::time::sleep(delay).await;
                &buffer[..length]
            }
            Road::Garbled => b"?what a server would never say\r\n",
            Road::Closed => return,
        };
        if to.lock().await.write_all(bytes).await.is_err() {
            return;
        }
    }
}
