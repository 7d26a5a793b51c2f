//! What the cluster knows: its databases, its Active-Active databases, the tasks and actions under way, and every request
//! it was sent.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use serde_json::Value;

use super::database::{Change, Database, Plan};
use super::fault::Faults;
use super::refusal::Refusal;

/// How long a change of a database takes.
const CHANGE_TAKES: Duration = Duration::from_millis(20);

/// A cluster, as its request handlers hold it.
#[derive(Debug)]
pub struct Shared {
    /// Its FQDN.
    pub name: String,
    state: Mutex<State>,
    /// The other clusters of its Active-Active databases.
    neighbours: Mutex<Vec<Weak<Shared>>>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct State {
    pub databases: BTreeMap<u32, Database>,
    pub crdbs: BTreeMap<String, Crdb>,
    pub tasks: BTreeMap<String, Task>,
    pub actions: BTreeMap<String, Action>,
    pub requests: Vec<Request>,
    pub faults: Faults,
    /// How long a change of a database takes, where it is not the usual time.
    pub change_takes: Option<Duration>,
    /// Numbers given to databases, sources, tasks and actions.
    last_number: u32,
}

/// A request that came.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub user: Option<String>,
    pub body: Value,
}

/// An Active-Active database, as one of its clusters knows it.
#[derive(Debug, Clone)]
pub struct Crdb {
    pub guid: String,
    pub name: String,
    pub memory_bytes: u64,
    /// The clusters' names and their instances, in the order of their numbers, which begin at 1.
    pub instances: Vec<(String, u32)>,
}

/// A task on an Active-Active database.
#[derive(Debug, Clone)]
pub struct Task {
    pub id: String,
    pub guid: Option<String>,
    pub status: &'static str,
    pub errors: Vec<Value>,
}

/// A change of a database.
#[derive(Debug, Clone)]
pub struct Action {
    pub uid: u32,
    pub status: &'static str,
}

impl Shared {
    pub fn new(name: &str) -> Arc<Shared> {
        Arc::new(Shared {
            name: name.to_owned(),
            state: Mutex::default(),
            neighbours: Mutex::default(),
        })
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn meet(&self, other: &Arc<Shared>) {
        let mut neighbours = self
            .neighbours
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        neighbours.push(Arc::downgrade(other));
    }

    /// The other cluster of that name, if it is known.
    pub fn neighbour(&self, name: &str) -> Option<Arc<Shared>> {
        let neighbours = self
            .neighbours
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut known = neighbours.iter().filter_map(Weak::upgrade);
        known.find(|it| it.name == name)
    }

    /// Starts a database. Blocks.
    pub fn create(&self, plan: Plan) -> u32 {
        let uid = self.state().next_number();
        let database = Database::start(uid, plan);
        self.state().databases.insert(uid, database);
        uid
    }
}

impl State {
    pub fn next_number(&mut self) -> u32 {
        self.last_number += 1;
        self.last_number
    }

    pub fn change_takes(&self) -> Duration {
        self.change_takes.unwrap_or(CHANGE_TAKES)
    }

    pub fn database(&mut self, uid: u32) -> Result<&mut Database, Refusal> {
        let known = self.databases.get_mut(&uid);
        known.ok_or_else(|| Refusal::not_found(format_args!("bdb {uid}")))
    }

    pub fn crdb(&self, guid: &str) -> Result<&Crdb, Refusal> {
        let known = self.crdbs.get(guid);
        known.ok_or_else(|| Refusal::not_found(format_args!("crdb {guid}")))
    }

    /// The instance of an Active-Active database on this cluster.
    pub fn instance(&mut self, guid: &str) -> Option<&mut Database> {
        self.databases.values_mut().find(|database| {
            let membership = database.plan.membership.as_ref();
            membership.is_some_and(|it| it.guid == guid)
        })
    }

    /// A change of a database begins.
    pub fn begin_change(&mut self, uid: u32, change: Change) -> Result<(), Refusal> {
        let action = Action {
            uid,
            status: "active",
        };
        self.actions.insert(change.action.clone(), action);
        self.database(uid)?.change = Some(change);
        Ok(())
    }

    /// And is done.
    pub fn end_change(&mut self, uid: u32) {
        let change = self
            .databases
            .get_mut(&uid)
            .and_then(|database| database.change.take());
        if let Some(action) = change.and_then(|change| self.actions.get_mut(&change.action)) {
            action.status = "completed";
        }
    }
}
