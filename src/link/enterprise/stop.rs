//! The end of Replica Of, and seeing it ended.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use super::client::{Client, Patience};
use super::database::{Database, look};
use super::failure::Error;
use super::lenient::text;
use super::source_url::path_part;

/// How long it may take. Inside a cutover the pause's bound is usually the shorter one.
const STOP_LIMIT: Duration = Duration::from_mins(1);

/// Between two looks: short beside the seconds that a cluster takes, and no burden for it.
const STOP_LOOK: Duration = Duration::from_millis(50);

/// Ends it, and looks until it is seen ended and the cluster has finished the change: the database says so, and the
/// action that carries the change out, where it is told which.
pub(super) async fn stop(client: &mut Client, uid: u64) -> Result<Database, Error> {
    let give_up_at = Instant::now() + STOP_LIMIT;
    let action = order(client, uid, give_up_at).await?;
    loop {
        let late = Instant::now() >= give_up_at;
        match look(client, uid, Patience::For(STOP_LIMIT)).await {
            Ok(database) if is_stopped(&database) => {
                match is_over(client, action.as_deref()).await {
                    Ok(true) => return Ok(database),
                    Ok(false) if late => return Err(unfinished(client, &database)),
                    Err(error) if late || !error.is_lost() => return Err(error),
                    Ok(false) | Err(_) => sleep(STOP_LOOK).await,
                }
            }
            Ok(database) if late => return Err(unfinished(client, &database)),
            Err(error) if late || !error.is_lost() => return Err(error),
            Ok(_) | Err(_) => sleep(STOP_LOOK).await,
        }
    }
}

/// Orders it until the order has been taken. One whose answer is lost may have been carried out, which a look tells;
/// otherwise it is given again: it names a state, and changes nothing where that is reached. Gives the action that carries it
/// out, where the answer names it.
async fn order(
    client: &mut Client,
    uid: u64,
    give_up_at: Instant,
) -> Result<Option<String>, Error> {
    let (path, order) = (
        format!("/v1/bdbs/{uid}"),
        json!({ "replica_sync": "disabled" }),
    );
    loop {
        match client.put(&path, &order, Patience::For(STOP_LIMIT)).await {
            Ok(changed) => return Ok(text(&changed, "action_uid")),
            Err(error) if !error.is_lost() || Instant::now() >= give_up_at => return Err(error),
            Err(_) => {}
        }
        let seen = look(client, uid, Patience::None).await;
        if seen.is_ok_and(|database| database.replica_sync.as_deref() == Some("disabled")) {
            return Ok(None);
        }
        sleep(STOP_LOOK).await;
    }
}

fn unfinished(client: &Client, database: &Database) -> Error {
    Error::WorkUnfinished {
        api: client.name().to_owned(),
        work: "the end of Replica Of",
        limit: STOP_LIMIT,
        state: format!(
            "replica_sync is {}, the database {}",
            database.replica_sync.as_deref().unwrap_or("not told"),
            database.status.as_deref().unwrap_or("of unknown status")
        ),
    }
}

/// Whether an action has ended. One that is not known, or not any more, does nothing; one that failed may have left
/// anything behind, and is never over.
async fn is_over(client: &mut Client, action: Option<&str>) -> Result<bool, Error> {
    let Some(action) = action else {
        return Ok(true);
    };
    let path = format!("/v1/actions/{}", path_part(action));
    match client.get(&path, Patience::For(STOP_LIMIT)).await {
        Ok(seen) => Ok(matches!(
            text(&seen, "status").as_deref(),
            Some("completed" | "finished")
        )),
        Err(Error::Absent { .. }) => Ok(true),
        Err(error) => Err(error),
    }
}

/// Takes the sources away, so that nobody starts it again by mistake.
pub(super) async fn forget(client: &mut Client, uid: u64, patience: Patience) -> Result<(), Error> {
    let order = json!({ "replica_sources": [] });
    client
        .put(&format!("/v1/bdbs/{uid}"), &order, patience)
        .await?;
    Ok(())
}

/// Whether it is seen ended. What is not told is not seen.
pub(super) fn is_stopped(database: &Database) -> bool {
    database.replica_sync.as_deref() == Some("disabled")
        && database.status.as_deref() == Some("active")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(database: &serde_json::Value, expected: bool) {
        let database = Database::read(database).expect("a database");
        assert_eq!(is_stopped(&database), expected, "{database:?}");
    }

    #[test]
    fn it_is_ended_only_where_it_is_seen_disabled_and_settled() {
        check(
            &json!({"uid": 1, "replica_sync": "disabled", "status": "active"}),
            true,
        );
        for (sync, status) in [
            ("disabled", "active-change-pending"),
            ("enabled", "active"),
            ("stopped", "active"),
            ("paused", "active"),
            ("", "active"),
            ("disabled", ""),
        ] {
            check(
                &json!({"uid": 1, "replica_sync": sync, "status": status}),
                false,
            );
        }
    }
}
