//! Reads samples of every type and knows each value.

use super::session::{Pace, Session};
use crate::demo::checker::Claim;
use crate::demo::client::Failure;
use crate::demo::data::Sample;

/// Steps through the samples by a number without a common divisor with any key count of interest, so that all types
/// and all parts of the keyspace come up.
const STRIDE: u64 = 7_919;

/// A reader promises nothing; a wrong value is an error.
pub(super) async fn run(mut session: Session, mut pace: Pace, start: u64, keys: u64) -> Vec<Claim> {
    let outcome = work(&mut session, &mut pace, start, keys.max(1)).await;
    session.close(outcome);
    Vec::new()
}

async fn work(
    session: &mut Session,
    pace: &mut Pace,
    start: u64,
    keys: u64,
) -> Result<(), Failure> {
    let mut next = start % keys;
    while pace.next().await {
        let sample = Sample(next);
        let request = sample.read();
        let reply = session
            .read(&request.iter().map(String::as_str).collect::<Vec<_>>())
            .await?;
        if !sample.is(&reply) {
            return Err(Failure::unexpected(
                &request.join(" "),
                &reply,
                "the value it was filled with",
            ));
        }
        next = (next + STRIDE) % keys;
    }
    Ok(())
}
