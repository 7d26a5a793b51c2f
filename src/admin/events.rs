//! What happens, told to everybody who listens on `GET /v1/events`.

use std::convert::Infallible;

use axum::response::sse;
use futures_util::stream::{Stream, StreamExt};
use serde_json::Value;
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;

/// Events that a slow listener may be behind; what is older is skipped for it, and it is told how many it missed. A
/// cutover brings some thirty.
const BACKLOG: usize = 256;

/// Where events are published. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Events(broadcast::Sender<Event>);

/// Something that happened.
#[derive(Debug, Clone)]
struct Event {
    /// Its kind, in snake case.
    kind: &'static str,
    /// What is known of it.
    data: Value,
}

impl Default for Events {
    fn default() -> Events {
        Events(broadcast::channel(BACKLOG).0)
    }
}

impl Events {
    /// Tells every listener; never waits. `kind` becomes the event's name.
    pub fn publish(&self, kind: &'static str, data: Value) {
        // An error means that nobody listens.
        let _ = self.0.send(Event { kind, data });
    }

    /// What is published from now on.
    pub(super) fn listen(
        &self,
    ) -> impl Stream<Item = Result<sse::Event, Infallible>> + Send + use<> {
        BroadcastStream::new(self.0.subscribe()).map(|received| {
            let (kind, data) = match received {
                Ok(event) => (event.kind, event.data.to_string()),
                Err(lagged) => (
                    "missed",
                    serde_json::json!({"message": lagged.to_string()}).to_string(),
                ),
            };
            // Serialized JSON has no line breaks, the one thing that `data` must not have.
            Ok(sse::Event::default().event(kind).data(data))
        })
    }
}
