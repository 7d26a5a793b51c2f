//! The load: open loop, a request is sent when it is due whether or not earlier ones are answered, and its latency counts
//! from that moment, so that waiting is counted; closed loop, each connection has so many requests on their way, always.
//!
//! One thread, one epoll, no runtime: what it measures is not its own.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rustix::event::{Timespec, epoll};

use crate::socket::{Address, Socket};

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Get,
    Set,
}

/// The shape of a load.
#[derive(Debug, Clone, Copy)]
pub struct Workload {
    pub operation: Operation,
    pub connections: usize,
    /// Requests that leave together.
    pub pipeline: usize,
    pub value_bytes: usize,
}

/// What became of it.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub answered: u64,
    /// Sent in an open loop and not answered when waiting for it ended.
    pub unanswered: u64,
    pub seconds: f64,
    /// Latency in nanoseconds, of each request.
    pub latency: Histogram<u64>,
}

/// Connected, and ready to be loaded.
pub struct Load {
    workload: Workload,
    keys: u64,
    epoll: OwnedFd,
    connections: Vec<Connection>,
    /// Connections with bytes that the kernel has not taken.
    unsent: Vec<usize>,
    random: u64,
    value: Vec<u8>,
    reply_bytes: usize,
    /// Requests without an answer.
    owed: usize,
    /// What is read into.
    buffer: Vec<u8>,
}

struct Connection {
    socket: Socket,
    /// When the requests without an answer were due, in nanoseconds since the start.
    due: VecDeque<u64>,
    /// Bytes of the reply in progress.
    got: usize,
    out: Vec<u8>,
    sent: usize,
}

/// Latencies are kept up to this.
const NANOS_MAX: u64 = 60_000_000_000;
/// What is not answered this long after the end will not be.
const GRACE: Duration = Duration::from_secs(5);
/// As much is read at a time.
const READ_BYTES: usize = 256 << 10;
/// Events taken at a time.
const EVENTS: usize = 512;

impl Workload {
    /// How many keys: about 16 MiB of values, so that they do not live in a cache.
    pub fn keys(&self) -> u64 {
        (16 << 20) / (self.value_bytes as u64).max(1024)
    }
}

