//! The TCP connections of clients, as the kernel knows them: libraries reconnect without telling, the kernel does not.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;

/// State 1 of `/proc/net/tcp`.
const ESTABLISHED: &str = "01";

/// The sockets that are connected to an address of the loopback interface, by their inodes, which are not used again
/// while the machine is up.
pub(crate) fn connected_to(address: SocketAddr) -> BTreeSet<u64> {
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    // The address is written as a number in the machine's order, the port as it is.
    let peer = match address {
        SocketAddr::V4(v4) => {
            let ip = u32::from_ne_bytes(v4.ip().octets());
            format!("{ip:08X}:{:04X}", v4.port())
        }
        SocketAddr::V6(_) => panic!("the kit listens on 127.0.0.1"),
    };
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            (fields[2] == peer && fields[3] == ESTABLISHED).then(|| fields[9].parse().unwrap())
        })
        .collect()
}
