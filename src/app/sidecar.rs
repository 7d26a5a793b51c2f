//! A running sidecar: what is started, in which order, and how it ends.
//!
//! The order matters. The journal comes first, since it knows which side is active; a second process stops there. The
//! listeners come before the admin API, so that who asks it whether the sidecar is ready hears the truth.

use std::io;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};
use tokio::task::LocalSet;

use super::data_path::DataPath;
use super::ending::{self, Announcer, Ending};
use super::logging::Levels;
use super::signals::{self, Changeable, Signals};
use super::{Error, certificates, clients, commands, notify};
use crate::admin::{self, Events, Migration, migration};
use crate::command::{CommandId, Table};
use crate::config::{Lanes, Settings};
use crate::cutover::journal::{Journal, Resumed};
use crate::cutover::{Parts, Runner};
use crate::gate::{Gate, ReadRoute, WriteRoute};
use crate::link::Link;
use crate::metrics::Registry;
use crate::session::{self, AuditLog, Cursors, Scripts, Shared, Sharing, Tuning, Users};
use crate::shutdown;
use crate::traffic::{self, Traffic};

/// Runs until a signal ends it.
pub(super) fn run(settings: Settings, file: &Path, levels: Levels) -> Result<(), Error> {
    raise_descriptor_limit();
    let (journal, resumed) = Journal::open(
        &settings.state_dir,
        &settings.source.name,
        &settings.target.name,
    )?;
    let gate = Gate::new(resumed.active(), settings.proxy.workers);
    let mut table = Table::builtin();
    let names = (0..table.len())
        .map(|id| table.name(CommandId(id as u16)).to_owned())
        .collect();
    let listeners = settings
        .listeners
        .iter()
        .map(|listener| listener.name.clone())
        .collect();
    let registry = Registry::new(listeners, names, settings.proxy.workers);
    let traffic = Arc::new(Traffic::new(
        settings.profile,
        if settings.log.redact_keys {
            traffic::Keys::Redacted
        } else {
            traffic::Keys::Shown
        },
        settings.proxy.workers,
        Arc::clone(&registry),
    ));
    traffic.mark(&mut table);
    let shared = Shared {
        gate: Arc::clone(&gate),
        table: Arc::new(ArcSwap::from_pointee(table)),
        audit: Arc::new(AuditLog::new(settings.audit)),
        scripts: Arc::new(Scripts::new(settings.proxy.limits.script_bytes)),
        redirects: Arc::default(),
        cursors: Arc::new(Cursors::new(settings.proxy.limits.cursors)),
        lookouts: Arc::<Traffic>::clone(&traffic),
        users: Arc::default(),
    };
    let (announcer, ending, farewell) = ending::channel();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let _entered = runtime.enter();
    // Handlers before threads: a signal that comes early must not end the process half-started.
    let signals = Signals::listen()?;
    let admin = admin::Server::bind(&settings.admin)
        .map_err(|error| io::Error::new(error.kind(), format!("the admin API: {error}")))?;
    let (tuning, tunings) = watch::channel(signals::tuning(&settings));
    let data_path = DataPath::start(
        settings.proxy.workers,
        &session_settings(&settings, tunings),
        &shared,
        &registry,
        &ending.begun,
        &farewell,
    )?;
    tracing::info!(
        active = %resumed.active(),
        listeners = ?data_path.addresses,
        admin = admin.local(),
        workers = settings.proxy.workers,
        "serving"
    );
    notify::tell(notify::State::Serving);
    let control = Plane {
        settings,
        gate,
        table: shared.table,
        audit: shared.audit,
        users: shared.users,
        registry,
        traffic,
        addresses: data_path.addresses.clone(),
    };
    let work = control.run(Begun {
        journal,
        resumed,
        admin,
        data_path,
        signals,
        announcer,
        ending,
        file,
        tuning,
        levels,
    });
    LocalSet::new().block_on(&runtime, work);
    Ok(())
}

/// What is running, or about to, and belongs to one part of the control side each.
struct Begun<'file> {
    journal: Journal,
    resumed: Resumed,
    admin: admin::Server,
    data_path: DataPath,
    signals: Signals,
    announcer: Announcer,
    ending: Ending,
    file: &'file Path,
    tuning: watch::Sender<Tuning>,
    levels: Levels,
}