impl Load {
    pub fn connect(address: &Address, workload: Workload) -> io::Result<Load> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut connections = Vec::new();
        for number in 0..workload.connections {
            let socket = Socket::connect(address)?;
            epoll::add(
                &epoll,
                &socket,
                epoll::EventData::new_u64(number as u64),
                epoll::EventFlags::IN,
            )?;
            connections.push(Connection {
                socket,
                due: VecDeque::new(),
                got: 0,
                out: Vec::new(),
                sent: 0,
            });
        }
        let bytes = workload.value_bytes;
        Ok(Load {
            workload,
            keys: workload.keys(),
            epoll,
            connections,
            unsent: Vec::new(),
            random: 0x9e37_79b9_7f4a_7c15,
            value: vec![b'x'; bytes],
            reply_bytes: match workload.operation {
                Operation::Set => "+OK\r\n".len(),
                Operation::Get => format!("${bytes}\r\n").len() + bytes + 2,
            },
            owed: 0,
            buffer: vec![0; READ_BYTES],
        })
    }

    /// Sets every key of the workload.
    pub fn fill(&self, address: &Address) -> io::Result<()> {
        let mut socket = Socket::connect(address)?;
        socket.set_blocking()?;
        for key in 0..self.keys {
            let mut request = Vec::new();
            write_request(&mut request, Operation::Set, key, &self.value);
            socket.write_all(&request)?;
            socket.flush()?;
            let mut reply = [0; 5];
            socket.read_exact(&mut reply)?;
            if &reply != b"+OK\r\n" {
                return Err(io::Error::other(String::from_utf8_lossy(&reply)));
            }
        }
        Ok(())
    }

    /// `rate` requests a second for `length`, with exponentially distributed times between them; what is due in the
    /// first `warm_up` is sent and not counted.
    pub fn open(&mut self, rate: f64, warm_up: Duration, length: Duration) -> io::Result<Outcome> {
        let begin = Instant::now();
        let counted_from = nanos(warm_up);
        let end = nanos(warm_up + length);
        let between = self.workload.pipeline as f64 / rate * 1e9;
        let mut outcome = Outcome::new(length);
        let mut next = 0_f64;
        let mut turn = 0;
        loop {
            let mut now = nanos(begin.elapsed());
            while next as u64 <= now && (next as u64) < end {
                self.send(turn % self.workload.connections, next as u64)?;
                turn += 1;
                next -= self.fraction().ln() * between;
                now = nanos(begin.elapsed());
            }
            if next as u64 >= end && (self.owed == 0 || now > end + nanos(GRACE)) {
                outcome.unanswered = self.owed as u64;
                return Ok(outcome);
            }
            let wait = if (next as u64) < end {
                (next as u64).saturating_sub(now)
            } else {
                1_000_000
            };
            self.receive(Duration::from_nanos(wait), begin, |due, now| {
                if due >= counted_from {
                    outcome.answered += 1;
                    outcome.latency.saturating_record((now - due).max(1));
                }
                None
            })?;
        }
    }

    /// As many requests as go for `length`, each connection with `pipeline` of them on their way.
    pub fn closed(&mut self, length: Duration) -> io::Result<Outcome> {
        let begin = Instant::now();
        let end = nanos(length);
        let mut outcome = Outcome::new(length);
        for number in 0..self.workload.connections {
            self.send(number, nanos(begin.elapsed()))?;
        }
        loop {
            let now = nanos(begin.elapsed());
            if now >= end && (self.owed == 0 || now > end + nanos(GRACE)) {
                return Ok(outcome);
            }
            self.receive(Duration::from_millis(1), begin, |due, now| {
                // On a machine that gave nobody a turn in this time, the first answer ends it.
                if now < end || outcome.answered == 0 {
                    outcome.seconds = outcome.seconds.max(now as f64 / 1e9);
                    outcome.answered += 1;
                    outcome.latency.saturating_record((now - due).max(1));
                }
                (now < end).then_some(now)
            })?;
        }
    }

    fn send(&mut self, number: usize, due: u64) -> io::Result<()> {
        for _ in 0..self.workload.pipeline {
            let key = (self.fraction() * self.keys as f64) as u64 % self.keys;
            let connection = &mut self.connections[number];
            write_request(
                &mut connection.out,
                self.workload.operation,
                key,
                &self.value,
            );
            connection.due.push_back(due);
        }
        self.owed += self.workload.pipeline;
        if !self.connections[number].flush()? && !self.unsent.contains(&number) {
            self.unsent.push(number);
        }
        Ok(())
    }

    /// Waits at most `wait` for replies and tells `answered` of each: when it was due, and what time it is. Where that
    /// gives a moment and the connection owes nothing any more, it is sent the next requests, due then.
    fn receive(
        &mut self,
        wait: Duration,
        begin: Instant,
        mut answered: impl FnMut(u64, u64) -> Option<u64>,
    ) -> io::Result<()> {
        let wait = if self.unsent.is_empty() {
            wait
        } else {
            Duration::ZERO
        };
        let timeout = Timespec {
            tv_sec: wait.as_secs() as i64,
            tv_nsec: i64::from(wait.subsec_nanos()),
        };
        let mut events = [const { MaybeUninit::<epoll::Event>::uninit() }; EVENTS];
        let (ready, _) = epoll::wait(&self.epoll, &mut events, Some(&timeout))?;
        for event in ready {
            let number = event.data.u64() as usize;
            let connection = &mut self.connections[number];
            let length = match connection.socket.read(&mut self.buffer) {
                Ok(0) => return Err(io::Error::other("a connection was closed")),
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error),
            };
            if connection.got == 0 && self.buffer[0] == b'-' {
                return Err(io::Error::other(String::from_utf8_lossy(
                    &self.buffer[..length.min(200)],
                )));
            }
            let now = nanos(begin.elapsed());
            connection.got += length;
            let mut again = None;
            while connection.got >= self.reply_bytes {
                connection.got -= self.reply_bytes;
                let due = connection
                    .due
                    .pop_front()
                    .ok_or_else(|| io::Error::other("more replies than requests"))?;
                self.owed -= 1;
                again = answered(due, now);
            }
            if let Some(due) = again
                && connection.due.is_empty()
            {
                self.send(number, due)?;
            }
        }
        let connections = &mut self.connections;
        let mut failed = None;
        self.unsent
            .retain(|&number| match connections[number].flush() {
                Ok(done) => !done,
                Err(error) => {
                    failed = Some(error);
                    true
                }
            });
        failed.map_or(Ok(()), Err)
    }

    /// Between 0 and 1, without either; the same sequence in every run.
    fn fraction(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        ((self.random >> 11) as f64 + 1.0) / ((1_u64 << 53) as f64 + 2.0)
    }
}

impl Outcome {
    fn new(length: Duration) -> Outcome {
        Outcome {
            answered: 0,
            unanswered: 0,
            seconds: length.as_secs_f64(),
            latency: Histogram::new_with_bounds(1, NANOS_MAX, 3).unwrap(),
        }
    }

    /// Whether an open loop went faster than what was measured: its latencies are then those of the answered only.
    pub fn is_behind(&self) -> bool {
        self.unanswered * 100 > self.answered
    }

    /// A quantile of the latency.
    pub fn micros(&self, quantile: f64) -> f64 {
        self.latency.value_at_quantile(quantile) as f64 / 1e3
    }

    pub fn per_second(&self) -> f64 {
        self.answered as f64 / self.seconds
    }
}

impl Connection {
    /// True when the kernel has taken everything.
    fn flush(&mut self) -> io::Result<bool> {
        while self.sent < self.out.len() {
            match self.socket.write(&self.out[self.sent..]) {
                Ok(written) => self.sent += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        match self.socket.flush() {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
        self.out.clear();
        self.sent = 0;
        Ok(true)
    }
}

fn write_request(out: &mut Vec<u8>, operation: Operation, key: u64, value: &[u8]) {
    match operation {
        Operation::Get => {
            let _ = write!(out, "*2\r\n$3\r\nGET\r\n$16\r\nkey:{key:012}\r\n");
        }
        Operation::Set => {
            let _ = write!(
                out,
                "*3\r\n$3\r\nSET\r\n$16\r\nkey:{key:012}\r\n${}\r\n",
                value.len()
            );
            out.extend_from_slice(value);
            out.extend_from_slice(b"\r\n");
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    duration.as_nanos() as u64
}
