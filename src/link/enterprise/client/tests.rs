//! Calls of a server on loopback that speaks HTTPS and answers what a test wants.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use http_body_util::BodyExt;
use hyper::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;

use super::*;
use crate::net::tls::{self, ClientFiles, Fingerprint, ServerFiles};
use crate::net::{Bind, Io, Listener};
use crate::terms::Secret;

/// What a test's server answers, in order, and what it was asked.
#[derive(Default)]
struct Script {
    /// Status, `Location`, body.
    answers: Mutex<VecDeque<(u16, String, String)>>,
    /// Method and path, credentials, body.
    asked: Mutex<Vec<(String, String, String)>>,
}

/// A server; its port, and what it was told and asked.
struct Server {
    port: u16,
    script: Arc<Script>,
}

impl Server {
    /// Serves with the certificate of that name for as long as the runtime lives.
    fn start(certificate: &str) -> Server {
        let bind = Bind::Tcp("127.0.0.1:0".parse().unwrap());
        let listener = Listener::bind(&bind).unwrap();
        let port = listener
            .local()
            .rsplit_once(':')
            .unwrap()
            .1
            .parse()
            .unwrap();
        let files = ServerFiles {
            cert: testdata(&format!("{certificate}.pem")),
            key: testdata(&format!("{certificate}.key")),
            client_ca: None,
        };
        let tls = Arc::new(tls::Server::load(&files).unwrap());
        let script = Arc::<Script>::default();
        let kept = Arc::clone(&script);
        tokio::spawn(async move {
            while let Ok(accepted) = listener.accept().await {
                let Ok(stream) = accepted.adopt(Some(Arc::clone(&tls))).await else {
                    continue;
                };
                let script = Arc::clone(&script);
                let service = service_fn(move |request| answer(Arc::clone(&script), request));
                let io = TokioIo::new(Io(stream));
                tokio::spawn(http1::Builder::new().serve_connection(io, service));
            }
        });
        Server { port, script: kept }
    }

    fn answers(&self, answers: &[(u16, &str, &str)]) {
        self.script.answers.lock().unwrap().extend(
            answers.iter().map(|(status, location, body)| {
                (*status, (*location).to_owned(), (*body).to_owned())
            }),
        );
    }

    fn asked(&self) -> Vec<(String, String, String)> {
        self.script.asked.lock().unwrap().clone()
    }
}

async fn answer(
    script: Arc<Script>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let name = format!("{} {}", request.method(), request.uri());
    let credentials = request
        .headers()
        .get(header::AUTHORIZATION)
        .map_or("", |it| it.to_str().unwrap())
        .to_owned();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let body = String::from_utf8_lossy(&body).into_owned();
    script.asked.lock().unwrap().push((name, credentials, body));
    let next = script.answers.lock().unwrap().pop_front();
    let (status, location, body) = next.unwrap_or((500, String::new(), String::new()));
    let mut response = Response::builder().status(status);
    if !location.is_empty() {
        response = response.header(header::LOCATION, location);
    }
    Ok(response.body(Full::new(body.into())).unwrap())
}

fn testdata(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("src/net/tls/testdata")
        .join(name)
}

fn client(server: &Server, files: &ClientFiles) -> Client {
    let tls = Arc::new(tls::Client::load(files, "127.0.0.1").unwrap());
    let password = Secret::new("hunter2");
    let api = Api::new("127.0.0.1", server.port, tls, "me".to_owned(), password).unwrap();
    Client::new(api)
}

/// Trusts what signed the certificate of `Server::start("server")`.
fn trusting() -> ClientFiles {
    ClientFiles {
        ca: Some(testdata("ca.pem")),
        server_name: Some("localhost".to_owned()),
        ..ClientFiles::default()
    }
}

const CREDENTIALS: &str = "Basic bWU6aHVudGVyMg==";

