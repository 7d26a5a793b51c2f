//! A stand-in for a Redis Enterprise cluster: an HTTPS server that keeps to the documented REST API, in front of real
//! `redis-server` processes that are its databases. Replica Of into one of them is real: the syncer follows each source
//! as a replica does and carries what it reads into a database that takes writes meanwhile, as an Active-Active database
//! does; the positions it tells are true ones, unless a test has it lie.
//!
//! ```ignore
//! let cluster = Cluster::start("west.test");
//! let orders = cluster.active_active("orders", &[&other]);
//! Sidecar::new().target_url(orders.url()).set("link.enterprise.api", cluster.url())
//! ```
//!
//! What it does not do: several shards; writes at the other clusters of an Active-Active database coming back; TLS of a
//! database's endpoint (that of a source it does); INFO of a database is the server's own. Where the documents are silent it is strict: fields that
//! are not documented are refused, a database number other than 0 stops the replication, functions are not carried.
//!
//! Compiled only into the tests that name it, apart from the rest of the kit.

#![allow(clippy::unused_async)] // what the HTTP library calls is asynchronous
#![allow(dead_code, unused_imports, unreachable_pub)] // each test binary uses a part of it

mod access;
mod bdbs;
mod caller;
mod crdbs;
mod database;
mod fault;
mod node;
mod readings;
mod refusal;
mod replica_of;
mod source_document;
mod source_uri;
mod state;
mod syncer;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub use access::{ADMINISTRATOR, User, VIEWER, base64};
pub use caller::{Answered, Caller};
pub use database::{ADMIN, SYNCER};
use database::{Database, Plan, ReplicaSync};
pub use fault::{Deed, Faults, Fields, Numbers, Peers, WrongAnswer};
use node::Nodes;
pub use state::Request;
use state::Shared;
use syncer::Suffering;

use crate::kit::{Client, RedisServer, Reply};

/// Memory of a database, where a test does not care.
const MEMORY_BYTES: u64 = 256 << 20;

/// A running cluster. Dropping it ends it and its databases.
#[derive(Debug)]
pub struct Cluster {
    // First, so that nothing is served any more when the databases go.
    nodes: Nodes,
    shared: Arc<Shared>,
}

/// A database of a cluster, as a test holds it.
#[derive(Debug, Clone)]
pub struct Instance {
    pub uid: u32,
    /// Of the Active-Active database that it belongs to.
    pub guid: Option<String>,
    pub server: Arc<RedisServer>,
    /// `authentication_admin_pass`
    pub internal_password: String,
    cluster: Arc<Shared>,
}

impl Cluster {
    /// A cluster of that FQDN.
    pub fn start(name: &str) -> Cluster {
        let shared = Shared::new(name);
        Cluster {
            nodes: Nodes::serve(Arc::clone(&shared)),
            shared,
        }
    }

    /// Makes two clusters known to each other, so that a database can span both.
    pub fn meet(&self, other: &Cluster) {
        self.shared.meet(&other.shared);
        other.shared.meet(&self.shared);
    }

    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// The API at the master node.
    pub fn url(&self) -> String {
        format!("https://{}", self.nodes.master)
    }

    /// The API at a node that is not the master.
    pub fn other_node_url(&self) -> String {
        format!("https://{}", self.nodes.other)
    }

    /// Calls to the master node as somebody who may everything.
    pub fn caller(&self) -> Caller {
        Caller {
            node: self.nodes.master,
            user: Some(ADMINISTRATOR),
        }
    }

    /// The same, to the other node.
    pub fn caller_at_the_other_node(&self) -> Caller {
        Caller {
            node: self.nodes.other,
            ..self.caller()
        }
    }

    /// Who has signed the API's certificate.
    pub fn ca() -> PathBuf {
        node::certificate("ca.pem")
    }

    /// A standard database.
    pub fn database(&self, name: &str, password: Option<&str>) -> Instance {
        let uid = self.shared.create(Plan {
            name: name.to_owned(),
            password: password.map(ToOwned::to_owned),
            memory_bytes: MEMORY_BYTES,
            ..Plan::default()
        });
        self.instance(uid)
    }

    /// An Active-Active database with one instance here and one in each of the others.
    pub fn active_active(
        &self,
        name: &str,
        password: Option<&str>,
        others: &[&Cluster],
    ) -> Instance {
        let others = others.iter().map(|other| Arc::clone(&other.shared));
        let clusters: Vec<_> = std::iter::once(Arc::clone(&self.shared))
            .chain(others)
            .collect();
        let guid = crdbs::make(
            &clusters,
            &Plan {
                name: name.to_owned(),
                password: password.map(ToOwned::to_owned),
                memory_bytes: MEMORY_BYTES,
                ..Plan::default()
            },
        );
        self.instance_of(&guid).unwrap()
    }

