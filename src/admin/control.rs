//! What the admin API controls, as far as it knows it.

use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::Value;

use super::Failure;
use crate::traffic::Accepted;
use crate::{upstream, verify};

/// What comes back: a document for the operator, or why there is none.
pub type Answer = Result<Value, Failure>;

/// Whoever carries out what operators say. Every document is JSON in the words of the interface; the admin API adds
/// nothing to it but the state of a comparison.
pub trait Control: Send + Sync + 'static {
    /// Carries the order out. Ends when it has: for [`Order::Migrate`] when the migration runs, for the others when
    /// they have ended. The admin API lets it run to its end even where the operator's connection breaks.
    fn order(&self, order: Order) -> BoxFuture<'static, Answer>;

    /// The findings of the preflight.
    fn preflight(&self) -> BoxFuture<'static, Answer>;

    /// What the application's commands mean for the target.
    fn report(&self) -> BoxFuture<'static, Answer>;

    /// Where everything stands. Asks nobody and never waits.
    fn status(&self) -> Value;

    /// Whether listeners are up and the active side answers; what is missing otherwise.
    fn ready(&self) -> BoxFuture<'static, Result<(), String>>;

    /// The metrics in the Prometheus text format.
    fn metrics(&self) -> String;

    /// The two sides to compare, the active one first.
    fn sides(&self) -> [upstream::Server; 2];

    /// How to compare them where the operator does not say otherwise.
    fn comparison(&self) -> verify::Options {
        verify::Options::default()
    }
}

/// What an operator can have done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Fill the target.
    Migrate {
        /// The target's name, typed by who accepts that its data goes.
        confirm_flush: Option<String>,
    },
    /// Make the target the active side.
    Cutover {
        /// In earnest or not.
        run: Run,
        /// Replaces the configured bound of the write pause, this once.
        max_pause: Option<Duration>,
        /// Findings of the compatibility report that do not stand in its way, this once.
        accept: Accepted,
    },
    /// Undo what is under way and not yet committed.
    Abort,
    /// Make the source the active side again.
    Rollback,
    /// Give up the way back.
    Finalize,
}

/// Whether a cutover is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Run {
    /// Yes.
    Real,
    /// Only find out whether it would be refused.
    Dry,
}