#[tokio::test]
async fn a_question_carries_the_credentials_and_gets_the_document() {
    let server = Server::start("server");
    server.answers(&[(200, "", r#"[{"uid": 1}]"#), (200, "", "")]);
    let mut client = client(&server, &trusting());
    let answer = client.get("/v1/bdbs?fields=uid", Patience::None).await;
    assert_eq!(answer.unwrap(), json!([{"uid": 1}]));
    let nothing = client.get("/v1/bdbs", Patience::None).await;
    assert_eq!(nothing.unwrap(), Value::Null);
    let (name, credentials, _) = server.asked().remove(0);
    assert_eq!(name, "GET /v1/bdbs?fields=uid");
    assert_eq!(credentials, CREDENTIALS);
}

#[tokio::test]
async fn a_redirect_is_followed_with_method_body_and_credentials() {
    let (server, leader) = (Server::start("server"), Server::start("server"));
    let location = format!("https://127.0.0.1:{}/v1/bdbs/1", leader.port);
    server.answers(&[(307, &location, "")]);
    leader.answers(&[(200, "", "{}"), (200, "", "{}")]);
    let mut client = client(&server, &trusting());
    let order = json!({"replica_sync": "disabled"});
    client
        .put("/v1/bdbs/1", &order, Patience::None)
        .await
        .unwrap();
    let expected = (
        "PUT /v1/bdbs/1".to_owned(),
        CREDENTIALS.to_owned(),
        order.to_string(),
    );
    assert_eq!(leader.asked(), [expected]);
    // The one that leads is asked first from now on.
    client.get("/v1/bdbs/1", Patience::None).await.unwrap();
    assert_eq!((server.asked().len(), leader.asked().len()), (1, 2));
}

#[tokio::test]
async fn credentials_do_not_follow_to_a_stranger_nor_out_of_tls_nor_in_circles() {
    let (server, stranger) = (Server::start("server"), Server::start("stranger"));
    let to_stranger = format!("https://127.0.0.1:{}/v1/bdbs", stranger.port);
    server.answers(&[
        (302, &to_stranger, ""),
        (302, "http://127.0.0.1:1/v1/bdbs", ""),
        (302, "/v1/a", ""),
        (302, "/v1/b", ""),
        (302, "/v1/c", ""),
        (302, "/v1/d", ""),
    ]);
    let mut client = client(&server, &trusting());
    let refused = client.get("/v1/bdbs", Patience::None).await.unwrap_err();
    assert!(matches!(refused, Error::Unreachable { .. }), "{refused}");
    assert_eq!(stranger.asked(), []);
    for words in ["TLS", "too many"] {
        let refused = client.get("/v1/bdbs", Patience::None).await.unwrap_err();
        assert!(refused.to_string().contains(words), "{refused}");
    }
}

#[tokio::test]
async fn a_busy_cluster_is_asked_again_and_not_for_ever() {
    let server = Server::start("server");
    let busy = (
        409,
        "",
        r#"{"error_code": "busy", "description": "another change"}"#,
    );
    server.answers(&[busy, (503, "", ""), (200, "", "{}"), busy, busy, busy]);
    let mut client = client(&server, &trusting());
    let patient = Patience::For(Duration::from_secs(20));
    client.put("/v1/bdbs/1", &json!({}), patient).await.unwrap();
    assert_eq!(server.asked().len(), 3);
    let short = Patience::For(RETRY_WAIT_MIN * 2);
    let refused = client.put("/v1/bdbs/1", &json!({}), short).await;
    let text = refused.unwrap_err().to_string();
    assert!(
        text.contains("409") && text.contains("another change"),
        "{text}"
    );
    assert_eq!(server.asked().len(), 5);
    assert!(client.get("/v1/bdbs", Patience::None).await.is_err());
    assert_eq!(server.asked().len(), 6);
}

#[tokio::test]
async fn what_it_refuses_is_told_without_secrets() {
    let server = Server::start("server");
    server.answers(&[
        (401, "", ""),
        (403, "", ""),
        (404, "", ""),
        (
            406,
            "",
            r#"{"message": "cannot use redis://admin:hunter2@old:1"}"#,
        ),
        (200, "", "<html>"),
    ]);
    let mut client = client(&server, &trusting());
    for words in ["password_file", "db_member", "has no", "406", "not JSON"] {
        let refused = client.get("/v1/bdbs/1", Patience::None).await.unwrap_err();
        let text = refused.to_string();
        assert!(text.contains(words) && !text.contains("hunter2"), "{text}");
    }
    assert!(!format!("{client:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_pinned_certificate_is_taken_and_no_other() {
    let server = Server::start("stranger");
    server.answers(&[(200, "", "{}")]);
    let pin = |name: &str| {
        use rustls_pki_types::{CertificateDer, pem::PemObject};
        let certificate = CertificateDer::from_pem_file(testdata(name)).unwrap();
        ClientFiles {
            fingerprint: Some(Fingerprint::of(&certificate)),
            ..ClientFiles::default()
        }
    };
    let mut trusting = client(&server, &pin("stranger.pem"));
    trusting.get("/v1/bdbs", Patience::None).await.unwrap();
    let mut refusing = client(&server, &pin("server.pem"));
    let refused = refusing.get("/v1/bdbs", Patience::None).await.unwrap_err();
    assert!(
        refused.to_string().contains("another certificate"),
        "{refused}"
    );
    assert_eq!(server.asked().len(), 1);
}
