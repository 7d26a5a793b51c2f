//! The stream, carried on to the target: commands in their order, in transactions as they came.

use std::time::Instant;

use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

use super::progress::{Hardship, Progress};
use super::wire::{Connection, Failure, Value, encode};

/// Commands that leave for the target at once.
const TOGETHER: usize = 256;

/// A command of the stream.
#[derive(Debug)]
pub struct Queued {
    pub command: Vec<Vec<u8>>,
    /// Where the stream stands behind it.
    pub end: u64,
    pub came: Instant,
}

/// What is done with a command.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Apply,
    /// It concerns the replication itself, or what an Active-Active database does not get from it.
    Swallow,
    /// The replication cannot go on.
    Refuse,
}

/// Applies what comes until the queue ends. `applied` follows, and stands still within a transaction: a stream that breaks
/// off there is taken up again before it.
pub async fn apply(
    mut queue: mpsc::Receiver<Queued>,
    target: &mut Connection,
    applied: &mut u64,
    progress: (&Progress, usize),
    hardship: &Hardship,
) -> Result<(), Failure> {
    let (progress, source) = progress;
    let mut sufferings = hardship.watch();
    let mut in_transaction = false;
    let mut batch = Vec::new();
    while queue.recv_many(&mut batch, TOGETHER).await > 0 {
        let came = batch[0].came;
        progress.change(source, |it| it.behind_since = Some(came));
        let _ = sufferings.wait_for(|now| !now.stalled).await;
        for queued in &batch {
            match name(&queued.command).as_str() {
                "MULTI" => in_transaction = true,
                "EXEC" => in_transaction = false,
                _ => {}
            }
            if !in_transaction {
                *applied = queued.end;
            }
        }
        send(&batch, target).await?;
        let now = *applied;
        progress.change(source, |it| {
            it.applied = now;
            it.behind_since = None;
        });
        batch.clear();
    }
    Ok(())
}

/// Sends a batch and has it acknowledged.
async fn send(batch: &[Queued], target: &mut Connection) -> Result<(), Failure> {
    let mut bytes = Vec::new();
    let mut sent = 0;
    for Queued { command, .. } in batch {
        match verdict(command) {
            Verdict::Apply => {
                bytes.extend(encode(command));
                sent += 1;
            }
            Verdict::Swallow => {}
            Verdict::Refuse => {
                let words: Vec<_> = command
                    .iter()
                    .map(|word| String::from_utf8_lossy(word))
                    .collect();
                return Err(Failure::Refused(format!(
                    "the source sent what the database does not support: {}",
                    words.join(" ")
                )));
            }
        }
    }
    target.writer.write_all(&bytes).await?;
    for _ in 0..sent {
        refuse_errors(&target.reader.value().await?)?;
    }
    Ok(())
}

/// An error, also one inside a transaction's reply, ends the replication: what comes next would stand on what is absent.
fn refuse_errors(reply: &Value) -> Result<(), Failure> {
    match reply {
        Value::Error(text) => Err(Failure::Refused(text.clone())),
        Value::Array(items) => items.iter().try_for_each(refuse_errors),
        Value::Simple(_) | Value::Integer(_) | Value::Bulk(_) | Value::Null => Ok(()),
    }
}

/// Databases other than 0 have no counterpart. Functions are not said to be carried, so that they are not.
fn verdict(command: &[Vec<u8>]) -> Verdict {
    match name(command).as_str() {
        "" | "PING" | "REPLCONF" | "FUNCTION" | "SCRIPT" => Verdict::Swallow,
        "SELECT" if command.get(1).is_some_and(|number| number == b"0") => Verdict::Swallow,
        "SELECT" | "MOVE" | "SWAPDB" => Verdict::Refuse,
        _ => Verdict::Apply,
    }
}

fn name(command: &[Vec<u8>]) -> String {
    command
        .first()
        .map(|name| String::from_utf8_lossy(name).to_uppercase())
        .unwrap_or_default()
}

#[test]
fn what_concerns_the_replication_itself_is_swallowed_and_other_databases_are_refused() {
    let of = |words: &str| {
        let command: Vec<Vec<u8>> = words
            .split(' ')
            .map(|word| word.as_bytes().to_vec())
            .collect();
        verdict(&command)
    };
    assert_eq!(of("PING"), Verdict::Swallow);
    assert_eq!(of("select 0"), Verdict::Swallow);
    assert_eq!(of("SELECT 1"), Verdict::Refuse);
    assert_eq!(of("INCR SELECT"), Verdict::Apply);
}

#[test]
fn an_error_inside_a_transaction_is_one() {
    let reply = Value::Array(vec![
        Value::Integer(1),
        Value::Error("WRONGTYPE".to_owned()),
    ]);
    assert!(refuse_errors(&reply).is_err());
    assert!(refuse_errors(&Value::Array(vec![Value::Null])).is_ok());
}
