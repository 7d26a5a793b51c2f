//! Moves one unit at a time between two accounts of its own in MULTI … EXEC: in one write, and step by step, so that
//! open transactions meet the cutover as well.

use super::session::{Pace, Session};
use crate::demo::checker::{Claim, Tally};
use crate::demo::client::{Failure, Reply, number};

/// Both accounts hold exactly the transfers that were acknowledged.
pub(super) async fn run(mut session: Session, mut pace: Pace, id: usize) -> Vec<Claim> {
    let (from, to) = (
        format!("traffic:account:{id}:from"),
        format!("traffic:account:{id}:to"),
    );
    let mut tally = Tally::default();
    let outcome = work(&mut session, &mut pace, (&from, &to), &mut tally).await;
    session.close(outcome);
    vec![
        Claim::Counter {
            key: from,
            sign: -1,
            tally,
        },
        Claim::Counter {
            key: to,
            sign: 1,
            tally,
        },
    ]
}

async fn work(
    session: &mut Session,
    pace: &mut Pace,
    (from, to): (&str, &str),
    tally: &mut Tally,
) -> Result<(), Failure> {
    let steps: [&[&str]; 4] = [&["MULTI"], &["DECR", from], &["INCR", to], &["EXEC"]];
    while pace.next().await {
        let transfer = tally.attempt();
        let reply = if transfer.is_multiple_of(2) {
            session.write_together(&steps).await?
        } else {
            let mut last = Reply::Null;
            for step in steps {
                last = session.write(step).await?;
            }
            last
        };
        let expected = i64::try_from(transfer)
            .map(|n| vec![-n, n])
            .unwrap_or_default();
        let balances = match &reply {
            Reply::Array(items) => items.iter().filter_map(number).collect(),
            _ => Vec::new(),
        };
        if balances != expected {
            return Err(Failure::unexpected("EXEC", &reply, format!("{expected:?}")));
        }
        tally.acknowledge();
    }
    Ok(())
}
