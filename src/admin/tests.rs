//! The admin API over a real socket, with somebody else in control.

mod world;

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::*;
use crate::shutdown;
use crate::traffic::Accepted;
use world::{Fake, LIMIT, World, read_until};

#[tokio::test]
async fn questions_are_answered() {
    let world = World::start(None);
    assert_eq!(world.get("/livez").await.status, 200);
    assert_eq!(world.get("/readyz").await.status, 200);
    assert_eq!(
        world.get("/v1/status").await.json(),
        json!({"phase": "in_sync"})
    );
    assert_eq!(
        world.get("/v1/preflight").await.json(),
        json!({"findings": []})
    );
    let metrics = world.get("/metrics").await;
    assert_eq!(metrics.body, "handover_build_info 1\n");
    assert!(
        metrics
            .head
            .contains("content-type: text/plain; version=0.0.4"),
        "{}",
        metrics.head
    );
    assert!(
        world
            .get("/")
            .await
            .body
            .contains("<title>Handover</title>")
    );

    *world.control.unready.lock().unwrap() = Some("the source does not answer".to_owned());
    let unready = world.get("/readyz").await;
    assert_eq!(
        (unready.status, unready.body.as_str()),
        (503, "the source does not answer\n")
    );
}

#[tokio::test]
async fn the_page_is_served_to_everybody_and_may_use_nothing_from_elsewhere() {
    let world = World::start(Some("secret"));
    for path in ["/", "/console/main.js", "/console/page.css"] {
        let part = world.get(path).await;
        assert_eq!(part.status, 200, "{path}");
        assert!(
            part.head
                .contains("content-security-policy: default-src 'none'; script-src 'self'"),
            "{}",
            part.head
        );
    }
    assert_eq!(world.get("/console/").await.status, 404);
}

