//! A work queue: a producer appends numbered items, a consumer blocks for them. Every item is consumed exactly once, in
//! order.

use super::session::{Pace, Session};
use crate::demo::checker::{Claim, Received, Tally};
use crate::demo::client::{Failure, Reply, text};

/// The producer's last item.
const END: &str = "end";

/// What the consumer did not take must be in the list.
pub(super) async fn run(
    mut producer: Session,
    mut consumer: Session,
    mut pace: Pace,
    id: usize,
) -> Vec<Claim> {
    let key = format!("traffic:queue:{id}");
    let (mut tally, mut received) = (Tally::default(), Received::default());
    let (produced, consumed) = tokio::join!(
        produce(&mut producer, &mut pace, &key, &mut tally),
        consume(&mut consumer, &key, &mut received)
    );
    producer.close(produced);
    consumer.close(consumed);
    vec![Claim::Sequence {
        name: key.clone(),
        key: Some(key),
        tally,
        received,
    }]
}

async fn produce(
    session: &mut Session,
    pace: &mut Pace,
    key: &str,
    tally: &mut Tally,
) -> Result<(), Failure> {
    while pace.next().await {
        let item = tally.attempt().to_string();
        session.write(&["RPUSH", key, &item]).await?;
        tally.acknowledge();
    }
    session.write(&["RPUSH", key, END]).await?;
    Ok(())
}

/// Blocks without a time-out: the queue is empty most of the time, also when the cutover comes.
async fn consume(session: &mut Session, key: &str, received: &mut Received) -> Result<(), Failure> {
    loop {
        let reply = session.wait(&["BLPOP", key, "0"]).await?;
        match &reply {
            Reply::Array(pair) if pair.len() == 2 => match text(&pair[1]) {
                Some(END) => return Ok(()),
                item => received.observe(item.unwrap_or("not text")),
            },
            other => return Err(Failure::unexpected("BLPOP", other, "a key and an item")),
        }
    }
}
