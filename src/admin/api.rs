//! Every path of the admin API, and what it does.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::stream::{self, Stream, StreamExt};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::access::{self, Access};
use super::console;
use super::history::History;
use super::verification::{Scope, Verification};
use super::{Control, Events, Failure, FailureKind, Order, Run, duration};
use crate::shutdown;
use crate::traffic::Accepted;

/// Bytes of a request's body; the largest order is some hundred.
const BODY_BYTES_MAX: usize = 16 << 10;
/// How long a body may take, so that a client which stops in the middle does not keep its place.
const BODY_LIMIT: Duration = Duration::from_secs(10);
/// How often a silent event stream shows that it lives; shorter than the usual idle limits of things in between.
const EVENTS_KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Time between two statuses in an event stream that carries them: what a person takes for at once.
const STATUS_INTERVAL: Duration = Duration::from_secs(1);
/// The content type of the Prometheus text format.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What every path can use.
#[derive(Clone)]
pub(super) struct Context {
    /// Who carries orders out.
    pub(super) control: Arc<dyn Control>,
    /// What happens.
    pub(super) events: Events,
    /// The comparison of the sides.
    pub(super) verification: Verification,
    /// The last minutes.
    pub(super) history: History,
    /// The end of the process, which ends event streams.
    pub(super) stop: shutdown::Signal,
}

/// All paths. Those that say nothing about the databases are open to everybody: probes carry no token.
pub(super) fn router(context: Context, access: Access) -> Router {
    let guarded = Router::new()
        .route("/metrics", get(metrics))
        .route("/v1/status", get(status))
        .route("/v1/preflight", get(preflight))
        .route("/v1/report", get(report))
        .route("/v1/migrate", post(migrate))
        .route("/v1/cutover", post(cutover))
        .route("/v1/abort", post(abort))
        .route("/v1/rollback", post(rollback))
        .route("/v1/finalize", post(finalize))
        .route("/v1/verify", post(verify).get(verified))
        .route("/v1/events", get(events))
        .route("/v1/history", get(history))
        .fallback(no_such_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(access, access::guard));
    let open = Router::new()
        .route("/livez", get(async || "alive\n"))
        .route("/readyz", get(readyz))
        .method_not_allowed_fallback(wrong_method);
    guarded
        .merge(open)
        .merge(console::router())
        .with_state(context)
}

async fn readyz(State(context): State<Context>) -> Response {
    match context.control.ready().await {
        Ok(()) => "ready\n".into_response(),
        Err(missing) => (StatusCode::SERVICE_UNAVAILABLE, format!("{missing}\n")).into_response(),
    }
}

async fn metrics(State(context): State<Context>) -> Response {
    (
        [(header::CONTENT_TYPE, METRICS_TYPE)],
        context.control.metrics(),
    )
        .into_response()
}

async fn status(State(context): State<Context>) -> Json<Value> {
    Json(status_of(&context))
}

fn status_of(context: &Context) -> Value {
    let mut status = context.control.status();
    if let (Some(status), Some(verify)) = (status.as_object_mut(), context.verification.status()) {
        status.insert("verify".to_owned(), verify);
    }
    status
}

async fn preflight(State(context): State<Context>) -> Response {
    answer(StatusCode::OK, context.control.preflight().await)
}

