//! The REST API of one cluster: calls with credentials, redirects and retries, each with a limit.
//!
//! Asking again is sound for every call made here: what is asked for is a state ("these sources, enabled"), or carries an
//! id of our own by which the cluster knows it again.
//!
//! Refuses to know: what is asked for.

use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Method, Request, header};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::exchange::{Answer, Connection};
use super::failure::Error;
use super::lenient;
use super::redirect::{self, Place, REDIRECTS_MAX};
use super::settings::Api;
use crate::net::Dial;

/// How long one connection, and one answer, may take.
const EXCHANGE_LIMIT: Duration = Duration::from_secs(5);

/// Wait before a call that was put off is made again, at first; it doubles.
const RETRY_WAIT_MIN: Duration = Duration::from_millis(50);
/// The same at most: a change of a database takes a cluster seconds.
const RETRY_WAIT_MAX: Duration = Duration::from_secs(1);

/// A way to one cluster.
#[derive(Debug)]
pub(super) struct Client {
    api: Api,
    /// A connection for the next question, to wherever the last one was answered.
    kept: Option<Connection>,
}

/// One call.
#[derive(Debug, Clone)]
struct Call {
    method: Method,
    path: String,
    /// JSON.
    body: Option<Bytes>,
    /// A header of our own: the id of a task.
    task_id: Option<String>,
}

/// How long a call that is put off may be made again.
#[derive(Debug, Clone, Copy)]
pub(super) enum Patience {
    /// Not at all: the next look comes soon.
    None,
    /// For so long.
    For(Duration),
}

impl Client {
    pub(super) fn new(api: Api) -> Client {
        Client { api, kept: None }
    }

    /// `host:port`, for people.
    pub(super) fn name(&self) -> &str {
        &self.api.place.authority
    }

    /// Asks a question.
    ///
    /// Cancel safety: a call that was dropped may have been carried out; the client stays usable.
    pub(super) async fn get(&mut self, path: &str, patience: Patience) -> Result<Value, Error> {
        self.call(Call::new(Method::GET, path), patience).await
    }

    /// Gives an order.
    ///
    /// Cancel safety: as [`Client::get`].
    pub(super) async fn put(
        &mut self,
        path: &str,
        body: &Value,
        patience: Patience,
    ) -> Result<Value, Error> {
        let call = Call {
            body: Some(body.to_string().into()),
            ..Call::new(Method::PUT, path)
        };
        self.call(call, patience).await
    }

    /// Begins a task, under an id of our own: asked again, the cluster knows it.
    ///
    /// Cancel safety: as [`Client::get`].
    pub(super) async fn begin(
        &mut self,
        method: Method,
        path: &str,
        body: &Value,
        task_id: &str,
        patience: Patience,
    ) -> Result<Value, Error> {
        let call = Call {
            body: Some(body.to_string().into()),
            task_id: Some(task_id.to_owned()),
            ..Call::new(method, path)
        };
        self.call(call, patience).await
    }

    async fn call(&mut self, call: Call, patience: Patience) -> Result<Value, Error> {
        let began = Instant::now();
        let mut wait = RETRY_WAIT_MIN;
        loop {
            let answered = Box::pin(self.once(&call)).await;
            let Err(Error::Busy {
                api,
                call: name,
                status,
                words,
                ..
            }) = answered
            else {
                return answered;
            };
            let again = match patience {
                Patience::None => false,
                Patience::For(limit) => began.elapsed() + wait < limit,
            };
            if !again {
                return Err(Error::Busy {
                    api,
                    call: name,
                    status,
                    words,
                    tried_for: began.elapsed(),
                });
            }
            sleep(wait).await;
            wait = (wait * 2).min(RETRY_WAIT_MAX);
        }
    }

    /// One call, and the redirects that it meets.
    async fn once(&mut self, call: &Call) -> Result<Value, Error> {
        let mut path = call.path.clone();
        let mut place = None;
        for _ in 0..=REDIRECTS_MAX {
            let connection = self.connection(call, place.take()).await?;
            let from = connection.place.clone();
            let request = self.request(call, &path, &from.authority);
            let (was_kept, began) = (connection.has_answered, Instant::now());
            let (answer, kept) = match connection.exchange(request, EXCHANGE_LIMIT).await {
                Ok(exchanged) => exchanged,
                // The far end closed it at the moment it was used: a question is asked again.
                Err(_) if was_kept && began.elapsed() < EXCHANGE_LIMIT => {
                    place = Some(from);
                    continue;
                }
                Err(reason) => {
                    return Err(Error::NoAnswer {
                        api: from.authority,
                        call: call.name(),
                        reason,
                    });
                }
            };
            self.kept = kept;
            if !redirect::STATUSES.contains(&answer.status) {
                return self.read(call, &answer);
            }
            let location = answer.location.as_deref().unwrap_or_default();
            let (to, there) =
                redirect::follow(location, &from).map_err(|why| self.redirected(call, why))?;
            path = there;
            place = Some(to);
        }
        Err(self.redirected(call, "there are too many in a row"))
    }

