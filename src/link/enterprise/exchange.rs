//! One HTTP connection and one exchange on it: a request, an answer of bounded size. The connection is kept for the next.
//!
//! Refuses to know: what is asked, who may be asked.

use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use super::redirect::Place;
use crate::net::{ConnectError, Dial, Io};

/// Bytes of an answer. A list of a few hundred databases with their certificates stays below it.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// A connection, past its handshakes.
pub(super) struct Connection {
    /// Where it leads.
    pub(super) place: Place,
    /// Whether it has been of use before.
    pub(super) has_answered: bool,
    sender: http1::SendRequest<Full<Bytes>>,
    /// Does the reading and writing while an exchange waits.
    driver: http1::Connection<TokioIo<Io>, Full<Bytes>>,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// The `Location` header.
    pub(super) location: Option<String>,
    pub(super) body: Bytes,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// Connects, with both handshakes, within `limit`.
    ///
    /// Cancel safety: dropping it drops the attempt.
    pub(super) async fn open(
        place: Place,
        dial: &Dial,
        limit: Duration,
    ) -> Result<Connection, String> {
        let opening = async {
            let stream = dial
                .connect(limit)
                .await
                .map_err(|error: ConnectError| error.to_string())?;
            http1::handshake(TokioIo::new(Io(stream)))
                .await
                .map_err(|error| error.to_string())
        };
        let (sender, driver) = timeout(limit, opening)
            .await
            .unwrap_or_else(|_| Err(format!("no connection within {limit:?}")))?;
        Ok(Connection {
            place,
            has_answered: false,
            sender,
            driver,
        })
    }

    /// Whether it can take a request: the far end may have closed it while it was idle.
    pub(super) async fn is_usable(&mut self) -> bool {
        let Connection { sender, driver, .. } = self;
        tokio::select! {
            biased;
            _ = driver => false,
            ready = sender.ready() => ready.is_ok(),
        }
    }

    /// One exchange within `limit`. The connection comes back with the answer where it can be used again. After an error
    /// the request may have been carried out.
    ///
    /// Cancel safety: dropping it drops the connection; the request may have been carried out.
    pub(super) async fn exchange(
        mut self,
        request: Request<Full<Bytes>>,
        limit: Duration,
    ) -> Result<(Answer, Option<Connection>), String> {
        let Connection { sender, driver, .. } = &mut self;
        let exchange = async {
            let response = sender.send_request(request).await?;
            let status = response.status().as_u16();
            let location = response
                .headers()
                .get(header::LOCATION)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned);
            let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX)
                .collect()
                .await?
                .to_bytes();
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(Answer {
                status,
                location,
                body,
            })
        };
        // What the far end sends with its close is still read: the driver ends only after that.
        let mut closed = false;
        let exchanged = async {
            tokio::pin!(exchange);
            loop {
                tokio::select! {
                    biased;
                    exchanged = &mut exchange => return exchanged,
                    ended = &mut *driver, if !closed => {
                        closed = true;
                        ended?;
                    }
                }
            }
        };
        let answer = timeout(limit, exchanged)
            .await
            .map_err(|_| format!("nothing within {limit:?}"))?
            .map_err(|error| error.to_string())?;
        self.has_answered = true;
        let kept = (!closed && !self.sender.is_closed()).then_some(self);
        Ok((answer, kept))
    }
}
