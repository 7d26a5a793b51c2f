//! An application that uses redis-rs: multiplexed connections that many tasks share, and some of their own for what
//! keeps a connection busy. The library neither retries nor reconnects by itself here; any error fails the test.

mod across;
mod messages;
mod repertoire;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, cmd};
use tokio::task::{LocalSet, spawn_blocking};
use tokio::time::{sleep, timeout};

use crate::kit::LIMIT;
use crate::world::{Account, World};
use across::{Load, Standing};
use messages::Tracking;

/// Keys to iterate over.
const ITEMS: usize = 300;

/// What every task of the application has.
#[derive(Clone)]
struct App {
    client: Client,
    /// One connection under all tasks.
    shared: MultiplexedConnection,
    account: Rc<RefCell<Account>>,
    /// Those of single tasks, which stay connected to the end: the test looks whether they do.
    connections: Rc<RefCell<Vec<MultiplexedConnection>>>,
}

/// Runs the application through a world, with `resp2` or `resp3`.
pub(crate) fn run(world: World, protocol: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, application(Arc::new(world), protocol));
}

async fn application(world: Arc<World>, protocol: &str) {
    let resp3 = protocol == "resp3";
    let url = |database| format!("redis://{}/{database}?protocol={protocol}", world.address());
    let client = Client::open(url(0)).unwrap();
    let app = App {
        shared: connect(&client).await,
        client,
        account: Rc::default(),
        connections: Rc::default(),
    };
    let mut named = connect(&Client::open(url(3)).unwrap()).await;
    let set_name = cmd("CLIENT").arg("SETNAME").arg("planning").to_owned();
    set_name.exec_async(&mut named).await.unwrap();
    app.prepare().await;

    app.everything_once(&mut named).await;
    let standing = Standing::begin(&app).await;
    let load = Load::begin(&app, resp3).await;
    let mut tracking = if resp3 {
        Some(Tracking::begin(&app).await)
    } else {
        None
    };
    eventually(async || load.sent() >= 50).await;

    let connected = world.connections();
    let order = Arc::clone(&world);
    spawn_blocking(move || order.cut_over()).await.unwrap();
    standing.finish(&app).await;
    app.everything_once(&mut named).await;
    if let Some(tracking) = &mut tracking {
        tracking.must_follow_changes(&app).await;
    }
    let sent = load.sent();
    eventually(async || load.sent() >= sent + 50).await;
    load.finish(&app).await;

    world.must_still_have(&connected);
    world.check_account(&app.account.borrow());
}

impl App {
    /// A connection of its own for a task that keeps it busy.
    async fn connect(&self) -> MultiplexedConnection {
        self.connect_with(AsyncConnectionConfig::new()).await
    }

    async fn connect_with(&self, config: AsyncConnectionConfig) -> MultiplexedConnection {
        let connection = connect_with(&self.client, config).await;
        self.connections.borrow_mut().push(connection.clone());
        connection
    }
}

async fn connect(client: &Client) -> MultiplexedConnection {
    connect_with(client, AsyncConnectionConfig::new()).await
}

async fn connect_with(client: &Client, config: AsyncConnectionConfig) -> MultiplexedConnection {
    let config = config.set_response_timeout(Some(LIMIT));
    let connection = client.get_multiplexed_async_connection_with_config(&config);
    connection.await.unwrap()
}

fn all_items() -> BTreeSet<String> {
    (0..ITEMS).map(|number| format!("item:{number}")).collect()
}

async fn eventually(condition: impl AsyncFn() -> bool) {
    let came = timeout(LIMIT, async {
        while !condition().await {
            sleep(Duration::from_millis(5)).await;
        }
    });
    came.await.expect("did not come true in time");
}
