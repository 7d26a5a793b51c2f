//! What happens, told to everybody who listens on `GET /v1/events`.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::response::sse;
use futures_util::stream::{Stream, StreamExt};
use serde_json::{Value, json};
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;

/// Events that a slow listener may be behind; what is older is skipped for it, and it is told how many it missed. A
/// cutover brings some thirty.
const BACKLOG: usize = 256;

/// Events that are remembered for who comes later: those of a few cutovers.
const REMEMBERED: usize = 100;

/// Events that come again and again while something lasts, and say nothing once it is over.
const FLEETING: [&str; 1] = ["verify_progress"];

/// Where events are published. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Events {
    /// To those who listen.
    sender: broadcast::Sender<Event>,
    /// The newest ones, the oldest first.
    remembered: Arc<Mutex<VecDeque<Event>>>,
}

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
        Events {
            sender: broadcast::channel(BACKLOG).0,
            remembered: Arc::default(),
        }
    }
}

impl Events {
    /// Tells every listener; never waits. `kind` becomes the event's name.
    pub fn publish(&self, kind: &'static str, data: Value) {
        let event = Event { kind, data };
        if !FLEETING.contains(&kind) {
            let mut remembered = self.remembered();
            if remembered.len() == REMEMBERED {
                remembered.pop_front();
            }
            remembered.push_back(event.clone());
        }
        // An error means that nobody listens.
        let _ = self.sender.send(event);
    }

    /// What was published lately, the oldest first.
    pub(super) fn lately(&self) -> Vec<Value> {
        let remembered = self.remembered();
        let document = |event: &Event| json!({"kind": event.kind, "data": event.data});
        remembered.iter().map(document).collect()
    }

    /// What is published from now on.
    pub(super) fn listen(
        &self,
    ) -> impl Stream<Item = Result<sse::Event, Infallible>> + Send + use<> {
        BroadcastStream::new(self.sender.subscribe()).map(|received| {
            let (kind, data) = match received {
                Ok(event) => (event.kind, event.data.to_string()),
                Err(lagged) => ("missed", json!({"message": lagged.to_string()}).to_string()),
            };
            // Serialized JSON has no line breaks, the one thing that `data` must not have.
            Ok(sse::Event::default().event(kind).data(data))
        })
    }

    fn remembered(&self) -> MutexGuard<'_, VecDeque<Event>> {
        // An event is pushed whole: the queue is in order whoever panicked.
        self.remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