async fn report(State(context): State<Context>) -> Response {
    answer(StatusCode::OK, context.control.report().await)
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct MigrateArguments {
    confirm_flush: Option<String>,
}

async fn migrate(State(context): State<Context>, request: Request) -> Response {
    match arguments::<MigrateArguments>(request).await {
        Ok(MigrateArguments { confirm_flush }) => {
            carry_out(
                &context,
                StatusCode::ACCEPTED,
                Order::Migrate { confirm_flush },
            )
            .await
        }
        Err(failure) => failure.into_response(),
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct CutoverArguments {
    dry_run: bool,
    max_pause: Option<String>,
    accept: Vec<String>,
}

impl CutoverArguments {
    fn order(&self) -> Result<Order, Failure> {
        let max_pause = self.max_pause.as_deref().map(duration::parse).transpose();
        let max_pause = max_pause.map_err(|reason| wrong(format!("max_pause: {reason}")))?;
        let accept = Accepted::parse(self.accept.iter().map(String::as_str))
            .map_err(|reason| wrong(format!("accept: {reason}")))?;
        Ok(Order::Cutover {
            run: if self.dry_run { Run::Dry } else { Run::Real },
            max_pause,
            accept,
        })
    }
}

fn wrong(message: String) -> Failure {
    Failure::new(FailureKind::Arguments, "wrong_arguments", message)
}

async fn cutover(State(context): State<Context>, request: Request) -> Response {
    match arguments::<CutoverArguments>(request)
        .await
        .and_then(|arguments| arguments.order())
    {
        Ok(order) => carry_out(&context, StatusCode::OK, order).await,
        Err(failure) => failure.into_response(),
    }
}

/// An order that has no arguments; what a client sends as such is a mistake it should hear of.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct NoArguments {}

async fn abort(State(context): State<Context>, request: Request) -> Response {
    plain_order(&context, request, Order::Abort).await
}

async fn rollback(State(context): State<Context>, request: Request) -> Response {
    plain_order(&context, request, Order::Rollback).await
}

async fn finalize(State(context): State<Context>, request: Request) -> Response {
    plain_order(&context, request, Order::Finalize).await
}

async fn verify(State(context): State<Context>, request: Request) -> Response {
    match arguments::<Scope>(request).await {
        Ok(scope) => answer(
            StatusCode::ACCEPTED,
            context.verification.start(
                context.control.sides(),
                context.control.comparison(),
                scope,
                &context.events,
            ),
        ),
        Err(failure) => failure.into_response(),
    }
}

/// The newest comparison, with everything that differs.
async fn verified(State(context): State<Context>) -> Json<Value> {
    Json(context.verification.document().unwrap_or_default())
}

/// What a listener wants beside what happens.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct EventsQuery {
    /// The status as well, again and again, as events of that name.
    status: bool,
}

async fn events(
    State(context): State<Context>,
    Query(query): Query<EventsQuery>,
) -> impl IntoResponse {
    let mut stop = context.stop.clone();
    let statuses = if query.status {
        statuses(context.clone()).boxed()
    } else {
        stream::pending().boxed()
    };
    let until_the_end = stream::select(context.events.listen(), statuses)
        .take_until(Box::pin(async move { stop.wait().await }));
    Sse::new(until_the_end).keep_alive(KeepAlive::new().interval(EVENTS_KEEP_ALIVE))
}

/// The status as it is now, and each second from then on.
fn statuses(context: Context) -> impl Stream<Item = Result<sse::Event, Infallible>> + Send {
    let mut clock = interval(STATUS_INTERVAL);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    stream::unfold((context, clock), async |(context, mut clock)| {
        clock.tick().await;
        let status = status_of(&context).to_string();
        let event = sse::Event::default().event("status").data(status);
        Some((Ok(event), (context, clock)))
    })
}

/// The last minutes.
async fn history(State(context): State<Context>) -> Json<Value> {
    Json(context.history.document(&context.events))
}

async fn no_such_path() -> Failure {
    Failure::new(
        FailureKind::NoSuchPath,
        "no_such_path",
        "there is no such path",
    )
}

async fn wrong_method() -> Failure {
    Failure::new(
        FailureKind::WrongMethod,
        "wrong_method",
        "this path does not take this method",
    )
}

async fn plain_order(context: &Context, request: Request, order: Order) -> Response {
    match arguments::<NoArguments>(request).await {
        Ok(NoArguments {}) => carry_out(context, StatusCode::OK, order).await,
        Err(failure) => failure.into_response(),
    }
}

/// Has an order carried out on a task of its own, so that a client which goes away does not leave it half done.
async fn carry_out(context: &Context, success: StatusCode, order: Order) -> Response {
    tracing::info!(?order, "an operator's order");
    let ended = tokio::spawn(context.control.order(order)).await;
    let lost = || {
        Failure::new(
            FailureKind::Internal,
            "order_lost",
            "the order ended without an answer: see the log",
        )
    };
    answer(success, ended.unwrap_or_else(|_| Err(lost())))
}

fn answer(success: StatusCode, answer: super::Answer) -> Response {
    match answer {
        Ok(document) => (success, Json(document)).into_response(),
        Err(failure) => failure.into_response(),
    }
}

/// The arguments of an order: a JSON object, or nothing at all.
async fn arguments<T: DeserializeOwned + Default>(request: Request<Body>) -> Result<T, Failure> {
    let body = timeout(BODY_LIMIT, to_bytes(request.into_body(), BODY_BYTES_MAX)).await;
    let body = body.map_err(|_| {
        Failure::new(
            FailureKind::Arguments,
            "body_missing",
            "the body did not come",
        )
    })?;
    let body = body.map_err(|_| {
        let limit = format!("the body must be complete and have at most {BODY_BYTES_MAX} bytes");
        Failure::new(FailureKind::TooLarge, "body_too_large", limit)
    })?;
    if body.trim_ascii().is_empty() {
        return Ok(T::default());
    }
    // An object first: on its own, a structure would also be read from an array.
    let object = serde_json::from_slice::<serde_json::Map<String, Value>>(&body);
    object
        .and_then(|object| T::deserialize(Value::Object(object)))
        .map_err(|error| {
            Failure::new(
                FailureKind::Arguments,
                "wrong_arguments",
                "the body is not what this path takes",
            )
            .because(vec![json!(error.to_string())])
        })
}
