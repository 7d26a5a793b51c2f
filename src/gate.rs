//! The one place where a request is admitted to a side, held, or refused; and the only meeting point of the data path
//! and the control path.
//!
//! The control path owns a change of sides as a value: [`Armed`], then [`Closed`], then [`Committing`]. Dropping any of
//! them, on whatever path, lets the traffic go on. The data path owns a [`Permit`] for each admitted write; while one
//! lives, the request is in flight. Between them stands the [`Policy`], which is published to all workers at once and
//! acknowledged by each: a worker changes its mind at one point of its loop, so that after its acknowledgement no
//! request admitted under the old policy can still be on its way to the permit counter.
//!
//! Refuses to know: sockets, RESP, why anybody would close it. Read on in `policy` (the pure decision), `local` (a
//! worker's view), `control` (the operator's side).

mod control;
mod local;
mod policy;
#[cfg(test)]
mod tests;

pub use control::{Armed, Busy, Closed, Committing, Gate};
pub use local::{Admission, Local, Membership, Obligation, Participant, Permit};
pub use policy::{Decision, Intent, Policy, ReadRoute, Routes, ScriptRoute, Stage, WriteRoute};
