//! The full copy: a source's snapshot, read by a server of its own, and carried key by key to the target, which goes on
//! serving and taking writes meanwhile.

use std::path::Path;
use std::time::Duration;

use super::progress::{Hardship, Progress};
use super::wire::{Connection, Failure, Value, encode};
use crate::kit::RedisServer;

use tokio::io::AsyncWriteExt;

/// Keys of a piece.
const PIECE: &str = "100";

/// Carries `snapshot` (an RDB file) to the target.
pub async fn load(
    snapshot: Vec<u8>,
    target: &mut Connection,
    progress: (&Progress, usize),
    hardship: &Hardship,
) -> Result<(), Failure> {
    let (progress, source) = progress;
    let length = snapshot.len() as u64;
    progress.change(source, |it| it.snapshot_bytes = Some(length));
    let reader = read_by_a_server(snapshot).await;
    let mut from = Connection::open(reader.addr()).await?;
    refuse_other_databases(&mut from).await?;
    let total = number(&from.call(&["DBSIZE"]).await?).max(1);
    let mut carried: u64 = 0;
    let mut cursor = b"0".to_vec();
    loop {
        let page = from
            .call(&[&b"SCAN"[..], &cursor, b"COUNT", PIECE.as_bytes()])
            .await?;
        let (next, keys) = page_of(page);
        carry(&keys, &mut from, target).await?;
        carried += keys.len() as u64;
        progress.change(source, |it| {
            it.carried_bytes = length * carried.min(total) / total;
        });
        let pause = hardship.now().per_piece;
        if pause > Duration::ZERO {
            tokio::time::sleep(pause).await;
        }
        if next == b"0" {
            progress.change(source, |it| it.carried_bytes = length);
            return Ok(());
        }
        cursor = next;
    }
}

/// Starts a server on the snapshot: it knows the file's format as nothing else does.
async fn read_by_a_server(snapshot: Vec<u8>) -> RedisServer {
    let started = tokio::task::spawn_blocking(move || {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("dump.rdb"), snapshot).unwrap();
        let path: &Path = directory.path();
        // It has read the file when it answers, so that the folder may go then.
        RedisServer::options()
            .arguments(&["--dir", path.to_str().unwrap(), "--dbfilename", "dump.rdb"])
            .start()
    });
    started.await.unwrap()
}

/// An Active-Active database has database 0 only, so that a snapshot with others cannot be represented. What the product
/// does then is not documented; this one stops.
async fn refuse_other_databases(from: &mut Connection) -> Result<(), Failure> {
    let keyspace = match from.call(&["INFO", "keyspace"]).await? {
        Value::Bulk(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        other => panic!("INFO gave {other:?}"),
    };
    let other = keyspace
        .lines()
        .find(|line| line.starts_with("db") && !line.starts_with("db0:"));
    match other {
        None => Ok(()),
        Some(line) => Err(Failure::Refused(format!(
            "the source has keys in another database than 0: {line}"
        ))),
    }
}

async fn carry(
    keys: &[Vec<u8>],
    from: &mut Connection,
    target: &mut Connection,
) -> Result<(), Failure> {
    let mut questions = Vec::new();
    for key in keys {
        questions.extend(encode(&[&b"DUMP"[..], key]));
        questions.extend(encode(&[&b"PEXPIRETIME"[..], key]));
    }
    from.writer.write_all(&questions).await?;
    let mut orders = Vec::new();
    let mut ordered = 0;
    for key in keys {
        let dump = from.reader.value().await?;
        let expires = number(&from.reader.value().await?);
        // A key that has expired in the meantime has no dump.
        if let Value::Bulk(dump) = dump {
            let expires = expires.to_string();
            orders.extend(encode(&[
                &b"RESTORE"[..],
                key,
                expires.as_bytes(),
                &dump,
                b"REPLACE",
                b"ABSTTL",
            ]));
            ordered += 1;
        }
    }
    target.writer.write_all(&orders).await?;
    for _ in 0..ordered {
        if let Value::Error(text) = target.reader.value().await? {
            return Err(Failure::Refused(text));
        }
    }
    Ok(())
}

fn page_of(page: Value) -> (Vec<u8>, Vec<Vec<u8>>) {
    let Value::Array(parts) = page else {
        panic!("SCAN gave {page:?}");
    };
    let [Value::Bulk(next), Value::Array(keys)] = &parts[..] else {
        panic!("SCAN gave {parts:?}");
    };
    let keys = keys.iter().map(|key| match key {
        Value::Bulk(key) => key.clone(),
        other => panic!("a key is {other:?}"),
    });
    (next.clone(), keys.collect())
}

fn number(value: &Value) -> u64 {
    match value {
        Value::Integer(number) => u64::try_from(*number).unwrap_or(0),
        other => panic!("{other:?} is not a number"),
    }
}
