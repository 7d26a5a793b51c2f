//! Puts records on the disk, in order, on a thread that may block, so that a slow disk freezes nothing else.

use std::collections::VecDeque;

use tokio::task::{JoinHandle, spawn_blocking};

use super::super::event::Event;
use super::super::journal::{Error, Journal, Record};

/// The journal, at rest or at work.
#[derive(Debug)]
pub(super) struct JournalHands {
    work: Work,
    /// Records that wait; the state machine has a handful outstanding at most.
    waiting: VecDeque<Record>,
}

#[derive(Debug)]
enum Work {
    /// Nothing is being written.
    Rest(Journal),
    /// One record is.
    Append {
        record: Record,
        job: JoinHandle<(Journal, Result<(), Error>)>,
    },
    /// The thread that wrote ended without giving the journal back.
    Lost,
}

impl JournalHands {
    pub(super) fn new(journal: Journal) -> JournalHands {
        JournalHands {
            work: Work::Rest(journal),
            waiting: VecDeque::new(),
        }
    }

    /// Orders a record; its outcome comes from [`JournalHands::next`].
    pub(super) fn append(&mut self, record: Record) {
        self.waiting.push_back(record);
        self.begin();
    }

    /// The outcome of the next record; never, while none is ordered.
    ///
    /// Cancel safety: may be dropped and called again.
    pub(super) async fn next(&mut self) -> Event {
        let (record, outcome) = match &mut self.work {
            Work::Append { record, job } => {
                let outcome = job.await;
                (record.clone(), outcome)
            }
            Work::Lost => match self.waiting.pop_front() {
                Some(record) => {
                    return Event::JournalFailed {
                        record,
                        text: "the journal was lost to an earlier failure".to_owned(),
                    };
                }
                None => return std::future::pending().await,
            },
            Work::Rest(_) => return std::future::pending().await,
        };
        let event = match outcome {
            Ok((journal, result)) => {
                self.work = Work::Rest(journal);
                match result {
                    Ok(()) => Event::JournalFlushed(record),
                    Err(error) => Event::JournalFailed {
                        record,
                        text: error.to_string(),
                    },
                }
            }
            Err(error) => {
                self.work = Work::Lost;
                Event::JournalFailed {
                    record,
                    text: error.to_string(),
                }
            }
        };
        self.begin();
        event
    }

    /// Whether nothing is ordered that is not on the disk.
    pub(super) fn is_at_rest(&self) -> bool {
        match self.work {
            Work::Rest(_) | Work::Lost => self.waiting.is_empty(),
            Work::Append { .. } => false,
        }
    }

    fn begin(&mut self) {
        self.work = match (
            std::mem::replace(&mut self.work, Work::Lost),
            self.waiting.pop_front(),
        ) {
            (Work::Rest(mut journal), Some(record)) => {
                let written = record.clone();
                let job = spawn_blocking(move || {
                    let result = journal.append(&written);
                    (journal, result)
                });
                Work::Append { record, job }
            }
            (work, Some(record)) => {
                self.waiting.push_front(record);
                work
            }
            (work, None) => work,
        };
    }
}