#[tokio::test]
async fn an_event_stream_carries_the_status_where_it_is_asked_to() {
    let world = World::start(None);
    let mut stream = world
        .send("GET /v1/events?status=true HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await;
    read_until(&mut stream, "event: status\ndata: {\"phase\":\"in_sync\"}").await;
    world.events.publish("phase", json!({"text": "syncing"}));
    read_until(&mut stream, "event: phase").await;
    read_until(&mut stream, "event: status").await;
}

#[tokio::test]
async fn the_last_minutes_are_there_for_who_comes_later() {
    let world = World::start(None);
    world.events.publish("phase", json!({"text": "syncing"}));
    world.events.publish("verify_progress", json!({}));
    let history = world.get("/v1/history").await.json();
    assert_eq!(
        history["events"],
        json!([{"kind": "phase", "data": {"text": "syncing"}}])
    );
    let sampled = async {
        loop {
            let history = world.get("/v1/history").await.json();
            if !history["samples"].as_array().unwrap().is_empty() {
                return;
            }
        }
    };
    timeout(LIMIT, sampled).await.unwrap();
}

#[tokio::test]
async fn orders_arrive_with_their_arguments() {
    let world = World::start(None);
    assert_eq!(
        world
            .post("/v1/migrate", r#"{"confirm_flush": "orders"}"#)
            .await
            .status,
        202
    );
    assert_eq!(world.post("/v1/migrate", "").await.status, 202);
    assert_eq!(
        world
            .post("/v1/cutover", r#"{"dry_run": true, "max_pause": "250ms"}"#)
            .await
            .status,
        200
    );
    for path in ["/v1/cutover", "/v1/abort", "/v1/rollback", "/v1/finalize"] {
        assert_eq!(world.post(path, "{}").await.status, 200, "{path}");
    }
    let cutover = |run, max_pause| Order::Cutover {
        run,
        max_pause,
        accept: Accepted::default(),
    };
    assert_eq!(
        world.orders(),
        vec![
            Order::Migrate {
                confirm_flush: Some("orders".to_owned())
            },
            Order::Migrate {
                confirm_flush: None
            },
            cutover(Run::Dry, Some(Duration::from_millis(250))),
            cutover(Run::Real, None),
            Order::Abort,
            Order::Rollback,
            Order::Finalize,
        ]
    );
}

#[tokio::test]
async fn a_refusal_keeps_its_status_code_and_reasons() {
    let world = World::start(None);
    for (kind, status) in [
        (FailureKind::Refused, 409),
        (FailureKind::Arguments, 422),
        (FailureKind::OutOfReach, 503),
    ] {
        let failure =
            Failure::new(kind, "not_ready", "not ready").because(vec![json!("3 MiB remain")]);
        *world.control.answer.lock().unwrap() = Some(Err(failure));
        let reply = world.post("/v1/cutover", "").await;
        assert_eq!(reply.error(), (status, "not_ready".to_owned()));
        assert_eq!(reply.json()["error"]["reasons"], json!(["3 MiB remain"]));
    }
    assert_eq!(
        world.get("/v1/report").await.error(),
        (501, "not_available".to_owned())
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said_in_the_same_shape() {
    let world = World::start(None);
    assert_eq!(
        world.get("/v1/nothing").await.error(),
        (404, "no_such_path".to_owned())
    );
    assert_eq!(
        world.get("/v1/cutover").await.error(),
        (405, "wrong_method".to_owned())
    );
    assert_eq!(
        world.post("/livez", "").await.error(),
        (405, "wrong_method".to_owned())
    );
    for body in [
        "{",
        "[]",
        r#"{"max_pause": "5"}"#,
        r#"{"max_pause": 5}"#,
        r#"{"dryrun": true}"#,
    ] {
        assert_eq!(
            world.post("/v1/cutover", body).await.error(),
            (422, "wrong_arguments".to_owned()),
            "{body}"
        );
    }
    assert_eq!(
        world
            .post("/v1/finalize", r#"{"force": true}"#)
            .await
            .status,
        422
    );
    let large = format!(r#"{{"confirm_flush": "{}"}}"#, "x".repeat(20_000));
    assert_eq!(
        world.post("/v1/migrate", &large).await.error(),
        (413, "body_too_large".to_owned())
    );
    assert_eq!(world.orders(), vec![]);
}

#[tokio::test]
async fn acting_needs_the_token_and_probes_do_not() {
    let world = World::start(Some("secret"));
    let refused = world.post("/v1/finalize", "").await;
    assert_eq!(refused.error(), (401, "token_missing".to_owned()));
    assert!(
        refused.head.contains("www-authenticate: bearer"),
        "{}",
        refused.head
    );
    let wrong = world
        .ask(
            "POST",
            "/v1/finalize",
            "Authorization: Bearer wrong\r\n",
            "",
        )
        .await;
    assert_eq!(wrong.error(), (401, "token_wrong".to_owned()));
    let foreign = "Authorization: Bearer secret\r\nOrigin: http://evil.example\r\n";
    assert_eq!(
        world.ask("POST", "/v1/finalize", foreign, "").await.error(),
        (403, "foreign_origin".to_owned())
    );
    assert_eq!(world.orders(), vec![]);

    assert_eq!(
        world
            .ask(
                "POST",
                "/v1/finalize",
                "Authorization: Bearer secret\r\n",
                ""
            )
            .await
            .status,
        200
    );
    assert_eq!(world.get("/v1/status").await.status, 200);
    assert_eq!(world.get("/livez").await.status, 200);
}

#[tokio::test]
async fn a_page_under_a_foreign_name_learns_nothing_and_probes_may_call_us_what_they_like() {
    let world = World::start(None);
    let rebound = "Host: evil.example\r\n";
    for (method, path) in [
        ("GET", "/v1/status"),
        ("GET", "/metrics"),
        ("POST", "/v1/abort"),
    ] {
        let refused = world.ask(method, path, rebound, "").await;
        assert_eq!(refused.error(), (403, "foreign_host".to_owned()), "{path}");
    }
    assert_eq!(world.orders(), vec![]);
    for path in ["/livez", "/readyz"] {
        assert_eq!(world.ask("GET", path, rebound, "").await.status, 200);
    }
}

#[tokio::test]
async fn an_order_outlives_the_connection_it_came_on() {
    let world = World::start(None);
    let (let_go, hold) = oneshot::channel();
    let (ended, has_ended) = oneshot::channel();
    *world.control.hold.lock().unwrap() = Some(hold);
    *world.control.ended.lock().unwrap() = Some(ended);

    let mut stream = world
        .send("POST /v1/cutover HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
        .await;
    let arrived = async {
        while world.orders().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    timeout(LIMIT, arrived).await.unwrap();
    stream.shutdown().await.unwrap();
    // The server closes a connection whose client is gone, and drops what handled it.
    timeout(LIMIT, stream.read_to_end(&mut Vec::new()))
        .await
        .unwrap()
        .unwrap();
    let_go.send(()).unwrap();
    timeout(LIMIT, has_ended).await.unwrap().unwrap();
}

#[tokio::test]
async fn events_are_streamed_until_the_process_ends() {
    let world = World::start(None);
    let mut stream = world
        .send("GET /v1/events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .await;
    read_until(&mut stream, "\r\n\r\n").await;
    world.events.publish("phase", json!({"phase": "syncing"}));
    read_until(
        &mut stream,
        "event: phase\ndata: {\"phase\":\"syncing\"}\n\n",
    )
    .await;
    world.stop.fire();
    timeout(LIMIT, stream.read_to_end(&mut Vec::new()))
        .await
        .unwrap()
        .unwrap();
    timeout(LIMIT, world.served).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_comparison_that_fails_says_so_in_the_status_and_can_be_repeated() {
    let world = World::start(None);
    for _ in 0..2 {
        assert_eq!(
            world.post("/v1/verify", r#"{"sample": 10}"#).await.status,
            202
        );
        let ended = async {
            loop {
                let status = world.get("/v1/status").await.json();
                if status["verify"]["running"] == json!(false) {
                    break status;
                }
            }
        };
        let status = timeout(LIMIT, ended).await.unwrap();
        assert!(
            status["verify"]["error"]
                .as_str()
                .unwrap()
                .contains("cannot connect"),
            "{status}"
        );
    }
}

#[tokio::test]
async fn a_unix_socket_serves_as_well() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("admin.sock");
    let server = Server::bind(&Settings::at(Bind::Unix {
        path: path.clone(),
        mode: 0o600,
        owner: crate::net::Owner::default(),
    }))
    .unwrap();
    let (_stop, signal) = shutdown::channel();
    let served = tokio::spawn(server.run(Arc::new(Fake::default()), Events::default(), signal));

    let mut stream = tokio::net::UnixStream::connect(&path).await.unwrap();
    stream
        .write_all(b"GET /livez HTTP/1.0\r\n\r\n")
        .await
        .unwrap();
    let mut text = String::new();
    timeout(LIMIT, stream.read_to_string(&mut text))
        .await
        .unwrap()
        .unwrap();
    assert!(text.ends_with("alive\n"), "{text}");
    served.abort();
}
