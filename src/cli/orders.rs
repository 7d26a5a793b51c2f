//! What becomes of the commands for a running sidecar: the call, the prose, the exit code.

use serde_json::{Value, json};

use super::Exit;
use super::arguments::SidecarCommand;
use super::client::{CallError, Client};
use super::follow::{self, Migrated};
use super::output::Output;
use super::render;
use super::view::{Outcome, Preflight, Report, Status, Verify, view};
use super::watch;

/// Carries a command out.
pub(super) fn carry_out(command: SidecarCommand, output: Output) -> Exit {
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return super::local::cannot_begin(&error, output),
    };
    let sidecar = command.sidecar();
    let result =
        Client::new(sidecar).and_then(|client| runtime.block_on(call(&client, command, output)));
    result.unwrap_or_else(|error| error.tell(output))
}

async fn call(client: &Client, command: SidecarCommand, output: Output) -> Result<Exit, CallError> {
    match command {
        SidecarCommand::Preflight { .. } => preflight(client, output).await,
        SidecarCommand::Migrate {
            confirm_flush,
            no_wait,
            ..
        } => {
            let accepted = client
                .post("/v1/migrate", &json!({"confirm_flush": confirm_flush}))
                .await?;
            if no_wait {
                output.result(&accepted, || {
                    "the migration runs: `handover status --watch` follows it".to_owned()
                });
                return Ok(Exit::Done);
            }
            Ok(migrated(follow::migration(client, output).await?, output))
        }
        SidecarCommand::Status { watch: true, .. } if watch::has_terminal() => {
            watch::show(client, output).await
        }
        SidecarCommand::Status { watch: true, .. } => Err(follow::watch(client, output).await),
        SidecarCommand::Status { watch: false, .. } => {
            let document = client.get("/v1/status").await?;
            output.result(&document, || render::status(&view(&document)));
            Ok(Exit::Done)
        }
        SidecarCommand::Report { .. } => {
            let document = client.get("/v1/report").await?;
            let report = view::<Report>(&document);
            output.result(&document, || render::report(&report));
            Ok(if report.stands_in_the_way() {
                Exit::Refused
            } else {
                Exit::Done
            })
        }
        SidecarCommand::Verify { sample, rate, .. } => {
            client
                .post("/v1/verify", &json!({"sample": sample, "rate": rate}))
                .await?;
            Ok(compared(
                &follow::verification(client, output).await?,
                output,
            ))
        }
        SidecarCommand::Cutover {
            dry_run,
            max_pause,
            accept,
            ..
        } => {
            let max_pause = max_pause.map(|pause| format!("{}ms", pause.as_millis()));
            let arguments = json!({"dry_run": dry_run, "max_pause": max_pause, "accept": accept});
            let ended = client.post("/v1/cutover", &arguments).await?;
            Ok(changed(&ended, output))
        }
        SidecarCommand::Rollback { .. } => Ok(changed(
            &client.post("/v1/rollback", &json!({})).await?,
            output,
        )),
        SidecarCommand::Finalize { .. } => Ok(changed(
            &client.post("/v1/finalize", &json!({})).await?,
            output,
        )),
        SidecarCommand::Abort { .. } => {
            let ended = client.post("/v1/abort", &json!({})).await?;
            output.result(&ended, || render::outcome(&view(&ended)));
            // To be aborted is what was asked for.
            Ok(Exit::Done)
        }
    }
}

async fn preflight(client: &Client, output: Output) -> Result<Exit, CallError> {
    let document = client.get("/v1/preflight").await?;
    let findings = view::<Preflight>(&document);
    output.result(&document, || render::preflight(&findings));
    let in_the_way = findings
        .findings
        .iter()
        .any(|finding| finding.level == "error");
    Ok(if in_the_way {
        Exit::Refused
    } else {
        Exit::Done
    })
}

fn migrated(migrated: Migrated, output: Output) -> Exit {
    match migrated {
        Migrated::InSync(document) => {
            let status = view::<Status>(&document);
            output.result(&document, || {
                format!("the target follows the source\n{}", render::status(&status))
            });
            Exit::Done
        }
        Migrated::Ended(document) => {
            let status = view::<Status>(&document);
            output.result(&document, || {
                format!(
                    "the migration ended without success\n{}",
                    render::status(&status)
                )
            });
            Exit::Failed
        }
    }
}

fn compared(document: &Value, output: Output) -> Exit {
    match view::<Verify>(document) {
        Verify {
            summary: Some(found),
            ..
        } => {
            output.result(&document["summary"], || render::summary(&found));
            if found.differing == 0 {
                Exit::Done
            } else {
                Exit::Failed
            }
        }
        Verify { error, .. } => {
            let reason = error.unwrap_or_else(|| "no reason given".to_owned());
            output.failure(
                "verify_failed",
                &format!("the comparison failed: {reason}"),
                &[],
            );
            Exit::Unreachable
        }
    }
}

/// A cutover, a rollback or a finalization has ended.
fn changed(document: &Value, output: Output) -> Exit {
    let ended = view::<Outcome>(document);
    output.result(document, || render::outcome(&ended));
    exit_of(&ended)
}

fn exit_of(ended: &Outcome) -> Exit {
    match ended.outcome.as_str() {
        "committed" | "rolled_back" | "finalized" => Exit::Done,
        "dry_run" if ended.reasons.is_empty() => Exit::Done,
        "dry_run" => Exit::Refused,
        "aborted" => Exit::Aborted,
        _ => Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_has_its_exit_code() {
        let code = |document: Value| exit_of(&view(&document)).code();
        assert_eq!(
            code(json!({"outcome": "committed", "reasons": ["reversal is not confirmed"]})),
            0
        );
        assert_eq!(code(json!({"outcome": "rolled_back"})), 0);
        assert_eq!(code(json!({"outcome": "finalized"})), 0);
        assert_eq!(code(json!({"outcome": "dry_run", "reasons": []})), 0);
        assert_eq!(code(json!({"outcome": "dry_run", "reasons": ["lag"]})), 1);
        assert_eq!(code(json!({"outcome": "aborted"})), 4);
        assert_eq!(code(json!({"outcome": "something new"})), 5);
    }
}
