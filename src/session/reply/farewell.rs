//! The end of a client: its last replies leave, and are not thrown away by what it has sent behind them.

use std::future::poll_fn;
use std::io;
use std::task::Poll;
use std::time::Duration;

use bytes::BytesMut;

use super::Client;

impl Client {
    /// Waits until every request that was sent on has its reply, or for a moment.
    pub(in crate::session) async fn answered(&self) {
        let answered = poll_fn(|cx| {
            if self.unanswered() == 0 || self.gone.get() {
                return Poll::Ready(());
            }
            *self.task.borrow_mut() = Some(cx.waker().clone());
            self.signal_when_answered();
            Poll::Pending
        });
        // Who closed both directions does not want them, and a server that stands still must not keep a place taken.
        let _ = tokio::time::timeout(FAREWELL_LIMIT, answered).await;
    }

    /// Closes the socket once what is unsent has left, or after a moment: a client that does not read is not waited
    /// for.
    pub(in crate::session) async fn finish(&self) {
        // Out of time or not: there is nothing more to be done for it.
        let _ = tokio::time::timeout(FAREWELL_LIMIT, self.deliver()).await;
        self.close();
    }

    /// The same for a client that may have sent more than was read: the kernel of a socket that is closed over unread
    /// bytes resets the connection, and the client's own throws away replies that it has not read. So the client is
    /// told the end first, and what it still sends is thrown away until it closes, or for a moment.
    pub(in crate::session) async fn see_off(&self) {
        let seen_off = async {
            self.deliver().await;
            self.stream.close_sending();
            let mut thrown_away = BytesMut::new();
            while !self.gone.get() {
                thrown_away.clear();
                thrown_away.reserve(THROWN_AWAY_BYTES);
                match self.stream.try_read_buf(&mut thrown_away) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        if poll_fn(|cx| self.stream.poll_read_ready(cx)).await.is_err() {
                            break;
                        }
                    }
                    Ok(0) | Err(_) => break,
                    // One read of a turn, as everybody else.
                    Ok(_) => tokio::task::yield_now().await,
                }
            }
        };
        let _ = tokio::time::timeout(FAREWELL_LIMIT, seen_off).await;
        self.close();
    }

    /// Writes what is unsent, for as long as the client takes it.
    async fn deliver(&self) {
        while !self.gone.get() && !self.outbox.borrow().unsent.is_empty() {
            poll_fn(|cx| self.stream.poll_write_ready(cx)).await.ok();
            self.flush();
        }
    }

    fn close(&self) {
        self.stream.close();
        self.gone.set(true);
    }
}

/// How long a client may take for its last replies, and to close; and a server, for the replies to one that has left.
pub(in crate::session) const FAREWELL_LIMIT: Duration = Duration::from_secs(1);
/// Read at a time of what nobody will look at.
const THROWN_AWAY_BYTES: usize = 16 << 10;
