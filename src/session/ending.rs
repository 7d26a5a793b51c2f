//! The end of a session: why it is over, and what its client still hears.

use std::time::Duration;

use super::relay::Session;
use crate::metrics::ClientError;
use crate::upstream::Loss;

/// Why a session is over.
#[derive(Debug)]
pub(super) enum End {
    /// The client closed, or QUIT.
    Client,
    /// Bytes that are no request; the reply that says so.
    Protocol(Vec<u8>),
    /// A reply will not come: as if the database had closed the connection.
    Lost(Loss),
    /// A state that cannot be kept; the reply that says so.
    Failed(String),
    /// The process ends, and everything the session was in the middle of is done.
    Process,
}

impl Session {
    /// Gives up what the session has, and sees its client off.
    pub(super) async fn over(self: Box<Self>, end: End) {
        let Session {
            client,
            worker,
            listener,
            sides,
            guest,
            read_at,
            blocked,
            ..
        } = *self;
        guest.depart();
        let with_the_process = matches!(end, End::Process);
        match end {
            End::Client => {
                tracing::debug!(listener = %listener.name, "a client left");
                // It sends no more, and may still read. What a blocked command waits for is for somebody else.
                if blocked.is_none() {
                    client.answered().await;
                }
            }
            End::Protocol(reply) => {
                worker.metrics.client_error(ClientError::Protocol);
                client.answer(client.number(1), &reply);
            }
            End::Lost(loss) => {
                tracing::debug!(listener = %listener.name, %loss, "a reply was lost with its connection");
            }
            End::Failed(text) => {
                tracing::warn!(listener = %listener.name, reason = text, "a session could not be kept");
                client.answer(
                    client.number(1),
                    format!("-ERR handover: {text}\r\n").as_bytes(),
                );
            }
            End::Process => {
                tracing::debug!(listener = %listener.name, "a session ended with the process");
            }
        }
        sides.abandon();
        // A client that has been silent for so long has nothing on its way.
        if with_the_process && read_at.elapsed() > SILENT {
            client.finish().await;
        } else {
            client.see_off().await;
        }
    }
}

/// Longer than anything takes from one machine to another: what such a client was sent, it has.
const SILENT: Duration = Duration::from_secs(1);
