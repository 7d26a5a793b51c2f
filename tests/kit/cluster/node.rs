//! The cluster's nodes: HTTPS with the certificate that the TLS tests use. One is the master and answers; the other sends
//! everybody to it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use axum::Router;
use axum::extract::State as Extract;
use axum::http::{StatusCode, Uri, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use super::access::guard;
use super::refusal::Refusal;
use super::state::Shared;
use super::{bdbs, crdbs, readings};

/// How the master's address is told to whoever asks another node.
const REDIRECT: StatusCode = StatusCode::TEMPORARY_REDIRECT;

/// Both nodes of a cluster, served by a thread of their own until they are dropped.
#[derive(Debug)]
pub struct Nodes {
    pub master: SocketAddr,
    pub other: SocketAddr,
    thread: Option<JoinHandle<()>>,
    stop: Option<oneshot::Sender<()>>,
}

impl Nodes {
    pub fn serve(cluster: Arc<Shared>) -> Nodes {
        let ((master, at), (other, other_at)) = (listen(), listen());
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let acceptor = TlsAcceptor::from(Arc::new(identity()));
            runtime.block_on(async move {
                tokio::select! {
                    () = accept(master, acceptor.clone(), api(cluster)) => {}
                    () = accept(other, acceptor, sends_to(at)) => {}
                    _ = stopped => {}
                }
            });
            // Servers that are being started, say, are not waited for.
            runtime.shutdown_background();
        });
        Nodes {
            master: at,
            other: other_at,
            thread: Some(thread),
            stop: Some(stop),
        }
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A file of the TLS tests.
pub fn certificate(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/net/tls/testdata")
        .join(name)
}

fn api(cluster: Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/bdbs", get(bdbs::list))
        .route("/v1/bdbs/{uid}", get(bdbs::read).put(bdbs::update))
        .route("/v1/bdbs/{uid}/shards", get(readings::shards))
        .route("/v1/bdbs/{uid}/flush", put(bdbs::flush))
        .route("/v1/nodes", get(readings::nodes))
        .route("/v1/bdbs/stats/last/{uid}", get(readings::last_stats))
        .route("/v1/migrations/{uid}", get(readings::migration))
        .route("/v1/actions/{action}", get(readings::action))
        .route("/v1/actions/bdb/{uid}", get(readings::actions_of))
        .route("/v1/crdbs", get(crdbs::list).post(crdbs::create))
        .route("/v1/crdbs/{guid}", get(crdbs::read))
        .route("/v1/crdbs/{guid}/flush", put(crdbs::flush))
        .route(
            "/v1/crdbs/{guid}/health_report",
            get(readings::health_report),
        )
        .route("/v1/crdb_tasks/{id}", get(crdbs::task))
        .route("/v4/db/{uid}/health", get(readings::health))
        .fallback(|uri: Uri| async move { Refusal::not_found(uri.path()) })
        .layer(from_fn_with_state(Arc::clone(&cluster), guard))
        .with_state(cluster)
}

/// A node that is not the master.
fn sends_to(master: SocketAddr) -> Router {
    Router::new().fallback(redirect).with_state(master)
}

async fn redirect(Extract(master): Extract<SocketAddr>, uri: Uri) -> Response {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let there = format!("https://{master}{path}");
    (REDIRECT, [(header::LOCATION, there)]).into_response()
}

fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn identity() -> ServerConfig {
    let chain: Vec<_> = CertificateDer::pem_file_iter(certificate("server.pem"))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let key = PrivateKeyDer::from_pem_file(certificate("server.key")).unwrap();
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap()
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, service: Router) {
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    loop {
        let Ok((socket, _)) = listener.accept().await else {
            continue;
        };
        let (acceptor, service) = (acceptor.clone(), TowerToHyperService::new(service.clone()));
        tokio::spawn(async move {
            // Clients that do not like the certificate go away.
            let Ok(stream) = acceptor.accept(socket).await else {
                return;
            };
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            let _ = connection.await;
        });
    }
}