    /// This cluster's instance of an Active-Active database.
    pub fn instance_of(&self, guid: &str) -> Option<Instance> {
        let uid = self.shared.state().instance(guid)?.uid;
        Some(self.instance(uid))
    }

    /// The database of that name, once it is there.
    pub fn find(&self, name: &str) -> Option<Instance> {
        let state = self.shared.state();
        let uid = state
            .databases
            .values()
            .find(|it| it.plan.name == name)?
            .uid;
        drop(state);
        Some(self.instance(uid))
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.state().requests.clone()
    }

    /// Changes what goes wrong.
    pub fn faults(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.shared.state().faults);
    }

    /// This happens to the next `times` requests to what begins with `path`.
    pub fn answer(&self, method: &'static str, path: &str, deed: Deed, times: u32) {
        self.faults(|faults| {
            faults.answers.push(WrongAnswer {
                method,
                path: path.to_owned(),
                deed,
                times,
            });
        });
    }

    /// How long a change of a database takes from now on.
    pub fn change_takes(&self, time: Duration) {
        self.shared.state().change_takes = Some(time);
    }

    fn instance(&self, uid: u32) -> Instance {
        let mut state = self.shared.state();
        let database = state.database(uid).unwrap();
        Instance {
            uid,
            guid: database.plan.membership.as_ref().map(|it| it.guid.clone()),
            server: Arc::clone(&database.server),
            internal_password: database.internal_password.clone(),
            cluster: Arc::clone(&self.shared),
        }
    }
}

impl Instance {
    /// The endpoint.
    pub fn addr(&self) -> SocketAddr {
        self.server.addr()
    }

    /// A connection that may everything, as none of an application's may.
    pub fn manager(&self) -> Client {
        let mut client = Client::connect(self.addr());
        assert_eq!(
            client.call(&["AUTH", ADMIN, &self.internal_password]),
            Reply::ok()
        );
        client
    }

    /// `redis://admin:…@…`, as the console shows it to whoever copies from this database.
    pub fn source_uri(&self) -> String {
        format!("redis://{ADMIN}:{}@{}", self.internal_password, self.addr())
    }

    /// Whether Replica Of into it is on.
    pub fn replicates(&self) -> bool {
        self.of_it(|database| database.replica_of.wanted == ReplicaSync::Enabled)
    }

    /// Whether a syncer runs, whatever the API says.
    pub fn has_syncer(&self) -> bool {
        self.of_it(|database| database.replica_of.syncer.is_some())
    }

    /// When Replica Of into it ended last, in seconds since 1970.
    pub fn replication_ended_at(&self) -> Option<f64> {
        let ended = self.of_it(|database| database.replica_of.ended_at)?;
        Some(
            ended
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap()
                .as_secs_f64(),
        )
    }

    /// The addresses from which the cluster itself has connected to it: the syncer, and who flushes.
    pub fn cluster_connections(&self) -> BTreeSet<SocketAddr> {
        let visits = self.of_it(|database| Arc::clone(&database.visits));
        visits.lock().unwrap().clone()
    }

    /// How often a full copy has begun under the syncer that runs.
    pub fn full_copies(&self) -> u64 {
        self.of_it(|database| {
            let syncer = database.replica_of.syncer.as_ref();
            syncer.map_or(0, |syncer| syncer.progress.run().flushes)
        })
    }

    /// Each piece of a full copy takes so long from now on.
    pub fn copy_slowly(&self, per_piece: Duration) {
        self.suffer(|now| now.per_piece = per_piece);
    }

    /// Nothing of the stream is applied any more; it is read on.
    pub fn stall(&self) {
        self.suffer(|now| now.stalled = true);
    }

    /// It is applied again.
    pub fn go_on(&self) {
        self.suffer(|now| now.stalled = false);
    }

    /// The connections to the sources end; the syncer takes them up again where it was.
    pub fn lose_the_link(&self) {
        self.suffer(|now| now.losses += 1);
    }

    /// The connections to the sources end, and everything has to be copied anew.
    pub fn start_over(&self) {
        self.suffer(|now| now.full_copies += 1);
    }

    fn suffer(&self, change: impl FnOnce(&mut Suffering)) {
        self.of_it(|database| database.replica_of.hardship.change(change));
    }

    fn of_it<T>(&self, look: impl FnOnce(&mut Database) -> T) -> T {
        look(self.cluster.state().database(self.uid).unwrap())
    }
}
