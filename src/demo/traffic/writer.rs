//! Writes to keys of its own: a counter, a list, a value that it reads back.

use super::session::{Pace, Session};
use crate::demo::checker::{Claim, Received, Tally};
use crate::demo::client::{Failure, number};

#[derive(Debug)]
struct Writer {
    counter: (String, Tally),
    list: (String, Tally),
    value: (String, Tally),
}

/// Counts, appends and sets in turn.
pub(super) async fn run(mut session: Session, mut pace: Pace, id: usize) -> Vec<Claim> {
    let own = |what: &str| (format!("traffic:{what}:{id}"), Tally::default());
    let mut writer = Writer {
        counter: own("counter"),
        list: own("list"),
        value: own("value"),
    };
    let outcome = writer.work(&mut session, &mut pace).await;
    session.close(outcome);
    let (key, tally) = writer.list;
    vec![
        Claim::Counter {
            key: writer.counter.0,
            sign: 1,
            tally: writer.counter.1,
        },
        Claim::Sequence {
            name: key.clone(),
            key: Some(key),
            tally,
            received: Received::default(),
        },
        Claim::Latest {
            key: writer.value.0,
            tally: writer.value.1,
        },
    ]
}

impl Writer {
    async fn work(&mut self, session: &mut Session, pace: &mut Pace) -> Result<(), Failure> {
        for turn in 0_usize.. {
            if !pace.next().await {
                break;
            }
            match turn % 3 {
                0 => self.count(session).await?,
                1 => self.append(session).await?,
                _ => self.set_and_read(session).await?,
            }
        }
        Ok(())
    }

    /// Nobody else counts here, so the reply is known.
    async fn count(&mut self, session: &mut Session) -> Result<(), Failure> {
        let (key, tally) = &mut self.counter;
        let expected = tally.attempt();
        let reply = session.write(&["INCR", key]).await?;
        tally.acknowledge();
        if number(&reply) == i64::try_from(expected).ok() {
            Ok(())
        } else {
            Err(Failure::unexpected(
                &format!("INCR {key}"),
                &reply,
                expected.to_string(),
            ))
        }
    }

    /// Nor appends here, so the length is known.
    async fn append(&mut self, session: &mut Session) -> Result<(), Failure> {
        let (key, tally) = &mut self.list;
        let item = tally.attempt();
        let reply = session.write(&["RPUSH", key, &item.to_string()]).await?;
        tally.acknowledge();
        if number(&reply) == i64::try_from(item).ok() {
            Ok(())
        } else {
            Err(Failure::unexpected(
                &format!("RPUSH {key}"),
                &reply,
                item.to_string(),
            ))
        }
    }

    /// A session reads what it wrote, on whichever side.
    async fn set_and_read(&mut self, session: &mut Session) -> Result<(), Failure> {
        let (key, tally) = &mut self.value;
        let value = tally.attempt();
        session.write(&["SET", key, &value.to_string()]).await?;
        tally.acknowledge();
        let reply = session.read(&["GET", key]).await?;
        if number(&reply) == i64::try_from(value).ok() {
            Ok(())
        } else {
            Err(Failure::unexpected(
                &format!("GET {key}"),
                &reply,
                value.to_string(),
            ))
        }
    }
}
