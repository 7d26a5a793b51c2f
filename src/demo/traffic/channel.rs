//! A channel: a publisher sends numbered messages, a subscriber sees each exactly once, in order.

use super::session::{Pace, Session};
use crate::demo::checker::{Claim, Received, Tally};
use crate::demo::client::{Failure, Reply, text};

/// The publisher's last message.
const END: &str = "end";

/// A published message was acknowledged: a subscriber that misses it has lost it.
pub(super) async fn run(
    mut publisher: Session,
    mut subscriber: Session,
    mut pace: Pace,
    id: usize,
) -> Vec<Claim> {
    let channel = format!("traffic:channel:{id}");
    let (mut tally, mut received) = (Tally::default(), Received::default());
    if let Err(failure) = subscriber.wait(&["SUBSCRIBE", &channel]).await {
        subscriber.close(Err(failure));
        return Vec::new();
    }
    let (published, seen) = tokio::join!(
        publish(&mut publisher, &mut pace, &channel, &mut tally),
        listen(&mut subscriber, &mut received)
    );
    publisher.close(published);
    subscriber.close(seen);
    vec![Claim::Sequence {
        key: None,
        name: channel,
        tally,
        received,
    }]
}

async fn publish(
    session: &mut Session,
    pace: &mut Pace,
    channel: &str,
    tally: &mut Tally,
) -> Result<(), Failure> {
    while pace.next().await {
        let message = tally.attempt().to_string();
        session.write(&["PUBLISH", channel, &message]).await?;
        tally.acknowledge();
    }
    session.write(&["PUBLISH", channel, END]).await?;
    Ok(())
}

async fn listen(session: &mut Session, received: &mut Received) -> Result<(), Failure> {
    loop {
        let reply = session.message().await?;
        match &reply {
            Reply::Array(parts) if parts.len() == 3 && text(&parts[0]) == Some("message") => {
                match text(&parts[2]) {
                    Some(END) => return Ok(()),
                    message => received.observe(message.unwrap_or("not text")),
                }
            }
            other => return Err(Failure::unexpected("SUBSCRIBE", other, "a message")),
        }
    }
}