/// The control side: everything that does not carry requests.
struct Plane {
    settings: Settings,
    gate: Arc<Gate>,
    table: Arc<ArcSwap<Table>>,
    audit: Arc<AuditLog>,
    users: Arc<Users>,
    registry: Arc<Registry>,
    traffic: Arc<Traffic>,
    addresses: Vec<String>,
}

impl Plane {
    async fn run(self, begun: Begun<'_>) {
        let Begun {
            journal,
            resumed,
            admin,
            data_path,
            signals,
            announcer,
            ending,
            file,
            tuning,
            levels,
        } = begun;
        let Plane {
            settings,
            gate,
            table,
            audit,
            users,
            registry,
            traffic,
            addresses,
        } = self;
        let servers = [settings.source.clone(), settings.target.clone()];
        let link = Link::new(
            settings.link.clone(),
            settings.source.clone(),
            settings.target.clone(),
        );
        let (bounds, bounds_seen) = watch::channel(settings.bounds.clone());
        let (runner, handle) = Runner::new(Parts {
            gate,
            link,
            journal,
            resumed,
            bounds: bounds_seen.clone(),
            target_name: settings.target.name.clone(),
            clients: clients::look(&settings, &registry, &users, &traffic),
            traffic: Arc::clone(&traffic),
        });
        let events = Events::default();
        let listeners = listening(&settings, &addresses);
        let operator = Migration {
            handle: handle.clone(),
            metrics: Arc::clone(&registry),
            audit,
            traffic: Arc::clone(&traffic),
            bounds: bounds_seen.clone(),
            listeners,
            servers: servers.clone(),
            comparison: settings.comparison,
            ending: ending.begun.clone(),
        };
        let reread = Arc::new(Notify::new());
        let watched = settings.certificates();
        // People, probes and scrapers are answered for as long as clients are.
        let (served, admin_ends) = shutdown::channel();
        let background = [
            tokio::task::spawn_local(certificates::keep(watched, Arc::clone(&reread))),
            tokio::task::spawn_local(commands::overlay(table, traffic, servers.to_vec())),
            tokio::task::spawn_local(migration::observe(
                handle,
                registry,
                bounds_seen,
                events.clone(),
                admin_ends.clone(),
            )),
            tokio::task::spawn_local(signals.obey(
                file.to_owned(),
                settings,
                Changeable {
                    bounds,
                    tuning,
                    levels,
                },
                reread,
                announcer,
            )),
        ];
        let serving = tokio::task::spawn_local(admin.run(Arc::new(operator), events, admin_ends));
        // Boxed: it is large, and waited for in several places.
        let runner = Box::pin(runner.run(ending.begun.clone()));
        ending.conduct(runner, data_path.ended()).await;
        served.fire();
        if serving.await.is_err() {
            tracing::error!("the admin API ended in a panic");
        }
        for task in background {
            task.abort();
        }
    }
}

fn session_settings(settings: &Settings, tuning: watch::Receiver<Tuning>) -> session::Settings {
    session::Settings {
        listeners: settings.listeners.clone(),
        servers: [settings.source.clone(), settings.target.clone()],
        sharing: match settings.proxy.lanes {
            Lanes::Auto => Sharing::Lanes,
            Lanes::Off => Sharing::Off,
        },
        lane_stall: settings.proxy.lane_stall,
        credentials: settings.credentials.clone(),
        tuning,
    }
}

fn listening(settings: &Settings, addresses: &[String]) -> Vec<migration::Listener> {
    settings
        .listeners
        .iter()
        .zip(addresses)
        .map(|(listener, address)| migration::Listener {
            name: listener.name.clone(),
            address: address.clone(),
            reads: match listener.routes.reads {
                ReadRoute::Active => "active",
                ReadRoute::Target => "target",
            },
            writes: match listener.routes.writes {
                WriteRoute::Active => "active",
                WriteRoute::Refuse => "refuse",
            },
        })
        .collect()
}

/// A session needs a descriptor, and one more while it has a connection of its own: takes what the system allows.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    ) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}
