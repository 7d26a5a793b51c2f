//! RESP framing: where a request or a reply begins and ends, in place, without copying. Pure: no sockets, no clock.
//!
//! * [`request`] reads what clients send, as strictly and as loosely as Redis does, and names what it refuses in
//!   Redis's own words.
//! * [`reply`] finds the ends of what servers send, whatever the type, however deep, split anywhere.
//! * [`encode`] writes commands and the few replies that are given without asking a server.
//!
//! Refuses to know: what a command means, who sent it, which side it goes to.

pub mod encode;
mod number;
pub mod reply;
pub mod request;
