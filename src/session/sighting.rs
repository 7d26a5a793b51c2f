//! What the lookout is shown: requests that were sent on or answered, each once however often it was parked. Most
//! commands are not worth a look, and pay for the comparison that says so.

use super::relay::{End, Session};
use super::route::{Asked, Step};
use crate::command::{Attention, Sender, Sighting, Span, Transactions, Verdict};
use crate::resp::request::{self, Request, Scanned};

impl Session {
    /// The long way of one request, and what the lookout is shown of it.
    pub(super) fn handle(&mut self, asked: Asked<'_>) -> Result<Step, End> {
        let step = self.take_the_long_way(asked)?;
        match step {
            Step::Parked(_) => {}
            Step::Done | Step::DoneWith(_) | Step::DoneThenPark(_) => {
                if self.transaction.is_some() {
                    self.show_queued(&asked.request, asked.verdict);
                } else {
                    self.show(&asked.request, asked.verdict);
                }
            }
        }
        Ok(step)
    }

    /// Shows a request, if its command is worth a look.
    #[inline]
    pub(super) fn show(&self, request: &Request<'_>, verdict: Verdict<'_>) {
        if verdict.attention() == Attention::Look {
            self.worker.lookout.saw(&self.sighting(request, verdict));
        }
    }

    /// Shows a request of the transaction that is open.
    fn show_queued(&mut self, request: &Request<'_>, verdict: Verdict<'_>) {
        let Some(mut transaction) = self.transaction.take() else {
            return;
        };
        let sighting = self.sighting(request, verdict);
        self.worker
            .lookout
            .saw_queued(&sighting, &mut transaction.span);
        self.transaction = Some(transaction);
    }

    /// Shows the requests of a transaction that went out in one piece.
    pub(super) fn show_whole_transaction(&self, mut frames: &[u8], attention: Attention) {
        let lookout = &self.worker.lookout;
        if attention == Attention::Pass && lookout.transactions() == Transactions::Passed {
            return;
        }
        let table = self.worker.table.load();
        let mut span = Span::default();
        while let Ok(Scanned::Request(shape)) =
            request::Scanner::default().scan(frames, &request::Limits::redis())
        {
            let request = Request::new(&frames[..shape.length], &shape);
            let verdict = table.classify(&request);
            lookout.saw_queued(&self.sighting(&request, verdict), &mut span);
            frames = &frames[shape.length..];
        }
    }

    fn sighting<'a>(&'a self, request: &'a Request<'a>, verdict: Verdict<'a>) -> Sighting<'a> {
        Sighting {
            request,
            verdict,
            sender: Sender {
                address: self.client.stream().peer(),
                name: self.who.name.as_deref(),
                library: &self.who.library,
            },
            at: self.read_at,
        }
    }
}
