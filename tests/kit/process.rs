//! Child processes that do not outlive the test, and free ports for them.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, ExitStatus};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::wait::eventually;

/// A child that is killed when it is dropped.
#[derive(Debug)]
pub struct Process(Child);

impl Process {
    pub fn new(child: Child) -> Process {
        Process(child)
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().unwrap()
    }

    /// Waits until it ends.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        assert!(
            eventually(limit, || self.ended().is_some()),
            "process {} did not end within {limit:?}",
            self.id()
        );
        self.ended().unwrap()
    }

    /// Sends a signal. A process that is gone does not mind.
    pub fn signal(&self, signal: Signal) {
        send_signal(self.id(), signal);
    }

    /// kill -9, and waits for the end.
    pub fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Sends a signal to a process of this test by its number. One that is gone does not mind.
pub fn send_signal(id: u32, signal: Signal) {
    let pid = i32::try_from(id).ok().and_then(Pid::from_raw).unwrap();
    let _ = kill_process(pid, signal);
}

/// An address of the loopback interface that nobody listens on. Another test may take it first: who starts a server
/// there tries again with another.
pub fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap()
}

/// The same, and none of those that are spoken for.
pub fn free_address_beside<'a>(taken: impl Iterator<Item = &'a SocketAddr>) -> SocketAddr {
    let taken: Vec<&SocketAddr> = taken.collect();
    loop {
        let address = free_address();
        if !taken.contains(&&address) {
            return address;
        }
    }
}
