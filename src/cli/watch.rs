//! `status --watch` in a terminal: what the console page shows, and keys that act. The picture and the keys are pure;
//! here is what is not: the clock, the calls, the terminal.
//!
//! Read next: `watch/board.rs` for what is known and what keys do, `watch/frame.rs` for the picture.

mod board;
mod chart;
mod frame;
mod question;
mod sections;
mod sheet;
mod terminal;
#[cfg(test)]
mod tests;
mod words;

use std::time::{Duration, Instant};

use futures_util::future::LocalBoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use serde_json::Value;
use tokio::time::{MissedTickBehavior, interval};

use super::Exit;
use super::client::{CallError, Client};
use super::output::Output;
use super::view::{History, Report, Status, view};
use board::{Board, Reaction};
use question::{Deed, Order};
use terminal::{Input, Terminal};

pub(super) use terminal::has_terminal;

/// Time between two looks; what a person takes for at once.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Time between two looks at the report, which is long and changes slowly.
const REPORT_INTERVAL: Duration = Duration::from_secs(30);
/// How long one look may take: a sidecar that stands still is said to, and asked again.
const LOOK_LIMIT: Duration = Duration::from_secs(5);

/// What came from the sidecar.
enum News {
    Status(Result<Value, CallError>),
    Past(Result<Value, CallError>),
    Report(Result<Value, CallError>),
    Ended(Deed, Result<Value, CallError>),
}

/// Calls under way, whose answers come in any order. Bounded: each kind of look once, and one deed with its abort.
type Calls<'a> = FuturesUnordered<LocalBoxFuture<'a, News>>;

/// Shows the status, and does what keys say, until one says that it is enough. A sidecar that never was there is an
/// error, as with every command; one that goes away is waited for.
pub(super) async fn show(client: &Client, output: Output) -> Result<Exit, CallError> {
    let first = status_of(&client.get("/v1/status").await?)?;
    let board = Board::new(first, Instant::now());
    // Leaves the terminal as it was on every way out of here, a panic included.
    let ended = match Terminal::enter() {
        Ok(mut terminal) => follow(client, board, &mut terminal).await,
        Err(error) => Err(error),
    };
    match ended {
        Ok(None) => {}
        Ok(Some(deed)) => output.note(&format!(
            "{} was under way, and goes on: `handover status` tells how it ends",
            deed.name()
        )),
        Err(error) => {
            let message = format!("the terminal cannot be used: {error}");
            output.failure("terminal", &message, &[]);
            return Ok(Exit::Failed);
        }
    }
    Ok(Exit::Done)
}

/// Gives the order that was still under way at the end.
async fn follow(
    client: &Client,
    mut board: Board,
    terminal: &mut Terminal,
) -> std::io::Result<Option<Deed>> {
    let mut clock = interval(LOOK_INTERVAL);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut reports = interval(REPORT_INTERVAL);
    reports.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut calls: Calls<'_> = FuturesUnordered::new();
    let mut is_looking = false;
    calls.push(Box::pin(past(client)));
    loop {
        terminal.draw(&mut board)?;
        tokio::select! {
            input = terminal.next() => match input {
                Input::Key(key) => match board.press(key) {
                    Reaction::Nothing => {}
                    Reaction::Send(order) => calls.push(Box::pin(carry_out(client, order))),
                    Reaction::Quit => return Ok(board.busy),
                },
                Input::Resized => {}
                Input::Over => return Ok(board.busy),
            },
            _ = clock.tick() => {
                if !is_looking {
                    is_looking = true;
                    calls.push(Box::pin(look(client)));
                }
            }
            _ = reports.tick() => calls.push(Box::pin(report(client))),
            Some(news) = calls.next() => match news {
                News::Status(answer) => {
                    is_looking = false;
                    let was_away = board.silence.is_some();
                    match answer.and_then(|document| status_of(&document)) {
                        Ok(status) => {
                            board.looked(status, Instant::now());
                            if was_away {
                                calls.push(Box::pin(past(client)));
                            }
                        }
                        Err(error) => board.missed(&error),
                    }
                }
                News::Past(Ok(document)) => board.remembered(view::<History>(&document).samples),
                News::Report(Ok(document)) => board.reported(view::<Report>(&document)),
                // The look at the status says it; the chart begins now, and the report is asked for again.
                News::Past(Err(_)) | News::Report(Err(_)) => {}
                News::Ended(deed, answer) => {
                    board.ended(deed, answer);
                    // What the order changed is seen at once.
                    clock.reset_immediately();
                }
            },
        }
    }
}

async fn look(client: &Client) -> News {
    News::Status(within_the_limit(client, "/v1/status").await)
}

async fn past(client: &Client) -> News {
    News::Past(within_the_limit(client, "/v1/history").await)
}

async fn report(client: &Client) -> News {
    News::Report(within_the_limit(client, "/v1/report").await)
}

async fn within_the_limit(client: &Client, path: &str) -> Result<Value, CallError> {
    let answer = tokio::time::timeout(LOOK_LIMIT, client.get(path)).await;
    answer.unwrap_or_else(|_| {
        let why = format!("no answer within {LOOK_LIMIT:?}");
        Err(CallError::Unreachable(why))
    })
}

async fn carry_out(client: &Client, Order { deed, arguments }: Order) -> News {
    let answer = match deed {
        Deed::Preflight => client.get(deed.path()).await,
        Deed::Migrate
        | Deed::DryRun
        | Deed::Cutover
        | Deed::Abort
        | Deed::Rollback
        | Deed::Finalize
        | Deed::Verify => client.post(deed.path(), &arguments).await,
    };
    News::Ended(deed, answer)
}

fn status_of(document: &Value) -> Result<Status, CallError> {
    let status = view::<Status>(document);
    if status.phase.is_empty() {
        return Err(CallError::Strange("a status without a phase".to_owned()));
    }
    Ok(status)
}
