//! The listening side: accepts, bounds, and ends connections.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::access::Access;
use super::api::{Context, router};
use super::history::History;
use super::verification::Verification;
use super::{Control, Events, Settings};
use crate::net::{Accepted, Io, Listener, Stream, tls};
use crate::shutdown;

/// Connections at once. People, a scraper and a few scripts; what is more waits in the backlog.
const CONNECTIONS_MAX: usize = 64;
/// How long a client may take for a request's head, so that silent ones do not keep the places.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// How long answers that are under way may take once the process is to end.
const FAREWELL_LIMIT: Duration = Duration::from_secs(2);
/// Wait after an accept that failed: usually file descriptors are short, and trying at once would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound admin API that serves once it is [run](Server::run).
#[derive(Debug)]
pub struct Server {
    /// The socket.
    listener: Listener,
    /// TLS towards clients, or none.
    tls: Option<Arc<tls::Server>>,
    /// Who may do what.
    access: Access,
}

impl Server {
    /// Binds. Must be called in the runtime that will run it. Refuses an address on the network without a token.
    pub fn bind(settings: &Settings) -> io::Result<Server> {
        let access = Access::new(settings).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                "an admin address that others can reach needs a token",
            )
        })?;
        Ok(Server {
            listener: Listener::bind(&settings.bind)?,
            tls: settings.tls.clone(),
            access,
        })
    }

    /// The address it is bound to: `host:port` or `unix:PATH`.
    pub fn local(&self) -> String {
        self.listener.local()
    }

    /// Serves until `stop` is announced, and then a moment longer, for answers that are under way.
    ///
    /// Cancel safety: dropping it ends all connections; orders that are being carried out go on.
    pub async fn run(self, control: Arc<dyn Control>, events: Events, stop: shutdown::Signal) {
        let history = History::default();
        tokio::spawn(history.clone().record(Arc::clone(&control), stop.clone()));
        let context = Context {
            control,
            history,
            events,
            verification: Verification::default(),
            stop: stop.clone(),
        };
        let service = TowerToHyperService::new(router(context, self.access));
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut connections = JoinSet::new();
        let mut ended = stop.clone();
        loop {
            let accepted = tokio::select! {
                () = ended.wait() => break,
                accepted = accept(&self.listener, &places) => accepted,
                // Finished tasks are taken out as they finish, or the set would grow for ever.
                Some(_) = connections.join_next() => continue,
            };
            match accepted {
                Ok((place, connection)) => {
                    let (service, stop) = (service.clone(), stop.clone());
                    let opened = connection.adopt(self.tls.clone());
                    connections.spawn(async move {
                        serve(opened, service, stop).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the admin API could not accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        let all_ended = async { while connections.join_next().await.is_some() {} };
        if timeout(FAREWELL_LIMIT, all_ended).await.is_err() {
            tracing::debug!("admin connections were cut at the end");
        }
    }
}

/// Waits for a free place, then for a connection.
///
/// Cancel safety: no connection is lost when it is dropped.
async fn accept(
    listener: &Listener,
    places: &Arc<Semaphore>,
) -> io::Result<(tokio::sync::OwnedSemaphorePermit, Accepted)> {
    let place = Arc::clone(places)
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    Ok((place, listener.accept().await?))
}

async fn serve(
    opened: impl Future<Output = io::Result<Stream>>,
    service: TowerToHyperService<axum::Router>,
    mut stop: shutdown::Signal,
) {
    let stream = match opened.await {
        Ok(stream) => stream,
        Err(error) => return tracing::debug!(%error, "an admin connection ended before it began"),
    };
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT);
    let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(Io(stream)), service));
    let result = tokio::select! {
        result = &mut connection => result,
        () = stop.wait() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "an admin connection ended");
    }
}