    /// A connection to `place`; without one, to wherever the last call was answered, or to the configured address. What
    /// changes something goes over a fresh one: a kept one may be closed at the moment it is used, and nobody would know
    /// whether the order arrived.
    async fn connection(&mut self, call: &Call, place: Option<Place>) -> Result<Connection, Error> {
        let kept = self.kept.take();
        let last = kept.as_ref().map(|kept| kept.place.clone());
        if let Some(mut kept) = kept
            && call.method == Method::GET
            && place.as_ref().is_none_or(|place| *place == kept.place)
            && kept.is_usable().await
        {
            return Ok(kept);
        }
        match (place, last) {
            (Some(place), _) => self.open(place).await,
            (None, Some(last)) if last != self.api.place => match self.open(last).await {
                // Whoever led the cluster may be gone; the configured address knows who does now.
                Err(_) => self.open(self.api.place.clone()).await,
                opened => opened,
            },
            (None, _) => self.open(self.api.place.clone()).await,
        }
    }

    async fn open(&mut self, place: Place) -> Result<Connection, Error> {
        let dial = Dial {
            endpoint: place.endpoint.clone(),
            tls: Some(self.api.tls.clone()),
        };
        let api = place.authority.clone();
        Connection::open(place, &dial, EXCHANGE_LIMIT)
            .await
            .map_err(|reason| Error::Unreachable { api, reason })
    }

    fn request(&self, call: &Call, path: &str, host: &str) -> Request<Full<Bytes>> {
        let mut builder = Request::builder()
            .method(call.method.clone())
            .uri(path)
            .header(header::HOST, host)
            .header(header::ACCEPT, "application/json")
            .header(header::AUTHORIZATION, self.api.authorization());
        if call.body.is_some() {
            builder = builder.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some(id) = &call.task_id {
            builder = builder.header("X-Task-ID", id);
        }
        builder
            .body(Full::new(call.body.clone().unwrap_or_default()))
            .expect(
                "paths are percent-encoded or were read from a URL, and headers are checked text",
            )
    }

    fn read(&self, call: &Call, answer: &Answer) -> Result<Value, Error> {
        let api = self.name().to_owned();
        let name = call.name();
        let words = || words_of(&answer.body);
        match answer.status {
            200..300 if answer.body.is_empty() => Ok(Value::Null),
            200..300 => serde_json::from_slice(&answer.body).map_err(|_| Error::Strange {
                api,
                call: name,
                reason: "it is not JSON".to_owned(),
            }),
            401 => Err(Error::Credentials { api }),
            403 => Err(Error::Forbidden { api, call: name }),
            404 => Err(Error::Absent { api, call: name }),
            status @ (409 | 503) => Err(Error::Busy {
                api,
                call: name,
                status,
                words: words(),
                tried_for: Duration::ZERO,
            }),
            status => Err(Error::Refused {
                api,
                call: name,
                status,
                words: words(),
            }),
        }
    }

    fn redirected(&self, call: &Call, why: &'static str) -> Error {
        Error::Redirected {
            api: self.name().to_owned(),
            call: call.name(),
            why,
        }
    }
}

impl Call {
    fn new(method: Method, path: &str) -> Call {
        Call {
            method,
            path: path.to_owned(),
            body: None,
            task_id: None,
        }
    }

    /// Method and path, without what was asked about it.
    fn name(&self) -> String {
        let path = self.path.split('?').next().unwrap_or_default();
        format!("{} {path}", self.method)
    }
}

/// The error in the API's own words: a code, a sentence, or both.
fn words_of(body: &[u8]) -> String {
    let Ok(document) = serde_json::from_slice::<Value>(body) else {
        return "no reason is given".to_owned();
    };
    let sentence =
        lenient::text(&document, "description").or_else(|| lenient::text(&document, "message"));
    match (lenient::text(&document, "error_code"), sentence) {
        (Some(code), Some(sentence)) => lenient::words(&format!("{code}: {sentence}")),
        (Some(one), None) | (None, Some(one)) => lenient::words(&one),
        (None, None) => "no reason is given".to_owned(),
    }
}

#[cfg(test)]
mod tests;
