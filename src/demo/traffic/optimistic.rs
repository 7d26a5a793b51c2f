//! Optimistic locking: WATCH, read, write in MULTI … EXEC. All of them fight for one key, so a nil from EXEC (somebody
//! else was first) is a daily thing and simply tried again.

use super::session::{Pace, Session};
use crate::demo::checker::{Claim, Tally};
use crate::demo::client::{Failure, Reply, number};

/// The key they fight for.
const KEY: &str = "traffic:shared";

/// The key holds the sum of all acknowledged increments.
pub(super) async fn run(mut session: Session, mut pace: Pace) -> Vec<Claim> {
    let mut tally = Tally::default();
    let outcome = work(&mut session, &mut pace, &mut tally).await;
    session.close(outcome);
    vec![Claim::Counter {
        key: KEY.to_owned(),
        sign: 1,
        tally,
    }]
}

async fn work(session: &mut Session, pace: &mut Pace, tally: &mut Tally) -> Result<(), Failure> {
    while pace.next().await {
        session.write(&["WATCH", KEY]).await?;
        let seen = session.write(&["GET", KEY]).await?;
        let next = number(&seen).unwrap_or(0) + 1;
        let before = *tally;
        tally.attempt();
        let reply = session
            .write_together(&[&["MULTI"], &["SET", KEY, &next.to_string()], &["EXEC"]])
            .await?;
        match reply {
            // Nothing was written, which is an answer.
            Reply::Null => *tally = before,
            Reply::Array(_) => tally.acknowledge(),
            other => return Err(Failure::unexpected("EXEC", &other, "an array or nil")),
        }
    }
    Ok(())
}
