//! Where somebody may look at requests as they pass: the words between the sessions, which show them, and whoever
//! judges them.
//!
//! Refuses to know: what is looked for. The table says which commands are worth a look ([`Attention`]), so that all
//! others pay for one comparison.

use std::fmt::Debug;
use std::time::Instant;

use super::{Span, Table, Verdict};
use crate::resp::request::Request;

/// Whether a command's requests are shown to the lookout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Attention {
    /// They pass.
    #[default]
    Pass,
    /// Each is shown.
    Look,
}

/// Whether the lookout wants to see what transactions are made of, whatever the commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transactions {
    /// Each command in them is shown.
    Followed,
    /// Only those that are shown anyway.
    Passed,
}

/// One request that was sent on or answered.
#[derive(Debug, Clone, Copy)]
pub struct Sighting<'a> {
    /// The request.
    pub request: &'a Request<'a>,
    /// What it is.
    pub verdict: Verdict<'a>,
    /// Who sent it.
    pub sender: Sender<'a>,
    /// When it was read.
    pub at: Instant,
}

/// The client that sent a request.
#[derive(Debug, Clone, Copy)]
pub struct Sender<'a> {
    /// Its address.
    pub address: &'a str,
    /// What it calls itself (`CLIENT SETNAME`).
    pub name: Option<&'a [u8]>,
    /// What it says about its library: `CLIENT SETINFO` attributes and their values.
    pub library: &'a [(Vec<u8>, Vec<u8>)],
}

/// Looks at the requests of one worker, on its thread.
pub trait Lookout: Debug {
    /// A request outside of a transaction.
    fn saw(&self, sighting: &Sighting<'_>);

    /// A request between MULTI and EXEC; `span` is of the transaction so far.
    fn saw_queued(&self, sighting: &Sighting<'_>, span: &mut Span);

    /// What it wants to see of transactions.
    fn transactions(&self) -> Transactions;
}

/// Whoever has a lookout for each worker.
pub trait Lookouts: Debug + Send + Sync {
    /// The one of worker `number`.
    fn of_worker(&self, number: usize) -> Box<dyn Lookout>;
}

impl Verdict<'_> {
    /// Whether the request is shown to the lookout. One that is not in the table is.
    #[inline]
    pub fn attention(&self) -> Attention {
        self.command
            .map_or(Attention::Look, |command| command.attention)
    }
}

impl Table {
    /// Says anew, for each command, whether it is worth a look.
    pub fn attend(&mut self, mut attention: impl FnMut(&super::Command) -> Attention) {
        for command in self.all_mut() {
            command.attention = attention(command);
        }
    }
}
