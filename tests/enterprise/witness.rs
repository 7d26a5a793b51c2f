//! Sees every command that the target is sent, by whom and when, and the moments in which Replica Of ended.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::thread::JoinHandle;

use crate::application::LIST;
use crate::cluster::Instance;
use crate::kit::{Client, LIMIT, Reply};

/// What ends the observation.
const FAREWELL: &str = "the witness has seen enough";

/// An observation that is under way.
pub struct Witness {
    target: Instance,
    thread: JoinHandle<Vec<Write>>,
}

/// A write of the application, as the target saw it.
#[derive(Debug)]
struct Write {
    /// Seconds since 1970, by the target's clock, which is everybody's here.
    at: f64,
    by: SocketAddr,
}

impl Witness {
    /// Watches from now on.
    pub fn of(target: &Instance) -> Witness {
        let mut client = target.manager();
        client.set_limit(LIMIT * 6);
        assert_eq!(client.call(&["MONITOR"]), Reply::ok());
        Witness {
            target: target.clone(),
            thread: std::thread::spawn(move || watch(&mut client)),
        }
    }

    /// Ends it. No application may have written to the target while a syncer ran, nor before the first one did.
    pub fn testify(self) {
        self.target.manager().call(&["ECHO", FAREWELL]);
        let writes = self.thread.join().unwrap();
        let replication: BTreeSet<SocketAddr> = self.target.cluster_connections();
        let ended = self
            .target
            .replication_ended_at()
            .expect("Replica Of has ended");
        let own: Vec<&Write> = writes
            .iter()
            .filter(|write| !replication.contains(&write.by))
            .collect();
        assert!(own.len() < writes.len(), "nothing was replicated");
        let early = own.iter().find(|write| write.at < ended);
        assert!(
            early.is_none(),
            "Replica Of ended at {ended}, and before that: {early:?}"
        );
    }
}

fn watch(client: &mut Client) -> Vec<Write> {
    let mut writes = Vec::new();
    loop {
        let line = client.read_reply().into_text();
        if line.contains(FAREWELL) {
            return writes;
        }
        if line.contains(LIST) {
            writes.extend(parse(&line));
        }
    }
}

/// `1795829400.123456 [0 127.0.0.1:4242] "RPUSH" "application:0" "7"`; questions are no writes.
fn parse(line: &str) -> Option<Write> {
    let (at, rest) = line.split_once(" [0 ")?;
    let (by, command) = rest.split_once("] ")?;
    let is_write = ["\"RPUSH\"", "\"RESTORE\""]
        .iter()
        .any(|name| command.starts_with(name));
    is_write.then(|| Write {
        at: at.parse().unwrap(),
        by: by.parse().unwrap(),
    })
}

#[test]
fn writes_of_the_application_are_told_from_questions_and_other_keys() {
    let write = parse(r#"1795829400.5 [0 127.0.0.1:4242] "RPUSH" "application:0" "7""#).unwrap();
    assert_eq!((write.at, write.by.port()), (1_795_829_400.5, 4242));
    assert!(parse(r#"1.5 [0 127.0.0.1:4242] "LRANGE" "application:0" "0" "-1""#).is_none());
}
